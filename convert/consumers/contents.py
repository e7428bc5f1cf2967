"""What consumers see in an archive: its documents as they are written, also where they are damaged.

The readers refuse what no tool should accept, and consumers differ in what they refuse. So the rules look at the
documents themselves: at names, descriptors and JSON values, and at each blob's bytes, which are read once.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from convert.errors import FormatError, ImgconvError, InputError, UnsafeInputError
from convert.jsonio import strict
from convert.layer.blob_facts import BlobFacts, read_blob
from convert.limits import MAX_DOCUMENT_SIZE, MAX_INDEX_DEPTH, MAX_LISTED, MAX_NODES
from convert.model import mediatype
from convert.model.digest import Digest
from convert.model.platform import Platform
from convert.model.walk import platform_of
from convert.reader.document import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from convert.archive.open import Source
    from convert.archive.tree import Tree
    from convert.model.blob import Blob

_IMAGE_NAME: Final = "io.containerd.image.name"
_REF_NAME: Final = "org.opencontainers.image.ref.name"


class UnknownError(Exception):
    """No rule says what a consumer makes of this; the text is the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A blob as a descriptor names it; `blob` is None if it is absent."""

    media_type: str
    digest: Digest
    size: int
    blob: Blob | None
    urls: tuple[str, ...] = ()
    data: bytes | None = None


@dataclass(slots=True, eq=False)
class Node:
    """A manifest, an index or something else that an index lists.

    `raw` is its document, None if it is absent, too large or not read; `value` is the document's JSON, None if it is
    not an object. `fault` states why not. `platform` is that of the descriptor.
    """

    part: Part
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    value: Mapping[str, Any] | None = None
    fault: str = ""
    children: tuple[Node, ...] = ()
    config: Part | None = None
    layers: tuple[Part, ...] = ()

    @property
    def is_index(self) -> bool:
        """Whether its type is that of an index."""
        return self.part.media_type in mediatype.INDEXES

    @property
    def is_manifest(self) -> bool:
        """Whether its type is that of a manifest."""
        return self.part.media_type in mediatype.MANIFESTS

    @property
    def intact(self) -> bool:
        """Whether its document is there and is the one that its digest identifies."""
        return self.raw is not None and digest_of(self.raw, self.part.digest.algorithm) == self.part.digest

    @property
    def image_name(self) -> str:
        """The annotation with its full name, "" without one."""
        return self.annotations.get(_IMAGE_NAME, "")

    @property
    def ref_name(self) -> str:
        """The annotation `org.opencontainers.image.ref.name`, "" without one."""
        return self.annotations.get(_REF_NAME, "")


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """An image config as Go programs see it: its bytes and its JSON object."""

    raw: bytes
    value: Mapping[str, Any]

    def get(self, *names: str) -> Any:
        """Return the value under nested keys in any letter case, None without one."""
        value: Any = self.value
        for name in names:
            value = _get(value, name)
        return value

    @property
    def diff_ids(self) -> list[str]:
        """The DiffIDs as they are written; none without a `rootfs`."""
        found = self.get("rootfs", "diff_ids")
        return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []

    @property
    def platform(self) -> Platform:
        """The platform, absent fields empty."""
        texts = [self.get(key) for key in ("os", "architecture", "variant", "os.version")]
        return Platform(*(text if isinstance(text, str) else "" for text in texts))


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """An element of `manifest.json`: what it names, and the blobs behind these names."""

    config_name: str
    config: Settings | None
    config_fault: str
    layers: tuple[tuple[str, Blob | None], ...]
    tags: tuple[str, ...]
    value: Mapping[str, Any]


class Contents:
    """An opened archive, as the rules look at it. Nothing is read before it is asked for."""

    def __init__(self, opened: Source, host: Platform, count: Callable[[int], None] = lambda _: None) -> None:
        """Take an open source; `host` is the platform of the consumers, `count` is called with the bytes read."""
        self._count = count
        self.tree: Tree = opened.tree
        self.path = opened.path
        self.compression = opened.compression
        self.host = host
        self._facts: dict[Blob, BlobFacts] = {}
        self._nodes: dict[tuple[str, Digest], Node] = {}
        self._settings: dict[Blob, tuple[Settings | None, str]] = {}
        self._listed = 0

    # -- documents -----------------------------------------------------------------------

    def find(self, name: str) -> Blob | None:
        """Return the bytes behind a name; None where there are none, or tools disagree about them."""
        try:
            return self.tree.find(name)
        except UnsafeInputError as error:
            if error.code == "unsafe-member-name":
                return None
            raise UnknownError(str(error)) from None
        except InputError as error:
            raise UnknownError(str(error)) from None

    def has(self, name: str) -> bool:
        """Return whether there is a member of this name."""
        return self.find(name) is not None

    def document(self, name: str) -> tuple[Any, str]:
        """Return the JSON value of a member and "", or None and what is wrong with it."""
        try:
            return strict.parse(self.tree.read(name), where=self.path, member=name), ""
        except ImgconvError as error:
            return None, error.message

    @cached_property
    def layout_version(self) -> str | None:
        """The version in `oci-layout`; None without such a file, "" for one that states none."""
        if not self.has("oci-layout"):
            return None
        value, _ = self.document("oci-layout")
        version = _get(value, "imageLayoutVersion")
        return version if isinstance(version, str) else ""

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """The elements of `manifest.json`; none if it is absent or no list."""
        value, _ = self.document("manifest.json") if self.has("manifest.json") else (None, "")
        return tuple(map(self._item, value)) if isinstance(value, list) else ()

    @cached_property
    def tops(self) -> tuple[Node, ...]:
        """What `index.json` lists; nothing if it is absent or broken."""
        if not self.has("index.json"):
            return ()
        value, _ = self.document("index.json")
        return self._children(value, 1)

    @cached_property
    def dir_manifest(self) -> Node | None:
        """The manifest of a `dir:` folder of skopeo or podman, None without one."""
        value, _ = self.document("manifest.json") if self.tree.is_folder and self.has("manifest.json") else (None, "")
        if not _is_object(value) or _get(value, "config") is None:
            return None
        raw = self.tree.read("manifest.json")
        node = Node(Part(_text(value, "mediaType"), Digest.of(raw), len(raw), None), raw=raw, value=value)
        self._take_parts(node, value)
        return node

    def facts(self, blob: Blob) -> BlobFacts:
        """Return what reading a layer to its end shows."""
        if blob not in self._facts:
            self._facts[blob] = read_blob(blob, ("sha256",), unpack=True, where=blob.where, count=self._count)
        return self._facts[blob]

    def settings(self, blob: Blob, name: str) -> tuple[Settings | None, str]:
        """Return a config and "", or None and what is wrong with it."""
        if blob not in self._settings:
            self._settings[blob] = self._read_settings(blob, name)
        return self._settings[blob]

    def walk(self) -> Iterator[tuple[Node, Node | None]]:
        """Yield every node below `index.json` once, with the index that lists it, None for `index.json`."""
        seen: set[Node] = set()
        stack: list[tuple[Node, Node | None]] = [(node, None) for node in reversed(self.tops)]
        while stack:
            node, parent = stack.pop()
            if node not in seen:
                seen.add(node)
                yield node, parent
                stack.extend((child, node) for child in reversed(node.children))

    # -- how they are read -----------------------------------------------------------------

    def _read_settings(self, blob: Blob, name: str) -> tuple[Settings | None, str]:
        try:
            return self.parse_settings(_content(blob), name)
        except ImgconvError as error:
            return None, error.message

    def parse_settings(self, raw: bytes, name: str) -> tuple[Settings | None, str]:
        """Return a config of these bytes and "", or None and what is wrong with it."""
        try:
            value = strict.parse(raw, where=self.path, member=name)
        except ImgconvError as error:
            return None, error.message
        return (Settings(raw, value), "") if isinstance(value, dict) else (None, "it is not a JSON object")

    def _item(self, value: Any) -> Item:
        name = _text(value, "Config")
        blob = self._file(name)
        config, fault = (None, "it is not in the archive") if blob is None else self.settings(blob, name)
        layers = tuple((path, self._file(path)) for path in _texts(value, "Layers"))
        return Item(name, config, fault, layers, tuple(_texts(value, "RepoTags")), value if _is_object(value) else {})

    def _file(self, name: str) -> Blob | None:
        return self.find(name) if name else None

    def _children(self, value: Any, depth: int) -> tuple[Node, ...]:
        listed = _get(value, "manifests")
        found = [self._node(each, depth) for each in (listed if isinstance(listed, list) else ())]
        self._listed += len(found)
        if self._listed > MAX_LISTED:
            raise UnknownError(f"its indexes list more than {MAX_LISTED} manifests")
        return tuple(each for each in found if each is not None)

    def _node(self, value: Any, depth: int) -> Node | None:
        part = self._part(value)
        if part is None:
            return None
        given = _get(value, "platform")
        platform = platform_of(given) if _is_object(given) else None
        annotations = _get(value, "annotations")
        texts = {key: text for key, text in annotations.items() if isinstance(text, str)} if annotations else {}
        # Annotations and platform belong to the descriptor, the rest to what it names.
        core = self._core(part, depth)
        return Node(part, platform, texts, core.raw, core.value, core.fault, core.children, core.config, core.layers)

    def _core(self, part: Part, depth: int) -> Node:
        key = (part.media_type, part.digest)
        if key in self._nodes:
            return self._nodes[key]
        if depth > MAX_INDEX_DEPTH or len(self._nodes) > MAX_NODES:
            raise UnknownError("its indexes are nested too deeply or list too much")
        node = self._nodes[key] = Node(part)
        if part.blob is None:
            node.fault = "it is not in the archive"
        elif node.is_index or node.is_manifest:
            self._read_node(node, part.blob, depth)
        return node

    def _read_node(self, node: Node, blob: Blob, depth: int) -> None:
        try:
            node.raw = _content(blob)
            value = strict.parse(node.raw, where=self.path, member=blob.where)
        except ImgconvError as error:
            node.fault = error.message
            return
        if not _is_object(value):
            node.fault = "it is not a JSON object"
            return
        node.value = value
        if node.is_index:
            node.children = self._children(value, depth + 1)
        else:
            self._take_parts(node, value)

    def _take_parts(self, node: Node, value: Any) -> None:
        """Note the config and the layers that a manifest names."""
        node.config = self._part(_get(value, "config"))
        layers = _get(value, "layers")
        parts = [self._part(each) for each in (layers if isinstance(layers, list) else ())]
        node.layers = tuple(each for each in parts if each is not None)

    def _part(self, value: Any) -> Part | None:
        """Return what a descriptor names; None for what is no descriptor."""
        if not _is_object(value):
            return None
        try:
            digest = Digest.parse(_text(value, "digest"))
        except FormatError:
            return None
        size = _get(value, "size")
        blob = self.find(f"blobs/{digest.algorithm}/{digest.hex}")
        return Part(
            _text(value, "mediaType"),
            digest,
            size if isinstance(size, int) else -1,
            blob,
            tuple(_texts(value, "urls")),
            _data(value),
        )


def _content(blob: Blob) -> bytes:
    """Return the bytes of a document.

    Raises:
        UnsafeInputError: it is larger than a document may be.
    """
    with blob.open() as stream:
        raw = stream.read(MAX_DOCUMENT_SIZE + 1)
        while len(raw) <= MAX_DOCUMENT_SIZE and (more := stream.read(MAX_DOCUMENT_SIZE + 1 - len(raw))):
            raw += more
    if len(raw) > MAX_DOCUMENT_SIZE:
        msg = f"a document of more than {MAX_DOCUMENT_SIZE} bytes is not read"
        raise UnsafeInputError(msg, code="document-too-large", member=blob.where)
    return raw


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _get(value: Any, name: str) -> Any:
    """Return the value that Go decodes into the field `name`."""
    if not isinstance(value, dict):
        return None
    try:
        return strict.lookup(value, name)
    except FormatError as error:
        raise UnknownError(error.message) from None


def _text(value: Any, name: str) -> str:
    found = _get(value, name)
    return found if isinstance(found, str) else ""


def _data(value: Any) -> bytes | None:
    """Return the content that a descriptor embeds, None without."""
    text = _text(value, "data")
    try:
        return base64.b64decode(text, validate=True) if text else None
    except ValueError:
        return None


def _texts(value: Any, name: str) -> list[str]:
    found = _get(value, name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
