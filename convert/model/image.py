"""The canonical in-memory model: what every reader makes and every writer takes.

Identity lives in bytes, so manifests and configs keep the bytes they came in;
views of them are parsed beside those bytes and never serialised back. Layers
are lazy: nothing is read before `Blob.open`.

Layers, images, artifacts, indexes, entries and blobs compare and hash by identity, so
that they serve as keys: two layers with the same DiffID may lie in two places.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from convert.errors import FormatError
from convert.model import mediatype

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from convert.model.config import Config
    from convert.model.digest import Digest
    from convert.model.platform import Platform
    from convert.model.reference import Reference


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes of a regular file that can be copied inside the kernel.

    `fd` stays open as long as the source it belongs to.
    """

    fd: int
    offset: int
    size: int


class Blob(Protocol):
    """Bytes that lie somewhere, to be read when needed.

    Each `open` starts afresh and yields the same bytes, from any thread; the
    caller closes what it opened. `size` is bytes, None where only reading tells.
    """

    @property
    def size(self) -> int | None:
        """Bytes in the blob, or None if only reading tells."""

    @property
    def where(self) -> str:
        """Name of the member or path, for messages."""

    def open(self) -> BinaryIO:
        """Start reading at the first byte."""

    def extent(self) -> Extent | None:
        """Where the bytes lie in a regular file, or None."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A content descriptor (image-spec descriptor.md).

    `extra` holds the fields imgconv has no use for but carries along.
    """

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    data: bytes | None = None
    platform: Mapping[str, Any] | None = None
    artifact_type: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse sizes and embedded data that cannot be true."""
        if self.size < 0:
            msg = f"descriptor of {self.digest} has negative size {self.size}"
            raise FormatError(msg)


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image or artifact manifest: its bytes, and the parts read from them.

    `made_up` is set by readers where the manifest is one that `docker save` made
    from config and DiffIDs (docs/formats-docker.md#generated-manifests): it carries no identity.
    """

    raw: bytes
    media_type: str
    digest: Digest
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    subject: Descriptor | None = None
    artifact_type: str | None = None
    made_up: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One file system layer.

    `blob` yields the bytes as they lie, compressed or not; None where a
    non-distributable layer is absent and only `stored.urls` says where it is.
    `stored` describes those bytes, None where the source does not say.
    """

    diff_id: Digest
    blob: Blob | None
    stored: Descriptor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One image for one platform.

    `layers` match `config.diff_ids` in number and order. `v1_ids` are the
    source's own v1 directory names, one a layer, or None. `parent` is the image
    ID that `manifest.json` named as Parent.
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
        """What the config says the image runs on."""
        return self.config.platform


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """A manifest of which only the bytes are carried: attestation, signature, chart, anything.

    `blobs` holds config and layers that are present, by digest. `config` is set
    where it is an image for some platform whose layers imgconv cannot unpack, such
    as WebAssembly or encrypted ones: it has an image ID then, and no layers to convert.
    """

    manifest: Manifest
    blobs: Mapping[Digest, Blob]
    config: Config | None = None

    @property
    def opaque_types(self) -> tuple[str, ...]:
        """Media types of its layers that imgconv does not know, each once."""
        types = dict.fromkeys(layer.media_type for layer in self.manifest.layers)
        return tuple(each for each in types if not mediatype.is_layer(each))


@dataclass(frozen=True, slots=True, eq=False)
class Child:
    """One entry of an index: its descriptor, and what it names if that is present."""

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
    """Something an index names whose media type is unknown: carried as bytes.

    `named` are the blobs it names, by digest, where its content has the shape of a
    manifest or index; `understood` is whether it has.
    """

    blob: Blob
    descriptor: Descriptor
    named: Mapping[Digest, tuple[Blob, Descriptor]] = field(default_factory=dict)
    understood: bool = True


Node = Image | Artifact | Index | Other


def config_of(node: Node | None) -> Config | None:
    """Return the config of an image, also of one whose layers cannot be unpacked; None for anything else."""
    return node.config if isinstance(node, Image | Artifact) else None


@dataclass(frozen=True, slots=True)
class Name:
    """One name of an image as its source spells it.

    `reference` is the normalised name if the text is one with a repository;
    `ref_name` the text of `org.opencontainers.image.ref.name`, where a layout
    gave one.
    """

    reference: Reference | None = None
    ref_name: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One named (or unnamed) thing at the top of an archive.

    An image with three tags is three entries that share one node; an untagged
    one is one entry whose name is None. `node` is None where a layout names a
    manifest that is absent (a sparse layout). `descriptor` is that of a layout's
    `index.json`, None for docker archives.
    """

    node: Node | None
    name: Name | None = None
    descriptor: Descriptor | None = None


@dataclass(frozen=True, slots=True)
class ImageSet:
    """All that a source holds, in its own order.

    `format` is the source's format ("docker-save", "oci", ...), `producer` the
    tool that likely wrote it, `warnings` what was accepted with a remark.
    `index_annotations`, `index_artifact_type` and `index_subject` are those of a
    layout's `index.json` itself. `indexed` are the digests of its descriptors and
    `listed` the image IDs of `manifest.json`, None where one could not be read; both
    in their own order, for skopeo's `@N`.
    """

    entries: tuple[Entry, ...]
    format: str
    producer: str = ""
    warnings: tuple[str, ...] = ()
    index_annotations: Mapping[str, str] = field(default_factory=dict)
    index_artifact_type: str | None = None
    index_subject: Descriptor | None = None
    indexed: tuple[Digest, ...] = ()
    listed: tuple[Digest | None, ...] = ()

    def opaque_images(self) -> Iterator[Artifact]:
        """Yield each image whose layers cannot be unpacked once, those inside indexes too."""
        return (artifact for artifact in self.artifacts() if artifact.config is not None)

    def images(self) -> Iterator[Image]:
        """Yield each image once, those inside indexes too, in source order."""
        return (node for node in self._leaves() if isinstance(node, Image))

    def artifacts(self) -> Iterator[Artifact]:
        """Yield each artifact once, those inside indexes too, in source order."""
        return (node for node in self._leaves() if isinstance(node, Artifact))

    def _leaves(self) -> Iterator[Node]:
        """Yield what is no index, each once, in source order."""
        seen: set[Node] = set()
        stack: list[Node | None] = [entry.node for entry in reversed(self.entries)]
        while stack:
            node = stack.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if isinstance(node, Index):
                stack.extend(child.node for child in reversed(node.children))
            else:
                yield node
