"""gzip as Go writes it: the C core's DEFLATE between Go's header and trailer.

One stream can be compressed on many cores and still has the bytes that Go makes in
order: see `docs/encoders.md`.
"""

from __future__ import annotations

import threading
import weakref
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

# Levels up to which blocks are cut from the input; above, from the tokens.
_LAST_CUTTING_INPUT: Final = {126: 1, 127: 6}
# Input in flight, over all segments of a stream. What is made of it (tokens, tables, output) needs
# up to six times as much; with the interpreter's 14 MB all is to stay below 64 MB. Encoders that
# cut their input get more, because they warm up for longer.
_IN_FLIGHT_BLOCKS: Final = 5 << 20
_IN_FLIGHT_TOKENS: Final = 4 << 20
# So few workers take turns with the caller; of more, it joins what they have guessed.
_FEW: Final = 3
_TASKS_A_CALL: Final = 4
# In order, so much is looked at together to see whether it compresses; and the first time.
_IN_ORDER: Final = 1 << 20
_PROBE: Final = 1 << 18
# Each worker's segments have memory of their own, and the more there are the shorter they are. Those of
# levels 2 to 9 of go1.26 need little to warm up in and keep no snapshots.
_MOST_WORKERS: Final = 8
_MOST_WORKERS_GO126_TOKENS: Final = 12
# Repairs at go1.27-1 are long and done by the caller: with more workers they would be all there
# is to do (docs/encoders.md).
_MOST_WORKERS_GO127_1: Final = 4


