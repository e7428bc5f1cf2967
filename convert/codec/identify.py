"""Identify the encoder of a compressed stream by re-creating the complete stream.

The header hints where to begin. All encoders that it allows are fed what the
stream unpacks to, chunk by chunk, and each is dropped at the first byte where it
differs: the wrong ones within their first block, so that nearly all the work is
that of the right one. Whoever is left at the end made these very bytes.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from convert.codec import decompress
from convert.codec.compression import Compression
from convert.codec.encoders import encoder_specs
from convert.codec.sniff import sniff
from convert.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convert.codec.compression import Encoder
    from convert.codec.encoders import EncoderSpec

#: Plain bytes fed at a time: a block of most encoders, so that wrong ones go early.
_CHUNK: Final = 64 << 10
_HEADER_SIZE: Final = 10
#: Longest gzip header that is looked through for name and comment.
_LONGEST_HEADER: Final = 64 << 10
_FHCRC, _FEXTRA, _FNAME, _FCOMMENT = 2, 4, 8, 16
_UNIX: Final = 3
#: A stream of zstd's highest level takes 90 MB, however short it is: so many at a time.
_ZSTD_AT_ONCE: Final = threading.BoundedSemaphore(2)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a stream came from.

    `spec` gives its body; `also` give the same one (short streams fit
    several). `header` are a gzip stream's bytes before the body, `by` the tools that write
    them so, "" if that is unknown.
    """

    spec: EncoderSpec
    header: bytes = b""
    by: str = ""
    also: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A profile's name, `gzip-N` (GNU gzip) or `zlib-N`."""
        return self.spec.name


def recognise(open_blob: Callable[[], BinaryIO]) -> Origin | None:
    """Return the encoder that wrote a gzip or zstd stream, None if it is not recognised.

    `open_blob` starts reading at the first byte each time it is called. A stream of
    several members, or with bytes behind it, is None; so is a damaged one.
    """
    with open_blob() as stream:
        head = stream.read(_LONGEST_HEADER)
    compression = sniff(head)
    if compression == Compression.ZSTD:
        left = []
        for spec in encoder_specs(Compression.ZSTD):
            with _ZSTD_AT_ONCE:
                left += _Comparison(open_blob, compression, 0, [spec]).run()
        return _origin(left, b"")
    length = header_size(head) if compression == Compression.GZIP else None
    if length is None:
        return None
    header = head[:length]
    return _origin(_Comparison(open_blob, compression, length, _likely(header)).run(), header)


def _origin(left: Sequence[EncoderSpec], header: bytes) -> Origin | None:
    if not left:
        return None
    best, *others = left
    fixed = header[:_HEADER_SIZE]
    by = next((usual.by for usual in best.headers if usual.raw == fixed and fixed == header), "")
    return Origin(best, header, by, tuple(spec.name for spec in others))


def header_size(head: bytes) -> int | None:
    """Return the size of a gzip header (RFC 1952, 2.3), None if it is incomplete."""
    if len(head) < _HEADER_SIZE or sniff(head) != Compression.GZIP:
        return None
    flags, end = head[3], _HEADER_SIZE
    if flags & _FEXTRA:
        end += 2 + int.from_bytes(head[end : end + 2], "little")
    for flag in (_FNAME, _FCOMMENT):
        if flags & flag:
            end = head.find(b"\0", end) + 1
            if end == 0:
                return None
    end += 2 if flags & _FHCRC else 0
    return end if end <= len(head) else None


def _likely(header: bytes) -> list[EncoderSpec]:
    """Return the gzip encoders, those that write such a header first.

    Go's and Python's headers have OS 255, those of GNU gzip and zlib Unix, and XFL hints
    at the level; but any program may put any header before any body.
    """
    fixed = header[:4] + bytes(4) + header[8:_HEADER_SIZE]
    plain = bytes((*header[:3], 0)) + fixed[4:]

    def rank(spec: EncoderSpec) -> tuple[bool, bool]:
        system = header[9]
        raws = [usual.raw for usual in spec.headers]
        return plain not in raws, system == _UNIX and spec.name.startswith("go")

    return sorted(encoder_specs(Compression.GZIP), key=rank)


class _Candidate:
    """A candidate: its encoder, and how much of its output was compared."""

    def __init__(self, spec: EncoderSpec, offset: int, skip: int) -> None:
        self.spec = spec
        self.offset = offset
        self.encoder: Encoder = spec.encoder()
        self._skip = skip

    def new(self, made: bytes) -> bytes:
        """Return output without the encoder's own header."""
        part = made[self._skip :]
        self._skip -= len(made) - len(part)
        return part


class _Comparison:
    def __init__(
        self, open_blob: Callable[[], BinaryIO], compression: Compression, begin: int, candidates: Sequence[EncoderSpec]
    ) -> None:
        """`begin` is where the body begins in the stream."""
        self._open = open_blob
        self._compression = compression
        skip = _HEADER_SIZE if compression == Compression.GZIP else 0
        self._candidates = [_Candidate(spec, begin, skip) for spec in candidates]

    def run(self) -> list[EncoderSpec]:
        """Return the encoders that give these bytes; none if the stream is damaged."""
        with self._open() as raw:
            window = _Window(raw)
            try:
                with decompress.decompress(self._open(), self._compression, where="layer") as plain:
                    buffer = memoryview(bytearray(_CHUNK))
                    while self._candidates and (count := decompress.read_into(plain, buffer)):
                        self._advance(window, buffer[:count])
            except InputError:
                return []
            self._advance(window, None)
            return [candidate.spec for candidate in self._candidates if window.ends_at(candidate.offset)]

    def _advance(self, window: _Window, plain: memoryview | None) -> None:
        """Feed plain bytes, or the end of them, to all, and keep those whose output fits."""
        kept = []
        for candidate in self._candidates:
            part = candidate.new(candidate.encoder.write(plain) if plain is not None else candidate.encoder.finish())
            if window.holds(candidate.offset, part):
                candidate.offset += len(part)
                kept.append(candidate)
        self._candidates = kept
        if kept:
            window.forget(min(candidate.offset for candidate in kept))


class _Window:
    """The part of a stream that some candidate has not reached yet."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._held = bytearray()
        self._begin = 0

    def holds(self, offset: int, part: bytes) -> bool:
        """Return whether the stream has these bytes there."""
        begin = offset - self._begin
        self._fill(begin + len(part))
        return self._held[begin : begin + len(part)] == part

    def ends_at(self, offset: int) -> bool:
        """Return whether the stream ends there."""
        self._fill(offset - self._begin + 1)
        return len(self._held) == offset - self._begin

    def forget(self, before: int) -> None:
        """Drop what no candidate needs any more."""
        del self._held[: before - self._begin]
        self._begin = before

    def _fill(self, size: int) -> None:
        while len(self._held) < size:
            data = self._stream.read(max(_CHUNK, size - len(self._held)))
            if not data:
                return
            self._held += data
