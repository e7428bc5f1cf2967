"""crane: tarballs and OCI layouts, as go-containerregistry pushes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.errors import UsageError
from convert.identity import ggcr_structs
from convert.identity.manifest import crane_manifest
from convert.identity.push.tool import Contents, PushTool, View, schema2
from convert.model import mediatype
from convert.model.form import Form
from convert.model.image_set import SourceFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convert.codec.compression import Compression
    from convert.jsonio.go_struct import Struct
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.image import Image, Layer, Manifest

#: Types of layers that go-containerregistry treats as distributable (pkg/v1/tarball/image.go).
_UNCOMPRESSED: Final = frozenset({mediatype.DOCKER_LAYER, mediatype.OCI_LAYER})


class Crane(PushTool):
    """`crane push`."""

    name = "crane"
    sha256_only = True  # pkg/v1/hash.go
    finds_by_name = True
    unpacks_archives = False

    def view(self, contents: Contents) -> View:
        """Read manifest.json of a tar, or index.json of a folder."""
        if contents.folder and contents.layout:
            return View.LAYOUT
        if contents.folder:
            raise UsageError(
                "crane pushes a tar or an OCI layout folder, and this folder has no index.json",
                code="pusher-cannot-read",
                hint="convert it to a layout with --to oci",
            )
        if not contents.listed:
            raise UsageError(
                "crane reads only tars that contain manifest.json",
                code="pusher-cannot-read",
                hint="unpack the layout to a folder, or convert it with --to docker-oci",
            )
        return View.LISTED

    def config_struct(self, image: Image) -> Struct:
        """Decode every config."""
        del image
        return ggcr_structs.CONFIG

    def pushes_as_stored(self, source_format: SourceFormat) -> bool:
        """Push a layout unchanged."""
        return source_format in {SourceFormat.OCI, SourceFormat.REGISTRY}

    def needed_layers(self, image: Image) -> tuple[Layer, ...]:
        """Return the first layer: crane detects the compression of all layers by it."""
        return image.layers[:1]

    def treats_as_compressed(self, head: Callable[[], bytes]) -> bool:
        """Recognise gzip by two bytes, zstd by the magic of its data frames (internal/compression/compression.go)."""
        return head().startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd"))

    def ignores_descriptor(self, descriptor: Descriptor) -> bool:
        """Ignore the descriptors that Docker 25 and later write for uncompressed layers."""
        return descriptor.media_type in _UNCOMPRESSED

    def takes_layers(self, image: Image, *, as_compressed: bool) -> tuple[Layer, ...]:
        """Take the layers of an uncompressed archive by DiffID, the first of several."""
        if as_compressed:
            return image.layers
        first: dict[Digest, Layer] = {}
        return tuple(first.setdefault(layer.diff_id, self._without_ignored(layer)) for layer in image.layers)

    def layer_forms(
        self, image: Image, compressions: Sequence[Compression], *, as_compressed: bool
    ) -> tuple[Form, ...]:
        """Push `as_compressed` layers as they are stored; otherwise compress every layer, even a compressed one.

        See pkg/v1/tarball/image.go.
        """
        return tuple(
            self._layer_form(layer, compression, as_compressed=as_compressed)
            for layer, compression in zip(image.layers, compressions, strict=True)
        )

    @staticmethod
    def _layer_form(layer: Layer, compression: Compression, *, as_compressed: bool) -> Form:
        if layer.stored is not None and (as_compressed or layer.stored.media_type not in _UNCOMPRESSED):
            return Form.AS_DICTATED if as_compressed else Form.DICTATED_COMPRESSED
        if as_compressed:
            return Form.STORED
        return Form.COMPRESSED_TWICE if compression else Form.ENCODED

    def manifest(self, image: Image, layers: Sequence[Descriptor]) -> Manifest:
        """Return a schema 2 manifest as go-containerregistry encodes it."""
        return schema2(crane_manifest(image.config, layers), image, layers)
