"""Compressed streams: recognise them by content, read the plain bytes out.

Everything runs in this process (an external program was the hole of
CVE-2014-9357) and in constant memory whatever the ratio. Libraries are imported
where they are used, because `imgconv id` on a plain archive needs none.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, cast

from convert import cancel
from convert.codec.compression import Compression
from convert.codec.feed import FEED_SIZE, Feed, truncated
from convert.codec.memory import DECODERS
from convert.codec.xz_header import HEAD_SIZE, xz_memory
from convert.codec.zstd_frames import HEADER_MAX, ZSTD_MAGIC, ZstdSource, content_size, is_skippable
from convert.errors import FormatError, UnsupportedError
from convert.limits import CHUNK, MAX_DECODER_MEMORY, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Buffer

#: Bytes that `sniff` wants to see.
SNIFF_SIZE: Final = 8

_MAGICS: Final = (
    (b"\x1f\x8b\x08", Compression.GZIP),
    (b"BZh", Compression.BZIP2),
    (b"\xfd7zXZ\x00", Compression.XZ),
    (ZSTD_MAGIC, Compression.ZSTD),
)
_GZIP_MAGIC: Final = b"\x1f\x8b"


def sniff(head: bytes) -> Compression:
    """Return the compression of a stream, from its first bytes.

    The magics are those by which Docker tells layers apart; a zstd stream may
    begin with a skippable frame (RFC 8878, 3.1.2).
    """
    for magic, name in _MAGICS:
        if head.startswith(magic):
            return name
    if len(head) >= SNIFF_SIZE and is_skippable(head):
        return Compression.ZSTD
    return Compression.NONE


class Openable(Protocol):
    """What `size_hint` looks at: a blob."""

    @property
    def size(self) -> int | None:
        """Bytes in it, or None if only reading tells."""

    def open(self) -> BinaryIO:
        """Start reading at the first byte."""


def size_hint(blob: Openable, compression: Compression) -> int | None:
    """Guess the plain size of a compressed blob from its ends; None if unknown.

    Only a hint: a gzip trailer counts modulo 4 GiB and covers the last member
    alone (RFC 1952, 2.3.1), and a zstd frame need not be the only one.
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
    # Deflate stores 64 KiB in 5 bytes more at worst. A smaller sum has wrapped, or
    # is that of a last member only (eStargz ends with an empty one).
    least = stored_size - stored_size // 1000 - 1024
    return size if len(tail) == 4 and size >= least else None


def decompress(
    stream: BinaryIO, compression: Compression, *, where: str, most_memory: int = MAX_DECODER_MEMORY, wait: bool = True
) -> BinaryIO:
    """Return a stream of the plain bytes of `stream`, which it closes with itself.

    `compression` is what `sniff` said; with "" the stream comes back as it is.
    `where` names it in errors. To a reader that stops early nothing is promised
    about the rest; reading to the end checks every checksum the format has.

    `most_memory` is what its window or dictionary may take, in bytes. All streams
    of this process share `DECODING_MEMORY`: one waits until the others leave
    enough for it, unless `wait` is false.

    Raises:
        TruncatedError: while reading: the stream ends in the midst of a frame.
        FormatError: while reading: the stream is damaged.
        UnsupportedError: while reading: it wants more memory than is allowed.
    """
    if not compression:
        return stream
    chunks = plain_chunks(read_chunks(stream, FEED_SIZE), compression, where=where, most_memory=most_memory, wait=wait)
    return cast("BinaryIO", ChunkStream(chunks, close=stream.close))


def read_chunks(stream: BinaryIO, size: int = CHUNK) -> Iterator[bytes]:
    """Yield what `stream` gives, in pieces of at most `size` bytes."""
    while chunk := stream.read(size):
        yield chunk


