"""Typed access to JSON objects, with keys looked up as Go does.

The exact spelling counts first, then any letter case, because every tool that loads
these archives is written in Go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Self

from convert.errors import FormatError
from convert.jsonio import strict
from convert.jsonio.go_values import INT64
from convert.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.diagnostics import Diagnostic


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document, as errors about a place inside it need it.

    `file` is the source and `member` the document's name in it. `warnings` takes the
    spellings of keys that only Go programs accept.
    """

    file: str
    member: str
    root: Any
    schema: str
    warnings: list[Diagnostic]
    _explained: list[str | None] = field(default_factory=list)

    def fail(self, path: str, expected: str) -> NoReturn:
        """Raise the clearest error there is about a place in this document.

        The schema's own finding is preferred, because it names the first wrong
        place of the document itself; `expected` is used where the schema finds nothing,
        and in every error after the first: the schema is applied once, however many
        places are wrong.
        """
        found = None
        if not self._explained:
            from convert.jsonio import schema  # noqa: PLC0415 - jsonschema is slow to import and only errors need it

            found = schema.explain(self.root, self.schema)
            self._explained.append(found)
        raise FormatError(found or f"{path or 'document'}: {expected}", file=self.file, member=self.member)


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
        # Created when the first field is read: the keys of a map are data and never fold.
        self._keys: strict.Keys | None = None

    @property
    def member(self) -> str:
        """The document's name in the source."""
        return self._document.member

    @property
    def path(self) -> str:
        """Where this object stands in its document, "" for the document itself."""
        return self._path

    @property
    def value(self) -> dict[str, Any]:
        """The JSON object itself, for keys that are data."""
        return self._value

    def place(self, key: str) -> str:
        """Return the path of a key inside its document, for messages."""
        return f"{self._path}.{key}" if self._path else key

    def _refuse(self, key: str, expected: str) -> None:
        """Refuse a value of the wrong type; the value reads as absent where this returns.

        Raises:
            FormatError: always, here.
        """
        self.fail(key, expected)

    def _below(self, value: Any, path: str) -> Self | None:
        """Return an object inside this one, None for another value that reads as absent.

        Raises:
            FormatError: it is not an object.
        """
        return type(self)(value, self._document, path)

    def get(self, key: str) -> Any:
        """Return the raw value of a key, None where absent or null.

        Raises:
            FormatError: two keys of the object mean the same.
        """
        return self._folded().get(key, self._document.warnings)

    def names(self, key: str) -> bool:
        """Return whether a key is there, with null too."""
        return key in self._folded()

    def _folded(self) -> strict.Keys:
        if self._keys is None:
            document = self._document
            self._keys = strict.Keys(self._value, where=document.file, member=document.member)
        return self._keys

    def has(self, key: str) -> bool:
        """Return whether a key is there with a value other than null."""
        return self.get(key) is not None

    def fail(self, key: str, expected: str) -> NoReturn:
        """Raise a FormatError about a key."""
        self._document.fail(self.place(key), expected)

    def text(self, key: str) -> str | None:
        """Return a string."""
        value = self.get(key)
        if value is None or isinstance(value, str):
            return value
        self._refuse(key, "expected a string")
        return None

    def required_text(self, key: str) -> str:
        """Return a string that must be there."""
        value = self.text(key)
        if value is None:
            self.fail(key, "is missing")
        return value

    def integer(self, key: str) -> int | None:
        """Return an int64, as Go reads one; neither `1.0` nor `true` is one."""
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            self._refuse(key, "expected a whole number")
            return None
        if value not in INT64:
            self._refuse(key, "expected a number of 64 bits")
        return value

    def array(self, key: str) -> list[Any] | None:
        """Return an array."""
        value = self.get(key)
        if value is None or isinstance(value, list):
            return value
        self._refuse(key, "expected an array")
        return None

    def strings(self, key: str) -> list[str] | None:
        """Return an array of strings."""
        value = self.array(key)
        if value is not None and not all(isinstance(item, str) for item in value):
            self._refuse(key, "expected an array of strings")
            return [item for item in value if isinstance(item, str)]
        return value

    def objects(self, key: str) -> Iterator[Self]:
        """Yield the objects of an array; nothing where it is absent."""
        for number, value in enumerate(self.array(key) or ()):
            found = self._below(value, f"{self.place(key)}[{number}]")
            if found is not None:
                yield found

    def object(self, key: str) -> Self | None:
        """Return an object."""
        value = self.get(key)
        return None if value is None else self._below(value, self.place(key))

    def string_map(self, key: str) -> dict[str, str]:
        """Return an object whose values are strings; empty where absent."""
        return self._string_map(key, self.get(key))

    def string_maps(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield every key, which is data here, and the object of strings under it."""
        for key, value in self._value.items():
            yield key, self._string_map(key, value)

    def all_objects(self) -> Iterator[tuple[str, Self]]:
        """Yield every key, which is data here, and the object under it; null is skipped."""
        for key, value in self._value.items():
            found = None if value is None else self._below(value, self.place(key))
            if found is not None:
                yield key, found

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
                f"{self.place(key)}: {error.message}",
                code=error.code,
                file=self._document.file,
                member=self._document.member,
            ) from None

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield the keys as they are spelled, and their raw values."""
        yield from self._value.items()
