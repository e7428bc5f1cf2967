"""Tar headers with all that a file system has: owners, times to the nanosecond, devices, extended attributes.

POSIX.1-2017 pax: ustar fields, and a PAX header exactly where a value does not fit one. User and group
names are empty, so that the numbers count wherever the tar is unpacked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from convert.archive.tar_writer import fits, octal, padding, pax_record, sealed

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME_SIZE: Final = 100
#: Digits of the octal fields of owner and device numbers, and of sizes and times.
_SHORT: Final = 8
_LONG: Final = 12


@dataclass(frozen=True, slots=True)
class TarEntry:
    """One member: `flag` is its type flag, `mtime` the text of its time (a PAX header may have a fraction)."""

    name: bytes
    flag: bytes
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: str = "0"
    link: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[bytes, bytes] = field(default_factory=dict)


def entry_header(entry: TarEntry) -> bytes:
    """Return all header blocks of a member."""
    pax = dict(entry.xattrs)
    seconds, _, fraction = entry.mtime.partition(".")
    whole = int(seconds or "0")
    if fraction.strip("0") or not fits(whole, _LONG):
        pax[b"mtime"] = entry.mtime.encode()
    if len(entry.name) > _NAME_SIZE or not entry.name.isascii():
        pax[b"path"] = entry.name
    if len(entry.link) > _NAME_SIZE or not entry.link.isascii():
        pax[b"linkpath"] = entry.link
    for key, value, width in ((b"uid", entry.uid, _SHORT), (b"gid", entry.gid, _SHORT), (b"size", entry.size, _LONG)):
        if not fits(value, width):
            pax[key] = b"%d" % value
    main = sealed(
        entry.name[:_NAME_SIZE].ljust(_NAME_SIZE, b"\0")
        + octal(entry.mode, _SHORT)
        + octal(entry.uid, _SHORT)
        + octal(entry.gid, _SHORT)
        + octal(entry.size, _LONG)
        + octal(max(whole, 0), _LONG),
        entry.flag
        + entry.link[:_NAME_SIZE].ljust(_NAME_SIZE, b"\0")
        + b"ustar\x0000"
        + bytes(64)
        + octal(entry.device[0], _SHORT)
        + octal(entry.device[1], _SHORT),
    )
    if not pax:
        return main
    body = b"".join(pax_record(key, pax[key]) for key in sorted(pax))
    before = b"PaxHeaders/entry".ljust(_NAME_SIZE, b"\0") + octal(0o644, _SHORT) + octal(0, _SHORT) * 2
    before += octal(len(body), _LONG) + octal(0, _LONG)
    return sealed(before, b"x" + bytes(_NAME_SIZE) + b"ustar\x0000") + body + padding(len(body)) + main
