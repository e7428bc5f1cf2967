"""Every name of an image: what each engine calls it, and what one must read to know.

Docker with a graph driver, podman and cri-o show the digest of the config.
containerd, and Docker with the containerd store (29's default), show the digest
of the manifest or index; for an archive without one, of the manifest that
containerd makes when it imports it (containerd core/images/archive/importer.go;
docs/formats-docker.md#docker-load).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from convert.errors import InputError
from convert.identity import manifest
from convert.layer.verify import HashingStream, PlainContent, Proofs, compression_of, drain
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Artifact, Image, Index
from convert.model.walk import leaves, node_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.layer.pool import Pool
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
class Named:
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
        return tuple(dict.fromkeys(text for entry in self.entries if (text := entry_text(entry))))


def entry_text(entry: Entry) -> str | None:
    """Return an entry's name as Docker prints it, None if it has none."""
    if entry.name is None:
        return None
    return entry.name.reference.familiar if entry.name.reference is not None else entry.name.ref_name


def named(images: ImageSet) -> list[Named]:
    """Return what an archive holds, in its order, each thing once with all its names.

    An index gives one element for each of its children, nested ones too.
    """
    groups: dict[object, list[Entry]] = {}
    for entry in images.entries:
        absent = entry.descriptor.digest if entry.descriptor is not None else None
        groups.setdefault(id(entry.node) if entry.node is not None else absent, []).append(entry)
    found: list[Named] = []
    for entries in groups.values():
        top, all_names = entries[0].node, tuple(entries)
        if isinstance(top, Index):
            found.extend(Named(all_names, top, child.node, child) for child in leaves(top))
            if not top.children:
                found.append(Named(all_names, top, top))
        else:
            found.append(Named(all_names, top, top))
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


class LayerBytes:
    """What is known of layers' bytes, and what is learnt by reading them.

    Each blob is read once at most, whoever asks.
    """

    def __init__(self, *, may_read: bool, file: str | None = None) -> None:
        """Read no more than the first bytes of a layer unless `may_read`."""
        self._may_read = may_read
        self._file = file
        self._digests: dict[int, Digest] = {}
        self._compressions: dict[int, str] = {}
        self._alive: list[Blob] = []
        #: Bytes that were read to learn digests.
        self.bytes_read = 0

    def compression(self, blob: Blob) -> str:
        """Return how a layer's bytes lie, by their magic."""
        known = self._compressions.get(id(blob))
        if known is None:
            self._alive.append(blob)
            known = self._compressions[id(blob)] = compression_of(blob)
        return known

    def learn(self, blob: Blob, digest: Digest) -> None:
        """Take in the digest of a blob that was read elsewhere."""
        self._alive.append(blob)
        self._digests[id(blob)] = digest

    def digest(self, layer: Layer) -> Digest | None:
        """Return the digest of a layer's bytes as they lie; None if they are not to be read.

        The DiffID is that of a layer that lies plain; whether it is true, only
        reading shows (`examine`).
        """
        blob = layer.blob
        if blob is None:
            return None
        if not self.compression(blob) and layer.diff_id.algorithm == "sha256":
            return layer.diff_id
        if id(blob) not in self._digests and self._may_read:
            hasher = hashlib.sha256()
            with blob.open() as stream:
                self.bytes_read += drain(stream, hasher.update)
            self.learn(blob, Digest("sha256", hasher.hexdigest()))
        return self._digests.get(id(blob))

    def import_manifest(self, image: Image) -> bytes | None:
        """Return the manifest that containerd makes of an image in a docker archive.

        In an empty store: containerd takes a compressed layer that it already
        has for the same DiffID instead. It knows gzip and zstd; layers under
        bzip2 and xz are plain bytes to it. None where a layer is absent or unread.
        """
        described = []
        for layer in image.layers:
            digest = self.digest(layer)
            if layer.blob is None or layer.blob.size is None or digest is None:
                return None
            compressed = self.compression(layer.blob) in {"gzip", "zstd"}
            media_type = mediatype.DOCKER_LAYER_GZIP if compressed else mediatype.DOCKER_LAYER
            described.append(Descriptor(media_type, digest, layer.blob.size))
        return manifest.containerd_import_manifest(image.config, described)


def containerd_id(item: Named, archive_format: str, layers: LayerBytes) -> tuple[Digest | None, str]:
    """Return the digest that containerd gives what the names stand for, or why it has none.

    For an index that is the index's, whichever platform runs.
    """
    if item.index is not None:
        return item.index.digest, ""
    return _containerd_id(item.node, item.entries[0].descriptor, archive_format, layers)


