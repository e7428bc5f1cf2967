"""A member of an archive, as its tar headers or its folder describe it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

#: "global" is a global PAX header, which Go returns like a member without content.
Kind = Literal["file", "dir", "symlink", "hardlink", "device", "fifo", "other", "global"]


@dataclass(frozen=True, slots=True)
class Attributes:
    """Mode, owner, times and more of a member: described, never applied to a file.

    `mode` is the permission bits. `uid`, `gid` and `mtime` (seconds since 1970) are the
    texts of a PAX header where it has them, else the numbers of the tar header.
    `device` is major and minor number. `xattrs` are the PAX records of extended
    attributes and ACLs, by their whole key.
    """

    mode: int
    uid: str
    gid: str
    uname: str
    gname: str
    mtime: str
    device: tuple[int, int]
    xattrs: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a tar, as its headers describe it.

    `name` and `link` are the text as written (PAX and GNU long names applied),
    `offset` is where the content begins, `start` where its first header does
    (PAX and long-name headers included) and `end` where the next one may; all
    count bytes from the start of the tar. `disputed` is the reason why tools read other
    bytes than these from it, "" where they do not. `attributes` is None unless the
    reader was asked for them.
    """

    name: str
    kind: Kind
    size: int
    link: str = ""
    sparse: bool = False
    start: int = 0
    offset: int = 0
    end: int = 0
    disputed: str = ""
    attributes: Attributes | None = None
