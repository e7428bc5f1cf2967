"""Decide which layers a thin archive leaves out, because its receiver has them (docs/thin.md).

Docker looks a layer up by ChainID before it opens the file (moby daemon/internal/image/tarexport/load.go),
from the base up, so a docker-save archive can leave out a run of layers at the bottom. containerd, podman and
registries look blobs up by digest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from convert.identity.chain_id import chain_ids
from convert.jsonio.go_encode import dumps
from convert.model import mediatype
from convert.model.form import Form
from convert.model.image import Artifact, Image, Index, Other
from convert.model.needs import SHORT
from convert.model.walk import descend, node_digest
from convert.plan.changes import ImageNeeds
from convert.plan.forms import decide_form
from convert.writer.options import LeftOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from convert.layer.finished import FinishedLayers
    from convert.model.digest import Digest
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet
    from convert.plan.base import Base, BaseLayer
    from convert.plan.forms import Recipe
    from convert.writer.registry import Target

#: Names of images that a mark lists.
_MAX_NAMES: Final = 4
#: Characters of such a name.
_MAX_NAME: Final = 255
#: Bytes of all of them as JSON: a mark adds at most 4 KB to an image (docs/thin.md#size).
_MAX_NAMES_SIZE: Final = 512

if TYPE_CHECKING:
    #: Returns the digest that each layer of a base has after the same conversion; the layers are verified.
    Converted = Callable[[Mapping[BaseLayer, Form]], Mapping[BaseLayer, Digest]]


@dataclass(frozen=True, slots=True)
class ThinPlan:
    """What a thin archive leaves out: for the writer, and for each image.

    `used` are the layers of the base that stand for layers which are left out; each must be
    verified against its own digest, or its DiffID for those in `by_diff_id`.
    """

    left_out: LeftOut = field(default_factory=LeftOut)
    needs: tuple[ImageNeeds, ...] = ()
    by_digest: tuple[BaseLayer, ...] = ()
    by_diff_id: tuple[BaseLayer, ...] = ()


def plan_docker_save(images: ImageSet, base: Base, target: Target) -> ThinPlan:
    """Leave out the longest run of layers from the bottom whose ChainID the base holds.

    Where images share files of layers (docker-save@25), a file stays if one image needs it.
    """
    chains = {image: chain_ids(image.config.diff_ids) for image in images.images()}
    runs = {
        image: next((at for at, chain_id in enumerate(chain) if chain_id not in base.chain_ids), len(chain))
        for image, chain in chains.items()
    }
    needed = {layer.diff_id for image, length in runs.items() for layer in image.layers[length:]}
    shared = needed if target.layer_sizes_first else set()
    needs: list[ImageNeeds] = []
    # Two manifests with one config are one image here.
    for image, length in {image.image_id: (image, length) for image, length in runs.items()}.values():
        left = tuple(layer for layer in image.layers[:length] if layer.diff_id not in shared)
        if left:
            chain_id = chains[image][length - 1]
            needs.append(ImageNeeds(image, left, chain_id, _names([base.chain_ids[chain_id]])))
    left_out = LeftOut(
        frozenset(layer.diff_id for need in needs for layer in need.layers) - needed,
        {image.image_id: length for image, length in runs.items()},
        document=_docker_mark(needs) if needs else b"",
    )
    # The whole run counts: a receiver has a ChainID only if it has all layers below.
    below = (chain_id for need in needs for chain_id in chains[need.image][: runs[need.image]])
    used = {
        (one.layer.blob, one.layer.diff_id): one
        for chain_id in dict.fromkeys(below)
        if (one := base.evidence.get(chain_id)) is not None
    }
    return ThinPlan(left_out, tuple(needs), by_diff_id=tuple(used.values()))


def plan_layout(
    images: ImageSet, layers: FinishedLayers, base: Base, recipe: Recipe, target: Target, converted: Converted
) -> ThinPlan:
    """Leave out layers that the base holds under the digest that the result gives them.

    Where Docker reads the result too (docker-oci), only the longest run from the bottom, so that its graph
    driver loads it as well.
    """
    held = _Held(base, layers, recipe, converted)
    held.look_up(layer for _, layer in images.layers())
    kept = set(_always_written(images))
    chosen: dict[Image, tuple[Layer, ...]] = {}
    for image in images.images():
        present = [held.has(layer) for layer in image.layers]
        if target.manifest_json:
            length = next((at for at, there in enumerate(present) if not there), len(present))
            chosen[image] = image.layers[:length]
            kept.update(layer.stored.digest for layer in image.layers[length:] if layer.stored is not None)
        else:
            chosen[image] = tuple(layer for layer, there in zip(image.layers, present, strict=True) if there)
    needs = []
    for image, found in chosen.items():
        left = tuple(layer for layer in found if layer.stored is not None and layer.stored.digest not in kept)
        if left:
            names = _names(held.name(layer) for layer in left)
            needs.append(ImageNeeds(image, left, of=names))
    blobs = frozenset(layer.stored.digest for need in needs for layer in need.layers if layer.stored is not None)
    used = held.used(layer for need in needs for layer in need.layers)
    return ThinPlan(
        LeftOut(blobs, marks=_marks(images, needs)),
        tuple(needs),
        by_digest=tuple(one for one, by_diff_id in used if not by_diff_id),
        by_diff_id=tuple(one for one, by_diff_id in used if by_diff_id),
    )


class _Held:
    """Looks finished layers up in a base."""

    def __init__(self, base: Base, layers: FinishedLayers, recipe: Recipe, converted: Converted) -> None:
        self._base = base
        self._layers = layers
        self._recipe = recipe
        self._converted = converted
        #: Digests that the base holds: the layer that has it and whether its DiffID stands for it, or None.
        self._found: dict[Digest, tuple[BaseLayer, bool] | None] = {}

    def look_up(self, layers: Iterable[Layer]) -> None:
        """Find the layers in the base; some layers of the base may have to be encoded for that."""
        unsure: dict[BaseLayer, list[Digest]] = {}
        forms: dict[BaseLayer, Form] = {}
        for layer in layers:
            if layer.stored is None or layer not in self._layers.contents:
                continue
            digest = layer.stored.digest
            if digest in self._found:
                continue
            if digest in self._base.by_digest:
                self._found[digest] = (self._base.by_digest[digest], False)
            elif digest in self._base.listed_blobs:
                self._found[digest] = None
            elif (other := self._base.by_diff_id.get(layer.diff_id)) is not None:
                form = decide_form(other.image, other.layer, self._recipe)
                if digest == layer.diff_id or form is self._layers.forms.get(layer) is Form.ENCODED:
                    # The same encoder on the same tar gives the same bytes.
                    self._found[digest] = (other, True)
                else:
                    forms[other] = form
                    unsure.setdefault(other, []).append(digest)
        for other, digest in (self._converted(forms) if forms else {}).items():
            if digest in unsure[other]:
                self._found[digest] = (other, True)

    def has(self, layer: Layer) -> bool:
        return layer.stored is not None and layer.stored.digest in self._found

    def name(self, layer: Layer) -> str:
        """Return the name of an image in the base that has the layer, "" if none is known."""
        if layer.stored is None:
            return ""
        found = self._found[layer.stored.digest]
        if found is None:
            return self._base.listed_blobs[layer.stored.digest]
        return self._base.names.get(found[0].image, "")

    def used(self, layers: Iterable[Layer]) -> list[tuple[BaseLayer, bool]]:
        """Return the layers of the base that stand for these, each once."""
        found = (self._found[layer.stored.digest] for layer in layers if layer.stored is not None)
        return list(dict.fromkeys(one for one in found if one is not None))


def _always_written(images: ImageSet) -> Iterator[Digest]:
    """Yield the digests of what is in every thin archive: documents, and blobs that something else needs.

    Layers that may be absent from any layout belong to it: if they were left out, a thin archive could not be told
    from a full one without them, and filling would not bring them back.
    """
    for node in images.nodes():
        match node:
            case Image():
                yield node.image_id
                # Only the manifest is certain: images that share a layer may describe it in different ways.
                for described in node.manifest.layers if node.manifest is not None else ():
                    if mediatype.may_be_absent(described.media_type, described.urls):
                        yield described.digest
            case Artifact():
                yield from node.blobs
            case Other():
                yield from (node.descriptor.digest, *node.named)
            case _:
                pass
        if (digest := node_digest(node)) is not None:
            yield digest


def _names(names: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(name for name in names if 0 < len(name) <= _MAX_NAME))[:_MAX_NAMES]
    while found and len(dumps(list(found))) > _MAX_NAMES_SIZE:
        found = found[:-1]
    return found


def _docker_mark(needs: Iterable[ImageNeeds]) -> bytes:
    """Return the document `.imgconv-needs.json` of a docker-save archive."""
    found = [
        {"id": str(need.image.image_id), "chain_id": str(need.chain_id), "layers": len(need.layers), "of": need.of}
        for need in needs
    ]
    return dumps({"version": 1, "images": found}) + b"\n"


def _marks(images: ImageSet, needs: Iterable[ImageNeeds]) -> dict[Digest, str]:
    """Return the annotation of each top-level descriptor of a layout under which something is left out."""
    by_image = {need.image: need for need in needs}
    marks: dict[Digest, str] = {}
    for entry in images.entries:
        digest = node_digest(entry.node) if entry.node is not None else None
        if digest is None or digest in marks:
            continue
        nodes = descend(entry.node) if isinstance(entry.node, Index) else (entry.node,)
        found = [by_image[node] for node in nodes if isinstance(node, Image) and node in by_image]
        blobs = dict.fromkeys(
            layer.stored.digest.hex[:SHORT] for need in found for layer in need.layers if layer.stored is not None
        )
        if blobs:
            names = _names(name for need in found for name in need.of)
            marks[digest] = dumps({"blobs": list(blobs), "of": list(names)}).decode()
    return marks
