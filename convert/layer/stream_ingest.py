"""Layers worked on while they arrive: from a pipe, an archive is read once and never spooled whole.

`docker save` sends its layers before the documents that name them. A plain layer
is hashed and compressed as it comes; what it may be called, and whether it was
wanted so, is settled when manifest and config arrive.
"""

from __future__ import annotations

import io
from collections import deque
from concurrent.futures import wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from convert.archive.blob import PrivateBlob
from convert.archive.spool import SpoolKeeper
from convert.archive.streams import Prefixed
from convert.codec import decompress
from convert.layer.verify import CountingStream, HashingStream
from convert.limits import MIB

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from convert.archive.member import Member
    from convert.model.blob import Blob, Extent
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.progress import Progress

#: Where a tar header says so (POSIX ustar interchange format); v7 tars, which do
#: not, are spooled and worked on later.
_MAGIC_OFFSET: Final = 257
_MAGIC: Final = b"ustar"
_HEAD: Final = 512

#: A layer up to this size is held in memory and worked on by another thread, while the
#: next one arrives; so much is held of all of them.
_SMALL: Final = 4 * MIB
_MAX_HELD: Final = 16 * MIB


@dataclass(frozen=True, slots=True)
class Arrival:
    """What was made of a layer: the sha256 of its plain bytes, and those compressed."""

    diff_id: Digest
    encoded: Descriptor
    kept: Blob


@dataclass(frozen=True, slots=True, eq=False)
class ArrivedBlob(PrivateBlob):
    """A plain layer that is kept compressed: its own bytes come back by unpacking.

    `made` is, once done, what `profile` made of it.
    """

    where: str
    size: int
    profile: str
    made: Arrival | Future[Arrival]

    @property
    def arrival(self) -> Arrival:
        """What was made of it; waits until it is.

        Raises:
            StorageError: there was no room for it.
        """
        return self.made if isinstance(self.made, Arrival) else self.made.result()

    def open(self) -> BinaryIO:
        """Start reading the plain bytes."""
        with self.arrival.kept.open() as stream:
            head = stream.read(decompress.SNIFF_SIZE)
        return decompress.decompress(self.arrival.kept.open(), decompress.sniff(head), where=self.where)

    def extent(self) -> Extent | None:
        """The plain bytes lie nowhere."""
        return None


class EncodingKeeper:
    """Takes members as they come: plain layers are encoded, all else is spooled."""

    def __init__(
        self,
        encode: Callable[[BinaryIO, int], tuple[Descriptor, Blob]],
        executor: Executor,
        profile: str,
        *,
        limit: int,
        where: str,
        progress: Progress,
    ) -> None:
        """`encode` compresses a plain stream of a size with `profile`; `limit` bounds one layer in bytes.

        Small layers are encoded in `executor`.
        """
        self._encode = encode
        self._executor = executor
        self._profile = profile
        self._limit = limit
        self._progress = progress
        self._spool = SpoolKeeper(where)
        self._running: deque[tuple[int, Future[Arrival]]] = deque()
        self._held = 0

    def keep(self, member: Member, stream: BinaryIO) -> Blob:
        """Take one member.

        Raises:
            StorageError: there is no room for it.
        """
        head = stream.read(min(_HEAD, member.size))
        whole = cast("BinaryIO", Prefixed(head, stream))
        if not self._may_be_layer(member, head):
            with whole:
                return self._spool.keep(member, whole)
        counted = cast("BinaryIO", CountingStream(whole, self._progress.begin(member.name, member.size)))
        if member.size > _SMALL:
            return ArrivedBlob(member.name, member.size, self._profile, self._arrive(member, counted))
        while self._running and self._held + member.size > _MAX_HELD:
            size, oldest = self._running.popleft()
            wait([oldest])
            self._held -= size
        with counted:
            data = io.BytesIO(counted.read())
        made = self._executor.submit(self._arrive, member, data)
        self._running.append((member.size, made))
        self._held += member.size
        return ArrivedBlob(member.name, member.size, self._profile, made)

    def _may_be_layer(self, member: Member, head: bytes) -> bool:
        """Tell whether a member is worth encoding before anybody names it.

        What is over the limit for a layer is kept as it is: only a document can still
        need it, and if a layer does, it is refused then.
        """
        if member.size < _HEAD or member.size > self._limit:
            return False
        return head[_MAGIC_OFFSET:].startswith(_MAGIC) and not decompress.sniff(head)

    def _arrive(self, member: Member, plain: BinaryIO) -> Arrival:
        learnt: list[Digest] = []
        hashed = HashingStream(plain, "sha256", lambda digest, _: learnt.append(digest), where=member.name)
        with cast("BinaryIO", hashed) as stream:
            encoded, kept = self._encode(stream, member.size)
        return Arrival(learnt[0], encoded, kept)

    def settle(self) -> None:
        """Wait for every layer: one that nobody wants must not come into a result later."""
        wait([made for _, made in self._running])

    def close(self) -> None:
        """Let go of what was spooled."""
        self._spool.close()
