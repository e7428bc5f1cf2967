"""The stored bytes of members: slices of files, memory, files in a folder."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, cast

from convert import cancel
from convert.errors import InputError, StorageError, UnsafeInputError, UsageError
from convert.limits import CHUNK
from convert.model.blob import Extent

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

_HAS_PREADV: Final = hasattr(os, "preadv")
_NO_FOLLOW: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Stamp(NamedTuple):
    """Identity, size and time of a file when it was opened; a difference means that the file has changed."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Return the stamp in a stat result."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class OpenState:
    """Whether a source is open. Its blobs share this: the number of a closed descriptor may belong to another file."""

    __slots__ = ("closed",)

    def __init__(self) -> None:
        """The source is open."""
        self.closed = False

    def check(self, file: str) -> None:
        """Refuse to read from a closed source.

        Raises:
            UsageError: it is closed.
        """
        if self.closed:
            raise UsageError("the archive is closed", code="archive-closed", file=file)


def changed(where: str, member: str) -> InputError:
    """Return the error for a source that was written to while it was read."""
    return InputError("it changed while it was read", code="source-changed", file=where, member=member)


class PreadStream(io.RawIOBase):
    """Reads `size` bytes of a file from `offset` by pread.

    It has a position of its own, so that any number of streams can share one
    file descriptor in any number of threads; `readinto` copies nothing on the way.
    Every read asks whether the run was cancelled.
    """

    def __init__(
        self,
        fd: int,
        offset: int,
        size: int,
        *,
        where: str,
        member: str,
        close: Callable[[], None] | None = None,
        state: OpenState | None = None,
    ) -> None:
        """Read from `fd`, which stays open unless `close` is there to close it, or until `state` is closed."""
        super().__init__()
        self._fd = fd
        self._begin = offset
        self._next = offset
        self._end = offset + size
        self._where = where
        self._member = member
        self._close = close
        self._state = state

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to `offset` bytes from start, here or end; never outside the slice."""
        base = {os.SEEK_SET: self._begin, os.SEEK_CUR: self._next, os.SEEK_END: self._end}[whence]
        self._next = min(max(base + offset, self._begin), self._end)
        return self._next - self._begin

    def tell(self) -> int:
        """Return the position, 0 at the first byte of the slice."""
        return self._next - self._begin

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer`; 0 only at the end.

        Raises:
            InputError: the file has become shorter.
            StorageError: reading failed.
        """
        view = memoryview(buffer).cast("B")[: self._end - self._next]
        if not len(view):
            return 0
        self._check()
        try:
            if _HAS_PREADV:
                count = os.preadv(self._fd, [view], self._next)
            else:
                data = os.pread(self._fd, len(view), self._next)
                count = len(data)
                view[:count] = data
        except OSError as error:
            raise StorageError.from_os(error, file=self._where, doing=f"reading {self._member}") from error
        if not count:
            raise changed(self._where, self._member)
        self._next += count
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes, all that are left if it is negative."""
        left = self._end - self._next
        if size is None or size < 0:
            return self.readall()
        if not size or not left:
            return b""
        self._check()
        try:
            data = os.pread(self._fd, min(size, left), self._next)
        except OSError as error:
            raise StorageError.from_os(error, file=self._where, doing=f"reading {self._member}") from error
        if not data:
            raise changed(self._where, self._member)
        self._next += len(data)
        return data

    def _check(self) -> None:
        cancel.check()
        if self._state is not None:
            self._state.check(self._where)

    def readall(self) -> bytes:
        """Return all that is left."""
        parts = []
        while data := self.read(CHUNK):
            parts.append(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close the stream, and the file if this stream owns it."""
        if self.closed:
            return
        super().close()
        if self._close is not None:
            self._close()


