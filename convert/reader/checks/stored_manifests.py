"""The manifests and configs of a registry's storage, each read and checked once."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from convert.archive.registry_manifest import read_head
from convert.errors import FormatError, InputError, StorageError, UnsafeInputError
from convert.limits import CHUNK, MAX_DOCUMENT_SIZE, MAX_INDEX_DEPTH, MAX_STORED_PARTS
from convert.model import mediatype
from convert.model.digest import Digest
from convert.reader.checks.claims import Claims
from convert.reader.checks.config import read_config
from convert.reader.checks.descriptors import Descriptors, check_empty_json, check_zstd
from convert.reader.checks.documents import Checked
from convert.reader.checks.manifest import belongs_to_no_image, check_family, check_kind, check_platform, view_of
from convert.reader.document import digest_of
from convert.reader.layout_blobs import blob_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.archive.registry_tree import RegistryTree
    from convert.codec.compression import Compression
    from convert.model.platform import Platform
    from convert.reader.checks.descriptors import Described
    from convert.reader.checks.documents import View
    from convert.reader.checks.stored_blobs import StoredBlobs
    from convert.reader.findings import Findings

_NONE: Final = -1
#: Keys of documents of other types under which there may be descriptors.
_SHAPE: Final = ("config", "layers", "blobs", "manifests", "fsLayers")


@dataclass(slots=True, eq=False)
class StoredManifest:
    """One manifest or index, by the numbers of the blobs that it names.

    `parts` are its config and layers, `children` the manifests of an index; `subject` is -1 without
    one. `platform` is that of the config of an image. `height` is how many documents are below each
    other, itself included, as far as that is known.
    """

    number: int
    media_type: str
    parts: array[int] = field(default_factory=lambda: array("I"))
    children: array[int] = field(default_factory=lambda: array("I"))
    subject: int = _NONE
    platform: Platform | None = None
    height: int = 1

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests."""
        return self.media_type in mediatype.INDEXES


@dataclass(frozen=True, slots=True)
class _ConfigFacts:
    diff_ids: int
    platform: Platform


