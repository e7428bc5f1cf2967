"""What consumers see in an archive: its documents as they are written, also where they are damaged.

The readers refuse what no tool should accept, and consumers differ in what they refuse. So the rules look at the
documents themselves: at names, descriptors and JSON values, and at each blob's bytes, which are read once.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

from convert import cancel
from convert.consumers import values
from convert.consumers.answers import Answers
from convert.consumers.needs import LeftOutLayers
from convert.consumers.nodes import Item, Node, Part, Settings
from convert.consumers.values import UnknownError
from convert.errors import FormatError, ImgconvError, InputError, UnsafeInputError
from convert.jsonio import strict
from convert.layer.blob_facts import BlobFacts, read_blob
from convert.limits import (
    MAX_ALL_DOCUMENTS_SIZE,
    MAX_ALL_VALUES,
    MAX_DOCUMENT_SIZE,
    MAX_INDEX_DEPTH,
    MAX_LAYERS,
    MAX_LISTED,
    MAX_NODES,
)
from convert.model import dir_names, mediatype
from convert.model.digest import Digest
from convert.reader.document import digest_of
from convert.reader.readings import Readings
from convert.reader.sink import CollectingSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sized

    from convert.archive.open import Source
    from convert.archive.tree import Tree
    from convert.model.blob import Blob
    from convert.model.image_set import ImageSet
    from convert.model.platform import Platform

_T = TypeVar("_T")
_SCHEMA_2: Final = 2
#: Keys by which a document is a manifest, an index or one of schema 1.
_KINDS: Final = ("config", "layers", "manifests", "fsLayers", "history")


class Contents(Answers):
    """An opened archive, as the rules look at it. Nothing is read before it is asked for."""

    def __init__(self, opened: Source, host: Platform, count: Callable[[int], None] = lambda _: None) -> None:
        """Take an open source; `host` is the platform of the consumers, `count` is called with the bytes read."""
        super().__init__()
        self._opened = opened
        self._count = count
        self.tree: Tree = opened.tree
        self.path = opened.path
        self.compression = opened.compression
        self.host = host
        self._facts: dict[Blob, BlobFacts] = {}
        self._nodes: dict[tuple[str, Digest, bool], Node] = {}
        self._settings: dict[Blob, tuple[Settings | None, str]] = {}
        self._documents: dict[str, tuple[Any, str]] = {}
        self._size = 0
        self._values = 0

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
        if name not in self._documents:
            self._documents[name] = self._read_document(name)
        return self._documents[name]

    @cached_property
    def layout_version(self) -> str | None:
        """The version in `oci-layout`; None without such a file, "" for one that states none."""
        if not self.has("oci-layout"):
            return None
        value, _ = self.document("oci-layout")
        version = values.get(value, "imageLayoutVersion")
        return version if isinstance(version, str) else ""

    @property
    def items(self) -> tuple[Item, ...]:
        """The elements of `manifest.json`; none if it is absent or no list."""
        return _known(self._items)

    @property
    def tops(self) -> tuple[Node, ...]:
        """What `index.json` lists; nothing if it is absent or broken."""
        return _known(self._tops)

    @cached_property
    def _items(self) -> tuple[Item, ...] | UnknownError:
        value, _ = self.document("manifest.json") if self.has("manifest.json") else (None, "")
        try:
            return tuple(map(self._item, value)) if isinstance(value, list) else ()
        except UnknownError as error:
            return error

    @cached_property
    def _tops(self) -> tuple[Node, ...] | UnknownError:
        if not self.has("index.json"):
            return ()
        value, _ = self.document("index.json")
        try:
            return self._children(value, 1)
        except UnknownError as error:
            # What was read until here is incomplete: nothing reads on from it.
            return error

    @cached_property
    def left_out(self) -> LeftOutLayers:
        """The layers that a thin archive leaves out on purpose."""
        return LeftOutLayers(self.tree, lambda: self.reading)

    @cached_property
    def reading(self) -> tuple[ImageSet, CollectingSink]:
        """The images as imgconv reads them, and what is wrong with them or absent.

        Raises:
            InputError: it cannot read on, or it is not an image archive.
        """
        sink = CollectingSink(accepts_absent=True)
        return self.readings.read_all(sink), sink

    @cached_property
    def readings(self) -> Readings:
        """What readers have in common that read the archive as imgconv and as a consumer do."""
        return Readings(self.tree)

    @cached_property
    def dir_folder(self) -> Contents:
        """The same source read as a `dir:` folder: its `manifest.json` is the only entry."""
        return _DirContents(self._opened, self.host, self._count)

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

    def _take(self, raw: bytes) -> bytes:
        """Count a document before it is parsed, and return it.

        Raises:
            UnknownError: all documents together are larger than a source may have.
        """
        cancel.check()
        self._size += len(raw)
        self._values += raw.count(b",") + raw.count(b"[") + raw.count(b"{")
        if self._size > MAX_ALL_DOCUMENTS_SIZE:
            msg = f"its documents have more than {MAX_ALL_DOCUMENTS_SIZE} bytes"
            raise UnknownError(msg)
        if self._values > MAX_ALL_VALUES:
            msg = f"its documents have more than {MAX_ALL_VALUES} values"
            raise UnknownError(msg)
        return raw

    def _read_document(self, name: str) -> tuple[Any, str]:
        try:
            return strict.parse(self._take(self.tree.read(name)), where=self.path, member=name), ""
        except ImgconvError as error:
            return None, error.message

    def _read_settings(self, blob: Blob, name: str) -> tuple[Settings | None, str]:
        try:
            return self.parse_settings(_content(blob), name)
        except ImgconvError as error:
            return None, error.message

    def parse_settings(self, raw: bytes, name: str) -> tuple[Settings | None, str]:
        """Return a config of these bytes and "", or None and what is wrong with it."""
        try:
            value = strict.parse(self._take(raw), where=self.path, member=name)
        except ImgconvError as error:
            return None, error.message
        return (Settings(raw, value), "") if isinstance(value, dict) else (None, "it is not a JSON object")

    def _item(self, value: Any) -> Item:
        cancel.check()
        name = values.text(value, "Config")
        blob = self._file(name)
        config, fault = (None, "it is not in the archive") if blob is None else self.settings(blob, name)
        paths = values.texts(value, "Layers")
        _check_layers(paths)
        layers = tuple((path, self._file(path)) for path in paths)
        tags = tuple(values.texts(value, "RepoTags"))
        return Item(name, config, fault, layers, tags, value if _is_object(value) else {})

    def _file(self, name: str) -> Blob | None:
        return self.find(name) if name else None

    def _children(self, value: Any, depth: int) -> tuple[Node, ...]:
        found = [self._node(each, depth) for each in values.listed(value, "manifests")]
        nodes = tuple(each for each in found if each is not None)
        if len(nodes) + sum(each.paths for each in nodes) > MAX_LISTED:
            msg = f"its indexes list more than {MAX_LISTED} manifests and layers, counted once for each path"
            raise UnknownError(msg)
        return nodes

    def _node(self, value: Any, depth: int) -> Node | None:
        part = self._part(value)
        if part is None:
            return None
        # Annotations and platform belong to the descriptor, the rest to what it names.
        core = self._core(part, depth)
        return replace(core, part=part, platform=values.platform(value), annotations=values.annotation_texts(value))

    def _core(self, part: Part, depth: int) -> Node:
        # Skopeo does not compare the digests of what index.json lists: only there is more read of such a document.
        key = (part.media_type, part.digest, depth == 1)
        if key in self._nodes:
            return self._nodes[key]
        if depth > MAX_INDEX_DEPTH or len(self._nodes) > MAX_NODES:
            msg = "its indexes are nested too deeply or list too much"
            raise UnknownError(msg)
        node = self._nodes[key] = Node(part)
        if part.blob is None:
            node.fault = "it is not in the archive"
        elif node.is_index or node.is_manifest:
            self._read_node(node, part.blob, depth)
        return node

    def _read_node(self, node: Node, blob: Blob, depth: int) -> None:
        try:
            raw = _content(blob)
            node.was_read = True
            node.intact = digest_of(raw, node.part.digest.algorithm) == node.part.digest
            if not node.intact and depth > 1:
                node.fault = "it is not what its digest identifies"
                return
            value = strict.parse(self._take(raw), where=self.path, member=blob.where)
        except ImgconvError as error:
            node.fault = error.message
            return
        if not _is_object(value):
            node.fault = "it is not a JSON object"
            return
        node.keys = _kinds(value)
        if node.is_index:
            node.children = self._children(value, depth + 1)
            node.paths = len(node.children) + sum(child.paths for child in node.children)
        else:
            self._take_parts(node, value)

    def _take_parts(self, node: Node, value: Any) -> None:
        """Note the config and the layers that a manifest names."""
        node.config = self._part(values.get(value, "config"))
        layers = values.listed(value, "layers")
        _check_layers(layers)
        parts = [self._part(each) for each in layers]
        node.layers = tuple(each for each in parts if each is not None)
        node.paths = len(node.layers)

    def _find_blob(self, media_type: str, digest: Digest) -> Blob | None:
        """Return the bytes that a digest identifies."""
        del media_type
        return self.find(f"blobs/{digest.algorithm}/{digest.hex}")

    def _part(self, value: Any) -> Part | None:
        """Return what a descriptor names; None where there is none."""
        if value is None:
            return None
        if not _is_object(value):
            msg = "a descriptor is not an object"
            raise UnknownError(msg)
        try:
            digest = Digest.parse(values.text(value, "digest"))
        except FormatError as error:
            raise UnknownError(error.message) from None
        return Part(
            values.text(value, "mediaType"),
            digest,
            values.size(value),
            self._find_blob(values.text(value, "mediaType"), digest),
            tuple(values.texts(value, "urls")),
            values.data(value),
        )


class _DirContents(Contents):
    """A `dir:` folder of skopeo or podman (containers/image directory/directory_src.go)."""

    @cached_property
    def _tops(self) -> tuple[Node, ...] | UnknownError:
        if not self.tree.is_folder or (blob := self.find(dir_names.MANIFEST)) is None:
            return ()
        value, _ = self.document(dir_names.MANIFEST)
        if not _is_object(value):
            return ()
        try:
            raw = self.tree.read(dir_names.MANIFEST)
            return (self._core(Part(_guessed_type(value), Digest.of(raw), len(raw), blob), 1),)
        except UnknownError as error:
            return error
        except ImgconvError as error:
            return UnknownError(error.message)

    def _find_blob(self, media_type: str, digest: Digest) -> Blob | None:
        if media_type in mediatype.MANIFESTS | mediatype.INDEXES:
            return self.find(dir_names.child_file(digest))
        return self.find(dir_names.blob_file(digest))


def _guessed_type(value: Any) -> str:
    """Return the media type of a document that no descriptor describes (manifest/manifest.go, `GuessMIMEType`)."""
    own = values.text(value, "mediaType")
    if own in mediatype.MANIFESTS | mediatype.INDEXES:
        return own
    if values.get(value, "schemaVersion") != _SCHEMA_2:
        return ""
    config = values.get(value, "config")
    config_type = values.text(config, "mediaType") if _is_object(config) else ""
    if config_type == mediatype.DOCKER_CONFIG:
        return mediatype.DOCKER_MANIFEST
    return mediatype.OCI_INDEX if not config_type and values.get(value, "manifests") else mediatype.OCI_MANIFEST


def _known(found: tuple[_T, ...] | UnknownError) -> tuple[_T, ...]:
    if isinstance(found, UnknownError):
        raise UnknownError(*found.args)
    return found


def _kinds(value: Any) -> dict[str, bool]:
    return {key: value[key] is not None for key in _KINDS if key in value}


def _check_layers(layers: Sized) -> None:
    if len(layers) > MAX_LAYERS:
        msg = f"an image has more than {MAX_LAYERS} layers"
        raise UnknownError(msg)


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