@dataclass(frozen=True, slots=True, eq=False)
class SliceBlob:
    """A slice of an open file; the tree it comes from keeps `fd` open."""

    fd: int
    offset: int
    size: int
    where: str
    file: str
    state: OpenState | None = None

    def open(self) -> BinaryIO:
        """Start reading at the first byte.

        Raises:
            UsageError: the source is closed.
        """
        self._check()
        stream = PreadStream(self.fd, self.offset, self.size, where=self.file, member=self.where, state=self.state)
        return cast("BinaryIO", stream)

    def _check(self) -> None:
        if self.state is not None:
            self.state.check(self.file)

    def extent(self) -> Extent:
        """Return where the bytes are; errors as `open`."""
        self._check()
        return Extent(self.fd, self.offset, self.size)


class PrivateBlob:
    """Marks bytes that only this process can change: in memory, or in a temporary file of its own.

    Such bytes are verified once. The bytes of a source are hashed in every reading.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class SpooledBlob(SliceBlob, PrivateBlob):
    """A slice of an unnamed temporary file."""


@dataclass(frozen=True, slots=True, eq=False)
class MemoryBlob(PrivateBlob):
    """Bytes in memory: small documents from a stream."""

    data: bytes
    where: str

    @property
    def size(self) -> int:
        """Bytes in the blob."""
        return len(self.data)

    def open(self) -> BinaryIO:
        """Start reading at the first byte."""
        return io.BytesIO(self.data)

    def extent(self) -> None:
        """Return None: the bytes are not in a file."""


class OwnedExtent(Extent):
    """An extent with a file descriptor of its own, closed with its last reference."""

    def __del__(self) -> None:
        """Close the file."""
        os.close(self.fd)


@dataclass(frozen=True, slots=True, eq=False)
class FolderBlob:
    """A regular file below a folder, opened again by each `open`.

    The path is walked from the folder's descriptor without following a link, and
    the file must be the one that was found first, so a user who can write to the
    folder cannot lead a reader out of it.
    """

    root: int
    parts: tuple[str, ...]
    stamp: Stamp
    where: str
    file: str
    state: OpenState | None = None

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self.stamp.size

    def open(self) -> BinaryIO:
        """Start reading at the first byte.

        Raises:
            UsageError: the source is closed.
            InputError: the file was replaced.
            StorageError: it cannot be opened.
        """
        fd = self._open()
        stream = PreadStream(
            fd, 0, self.size, where=self.file, member=self.where, close=lambda: os.close(fd), state=self.state
        )
        return cast("BinaryIO", stream)

    def extent(self) -> Extent:
        """Return where the bytes are; the descriptor is the extent's own."""
        return OwnedExtent(self._open(), 0, self.size)

    def _open(self) -> int:
        if self.state is not None:
            self.state.check(self.file)
        fd = open_below(self.root, self.parts, file=self.file, member=self.where)
        if Stamp.of(os.fstat(fd)) != self.stamp:
            os.close(fd)
            raise changed(self.file, self.where)
        return fd


@dataclass(frozen=True, slots=True, eq=False)
class StagedBlob(FolderBlob, PrivateBlob):
    """A file that this run wrote into a temporary folder of its own."""


def open_below(root: int, parts: tuple[str, ...], *, file: str, member: str) -> int:
    """Open a regular file below the folder `root` without following any link.

    Raises:
        UnsafeInputError: it is a device, FIFO or socket, or a link came in the way.
        StorageError: the system refuses.
    """
    folder = root
    try:
        for part in parts[:-1]:
            below = os.open(part, _NO_FOLLOW | os.O_DIRECTORY, dir_fd=folder)
            if folder != root:
                os.close(folder)
            folder = below
        # Looked at before it is opened: opening a device can have effects.
        status = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            msg = "it is not a regular file"
            raise UnsafeInputError(msg, code="not-a-file", file=file, member=member)
        fd = os.open(parts[-1], _NO_FOLLOW, dir_fd=folder)
    except OSError as error:
        raise StorageError.from_os(error, file=file, doing=f"opening {member}") from error
    finally:
        if folder != root:
            os.close(folder)
    return fd