class StoredManifests:
    """Reads each manifest and config of a storage once, and reports what is wrong with it."""

    def __init__(
        self, tree: RegistryTree, blobs: StoredBlobs, findings: Findings, count: Callable[[int], None]
    ) -> None:
        """Nothing is read yet; `count` is called with the number of bytes read."""
        self._tree = tree.base
        self._blobs = blobs
        self._findings = findings
        self._count = count
        self._parts = 0
        self._configs: dict[int, _ConfigFacts | None] = {}
        # One object for each set: most layers have the same.
        self._stated: dict[frozenset[Compression], frozenset[Compression]] = {}
        #: What was read, by number; None for what is absent or damaged.
        self.read: dict[int, StoredManifest | None] = {}

    def manifest(self, digest: Digest, depth: int = 1) -> StoredManifest | None:
        """Return a manifest or index; None if it is absent, which the caller reports, or damaged."""
        number = self._blobs.number(digest)
        if number not in self.read:
            self.read[number] = None
            self.read[number] = self._read(number, digest, depth)
        return self.read[number]

    def _document(self, number: int, digest: Digest) -> bytes | None:
        """Return the verified bytes of a document; None if it is absent, or damaged, which is reported."""
        member = blob_name(digest)
        size = self._blobs.size(number) if self._blobs.exists(number) else None
        if size is None:
            return None
        if size > MAX_DOCUMENT_SIZE:
            self._findings.add(
                "unsafe", f"a document of more than {MAX_DOCUMENT_SIZE} bytes is not read", member=member
            )
            return None
        try:
            with self._blobs.blob(number).open() as stream:
                raw = b"".join(iter(lambda: stream.read(CHUNK), b""))
        except (InputError, StorageError) as error:
            if error.code == "not-found":
                self._blobs.vanished(number)
                return None
            self._findings.add("damaged", error.message, member=member)
            self._blobs.close(number)
            return None
        self._blobs.close(number)
        self._count(len(raw))
        if (got := digest_of(raw, digest.algorithm)) != digest:
            self._findings.add("digest", f"content is {got}, not {digest} as its name states", member=member)
            return None
        return raw

    def _read(self, number: int, digest: Digest, depth: int) -> StoredManifest | None:
        raw = self._document(number, digest)
        if raw is None:
            return None
        member = blob_name(digest)
        checked = Checked(self._tree, self._findings)
        value = checked.parse(raw, member)
        if not isinstance(value, dict):
            if not self._findings.blames(member):
                self._findings.add("schema", "expected a JSON object", member=member)
            return None
        found = StoredManifest(number, read_head(value).media_type)
        if found.is_index:
            self._read_index(found, checked, raw, member, depth)
        elif found.media_type in mediatype.MANIFESTS:
            self._read_image(found, checked, raw, member)
        else:
            self._read_shape(found, value)
        return found

    def _view(self, found: StoredManifest, checked: Checked, raw: bytes, member: str) -> View | None:
        kind = mediatype.INDEXES if found.is_index else mediatype.MANIFESTS
        view = view_of(checked, raw, member, found.media_type, kind)
        if view is None:
            return None
        check_kind(checked, view, found.media_type)
        subject = view.object("subject")
        described = Descriptors(checked, Claims(checked)).read(subject) if subject is not None else None
        if described is not None:
            found.subject = self._blobs.number(described.digest)
            if self._blobs.exists(found.subject):
                self._check_size(found.subject, described)
        return view

    def _read_index(self, found: StoredManifest, checked: Checked, raw: bytes, member: str, depth: int) -> None:
        view = self._view(found, checked, raw, member)
        if view is None:
            return
        descriptors = Descriptors(checked, Claims(checked))
        for child in view.objects("manifests"):
            described = descriptors.read(child)
            if described is None:
                continue
            number = self._add(found.children, described)
            # An index below many others is read by itself, where its repository lists it.
            below = self.manifest(described.digest, depth + 1) if depth < MAX_INDEX_DEPTH else self.read.get(number)
            found.height = max(found.height, 1 + (below.height if below is not None else 1))
            if below is None:
                continue
            if below.media_type != described.media_type:
                same = (mediatype.INDEXES, mediatype.MANIFESTS)
                is_family = any({below.media_type, described.media_type} <= kind for kind in same)
                message = f"is {below.media_type}, {described.named_by} as {described.media_type}"
                rule = "docker-type" if is_family else "media-type"
                self._findings.add(rule, message, member=described.member)
            if below.platform is not None:
                check_platform(checked, child, below.platform)

        if found.height > MAX_INDEX_DEPTH:
            message = f"is nested deeper than {MAX_INDEX_DEPTH} indexes"
            self._findings.add("unreadable", message, member=member)

    def _read_image(self, found: StoredManifest, checked: Checked, raw: bytes, member: str) -> None:
        view = self._view(found, checked, raw, member)
        config_view = view.object("config") if view is not None else None
        if view is None or config_view is None:
            return
        check_family(checked, view)
        descriptors = Descriptors(checked, Claims(checked))
        layers = [descriptors.read(layer) for layer in view.objects("layers")]
        check_zstd(checked, view, found.media_type, layers)
        config = descriptors.read(config_view)
        for part in (config, *layers):
            if part is not None:
                check_empty_json(checked, part)
                self._part(found, part)
        if config is None or config.media_type not in mediatype.IMAGE_CONFIGS:
            return
        if all(layer is None or mediatype.is_layer(layer.media_type) for layer in layers):
            facts = self._config(config, needs_diff_ids=bool(layers), artifact=bool(view.text("artifactType")))
            if facts is None:
                return
            found.platform = facts.platform
            if facts.diff_ids != len(layers):
                message = f"{len(layers)} layers here, {facts.diff_ids} DiffIDs in {config.member}"
                self._findings.add("layer-count", message, member=member, place="layers")

    def _config(self, described: Described, *, needs_diff_ids: bool, artifact: bool) -> _ConfigFacts | None:
        number = self._blobs.number(described.digest)
        if number not in self._configs:
            self._configs[number] = None
            raw = self._document(number, described.digest)
            if raw is not None:
                checked = Checked(self._tree, self._findings)
                if not (needs_diff_ids and belongs_to_no_image(checked, raw, described.member, artifact=artifact)):
                    config = read_config(checked, raw, described.member, described.media_type)
                    if config is not None:
                        self._configs[number] = _ConfigFacts(len(config.diff_ids), config.platform)
        return self._configs[number]

    def _part(self, found: StoredManifest, described: Described) -> None:
        """Take a config or layer; one that may be elsewhere, and is, is a note."""
        number = self._blobs.number(described.digest)
        urls = described.view.strings("urls") or ()
        if not self._blobs.exists(number) and mediatype.may_be_absent(described.media_type, urls):
            message = f"is not in the source, it lives at {urls[0]}" if urls else "is not in the source"
            self._findings.add("absent-layer", message, member=described.member)
            return
        self._add(found.parts, described)
        compression = mediatype.layer_compression(described.media_type)
        if compression is not None:
            stated = self._blobs.stated.get(number, frozenset())
            if compression not in stated:
                both = stated | {compression}
                self._blobs.stated[number] = self._stated.setdefault(both, both)

    def _add(self, numbers: array[int], described: Described) -> int:
        """Add what a descriptor names, compare its size, and return its number."""
        number = self._blobs.number(described.digest)
        self._append(numbers, number)
        if self._blobs.exists(number):
            self._check_size(number, described)
        return number

    def _append(self, numbers: array[int], number: int) -> None:
        self._parts += 1
        if self._parts > MAX_STORED_PARTS:
            raise UnsafeInputError(
                f"the manifests of the storage name more than {MAX_STORED_PARTS} blobs", code="too-many-layers"
            )
        numbers.append(number)
        self._blobs.mark_named(number)

    def _check_size(self, number: int, described: Described) -> None:
        size = self._blobs.size(number)
        if described.size is not None and size is not None and size != described.size:
            where = f"{described.view.member} at {described.view.path}"
            message = f"holds {size} bytes, {where} states {described.size}"
            self._findings.add("size", message, member=described.member)

    def _read_shape(self, found: StoredManifest, value: dict[str, Any]) -> None:
        """Take what a document of another type names, so that it is not called unreferenced."""
        for key in _SHAPE:
            listed = value.get(key)
            for item in listed if isinstance(listed, list) else [listed]:
                text = (item.get("digest") or item.get("blobSum")) if isinstance(item, dict) else None
                try:
                    number = self._blobs.number(Digest.parse(text)) if isinstance(text, str) else _NONE
                except FormatError:
                    continue
                if number != _NONE and self._blobs.exists(number):
                    self._append(found.children if key == "manifests" else found.parts, number)
