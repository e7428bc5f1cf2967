"""Layers worked on while they arrive: from a pipe, an archive is read once and never spooled whole.

`docker save` sends its layers before the documents that name them. A plain layer
is hashed and compressed as it comes; what it may be called, and whether it was
wanted so, is settled when manifest and config arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from convert.archive.source import Prefixed
from convert.archive.spool import SpoolKeeper
from convert.compression import streams
from convert.content import HashingStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.archive.tar_read import Member
    from convert.digest import Digest
    from convert.model import Blob, Descriptor, Extent

#: Where a tar header says so (POSIX ustar interchange format); v7 tars, which do
#: not, are spooled and worked on later.
_MAGIC_OFFSET: Final = 257
_MAGIC: Final = b"ustar"
_HEAD: Final = 512


@dataclass(frozen=True, slots=True, eq=False)
class ArrivedBlob:
    """A plain layer that is kept compressed: its own bytes come back by unpacking.

    `diff_id` is the sha256 of the plain bytes, learnt while they passed; `encoded`
    describes and `kept` holds what `profile` made of them.
    """

    where: str
    size: int
    diff_id: Digest
    profile: str
    encoded: Descriptor
    kept: Blob

    def open(self) -> BinaryIO:
        """Start reading the plain bytes."""
        return streams.decompress(self.kept.open(), streams.sniff(self._head()), where=self.where)

    def _head(self) -> bytes:
        with self.kept.open() as stream:
            return stream.read(streams.SNIFF_SIZE)

    def extent(self) -> Extent | None:
        """The plain bytes lie nowhere."""
        return None


class EncodingKeeper:
    """Takes members as they come: plain layers are encoded, all else is spooled."""

    def __init__(
        self, encode: Callable[[BinaryIO], tuple[Descriptor, Blob]], profile: str, *, limit: int, where: str
    ) -> None:
        """`encode` compresses a plain stream with `profile`; `limit` bounds one layer in bytes."""
        self._encode = encode
        self._profile = profile
        self._limit = limit
        self._spool = SpoolKeeper(where)

    def keep(self, member: Member, stream: BinaryIO) -> Blob:
        """Take one member.

        Raises:
            UnsafeInputError: a layer over the limit.
            StorageError: there is no room for it.
        """
        head = stream.read(min(_HEAD, member.size))
        whole = cast("BinaryIO", Prefixed(head, stream))
        if member.size < _HEAD or head[_MAGIC_OFFSET:].startswith(_MAGIC) is False:
            return self._spool.keep(member, whole)
        learnt: list[Digest] = []
        plain = HashingStream(
            whole, "sha256", lambda digest, _: learnt.append(digest), limit=self._limit, where=member.name
        )
        encoded, kept = self._encode(cast("BinaryIO", plain))
        return ArrivedBlob(member.name, member.size, learnt[0], self._profile, encoded, kept)

    def close(self) -> None:
        """Let go of what was spooled."""
        self._spool.close()