def read_into(stream: BinaryIO, buffer: Buffer) -> int:
    """Fill `buffer` with one read of a binary stream; 0 at its end.

    `typing.BinaryIO` does not promise `readinto`, every stream of `io` has it.
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
    """Yield the plain bytes of a compressed stream, at most 1 MiB at a time.

    `raw` is always consumed to its end, junk behind a gzip member included, so
    that a caller who hashes it on the way sees every byte. `behind` is called
    with the number of these bytes if there are any; the other formats have none
    that are not damage. Memory and errors as `decompress`.
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
    """Yield the chunks, asking at each whether the run was cancelled: one of input may give a thousand."""
    for chunk in chunks:
        cancel.check()
        yield chunk


class Over(io.RawIOBase):
    """A stream over another one, which it closes, and for subclasses to see what passes."""

    def __init__(self, below: BinaryIO) -> None:
        """Read from `below`."""
        super().__init__()
        self._below = below

    def readable(self) -> bool:
        """It reads."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer` with one read."""
        count = read_into(self._below, buffer)
        self._took(count)
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        """Return what one read gives, without a copy where the stream below makes none."""
        data = self._below.read(-1 if size is None else size)
        self._took(len(data))
        return data

    def _took(self, count: int) -> None:
        """See so many bytes pass."""

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
        """Fill `buffer` from the next chunk; fewer bytes than asked is normal."""
        view = memoryview(buffer).cast("B")
        if not len(view) or not self._fill():
            return 0
        part = self._rest[: len(view)]
        view[: len(part)] = part
        self._rest = self._rest[len(part) :]
        return len(part)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes, a whole chunk without copying it where it fits."""
        if size is None or size < 0:
            return self.readall()
        if not size or not self._fill():
            return b""
        part, self._rest = self._rest[:size], self._rest[size:]
        if isinstance(part.obj, bytes) and len(part.obj) == len(part):
            return part.obj
        return bytes(part)

    def readall(self) -> bytes:
        """Return all that is left."""
        parts = [bytes(self._rest)]
        self._rest = memoryview(b"")
        parts.extend(self._chunks)
        return b"".join(parts)

    def close(self) -> None:
        """Close the iterator and what lies below it."""
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


@dataclass(frozen=True, slots=True)
class _Memory:
    """What one stream may use, in bytes, and how it asks for it."""

    most: int
    take: Callable[[int], contextlib.AbstractContextManager[None]]


def _damaged(name: str, where: str, error: Exception) -> FormatError:
    return FormatError(f"damaged {name} stream: {error}", member=where)


def _gunzip(raw: Iterator[bytes], where: str, behind: Callable[[int], None] | None = None) -> Iterator[bytes]:
    """Yield the plain bytes of one or more gzip members (RFC 1952).

    Zeros or junk behind a member end the stream without error, as `docker load`
    has it (tape padding, signatures); two magic bytes begin another member.
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
    """Yield the plain bytes of .xz streams, with zero padding between and behind."""
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
                raise UnsupportedError(msg, member=where) from error
            raise _damaged("xz", where, error) from error
        if feed.skip_zeros() % 4:
            msg = "damaged xz stream: padding is no multiple of 4 bytes"
            raise FormatError(msg, member=where)


def _bunzip2(raw: Iterator[bytes], where: str) -> Iterator[bytes]:
    """Yield the plain bytes of one or more bzip2 streams."""
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
    """Yield the plain bytes of zstd frames, skippable ones left out (RFC 8878)."""
    import zstandard  # noqa: PLC0415 - only where used

    source = ZstdSource(raw, where)
    try:
        while source.open():
            # A decoder for each larger window: what was granted for one frame does not hold for a later one.
            with memory.take(min(source.window, memory.most)):
                decoder = zstandard.ZstdDecompressor(max_window_size=memory.most)
                reader = decoder.stream_reader(cast("BinaryIO", source), read_size=FEED_SIZE, read_across_frames=True)
                while plain := reader.read(CHUNK):
                    yield plain
                del reader, decoder
    except zstandard.ZstdError as error:
        if "too much memory" in str(error):
            msg = f"the zstd window is over {memory.most // MIB} MiB"
            raise UnsupportedError(msg, member=where) from error
        raise _damaged("zstd", where, error) from error
    # The library takes the end of input for the end of the stream wherever it
    # comes, so the frames were followed on their way in.
    if not source.complete:
        raise truncated("zstd", where)
