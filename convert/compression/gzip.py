"""gzip as Go writes it: the C core's DEFLATE between Go's header and trailer.

One stream can be compressed on many cores and still has the bytes that Go makes in
order: see `docs/encoders.md`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Literal

from isal import isal_zlib

from convert._native import LEVEL_HUFFMAN, LEVEL_STORE, Coding, Encoder, Joiner, Segment, segment_geometry

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from typing_extensions import Buffer

_GENERATIONS: Final = {"go1.26": 126, "go1.27": 127}
_NAMED_LEVELS: Final = {"huffman": LEVEL_HUFFMAN, "store": LEVEL_STORE}

# Input in flight, over all segments of a stream. What is made of it (tokens, output) needs up
# to six times as much, and every segment has an encoder's state; all of it is to stay
# below 64 MB. Level 1 gets the most because its sparse table makes wrong guesses long.
_IN_FLIGHT_LEVEL_1: Final = 9 << 20
_IN_FLIGHT_BLOCKS: Final = 6 << 20
_IN_FLIGHT_TOKENS: Final = 3 << 20
_LARGEST_SEGMENT: Final = 4 << 20
_MOST_WORKERS: Final = 16
# Repairs at go1.27-1 are long and done by the caller: with more, smaller segments it would be
# all there is to do (docs/encoders.md).
_MOST_WORKERS_GO127_1: Final = 4


class GoGzipEncoder:
    """One gzip stream with the bytes of Go's compress/gzip.

    The bytes depend on generation, level and input alone: not on how the input is cut,
    on `executor` or on `workers`. With an executor, up to `workers` tasks of about
    1 MiB of input are in it at a time, none of which waits for another; memory stays
    below 64 MB whatever the input and the workers. Not for use by two threads at once.

    Args:
        generation: "go1.26" (Go up to 1.26) or "go1.27".
        level: 1 to 9, "huffman" or "store".
        executor: where parts of the stream may be worked on, or None. Its threads may all
            be busy, or even be waiting for this encoder: what nobody has begun when it
            is needed is done by the caller.
        workers: how many of its threads to use.

    Raises:
        ValueError: there is no such generation or level.
    """

    def __init__(
        self,
        generation: str,
        level: int | str,
        executor: Executor | None = None,
        workers: int = 1,
    ) -> None:
        number = _GENERATIONS.get(generation)
        native = _NAMED_LEVELS.get(level) if isinstance(level, str) else level if 1 <= level <= 9 else None
        if number is None or native is None:
            raise ValueError(f"no encoder {generation}-{level}")
        geometry = segment_geometry(number, native)
        self._stream: _InOrder | _Parallel
        if executor is None or workers < 2 or geometry is None:
            self._stream = _InOrder(number, native)
        else:
            self._stream = _Parallel(number, native, geometry, executor, workers)
        self._header = _header(native)
        self._crc = 0
        self._size = 0

    def write(self, data: Buffer, /) -> bytes:
        """Take input, return the bytes of the stream that are settled."""
        view = memoryview(data).cast("B")
        self._crc = isal_zlib.crc32(view, self._crc)
        self._size += len(view)
        header, self._header = self._header, b""
        return header + self._stream.write(view)

    def finish(self) -> bytes:
        """End the stream, return the rest of its bytes. Nothing may be written after."""
        trailer = self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        header, self._header = self._header, b""
        return header + self._stream.finish() + trailer

    @property
    def repaired(self) -> int:
        """What had to be done twice on many cores: blocks or, for some levels, bytes."""
        return self._stream.repaired


def _header(level: int) -> bytes:
    """Return the ten bytes Go writes (compress/gzip/gzip.go): no name, no time, OS 255."""
    extra_flags = {1: 4, 9: 2}.get(level, 0)
    return bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, extra_flags, 255))


class _InOrder:
    repaired: Literal[0] = 0

    def __init__(self, generation: int, level: int) -> None:
        encoder = Encoder(generation, level)
        self.write: Callable[[memoryview], bytes] = encoder.write
        self.finish = encoder.finish


class _Task:
    """Something to run on the executor, or here if nobody there has begun it."""

    def __init__(self, work: Segment | Coding, source: memoryview, executor: Executor) -> None:
        self.work = work
        self.source = source  # the input it looks at
        self._future: Future[None] = executor.submit(work.run)

    def done(self) -> bool:
        return self._future.done()

    def wait(self) -> None:
        if self._future.cancel():
            self.work.run()
        else:
            self._future.result()


class _Parallel:
    """The stream cut into segments that are worked on apart and joined in order."""

    def __init__(
        self,
        generation: int,
        level: int,
        geometry: tuple[int, int, int],
        executor: Executor,
        workers: int,
    ) -> None:
        unit, self._before, self._after = geometry
        self._executor = executor
        workers = min(workers, _MOST_WORKERS_GO127_1 if (generation, level) == (127, 1) else _MOST_WORKERS)
        self._workers = workers
        # Enough for every worker while the oldest is being joined.
        self._most = workers + max(1, workers // 4)
        in_flight = _IN_FLIGHT_LEVEL_1 if level == 1 else _IN_FLIGHT_BLOCKS if unit > 1 else _IN_FLIGHT_TOKENS
        wanted = min(in_flight // self._most, _LARGEST_SEGMENT)
        self._segment_size = max(1, wanted // unit) * unit
        self._joiner = Joiner(generation, level)
        self._segments: deque[_Task] = deque()
        self._codings: deque[_Task] = deque()
        self._spare: list[memoryview] = []
        # Input not yet in a segment, behind what the next segment wants before it.
        self._buffer = memoryview(bytearray(self._before + self._segment_size + self._after))
        self._begin = 0
        self._end = 0
        self._position = 0

    @property
    def repaired(self) -> int:
        return self._joiner.repaired

    def write(self, data: memoryview) -> bytes:
        out: list[bytes] = []
        taken = 0
        while taken < len(data):
            # All but the last segment need what follows them; until more than that is
            # there, this may be the last one.
            part = min(len(data) - taken, len(self._buffer) - self._end)
            self._buffer[self._end : self._end + part] = data[taken : taken + part]
            self._end += part
            taken += part
            if self._end - self._begin >= self._segment_size + self._after:
                self._submit(self._segment_size, out, last=False)
        return b"".join(out)

    def finish(self) -> bytes:
        out: list[bytes] = []
        self._submit(self._end - self._begin, out, last=True)
        while self._segments:
            self._join(out)
        while self._codings:
            self._append(out)
        return b"".join(out)

    def _submit(self, size: int, out: list[bytes], *, last: bool) -> None:
        while len(self._segments) >= self._most:
            self._join(out)
        # The segment keeps the buffer; the next one gets a new one with the end of it.
        used = self._buffer[: self._end]
        segment = self._joiner.segment(used, self._begin, size, self._position, last)
        self._segments.append(_Task(segment, self._buffer, self._executor))
        self._position += size
        if last:
            return
        following = self._begin + size
        keep = max(0, following - self._before)
        self._buffer = self._spare.pop() if self._spare else memoryview(bytearray(len(self._buffer)))
        self._buffer[: self._end - keep] = used[keep:]
        self._begin = following - keep
        self._end -= keep
        while self._segments[0].done() and len(self._segments) > 1:
            self._join(out)

    def _join(self, out: list[bytes]) -> None:
        task = self._segments.popleft()
        task.wait()
        joined = self._joiner.join(_segment(task.work))
        if isinstance(joined, bytes):
            out.append(joined)
            self._spare.append(task.source)
            return
        self._codings.append(_Task(joined, task.source, self._executor))
        while len(self._codings) > max(1, self._most // 4) or (self._codings and self._codings[0].done()):
            self._append(out)

    def _append(self, out: list[bytes]) -> None:
        task = self._codings.popleft()
        task.wait()
        out.append(self._joiner.append(_coding(task.work)))
        self._spare.append(task.source)


def _segment(work: Segment | Coding) -> Segment:
    assert isinstance(work, Segment)
    return work


def _coding(work: Segment | Coding) -> Coding:
    assert isinstance(work, Coding)
    return work
