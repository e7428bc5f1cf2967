"""The model of images that readers return and writers take.

Digests depend on every byte, so manifests and configs keep their bytes; parsed values are never
serialised again. Layers are lazy: nothing is read before `Blob.open`.

Layers, images, artifacts, indexes, entries and blobs compare and hash by identity, so that they
can be keys: two layers with the same DiffID may be stored in two places.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convert.model import mediatype

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convert.model.blob import Blob
    from convert.model.config import Config
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.platform import Platform


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image or artifact manifest: its bytes, and the parts read from them.

    `generated` is set by readers if the manifest is a placeholder that `docker save`
    generated from config and DiffIDs (docs/formats-docker.md#generated-manifests): its digest identifies nothing.
    """

    raw: bytes
    media_type: str
    digest: Digest
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    subject: Descriptor | None = None
    artifact_type: str | None = None
    generated: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One file system layer.

    `blob` yields the stored bytes, compressed or not. It is None if a non-distributable layer is
    absent and `stored.urls` locate it. `stored` describes the stored bytes; None if the source has
    no descriptor.
    """

    diff_id: Digest
    blob: Blob | None
    stored: Descriptor | None = None

    @property
    def is_missing(self) -> bool:
        """Whether the source should hold the layer's bytes and does not (`mediatype.may_be_absent`)."""
        stored = self.stored
        return self.blob is None and (stored is None or not mediatype.may_be_absent(stored.media_type, stored.urls))


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One image for one platform.

    `layers` match `config.diff_ids` in number and order. `v1_ids` are the v1 directory names of the
    source, one for each layer, or None. `parent` is the image ID in `Parent` of `manifest.json`.
    """

    config: Config
    layers: tuple[Layer, ...]
    manifest: Manifest | None = None
    v1_ids: tuple[str, ...] | None = None
    parent: Digest | None = None

    @property
    def image_id(self) -> Digest:
        """sha256 of the config's bytes."""
        return self.config.digest

    @property
    def platform(self) -> Platform:
        """The platform in the config."""
        return self.config.platform


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """A manifest that is preserved only as bytes: attestation, signature, chart and so on.

    `blobs` contains config and layers that are present, by digest. `config` is set for an image
    whose layers imgconv cannot unpack, such as WebAssembly or encrypted ones: it has an image ID,
    but no layers to convert.
    """

    manifest: Manifest
    blobs: Mapping[Digest, Blob]
    config: Config | None = None

    @property
    def opaque_types(self) -> tuple[str, ...]:
        """Unsupported media types of its layers, each once."""
        types = dict.fromkeys(layer.media_type for layer in self.manifest.layers)
        return tuple(each for each in types if not mediatype.is_layer(each))


@dataclass(frozen=True, slots=True, eq=False)
class Child:
    """One entry of an index: its descriptor, and the node if it is present."""

    descriptor: Descriptor
    node: Node | None


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """An image index or manifest list, with its bytes."""

    raw: bytes
    media_type: str
    digest: Digest
    children: tuple[Child, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    subject: Descriptor | None = None
    artifact_type: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Other:
    """A blob of an unknown media type that an index lists, preserved as bytes.

    `understood` is true if its content is structured like a manifest or index; then `named` are the
    blobs that it lists, by digest.
    """

    blob: Blob
    descriptor: Descriptor
    named: Mapping[Digest, tuple[Blob, Descriptor]] = field(default_factory=dict)
    understood: bool = True


Node = Image | Artifact | Index | Other


def config_of(node: Node | None) -> Config | None:
    """Return the config of an image, even of one whose layers cannot be unpacked; None for other nodes."""
    return node.config if isinstance(node, Image | Artifact) else None