def _containerd_id(
    node: Node | None, described: Descriptor | None, archive_format: str, layers: LayerBytes
) -> tuple[Digest | None, str]:
    if node is None:
        return (described.digest if described is not None else None), ""
    if not isinstance(node, Image):
        return manifest_digest(node), ""
    if node.manifest is not None:
        return node.manifest.digest, ""
    if archive_format == "docker-v1":
        return None, NOT_LOADED
    if archive_format in {"docker-save@25", "docker-oci"}:
        return None, NOT_LISTED
    if any(layer.blob is None for layer in node.layers):
        return None, LAYER_ABSENT
    raw = layers.import_manifest(node)
    return (Digest.of(raw), "") if raw is not None else (None, UNREAD)


def engine_id(item: Named, engine: Engine, archive_format: str, layers: LayerBytes) -> tuple[Digest | None, str]:
    """Return what an engine shows as the ID after it loaded the archive, or why it shows none."""
    if engine.shows_config:
        return image_id(item.node), ""
    return containerd_id(item, archive_format, layers)


# -- verifying -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What reading a layer showed. Sizes are bytes.

    `digest` is that of the bytes as they lie, None if they could not be read to
    their end; `problem` says what is wrong with them.
    """

    digest: Digest | None = None
    plain_size: int | None = None
    problem: InputError | None = None


def examine(layer: Layer, proofs: Proofs, compression: str) -> LayerFacts:
    """Read a layer to its end and check it against its DiffID and its descriptor.

    Raises:
        StorageError: reading failed.
    """
    blob = layer.blob
    if blob is None:
        return LayerFacts()
    seen: list[Digest] = []
    try:
        content = PlainContent(layer, proofs)
        if compression and layer.stored is None:
            # Nothing says what these bytes are called, so that is learnt here.
            from convert.codec import decompress  # noqa: PLC0415 - only where used

            raw = HashingStream(blob.open(), "sha256", lambda digest, _: seen.append(digest), where=blob.where)
            with content.proving(decompress.decompress(raw, compression, where=blob.where)) as plain:  # type: ignore[arg-type] # RawIOBase reads as a BinaryIO does
                size = drain(plain)
        else:
            with content.open() as plain:
                size = drain(plain)
            seen.append(layer.stored.digest if layer.stored is not None else layer.diff_id)
    except InputError as error:
        if error.file is None:
            error.file = proofs.file
        return LayerFacts(problem=error)
    return LayerFacts(digest=seen[0] if seen else None, plain_size=size)


def examine_all(layers: Sequence[Layer], known: LayerBytes, pool: Pool, *, file: str) -> dict[int, LayerFacts]:
    """Examine layers on the threads of `pool`; the result is by `id()` of the layer.

    Layers that are the same bytes under the same DiffID and descriptor are read once.
    """
    proofs = Proofs(file=file, cancel=pool.cancel)
    work: dict[object, list[Layer]] = {}
    for layer in layers:
        stored = (layer.stored.digest, layer.stored.size) if layer.stored is not None else None
        work.setdefault((id(layer.blob), layer.diff_id, stored), []).append(layer)
    firsts = [same[0] for same in work.values()]
    compressions = [known.compression(layer.blob) if layer.blob is not None else "" for layer in firsts]
    results = pool.map(lambda each: examine(each[0], proofs, each[1]), zip(firsts, compressions, strict=True))
    facts = {id(layer): result for same, result in zip(work.values(), results, strict=True) for layer in same}
    for layer in layers:
        found = facts[id(layer)]
        if layer.blob is not None and found.digest is not None:
            known.learn(layer.blob, found.digest)
    return facts


def encoders(layers: Sequence[Layer], pool: Pool) -> dict[int, str | None]:
    """Return which encoder made each compressed layer, by `id()`; None if none that is known.

    Every such layer is read. A profile's name, `gzip-N` (GNU gzip) or `zlib-N`.
    """
    from convert.codec.identify import recognise  # noqa: PLC0415 - imports encoders

    blobs = {id(layer.blob): layer.blob for layer in layers if layer.blob is not None and compression_of(layer.blob)}
    origins = dict(zip(blobs, pool.map(lambda blob: recognise(blob.open), blobs.values()), strict=True))
    return {
        id(layer): origin.name if (origin := origins[id(layer.blob)]) is not None else None
        for layer in layers
        if id(layer.blob) in origins
    }
