"""Transcode layers while they are received: an archive from a pipe is read once and not spooled.

`docker save` sends its layers before the documents that name them. An uncompressed layer
is hashed and compressed as it comes; whether it has the DiffID and the form that is needed
is checked when manifest and config have arrived.
"""

from __future__ import annotations

import io
from collections import deque
from concurrent.futures import wait
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from convert.archive.spool import SpoolKeeper
from convert.archive.streams import Prefixed
from convert.codec.sniff import sniff
from convert.layer.ingested import IngestedBlob, Transcoded
from convert.layer.streams import CountingStream, HashingStream
from convert.limits import MIB

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from convert.archive.member import Member
    from convert.layer.pool import Pool
    from convert.model.blob import Blob
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.progress import Progress

#: Where a tar header has its magic (POSIX ustar interchange format); v7 tars, which have
#: none, are spooled and transcoded later.
_MAGIC_OFFSET: Final = 257
_MAGIC: Final = b"ustar"
_HEAD: Final = 512

#: A layer up to this size is held in memory and encoded by another thread while the
#: next one arrives; the second limit is for all of them together.
_SMALL: Final = 4 * MIB
_MAX_HELD: Final = 16 * MIB


class EncodingKeeper:
    """Takes the members of a stream: uncompressed layers are encoded, everything else is spooled."""

    def __init__(
        self,
        encode: Callable[[BinaryIO, int], tuple[Descriptor, Blob]],
        pool: Pool,
        profile: str,
        *,
        limit: int,
        where: str,
        progress: Progress,
    ) -> None:
        """`encode` compresses an uncompressed stream of a size with `profile`; `limit` bounds one layer in bytes.

        Small layers are encoded in the layer threads of `pool`.
        """
        self._encode = encode
        self._pool = pool
        self._profile = profile
        self._limit = limit
        self._progress = progress
        self._spool = SpoolKeeper(where)
        self._running: deque[tuple[int, Future[Transcoded]]] = deque()
        self._held = 0

    def keep(self, member: Member, stream: BinaryIO) -> Blob:
        """Process one member.

        Raises:
            StorageError: the disk is full.
        """
        head = stream.read(min(_HEAD, member.size))
        whole = cast("BinaryIO", Prefixed(head, stream))
        if not self._may_be_layer(member, head):
            with whole:
                return self._spool.keep(member, whole)
        counted = cast("BinaryIO", CountingStream(whole, self._progress.begin(member.name, member.size)))
        if member.size > _SMALL:
            return IngestedBlob(member.name, member.size, self._profile, self._transcode(member, counted))
        while self._running and self._held + member.size > _MAX_HELD:
            size, oldest = self._running.popleft()
            wait([oldest])
            self._held -= size
        with counted:
            data = io.BytesIO(counted.read())
        result = self._pool.submit(self._transcode, member, data)
        self._running.append((member.size, result))
        self._held += member.size
        return IngestedBlob(member.name, member.size, self._profile, result)

    def _may_be_layer(self, member: Member, head: bytes) -> bool:
        """Return whether a member is worth encoding before a document names it.

        A member over the limit for a layer is spooled: only a document can still
        need it, and if a layer does, it is refused then.
        """
        if member.size < _HEAD or member.size > self._limit:
            return False
        return head[_MAGIC_OFFSET:].startswith(_MAGIC) and not sniff(head)

    def _transcode(self, member: Member, plain: BinaryIO) -> Transcoded:
        learnt: list[Digest] = []
        hashed = HashingStream(plain, "sha256", lambda digest, _: learnt.append(digest), where=member.name)
        with cast("BinaryIO", hashed) as stream:
            encoded, blob = self._encode(stream, member.size)
        return Transcoded(learnt[0], encoded, blob)

    def settle(self) -> None:
        """Wait for every layer, so that none appears in a result after its blobs were selected."""
        wait([result for _, result in self._running])

    def close(self) -> None:
        """Free what was spooled."""
        self._spool.close()
