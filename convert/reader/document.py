"""Read the JSON documents of a source, within the limits on all of them together."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convert.errors import DigestMismatchError, InputError, UnsafeInputError
from convert.jsonio import strict
from convert.limits import (
    MAX_ALL_DOCUMENTS_SIZE,
    MAX_ALL_IMAGES,
    MAX_ALL_NAMES,
    MAX_ALL_VALUES,
)
from convert.model.config import Config
from convert.model.digest import Digest
from convert.model.image import Layer
from convert.reader.fields import Document, Fields
from convert.reader.layer_count import LayerCount
from convert.reader.shared_documents import SharedDocuments
from convert.reader.sink import Fault, Part, Sink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.archive.tree import Tree
    from convert.diagnostics import Diagnostic
    from convert.errors import ImgconvError


@dataclass(slots=True)
class Reading:
    """One source being read: its documents, and the limits on all of them together.

    `sink` takes warnings and faults, and decides whether the first fault ends the reading. Readings of one
    source and `file` can share its documents.
    """

    tree: Tree
    file: str
    sink: Sink = field(default_factory=Sink)
    documents: SharedDocuments = field(default_factory=SharedDocuments)
    #: Image IDs in the order of `manifest.json`, None where one could not be read.
    listed: list[Digest | None] = field(default_factory=list)
    _part: Part | None = None
    _size: int = 0
    _values: int = 0
    _layers: LayerCount = field(init=False)
    _images: int = 0
    _names: int = 0
    _configs: dict[Digest, Config] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Count nothing yet."""
        self._layers = LayerCount(self.file)

    def warn(self, warning: Diagnostic) -> None:
        """Report something that is accepted with a warning."""
        self.sink.warn(warning)

    @contextlib.contextmanager
    def part(self, part: Part | None) -> Iterator[None]:
        """Attribute the faults inside to one part of the source, None for all of it; those raised inside too.

        Raises:
            InputError: faults are not collected, and there is one.
        """
        outer, self._part = self._part, part
        try:
            yield
        except InputError as error:
            self.fault(error)
        finally:
            self._part = outer

    def fault(self, error: ImgconvError) -> None:
        """Report a fault; the caller continues with what is left where this returns.

        The error is an `InputError`, or names what one tool cannot read.
        """
        if error.file is None:
            error.file = self.file
        self.sink.report(Fault(error, self._part))

    def absent(self, error: ImgconvError) -> None:
        """Report a layer that a document names and that is not in the source."""
        if error.file is None:
            error.file = self.file
        if error.hint is None:
            from convert.reader.needs import named_bases  # noqa: PLC0415 - only for the error

            names = named_bases(self.tree)
            error.hint = (
                f"this thin archive needs it from {', '.join(names)}; give it with --with"
                if names
                else "if this is a thin archive, give the archive that holds it with --with"
            )
        self.sink.report_absent(Fault(error, self._part))

    def read(self, member: str) -> bytes:
        """Return a document's bytes.

        Raises:
            FormatError: no such member.
            UnsafeInputError: larger than a document may be, a bad link, or more
                documents than a source may have.
        """
        self.check_size()
        raw = self.documents.read(self.tree, member)
        self._size += len(raw)
        return raw

    def check_size(self) -> None:
        """Check that the documents read so far are not too large together.

        Raises:
            UnsafeInputError: they are.
        """
        if self._size > MAX_ALL_DOCUMENTS_SIZE:
            raise UnsafeInputError(
                f"its documents have more than {MAX_ALL_DOCUMENTS_SIZE} bytes",
                code="documents-too-large",
                file=self.file,
            )

    def read_named(self, member: str, digest: Digest, size: int) -> bytes:
        """Return a document's bytes, verified against the descriptor that names it.

        Raises:
            DigestMismatchError: its size or digest is another.
        """
        raw = self.read(member)
        self.verify(raw, digest, size, member)
        return raw

    def verify(self, raw: bytes, digest: Digest, size: int | None, member: str) -> None:
        """Verify the bytes of a member against the digest and size that name them.

        Raises:
            DigestMismatchError: one of them is another.
        """
        if not self.documents.is_verified(raw, digest, size, member):
            check(raw, digest, size, file=self.file, member=member)
            self.documents.note_verified(raw, digest, size, member)

    def parse(self, raw: bytes, member: str) -> Any:
        """Return the JSON value of a document, strictly read."""
        self.count_values(b"")
        value = strict.parse(raw, where=self.file, member=member)
        self.count_values(raw)
        return value

    def parse_shared(self, raw: bytes, member: str) -> Any:
        """Return the JSON value of a document as `parse` does; it is kept for all readings of the source."""
        self.count_values(b"")
        value = self.documents.value(raw, member, lambda: strict.parse(raw, where=self.file, member=member))
        self.count_values(raw)
        return value

    def count_values(self, raw: bytes) -> None:
        """Count the values of a document.

        Raises:
            UnsafeInputError: more than a source may have.
        """
        self._values += raw.count(b",") + raw.count(b"[") + raw.count(b"{")
        if self._values > MAX_ALL_VALUES:
            raise UnsafeInputError(
                f"its documents have more than {MAX_ALL_VALUES} values", code="json-too-many-values", file=self.file
            )

    def config(self, raw: bytes, member: str) -> Config:
        """Return the view of a config; the same bytes give the same one.

        Raises:
            FormatError, UnsafeInputError: as `Config.parse`.
        """
        known = self.documents.find_config(raw, member)
        digest = known.digest if known is not None else Digest.of(raw)
        cached = self._configs.get(digest)
        if cached is not None:
            return cached
        self.count_values(b"")
        config = known or Config.parse(raw, where=self.file, member=member)
        self.count_values(raw)
        self._configs[digest] = config
        self.documents.add_config(config, member)
        return config

    def count_image(self, layers: Sequence[str | Digest], diff_ids: Sequence[Digest] = ()) -> None:
        """Count an image that is about to be read, with what names its layers, and their DiffIDs if they are known.

        Raises:
            UnsafeInputError: more than a source may have.
        """
        self._images += 1
        if self._images > MAX_ALL_IMAGES:
            raise UnsafeInputError(f"it has more than {MAX_ALL_IMAGES} images", code="too-many-images", file=self.file)
        self._layers.add(layers, diff_ids)

    def count_anew(self) -> None:
        """Count images, layers and names from none on: what is read next lists again what was read before."""
        self._images = self._names = 0
        self._layers = LayerCount(self.file)

    def count_names(self, count: int) -> None:
        """Take note of names that images have.

        Raises:
            UnsafeInputError: more than a source may have.
        """
        self._names += count
        if self._names > MAX_ALL_NAMES:
            raise UnsafeInputError(
                f"its images have more than {MAX_ALL_NAMES} names together", code="too-many-names", file=self.file
            )

    def fields(self, raw: bytes, member: str, schema: str) -> Fields:
        """Return the typed view of a document that must be an object."""
        value = self.parse(raw, member)
        return Fields(value, self.document(member, value, schema))

    def document(self, member: str, value: Any, schema: str) -> Document:
        """Return a parsed document, for errors about places inside it."""
        return Document(self.file, member, value, schema, self.sink.warnings)


