"""Thin archives: take absent layers from a base, and leave out those that a base has (docs/thin.md)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convert.errors import AbsentBlobError, FormatError
from convert.layer.balance import fill_cores
from convert.layer.base_blob import BaseBlob, unpacked
from convert.layer.context import ReadContext
from convert.layer.transcode import LayerTranscoder
from convert.layer.verify import PlainContent, StoredContent
from convert.model.image import Layer
from convert.model.replace import replace_images
from convert.plan.base import open_base
from convert.plan.thin import ThinPlan, plan_docker_save, plan_layout
from convert.plan.unwritten import find_unwritten

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Mapping, Sequence

    from convert.codec.profile import Profile
    from convert.commands.common import Warn
    from convert.layer.finished import FinishedLayers
    from convert.layer.pool import Pool
    from convert.layer.staging import Staging
    from convert.model.blob import Content
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.form import Form
    from convert.model.image_set import ImageSet
    from convert.plan.base import Base, BaseLayer
    from convert.plan.forms import Recipe
    from convert.writer.registry import Target


#: Returns a layer with the wanted bytes, made of a blob of a base that holds it in another compression.
if TYPE_CHECKING:
    EncodeAgain = Callable[[Layer, BaseBlob, Descriptor], Layer]


class Absent:
    """Takes the layers that a thin source lacks from its base, those of several readings alike."""

    def __init__(
        self, base: Base, file: str, encode_again: EncodeAgain | None = None, *, any_form: bool = False
    ) -> None:
        """`file` is the source, for messages.

        Without `encode_again`, a blob of a manifest must be in the base itself. With `any_form`, any
        blob that holds the layer will do, whatever a manifest names.
        """
        self._base = base
        self._file = file
        self._encode_again = encode_again
        self._any_form = any_form
        self._blobs: dict[BaseLayer, BaseBlob] = {}

    def fill(self, images: ImageSet) -> ImageSet:
        """Return the images with the layers that their source lacks; they are verified when they are read.

        Raises:
            AbsentBlobError: the base does not have a layer.
            FormatError: it has the layer in another compression than a manifest names.
            InputError: the base is damaged.
        """
        done = {layer: self.layer(layer) for _, layer in images.layers() if layer.is_missing}
        if not done:
            return images
        replaced = {
            image: dataclasses.replace(image, layers=tuple(done.get(layer, layer) for layer in image.layers))
            for image in images.images()
            if any(layer in done for layer in image.layers)
        }
        return replace_images(images, replaced)

    def layer(self, layer: Layer) -> Layer:
        """Return a layer that the source lacks with the bytes that the base has; see `fill`."""
        wanted = layer.stored
        if wanted is not None and (same := self._base.by_digest.get(wanted.digest)) is not None:
            return Layer(layer.diff_id, self._blob(same), wanted)
        found = self._base.by_diff_id.get(layer.diff_id)
        if found is None:
            name = f"blob {wanted.digest}" if wanted is not None else f"layer {layer.diff_id}"
            raise AbsentBlobError(
                f"needs {name}, which is neither in the source nor in what --with gives",
                code="missing-layer",
                file=self._file,
            )
        blob = self._blob(found)
        if self._any_form:
            return Layer(layer.diff_id, blob)
        if wanted is None or wanted.digest == layer.diff_id:
            return Layer(layer.diff_id, unpacked(blob), wanted)
        if self._encode_again is None:
            raise FormatError(
                f"needs blob {wanted.digest}; {found.file} holds the layer in another compression",
                code="base-other-compression",
                file=self._file,
                hint="convert it first: imgconv THIN --with OLD --to oci-archive FULL",
            )
        return self._encode_again(layer, blob, wanted)

    def _blob(self, one: BaseLayer) -> BaseBlob:
        """Return the blob of a layer in the base, the same one each time."""
        if one.layer.blob is None:
            raise ValueError(f"layer {one.layer.diff_id} of the base has no bytes")
        return self._blobs.setdefault(one, BaseBlob(one.layer.blob, one.file))


def open_absent(
    texts: Sequence[str], source: str, stack: contextlib.ExitStack, warn: Warn, *, any_form: bool = False
) -> Callable[[ImageSet], ImageSet]:
    """Open the archives of `--with` for a command that writes nothing; return what fills the images of `source`.

    Without any, it returns images as they are.

    Raises:
        UsageError: an argument does not fit.
        InputError: an archive is damaged.
        StorageError: it cannot be read.
    """
    if not texts:
        return lambda images: images
    base = open_base(texts, [source], stack, warn, needs_layers=True)
    return Absent(base, source, any_form=any_form).fill


class BaseReader:
    """Reads layers of a base for a conversion, on the threads of its pool."""

    def __init__(self, base: Base, pool: Pool, context: ReadContext) -> None:
        """`context` is that of the source, for its limits."""
        self.base = base
        self._pool = pool
        self._context = context
        self._contexts: dict[str, ReadContext] = {}

    def fill(self, images: ImageSet, staging: Staging, progress: Callable[[int], None]) -> ImageSet:
        """Return the images with the layers that their source lacks taken from the base.

        Where the base holds a layer in another compression than the manifest names, the layer is
        encoded again in `staging`.

        Raises:
            AbsentBlobError: the base does not have a layer.
            FormatError: no profile gives the bytes that a manifest names.
            InputError: the base is damaged.
            StorageError: the staging area cannot be written to.
        """
        from convert.commands.match.search import Matcher  # noqa: PLC0415 - start-up time: `--without` does not search

        matcher = Matcher(self._pool, self._context, progress)

        def encode_again(layer: Layer, blob: BaseBlob, wanted: Descriptor) -> Layer:
            match = matcher.match([Layer(layer.diff_id, blob)], [wanted])[0]
            if match.found is None:
                raise FormatError(
                    f"needs blob {wanted.digest}; {blob.file} holds the layer in another compression, "
                    "and no compression profile gives that blob",
                    code="base-other-compression",
                    file=self._context.file,
                    hint="give an archive that holds the blob itself",
                )
            return matcher.recreate(match, staging)[0]

        return Absent(self.base, self._context.file or "", encode_again).fill(images)

    # -- leave out what the base has ---------------------------------------------------

    def unwritten_layers(
        self, images: ImageSet, forms: Mapping[Layer, Form], recipe: Recipe, target: Target
    ) -> dict[Layer, Layer]:
        """Return layers that are sure to be left out, each with the layer to read for its size or digest."""
        found = find_unwritten(images, forms, self.base, recipe, target)
        # Only the DiffID counts, whatever the base calls the stored bytes.
        others = {one: Layer(one.layer.diff_id, one.layer.blob) for one in found.values() if one is not None}
        for one, other in others.items():
            if other.blob is not None:
                # Errors name its archive.
                self._context.origins[other.blob] = one.file
        return {layer: others[one] if one is not None else layer for layer, one in found.items()}

    def leave_out(
        self, images: ImageSet, layers: FinishedLayers, recipe: Recipe, target: Target, profile: Profile
    ) -> tuple[ThinPlan, list[Content]]:
        """Decide what a thin archive leaves out; return also what must be read to its end before it is complete.

        Those are the layers of the base that stand for what is left out, as far as they are not verified yet.

        Raises:
            InputError: the base does not hold what it says.
        """

        def converted(forms: Mapping[BaseLayer, Form]) -> dict[BaseLayer, Digest]:
            return self._converted(forms, profile)

        if target.uncompressed:
            plan = plan_docker_save(images, self.base, target)
        else:
            plan = plan_layout(images, layers, self.base, recipe, target, converted)
        contents: list[Content] = [
            StoredContent(one.layer.blob, one.layer.stored, self._of(one))
            for one in plan.by_digest
            if one.layer.blob is not None and one.layer.stored is not None
        ]
        known = self._verified_in_source(layers)
        is_even = fill_cores([one.layer.blob.size or 0 for one in plan.by_diff_id if one.layer.blob], self._pool.jobs)
        for one in plan.by_diff_id:
            blob, stored = one.layer.blob, one.layer.stored
            if blob is not None and stored is not None and (one.layer.diff_id, stored.digest) in known:
                # The same bytes were unpacked and gave the DiffID already.
                contents.append(StoredContent(blob, stored, self._of(one)))
            else:
                context = self._of(one).without_overlap() if is_even else self._of(one)
                contents.append(PlainContent(Layer(one.layer.diff_id, blob), context))
        return plan, [content for content in contents if not content.verified]

    def _verified_in_source(self, layers: FinishedLayers) -> set[tuple[Digest, Digest]]:
        """Return DiffID and digest of the layers of the source that matched both while they were finished."""
        return {
            (layer.diff_id, layer.stored.digest)
            for layer in layers.layers
            if layer.blob is not None and layer.stored is not None and PlainContent(layer, self._context).verified
        }

    def _converted(self, forms: Mapping[BaseLayer, Form], profile: Profile) -> dict[BaseLayer, Digest]:
        """Return the digest that each layer of the base has in this form."""
        found: dict[BaseLayer, Digest] = {}
        for file in dict.fromkeys(one.file for one in forms):
            ours = {one.layer: one for one in forms if one.file == file}
            transcoder = LayerTranscoder(self._pool, profile=profile, context=self._of(next(iter(ours.values()))))
            digests = transcoder.digests({one.layer: forms[one] for one in ours.values()})
            found.update({ours[layer]: digest for layer, digest in digests.items()})
        return found

    def _of(self, one: BaseLayer) -> ReadContext:
        if one.file not in self._contexts:
            context = self._context
            options = context.options._replace(file=one.file)
            self._contexts[one.file] = ReadContext(options, verified=context.verified, cancel=context.cancel)
        return self._contexts[one.file]
