"""Tar headers, as Go's archive/tar writes them.

Docker, containerd and crane write their archives with it, and imgconv's are
theirs byte for byte (docs/formats-docker.md#tar-headers): ustar, owner 0, device fields filled in
for every kind, and a PAX header exactly where a value does not fit.
Source of the rules: Go 1.26 `archive/tar` writer.go, format.go and strconv.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from convert.archive.tar_header import BLOCK

if TYPE_CHECKING:
    from convert.model.blob import Content

#: What ends an archive; no padding to a record of 10240 bytes follows.
END: Final = bytes(2 * BLOCK)

_FLAGS: Final = {"file": b"0", "hardlink": b"1", "symlink": b"2", "dir": b"5"}
_NAME_SIZE: Final = 100
_PREFIX_SIZE: Final = 155


@dataclass(frozen=True, slots=True)
class Item:
    """One member to be written.

    `mode` is that of the header, file-type bits included where the format has
    them. `name` may end with `/` for a folder and gets it if it does not.
    """

    name: str
    kind: Literal["file", "dir", "symlink", "hardlink"] = "file"
    mode: int = 0o644
    mtime: int = 0
    link: str = ""
    content: bytes | Content = b""
    uname: str = ""
    gname: str = ""


def header(item: Item, size: int) -> bytes:
    """Return all header blocks of a member with `size` bytes of content.

    Raises:
        ValueError: a name holds NUL, which is a mistake of the caller.
    """
    name = item.name + "/" if item.kind == "dir" and not item.name.endswith("/") else item.name
    if "\0" in name + item.link:
        msg = "NUL in a member name"
        raise ValueError(msg)
    raw_name, raw_link = (text.encode("utf-8", "surrogateescape") for text in (name, item.link))
    pax: dict[str, bytes] = {}
    ustar = True
    prefix = b""
    if len(raw_name) > _NAME_SIZE or not raw_name.isascii():
        pax["path"] = raw_name
        split = _split_ustar(raw_name)
        ustar = split is not None
        prefix = split or b""
    if len(raw_link) > _NAME_SIZE or not raw_link.isascii():
        pax["linkpath"] = raw_link
        ustar = False
    if not fits(size, 12):
        pax["size"] = b"%d" % size
        ustar = False
    if not fits(item.mtime, 12):
        pax["mtime"] = b"%d" % item.mtime
        ustar = False
    if ustar:
        short = raw_name[len(prefix) + 1 :] if prefix else raw_name
        return _block(item, short, raw_link, size, prefix)
    main = _block(item, _ascii(raw_name), _ascii(raw_link), size, b"")
    return _pax_header(raw_name, pax) + main


def padding(size: int) -> bytes:
    """Return the zeros that follow `size` bytes of content."""
    return bytes(-size % BLOCK)


def fits(value: int, width: int) -> bool:
    """Return whether an octal field of `width` bytes can hold a number."""
    return 0 <= value < 1 << 3 * (width - 1)


def octal(value: int, width: int) -> bytes:
    """Return an octal field; what does not fit is written as 0 (its PAX record counts)."""
    return b"%0*o\0" % (width - 1, value if fits(value, width) else 0)


def _ascii(raw: bytes) -> bytes:
    return bytes(byte for byte in raw if byte < 0x80)


def _string(raw: bytes, width: int) -> bytes:
    """Return a text field, cut where it is too long.

    A cut that ends in `/` would look like a folder to old readers, so Go ends it
    with NUL before the slashes and leaves what follows.
    """
    field = bytearray(raw[:width].ljust(width, b"\0"))
    if len(raw) > width and field[-1:] == b"/":
        field[len(bytes(field[:-1]).rstrip(b"/"))] = 0
    return bytes(field)


def _block(item: Item, name: bytes, link: bytes, size: int, prefix: bytes) -> bytes:
    uname, gname = item.uname.encode("ascii"), item.gname.encode("ascii")
    return sealed(
        _string(name, _NAME_SIZE)
        + octal(item.mode, 8)
        + octal(0, 8)
        + octal(0, 8)
        + octal(size, 12)
        + octal(item.mtime, 12),
        _FLAGS[item.kind]
        + _string(link, _NAME_SIZE)
        + b"ustar\x0000"
        + _string(uname, 32)
        + _string(gname, 32)
        + octal(0, 8)
        + octal(0, 8)
        + _string(prefix, _PREFIX_SIZE),
    )


def sealed(before: bytes, after: bytes) -> bytes:
    """Return the block with its checksum, which counts its own field as spaces."""
    after = after.ljust(BLOCK - 156, b"\0")
    checksum = sum(before) + 8 * 0x20 + sum(after)
    return before + b"%06o\0 " % checksum + after


def _pax_header(name: bytes, records: dict[str, bytes]) -> bytes:
    folder, _, base = name.rpartition(b"/")
    parts = [part for part in (*folder.split(b"/"), b"PaxHeaders.0", base) if part]
    own = _ascii(b"/".join(parts))[:_NAME_SIZE].rstrip(b"/")
    body = b"".join(pax_record(key.encode(), records[key]) for key in sorted(records))
    before = own.ljust(_NAME_SIZE, b"\0") + octal(0, 8) * 3 + octal(len(body), 12) + octal(0, 12)
    return sealed(before, b"x" + bytes(_NAME_SIZE) + b"ustar\x0000") + body + padding(len(body))


def pax_record(key: bytes, value: bytes) -> bytes:
    r"""Return `<length> <key>=<value>\n`, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    size = rest + len(str(rest))
    if len(str(size)) > len(str(rest)):
        size += 1
    return b"%d %s=%s\n" % (size, key, value)


def _split_ustar(name: bytes) -> bytes | None:
    """Return the prefix under which a long name still fits ustar, or None."""
    if len(name) <= _NAME_SIZE or not name.isascii():
        return None
    length = len(name)
    if length > _PREFIX_SIZE + 1:
        length = _PREFIX_SIZE + 1
    elif name.endswith(b"/"):
        length -= 1
    cut = name[:length].rfind(b"/")
    rest = len(name) - cut - 1
    if cut <= 0 or rest > _NAME_SIZE or rest == 0 or cut > _PREFIX_SIZE:
        return None
    return name[:cut]
