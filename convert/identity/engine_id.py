"""The ID that each engine shows for an image.

Docker with a graph driver, podman and cri-o show the digest of the config.
containerd, and Docker with the containerd store (29's default), show the digest
of the manifest or index; for an archive without one, of the manifest that
containerd makes when it imports it (containerd core/images/archive/importer.go;
docs/formats-docker.md#docker-load).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from convert.codec.compression import Compression
from convert.identity import manifest
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Artifact, Image, Index
from convert.model.image_set import SourceFormat
from convert.model.walk import leaves, node_digest

if TYPE_CHECKING:
    from convert.model.blob import Blob
    from convert.model.image import Child, Layer, Node
    from convert.model.image_set import Entry, ImageSet


class Engine(Enum):
    """An engine, by what it shows as the ID of an image."""

    DOCKER = "docker"
    DOCKER_CONTAINERD = "docker-containerd"
    PODMAN = "podman"
    CRI_O = "cri-o"
    CONTAINERD = "containerd"

    @property
    def shows_config(self) -> bool:
        """Whether its ID is the digest of the config rather than of the manifest."""
        return self not in {Engine.DOCKER_CONTAINERD, Engine.CONTAINERD}


#: Why no engine that keeps manifests can name an image.
NOT_LOADED: Final = "containerd reads no archive without manifest.json"
NOT_LISTED: Final = "index.json does not name it by itself, and containerd reads only that"
UNREAD: Final = "it takes the digests of compressed layers, so their bytes must be read"
LAYER_ABSENT: Final = "a layer is missing"


@dataclass(frozen=True, slots=True)
class NamedImage:
    """One image, or other thing, under the names that an archive gives it.

    `top` is what the names stand for: the image itself, or an index that holds it
    as `child`. `node` is the image, None where it is not in the source; then
    `claimed` is the descriptor that names it.
    """

    entries: tuple[Entry, ...]
    top: Node | None
    node: Node | None
    child: Child | None = None

    @property
    def claimed(self) -> Descriptor | None:
        """The descriptor that names the image, where there is one."""
        return self.child.descriptor if self.child is not None else self.entries[0].descriptor

    @property
    def index(self) -> Index | None:
        """The index that the names stand for, if they do."""
        return self.top if isinstance(self.top, Index) and self.top is not self.node else None

    @property
    def texts(self) -> tuple[str, ...]:
        """The names in their familiar form; a ref.name that is no reference as it is."""
        return tuple(dict.fromkeys(text for entry in self.entries if (text := entry_name(entry))))


def entry_name(entry: Entry) -> str | None:
    """Return an entry's name as Docker prints it, None if it has none."""
    if entry.name is None:
        return None
    return entry.name.reference.familiar if entry.name.reference is not None else entry.name.ref_name


def list_images(images: ImageSet) -> list[NamedImage]:
    """Return what an archive holds, in its order, each thing once with all its names.

    An index gives one element for each of its children, nested ones too.
    """
    groups: dict[object, list[Entry]] = {}
    for entry in images.entries:
        absent = entry.descriptor.digest if entry.descriptor is not None else None
        groups.setdefault(entry.node if entry.node is not None else absent, []).append(entry)
    found: list[NamedImage] = []
    for entries in groups.values():
        top, all_names = entries[0].node, tuple(entries)
        if isinstance(top, Index):
            found.extend(NamedImage(all_names, top, child.node, child) for child in leaves(top))
            if not top.children:
                found.append(NamedImage(all_names, top, top))
        else:
            found.append(NamedImage(all_names, top, top))
    return found


def image_id(node: Node | None) -> Digest | None:
    """Return an image's ID: the digest of its config.

    A manifest whose config is damaged or absent still says what it should be.
    """
    if isinstance(node, Image):
        return node.image_id
    if not isinstance(node, Artifact):
        return None
    if node.config is not None:
        return node.config.digest
    config = node.manifest.config
    of_image = all(mediatype.is_layer(layer.media_type) for layer in node.manifest.layers)
    return config.digest if config.media_type in mediatype.IMAGE_CONFIGS and of_image else None


def manifest_digest(node: Node | None) -> Digest | None:
    """Return the digest that `name@digest` means; None for what has no manifest of its own.

    A manifest that `docker save` made up is none.
    """
    return node_digest(node) if node is not None else None


class LayerDigests(Protocol):
    """What is known of the bytes of layers (`layer/stored_digests.py`)."""

    def compression(self, blob: Blob) -> Compression:
        """Return how a layer's bytes are compressed."""
        ...

    def digest(self, layer: Layer) -> Digest | None:
        """Return the digest of a layer's bytes as they are stored; None if it is not known."""
        ...


def import_manifest(image: Image, layers: LayerDigests) -> bytes | None:
    """Return the manifest that containerd creates when it imports an image of a docker archive.

    This holds for an empty store: containerd uses a compressed layer that it already
    has for the same DiffID instead. It recognises gzip and zstd; layers under bzip2
    and xz are uncompressed bytes to it. None where a layer is absent or unread.
    """
    described = []
    for layer in image.layers:
        digest = layers.digest(layer)
        if layer.blob is None or layer.blob.size is None or digest is None:
            return None
        compressed = layers.compression(layer.blob) in {Compression.GZIP, Compression.ZSTD}
        media_type = mediatype.DOCKER_LAYER_GZIP if compressed else mediatype.DOCKER_LAYER
        described.append(Descriptor(media_type, digest, layer.blob.size))
    return manifest.containerd_import_manifest(image.config, described)


def containerd_id(item: NamedImage, archive_format: SourceFormat, layers: LayerDigests) -> tuple[Digest | None, str]:
    """Return the digest that containerd gives what the names stand for, or why it has none.

    For an index that is the index's, whichever platform runs.
    """
    if item.index is not None:
        return item.index.digest, ""
    return _containerd_id(item.node, item.entries[0].descriptor, archive_format, layers)


def _containerd_id(
    node: Node | None, described: Descriptor | None, archive_format: SourceFormat, layers: LayerDigests
) -> tuple[Digest | None, str]:
    if node is None:
        return (described.digest if described is not None else None), ""
    if not isinstance(node, Image):
        return manifest_digest(node), ""
    if node.manifest is not None:
        return node.manifest.digest, ""
    if archive_format is SourceFormat.DOCKER_V1:
        return None, NOT_LOADED
    if archive_format in {SourceFormat.DOCKER_SAVE_25, SourceFormat.DOCKER_OCI}:
        return None, NOT_LISTED
    if any(layer.blob is None for layer in node.layers):
        return None, LAYER_ABSENT
    raw = import_manifest(node, layers)
    return (Digest.of(raw), "") if raw is not None else (None, UNREAD)


def engine_id(
    item: NamedImage, engine: Engine, archive_format: SourceFormat, layers: LayerDigests
) -> tuple[Digest | None, str]:
    """Return what an engine shows as the ID after it loaded the archive, or why it shows none."""
    if engine.shows_config:
        return image_id(item.node), ""
    return containerd_id(item, archive_format, layers)
