"""The header of a gzip member (RFC 1952, 2.3): reading it, writing it, and the headers that tools write.

A gzip body rarely shows which tool wrote it, but the header does: its time, XFL and OS differ from
tool to tool (docs/profiles.md). A file name is text from an archive: it is data here, never a path.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from convert.errors import printable, shortened
from convert.limits import MAX_GZIP_HEADER

#: The bytes before the first field that may be absent.
FIXED_SIZE: Final = 10
#: Values of the field OS.
OS_FAT: Final = 0
OS_UNIX: Final = 3
OS_UNKNOWN: Final = 255
#: Go's zero time as klauspost's gzip and pgzip store it: -62135596800 seconds, modulo 2**32.
KLAUSPOST_TIME: Final = -62135596800 % 2**32
#: 2000-01-01: the MTIME of rules_pkg's `pkg_tar` with `portable_mtime`.
BAZEL_TIME: Final = 946684800

_MAGIC: Final = b"\x1f\x8b\x08"
_FTEXT, _FHCRC, _FEXTRA, _FNAME, _FCOMMENT = 1, 2, 4, 8, 16
_FLAGS: Final = _FTEXT | _FHCRC | _FEXTRA | _FNAME | _FCOMMENT
_LARGEST_EXTRA: Final = 0xFFFF
#: Characters of a name or comment that are shown.
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class GzipHeader:
    """The header of one gzip member.

    `mtime` is MTIME in seconds since 1970, modulo 2**32 (0: no time); `extra_flags` is XFL and
    `system` OS. `name` and `comment` are bytes without NUL, by RFC 1952 in ISO 8859-1; tools write
    what the file system holds. `extra` is the extra field without its length. None means that the
    field is absent, which an empty one is not. `text` is FTEXT; with `checked` the header ends
    with its own CRC.

    Raises:
        ValueError: a field is out of range, or the header would be larger than `MAX_GZIP_HEADER`.
    """

    mtime: int = 0
    extra_flags: int = 0
    system: int = OS_UNKNOWN
    name: bytes | None = None
    comment: bytes | None = None
    extra: bytes | None = None
    text: bool = False
    checked: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be written."""
        fits = 0 <= self.mtime < 1 << 32 and 0 <= self.extra_flags < 1 << 8 and 0 <= self.system < 1 << 8
        if not fits or b"\0" in (self.name or b"") + (self.comment or b""):
            raise ValueError("no gzip header has such a field")
        if len(self.extra or b"") > _LARGEST_EXTRA or self.size > MAX_GZIP_HEADER:
            raise ValueError("the gzip header is too large")

    @classmethod
    def parse(cls, data: bytes) -> GzipHeader | None:
        """Return the header at the beginning of `data`, which may go on behind it.

        None if it is incomplete or larger than `MAX_GZIP_HEADER`, has a reserved flag or a wrong CRC, or if
        `data` is not gzip. `to_bytes` of what is returned are the same bytes.
        """
        data = data[:MAX_GZIP_HEADER]
        if len(data) < FIXED_SIZE or data[:3] != _MAGIC or data[3] & ~_FLAGS:
            return None
        flags, end = data[3], FIXED_SIZE
        extra = name = comment = None
        if flags & _FEXTRA:
            begin = end + 2
            end = begin + int.from_bytes(data[end:begin], "little")
            extra = data[begin:end]
        if flags & _FNAME and end < len(data):
            name, end = _text(data, end)
        if flags & _FCOMMENT and end < len(data):
            comment, end = _text(data, end)
        if flags & _FHCRC:
            end += 2
        if end > len(data):
            return None
        header = cls(
            mtime=int.from_bytes(data[4:8], "little"),
            extra_flags=data[8],
            system=data[9],
            name=name,
            comment=comment,
            extra=extra,
            text=bool(flags & _FTEXT),
            checked=bool(flags & _FHCRC),
        )
        return header if header.to_bytes() == data[:end] else None

    def to_bytes(self) -> bytes:
        """Return the header as it stands before the body."""
        flags = (
            (_FTEXT if self.text else 0)
            | (_FHCRC if self.checked else 0)
            | (_FEXTRA if self.extra is not None else 0)
            | (_FNAME if self.name is not None else 0)
            | (_FCOMMENT if self.comment is not None else 0)
        )
        out = _MAGIC + bytes((flags,)) + self.mtime.to_bytes(4, "little") + bytes((self.extra_flags, self.system))
        if self.extra is not None:
            out += len(self.extra).to_bytes(2, "little") + self.extra
        for field in (self.name, self.comment):
            if field is not None:
                out += field + b"\0"
        if self.checked:
            out += (zlib.crc32(out) & 0xFFFF).to_bytes(2, "little")
        return out

    @property
    def size(self) -> int:
        """The number of bytes of `to_bytes`."""
        size = FIXED_SIZE + (2 if self.checked else 0)
        size += 2 + len(self.extra) if self.extra is not None else 0
        return size + sum(len(field) + 1 for field in (self.name, self.comment) if field is not None)

    def describe(self) -> str:
        """Return one line for people, safe for a terminal: the fields that are set, MTIME, XFL and OS."""
        parts = []
        for label, field in (("name", self.name), ("comment", self.comment)):
            if field is not None:
                parts.append(f"{label}={printable(shortened(field.decode('latin-1'), _SHOWN))}")
        if self.extra is not None:
            parts.append(f"extra field of {len(self.extra)} bytes")
        if self.text:
            parts.append("text")
        if self.checked:
            parts.append("header CRC")
        return ", ".join((*parts, f"mtime {self.mtime}", f"XFL {self.extra_flags}", f"OS {self.system}"))


def _text(data: bytes, begin: int) -> tuple[bytes, int]:
    """Return a text that ends with NUL, and where the next field begins; past the end without a NUL."""
    end = data.find(b"\0", begin)
    return (data[begin:end], end + 1) if end >= 0 else (b"", len(data) + 1)


def extra_flags(level: int) -> int:
    """Return XFL as RFC 1952 means it, and most tools write it: 2 at level 9, 4 at level 1, else 0."""
    return {1: 4, 9: 2}.get(level, 0)


def go(level: int) -> GzipHeader:
    """Return the header of Go's compress/gzip (gzip.go): no name, no time, OS 255."""
    return GzipHeader(extra_flags=extra_flags(level), system=OS_UNKNOWN)


def klauspost(level: int) -> GzipHeader:
    """Return the header of klauspost's gzip and pgzip: Go's, with Go's zero time as a number."""
    return GzipHeader(mtime=KLAUSPOST_TIME, extra_flags=extra_flags(level), system=OS_UNKNOWN)


def gnu(level: int) -> GzipHeader:
    """Return the header of `gzip -n` from a pipe (zip.c), of `pigz -n` (pigz.c, put_header) and of zlib on Unix."""
    return GzipHeader(extra_flags=extra_flags(level), system=OS_UNIX)
