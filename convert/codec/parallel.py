"""One DEFLATE stream with the bytes of Go's encoders, worked on by many cores.

`docs/encoders.md` describes what is parallel, and why the bytes equal those of a serial run.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from convert._native import FAMILY_GO126, FAMILY_GO127, Batch, ParallelEncoder
from convert.codec.compression import LOW_WORKER_COUNT
from convert.codec.workers import InputBuffer, Part, Task, Workers

if TYPE_CHECKING:
    from concurrent.futures import Executor

# Levels up to which blocks are cut from the input; above, from the tokens.
_LAST_CUTTING_INPUT: Final = {FAMILY_GO126: 1, FAMILY_GO127: 6}
# Input in flight, over all segments of a stream. Tokens, tables and output need up to six times
# as much; with the interpreter's 14 MB the total stays below 64 MB. Few workers speculate on a
# part of it only, and a larger window means fewer cold starts.
_IN_FLIGHT_BLOCKS: Final = 5 << 20
_IN_FLIGHT_TOKENS: Final = 4 << 20
_IN_FLIGHT_FEW_1: Final = 7 << 20  # level 1: its tables are small
_IN_FLIGHT_FEW_BLOCKS: Final = 6 << 20
_FEW_SEGMENT: Final = 640 << 10
_FEW_BATCHES: Final = 2
# Segments in one buffer: the next one has the bytes before it without a copy.
_BUFFER_SEGMENTS: Final = 2
# Input that is checked together, while working in order, for whether it compresses; and the first such check.
_IN_ORDER: Final = 1 << 20
_PROBE: Final = 1 << 18
# Input that must come out stored before the stream goes back to working in order, for which all segments are joined.
_NOISE: Final = 4 << 20
# Segments in the queue when speculation begins.
_LEAD: Final = 3
# More workers mean shorter segments, because the memory is shared out. Levels 2 to 9 of go1.26 need a
# short warm-up and keep no snapshots.
_MOST_WORKERS: Final = 8
_MOST_WORKERS_GO126_TOKENS: Final = 12
# Repairs at go1.27-1 are long, and the calling thread does them: with more workers it would do
# nothing else (docs/encoders.md).
_MOST_WORKERS_GO127_1: Final = 4


class _JoinedSegment:
    """A joined segment whose batch is being planned or written, or waits for its turn."""

    def __init__(self, batch: Batch, part: Part) -> None:
        self.batch = batch
        self.part = part
        self.task: Task | None = None  # must end before the next step

    def done(self) -> bool:
        """Whether the task has ended."""
        return self.task is None or self.task.done()


class Parallel:
    """A stream cut into segments that are joined in order; some are encoded speculatively before that.

    The calling thread is one of the workers. It parses the stream in order; others encode
    what it has parsed and, when there is too little of that, speculate on later
    segments. The caller itself does whatever has not begun when it is needed.

    Encoders that cut the input into blocks skip over noise as fast as it can be copied, so
    parallel work gains nothing there. They start in order, stay so while nothing
    compresses, and return to it when a segment did not compress.
    """

    def __init__(
        self, family: int, level: int, geometry: tuple[int, int, int, int], executor: Executor, workers: int
    ) -> None:
        self._unit, self._before, self._after, self._history = geometry
        # Encoders that cut the input, not the tokens, skip over noise.
        self._skips = level <= _LAST_CUTTING_INPUT[family]
        if (family, level) == (FAMILY_GO127, 1):
            most_workers = _MOST_WORKERS_GO127_1
        else:
            most_workers = _MOST_WORKERS if self._skips or family == FAMILY_GO127 else _MOST_WORKERS_GO126_TOKENS
        workers = min(workers, most_workers)
        self._few = workers <= LOW_WORKER_COUNT
        if self._few:
            in_flight_blocks = _IN_FLIGHT_FEW_1 if level == 1 else _IN_FLIGHT_FEW_BLOCKS
            in_flight = in_flight_blocks if self._skips else _IN_FLIGHT_TOKENS
            self._full = max(1, min(_FEW_SEGMENT, in_flight // 2) // self._unit) * self._unit
            self._most = max(1, in_flight // self._full - 1)
            self._most_batches = _FEW_BATCHES
        else:
            in_flight = _IN_FLIGHT_BLOCKS if self._skips else _IN_FLIGHT_TOKENS
            # Enough for every worker while the oldest is being joined.
            self._most = workers + workers // 4
            self._most_batches = self._most // 4
            self._full = max(1, in_flight // (self._most + 1) // self._unit) * self._unit
        self._encoder = ParallelEncoder(family, level)
        self._workers = Workers(executor, workers - 1 if self._few else workers, few=self._few)
        self._parts: deque[Part] = deque()
        self._undecided: deque[_JoinedSegment] = deque()
        self._batches: deque[_JoinedSegment] = deque()
        self._spare: list[InputBuffer] = []
        # The next segment as far as its input is there, behind the bytes before it that it needs.
        self._number = 0
        self._size = self._full
        self._buffer = InputBuffer(0)
        self._begin = 0
        self._end = 0
        self._position = 0
        # While in order: input and output since the last check.
        self._in_order = self._skips
        self._taken = 0
        self._given = 0
        self._enough = _PROBE
        self._draining = False
        self._noise = 0
        if not self._in_order:
            self._buffer = self._new_buffer()

    @property
    def repaired(self) -> int:
        """Bytes of input that had to be parsed twice."""
        return self._encoder.repaired

    def write(self, data: memoryview) -> bytes:
        """Take input, return the output that is complete."""
        out: list[bytes] = []
        taken = 0
        while taken < len(data):
            rest = data[taken:] if taken else data
            taken += self._go_on_in_order(rest, out) if self._in_order else self._fill(rest, out)
        return b"".join(out)

    def room(self) -> memoryview | None:
        """Return the memory for the next input, for `filled`; None if it may be anywhere, for `write`."""
        if self._in_order:
            return None
        return self._buffer.memory[self._end : self._begin + self._size + self._after]

    def filled(self, count: int) -> bytes:
        """Take `count` bytes that were put into that memory; as `write`."""
        out: list[bytes] = []
        self._grow(count, out)
        return b"".join(out)

    def finish(self) -> bytes:
        """End the stream, return the rest of the output."""
        if self._in_order:
            return self._encoder.finish()
        self._size = self._end - self._begin
        self._parts.append(self._next_part(last=True))
        self._workers.end()
        out: list[bytes] = []
        while self._parts:
            self._join(out)
        self._append_all(out)
        return b"".join(out)

    # -- in order --------------------------------------------------------------------

    def _go_on_in_order(self, data: memoryview, out: list[bytes]) -> int:
        part = data[: self._enough] if len(data) > self._enough else data
        out.append(self._encoder.write(part))
        self._taken += len(part)
        self._given += len(out[-1])
        if self._taken >= self._enough:
            # The incomplete rest, less than a unit, is counted with the next check.
            complete = (self._taken - 1) // self._unit * self._unit
            if self._given < complete:
                self._share_out()
            else:
                self._taken -= complete
                self._position += complete
                self._given = 0
                self._enough = _IN_ORDER
        return len(part)

    def _share_out(self) -> None:
        held, before = self._encoder.hand_over()
        self._position += self._taken - (len(held) - before)
        self._in_order = False
        self._buffer = self._new_buffer()
        self._buffer.memory[: len(held)] = held
        self._begin, self._end = before, len(held)

    def _take_over(self, following: int, out: list[bytes]) -> None:
        self._append_all(out)
        begin = min(following, self._history)
        self._encoder.take_over(self._buffer.memory[following - begin : self._end], begin)
        self._in_order = True
        self._draining = False
        self._noise = 0
        self._spare.clear()
        self._taken = self._end - following
        self._given = 0
        self._enough = _IN_ORDER

    # -- in parallel -----------------------------------------------------------------

    def _new_buffer(self) -> InputBuffer:
        size = self._before + _BUFFER_SEGMENTS * self._full + self._after
        return self._spare.pop() if self._spare else InputBuffer(size)

    def _next_part(self, *, last: bool) -> Part:
        segment = self._encoder.segment(self._buffer.memory[: self._end], self._begin, self._size, self._position, last)
        part = Part(self._number, segment, self._size, self._buffer)
        self._position += self._size
        self._number += 1
        return part

    def _fill(self, data: memoryview, out: list[bytes]) -> int:
        # Every segment but the last needs the bytes that follow it; until more than those
        # are there, this may be the last one.
        full = self._begin + self._size + self._after
        part = min(len(data), full - self._end)
        self._buffer.memory[self._end : self._end + part] = data[:part]
        self._grow(part, out)
        return part

    def _grow(self, count: int, out: list[bytes]) -> None:
        self._end += count
        if self._end == self._begin + self._size + self._after:
            self._hand_out(out)

    def _hand_out(self, out: list[bytes]) -> None:
        """Create a segment, let idle workers speculate on it, and join the oldest one."""
        # Bytes that were encoded in order before may be gone.
        has_context = self._begin >= min(self._position, self._before)
        part = self._next_part(last=False)
        if has_context and not self._draining:
            self._workers.speculate(part, self._parts[-1] if self._parts else None)
        self._parts.append(part)
        if self._draining:
            # Before working in order again: join two for each new one, so that little output comes at a time.
            for _ in range(min(2, len(self._parts))):
                self._join(out)
        else:
            if len(self._parts) > _LEAD:
                self._workers.ready()
            # With few workers, the caller begins before the window is full.
            most = min(self._most, _LEAD + self._number // 2) if self._few else self._most
            while len(self._parts) > most:
                self._join(out)
        following = self._begin + self._size
        if self._draining and not self._parts:
            self._take_over(following, out)
        else:
            self._begin_next(following)

    def _begin_next(self, following: int) -> None:
        """Begin the next segment behind this one, with as many bytes before it as it needs."""
        if following + self._full + self._after <= len(self._buffer.memory):
            self._begin = following
            return
        old, self._buffer = self._buffer, self._new_buffer()
        begin = min(following, self._before)
        end = begin + self._end - following
        self._buffer.memory[:end] = old.memory[following - begin : self._end]
        self._begin, self._end = begin, end
        if not old.parts:
            self._spare.append(old)

    def _join(self, out: list[bytes]) -> None:
        part = self._parts.popleft()
        if self._workers.reach(part):
            assert part.speculation is not None
            self._workers.wait(part.speculation)
        made = _JoinedSegment(self._encoder.join(part.segment), part)
        self._undecided.append(made)
        if not made.batch.planned:
            made.task = self._workers.encode(made.batch.plan)
        self._decide()
        while self._batches and self._batches[0].done():
            self._append(out)
        while len(self._undecided) + len(self._batches) > self._most_batches:
            self._append(out)

    def _decide(self) -> None:
        """Decide how the next batches are written, as far as they are planned, and have them written."""
        while self._undecided and self._undecided[0].done():
            made = self._undecided.popleft()
            self._wait(made)
            self._encoder.decide(made.batch)
            made.task = self._workers.encode(made.batch.run)
            self._batches.append(made)

    def _wait(self, made: _JoinedSegment) -> None:
        if made.task is not None:
            self._workers.wait(made.task)

    def _append_all(self, out: list[bytes]) -> None:
        while self._undecided or self._batches:
            self._append(out)

    def _append(self, out: list[bytes]) -> None:
        if not self._batches:
            self._wait(self._undecided[0])
            self._decide()
        made = self._batches.popleft()
        self._wait(made)
        out.append(self._encoder.append(made.batch))
        if self._skips:
            self._noise = self._noise + made.part.size if len(out[-1]) >= made.part.size else 0
            if self._noise >= _NOISE:
                self._draining = True
        buffer = made.part.buffer
        buffer.parts -= 1
        if not buffer.parts and buffer is not self._buffer:
            self._spare.append(buffer)
