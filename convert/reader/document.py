"""What every reader shares: the source, typed access to documents, and tolerance.

Readers look keys up as Go does (exact spelling first, then any letter case),
because every tool that loads these archives is written in Go.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from convert.diagnostics import Remarks
from convert.errors import DigestMismatchError, FormatError, ImgconvError, InputError, UnsafeInputError
from convert.jsonio import strict
from convert.jsonio.go_struct import INT64
from convert.limits import (
    MAX_ALL_DOCUMENTS_SIZE,
    MAX_ALL_IMAGES,
    MAX_ALL_LAYERS,
    MAX_ALL_NAMES,
    MAX_ALL_VALUES,
    MAX_PROBLEMS,
)
from convert.model.config import Config
from convert.model.digest import Digest
from convert.model.image import Layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.archive.tree import Tree
    from convert.model.image_set import Name


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a source that can be selected by itself.

    `digest` is that of the manifest or index, or the image ID of an element of
    `manifest.json`, None where only `names` identify it. `item` is true for such an
    element.
    """

    digest: Digest | None = None
    names: tuple[Name, ...] = ()
    item: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in a source, and the part that it affects; None if it affects everything."""

    error: ImgconvError
    part: Part | None = None


@dataclass(slots=True)
class Reading:
    """One source being read.

    `problems` is None where the first fault ends the reading; a list where as
    much as possible is wanted (`id`, `inspect`, `validate`) and faults are
    collected instead. Then a layer whose bytes are missing, or which nobody can
    tell from the others, has no blob; an entry whose manifest is damaged has no
    node; and a manifest whose config is damaged is an artifact.
    """

    tree: Tree
    file: str
    warnings: list[str] = field(default_factory=Remarks)
    problems: list[Fault] | None = None
    #: Image IDs in the order of `manifest.json`, None where one could not be read.
    listed: list[Digest | None] = field(default_factory=list)
    _part: Part | None = None
    _size: int = 0
    _values: int = 0
    _layers: int = 0
    _images: int = 0
    _names: int = 0
    _configs: dict[Digest, Config] = field(default_factory=dict)

    def warn(self, text: str) -> None:
        """Remember, once, something that was accepted with a remark."""
        self.warnings.append(text)

    @contextlib.contextmanager
    def part(self, part: Part | None) -> Iterator[None]:
        """Attribute the problems inside to one part of the source, None for all of it; those raised inside too.

        Raises:
            InputError: faults are not collected, and there is one.
        """
        outer, self._part = self._part, part
        try:
            yield
        except InputError as error:
            self.problem(error)
        finally:
            self._part = outer

    def problem(self, error: ImgconvError) -> None:
        """Raise `error`, or keep it where faults are collected.

        It is an `InputError`, or says what one tool cannot read.
        """
        if error.file is None:
            error.file = self.file
        if self.problems is None:
            raise error
        if len(self.problems) > MAX_PROBLEMS:
            raise UnsafeInputError(f"more than {MAX_PROBLEMS} faults; the rest was not looked at", file=self.file)
        # Its frames would hold the documents that were at fault: megabytes for each.
        # What is hostile is not excused because it was not selected.
        self.problems.append(Fault(_bare(error), None if isinstance(error, UnsafeInputError) else self._part))

    def read(self, member: str) -> bytes:
        """Return a document's bytes.

        Raises:
            FormatError: no such member.
            UnsafeInputError: larger than a document may be, a bad link, or more
                documents than a source may have.
        """
        if self._size > MAX_ALL_DOCUMENTS_SIZE:
            raise UnsafeInputError(f"its documents have more than {MAX_ALL_DOCUMENTS_SIZE} bytes", file=self.file)
        raw = self.tree.read(member)
        self._size += len(raw)
        return raw

    def read_named(self, member: str, digest: Digest, size: int) -> bytes:
        """Return a document's bytes, proved against the descriptor that names it.

        Raises:
            DigestMismatchError: its size or digest is another.
        """
        raw = self.read(member)
        check(raw, digest, size, file=self.file, member=member)
        return raw

    def parse(self, raw: bytes, member: str) -> Any:
        """Return the JSON value of a document, strictly read."""
        self._count_values(b"")
        value = strict.parse(raw, where=self.file, member=member)
        self._count_values(raw)
        return value

    def _count_values(self, raw: bytes) -> None:
        self._values += raw.count(b",") + raw.count(b"[") + raw.count(b"{")
        if self._values > MAX_ALL_VALUES:
            raise UnsafeInputError(f"its documents have more than {MAX_ALL_VALUES} values", file=self.file)

    def config(self, raw: bytes, member: str) -> Config:
        """Return the view of a config; the same bytes give the same one.

        Raises:
            FormatError, UnsafeInputError: as `Config.parse`.
        """
        digest = Digest.of(raw)
        known = self._configs.get(digest)
        if known is not None:
            return known
        self._count_values(b"")
        config = Config.parse(raw, where=self.file, member=member)
        self._count_values(raw)
        self._configs[digest] = config
        return config

    def count_layers(self, count: int) -> None:
        """Count an image that is about to be made, with this many layers.

        Raises:
            UnsafeInputError: more than a source may have.
        """
        self._images += 1
        if self._images > MAX_ALL_IMAGES:
            raise UnsafeInputError(f"it has more than {MAX_ALL_IMAGES} images", file=self.file)
        self._layers += count
        if self._layers > MAX_ALL_LAYERS:
            raise UnsafeInputError(f"its images have more than {MAX_ALL_LAYERS} layers together", file=self.file)

    def count_names(self, count: int) -> None:
        """Take note of names that images have.

        Raises:
            UnsafeInputError: more than a source may have.
        """
        self._names += count
        if self._names > MAX_ALL_NAMES:
            raise UnsafeInputError(f"its images have more than {MAX_ALL_NAMES} names together", file=self.file)

    def fields(self, raw: bytes, member: str, schema: str) -> Fields:
        """Return the typed view of a document that must be an object."""
        value = self.parse(raw, member)
        return Fields(value, Document(self, member, value, schema))


def _bare(error: ImgconvError) -> ImgconvError:
    """Return an error without what it came through."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def absent_layers(diff_ids: Sequence[Digest]) -> tuple[Layer, ...]:
    """Return layers of which the DiffIDs are known and nothing else."""
    return tuple(Layer(diff_id, None) for diff_id in diff_ids)


