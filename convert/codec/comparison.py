"""Compare what encoders make of an unpacked stream with the stream itself.

All candidates are compared on the beginning of the stream, on several threads; those that are
left, usually one, go on to its end. None is run further than its first difference.
"""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

from convert import cancel
from convert.codec.compression import Compression
from convert.codec.feed import FEED_SIZE
from convert.limits import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from convert.codec.compression import Encoder
    from convert.codec.encoders import EncoderSpec

#: Plain bytes fed at a time: a block of most encoders, so that wrong ones go early.
_CHUNK: Final = 64 << 10
#: Plain bytes on which all candidates are compared: what follows a block of pgzip shows too.
_PREFIX: Final = MIB + _CHUNK
#: The gzip header that an encoder writes itself.
_HEADER_SIZE: Final = 10
#: A stream of zstd's highest level takes 90 MB, however short it is: so many at a time.
ZSTD_AT_ONCE: Final = threading.BoundedSemaphore(2)


class _Candidate:
    """An encoder at work, and how much of its output was compared."""

    def __init__(self, spec: EncoderSpec, encoder: Encoder, offset: int) -> None:
        self.spec = spec
        self._encoder = encoder
        #: Where its next byte is in the stream.
        self.offset = offset
        self._skip = _HEADER_SIZE if spec.compression == Compression.GZIP else 0

    def feed(self, plain: memoryview | None) -> bytes:
        """Compress a part of the input, or with None end it; return the output without the encoder's own header."""
        made = self._encoder.write(plain) if plain is not None else self._encoder.finish()
        part = made[self._skip :]
        self._skip -= len(made) - len(part)
        return part


class Window:
    """A stream that is read once, and the part of it that is still to be compared."""

    def __init__(self, stream: BinaryIO, begin: int = 0) -> None:
        """Read `stream`, which stands at offset `begin`."""
        self._stream = stream
        self._held = bytearray()
        self._begin = begin
        self._taken = begin

    def where(self) -> int:
        """Return the offset behind what was given to the decoder."""
        return self._taken

    def chunks(self) -> Iterator[bytes]:
        """Yield the stream, for its decoder."""
        while chunk := self.read(self._taken, FEED_SIZE):
            self._taken += len(chunk)
            yield chunk

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the stream that were not forgotten; fewer only at its end."""
        begin = offset - self._begin
        self._fill(begin + size)
        return bytes(memoryview(self._held)[begin : begin + size])

    def forget(self, before: int) -> None:
        """Drop what no candidate needs any more."""
        before = min(before, self._taken)
        del self._held[: max(0, before - self._begin)]
        self._begin = max(self._begin, before)

    def _fill(self, size: int) -> None:
        while len(self._held) < size:
            data = self._stream.read(max(_CHUNK, size - len(self._held)))
            if not data:
                return
            self._held += data


class Comparison:
    """Compares what candidates make of a body with the stream."""

    def __init__(self, executor: Executor | None, workers: int) -> None:
        self._executor = executor
        self._workers = workers

    def run(self, specs: Sequence[EncoderSpec], body: Body) -> list[EncoderSpec]:
        """Return the encoders whose output is the complete body.

        Raises:
            InputError: the stream is damaged.
        """
        window, begin = body.window, body.begin
        left = self._begin(specs, body)
        if not left:
            return []
        # A single candidate uses all cores.
        shared = (self._executor, self._workers) if len(left) == 1 and not body.complete else (None, 1)
        running = [_Candidate(spec, spec.encoder(*shared), begin) for spec in left]
        for plain in body.plain():
            running = [one for one in running if _advance(one, window, one.feed(plain))]
            if not running:
                return []
            if not body.complete:
                window.forget(min(one.offset for one in running))
        return [one.spec for one in running if _advance(one, window, one.feed(None)) and one.offset == body.end]

    def _begin(self, specs: Sequence[EncoderSpec], body: Body) -> list[EncoderSpec]:
        """Return the encoders whose output for the beginning of a body is that of the stream."""
        if len(specs) == 1:
            return list(specs)
        stream = body.window.read(body.begin, 2 * body.prefix_size + _CHUNK)
        check = partial(_fits, prefix=body.prefix, stream=stream)
        kept = list(self._executor.map(check, specs) if self._executor is not None else map(check, specs))
        return [spec for spec, fits in zip(specs, kept, strict=True) if fits]


def _fits(spec: EncoderSpec, *, prefix: Sequence[memoryview], stream: bytes) -> bool:
    """Return whether `stream` begins with what an encoder makes of `prefix`."""
    with ZSTD_AT_ONCE if spec.compression == Compression.ZSTD else contextlib.nullcontext():
        candidate = _Candidate(spec, spec.encoder(), 0)
        for plain in prefix:
            cancel.check()
            part = candidate.feed(plain)
            if not stream.startswith(part[: max(0, len(stream) - candidate.offset)], candidate.offset):
                return False
            candidate.offset += len(part)
    return True


def _advance(one: _Candidate, window: Window, part: bytes) -> bool:
    """Compare the next output of a candidate with the stream."""
    if window.read(one.offset, len(part)) != part:
        return False
    one.offset += len(part)
    return True


class Body:
    """The body of a gzip member, or a zstd stream, while it is decompressed."""

    def __init__(self, window: Window, begin: int, chunks: Iterator[bytes], end: Callable[[], int]) -> None:
        """Use the body at offset `begin`, whose plain bytes are `chunks`; `end` returns its end when they were read."""
        self.window = window
        self.begin = begin
        self.prefix: list[memoryview] = []
        self.prefix_size = 0
        #: Plain bytes so far.
        self.size = 0
        #: Whether the prefix is all of it.
        self.complete = False
        #: Whether the bytes behind the prefix were read, so that it cannot be compared again.
        self.spent = False
        self._chunks = _cut(chunks)
        self._end = end
        for chunk in self._chunks:
            self.prefix.append(chunk)
            self.prefix_size += len(chunk)
            if self.prefix_size >= _PREFIX:
                break
        else:
            self.complete = True

    def plain(self) -> Iterator[memoryview]:
        """Yield the plain bytes from the beginning.

        Raises:
            ValueError: they are not held any more.
        """
        if self.spent:
            raise ValueError("the beginning of the body is gone")
        self.spent = not self.complete
        self.size = self.prefix_size
        yield from self.prefix
        for chunk in self._chunks:
            self.size += len(chunk)
            yield chunk

    def raw(self) -> bytes:
        """Return the bytes of a complete body as they are stored."""
        return self.window.read(self.begin, self.end - self.begin)

    def drain(self) -> None:
        """Read to the end."""
        for chunk in self._chunks:
            self.size += len(chunk)
            self.window.forget(self.window.where())

    @property
    def end(self) -> int:
        """The offset behind the body; all of it was read."""
        return self._end()


def _cut(chunks: Iterator[bytes]) -> Iterator[memoryview]:
    for chunk in chunks:
        cancel.check()
        view = memoryview(chunk)
        for begin in range(0, len(view), _CHUNK):
            yield view[begin : begin + _CHUNK]
