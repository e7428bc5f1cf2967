"""Go structs as tables: how a Go program decodes a JSON object and encodes it again.

Docker decodes a config into structs, encodes them and hashes the result. Unknown keys disappear,
missing keys get zero values, and keys are in the order of declaration (encoding/json;
docs/formats.md#json-as-go-writes-it).

A reader takes a JSON value (None for null and for a missing key) and its place in the document,
for messages. It returns the value to pass to `go_encode.dumps`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final, NamedTuple

from convert.errors import FormatError
from convert.jsonio.go_values import array, misfit
from convert.jsonio.strict import Keys, fold

Reader = Callable[[Any, str], Any]


class Omit(Enum):
    """When a field is omitted: Go's `omitempty` on a value, and on a pointer."""

    NEVER = "never"
    EMPTY = "empty"
    NIL = "nil"


class Field(NamedTuple):
    """One field: its JSON name, how its value is read, and when it is omitted."""

    name: str
    read: Reader
    omit: Omit = Omit.NEVER


@dataclass(frozen=True, slots=True, eq=False)
class Struct:
    """A Go struct type: its fields in the order of their declaration."""

    fields: tuple[Field, ...]

    def read(self, value: Any, at: str) -> dict[str, Any]:
        """Return the fields as Go encodes them after decoding `value`.

        Keys are matched in any letter case. `at` is the place in the document, "" for its top.

        Raises:
            FormatError: a value does not fit its field; Go refuses it too.
        """
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise misfit(at, "an object", value)
        given = Keys(value).by_folded_key()
        result: dict[str, Any] = {}
        for name, reader, omit, key, zero in _decoding(self):
            item = given.get(key)
            if item is not None or zero is _NEW:
                read = reader(item, f"{at}.{name}" if at else name)
                if not _is_omitted(omit, read):
                    result[name] = read
            elif zero is not _OMITTED:
                result[name] = zero
        return result

    def check(self, value: Any, at: str) -> None:
        """Check the types of an object that is not encoded again.

        Two keys with the same meaning are accepted: Go decodes each of them.

        Raises:
            FormatError: as `read`.
        """
        if value is None:
            return
        if not isinstance(value, Mapping):
            raise misfit(at, "an object", value)
        readers = _readers(self)
        for key, item in value.items():
            read = readers.get(fold(key))
            if read is not None:
                read(item, f"{at}.{key}" if at else key)

    def pointer(self, value: Any, at: str) -> dict[str, Any] | None:
        """Read a pointer to the struct; null gives nil."""
        return None if value is None else self.read(value, at)


#: The zero value of a field for which its reader returns a new value, or an error, each time.
_NEW: Final = object()
#: That of a field that is omitted then.
_OMITTED: Final = object()


@cache
def _decoding(struct: Struct) -> tuple[tuple[str, Reader, Omit, str, Any], ...]:
    """Return the parts of each field, its folded name, and its zero value: most fields of most objects are missing."""
    return tuple((*field, fold(field.name), _zero(field)) for field in struct.fields)


@cache
def _readers(struct: Struct) -> dict[str, Reader]:
    """Return the reader of each field by its folded name."""
    return {fold(field.name): field.read for field in struct.fields}


def _is_omitted(omit: Omit, read: Any) -> bool:
    if omit is Omit.NEVER:
        return False
    return not read if omit is Omit.EMPTY else read is None


def _zero(field: Field) -> Any:
    try:
        zero = field.read(None, field.name)
    except FormatError:
        return _NEW
    if _is_omitted(field.omit, zero):
        return _OMITTED
    return zero if zero is None or isinstance(zero, (str, int)) else _NEW


def structs(struct: Struct) -> Reader:
    """Return the reader of a slice of structs."""

    def read(value: Any, at: str) -> list[dict[str, Any]]:
        return [struct.read(item, f"{at}[{index}]") for index, item in enumerate(array(value, at))]

    return read
