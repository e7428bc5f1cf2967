"""JSON values as a Go program decodes them into its types, one function a type.

A reader takes a JSON value (None for null and for a missing key) and its place in the document, for
messages. It returns the value to pass to `go_encode.dumps`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from convert.errors import FormatError

#: The range of Go's int64.
INT64 = range(-(1 << 63), 1 << 63)
_KINDS = {bool: "a boolean", str: "a string", int: "a number", float: "a number", list: "an array", dict: "an object"}


def string(value: Any, at: str) -> str:
    """Read a string."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise misfit(at, "a string", value)
    return value


def boolean(value: Any, at: str) -> bool:
    """Read a bool."""
    if value is None:
        return False
    if not isinstance(value, bool):
        raise misfit(at, "true or false", value)
    return value


def integer(value: Any, at: str) -> int:
    """Read an int or int64. Go refuses fractions and exponents, even 1.0."""
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value not in INT64:
        raise misfit(at, "a 64-bit integer", value)
    return value


def integer_pointer(value: Any, at: str) -> int | None:
    """Read a pointer to an int: a given 0 is kept."""
    return None if value is None else integer(value, at)


def array(value: Any, at: str) -> list[Any]:
    """Read a slice; null is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise misfit(at, "an array", value)
    return value


def strings(value: Any, at: str) -> list[str] | None:
    """Read a slice of strings: null stays null, an empty one stays empty."""
    if value is None:
        return None
    if not isinstance(value, list):
        raise misfit(at, "an array of strings", value)
    if all(isinstance(item, str) for item in value):
        return list(value)
    return [string(item, f"{at}[{index}]") for index, item in enumerate(value)]


def string_or_strings(value: Any, at: str) -> list[str] | None:
    """Read Docker's strslice.StrSlice: one string stands for an array of it."""
    return [value] if isinstance(value, str) else strings(value, at)


def string_map(value: Any, at: str) -> dict[str, str] | None:
    """Read a map of strings; the result is sorted."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise misfit(at, "an object of strings", value)
    from convert.jsonio.go_encode import sorted_map  # noqa: PLC0415 - start-up time

    return sorted_map({key: string(item, f"{at}[{key!r}]") for key, item in value.items()})


def mapping(value: Any, at: str) -> Mapping[str, Any]:
    """Read an object whose keys are data; null gives an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise misfit(at, "an object", value)
    return value


def byte_slice(value: Any, at: str) -> bytes:
    """Read a slice of bytes: base64 with padding, or an array of numbers; null gives an empty one."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            if integer(item, f"{at}[{index}]") not in range(256):
                raise misfit(f"{at}[{index}]", "a number from 0 to 255", item)
        return bytes(item or 0 for item in value)
    text = string(value, at)
    try:
        return decode_base64(text)
    except ValueError:
        raise misfit(at, "base64", value) from None


def decode_base64(text: str) -> bytes:
    """Decode base64 as Go does: padding is required, line ends are ignored (`base64.StdEncoding`).

    Raises:
        ValueError: not base64.
    """
    text = text.replace("\r", "").replace("\n", "")
    if len(text) % 4:
        raise ValueError("the number of characters is not a multiple of 4")
    # Without `validate`, Python ignores other characters; with it, it accepts "AAAA==".
    if text.endswith("==") and len(text.rstrip("=")) % 4 != 2:
        raise ValueError("too much padding")
    return base64.b64decode(text, validate=True)


def string_set(value: Any, at: str) -> dict[str, dict[str, Any]] | None:
    """Read a map to empty structs; the contents of the objects are dropped."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise misfit(at, "an object of empty objects", value)
    for key, item in value.items():
        if item is not None and not isinstance(item, Mapping):
            raise misfit(f"{at}[{key!r}]", "an empty object", item)
    return {key: {} for key in sorted(value)}


def time(value: Any, at: str) -> str:
    """Read a time.Time; null gives the year 1."""
    if value is not None:
        return _time(value, at)
    from convert.jsonio.go_time import ZERO  # noqa: PLC0415 - start-up time

    return ZERO


def time_pointer(value: Any, at: str) -> str | None:
    """Read a pointer to a time.Time; null gives nil."""
    return None if value is None else _time(value, at)


def _time(value: Any, at: str) -> str:
    text = string(value, at)
    from convert.jsonio.go_time import Time  # noqa: PLC0415 - start-up time

    try:
        return Time.parse(text).text
    except FormatError as error:
        msg = f"{at}: {error.message}"
        raise FormatError(msg, code=error.code) from None


def misfit(at: str, wanted: str, value: Any) -> FormatError:
    """Return the error for a value of the wrong type."""
    msg = f"{at or 'document'}: expected {wanted}, found {_KINDS.get(type(value), 'null')}"
    return FormatError(msg, code="wrong-json-type")
