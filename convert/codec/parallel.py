"""One DEFLATE stream with the bytes of Go's encoders, worked on by many cores.

What is parallel, and why the bytes are those made in order, is said in `docs/encoders.md`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from convert._native import FAMILY_GO126, FAMILY_GO127, Batch, ParallelEncoder
from convert.codec.compression import FEW_WORKERS
from convert.codec.workers import Crew, Part, Slab, Task

if TYPE_CHECKING:
    from concurrent.futures import Executor

# Levels up to which blocks are cut from the input; above, from the tokens.
_LAST_CUTTING_INPUT: Final = {FAMILY_GO126: 1, FAMILY_GO127: 6}
# Input in flight, over all segments of a stream. What is made of it (tokens, tables, output) needs
# up to six times as much; with the interpreter's 14 MB all is to stay below 64 MB. Few workers
# guess at a part of it only, and begin the more rarely the more there is.
_IN_FLIGHT_BLOCKS: Final = 5 << 20
_IN_FLIGHT_TOKENS: Final = 4 << 20
_IN_FLIGHT_FEW_1: Final = 7 << 20  # level 1: its tables are small
_IN_FLIGHT_FEW_BLOCKS: Final = 6 << 20
_FEW_SEGMENT: Final = 640 << 10
_FEW_BATCHES: Final = 2
# Segments that lie in one piece of memory, so that the next need not be given what is before it.
_SLAB_SEGMENTS: Final = 2
# In order, so much is looked at together to see whether it compresses; and the first time.
_IN_ORDER: Final = 1 << 20
_PROBE: Final = 1 << 18
# So much must come out stored to go back to working in order, for which all is joined first.
_NOISE: Final = 4 << 20
# Segments ahead with which guessing begins.
_AHEAD: Final = 3
# Each worker's segments have memory of their own, and the more there are the shorter they are. Those of
# levels 2 to 9 of go1.26 need little to warm up in and keep no snapshots.
_MOST_WORKERS: Final = 8
_MOST_WORKERS_GO126_TOKENS: Final = 12
# Repairs at go1.27-1 are long and done by the caller: with more workers they would be all there
# is to do (docs/encoders.md).
_MOST_WORKERS_GO127_1: Final = 4


class _Made:
    """A joined segment whose batch is being planned or written, or waits for its turn."""

    def __init__(self, batch: Batch, part: Part) -> None:
        self.batch = batch
        self.part = part
        self.task: Task | None = None  # to be done before anything else

    def done(self) -> bool:
        """Whether what was to be done is."""
        return self.task is None or self.task.done()


class Parallel:
    """The stream cut into segments that are joined in order, some of them worked on ahead.

    The calling thread is one of the workers. It goes through the stream from where it
    stands; others code what it has parsed and, when there is too little of that, guess at
    segments that lie ahead. What nobody has begun when it is needed the caller does itself.

    Encoders that cut the input into blocks skip over noise as fast as it can be copied,
    and there is nothing to share out. They start in order, go on so while nothing
    compresses, and come back to it when a segment did not.
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
        self._few = workers <= FEW_WORKERS
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
        self._crew = Crew(executor, workers - 1 if self._few else workers, few=self._few)
        self._parts: deque[Part] = deque()
        self._undecided: deque[_Made] = deque()
        self._batches: deque[_Made] = deque()
        self._spare: list[Slab] = []
        # The next segment, behind what it wants before it, as far as it is there.
        self._number = 0
        self._size = self._full
        self._slab = Slab(0)
        self._begin = 0
        self._end = 0
        self._position = 0
        # In order: so much, and what it gave, since it was last looked at.
        self._in_order = self._skips
        self._taken = 0
        self._given = 0
        self._enough = _PROBE
        self._ebbing = False
        self._noise = 0
        if not self._in_order:
            self._slab = self._new_slab()

    @property
    def repaired(self) -> int:
        """Bytes of input that had to be parsed twice."""
        return self._encoder.repaired

    def write(self, data: memoryview) -> bytes:
        """Take input, return the output that is settled."""
        out: list[bytes] = []
        taken = 0
        while taken < len(data):
            rest = data[taken:] if taken else data
            taken += self._go_on_in_order(rest, out) if self._in_order else self._fill(rest, out)
        return b"".join(out)

    def room(self) -> memoryview | None:
        """Return where the next input is wanted, for `filled`; None where it may lie anywhere, for `write`."""
        if self._in_order:
            return None
        return self._slab.memory[self._end : self._begin + self._size + self._after]

    def filled(self, count: int) -> bytes:
        """Take so many bytes that were put into the room; as `write`."""
        out: list[bytes] = []
        self._grow(count, out)
        return b"".join(out)

    def finish(self) -> bytes:
        """End the stream, return the rest of the output."""
        if self._in_order:
            return self._encoder.finish()
        self._size = self._end - self._begin
        self._parts.append(self._next_part(last=True))
        self._crew.end()
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
            # What is not settled yet, less than a unit, is counted with the next.
            settled = (self._taken - 1) // self._unit * self._unit
            if self._given < settled:
                self._share_out()
            else:
                self._taken -= settled
                self._position += settled
                self._given = 0
                self._enough = _IN_ORDER
        return len(part)

    def _share_out(self) -> None:
        held, before = self._encoder.hand_over()
        self._position += self._taken - (len(held) - before)
        self._in_order = False
        self._slab = self._new_slab()
        self._slab.memory[: len(held)] = held
        self._begin, self._end = before, len(held)

    def _take_over(self, following: int, out: list[bytes]) -> None:
        self._append_all(out)
        begin = min(following, self._history)
        self._encoder.take_over(self._slab.memory[following - begin : self._end], begin)
        self._in_order = True
        self._ebbing = False
        self._noise = 0
        self._spare.clear()
        self._taken = self._end - following
        self._given = 0
        self._enough = _IN_ORDER

    # -- shared out ------------------------------------------------------------------

    def _new_slab(self) -> Slab:
        size = self._before + _SLAB_SEGMENTS * self._full + self._after
        return self._spare.pop() if self._spare else Slab(size)

    def _next_part(self, *, last: bool) -> Part:
        segment = self._encoder.segment(self._slab.memory[: self._end], self._begin, self._size, self._position, last)
        part = Part(self._number, segment, self._size, self._slab)
        self._position += self._size
        self._number += 1
        return part

    def _fill(self, data: memoryview, out: list[bytes]) -> int:
        # All but the last segment need what follows them; until more than that is
        # there, this may be the last one.
        full = self._begin + self._size + self._after
        part = min(len(data), full - self._end)
        self._slab.memory[self._end : self._end + part] = data[:part]
        self._grow(part, out)
        return part

    def _grow(self, count: int, out: list[bytes]) -> None:
        self._end += count
        if self._end == self._begin + self._size + self._after:
            self._hand_out(out)

    def _hand_out(self, out: list[bytes]) -> None:
        """Make a segment, have others guess at it if they have nothing better to do, and join the oldest."""
        # What was worked on in order before is not all there any more.
        known = self._begin >= min(self._position, self._before)
        part = self._next_part(last=False)
        if known and not self._ebbing:
            self._crew.guess(part, self._parts[-1] if self._parts else None)
        self._parts.append(part)
        if self._ebbing:
            # Before going on in order: two for one, so that little comes out at a time.
            for _ in range(min(2, len(self._parts))):
                self._join(out)
        else:
            if len(self._parts) > _AHEAD:
                self._crew.ready()
            # With few, the caller begins before all is there that may be.
            most = min(self._most, _AHEAD + self._number // 2) if self._few else self._most
            while len(self._parts) > most:
                self._join(out)
        following = self._begin + self._size
        if self._ebbing and not self._parts:
            self._take_over(following, out)
        else:
            self._begin_next(following)

    def _begin_next(self, following: int) -> None:
        """Go on behind the segment in the slab, with as much of what was before as is wanted."""
        if following + self._full + self._after <= len(self._slab.memory):
            self._begin = following
            return
        old, self._slab = self._slab, self._new_slab()
        begin = min(following, self._before)
        end = begin + self._end - following
        self._slab.memory[:end] = old.memory[following - begin : self._end]
        self._begin, self._end = begin, end
        if not old.parts:
            self._spare.append(old)

    def _join(self, out: list[bytes]) -> None:
        part = self._parts.popleft()
        if self._crew.reach(part):
            assert part.guess is not None
            self._crew.wait(part.guess)
        made = _Made(self._encoder.join(part.segment), part)
        self._undecided.append(made)
        if not made.batch.planned:
            made.task = self._crew.code(made.batch.plan)
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
            made.task = self._crew.code(made.batch.run)
            self._batches.append(made)

    def _wait(self, made: _Made) -> None:
        if made.task is not None:
            self._crew.wait(made.task)

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
                self._ebbing = True
        slab = made.part.slab
        slab.parts -= 1
        if not slab.parts and slab is not self._slab:
            self._spare.append(slab)
