"""Input of the tar reader: a file, of which only the headers are read, or a stream."""

from __future__ import annotations

import os
from typing import BinaryIO, Final, Protocol

from convert.limits import CHUNK

#: Headers are read this much at a time, so that small members cost one read.
_WINDOW: Final = 8192


class Cursor(Protocol):
    """Input from which headers are read."""

    position: int

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""

    def skip(self, size: int) -> int:
        """Move on by `size` bytes; return how many of them there were."""


class FileCursor:
    """Reads headers from a file by pread and skips what is between them."""

    def __init__(self, fd: int, size: int) -> None:
        """Begin at the first byte of `fd`, a file of `size` bytes."""
        self.position = 0
        self._fd = fd
        self._size = size
        self._window = b""
        self._window_start = 0

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""
        begin = self.position - self._window_start
        if begin < 0 or begin + size > len(self._window):
            self._window = _pread(self._fd, max(size, _WINDOW), self.position)
            self._window_start = self.position
            begin = 0
        data = self._window[begin : begin + size]
        self.position += len(data)
        return data

    def skip(self, size: int) -> int:
        """Move on without reading."""
        step = min(size, max(0, self._size - self.position))
        self.position += step
        return step


class StreamCursor:
    """Reads headers and contents from a stream, in order."""

    def __init__(self, stream: BinaryIO) -> None:
        """Begin where `stream` stands; it is not closed here."""
        self.position = 0
        self.stream = stream

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""
        data = self.stream.read(size)
        while len(data) < size:
            more = self.stream.read(size - len(data))
            if not more:
                break
            data += more
        self.position += len(data)
        return data

    def skip(self, size: int) -> int:
        """Read and discard `size` bytes."""
        left = size
        while left:
            data = self.stream.read(min(left, CHUNK))
            if not data:
                break
            left -= len(data)
        self.position += size - left
        return size - left


def _pread(fd: int, size: int, offset: int) -> bytes:
    data = os.pread(fd, size, offset)
    while len(data) < size:
        more = os.pread(fd, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data
