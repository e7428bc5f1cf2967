"""Decide what becomes of the images that a pusher reads.

The classes of `identity/push/` decide what a tool does with what it reads. This module
opens the first bytes of layers that the tool looks at.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convert.codec.compression import Compression
from convert.diagnostics import Diagnostic, Dropped
from convert.errors import SelectionError, UsageError
from convert.identity.push.tool import DICTATED, taken_image
from convert.layer.verify import compression_of, present
from convert.model.form import Form
from convert.model.image import Artifact, Image, Index
from convert.model.image_set import Entry
from convert.model.walk import leaves
from convert.plan.labels import counted, entry_label
from convert.writer.naming import describe, is_attestation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from convert.identity.push.pushers import Pusher
    from convert.identity.push.tool import PushTool
    from convert.model.blob import Blob
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet


@dataclass(frozen=True, slots=True)
class Load:
    """Images as a pusher takes them, and what becomes of each layer.

    `forms` is None where the pusher follows imgconv's own rules: everything that
    has a manifest is pushed as it is.
    """

    pusher: Pusher
    images: ImageSet
    forms: dict[Layer, Form] | None = None


def load(
    pusher: Pusher,
    images: ImageSet,
    warn: Callable[[Diagnostic], None],
    tools: Collection[PushTool] = (),
    compression: Callable[[Blob], Compression] = compression_of,
) -> Load:
    """Return images as the pusher takes them.

    Args:
        pusher: who pushes.
        images: the images as the pusher reads them.
        warn: takes what a digest depends on.
        tools: those that may be asked about the same images.
        compression: returns how a blob is compressed; one that looks at each blob once saves time if several tools are
            asked.

    Raises:
        SelectionError: they contain no image.
        UsageError: the tool cannot read one of them.
    """
    tool = pusher.tool
    if tool.sha256_only:
        _check_digests(tool, images)
    if tool.pushes_as_stored(images.format):
        return Load(pusher, tool.stored_images(images, warn))
    entries: list[Entry] = []
    forms: dict[Layer, Form] = {}
    made: dict[Image, Image] = {}
    opened: set[Index] = set()
    for entry in images.entries:
        for image in _images_of(entry):
            if image not in made:
                _check_present(tool, image)
                _check_config(tool, image, tools)
                as_compressed = _treats_as_compressed(tool, image)
                taken = taken_image(tool, image, as_compressed=as_compressed)
                kinds = tuple(
                    compression(layer.blob) if layer.blob is not None else Compression.NONE for layer in taken.layers
                )
                taken = made[image] = tool.with_types(taken, kinds)
                found = tool.layer_forms(taken, kinds, as_compressed=as_compressed)
                forms.update(zip(taken.layers, found, strict=True))
                for warning in _descriptor_warnings(tool, image, found, kinds):
                    warn(warning)
            # An image may have 100,000 names: an entry that says the same already is taken as it is.
            same = entry.node is made[image] and entry.descriptor is None
            entries.append(entry if same else Entry(made[image], entry.name))
        if not isinstance(entry.node, Image):
            for line in _not_pushed(tool, entry, opened):
                warn(line)
    if images.entries and not entries:
        raise SelectionError(f"no image is in the source, so {tool.name} has nothing to push", code="nothing-to-push")
    return Load(pusher, dataclasses.replace(images, entries=tuple(entries)), forms)


def _descriptor_warnings(
    tool: PushTool, image: Image, forms: Sequence[Form], kinds: Sequence[Compression]
) -> Iterator[Diagnostic]:
    """Yield a warning for descriptors of layers that do not describe what the tool uploads."""
    called = sum(form is Form.STORED and tool.mislabels(kind) for form, kind in zip(forms, kinds, strict=True))
    if called:
        text = f"{tool.name} calls {counted(called, 'layer')} of {image.image_id} gzip, and the bytes are not"
        yield Diagnostic(text, code="layer-called-gzip", image_id=str(image.image_id), layers=called)
    dictated = sum(form in DICTATED for form in forms)
    if dictated:
        text = (
            f"{tool.name} pushes {counted(dictated, 'descriptor')} of LayerSources in "
            f"{image.image_id} as given; a registry refuses one that does not fit what {tool.name} uploads"
        )
        yield Diagnostic(text, code="layer-sources-as-given", image_id=str(image.image_id))


def _not_pushed(tool: PushTool, entry: Entry, opened: set[Index]) -> Iterator[Dropped]:
    """Yield what of an entry the tool does not push; the children of an index once, which `opened` remembers."""
    if next(_images_of(entry), None) is None:
        why = "pushes only images that are there"
        if isinstance(entry.node, Artifact) and entry.node.config is not None:
            why = f"cannot unpack its layers ({', '.join(entry.node.opaque_types)})"
        text = f"dropped {entry_label(entry)}: {tool.name} {why}"
        yield Dropped(text, what="artifact", of=entry_label(entry))
    elif isinstance(entry.node, Index) and entry.node not in opened:
        opened.add(entry.node)
        for child in leaves(entry.node):
            if child.node is not None and not isinstance(child.node, Image):
                what = "attestation" if is_attestation(child) else "artifact"
                text = f"dropped {describe(child.node, child)}: {tool.name} pushes only images"
                yield Dropped(text, what=what, of=str(child.descriptor.digest))


def _check_present(tool: PushTool, image: Image) -> None:
    """Refuse an image without a layer whose bytes the tool reads."""
    needed = tool.needed_layers(image)
    for layer in needed:
        if layer.blob is None and len(needed) < len(image.layers):
            raise SelectionError(
                f"{tool.name} wants the bytes of the first layer of {image.image_id}, and they are not in the source",
                code="layer-not-present",
            )
        present(layer)


def _check_digests(tool: PushTool, images: ImageSet) -> None:
    """Refuse digests other than sha256.

    Raises:
        UsageError: there is one.
    """
    for image in images.images():
        named = [layer.stored for layer in image.layers if layer.stored is not None]
        if image.manifest is not None:
            named.append(image.manifest.config)
        for descriptor in named:
            if descriptor.digest.algorithm != "sha256":
                raise UsageError(
                    f"{tool.name} knows only sha256, and {image.image_id} names {descriptor.digest}",
                    code="pusher-needs-sha256",
                )


def _check_config(tool: PushTool, image: Image, tools: Collection[PushTool]) -> None:
    """Refuse a config that the tool cannot decode; it is parsed once for all `tools`.

    Raises:
        UsageError: it cannot.
    """
    struct = tool.config_struct(image)
    if struct is None:
        return
    others = (other for tool in tools if (other := tool.config_struct(image)) is not None)
    error = image.config.decode_error(struct, others)
    if error:
        raise UsageError(f"{tool.name} cannot read the config {image.image_id}: {error}", code="pusher-cannot-read")


def _treats_as_compressed(tool: PushTool, image: Image) -> bool:
    """Return whether the tool takes the layers of an image for compressed ones."""
    if not image.layers:
        return False

    def head() -> bytes:
        with present(image.layers[0]).open() as stream:
            return stream.read(4)

    return tool.treats_as_compressed(head)


def _images_of(entry: Entry) -> Iterator[Image]:
    """Yield the images behind a name: one, or those of an index that are there."""
    if isinstance(entry.node, Image):
        yield entry.node
    elif isinstance(entry.node, Index):
        yield from (child.node for child in leaves(entry.node) if isinstance(child.node, Image))
