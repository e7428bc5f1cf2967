"""JSON documents from archives: a strict parser, and Go's lookup of keys.

Docker, crane and skopeo each accept a different set of broken JSON
(docs/formats.md#hostile-or-damaged-input), so one document can have different meanings. This
parser refuses everything that tools read differently: duplicate keys, bytes after the value, a
byte order mark, NaN, lone surrogates, invalid UTF-8. The input is untrusted: time and memory are
bounded by the size limit.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, NoReturn

from convert.diagnostics import Diagnostic
from convert.errors import FormatError
from convert.limits import MAX_DOCUMENT_DEPTH, MAX_DOCUMENT_SIZE, MAX_DOCUMENT_VALUES, MAX_NUMBER_DIGITS

if TYPE_CHECKING:
    from collections.abc import Mapping

_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\n\r"
# These patterns match at the first byte or not at all and never backtrack, so a hostile document
# costs one pass. For that reason the closing quote is optional; the json module refuses a string
# without one.
_TOKEN: Final = re.compile(rb'[][{},]|"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_WORDING: Final = {
    "Expecting value": "expected a value",
    "Extra data": "bytes after the end of the document",
    "Unterminated string starting at": "a string without its closing quote",
    "Invalid control character at": "a control character inside a string",
    "Expecting property name enclosed in double quotes": "expected a key in double quotes",
    "Expecting ',' delimiter": "expected a comma or the closing bracket",
    "Expecting ':' delimiter": "expected a colon",
    "Invalid \\escape": "an unknown backslash escape",
    "Invalid \\uXXXX escape": "an incomplete \\u escape",
    "Illegal trailing comma before end of object": "a comma before the closing brace",
    "Illegal trailing comma before end of array": "a comma before the closing bracket",
}


class _RefusedError(Exception):
    """Valid for Python's json module, refused here; the text is the reason."""

    def __init__(self, text: str, *, code: str) -> None:
        super().__init__(text)
        self.code = code


def parse(
    raw: bytes,
    *,
    where: str,
    member: str,
    limit: int = MAX_DOCUMENT_SIZE,
    depth: int = MAX_DOCUMENT_DEPTH,
) -> Any:
    """Return the value of one JSON document (RFC 8259, and stricter).

    `where` and `member` identify file and member in errors. `limit` is in bytes; `depth` is the
    maximum nesting of arrays and objects. Object keys keep their order. Keys that differ only in
    letter case are returned separately, because in labels they are different keys; `lookup`
    refuses them in fields.

    Raises:
        FormatError: not valid JSON, ambiguous, or beyond a limit.
    """
    try:
        return _parse(raw, limit, depth)
    except _RefusedError as error:
        raise FormatError(str(error), code=error.code, file=where, member=member) from None


def lookup(
    obj: Mapping[str, Any],
    name: str,
    *,
    where: str | None = None,
    member: str | None = None,
    warnings: list[Diagnostic] | None = None,
) -> Any:
    """Return the value of the key that Go's encoding/json reads as `name`, or None.

    Go matches the keys of struct fields in any letter case, with the Kelvin sign for k and the long
    s for s (encoding/json, `foldName`); archives with such keys exist. A different spelling is
    added to `warnings` once. Do not use it for keys that are data (labels, annotations, tags).

    Raises:
        FormatError: two spellings of `name` in one object, of which tools pick different ones.
    """
    # As `same_key`, without a call for each key; few keys have the length of another.
    size = len(name)
    spellings = [key for key in obj if len(key) == size]
    if spellings == [name]:
        return obj[name]
    if not spellings:
        return None
    folded = fold(name)
    spellings = [key for key in spellings if fold(key) == folded]
    if not spellings:
        return None
    if len(spellings) > 1:
        raise _same_meaning(spellings[0], spellings[1], where, member)
    key = spellings[0]
    if key != name and warnings is not None:
        _note_spelling(key, name, warnings)
    return obj[key]


class Keys:
    """The keys of one object as Go decodes it into a struct, matched in any letter case.

    Use it to read several fields of an object, and `lookup` for one. Two keys of one field are
    refused even if imgconv does not use the field, because another reader may.
    """

    __slots__ = ("_folded", "_obj")

    def __init__(self, obj: Mapping[str, Any], *, where: str | None = None, member: str | None = None) -> None:
        """Fold every key of `obj`.

        Raises:
            FormatError: two keys fold to the same.
        """
        self._obj = obj
        self._folded: dict[str, str] = {}
        for key in obj:
            other = self._folded.setdefault(fold(key), key)
            if other is not key:
                raise _same_meaning(other, key, where, member)

    def __contains__(self, name: str) -> bool:
        """Return whether there is a key for the field `name`."""
        return _folded_name(name) in self._folded

    def get(self, name: str, warnings: list[Diagnostic] | None = None) -> Any:
        """Return the value of the field `name`, or None; add a different spelling to `warnings`."""
        key = self._folded.get(_folded_name(name))
        if key is None:
            return None
        if key != name and warnings is not None:
            _note_spelling(key, name, warnings)
        return self._obj[key]

    def by_folded_key(self) -> dict[str, Any]:
        """Return the values by their keys, as `fold` returns them."""
        return {folded: self._obj[key] for folded, key in self._folded.items()}


