"""Pipes and files that are read in order, with whole-archive compression removed."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from convert import cancel
from convert.archive.cursor import StreamCursor
from convert.archive.tar_header import BLOCK
from convert.codec import decompress
from convert.codec.compression import Compression
from convert.codec.sniff import sniff
from convert.errors import StorageError, UnsafeInputError
from convert.limits import (
    ARCHIVE_RATIO_FREE_SIZE,
    BZIP2_RATIO_FREE_SIZE,
    CHUNK,
    MAX_ARCHIVE_RATIO,
    MAX_BZIP2_RATIO,
    MAX_DECODER_MEMORY,
    MAX_INNER_DECODER_MEMORY,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: Double compression occurs in practice; deeper nesting is refused.
_MAX_NESTING: Final = 2


def decompress_archive(stream: BinaryIO, where: str) -> tuple[BinaryIO, str]:
    """Return the uncompressed bytes of a stream, and the compressions that were removed, as in `gzip+zstd`.

    `stream` is closed if this raises.

    Raises:
        UnsafeInputError: it is compressed more than twice.
        InputError: the compressed data is damaged.
    """
    found: list[str] = []
    try:
        while True:
            head = StreamCursor(stream).read(BLOCK)
            stream = cast("BinaryIO", Prefixed(head, stream))
            compression = sniff(head)
            if not compression:
                return stream, "+".join(found)
            found.append(compression)
            if len(found) > _MAX_NESTING:
                msg = f"compressed more than {_MAX_NESTING} times over"
                raise UnsafeInputError(msg, code="compressed-too-often", file=where)
            raw = _Counted(stream)
            # Layers are decompressed while this stream is open: it must not wait for the memory that they hold.
            most = MAX_DECODER_MEMORY if len(found) == 1 else MAX_INNER_DECODER_MEMORY
            plain = decompress.decompress(cast("BinaryIO", raw), compression, where=where, most_memory=most, wait=False)
            stream = cast("BinaryIO", _Bounded(plain, raw, where, *_ratio(compression)))
    except BaseException:
        stream.close()
        raise


class _Counted(decompress.Over):
    """Counts the bytes that go through."""

    def __init__(self, below: BinaryIO) -> None:
        super().__init__(below)
        self.count = 0

    def _took(self, count: int) -> None:
        self.count += count


class Unclosed(decompress.Over):
    """A stream of the caller's, which stays open."""

    def close(self) -> None:
        """Close this stream only."""
        io.RawIOBase.close(self)


class _Bounded(_Counted):
    """Decompressed bytes, which may be only so many times the compressed ones (docs/contract.md#limits)."""

    def __init__(self, plain: BinaryIO, raw: _Counted, where: str, free: int, most: int) -> None:
        """The ratio may be `most` after `free` bytes."""
        super().__init__(plain)
        self._free = free
        self._most = most
        self._raw = raw
        self._where = where

    def _took(self, count: int) -> None:
        super()._took(count)
        if self.count > self._free and self.count > self._raw.count * self._most:
            msg = f"it expands more than {self._most} times, past {self._free} bytes"
            raise UnsafeInputError(
                msg, code="expands-too-much", file=self._where, hint="decompress it first if you trust it"
            )


def _ratio(compression: Compression) -> tuple[int, int]:
    """Return the bytes after which the ratio of an archive is checked, and the highest ratio."""
    if compression is Compression.BZIP2:
        return BZIP2_RATIO_FREE_SIZE, MAX_BZIP2_RATIO
    return ARCHIVE_RATIO_FREE_SIZE, MAX_ARCHIVE_RATIO


class Prefixed(decompress.Over):
    """Bytes already read from a stream, then the rest of it."""

    def __init__(self, head: bytes, below: BinaryIO) -> None:
        super().__init__(below)
        self._head = head

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer` from the head, then from the stream."""
        if not self._head:
            return super().readinto(buffer)
        view = memoryview(buffer).cast("B")
        part = self._head[: len(view)]
        view[: len(part)] = part
        self._head = self._head[len(part) :]
        return len(part)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes of the head, then of the stream."""
        if not self._head:
            return super().read(size)
        if size is None or size < 0:
            part, self._head = self._head, b""
            return part + super().read(-1)
        part, self._head = self._head[:size], self._head[size:]
        return part


class FileStream(io.FileIO):
    """A pipe or file that is read in order. Errors name it, and every read checks for a cancellation."""

    def __init__(self, fd: int, where: str) -> None:
        """Read from `fd`, which is closed with the stream; `where` names it in errors."""
        super().__init__(fd, "r")
        self._where = where
        self._waits = not stat.S_ISREG(os.fstat(fd).st_mode)

    def _await(self) -> None:
        """Return when there is something to read: no signal interrupts a blocking read in a thread."""
        if self._waits:
            cancel.wait_readable(self.fileno())
        else:
            cancel.check()

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer`; 0 only at the end.

        Raises:
            StorageError: reading failed.
        """
        self._await()
        try:
            return super().readinto(buffer) or 0
        except OSError as error:
            raise StorageError.from_os(error, file=self._where, doing="reading") from error

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes, all that are left if it is negative.

        Raises:
            StorageError: reading failed.
        """
        self._await()
        try:
            return super().read(size) or b""
        except OSError as error:
            raise StorageError.from_os(error, file=self._where, doing="reading") from error


def widen_pipe(fd: int) -> None:
    """Ask Linux for a pipe that holds a whole chunk; smaller ones work as well."""
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415 - only where used

        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, CHUNK)
