"""Streams over other streams that count, copy or hash the bytes that pass."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, BinaryIO

from convert.codec import decompress
from convert.errors import InputError, UnsafeInputError
from convert.limits import CHUNK
from convert.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from convert.cancel import Cancel
    from convert.errors import ImgconvError


class CountingStream(decompress.Over):
    """A stream that reports how many bytes pass."""

    def __init__(self, below: BinaryIO, report: Callable[[int], None]) -> None:
        """Read from `below`, which is closed with this stream."""
        super().__init__(below)
        self._report = report

    def _took(self, count: int) -> None:
        self._report(count)


class CopyingStream(io.RawIOBase):
    """A stream that passes what is read to `write` as well: one reading is hashed and written."""

    def __init__(self, inner: BinaryIO, write: Callable[[bytes], object]) -> None:
        """Read from `inner`, which is closed with this stream."""
        super().__init__()
        self._inner = inner
        self._write = write

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer`; errors of `write` are raised too."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes; errors of `write` are raised too."""
        data = self._inner.read(-1 if size is None else size)
        self._write(data)
        return data

    def close(self) -> None:
        """Close the stream below too."""
        if not self.closed:
            self._inner.close()
        super().close()


class HashingStream(io.RawIOBase):
    """A stream that hashes what passes and calls `done` once at its end."""

    def __init__(
        self,
        inner: BinaryIO,
        algorithm: str,
        done: Callable[[Digest, int], None],
        *,
        limit: int | None = None,
        where: str = "",
        cancel: Cancel | None = None,
        too_long: Callable[[], ImgconvError] | None = None,
        limit_hint: str | None = None,
        file: str | None = None,
    ) -> None:
        """Read from `inner`, which is closed with this stream.

        `limit` bounds the bytes, and `too_long` gives the error for more, by default that
        of a layer over the limit, with `limit_hint`; `cancel` ends the reading. `file` names the
        source in errors about the bytes.
        """
        self._inner = inner
        self._cancel = cancel
        self._hasher = hashlib.new(algorithm)
        self._algorithm = algorithm
        self._done: Callable[[Digest, int], None] | None = done
        self._limit = limit
        self._where = where
        self._too_long = too_long
        self._limit_hint = limit_hint
        self._file = file
        self._size = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer`; at the end, call `done`.

        Raises:
            UnsafeInputError: more bytes than the limit.
            Exception: what `done` raises.
        """
        view = memoryview(buffer).cast("B")
        try:
            count = decompress.read_into(self._inner, view)
            self._passed(view[:count], asked=len(view))
        except InputError as error:
            error.file = error.file or self._file
            raise
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes, without a copy where the stream below makes none; as `readinto`."""
        if size is None or size < 0:
            return self.readall()
        try:
            data = self._inner.read(size)
            self._passed(data, asked=size)
        except InputError as error:
            error.file = error.file or self._file
            raise
        return data

    def _passed(self, data: bytes | memoryview, *, asked: int) -> None:
        if data:
            self._size += len(data)
            if self._limit is not None and self._size > self._limit:
                if self._too_long is not None:
                    raise self._too_long()
                raise UnsafeInputError(
                    f"unpacks to more than {self._limit} bytes",
                    code="layer-too-large",
                    member=self._where,
                    hint=self._limit_hint,
                )
            self._hasher.update(data)
            if self._cancel is not None:
                self._cancel.check()
        elif self._done is not None and asked:
            done, self._done = self._done, None
            done(Digest(self._algorithm, self._hasher.hexdigest()), self._size)

    def close(self) -> None:
        """Close the stream below too."""
        if not self.closed:
            self._inner.close()
        super().close()


def drain(stream: BinaryIO, *sinks: Callable[[memoryview], object]) -> int:
    """Read a stream to its end, pass each chunk to every sink, return the number of bytes."""
    total = 0
    for chunk in decompress.read_chunks(stream, CHUNK):
        total += len(chunk)
        for sink in sinks:
            sink(memoryview(chunk))
    return total
