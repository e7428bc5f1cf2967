"""JSON documents as text: `--json`, and the data in a page."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: An escape of JSON: a pair of surrogates, a single surrogate (group 1), or any other.
_ESCAPES: Final = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|\\u(d[89a-f][0-9a-f]{2})|\\.", re.DOTALL)
_BYTE: Final = 0xDC00
#: What would end a script element, start a comment, or end a line of JavaScript: written as \u escapes.
_IN_SCRIPT: Final = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def chunks(document: object, *, indent: int | None = 2) -> Iterator[str]:
    r"""Yield the text of a document piece by piece, in ASCII.

    A byte of a name that is not UTF-8 is written as `\xff`, because strict readers refuse single
    surrogates.
    """
    separators = None if indent else (",", ":")
    for chunk in json.JSONEncoder(indent=indent, separators=separators).iterencode(document):
        yield _ESCAPES.sub(_without_lone_surrogate, chunk) if "\\ud" in chunk else chunk


def in_script(document: object) -> str:
    """Return a document for a `<script type="application/json">`: no character in it can end the element."""
    return "".join(chunks(document, indent=None)).translate(_IN_SCRIPT)


def _without_lone_surrogate(escape: re.Match[str]) -> str:
    """Return a JSON escape unchanged, or the text for a single surrogate."""
    code = escape[1]
    if code is None:
        return escape[0]
    number = int(code, 16)
    # Python reads a byte 0x80 to 0xff that is not UTF-8 as U+DC80 to U+DCFF (PEP 383).
    return f"\\\\x{number - _BYTE:02x}" if _BYTE + 0x80 <= number <= _BYTE + 0xFF else f"\\\\u{code}"
