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
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Artifact, Image, Index, config_of
from convert.model.image_set import SourceFormat
from convert.model.walk import child_kind, child_platform, leaves, node_digest

if TYPE_CHECKING:
    from convert.model.blob import Blob
    from convert.model.image import Child, Layer, Node
    from convert.model.image_set import Entry, ImageSet


class Engine(Enum):
    """A group of engines that show the same ID for an image."""

    DOCKER = "docker"
    DOCKER_CONTAINERD = "docker-containerd"
    PODMAN = "podman"
    CRI_O = "cri-o"
    CONTAINERD = "containerd"

    @property
    def shows_config(self) -> bool:
        """Whether the ID is the digest of the config, not of the manifest."""
        return self not in {Engine.DOCKER_CONTAINERD, Engine.CONTAINERD}


#: Reasons why engines that keep manifests show no ID.
NOT_LOADED: Final = "containerd reads no archive without manifest.json"
NOT_LISTED: Final = "index.json does not name it by itself, and containerd reads only that"
UNREAD: Final = "it takes the digests of compressed layers, so their bytes must be read"
LAYER_ABSENT: Final = "a layer is missing"


@dataclass(frozen=True, slots=True)
class NamedImage:
    """One image or other node with the names that an archive gives it.

    `top` is the named node: the image itself, or an index that lists it as `child`. `node` is the
    image, or None if it is not in the source; then `claimed` is the descriptor that lists it.
    """

    entries: tuple[Entry, ...]
    top: Node | None
    node: Node | None
    child: Child | None = None

    @property
    def claimed(self) -> Descriptor | None:
        """The descriptor that lists the image, or None."""
        return self.child.descriptor if self.child is not None else self.entries[0].descriptor

    @property
    def index(self) -> Index | None:
        """The named index, or None if the names are those of an image."""
        return self.top if isinstance(self.top, Index) and self.top is not self.node else None

    @property
    def texts(self) -> tuple[str, ...]:
        """The names in familiar form; a ref.name that is not a valid reference is unchanged."""
        return tuple(dict.fromkeys(text for entry in self.entries if (text := entry_name(entry))))

    @property
    def platform_text(self) -> str | None:
        """The platform of the image, from its config or else from the index."""
        config = config_of(self.node)
        if config is not None:
            return str(config.platform)
        platform = child_platform(self.child) if self.child is not None else None
        return str(platform) if platform is not None else None

    @property
    def is_image(self) -> bool:
        """Whether it is an image, or something damaged or absent that may be one."""
        if isinstance(self.node, Image):
            return True
        if isinstance(self.node, Artifact):
            return image_id(self.node) is not None
        described = self.claimed
        if self.node is not None or described is None:
            return False
        return described.media_type in mediatype.MANIFESTS | mediatype.INDEXES and not (
            self.child is not None and child_kind(self.child) == "attestation"
        )


def entry_name(entry: Entry) -> str | None:
    """Return an entry's name as Docker prints it, None if it has none."""
    if entry.name is None:
        return None
    return entry.name.reference.familiar if entry.name.reference is not None else entry.name.ref_name


def list_images(images: ImageSet) -> list[NamedImage]:
    """Return the nodes of an archive in its order, each once with all its names.

    An index yields one element for each of its children, including nested ones.
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

    The manifest determines it even if the config is damaged or absent.
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
    """Return the digest that `name@digest` refers to, or None if the node has no manifest of its own.

    Generated manifests of `docker save` do not count.
    """
    return node_digest(node) if node is not None else None


class LayerDigests(Protocol):
    """Compression and digests of stored layers (`layer/stored_digests.py`)."""

    def compression(self, blob: Blob) -> Compression:
        """Return how a layer's bytes are compressed."""
        ...

    def digest(self, layer: Layer) -> Digest | None:
        """Return the digest of a layer as it is stored, or None if it has not been computed."""
        ...


def import_manifest(image: Image, layers: LayerDigests) -> bytes | None:
    """Return the manifest that containerd creates when it imports an image of a docker archive.

    The result is valid for an empty store: containerd reuses a compressed layer that it already has
    for the same DiffID. It recognises only gzip and zstd, and treats bzip2 and xz layers as
    uncompressed. Return None if a layer is absent or was not read.
    """
    described = []
    for layer in image.layers:
        digest = layers.digest(layer)
        if layer.blob is None or layer.blob.size is None or digest is None:
            return None
        compressed = layers.compression(layer.blob) in {Compression.GZIP, Compression.ZSTD}
        media_type = mediatype.DOCKER_LAYER_GZIP if compressed else mediatype.DOCKER_LAYER
        described.append(Descriptor(media_type, digest, layer.blob.size))
    # Only an archive without manifests needs it: start-up time of `id`.
    from convert.identity.manifest import containerd_import_manifest  # noqa: PLC0415

    return containerd_import_manifest(image.config, described)


def containerd_id(item: NamedImage, archive_format: SourceFormat, layers: LayerDigests) -> tuple[Digest | None, str]:
    """Return the digest that containerd shows for the named node, or the reason why it shows none.

    For an index this is the digest of the index, whichever platform runs.
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
    """Return the ID that an engine shows after loading the archive, or the reason why it shows none."""
    if engine.shows_config:
        return image_id(item.node), ""
    return containerd_id(item, archive_format, layers)
