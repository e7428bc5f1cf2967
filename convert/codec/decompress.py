"""Decompress streams.

Decompression runs in this process, because external programs were the cause of CVE-2014-9357,
and in constant memory at any ratio. Libraries are imported where they are used, because
`imgconv id` on an uncompressed archive needs none.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Protocol, cast

from convert import cancel
from convert.codec.compression import Compression
from convert.codec.feed import FEED_SIZE, Feed, truncated
from convert.codec.memory import DECODERS
from convert.codec.xz_header import HEAD_SIZE, xz_memory
from convert.codec.zstd_frames import HEADER_MAX, ZstdSource, content_size
from convert.errors import FormatError, UnsupportedError
from convert.limits import CHUNK, MAX_DECODER_MEMORY, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Buffer

_GZIP_MAGIC: Final = b"\x1f\x8b"


class Openable(Protocol):
    """A blob, as `size_hint` needs it."""

    @property
    def size(self) -> int | None:
        """Size in bytes, or None if it is not known before reading."""

    def open(self) -> BinaryIO:
        """Return a stream that begins at the first byte."""


def size_hint(blob: Openable, compression: Compression) -> int | None:
    """Estimate the uncompressed size of a blob from its first or last bytes; None if unknown.

    The result is only a hint: a gzip trailer counts modulo 4 GiB and only the last member (RFC 1952,
    2.3.1), and a zstd stream may have several frames.
    """
    if not compression:
        return blob.size
    with blob.open() as stream:
        if compression == Compression.ZSTD:
            return content_size(stream.read(HEADER_MAX))
        if compression == Compression.GZIP and blob.size is not None and stream.seekable():
            stream.seek(-4, io.SEEK_END)
            return _gzip_content_size(stream.read(4), blob.size)
    return None


def _gzip_content_size(tail: bytes, stored_size: int) -> int | None:
    size = int.from_bytes(tail, "little")
    # DEFLATE adds at most 5 bytes per 64 KiB. A smaller size has wrapped, or counts only the last
    # member (eStargz ends with an empty one).
    least = stored_size - stored_size // 1000 - 1024
    return size if len(tail) == 4 and size >= least else None


def decompress(
    stream: BinaryIO, compression: Compression, *, where: str, most_memory: int = MAX_DECODER_MEMORY, wait: bool = True
) -> BinaryIO:
    """Return a stream of the uncompressed bytes of `stream`; closing it closes `stream`.

    `compression` is the result of `sniff`; with `NONE` the stream itself is returned. `where`
    identifies the stream in errors. Reading to the end checks every checksum of the format;
    a reader that stops early gets unchecked bytes.

    `most_memory` limits the window or dictionary, in bytes. All streams of this process share
    `DECODING_MEMORY`: a stream waits until enough of it is free, unless `wait` is false.

    Raises:
        TruncatedError: while reading: the stream ends within a frame or member.
        FormatError: while reading: the stream is damaged.
        UnsupportedError: while reading: the stream needs more memory than is allowed.
    """
    if not compression:
        return stream
    chunks = plain_chunks(read_chunks(stream, FEED_SIZE), compression, where=where, most_memory=most_memory, wait=wait)
    return cast("BinaryIO", ChunkStream(chunks, close=stream.close))


def read_chunks(stream: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
    """Yield the bytes of `stream` in chunks of at most `size` bytes."""
    while chunk := stream.read(size):
        yield chunk


def read_into(stream: BinaryIO, buffer: Buffer) -> int:
    """Fill `buffer` with one read of a binary stream; return 0 at its end.

    `typing.BinaryIO` does not declare `readinto`, but every stream of `io` has it.
    """
    return cast("io.RawIOBase", stream).readinto(buffer) or 0


def plain_chunks(
    raw: Iterable[bytes],
    compression: Compression,
    *,
    where: str,
    most_memory: int = MAX_DECODER_MEMORY,
    wait: bool = True,
    behind: Callable[[int], None] | None = None,
) -> Iterator[bytes]:
    """Yield the uncompressed bytes of a compressed stream, at most 1 MiB at a time.

    `raw` is always consumed to its end, including junk after a gzip stream, so that a caller that
    hashes it sees every byte. `behind` is called with the size of this junk, if there is any; in
    other formats junk is an error. For memory and errors see `decompress`.
    """
    if not compression:
        return iter(raw)
    if compression == Compression.GZIP:
        return _cancellable(_gunzip(iter(raw), where, behind))
    if compression == Compression.BZIP2:
        return _cancellable(_bunzip2(iter(raw), where))
    memory = _Memory(most_memory, DECODERS.take if wait else _at_once)
    return _cancellable((_unzstd if compression == Compression.ZSTD else _unxz)(iter(raw), where, memory))


def _cancellable(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks and check for cancellation at each: one input chunk may yield a thousand."""
    for chunk in chunks:
        cancel.check()
        yield chunk


