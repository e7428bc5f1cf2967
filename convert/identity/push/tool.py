"""The interface of a push tool: what it reads from a source, and what it uploads.

There is one subclass of `PushTool` for each tool. Nothing is read or compressed here.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from convert.codec.compression import Compression
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.form import Form
from convert.model.image import Image, Layer, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from convert.diagnostics import Diagnostic
    from convert.jsonio.go_struct import Struct
    from convert.model.image_set import ImageSet, SourceFormat

#: Forms of layers whose descriptors the source dictates.
DICTATED: Final = frozenset({Form.AS_DICTATED, Form.DICTATED_COMPRESSED})


class View(Enum):
    """The part of a source that a tool reads."""

    ALL = "everything, as imgconv reads it"
    LISTED = "manifest.json alone"
    LAYOUT = "index.json alone"


@dataclass(frozen=True, slots=True)
class Contents:
    """What decides which part of a source a tool reads.

    `listed`, `layout` and `layout_file` state whether the source holds manifest.json, index.json and
    oci-layout, `folder` whether it is a folder, and `dir_folder` whether it is a `dir:` folder, whose
    manifest.json lists nothing. `transport` is the one that SOURCE is spelled with,
    "" for none. `count_indexed` returns the number of descriptors in index.json.
    """

    listed: bool
    layout: bool
    layout_file: bool
    folder: bool
    dir_folder: bool
    transport: str
    count_indexed: Callable[[], int]


class PushTool(ABC):
    """A tool that pushes images to a registry."""

    #: The tool's name in messages.
    name: str
    #: Whether the tool reads sha256 digests only.
    sha256_only = False
    #: Whether the tool finds images by name, so that a name must be unique.
    finds_by_name = False
    #: Whether the tool supports whole-archive compression.
    unpacks_archives = True

    @abstractmethod
    def view(self, contents: Contents) -> View:
        """Return the part of a source that the tool reads.

        Raises:
            UsageError: the tool cannot read such a source.
        """

    def conditions(self, contents: Contents, view: View) -> Iterator[Diagnostic]:
        """Yield the conditions under which a result for this view is valid.

        Tools that share one yield equal diagnostics, so that it is stated once.
        """
        del contents, view
        yield from ()

    def config_struct(self, image: Image) -> Struct | None:
        """Return the struct into which the tool decodes the config of an image, None if it decodes none."""
        del image
        return None

    @abstractmethod
    def pushes_as_stored(self, source_format: SourceFormat) -> bool:
        """Return whether the tool pushes everything that has a manifest unchanged."""

    def stored_images(self, images: ImageSet, warn: Callable[[Diagnostic], None]) -> ImageSet:
        """Return what a tool that pushes everything unchanged pushes of a source."""
        del warn
        return images

    def treats_as_compressed(self, head: Callable[[], bytes]) -> bool:
        """Return whether the tool treats all layers as compressed, by the first bytes of the first layer.

        `head` reads them.
        """
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

    def with_types(self, image: Image, compressions: Sequence[Compression]) -> Image:
        """Return an image whose kept layers have the media types that the tool gives them.

        Args:
            image: an image with the layers of `takes_layers`.
            compressions: those of the layers' bytes.
        """
        del compressions
        return image

    def mislabels(self, compression: Compression) -> bool:
        """Return whether the tool calls a layer gzip that is uploaded as stored, with this compression."""
        return compression != Compression.GZIP

    def describe(self, source: Layer, uploaded: Layer) -> Descriptor:
        """Return the descriptor that the tool writes for a layer.

        Docker and crane give every layer the gzip type, except for descriptors that the
        source dictates.

        Args:
            source: the layer as `takes_layers` returned it.
            uploaded: the layer as it is uploaded, with a descriptor of its bytes.
        """
        stored = descriptor_of(uploaded)
        if same_blob(source.stored, stored) and source.stored is not None:
            return source.stored
        return Descriptor(mediatype.DOCKER_LAYER_GZIP, stored.digest, stored.size)

    def manifest_rules(self, image: Image) -> object:
        """Return what decides on the manifest of an image beside its layers as they are uploaded.

        Tools that return the same upload equal manifests for equal layers.
        """
        del image
        return self

    @abstractmethod
    def manifest(self, image: Image, layers: Sequence[Descriptor]) -> Manifest:
        """Return the manifest that the tool uploads for an image of the source, with the descriptors of its layers."""


def schema2(raw: bytes, image: Image, layers: Sequence[Descriptor]) -> Manifest:
    """Return a manifest of Docker's schema 2 with these bytes."""
    return Manifest(
        raw=raw,
        media_type=mediatype.DOCKER_MANIFEST,
        digest=Digest.of(raw),
        config=Descriptor(mediatype.DOCKER_CONFIG, image.image_id, len(image.config.raw)),
        layers=tuple(layers),
    )


def descriptor_of(layer: Layer) -> Descriptor:
    """Return the descriptor of a layer as it is uploaded."""
    if layer.stored is None:
        raise ValueError(f"layer {layer.diff_id} has no descriptor")
    return layer.stored


def same_blob(one: Descriptor | None, other: Descriptor) -> bool:
    """Return whether two descriptors name the same bytes."""
    return one is not None and (one.digest, one.size) == (other.digest, other.size)


def taken_image(tool: PushTool, image: Image, *, as_compressed: bool) -> Image:
    """Return an image with the layers that the tool takes from the source."""
    layers = tool.takes_layers(image, as_compressed=as_compressed)
    return image if layers == image.layers else dataclasses.replace(image, layers=layers)


def pushed_images(tool: PushTool, images: ImageSet, uploaded: Mapping[Layer, Layer]) -> ImageSet:
    """Return the images with the manifests that the tool uploads for them.

    `uploaded` maps each layer to the layer as it is uploaded.
    """
    made = pushed_by_image(tool, images, uploaded)
    entries = tuple(
        dataclasses.replace(entry, node=made[entry.node], descriptor=None)
        for entry in images.entries
        if isinstance(entry.node, Image)
    )
    return dataclasses.replace(images, entries=entries)


#: By what decides on a manifest: an image of the source with the layers that are uploaded, and what a tool makes of it.
Pushed = dict[object, dict[tuple[Image, tuple[Layer, ...]], Image]]


def pushed_by_image(
    tool: PushTool, images: ImageSet, uploaded: Mapping[Layer, Layer], known: Pushed | None = None
) -> dict[Image, Image]:
    """Return each image of the source with the one that `pushed_images` makes of it.

    `known` is what other tools made of the same source; what this one makes is added.
    """
    known = {} if known is None else known
    made: dict[Image, Image] = {}
    # By the layer as it is uploaded: a layer of many images has one descriptor.
    descriptors: dict[Layer, Descriptor] = {}

    def describe(source: Layer, layer: Layer) -> Descriptor:
        if source.stored is not None:
            return tool.describe(source, layer)
        if layer not in descriptors:
            descriptors[layer] = tool.describe(source, layer)
        return descriptors[layer]

    for image in images.images():
        layers = tuple([uploaded[layer] for layer in image.layers])
        alike = known.setdefault(tool.manifest_rules(image), {})
        if (image, layers) not in alike:
            described = [describe(*pair) for pair in zip(image.layers, layers, strict=True)]
            alike[image, layers] = dataclasses.replace(image, layers=layers, manifest=tool.manifest(image, described))
        made[image] = alike[image, layers]
    return made
