"""A member of an archive, as its tar headers or its folder describe it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: "global" is a global PAX header, which Go returns like a member without content.
Kind = Literal["file", "dir", "symlink", "hardlink", "device", "fifo", "other", "global"]


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a tar, as its headers describe it.

    `name` and `link` are the text as written (PAX and GNU long names applied),
    `offset` is where the content begins, `start` where its first header does
    (PAX and long-name headers included) and `end` where the next one may; all
    count bytes from the start of the tar. `disputed` says why tools read other
    bytes than these from it, "" where they do not.
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
