"""The interface of a push tool: what it reads from a source, and what it uploads.

There is one subclass of `PushTool` for each tool. Nothing is read or compressed here.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, Final

from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.form import Form
from convert.model.image import Image, Layer, Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convert.codec.compression import Compression
    from convert.jsonio.go_struct import Struct
    from convert.model.config import Config
    from convert.model.image_set import ImageSet, SourceFormat

#: Forms of layers whose descriptors the source dictates.
DICTATED: Final = frozenset({Form.AS_DICTATED, Form.DICTATED_COMPRESSED})


class View(Enum):
    """The part of a source that a tool reads."""

    ALL = "everything, as imgconv reads it"
    LISTED = "manifest.json alone"
    LAYOUT = "index.json alone"


class PushTool(ABC):
    """A tool that pushes images to a registry."""

    #: The tool's name in messages.
    name: str
    #: The struct into which the tool decodes a config, or None.
    config_struct: Struct | None = None
    #: Whether the tool reads sha256 digests only.
    sha256_only = False
    #: Whether the tool finds images by name, so that a name must be unique.
    finds_by_name = False
    #: Whether the tool supports whole-archive compression.
    unpacks_archives = True

    @abstractmethod
    def view(self, *, listed: bool, layout: bool, folder: bool) -> View:
        """Return the part of a source that the tool reads.

        `listed` and `layout` state whether the source holds manifest.json and
        index.json, `folder` whether it is a folder.

        Raises:
            UsageError: the tool cannot read such a source.
        """

    def condition(self, view: View) -> str:
        """Return the condition under which a result for this view is valid; "" for none."""
        del view
        return ""

    @abstractmethod
    def pushes_as_stored(self, source_format: SourceFormat) -> bool:
        """Return whether the tool pushes everything that has a manifest unchanged."""

    def treats_as_compressed(self, head: bytes) -> bool:
        """Return whether the tool treats all layers as compressed, by the first bytes of the first layer."""
        del head
        return False

    def needed_layers(self, image: Image) -> tuple[Layer, ...]:
        """Return the layers whose bytes the tool reads."""
        return image.layers

    @abstractmethod
    def ignores_descriptor(self, descriptor: Descriptor) -> bool:
        """Return whether a layer's descriptor in the source has no effect on the push."""

    def takes_layers(self, image: Image, *, as_compressed: bool) -> tuple[Layer, ...]:
        """Return the layers of an image as the tool takes them from the source.

        `as_compressed` is the result of `treats_as_compressed` for this image.
        """
        del as_compressed
        return tuple(self._without_ignored(layer) for layer in image.layers)

    def _without_ignored(self, layer: Layer) -> Layer:
        ignored = layer.stored is not None and layer.blob is not None and self.ignores_descriptor(layer.stored)
        return Layer(layer.diff_id, layer.blob) if ignored else layer

    @abstractmethod
    def layer_forms(
        self, image: Image, compressions: Sequence[Compression], *, as_compressed: bool
    ) -> tuple[Form, ...]:
        """Return the form in which the tool uploads each layer of an image with the layers of `takes_layers`.

        `compressions` are those of the layers' bytes.
        """

    @abstractmethod
    def manifest(self, config: Config, layers: Sequence[Descriptor]) -> bytes:
        """Return the bytes of the manifest that the tool uploads."""


def taken_image(tool: PushTool, image: Image, *, as_compressed: bool) -> Image:
    """Return an image with the layers that the tool takes from the source."""
    layers = tool.takes_layers(image, as_compressed=as_compressed)
    return image if layers == image.layers else dataclasses.replace(image, layers=layers)


def pushed_images(tool: PushTool, images: ImageSet, uploaded: Mapping[Layer, Layer]) -> ImageSet:
    """Return the images with the manifests that the tool uploads for them.

    `uploaded` maps each layer to the layer as it is uploaded. Docker and crane give every layer
    the gzip type, except for descriptors that the source dictates.
    """
    made: dict[Image, Image] = {}
    for image in images.images():
        made[image] = _pushed_image(tool, image, tuple(uploaded[layer] for layer in image.layers))
    entries = tuple(
        dataclasses.replace(entry, node=made[entry.node], descriptor=None)
        for entry in images.entries
        if isinstance(entry.node, Image)
    )
    return dataclasses.replace(images, entries=entries)


def _pushed_image(tool: PushTool, image: Image, layers: tuple[Layer, ...]) -> Image:
    described = tuple(_descriptor(source, layer) for source, layer in zip(image.layers, layers, strict=True))
    raw = tool.manifest(image.config, described)
    manifest = Manifest(
        raw=raw,
        media_type=mediatype.DOCKER_MANIFEST,
        digest=Digest.of(raw),
        config=Descriptor(mediatype.DOCKER_CONFIG, image.image_id, len(image.config.raw)),
        layers=described,
    )
    return dataclasses.replace(image, layers=layers, manifest=manifest)


def _descriptor(source: Layer, layer: Layer) -> Descriptor:
    if layer.stored is None:
        raise ValueError(f"layer {layer.diff_id} has no descriptor")
    if layer.stored is source.stored:
        return layer.stored
    return Descriptor(mediatype.DOCKER_LAYER_GZIP, layer.stored.digest, layer.stored.size)