def check(raw: bytes, digest: Digest, size: int | None, *, file: str, member: str) -> None:
    """Prove bytes against the digest and size that name them.

    Raises:
        DigestMismatchError: one of them is another.
    """
    if size is not None and len(raw) != size:
        raise DigestMismatchError(
            f"holds {len(raw)} bytes, its descriptor says {size}",
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
            wanted=str(digest),
            got=str(got),
            size=len(raw),
            file=file,
            member=member,
        )


def digest_of(raw: bytes, algorithm: str) -> Digest:
    """Return the digest of `raw` under a known algorithm."""
    import hashlib  # noqa: PLC0415 - sha512 is rare, Digest.of covers the rest

    return Digest(algorithm, hashlib.new(algorithm, raw).hexdigest())


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document, as errors about a place inside it need it."""

    reading: Reading
    member: str
    root: Any
    schema: str
    _explained: list[str | None] = field(default_factory=list)

    def fail(self, path: str, expected: str) -> NoReturn:
        """Raise the clearest error there is about a place in this document.

        The schema's own finding is preferred, because it names the first wrong
        place of the whole document; `expected` speaks where the schema is content,
        and in every error after the first: the schema is applied once, however many
        places are wrong.
        """
        found = None
        if not self._explained:
            from convert.jsonio import schema  # noqa: PLC0415 - jsonschema is slow to import and only errors need it

            found = schema.explain(self.root, self.schema)
            self._explained.append(found)
        raise FormatError(found or f"{path or 'document'}: {expected}", file=self.reading.file, member=self.member)


class Fields:
    """Typed access to one JSON object; `null` reads as absent, as in Go."""

    __slots__ = ("_document", "_keys", "_path", "_value")

    def __init__(self, value: Any, document: Document, path: str = "") -> None:
        """Refuse anything but an object."""
        if not isinstance(value, dict):
            document.fail(path, "expected an object")
        self._value: dict[str, Any] = value
        self._document = document
        self._path = path
        # Made when the first field is read: the keys of a map are data and never fold.
        self._keys: strict.Keys | None = None

    def _at(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def place(self, key: str) -> str:
        """Return the path of a key inside its document, for messages."""
        return self._at(key)

    def get(self, key: str) -> Any:
        """Return the raw value of a key, None where absent or null.

        Raises:
            FormatError: two keys of the object mean the same.
        """
        return self._folded().get(key, self._document.reading.warnings)

    def names(self, key: str) -> bool:
        """Tell whether a key is there, with null too."""
        return key in self._folded()

    def _folded(self) -> strict.Keys:
        if self._keys is None:
            document = self._document
            self._keys = strict.Keys(self._value, where=document.reading.file, member=document.member)
        return self._keys

    def has(self, key: str) -> bool:
        """Tell whether a key is there with a value other than null."""
        return self.get(key) is not None

    def fail(self, key: str, expected: str) -> NoReturn:
        """Raise a FormatError about a key."""
        self._document.fail(self._at(key), expected)

    def text(self, key: str) -> str | None:
        """Return a string."""
        value = self.get(key)
        if value is not None and not isinstance(value, str):
            self.fail(key, "expected a string")
        return value

    def required_text(self, key: str) -> str:
        """Return a string that must be there."""
        value = self.text(key)
        if value is None:
            self.fail(key, "is missing")
        return value

    def integer(self, key: str) -> int | None:
        """Return an int64, as Go reads one; `1.0` and `true` are none."""
        value = self.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            self.fail(key, "expected a whole number")
        if value is not None and value not in INT64:
            self.fail(key, "expected a number of 64 bits")
        return value

    def array(self, key: str) -> list[Any] | None:
        """Return an array."""
        value = self.get(key)
        if value is not None and not isinstance(value, list):
            self.fail(key, "expected an array")
        return value

    def strings(self, key: str) -> list[str] | None:
        """Return an array of strings."""
        value = self.array(key)
        if value is not None and not all(isinstance(item, str) for item in value):
            self.fail(key, "expected an array of strings")
        return value

    def objects(self, key: str) -> Iterator[Fields]:
        """Yield the objects of an array; nothing where it is absent."""
        for number, value in enumerate(self.array(key) or ()):
            yield Fields(value, self._document, f"{self._at(key)}[{number}]")

    def object(self, key: str) -> Fields | None:
        """Return an object."""
        value = self.get(key)
        return None if value is None else Fields(value, self._document, self._at(key))

    def string_map(self, key: str) -> dict[str, str]:
        """Return an object whose values are strings; empty where absent."""
        return self._string_map(key, self.get(key))

    def string_maps(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield every key, which is data here, and the object of strings under it."""
        for key, value in self._value.items():
            yield key, self._string_map(key, value)

    def all_objects(self) -> Iterator[tuple[str, Fields]]:
        """Yield every key, which is data here, and the object under it; null is passed over."""
        for key, value in self._value.items():
            if value is not None:
                yield key, Fields(value, self._document, self._at(key))

    def _string_map(self, key: str, value: Any) -> dict[str, str]:
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            self.fail(key, "expected an object of strings")
        return value

    def digest(self, key: str) -> Digest:
        """Return a digest that must be there."""
        return self.as_digest(key, self.required_text(key))

    def as_digest(self, key: str, text: str) -> Digest:
        """Return a text that stands at `key`, or is that key, as a digest."""
        try:
            return Digest.parse(text)
        except FormatError as error:
            raise FormatError(
                f"{self._at(key)}: {error.message}",
                file=self._document.reading.file,
                member=self._document.member,
            ) from None

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield the keys as they are spelled, and their raw values."""
        yield from self._value.items()