class Over(io.RawIOBase):
    """A stream that wraps another one, closes it, and lets subclasses count what is read."""

    def __init__(self, below: BinaryIO) -> None:
        """Read from `below`."""
        super().__init__()
        self._below = below

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer` with one read."""
        count = read_into(self._below, buffer)
        self._took(count)
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the result of one read of the stream below, without a copy."""
        data = self._below.read(-1 if size is None else size)
        self._took(len(data))
        return data

    def _took(self, count: int) -> None:
        """Handle the number of bytes that were read; for subclasses."""

    def close(self) -> None:
        """Close the stream below too."""
        if not self.closed:
            super().close()
            self._below.close()


class ChunkStream(io.RawIOBase):
    """A readable stream over an iterator of chunks; `close` runs once at its end."""

    def __init__(self, chunks: Iterator[bytes], *, close: object = None) -> None:
        """Read from `chunks`; call `close` when closed, if it is callable."""
        super().__init__()
        self._chunks = chunks
        self._close = close
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def _fill(self) -> bool:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._rest = memoryview(chunk)
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer` from the next chunk, possibly with fewer bytes than it holds."""
        view = memoryview(buffer).cast("B")
        if not len(view) or not self._fill():
            return 0
        part = self._rest[: len(view)]
        view[: len(part)] = part
        self._rest = self._rest[len(part) :]
        return len(part)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes; a chunk that fits is not copied."""
        if size is None or size < 0:
            return self.readall()
        if not size or not self._fill():
            return b""
        part, self._rest = self._rest[:size], self._rest[size:]
        if isinstance(part.obj, bytes) and len(part.obj) == len(part):
            return part.obj
        return bytes(part)

    def readall(self) -> bytes:
        """Return all remaining bytes."""
        parts = [bytes(self._rest)]
        self._rest = memoryview(b"")
        parts.extend(self._chunks)
        return b"".join(parts)

    def close(self) -> None:
        """Close the iterator and the stream below it."""
        if self.closed:
            return
        super().close()
        self._rest = memoryview(b"")
        end = getattr(self._chunks, "close", None)
        if end is not None:
            end()
        if callable(self._close):
            self._close()


def _at_once(_: int) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


class _Memory(NamedTuple):
    """The memory limit of one stream, in bytes, and the function that acquires it."""

    most: int
    take: Callable[[int], contextlib.AbstractContextManager[None]]


def _damaged(name: str, where: str, error: Exception) -> FormatError:
    # isal's messages are "Error -6 Incorrect checksum found" and the like.
    reason = str(error).removeprefix("Error ").lstrip("-0123456789 ")
    reason = "checksum mismatch" if reason.startswith("Incorrect checksum") else reason
    return FormatError(f"damaged {name} stream: {reason}", code="damaged-compression", member=where)


def _gunzip(raw: Iterator[bytes], where: str, behind: Callable[[int], None] | None = None) -> Iterator[bytes]:
    """Yield the uncompressed bytes of one or more gzip members (RFC 1952).

    Zeros or junk after a member (tape padding, signatures) end the stream without error, as in
    `docker load`; the two magic bytes begin another member.
    """
    from isal import igzip_lib  # noqa: PLC0415 - only where used

    damage = cast("type[Exception]", igzip_lib.IsalError)

    feed = Feed(raw, "gzip", where)
    first = True
    while first or feed.peek(2) == _GZIP_MAGIC:
        first = False
        member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        try:
            yield from feed.one(member)
        except damage as error:
            raise _damaged("gzip", where, error) from error
    size = feed.drain()
    if size and behind is not None:
        behind(size)


def _unxz(raw: Iterator[bytes], where: str, memory: _Memory) -> Iterator[bytes]:
    """Yield the uncompressed bytes of .xz streams with zero padding between and after them."""
    import lzma  # noqa: PLC0415 - only where used

    feed = Feed(raw, "xz", where)
    first = True
    while first or feed.peek(1):
        first = False
        needed = min(xz_memory(feed.peek(HEAD_SIZE)), memory.most)
        try:
            with memory.take(needed):
                yield from feed.one(lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=needed))
        except lzma.LZMAError as error:
            if "Memory usage limit" in str(error):
                msg = f"the xz stream needs more than {needed // MIB} MiB of memory"
                raise UnsupportedError(msg, code="decompression-memory", member=where) from error
            raise _damaged("xz", where, error) from error
        if feed.skip_zeros() % 4:
            msg = "damaged xz stream: padding is not a multiple of 4 bytes"
            raise FormatError(msg, code="damaged-compression", member=where)


def _bunzip2(raw: Iterator[bytes], where: str) -> Iterator[bytes]:
    """Yield the uncompressed bytes of one or more bzip2 streams."""
    import bz2  # noqa: PLC0415 - only where used

    feed = Feed(raw, "bzip2", where)
    first = True
    while first or feed.peek(1):
        first = False
        try:
            yield from feed.one(bz2.BZ2Decompressor())
        except OSError as error:
            raise _damaged("bzip2", where, error) from error


def _unzstd(raw: Iterator[bytes], where: str, memory: _Memory) -> Iterator[bytes]:
    """Yield the uncompressed bytes of zstd frames, without skippable ones (RFC 8878)."""
    import zstandard  # noqa: PLC0415 - only where used

    source = ZstdSource(raw, where)
    try:
        while source.open():
            # A new decoder for each larger window, because memory was acquired only for the earlier one.
            with memory.take(min(source.window, memory.most)):
                decoder = zstandard.ZstdDecompressor(max_window_size=memory.most)
                reader = decoder.stream_reader(cast("BinaryIO", source), read_size=FEED_SIZE, read_across_frames=True)
                while plain := reader.read(CHUNK):
                    yield plain
                del reader, decoder
    except zstandard.ZstdError as error:
        if "too much memory" in str(error):
            msg = f"the zstd window is larger than {memory.most // MIB} MiB"
            raise UnsupportedError(msg, code="decompression-memory", member=where) from error
        raise _damaged("zstd", where, error) from error
    # The library reports no error for input that ends within a frame, so the source tracks the
    # frames.
    if not source.complete:
        raise truncated("zstd", where)
