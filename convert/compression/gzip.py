"""gzip as Go writes it: the C core's DEFLATE between Go's header and trailer.

One stream can be compressed on many cores and still has the bytes that Go makes in
order: see `docs/encoders.md`.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Literal

from isal import isal_zlib

from convert._native import LEVEL_HUFFMAN, LEVEL_STORE, Coding, Encoder, Joiner, Segment, segment_geometry

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from typing_extensions import Buffer

_GENERATIONS: Final = {"go1.26": 126, "go1.27": 127}
_NAMED_LEVELS: Final = {"huffman": LEVEL_HUFFMAN, "store": LEVEL_STORE}

# Input in flight, over all segments of a stream. What is made of it (tokens, output) needs up
# to four times as much; with what a conversion needs beside it, all is to stay below 64 MB.
# Encoders that cut their input get more, because they warm up for longer, and most those that
# keep no tokens (go1.26) or are wrong for longest (go1.27-1).
_IN_FLIGHT_BITS: Final = 8 << 20
_IN_FLIGHT_GO127_1: Final = 7 << 20
_IN_FLIGHT_BLOCKS: Final = 6 << 20
_IN_FLIGHT_TOKENS: Final = 4 << 20
# Left to the caller of every part that others get: joining and appending is its work too, and
# at go1.27-1, where guesses are often wrong for long, repairs.
_SHARE_GO127_1: Final = 7 / 8
# Levels up to which blocks are cut from the input; above, from the tokens.
_LAST_CUTTING_INPUT: Final = {126: 1, 127: 6}
# In order, this much at a time; and the first time, to see whether it compresses.
_ALONE: Final = 1 << 20
_PROBE: Final = 1 << 18
_BUSY_TURNS: Final = 6
_NEVER: Final = sys.maxsize
_MOST_WORKERS: Final = 16
# Repairs at go1.27-1 are long and done by the caller: with more, smaller segments it would be
# all there is to do (docs/encoders.md).
_MOST_WORKERS_GO127_1: Final = 4


class GoGzipEncoder:
    """One gzip stream with the bytes of Go's compress/gzip.

    The bytes depend on generation, level and input alone: not on how the input is cut,
    on `executor` or on `workers`. With an executor, up to `workers` calls are in it at
    a time, each for one task of 2 MiB of input at most, none of which waits for another;
    the calling thread is a worker too. Memory stays below 40 MB whatever the input and the
    workers. Not for use by two threads at once.

    Args:
        generation: "go1.26" (Go up to 1.26) or "go1.27".
        level: 1 to 9, "huffman" or "store".
        executor: where parts of the stream may be worked on, or None. Its threads may all
            be busy, or even be waiting for this encoder: what nobody has begun when it
            is needed is done by the caller.
        workers: how many threads to keep busy, the caller's included.

    Raises:
        ValueError: there is no such generation or level.
    """

    def __init__(
        self,
        generation: str,
        level: int | str,
        executor: Executor | None = None,
        workers: int = 1,
        *,
        busy: bool = False,
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
            self._stream = _Parallel(number, native, geometry, executor, workers, busy=busy)
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
        """Bytes of input that had to be parsed twice on many cores."""
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
    """Something to be done once, by whoever comes first."""

    def __init__(self, work: Segment | Coding) -> None:
        self._work: Segment | Coding | None = work
        self._done = threading.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        assert self._work is not None
        try:
            self._work.run()
        except BaseException as error:  # noqa: BLE001 - whoever waits for the task raises it
            self._error = error
        # Who holds the task from now on does not hold what it worked on.
        self._work = None
        self._done.set()

    def done(self) -> bool:
        return self._done.is_set()

    def wait(self) -> None:
        self._done.wait()
        if self._error is not None:
            raise self._error


class _Crew:
    """Hands tasks to threads of an executor, or back to the stream that made them.

    The executor is asked for help, not given a task: a thread that comes takes the most
    urgent task that nobody has begun. So the stream can do itself what would come too
    late, and a full executor keeps nothing of it but a few calls.
    """

    def __init__(self, executor: Executor, helpers: int) -> None:
        self._executor = executor
        self._lock = threading.Lock()
        self._urgent: deque[_Task] = deque()
        self._others: deque[_Task] = deque()
        self._free = helpers  # that may still be asked for

    def add(self, task: _Task, *, urgent: bool) -> None:
        with self._lock:
            (self._urgent if urgent else self._others).append(task)
            if self._free == 0:
                return
            self._free -= 1
        self._executor.submit(self._help)

    def take_back(self, task: _Task) -> bool:
        """Whether nobody has begun it; then nobody will."""
        with self._lock:
            if task not in self._others:
                return False
            self._others.remove(task)
            return True

    def wait(self, task: _Task) -> None:
        """Return when it is done, working on what is urgent and nobody has begun."""
        while not task.done() and (other := self._next(urgent=True)) is not None:
            other.run()
        task.wait()

    def _next(self, *, urgent: bool = False) -> _Task | None:
        with self._lock:
            if self._urgent:
                return self._urgent.popleft()
            return self._others.popleft() if self._others and not urgent else None

    def _help(self) -> None:
        task = self._next()
        if task is not None:
            task.run()
        with self._lock:
            if not self._urgent and not self._others:
                self._free += 1
                return
        # One task a call: other streams that use the executor get their turn.
        self._executor.submit(self._help)


class _Part:
    """A segment in flight: where its input is, and the guess at it if one was asked for."""

    def __init__(self, segment: Segment, size: int, source: memoryview) -> None:
        self.segment = segment
        self.size = size
        self.source = source
        self.guess: _Task | None = None


class _Made:
    """A joined segment whose bits are being coded, or made already but not yet their turn."""

    def __init__(self, coding: Coding, part: _Part, task: _Task) -> None:
        self.coding = coding
        self.part = part
        self.task = task


class _Parallel:
    """The stream cut into segments that are joined in order, some of them worked on ahead.

    The calling thread is one of the workers. It goes through the stream from where it
    stands; others guess at segments that lie ahead, and code what has been parsed. What
    nobody has begun when it is needed the caller does itself.

    Encoders that cut the input into blocks skip over noise as fast as it can be copied,
    and there is nothing to share out. They start in order, go on so while nothing
    compresses, and come back to it when a segment did not.
    """

    def __init__(
        self,
        generation: int,
        level: int,
        geometry: tuple[int, int, int, int],
        executor: Executor,
        workers: int,
        *,
        busy: bool,
    ) -> None:
        self._unit, self._before, self._after, history = geometry
        sparse = (generation, level) == (127, 1)
        workers = min(workers, _MOST_WORKERS_GO127_1 if sparse else _MOST_WORKERS)
        # Encoders that cut the input, not the tokens, skip over noise.
        self._skips = level <= _LAST_CUTTING_INPUT[generation]
        # Every so many segments one is left to the caller. With many workers, joining and
        # appending are work enough for it: all others are helpers then.
        self._turns, helpers = (_BUSY_TURNS if busy else workers, workers - 1) if workers < 4 else (_NEVER, workers)
        # Enough for every worker while the oldest is being joined.
        self._most = workers + max(1, workers // 4)
        self._most_codings = max(2, self._most // 4)
        in_blocks = _IN_FLIGHT_BITS if generation == 126 else _IN_FLIGHT_GO127_1 if sparse else _IN_FLIGHT_BLOCKS
        size = (in_blocks if self._skips else _IN_FLIGHT_TOKENS) // (self._most + 1)
        if busy and (generation, level) != (126, 1):
            # Nearly all segments are guessed at then, and wait with their tokens.
            size = size * 4 // 7
        self._guess_size = max(1, size // self._unit) * self._unit
        self._true_size = self._units(int(size * _SHARE_GO127_1) if sparse else size)
        # What is before the caller's segment and the segment itself are before the next one.
        self._before_own = max(history, self._before - self._true_size)
        self._joiner = Joiner(generation, level)
        self._crew = _Crew(executor, helpers)
        self._parts: deque[_Part] = deque()
        self._codings: deque[_Made] = deque()
        self._spare: list[memoryview] = []
        # Input not yet in a segment, behind what the next segment wants before it.
        self._buffer = memoryview(bytearray(self._before + self._guess_size + self._after))
        self._begin = 0
        self._end = 0
        self._position = 0
        self._turn = 0
        self._alone = self._skips
        self._wanted = self._units(_PROBE if self._alone else self._true_size)
        # Of parts that were written: whether they compressed. Which of them is looked at must
        # not depend on how fast others are, so it is the latest that is sure to be there.
        self._compressed: deque[bool] = deque()
        self._unknown = self._most + self._most_codings
        self._ebbing = False

    @property
    def repaired(self) -> int:
        return self._joiner.repaired

    def _units(self, size: int) -> int:
        """Round down to what a segment can be."""
        return max(1, min(size, self._guess_size) // self._unit) * self._unit

    def write(self, data: memoryview) -> bytes:
        out: list[bytes] = []
        taken = 0
        while taken < len(data):
            # All but the last segment need what follows them; until more than that is
            # there, this may be the last one.
            part = min(len(data) - taken, self._begin + self._wanted + self._after - self._end)
            self._buffer[self._end : self._end + part] = data[taken : taken + part]
            self._end += part
            taken += part
            if self._end - self._begin == self._wanted + self._after:
                (self._go_on_alone if self._alone else self._hand_out)(out)
        return out[0] if len(out) == 1 else b"".join(out)

    def finish(self) -> bytes:
        self._wanted = self._end - self._begin
        segment = self._segment(last=True)
        if self._alone:
            return self._joiner.encode(segment)
        out: list[bytes] = []
        self._parts.append(_Part(segment, self._wanted, self._buffer))
        self._join_all(out)
        return b"".join(out)

    def _segment(self, *, last: bool) -> Segment:
        segment = self._joiner.segment(self._buffer[: self._end], self._begin, self._wanted, self._position, last)
        self._position += self._wanted
        return segment

    def _move_on(self, buffer: memoryview, keep: int) -> None:
        """Go on behind the segment in a buffer, the same or another, with so much of what was before."""
        following = self._begin + self._wanted
        kept = max(0, following - keep)
        buffer[: self._end - kept] = self._buffer[kept : self._end]
        self._buffer = buffer
        self._begin = following - kept
        self._end -= kept

    def _go_on_alone(self, out: list[bytes]) -> None:
        made = self._joiner.encode(self._segment(last=False))
        out.append(made)
        self._move_on(self._buffer, self._before_own)
        if len(made) >= self._wanted:
            self._stay_alone()
        else:
            self._alone = False
            self._wanted = self._true_size

    def _stay_alone(self) -> None:
        self._alone = True
        self._wanted = self._units(_ALONE)
        self._turn = 0
        self._ebbing = False
        self._compressed.clear()
        self._unknown = self._most + self._most_codings

    def _hand_out(self, out: list[bytes]) -> None:
        """Make a segment, have others guess at it unless it is the caller's turn, and join the oldest."""
        part = _Part(self._segment(last=False), self._wanted, self._buffer)
        self._parts.append(part)
        if self._turn != 0 and not self._ebbing:
            part.guess = _Task(part.segment)
            self._crew.add(part.guess, urgent=False)
        self._turn = (self._turn + 1) % self._turns
        # Before going on alone: two for one, so that little comes out at a time.
        keep = max(0, len(self._parts) - 2) if self._ebbing else self._most
        while len(self._parts) > keep:
            self._join(out)
        if self._skips and not self._ebbing:
            self._unknown -= 1
            self._ebbing = self._unknown < 0 and not self._compressed.popleft()
        if not self._parts:
            self._join_all(out)
            self._move_on(self._buffer, self._before_own)
            self._stay_alone()
            return
        buffer = self._spare.pop() if self._spare else memoryview(bytearray(len(self._buffer)))
        self._move_on(buffer, self._before_own if self._turn == 0 else self._before)
        self._wanted = self._true_size if self._turn == 0 else self._guess_size

    def _join(self, out: list[bytes]) -> None:
        part = self._parts.popleft()
        if part.guess is not None and not self._crew.take_back(part.guess):
            self._crew.wait(part.guess)
        coding = self._joiner.join(part.segment)
        task = _Task(coding)
        self._crew.add(task, urgent=True)
        self._codings.append(_Made(coding, part, task))
        while self._codings and (len(self._codings) > self._most_codings or self._codings[0].task.done()):
            self._append(out)

    def _append(self, out: list[bytes]) -> None:
        made = self._codings.popleft()
        self._crew.wait(made.task)
        out.append(self._joiner.append(made.coding))
        self._compressed.append(len(out[-1]) < made.part.size)
        if made.part.source is not self._buffer:
            self._spare.append(made.part.source)

    def _join_all(self, out: list[bytes]) -> None:
        while self._parts:
            self._join(out)
            self._spare.clear()
        while self._codings:
            self._append(out)