def absent_layers(diff_ids: Sequence[Digest]) -> tuple[Layer, ...]:
    """Return layers of which only the DiffIDs are known."""
    return tuple(Layer(diff_id, None) for diff_id in diff_ids)


def check(raw: bytes, digest: Digest, size: int | None, *, file: str, member: str) -> None:
    """Verify bytes against the digest and size that name them.

    Raises:
        DigestMismatchError: one of them is another.
    """
    if size is not None and len(raw) != size:
        raise DigestMismatchError(
            f"holds {len(raw)} bytes, its descriptor gives {size}",
            code="size-mismatch",
            wanted=str(size),
            got=str(len(raw)),
            size=len(raw),
            file=file,
            member=member,
        )
    got = digest_of(raw, digest.algorithm)
    if got != digest:
        raise DigestMismatchError(
            f"content is {got}, expected {digest}",
            code="document-digest-mismatch",
            wanted=str(digest),
            got=str(got),
            size=len(raw),
            file=file,
            member=member,
        )


def digest_of(raw: bytes, algorithm: str) -> Digest:
    """Return the digest of `raw` under a supported algorithm."""
    import hashlib  # noqa: PLC0415 - sha512 is rare, Digest.of covers the rest

    return Digest(algorithm, hashlib.new(algorithm, raw).hexdigest())
