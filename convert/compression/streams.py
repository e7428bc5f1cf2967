"""Compressed streams: recognise them by content, read the plain bytes out.

Everything runs in this process (an external program was the hole of
CVE-2014-9357) and in constant memory whatever the ratio. Libraries are imported
where they are used, because `imgconv id` on a plain archive needs none.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, cast

from convert import cancel
from convert.errors import FormatError, TruncatedError, UnsupportedError
from convert.limits import CHUNK, MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from typing_extensions import Buffer

#: Bytes that `sniff` wants to see.
SNIFF_SIZE: Final = 8

#: Largest zstd window accepted: what the format's "long" mode uses by default,
#: and what bounds the memory of one stream.
MAX_ZSTD_WINDOW: Final = 128 * MIB
#: Memory one xz stream may ask for; `xz -9` needs 65 MiB.
MAX_XZ_MEMORY: Final = 128 * MIB

_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE: Final = 0x184D2A50
_MAGICS: Final = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (_ZSTD_MAGIC, "zstd"),
)
_GZIP_MAGIC: Final = b"\x1f\x8b"
#: Magic, descriptor, window, dictionary ID and content size of a frame at most.
_ZSTD_HEADER_MAX: Final = 18
#: Input handed to a decoder at a time: its unread rest is copied on each call.
_FEED: Final = 256 << 10


def sniff(head: bytes) -> str:
    """Return "gzip", "zstd", "bzip2", "xz" or "" from a stream's first bytes.

    The magics are those by which Docker tells layers apart; a zstd stream may
    begin with a skippable frame (RFC 8878, 3.1.2).
    """
    for magic, name in _MAGICS:
        if head.startswith(magic):
            return name
    if len(head) >= SNIFF_SIZE and _is_skippable(head):
        return "zstd"
    return ""


class Openable(Protocol):
    """What `size_hint` looks at: a blob."""

    @property
    def size(self) -> int | None:
        """Bytes in it, or None if only reading tells."""

    def open(self) -> BinaryIO:
        """Start reading at the first byte."""


def size_hint(blob: Openable, compression: str) -> int | None:
    """Guess the plain size of a compressed blob from its ends; None if unknown.

    Only a hint: a gzip trailer counts modulo 4 GiB and covers the last member
    alone (RFC 1952, 2.3.1), and a zstd frame need not be the only one.
    """
    if not compression:
        return blob.size
    with blob.open() as stream:
        if compression == "zstd":
            return _zstd_content_size(stream.read(_ZSTD_HEADER_MAX))
        if compression == "gzip" and blob.size is not None and stream.seekable():
            stream.seek(-4, io.SEEK_END)
            return _gzip_content_size(stream.read(4), blob.size)
    return None


def _gzip_content_size(tail: bytes, stored_size: int) -> int | None:
    size = int.from_bytes(tail, "little")
    # Deflate stores 64 KiB in 5 bytes more at worst. A smaller sum has wrapped, or
    # is that of a last member only (eStargz ends with an empty one).
    least = stored_size - stored_size // 1000 - 1024
    return size if len(tail) == 4 and size >= least else None


def decompress(stream: BinaryIO, compression: str, *, where: str) -> BinaryIO:
    """Return a stream of the plain bytes of `stream`, which it closes with itself.

    `compression` is what `sniff` said; with "" the stream comes back as it is.
    `where` names it in errors. To a reader that stops early nothing is promised
    about the rest; reading to the end checks every checksum the format has.

    Raises:
        TruncatedError: while reading: the stream ends in the midst of a frame.
        FormatError: while reading: the stream is damaged.
        UnsupportedError: while reading: it wants more memory than is allowed.
    """
    if not compression:
        return stream
    chunks = plain_chunks(read_chunks(stream, _FEED), compression, where=where)
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


def plain_chunks(raw: Iterable[bytes], compression: str, *, where: str) -> Iterator[bytes]:
    """Yield the plain bytes of a compressed stream, at most 1 MiB at a time.

    `raw` is always consumed to its end, junk behind a gzip member included, so
    that a caller who hashes it on the way sees every byte. Errors as `decompress`.
    """
    if not compression:
        return iter(raw)
    decoder = {"gzip": _gunzip, "zstd": _unzstd, "xz": _unxz, "bzip2": _bunzip2}[compression]
    return _cancellable(decoder(iter(raw), where))


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


def _truncated(name: str, where: str) -> TruncatedError:
    return TruncatedError(f"the {name} stream ends too early", member=where)


def _damaged(name: str, where: str, error: Exception) -> FormatError:
    return FormatError(f"damaged {name} stream: {error}", member=where)


def _gunzip(raw: Iterator[bytes], where: str) -> Iterator[bytes]:
    """Yield the plain bytes of one or more gzip members (RFC 1952).

    Zeros or junk behind a member end the stream without error, as `docker load`
    has it (tape padding, signatures); two magic bytes begin another member.
    """
    from isal import igzip_lib  # noqa: PLC0415 - only where used

    damage = cast("type[Exception]", igzip_lib.IsalError)

    pending = b""
    first = True
    while True:
        pending = _at_least(pending, 2, raw)
        if not first and pending[:2] != _GZIP_MAGIC:
            break
        if not pending:
            raise _truncated("gzip", where)
        first = False
        member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        try:
            while not member.eof:
                if member.needs_input and not pending:
                    pending = next(raw, b"")
                    if not pending:
                        raise _truncated("gzip", where)
                plain = member.decompress(pending, CHUNK)
                pending = b""
                if plain:
                    yield plain
        except damage as error:
            raise _damaged("gzip", where, error) from error
        pending = member.unused_data
    for _ in raw:
        pass


def _at_least(pending: bytes, size: int, raw: Iterator[bytes]) -> bytes:
    while len(pending) < size:
        more = next(raw, b"")
        if not more:
            break
        pending += more
    return pending


def _first(name: str, raw: Iterator[bytes], where: str) -> bytes:
    data = next(raw, b"")
    if not data:
        raise _truncated(name, where)
    return data


def _unxz(raw: Iterator[bytes], where: str) -> Iterator[bytes]:
    """Yield the plain bytes of .xz streams, with zero padding between and behind."""
    import lzma  # noqa: PLC0415 - only where used

    pending = _first("xz", raw, where)
    while pending:
        stream = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY)
        try:
            while not stream.eof:
                if stream.needs_input and not pending:
                    pending = next(raw, b"")
                    if not pending:
                        raise _truncated("xz", where)
                plain = stream.decompress(pending, CHUNK)
                pending = b""
                if plain:
                    yield plain
        except lzma.LZMAError as error:
            if "Memory usage limit" in str(error):
                msg = f"the xz stream needs more than {MAX_XZ_MEMORY // MIB} MiB of memory"
                raise UnsupportedError(msg, member=where) from error
            raise _damaged("xz", where, error) from error
        pending = stream.unused_data
        padding = 0
        while True:
            rest = pending.lstrip(b"\0")
            padding += len(pending) - len(rest)
            pending = rest or next(raw, b"")
            if rest or not pending:
                break
        if padding % 4:
            msg = "damaged xz stream: padding is no multiple of 4 bytes"
            raise FormatError(msg, member=where)


def _bunzip2(raw: Iterator[bytes], where: str) -> Iterator[bytes]:
    """Yield the plain bytes of one or more bzip2 streams."""
    import bz2  # noqa: PLC0415 - only where used

    pending = _first("bzip2", raw, where)
    while pending:
        stream = bz2.BZ2Decompressor()
        try:
            while not stream.eof:
                if stream.needs_input and not pending:
                    pending = next(raw, b"")
                    if not pending:
                        raise _truncated("bzip2", where)
                plain = stream.decompress(pending, CHUNK)
                pending = b""
                if plain:
                    yield plain
        except OSError as error:
            raise _damaged("bzip2", where, error) from error
        pending = stream.unused_data or next(raw, b"")


def _unzstd(raw: Iterator[bytes], where: str) -> Iterator[bytes]:
    """Yield the plain bytes of zstd frames, skippable ones left out (RFC 8878)."""
    import zstandard  # noqa: PLC0415 - only where used

    source = _ZstdSource(raw, where)
    decoder = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW)
    reader = decoder.stream_reader(cast("BinaryIO", source), read_size=_FEED, read_across_frames=True)
    try:
        while plain := reader.read(CHUNK):
            yield plain
    except zstandard.ZstdError as error:
        if "too much memory" in str(error):
            msg = f"the zstd window is over {MAX_ZSTD_WINDOW // MIB} MiB"
            raise UnsupportedError(msg, member=where) from error
        raise _damaged("zstd", where, error) from error
    # The library takes the end of input for the end of the stream wherever it
    # comes, so the frames were followed on their way in.
    if not source.complete:
        raise _truncated("zstd", where)


class _ZstdSource:
    """Hands raw bytes to libzstd and follows frame and block bounds meanwhile."""

    def __init__(self, raw: Iterator[bytes], where: str) -> None:
        self._raw = raw
        self._where = where
        self._header = b""  # bytes of a header that is not whole yet
        self._skip = 0  # bytes of content until the next header
        self._in_frame = False
        self._has_checksum = False
        self._seen = False

    @property
    def complete(self) -> bool:
        """Whether the input so far ends where a frame ends, and holds one."""
        return self._seen and not (self._in_frame or self._skip or self._header)

    def read(self, _size: int = -1) -> bytes:
        chunk = next(self._raw, b"")
        self._follow(chunk)
        return chunk

    def _follow(self, chunk: bytes) -> None:
        position = 0
        while position < len(chunk):
            if self._skip:
                step = min(self._skip, len(chunk) - position)
                self._skip -= step
                position += step
                continue
            wanted = self._header_size()
            step = min(wanted - len(self._header), len(chunk) - position)
            self._header += chunk[position : position + step]
            position += step
            if len(self._header) == self._header_size():
                self._take_header()

    def _header_size(self) -> int:
        """Bytes of the header being read, as far as known yet."""
        if self._in_frame:
            return 3
        if len(self._header) < 5:
            return 5
        if _is_skippable(self._header):
            return 8
        return 5 + _zstd_header_rest(self._header[4])

    def _take_header(self) -> None:
        header, self._header = self._header, b""
        self._seen = True
        if self._in_frame:
            word = int.from_bytes(header, "little")
            # Block_Type 1 is RLE: one byte stands for Block_Size bytes.
            self._skip = 1 if word >> 1 & 3 == 1 else word >> 3
            if word & 1:
                self._in_frame = False
                self._skip += 4 if self._has_checksum else 0
        elif _is_skippable(header):
            self._skip = int.from_bytes(header[4:8], "little")
        elif header.startswith(_ZSTD_MAGIC):
            self._in_frame = True
            self._has_checksum = bool(header[4] & 4)
        else:
            msg = "damaged zstd stream: bytes behind a frame begin no other"
            raise FormatError(msg, member=self._where)


def _is_skippable(head: bytes) -> bool:
    return int.from_bytes(head[:4], "little") & ~0xF == _ZSTD_SKIPPABLE


def _zstd_header_rest(descriptor: int) -> int:
    """Bytes of a frame header behind its Frame_Header_Descriptor (RFC 8878, 3.1.1.1)."""
    single_segment = bool(descriptor & 0x20)
    size_flag = descriptor >> 6
    size_field = (1 if single_segment else 0, 2, 4, 8)[size_flag]
    return (0 if single_segment else 1) + (0, 1, 2, 4)[descriptor & 3] + size_field


def _zstd_content_size(head: bytes) -> int | None:
    if len(head) < 5 or not head.startswith(_ZSTD_MAGIC):
        return None
    descriptor = head[4]
    end = 5 + _zstd_header_rest(descriptor)
    single_segment = bool(descriptor & 0x20)
    width = (1 if single_segment else 0, 2, 4, 8)[descriptor >> 6]
    if not width or len(head) < end:
        return None
    size = int.from_bytes(head[end - width : end], "little")
    return size + 256 if width == 2 else size