class GoGzipEncoder:
    """One gzip stream with the bytes of Go's compress/gzip.

    The bytes depend on generation, level and input alone: not on how the input is cut,
    on `executor` or on `workers`. With an executor, up to `workers` calls are in it at
    a time, each for four tasks of 2 MiB of input at most, none of which waits for another;
    the calling thread is a worker too. Memory stays below 45 MB whatever the input and the
    workers. Not for use by two threads at once.

    Args:
        generation: "go1.26" (Go up to 1.26) or "go1.27".
        level: 1 to 9, "huffman" or "store".
        executor: where parts of the stream may be worked on, or None. Its threads may all
            be busy, or even be waiting for this encoder: what nobody has begun when it
            is needed is done by the caller.
        workers: how many threads to keep busy, the caller's included; from four on it has little
            to do and is not counted.

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

    def __init__(self, work: Callable[[], None]) -> None:
        self._work: Callable[[], None] | None = work
        self._done = threading.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        assert self._work is not None
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - whoever waits for the task raises it
            self._error = error
        # Who holds the task from now on does not hold what it worked on.
        self._work = None
        self._done.set()

    def done(self) -> bool:
        return self._done.is_set()

    def failed(self) -> bool:
        return self._error is not None

    def wait(self) -> None:
        self._done.wait()
        if self._error is not None:
            raise self._error


class _Part:
    """A segment in flight."""

    def __init__(self, number: int, segment: Segment, size: int, buffer: memoryview) -> None:
        self.number = number
        self.segment = segment
        self.size = size
        self.buffer = buffer
        self.guess: _Task | None = None
        self._previous: _Part | None = None

    def may_be_guessed(self, previous: _Part | None) -> None:
        """Let a helper guess at it, until the stream reaches it."""
        self.guess = _Task(self._run)
        self._previous = previous

    def will_not_be_guessed(self) -> None:
        self.guess = self._previous = None

    def follows_a_guess(self) -> bool:
        """Whether the one before has been guessed at: to go on from there is quicker, and more often right."""
        guess = self._previous.guess if self._previous is not None else None
        return guess is not None and guess.done() and not guess.failed()

    def _run(self) -> None:
        # What has run is kept by nobody but the stream.
        previous = self._previous if self.follows_a_guess() else None
        self._previous = None
        self.segment.run(previous.segment if previous is not None else None)


class _Crew:
    """Hands tasks to threads of an executor, or back to the stream that made them.

    The executor is asked for help, not given a task: a thread that comes takes what is best
    done next of what nobody has begun. So the stream can do itself what would come too
    late, and a full executor keeps nothing of it but a few calls, which do nothing when the
    stream is gone.
    """

    def __init__(self, executor: Executor, helpers: int, *, few: bool) -> None:
        self._executor = executor
        self._few = few
        self._lock = threading.Lock()
        self._codings: deque[_Task] = deque()
        self._parts: deque[_Part] = deque()
        self._reached = 0
        self._free = helpers  # that may still be asked for

    def code(self, task: _Task) -> None:
        with self._lock:
            self._codings.append(task)
        self._ask()

    def guess(self, part: _Part, previous: _Part | None) -> None:
        with self._lock:
            part.may_be_guessed(previous)
            self._parts.append(part)
        self._ask()

    def reach(self, part: _Part) -> bool:
        """Say that the stream has come to the part; return whether somebody guesses or has guessed at it."""
        with self._lock:
            self._reached = part.number
            if part in self._parts:
                self._parts.remove(part)
                part.will_not_be_guessed()
            return part.guess is not None

    def wait(self, task: _Task) -> None:
        """Return when it is done, coding what nobody has begun to."""
        while not task.done() and (other := self._next_coding()) is not None:
            other.run()
        task.wait()

    def _next_coding(self) -> _Task | None:
        with self._lock:
            return self._codings.popleft() if self._codings else None

    def _next(self) -> _Task | None:
        if self._codings:
            return self._codings.popleft()
        part = self._best_part()
        if part is None:
            return None
        self._parts.remove(part)
        return part.guess

    def _best_part(self) -> _Part | None:
        """Return the oldest or, for few, what the stream will not have come to before it is done.

        That is what follows a guess, or a place half the way to the end of what is known.
        """
        if not self._few:
            return self._parts[0] if self._parts else None
        ahead = [part for part in self._parts if part.number > self._reached + 1]
        for part in ahead:
            if part.follows_a_guess():
                return part
        return ahead[len(ahead) // 2] if ahead else None

    def _ask(self) -> None:
        with self._lock:
            if self._free == 0 or not (self._codings or self._best_part()):
                return
            self._free -= 1
        try:
            self._executor.submit(_help, weakref.ref(self))
        except RuntimeError:
            # It is shut down: there will be no more help, and none is needed.
            with self._lock:
                self._free = 0

    def help(self) -> None:
        """Do a few tasks, and no more: other streams that use the executor get their turn."""
        for _ in range(_TASKS_A_CALL):
            with self._lock:
                task = self._next()
            if task is None:
                break
            task.run()
        with self._lock:
            self._free += 1
        self._ask()


def _help(asking: weakref.ref[_Crew]) -> None:
    crew = asking()
    if crew is not None:
        crew.help()


class _Made:
    """A joined segment whose bits are being coded, or made already but not yet their turn."""

    def __init__(self, coding: Coding, part: _Part, task: _Task) -> None:
        self.coding = coding
        self.part = part
        self.task = task


class _Parallel:
    """The stream cut into segments that are joined in order, some of them worked on ahead.

    The calling thread is one of the workers. It goes through the stream from where it
    stands; others code what it has parsed and, when there is too little of that, guess at
    segments that lie ahead. What nobody has begun when it is needed the caller does itself.

    Encoders that cut the input into blocks skip over noise as fast as it can be copied,
    and there is nothing to share out. They start in order, go on so while nothing
    compresses, and come back to it when a segment did not.
    """

    def __init__(
        self, generation: int, level: int, geometry: tuple[int, int, int, int], executor: Executor, workers: int
    ) -> None:
        self._unit, self._before, self._after, self._history = geometry
        # Encoders that cut the input, not the tokens, skip over noise.
        self._skips = level <= _LAST_CUTTING_INPUT[generation]
        if (generation, level) == (127, 1):
            most_workers = _MOST_WORKERS_GO127_1
        else:
            most_workers = _MOST_WORKERS if self._skips or generation == 127 else _MOST_WORKERS_GO126_TOKENS
        workers = min(workers, most_workers)
        # Enough for every worker while the oldest is being joined.
        self._most = workers + max(1, workers // 4)
        self._most_codings = max(1, self._most // 4)
        in_flight = _IN_FLIGHT_BLOCKS if self._skips else _IN_FLIGHT_TOKENS
        self._full = max(1, in_flight // (self._most + 1) // self._unit) * self._unit
        self._joiner = Joiner(generation, level)
        few = workers <= _FEW
        self._crew = _Crew(executor, workers - 1 if few else workers, few=few)
        self._parts: deque[_Part] = deque()
        self._codings: deque[_Made] = deque()
        self._spare: list[memoryview] = []
        # The next segment, behind what it wants before it, as far as it is there.
        self._number = 0
        self._size = self._full
        self._buffer = memoryview(b"")
        self._begin = 0
        self._end = 0
        self._position = 0
        # In order: so much, and what it gave, since it was last looked at.
        self._in_order = self._skips
        self._taken = 0
        self._given = 0
        self._enough = _PROBE
        self._ebbing = False
        if not self._in_order:
            self._buffer = self._room()

    @property
    def repaired(self) -> int:
        return self._joiner.repaired

    def write(self, data: memoryview) -> bytes:
        out: list[bytes] = []
        taken = 0
        while taken < len(data):
            rest = data[taken:] if taken else data
            taken += self._go_on_in_order(rest, out) if self._in_order else self._fill(rest, out)
        return out[0] if len(out) == 1 else b"".join(out)

    def finish(self) -> bytes:
        if self._in_order:
            return self._joiner.finish()
        self._size = self._end - self._begin
        self._parts.append(_Part(self._number, self._segment(last=True), self._size, self._buffer))
        out: list[bytes] = []
        while self._parts:
            self._join(out)
        while self._codings:
            self._append(out)
        return b"".join(out)

    # -- in order --------------------------------------------------------------------

    def _go_on_in_order(self, data: memoryview, out: list[bytes]) -> int:
        part = data[: self._enough] if len(data) > self._enough else data
        out.append(self._joiner.write(part))
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
        held, before = self._joiner.hand_over()
        self._position += self._taken - (len(held) - before)
        self._in_order = False
        self._buffer = self._room()
        self._buffer[: len(held)] = held
        self._begin, self._end = before, len(held)

    def _take_over(self, following: int, out: list[bytes]) -> None:
        while self._codings:
            self._append(out)
        begin = min(following, self._history)
        self._joiner.take_over(self._buffer[following - begin : self._end], begin)
        self._in_order = True
        self._ebbing = False
        self._spare.clear()
        self._taken = self._end - following
        self._given = 0
        self._enough = _IN_ORDER

    # -- shared out ------------------------------------------------------------------

    def _room(self) -> memoryview:
        """Return a buffer for the next segment and what is around it."""
        return self._spare.pop() if self._spare else memoryview(bytearray(self._before + self._full + self._after))

    def _segment(self, *, last: bool) -> Segment:
        segment = self._joiner.segment(self._buffer[: self._end], self._begin, self._size, self._position, last)
        self._position += self._size
        return segment

    def _fill(self, data: memoryview, out: list[bytes]) -> int:
        # All but the last segment need what follows them; until more than that is
        # there, this may be the last one.
        full = self._begin + self._size + self._after
        part = min(len(data), full - self._end)
        self._buffer[self._end : self._end + part] = data[:part]
        self._end += part
        if self._end == full:
            self._hand_out(out)
        return part

    def _hand_out(self, out: list[bytes]) -> None:
        """Make a segment, have others guess at it if they have nothing better to do, and join the oldest."""
        # What was worked on in order before is not all there any more.
        known = self._begin >= min(self._position, self._before)
        part = _Part(self._number, self._segment(last=False), self._size, self._buffer)
        self._number += 1
        if known and not self._ebbing:
            self._crew.guess(part, self._parts[-1] if self._parts else None)
        self._parts.append(part)
        if self._ebbing:
            # Before going on in order: two for one, so that little comes out at a time.
            for _ in range(min(2, len(self._parts))):
                self._join(out)
        else:
            while len(self._parts) > self._most:
                self._join(out)
        following = self._begin + self._size
        if self._ebbing and not self._parts:
            self._take_over(following, out)
        else:
            self._begin_next(following)

    def _begin_next(self, following: int) -> None:
        """Go on behind the segment in the buffer, with as much of what was before as is wanted."""
        begin = min(following, self._before)
        buffer = self._room()
        end = begin + self._end - following
        buffer[:end] = self._buffer[following - begin : self._end]
        self._buffer, self._begin, self._end = buffer, begin, end

    def _join(self, out: list[bytes]) -> None:
        part = self._parts.popleft()
        if self._crew.reach(part):
            assert part.guess is not None
            self._crew.wait(part.guess)
        coding = self._joiner.join(part.segment)
        task = _Task(coding.run)
        self._crew.code(task)
        self._codings.append(_Made(coding, part, task))
        while self._codings and (len(self._codings) > self._most_codings or self._codings[0].task.done()):
            self._append(out)

    def _append(self, out: list[bytes]) -> None:
        made = self._codings.popleft()
        self._crew.wait(made.task)
        out.append(self._joiner.append(made.coding))
        if self._skips and len(out[-1]) >= made.part.size:
            self._ebbing = True
        if made.part.buffer is not self._buffer:
            self._spare.append(made.part.buffer)
