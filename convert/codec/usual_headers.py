"""The gzip headers behind which the body of an encoder is found, and who writes them.

A registry lists only the digest of a layer, so `match` has to guess its header: these are the ones
that tools write without a time of their own (docs/profiles.md#encoders-of-other-tools).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.codec import gzip_header
from convert.codec.gzip_header import BAZEL_TIME, OS_FAT, OS_UNIX, OS_UNKNOWN, GzipHeader

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Names of files that layers are made of: debuerreotype's, and those of build tools.
_NAMES: Final = (b"rootfs.tar", b"layer.tar")
#: Levels at which Python programs compress; only for them are names and times tried, for each takes a hash.
_PYTHON_LEVELS: Final = frozenset({6, 9})


@dataclass(frozen=True, slots=True)
class Header:
    """The bytes before a gzip body, and who writes them so."""

    raw: bytes
    by: str


def usual_headers(encoder: str, made_by: str) -> tuple[Header, ...]:
    """Return the headers of an encoder's streams, the one that it writes itself first.

    Args:
        encoder: the name of a gzip profile, `gzip-N` or `zlib-N`.
        made_by: the tools that write its own header.
    """
    family, level_text, *_ = *encoder.split("-"), ""
    level = int(level_text) if level_text.isdigit() else 0
    found = {header.to_bytes(): by for header, by in reversed(list(_headers(family, level, made_by)))}
    return tuple(Header(raw, by) for raw, by in reversed(found.items()))


def _headers(family: str, level: int, made_by: str) -> Iterator[tuple[GzipHeader, str]]:
    if family == "go1.6":
        yield gzip_header.klauspost(level), made_by
    elif family.startswith("go"):
        yield gzip_header.go(level), made_by
        if family == "go1.27":
            yield gzip_header.klauspost(level), "klauspost/compress gzip from 1.18.2 on"
    elif family.startswith("pgzip"):
        yield gzip_header.klauspost(level), made_by
    elif family == "zlib":
        yield from _zlib(level)
    else:
        yield gzip_header.gnu(level), made_by
    if family == "pigz":
        flags = gzip_header.extra_flags(level)
        for name in _NAMES:
            text = f"pigz --no-time {name.decode()}" + (" (Debian's base layers)" if name == _NAMES[0] else "")
            yield GzipHeader(extra_flags=flags, system=OS_UNIX, name=name), text


def _zlib(level: int) -> Iterator[tuple[GzipHeader, str]]:
    """Yield the headers of programs that use zlib."""
    flags = gzip_header.extra_flags(level)
    python, old_python = "Python's GzipFile", "Python's GzipFile before 3.9"
    yield GzipHeader(extra_flags=flags), f"{python} without time"
    yield (
        GzipHeader(extra_flags=flags, system=OS_UNIX),
        "zlib itself, as gzip.compress of Python and bsdtar",
    )
    yield GzipHeader(extra_flags=2), f"{old_python} without time"
    yield GzipHeader(system=OS_FAT), "Java before 16"
    yield GzipHeader(system=OS_UNKNOWN), "Java from 16 on"
    if level not in _PYTHON_LEVELS:
        return
    for time, about in ((0, "without time"), (BAZEL_TIME, "with the time of bazel's pkg_tar")):
        for name in (None, *_NAMES):
            called = f", for {name.decode()}" if name is not None else ""
            yield GzipHeader(mtime=time, extra_flags=flags, name=name), f"{python} {about}{called}"
            yield GzipHeader(mtime=time, extra_flags=2, name=name), f"{old_python} {about}{called}"
