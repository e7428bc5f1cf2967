r"""Encode JSON byte for byte as Go's encoding/json does.

Docker, crane and skopeo hash JSON that Go encoded, so reproducing an ID requires Go's spelling:
compact, keys in struct order, and `<`, `>`, `&`, U+2028 and U+2029 escaped (encoding/json,
"encode.go"; docs/formats.md#json-as-go-writes-it).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, Final, TypeVar

from convert.errors import FormatError

_Value = TypeVar("_Value")

_ESCAPED: Final = "<>&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"
_ESCAPES: Final = {ord(char): f"\\u{ord(char):04x}" for char in _ESCAPED}
# A backslash always matches together with the next character, so that an escaped backslash before
# a "b" is not mistaken for a backspace.
_ESCAPE: Final = re.compile(r"\\.")
_OLD_ESCAPES: Final = {r"\b": r"\u0008", r"\f": r"\u000c"}
_STRING: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRING_OR_SPACE: Final = re.compile(rf"({_STRING})|[ \t\r\n]+")
_TOKEN: Final = re.compile(rf"{_STRING}|[\[\]{{}},:]|[^\[\]{{}},:\"]+")
_SPACE: Final = re.compile(r"[ \t\r\n]*+")
_decode: Final = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode


@dataclass(frozen=True, slots=True)
class RawJSON:
    """JSON that is passed on as it was written, as Go's json.RawMessage is.

    `dumps` removes white space outside strings and applies the escapes; numbers, key order and
    existing escapes stay. The bytes must come from a document that `convert.jsonio.strict.parse`
    accepted; they are not checked again.
    """

    raw: bytes


def dumps(value: object, *, escape_old: bool = False, indent: str = "") -> bytes:
    r"""Return the bytes of Go's `json.Marshal`: no newline at the end.

    Mappings keep their order, as the fields of a struct do; for a Go map pass `sorted_map(...)`.
    `escape_old` writes backspace and form feed as `\u0008` and `\u000c`, as Go up to 1.21 did.
    `indent` selects `json.MarshalIndent` with an empty prefix.

    Raises:
        TypeError: a value that JSON has no form for.
        ValueError: NaN, an infinity or a lone surrogate, which Go cannot encode.
    """
    parts: list[str] = []
    _append(parts, value, escape_old)
    # Outside strings there is nothing to escape.
    text = _escape_html("".join(parts))
    return (_indented(text, indent) if indent else text).encode()


def sorted_map(mapping: Mapping[str, _Value]) -> dict[str, _Value]:
    """Return a mapping in the order of a Go map: by the UTF-8 bytes of the keys.

    This is the same as the order of code points.
    """
    return dict(sorted(mapping.items()))


def members(raw: bytes) -> dict[str, RawJSON]:
    """Return the members of the top-level object, each value with its own bytes.

    The result is that of decoding into `map[string]json.RawMessage`: keys are unescaped, their
    letter case is kept. `convert.jsonio.strict.parse` must have accepted `raw`.

    Raises:
        FormatError: the document is not an object.
    """
    text = raw.decode()
    at = _skip_space(text, 0)
    if not text.startswith("{", at):
        msg = "expected a JSON object"
        raise FormatError(msg, code="wrong-json-type")
    found: dict[str, RawJSON] = {}
    at = _skip_space(text, at + 1)
    while text[at] != "}":
        key, at = _decode(text, at)
        start = _skip_space(text, _skip_space(text, at) + 1)
        _, end = _decode(text, start)
        found[key] = RawJSON(text[start:end].encode())
        at = _skip_space(text, end)
        if text[at] == ",":
            at = _skip_space(text, at + 1)
    return found


def _append(parts: list[str], value: object, escape_old: bool) -> None:
    # Nearly all values, and a pattern takes several times as long.
    if isinstance(value, str):
        parts.append(_string(value, escape_old))
        return
    match value:
        case None:
            parts.append("null")
        case True:
            parts.append("true")
        case False:
            parts.append("false")
        case dict():
            _append_members(parts, value, escape_old)
        case list() | tuple():
            _append_elements(parts, value, escape_old)
        case int():
            parts.append(str(value))
        case float():
            parts.append(_float(value))
        case RawJSON():
            parts.append(_compact(value.raw.decode()))
        case Mapping():
            _append_members(parts, value, escape_old)
        case Sequence():
            _append_elements(parts, value, escape_old)
        case _:
            msg = f"JSON has no form for {type(value).__name__}"
            raise TypeError(msg)


def _append_members(parts: list[str], members: Mapping[Any, object], escape_old: bool) -> None:
    opening = "{"
    for key, item in members.items():
        if not isinstance(key, str):
            msg = f"key {key!r} of a JSON object is not a string"
            raise TypeError(msg)
        parts.append(f"{opening}{_string(key, escape_old)}:")
        _append(parts, item, escape_old)
        opening = ","
    parts.append("}" if members else "{}")


def _append_elements(parts: list[str], elements: Sequence[object], escape_old: bool) -> None:
    opening = "["
    for item in elements:
        parts.append(opening)
        _append(parts, item, escape_old)
        opening = ","
    parts.append("]" if elements else "[]")


def _string(text: str, escape_old: bool) -> str:
    quoted = encode_basestring(text)
    if escape_old and "\\" in quoted:
        quoted = _ESCAPE.sub(lambda found: _OLD_ESCAPES.get(found[0], found[0]), quoted)
    return quoted


def _escape_html(text: str) -> str:
    # Looking for each character takes a tenth of the time of a pattern.
    if any(char in text for char in _ESCAPED):
        return text.translate(_ESCAPES)
    return text


def _float(value: float) -> str:
    """Return a float64 in Go's format, that of ES6 (encode.go, floatEncoder)."""
    if not math.isfinite(value):
        msg = f"JSON has no form for {value}"
        raise ValueError(msg)
    mantissa, _, exponent = repr(value).partition("e")
    sign, digits = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    whole, _, fraction = digits.partition(".")
    if fraction == "0":
        fraction = ""
    # The number is 0.<figures> times ten to the power `point`.
    figures = (whole + fraction).lstrip("0")
    if not figures:
        return sign + "0"
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(figures))
    figures = figures.rstrip("0")
    if not 1e-6 <= abs(value) < 1e21:
        tail = f".{figures[1:]}" if len(figures) > 1 else ""
        return f"{sign}{figures[0]}{tail}e{point - 1:+}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{figures}"
    if point >= len(figures):
        return sign + figures.ljust(point, "0")
    return f"{sign}{figures[:point]}.{figures[point:]}"


def _compact(text: str) -> str:
    return _STRING_OR_SPACE.sub(lambda found: found[1] or "", text)


def _indented(text: str, indent: str) -> str:
    """Indent compact JSON as Go's json.Indent does; `{}` and `[]` stay on one line."""
    parts: list[str] = []
    level = 0
    fresh = False
    for lexeme in _TOKEN.findall(text):
        if fresh and lexeme not in ("]", "}"):
            level += 1
            parts.append("\n" + indent * level)
        if lexeme in ("]", "}") and not fresh:
            level -= 1
            parts.append("\n" + indent * level)
        parts.append(": " if lexeme == ":" else lexeme)
        if lexeme == ",":
            parts.append("\n" + indent * level)
        fresh = lexeme in ("[", "{")
    return "".join(parts)


def _skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
