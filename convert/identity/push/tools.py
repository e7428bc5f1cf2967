"""What each tool pushes for an image: which bytes of a layer, and which manifest.

A pusher reads a source in its own way and compresses in its own way, so one
archive has one digest for each of them
(docs/contract.md#the-digest-that-a-push-gives). Pure: nothing is read or compressed here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from convert.errors import UsageError, shortened, suggestion
from convert.identity import manifest
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.form import Form
from convert.model.image import Image, Layer, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from convert.model.config import Config
    from convert.model.image_set import ImageSet


#: Forms of layers whose descriptors the source dictates.
DICTATED: Final = frozenset({Form.DESCRIBED, Form.DESCRIBED_AGAIN})


class View(Enum):
    """What of a source a pusher looks at."""

    ALL = "everything, as imgconv reads it"
    LISTED = "manifest.json alone"
    LAYOUT = "index.json alone"


@dataclass(frozen=True, slots=True)
class Pusher:
    """A tool that pushes, built with one generation of Go.

    `go` is the generation its encoder is of ("" for imgconv itself), `profile` how
    it compresses what is not compressed.
    """

    name: str
    tool: str
    go: str
    profile: str
    aliases: tuple[str, ...] = ()

    @property
    def go_releases(self) -> str:
        """The releases of Go that the generation covers, in words; imgconv has encoders of its own."""
        return {"go1.26": "Go up to 1.26", "go1.27": "Go 1.27"}.get(self.go, "its own core")


PUSHERS: Final = (
    Pusher("crane@go1.26", "crane", "go1.26", "go1.26-1", ("crane",)),
    Pusher("crane@go1.27", "crane", "go1.27", "go1.27-1"),
    Pusher("docker@go1.26", "docker", "go1.26", "go1.26-6", ("docker",)),
    Pusher("docker@go1.27", "docker", "go1.27", "go1.27-6"),
    Pusher("imgconv", "imgconv", "", "go1.26-1"),
)

#: Types that go-containerregistry takes for no foreign layer (pkg/v1/tarball/image.go).
_UNCOMPRESSED: Final = frozenset({mediatype.DOCKER_LAYER, mediatype.OCI_LAYER})


def get(name: str) -> Pusher:
    """Return the pusher with this name or alias.

    Raises:
        UsageError: there is none; the error lists them.
    """
    for pusher in PUSHERS:
        if name == pusher.name or name in pusher.aliases:
            return pusher
    known = [text for pusher in PUSHERS for text in (*pusher.aliases, pusher.name)]
    hint = suggestion(name, known) + "pushers: " + ", ".join(known)
    raise UsageError(f"unknown pusher {shortened(name)!r}", hint=hint)


def view(pusher: Pusher, *, listed: bool, layout: bool, folder: bool) -> View:
    """Return what a pusher looks at in a source.

    `listed` and `layout` tell whether the source holds manifest.json and
    index.json, `folder` whether it is a folder.

    Raises:
        UsageError: the tool cannot read such a source.
    """
    if pusher.tool == "crane":
        if folder and layout:
            return View.LAYOUT
        if folder:
            raise UsageError(
                "crane pushes a tar or an OCI layout folder, and this folder has no index.json",
                hint="--to oci makes a layout of it",
            )
        if not listed:
            raise UsageError(
                "crane reads only tars that hold manifest.json",
                hint="unpacked to a folder a layout can be pushed; --to docker-oci writes both in one",
            )
        return View.LISTED
    if pusher.tool == "docker":
        return View.LISTED if listed else View.ALL
    return View.ALL


def seen(pusher: Pusher, image: Image, *, finished: bool) -> Image:
    """Return an image as the pusher takes it from the source.

    `finished` tells whether crane takes the layers for compressed ones. It finds those
    of an uncompressed archive by DiffID, the first one with it.
    """
    if pusher.tool == "crane" and finished:
        return image
    first: dict[Digest, Layer] = {}
    layers = []
    for layer in image.layers:
        ignored = layer.stored is not None and layer.blob is not None and _ignores(pusher, layer.stored)
        taken = Layer(layer.diff_id, layer.blob) if ignored else layer
        layers.append(first.setdefault(layer.diff_id, taken) if pusher.tool == "crane" else taken)
    return dataclasses.replace(image, layers=tuple(layers))


def _ignores(pusher: Pusher, described: Descriptor) -> bool:
    """Tell whether a layer's descriptor says nothing to the tool.

    crane passes over what Docker 25 and later write beside plain layers, docker
    load on Linux over foreign layers' descriptors.
    """
    if pusher.tool == "docker":
        return mediatype.is_nondistributable(described.media_type)
    return described.media_type in _UNCOMPRESSED


def takes_for_finished(head: bytes) -> bool:
    """Tell by the first bytes of the first layer whether crane takes all layers for compressed ones.

    It knows gzip by two bytes and zstd by the magic of its data frames alone
    (internal/compression/compression.go).
    """
    return head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd"))


def forms(pusher: Pusher, image: Image, compressions: Sequence[str], *, finished: bool) -> tuple[Form, ...]:
    """Return what crane or docker makes of each layer of an image (as `seen`).

    `compressions` tell how each layer's bytes lie. Where crane takes the layers for
    `finished` ones each is pushed as it lies, else every layer is compressed as it
    lies, compressed ones once more (pkg/v1/tarball/image.go). docker load unpacks
    every layer and docker push compresses it again.
    """
    if pusher.tool == "docker":
        return (Form.ENCODED,) * len(image.layers)
    return tuple(
        _crane_form(layer, compression, finished=finished)
        for layer, compression in zip(image.layers, compressions, strict=True)
    )


def _crane_form(layer: Layer, compression: str, *, finished: bool) -> Form:
    if layer.stored is not None and (finished or layer.stored.media_type not in _UNCOMPRESSED):
        return Form.DESCRIBED if finished else Form.DESCRIBED_AGAIN
    if finished:
        return Form.STORED
    return Form.AGAIN if compression else Form.ENCODED


def pushed(pusher: Pusher, images: ImageSet, done: Mapping[Layer, Layer]) -> ImageSet:
    """Return the images with the manifests that crane or docker pushes for them.

    `done` maps each layer to the layer as it is pushed. Both call every
    layer gzip, whatever it is, but for descriptors that the source dictates.
    """
    make = manifest.docker_push_manifest if pusher.tool == "docker" else manifest.crane_manifest
    made: dict[int, Image] = {}
    for image in images.images():
        made[id(image)] = _pushed(image, tuple(done[layer] for layer in image.layers), make)
    entries = tuple(
        dataclasses.replace(entry, node=made[id(entry.node)], descriptor=None)
        for entry in images.entries
        if isinstance(entry.node, Image)
    )
    return dataclasses.replace(images, entries=entries)


def _pushed(image: Image, layers: tuple[Layer, ...], make: Callable[[Config, Sequence[Descriptor]], bytes]) -> Image:
    described = tuple(_described(source, layer) for source, layer in zip(image.layers, layers, strict=True))
    raw = make(image.config, described)
    manifest = Manifest(
        raw=raw,
        media_type=mediatype.DOCKER_MANIFEST,
        digest=Digest.of(raw),
        config=Descriptor(mediatype.DOCKER_CONFIG, image.image_id, len(image.config.raw)),
        layers=described,
    )
    return dataclasses.replace(image, layers=layers, manifest=manifest)


def _described(source: Layer, layer: Layer) -> Descriptor:
    if layer.stored is None:
        raise ValueError(f"layer {layer.diff_id} has no descriptor")
    if layer.stored is source.stored:
        return layer.stored
    return Descriptor(mediatype.DOCKER_LAYER_GZIP, layer.stored.digest, layer.stored.size)
