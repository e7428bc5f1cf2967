"""The memory that an xz stream needs, read from the header of its first block (The .xz File Format)."""

from __future__ import annotations

from typing import Final

from convert.limits import MIB

#: A stream header and the largest block header.
HEAD_SIZE: Final = 12 + 1024
_LZMA2: Final = 0x21
_LEAST: Final = 16 * MIB


def xz_memory(head: bytes) -> int:
    """Return what a decoder may need for a stream that begins with `head`, in bytes.

    The first block's LZMA2 dictionary decides (The .xz File Format, 3.1 and 5.3.1).
    Blocks behind it may have others, as large as the least that is granted.
    """
    filters = _filters(head)
    bits = filters.get(_LZMA2, b"\0")[:1] or b"\0"
    code = min(bits[0] & 0x3F, 40)
    size = 2 << 31 if code == 40 else (2 | code & 1) << code // 2 + 11
    return max(_LEAST, size + size // 16 + MIB)


def _filters(head: bytes) -> dict[int, bytes]:
    """Return the filters of an xz stream's first block and their properties; none where it is damaged."""
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
