"""Read the memory that an xz stream needs from the header of its first block (The .xz File Format)."""

from __future__ import annotations

from typing import Final

from convert.limits import MIB

#: A stream header and the largest block header.
HEAD_SIZE: Final = 12 + 1024
_LZMA2: Final = 0x21
_LEAST: Final = 16 * MIB


def xz_memory(head: bytes) -> int:
    """Return the memory, in bytes, that a decoder of a stream that begins with `head` needs.

    The LZMA2 dictionary of the first block determines it (The .xz File Format, 3.1 and 5.3.1).
    Dictionaries of later blocks may be as large as the minimum of this result.
    """
    filters = _filters(head)
    bits = filters.get(_LZMA2, b"\0")[:1] or b"\0"
    code = min(bits[0] & 0x3F, 40)
    size = 2 << 31 if code == 40 else (2 | code & 1) << code // 2 + 11
    return max(_LEAST, size + size // 16 + MIB)


def _filters(head: bytes) -> dict[int, bytes]:
    """Return filter IDs and properties of an xz stream's first block; empty if it is damaged."""
    found: dict[int, bytes] = {}
    position = 12
    if len(head) <= position + 1 or not head[position]:
        return found
    flags = head[position + 1]
    position += 2

    def number() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = head[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 or shift > 63:
                return value

    try:
        for flag in (0x40, 0x80):  # compressed and uncompressed size
            if flags & flag:
                number()
        for _ in range((flags & 3) + 1):
            key, size = number(), number()
            found[key] = head[position : position + size]
            position += size
    except IndexError:
        return {}
    return found
