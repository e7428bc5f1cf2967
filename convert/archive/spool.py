"""Archives that can be read once only: pipes, and tars inside a compressed stream."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, cast

from convert.archive.blob import MemoryBlob, OpenState, SpooledBlob
from convert.archive.cursor import StreamCursor
from convert.archive.tar_reader import TarReader
from convert.archive.tar_tree import MemberTree
from convert.codec.decompress import read_into
from convert.errors import StorageError, TruncatedError
from convert.limits import CHUNK, KIB, MIB

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from convert.archive.member import Member
    from convert.model.blob import Blob

#: Members up to this size stay in memory, up to so many bytes in all.
_SMALL: Final = 64 * KIB
_MAX_HELD: Final = 16 * MIB


class Keeper(Protocol):
    """Takes the regular members of a stream as they arrive."""

    def keep(self, member: Member, stream: BinaryIO) -> Blob:
        """Read `stream`, the content of `member`, and return what gives it again.

        What is left unread is skipped. `member.name` is as written in the tar.
        """

    def settle(self) -> None:
        """Wait for what is still being done; all members have arrived."""

    def close(self) -> None:
        """Free what was kept."""


class SpoolKeeper:
    """Keeps small members in memory and others in one unnamed temporary file."""

    def __init__(self, where: str, folder: str | None = None) -> None:
        """Spool into `folder`; the file has no name and goes with the process."""
        self._where = where
        self._folder = folder
        self._fd = -1
        self._state = OpenState()
        self._size = 0
        self._held = 0

    def keep(self, member: Member, stream: BinaryIO) -> Blob:
        """Copy the content.

        Raises:
            StorageError: no space, or writing failed.
        """
        if member.size <= _SMALL and self._held + member.size <= _MAX_HELD:
            self._held += member.size
            return MemoryBlob(stream.read(), member.name)
        try:
            return self._spool(member, stream)
        except OSError as error:
            raise StorageError.from_os(error, file=self._where, doing="spooling it to a temporary file") from error

    def _spool(self, member: Member, stream: BinaryIO) -> SpooledBlob:
        if self._fd < 0:
            self._fd = unnamed_file(self._folder)
        begin = self._size
        buffer = memoryview(bytearray(min(CHUNK, member.size)))
        while count := read_into(stream, buffer):
            write_all(self._fd, buffer[:count], self._size)
            self._size += count
        return SpooledBlob(self._fd, begin, self._size - begin, where=member.name, file=self._where, state=self._state)

    def settle(self) -> None:
        """Do nothing: each member was kept before the next one came."""

    def close(self) -> None:
        """Free the spooled bytes."""
        self._state.closed = True
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def unnamed_file(folder: str | None) -> int:
    """Return a descriptor of a new file that has no name and goes with its last user."""
    import tempfile  # noqa: PLC0415 - only where used

    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        return os.dup(file.fileno())


def write_all(fd: int, data: memoryview | bytes, offset: int) -> None:
    """Write all of `data` at `offset`, however much the system takes at a time."""
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, offset)
        offset += count
        view = view[count:]


class SpooledTree(MemberTree):
    """A tar that arrives as a stream, read to its end when the tree is made."""

    def __init__(self, stream: BinaryIO, where: str, keeper: Keeper | None = None, folder: str | None = None) -> None:
        """Read all members of `stream`, which is closed in any case; see `open_source`."""
        super().__init__(where)
        self._keeper = SpoolKeeper(where, folder) if keeper is None else keeper
        self._kept: dict[int, Blob] = {}
        try:
            with stream:
                self._read(StreamCursor(stream))
        except BaseException:
            self._keeper.close()
            raise

    def _read(self, cursor: StreamCursor) -> None:
        reader = TarReader(cursor, where=self.where)
        for member in reader:
            name = self._add(member)
            if name is not None and member.kind == "file" and not member.sparse:
                with cast("BinaryIO", _MemberStream(cursor, member, self.where)) as content:
                    self._kept[member.start] = self._keeper.keep(member, content)
        reader.finish()
        self._keeper.settle()
        self.warnings += reader.warnings
        self.refusal = reader.refusal

    def _content(self, name: str, member: Member) -> Blob:
        del name
        return self._kept[member.start]

    def _blob(self, name: str, member: Member) -> Blob:
        return self._content(name, member)

    def check_unchanged(self) -> None:
        """Do nothing: what was read once cannot change."""

    def close(self) -> None:
        """Free what was kept."""
        self._keeper.close()


class _MemberStream(io.RawIOBase):
    """The content of the member at which a cursor stands."""

    def __init__(self, cursor: StreamCursor, member: Member, where: str) -> None:
        super().__init__()
        self._cursor = cursor
        self._member = member
        self._where = where

    def readable(self) -> bool:
        return True

    def _left(self) -> int:
        return self._member.offset + self._member.size - self._cursor.position

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")[: self._left()]
        if not len(view):
            return 0
        count = read_into(self._cursor.stream, view)
        return self._took(count)

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return self.readall()
        wanted = min(size, self._left())
        if not wanted:
            return b""
        data = self._cursor.stream.read(wanted)
        self._took(len(data))
        return data

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self.read(CHUNK), b""))

    def _took(self, count: int) -> int:
        if not count:
            msg = f"truncated: ends inside this member (expected {self._member.size} bytes)"
            raise TruncatedError(msg, file=self._where, member=self._member.name)
        self._cursor.position += count
        return count