def fold(key: str) -> str:
    """Return a key as Go's encoding/json compares it (`foldName`), for fields with ASCII names.

    Apart from ASCII letters, only the long s and the Kelvin sign are folded.
    """
    if key.isascii():
        return key.lower()
    return key.lower().replace("\N{LATIN SMALL LETTER LONG S}", "s")


#: The same for the names of fields, which are few.
_folded_name: Final = lru_cache(1024)(fold)


def _same_meaning(one: str, other: str, where: str | None, member: str | None) -> FormatError:
    return FormatError(
        f"keys {_quoted(one)} and {_quoted(other)} in one object mean the same",
        code="ambiguous-json-key",
        file=where,
        member=member,
    )


def _note_spelling(key: str, name: str, warnings: list[Diagnostic]) -> None:
    warning = Diagnostic(f"key {_quoted(key)} read as {_quoted(name)}", code="json-key-spelling", key=key, field=name)
    if warning not in warnings:
        warnings.append(warning)


def same_key(key: str, name: str) -> bool:
    """Return whether Go's encoding/json decodes `key` into the struct field `name` (ASCII)."""
    # Folding keeps the number of characters; comparing lengths first excludes most keys.
    return key == name or (len(key) == len(name) and fold(key) == fold(name))


def _quoted(key: str) -> str:
    """Return a key for a message: in quotes, and short."""
    longest = 60
    return json.dumps(key if len(key) <= longest else key[:longest] + "…", ensure_ascii=False)


def _parse(raw: bytes, limit: int, depth: int) -> Any:
    if len(raw) > limit:
        raise _RefusedError(f"document has {len(raw)} bytes, more than the {limit} allowed", code="document-too-large")
    if raw.startswith(_BOM):
        raise _RefusedError(
            "document starts with a byte order mark, which JSON does not allow", code="json-byte-order-mark"
        )
    if not raw.strip(_SPACE):
        raise _RefusedError("document is empty, expected JSON", code="empty-document")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _RefusedError(f"not UTF-8 at byte {error.start}", code="json-not-utf-8") from None
    # Checked first, because the parser recurses once a level and creates an object for each value.
    _check_shape(raw, depth)
    try:
        value = _decoder().decode(text)
    except json.JSONDecodeError as error:
        wording = _WORDING.get(error.msg, error.msg)
        raise _RefusedError(
            f"not valid JSON: line {error.lineno}, column {error.colno}: {wording}", code="invalid-json"
        ) from None
    # This search requires valid JSON, in which backslashes occur only in strings.
    for escape in _ESCAPE.finditer(raw):
        if escape["lone"]:
            raise _RefusedError(
                f"half of a surrogate pair at byte {escape.start()}: {escape[0].decode()} alone is not a character",
                code="json-lone-surrogate",
            )
    return value


@cache
def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)


def _check_shape(raw: bytes, depth: int) -> None:
    """Refuse too many levels or values, counted without parsing."""
    opened = raw.count(b"[") + raw.count(b"{")
    if opened <= depth and raw.count(b",") < MAX_DOCUMENT_VALUES - opened:
        return
    level = 0
    values = 1
    for token in _TOKEN.finditer(raw):
        match raw[token.start()]:
            case 0x5B | 0x7B:  # [ {
                level += 1
                values += 1
            case 0x5D | 0x7D:  # ] }
                level -= 1
            case 0x2C:  # Each value but the first of its array or object has a comma before it.
                values += 1
        if level > depth:
            raise _RefusedError(f"arrays and objects nested deeper than {depth}", code="json-too-deep")
        if values > MAX_DOCUMENT_VALUES:
            raise _RefusedError(f"more than {MAX_DOCUMENT_VALUES} values in one document", code="json-too-many-values")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise _RefusedError(f"key {_quoted(key)} occurs twice in one object", code="duplicate-json-key")
    return result


def _integer(digits: str) -> int:
    # Parsing a decimal number takes quadratic time.
    if len(digits) > MAX_NUMBER_DIGITS:
        raise _RefusedError(
            f"number {digits[:20]}… has more than {MAX_NUMBER_DIGITS} digits", code="json-number-too-large"
        )
    return int(digits)


def _float(digits: str) -> float:
    if len(digits) > MAX_NUMBER_DIGITS:
        raise _RefusedError(
            f"number {digits[:20]}… has more than {MAX_NUMBER_DIGITS} digits", code="json-number-too-large"
        )
    value = float(digits)
    if math.isinf(value):
        raise _RefusedError(f"number {digits} is too large", code="json-number-too-large")
    return value


def _constant(name: str) -> NoReturn:
    raise _RefusedError(f"{name} is not a JSON value", code="invalid-json")
