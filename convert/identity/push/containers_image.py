"""skopeo, podman and buildah: archives and folders, as containers/image copies them to a registry.

containers/image (container-libs since 2025) copies an image layer by layer, compresses what is
uncompressed, and writes the manifest again only where a layer changed (copy/single.go,
copy/compression.go). podman and buildah first load the image into a storage that keeps layers
unpacked, so every layer is compressed again.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from convert.codec.compression import Compression
from convert.diagnostics import Diagnostic
from convert.errors import UsageError
from convert.identity import containers_image_structs, manifest
from convert.identity.push.tool import Contents, PushTool, View, descriptor_of, same_blob, schema2
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.form import Form

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.jsonio.go_struct import Struct
    from convert.model.image import Image, Layer, Manifest
    from convert.model.image_set import SourceFormat

_DOCKER_ARCHIVE: Final = "docker-archive"


class _ContainersImage(PushTool):
    """What the tools of containers/image have in common."""

    def conditions(self, contents: Contents, view: View) -> Iterator[Diagnostic]:
        """Yield what a push depends on: the registry, and the transport that reads the source."""
        del contents, view
        text = "the digests of podman, skopeo and buildah are those at a registry that holds none of the layers yet"
        yield Diagnostic(text, code="pusher-condition", pusher="podman, skopeo, buildah")

    def view(self, contents: Contents) -> View:
        """Read what the transport in the spelling of the source reads; without one, what the tool detects.

        A tar with a manifest.json is docker-archive:, one with an index.json is oci-archive:, a folder oci: or dir:.
        """
        if contents.dir_folder:
            return View.ALL
        if contents.transport == _DOCKER_ARCHIVE or (not contents.transport and self._takes_listed(contents)):
            if contents.folder or not contents.listed:
                raise UsageError(
                    f"{self.name} reads a docker archive only from a tar that contains manifest.json",
                    code="pusher-cannot-read",
                )
            return View.LISTED
        if not contents.layout:
            raise UsageError(
                f"{self.name} reads tars that contain manifest.json, and OCI layouts; here neither is found",
                code="pusher-cannot-read",
                hint="convert it to a layout with --to oci",
            )
        return View.LAYOUT

    def _takes_listed(self, contents: Contents) -> bool:
        """Return whether a source without a transport is a docker archive to the tool."""
        return contents.listed and not contents.folder

    def pushes_as_stored(self, source_format: SourceFormat) -> bool:
        """Write manifests again where layers change."""
        del source_format
        return False

    def ignores_descriptor(self, descriptor: Descriptor) -> bool:
        """Ignore the descriptors of manifest.json; those of a layout are kept, see `takes_layers`."""
        del descriptor
        return True

    def takes_layers(self, image: Image, *, as_compressed: bool) -> tuple[Layer, ...]:
        """Take the layers of a layout with their descriptors, those of a docker archive by DiffID."""
        if image.manifest is not None:
            self._check_urls(image)
            return image.layers
        return super().takes_layers(image, as_compressed=as_compressed)

    def _check_urls(self, image: Image) -> None:
        """Refuse a layer with URLs: a push leaves it where they lead, in ways that differ between releases.

        Raises:
            UsageError: there is one.
        """
        for layer in image.layers:
            if layer.stored is not None and layer.stored.urls:
                raise UsageError(
                    f"{self.name} does not upload layer {layer.stored.digest}, which has URLs, and imgconv "
                    "does not compute this push",
                    code="pusher-cannot-read",
                )

    def manifest_rules(self, image: Image) -> object:
        """Return the same for all of these tools where none keeps anything of what the source describes."""
        described = image.manifest is not None or any(layer.stored is not None for layer in image.layers)
        return self if described else _ContainersImage

    def mislabels(self, compression: Compression) -> bool:
        """Name every compression in a new manifest; a manifest that is kept has its own types."""
        del compression
        return False

    def with_types(self, image: Image, compressions: Sequence[Compression]) -> Image:
        """Name the compression that a layer of a layout has, whatever its manifest says."""
        if image.manifest is None:
            return image
        layers = [
            dataclasses.replace(layer, stored=_typed(layer.stored, compression)) if layer.stored is not None else layer
            for layer, compression in zip(image.layers, compressions, strict=True)
        ]
        return dataclasses.replace(image, layers=tuple(layers))

    def describe(self, source: Layer, uploaded: Layer) -> Descriptor:
        """Return a descriptor of the media type that the manifest's family has for the bytes.

        A layer that is compressed now loses its annotations (copy/compression.go).
        """
        stored = descriptor_of(uploaded)
        if source.stored is None:
            return Descriptor(mediatype.DOCKER_LAYER_GZIP, stored.digest, stored.size)
        if self.keeps(source.stored, stored):
            return source.stored
        compression = mediatype.layer_compression(stored.media_type) or Compression.NONE
        return _typed(Descriptor(source.stored.media_type, stored.digest, stored.size), compression)

    def keeps(self, source: Descriptor, uploaded: Descriptor) -> bool:
        """Return whether a layer of a layout is uploaded as it is stored."""
        return same_blob(source, uploaded)

    def manifest(self, image: Image, layers: Sequence[Descriptor]) -> Manifest:
        """Return a schema 2 manifest for a docker archive, and one of its own type for an image of a layout."""
        old = image.manifest
        if old is None:
            return schema2(manifest.docker_manifest(image.config, layers), image, layers)
        raw = manifest.containers_image_manifest(old, layers)
        return dataclasses.replace(old, raw=raw, digest=Digest.of(raw), layers=tuple(layers))


class Skopeo(_ContainersImage):
    """`skopeo copy docker-archive:…`, `oci-archive:…`, `oci:…` or `dir:…` to a registry."""

    name = "skopeo"

    def config_struct(self, image: Image) -> Struct | None:
        """Decode the config of a docker archive (docker/internal/tarfile/src.go)."""
        return containers_image_structs.DOCKER_CONFIG if image.manifest is None else None

    def conditions(self, contents: Contents, view: View) -> Iterator[Diagnostic]:
        """Yield also which of two readings was taken."""
        yield from super().conditions(contents, view)
        yield from _two_readings(self.name, contents, view)

    def layer_forms(
        self, image: Image, compressions: Sequence[Compression], *, as_compressed: bool
    ) -> tuple[Form, ...]:
        """Keep the compressed layers of a layout; unpack those of a docker archive, and compress the rest."""
        del as_compressed
        keeps = image.manifest is not None
        return tuple(Form.STORED if keeps and compression else Form.ENCODED for compression in compressions)

    def manifest(self, image: Image, layers: Sequence[Descriptor]) -> Manifest:
        """Keep the manifest of an image whose layers are all kept."""
        old = image.manifest
        if old is not None and all(same_blob(*pair) for pair in zip(old.layers, layers, strict=True)):
            return old
        return super().manifest(image, layers)


class _Storage(_ContainersImage):
    """A tool that loads an image into containers-storage and pushes it from there."""

    def keeps(self, source: Descriptor, uploaded: Descriptor) -> bool:
        """Keep no layer, even if it is compressed to the same bytes."""
        del source, uploaded
        return False

    def config_struct(self, image: Image) -> Struct | None:
        """Decode every config, to compare its platform with that of the machine (copy/single.go)."""
        if image.manifest is None:
            return containers_image_structs.LOADED_DOCKER_CONFIG
        return containers_image_structs.OCI_CONFIG

    def layer_forms(
        self, image: Image, compressions: Sequence[Compression], *, as_compressed: bool
    ) -> tuple[Form, ...]:
        """Compress every layer: the storage unpacked it."""
        del compressions, as_compressed
        return (Form.ENCODED,) * len(image.layers)


class Podman(_Storage):
    """`podman load`, then `podman push`."""

    name = "podman"

    def _takes_listed(self, contents: Contents) -> bool:
        """Take a tar for an OCI archive if its index.json has one descriptor (common libimage/load.go)."""
        if contents.folder or not contents.listed:
            return False
        return not contents.layout or contents.count_indexed() != 1


class Buildah(_Storage):
    """`buildah pull docker-archive:…`, `oci-archive:…`, `oci:…` or `dir:…`, then `buildah push`."""

    name = "buildah"

    def conditions(self, contents: Contents, view: View) -> Iterator[Diagnostic]:
        """Yield also which of two readings was taken."""
        yield from super().conditions(contents, view)
        yield from _two_readings(self.name, contents, view)


def _typed(descriptor: Descriptor, compression: Compression) -> Descriptor:
    """Return a descriptor with the media type of its family for a compression; bzip2 and xz have none."""
    if compression not in mediatype.COMPRESSIONS:
        return descriptor
    media_type = mediatype.layer_type(
        compression,
        docker=mediatype.is_docker(descriptor.media_type),
        foreign=mediatype.is_nondistributable(descriptor.media_type),
    )
    return dataclasses.replace(descriptor, media_type=media_type)


def _two_readings(name: str, contents: Contents, view: View) -> Iterator[Diagnostic]:
    """Yield the other reading of a source that can be read in two ways, unless its spelling decides."""
    if view is View.LISTED and contents.layout and not contents.transport:
        text = f"{name}: this is docker-archive:PATH; for its index.json spell SOURCE oci-archive:PATH"
        yield Diagnostic(text, code="pusher-condition", pusher=name)
