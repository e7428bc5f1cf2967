"""JSON documents as text: `--json`, and the data in a page."""

from __future__ import annotations

import itertools
import json
import re
import zlib
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Final

from convert.errors import UnsafeInputError
from convert.limits import CHUNK, MAX_REPORT_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: An escape of JSON: a pair of surrogates, a single surrogate (group 1), or any other.
_ESCAPES: Final = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|\\u(d[89a-f][0-9a-f]{2})|\\.", re.DOTALL)
_BYTE: Final = 0xDC00
_COMPACT: Final = json.JSONEncoder(separators=(",", ":"))
_INDENT: Final = "  "
#: Levels of a document above the values whose text is made at once, which are a layer or a step of an image at most.
_DEPTH: Final = 4
#: What would end a script element, start a comment, or end a line of JavaScript: written as \u escapes.
_IN_SCRIPT: Final = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class Streamed:
    """A long list, the value of a key of a document, whose elements are made one by one while the text is.

    `least_size` is a number of characters that its text has in any case.
    """

    elements: Iterable[object]
    least_size: int = 0


class Packed:
    """An ASCII text that is kept until it is complete, compressed."""

    def __init__(self) -> None:
        """Start an empty text."""
        self._packer = zlib.compressobj(1)
        self._parts: list[bytes] = []

    def add(self, text: str) -> None:
        """Add to its end."""
        self._parts.append(self._packer.compress(text.encode()))

    def pieces(self) -> Iterator[str]:
        """Yield the text piece by piece; nothing can be added any more."""
        unpacker = zlib.decompressobj()
        for part in (*self._parts, self._packer.flush()):
            rest = part
            while rest:
                yield unpacker.decompress(rest, CHUNK).decode()
                rest = unpacker.unconsumed_tail


def bounded_text(document: object) -> Iterator[str]:
    """Return the text of a document with its last line end, piece by piece, after it was completed.

    Objects that images share exist once in memory, but once for each image in the text, so it is kept compressed.

    Raises:
        UnsafeInputError: it has more than `MAX_REPORT_SIZE` characters.
    """
    if least_size(document) > MAX_REPORT_SIZE:
        raise _too_large()
    size = 0
    kept = Packed()
    for text in large_pieces(document):
        size += len(text)
        if size > MAX_REPORT_SIZE:
            raise _too_large()
        kept.add(text)
    return itertools.chain(kept.pieces(), ("\n",))


def large_pieces(document: object) -> Iterator[str]:
    """Yield the text of a document in pieces of about a mebibyte: to print a piece takes longer than to make it."""
    waiting: list[str] = []
    size = 0
    for chunk in chunks(document):
        waiting.append(chunk)
        size += len(chunk)
        if size >= CHUNK:
            yield "".join(waiting)
            waiting.clear()
            size = 0
    yield "".join(waiting)


def least_size(document: object) -> int:
    """Return a number of characters that the text of a document has in any case."""
    values = document.values() if isinstance(document, dict) else ()
    return sum(value.least_size for value in values if isinstance(value, Streamed))


def _too_large() -> UnsafeInputError:
    return UnsafeInputError(
        f"the document for --json would have more than {MAX_REPORT_SIZE} bytes",
        code="report-too-large",
        hint="--image picks one image",
    )


def chunks(document: object, *, indent: bool = True) -> Iterator[str]:
    r"""Yield the text of a document piece by piece, in ASCII.

    A byte of a name that is not UTF-8 is written as `\xff`, because strict readers refuse single
    surrogates.
    """
    for chunk in _pieces(document, "\n", "", _DEPTH) if indent else (_COMPACT.encode(document),):
        yield _ESCAPES.sub(_without_lone_surrogate, chunk) if "\\ud" in chunk else chunk


def _pieces(value: object, line: str, before: str, depth: int) -> Iterator[str]:
    """Yield the indented text of a value, after a text before it.

    Args:
        value: the value.
        line: what begins a line at its level.
        before: the text before it.
        depth: a value so many levels below is one piece.
    """
    inner = line + _INDENT
    if isinstance(value, Streamed):
        yield before + "["
        between = inner
        for element in value.elements:
            yield between + _text(element, inner)
            between = f",{inner}"
        yield "]" if between == inner else line + "]"
    elif not depth or not value or not isinstance(value, dict | list | tuple):
        yield before + _text(value, line)
    elif isinstance(value, dict):
        before += "{"
        for key, item in value.items():
            yield from _pieces(item, inner, f"{before}{inner}{encode_basestring_ascii(key)}: ", depth - 1)
            before = ","
        yield line + "}"
    else:
        before += "["
        for item in value:
            yield from _pieces(item, inner, before + inner, depth - 1)
            before = ","
        yield line + "]"


def _text(value: object, line: str) -> str:
    """Return the text that `json.dumps` gives with indentation, which is slow; `line` begins a line."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if value is None:
        return "null"
    if type(value) is int:
        return str(value)
    if not value or not isinstance(value, dict | list | tuple):
        return _COMPACT.encode(value)
    inner = line + _INDENT
    if isinstance(value, dict):
        members = [f"{encode_basestring_ascii(key)}: {_text(item, inner)}" for key, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(members)}{line}}}"
    return f"[{inner}{f',{inner}'.join([_text(item, inner) for item in value])}{line}]"


def in_script(document: object) -> str:
    """Return a document for a `<script type="application/json">`: no character in it can end the element."""
    return "".join(chunks(document, indent=False)).translate(_IN_SCRIPT)


def _without_lone_surrogate(escape: re.Match[str]) -> str:
    """Return a JSON escape unchanged, or the text for a single surrogate."""
    code = escape[1]
    if code is None:
        return escape[0]
    number = int(code, 16)
    # Python reads a byte 0x80 to 0xff that is not UTF-8 as U+DC80 to U+DCFF (PEP 383).
    return f"\\\\x{number - _BYTE:02x}" if _BYTE + 0x80 <= number <= _BYTE + 0xFF else f"\\\\u{code}"
