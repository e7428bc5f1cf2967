"""The compressions that imgconv recognises."""

from __future__ import annotations

from enum import StrEnum


class Compression(StrEnum):
    """How a stream is compressed. The value is the name in output and in media types; `NONE` is falsy."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    XZ = "xz"
