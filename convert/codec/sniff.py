"""Recognise the compression of a stream by its first bytes."""

from __future__ import annotations

from typing import Final

from convert.codec.compression import Compression

#: Number of bytes that `sniff` needs.
SNIFF_SIZE: Final = 8

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE: Final = 0x184D2A50
_MAGICS: Final = (
    (b"\x1f\x8b\x08", Compression.GZIP),
    (b"BZh", Compression.BZIP2),
    (b"\xfd7zXZ\x00", Compression.XZ),
    (ZSTD_MAGIC, Compression.ZSTD),
)


def sniff(head: bytes) -> Compression:
    """Return the compression of a stream, from its first bytes.

    Docker detects compressed layers by the same magics. A zstd stream may begin with a skippable
    frame (RFC 8878, 3.1.2).
    """
    for magic, name in _MAGICS:
        if head.startswith(magic):
            return name
    if len(head) >= SNIFF_SIZE and is_skippable(head):
        return Compression.ZSTD
    return Compression.NONE


def is_skippable(head: bytes) -> bool:
    """Return whether a skippable frame of zstd begins with these bytes."""
    return int.from_bytes(head[:4], "little") & ~0xF == _ZSTD_SKIPPABLE
