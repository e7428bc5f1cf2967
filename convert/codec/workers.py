"""Workers for one parallel stream: its tasks, and the threads of an executor that run them."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from convert._native import Segment

#: Tasks that a thread of the executor runs before other streams that wait for it get their turn.
_TASKS_A_CALL: Final = 4


class Task:
    """Work that is done once, by the first thread that takes it."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work: Callable[[], None] | None = work
        self._done = False
        self._until_done = threading.Lock()
        self._until_done.acquire()
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do the work; an error is kept for `wait`."""
        assert self._work is not None
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - `wait` raises it
            self._error = error
        # The task may be held for long; its input is freed now.
        self._work = None
        self._done = True
        self._until_done.release()

    def done(self) -> bool:
        """Whether the work was done, or has failed."""
        return self._done

    def failed(self) -> bool:
        """Whether the work has failed."""
        return self._error is not None

    def wait(self) -> None:
        """Wait until the work is done; raise what it raised."""
        with self._until_done:
            pass
        if self._error is not None:
            raise self._error


class InputBuffer:
    """Input of some consecutive segments, and the bytes around them that encoding needs."""

    def __init__(self, size: int) -> None:
        self.memory = memoryview(bytearray(size))
        self.parts = 0  # segments of it that are in flight


class Part:
    """A segment in flight."""

    def __init__(self, number: int, segment: Segment, size: int, buffer: InputBuffer) -> None:
        self.number = number
        self.segment = segment
        self.size = size
        self.buffer = buffer
        buffer.parts += 1
        self.speculation: Task | None = None
        self._previous: Part | None = None

    def allow_speculation(self, previous: Part | None) -> None:
        """Let a helper encode it speculatively until the stream reaches it."""
        self.speculation = Task(self._run)
        self._previous = previous

    def drop_speculation(self) -> None:
        """Drop the speculative task: the stream came first."""
        self.speculation = self._previous = None

    def follows_speculation(self) -> bool:
        """Whether the segment before it was encoded speculatively: continuing there is faster and more often right."""
        guess = self._previous.speculation if self._previous is not None else None
        return guess is not None and guess.done() and not guess.failed()

    def _run(self) -> None:
        # Only the stream keeps what has run.
        previous = self._previous if self.follows_speculation() else None
        self._previous = None
        self.segment.run(previous.segment if previous is not None else None)


class Workers:
    """Hands tasks to threads of an executor, or back to the stream that created them.

    A thread of the executor is not given a task but takes the best one that has not begun
    when it arrives. So the stream itself can do what would come too late, and a busy
    executor holds only a few calls, which do nothing when the stream is gone.
    """

    def __init__(self, executor: Executor, helpers: int, *, few: bool) -> None:
        self._executor = executor
        self._few = few
        self._lock = threading.Lock()
        self._encoding: deque[Task] = deque()  # tasks of segments that are joined
        self._parts: deque[Part] = deque()
        self._reached = 0
        self._furthest: Part | None = None  # for which speculation has begun
        self._ready = False
        self._ending = False
        self._free = helpers  # that may still be asked for

    def encode(self, work: Callable[[], None]) -> Task:
        """Have a task of a joined segment done, before any speculation."""
        task = Task(work)
        with self._lock:
            self._encoding.append(task)
        self._ask()
        return task

    def speculate(self, part: Part, previous: Part | None) -> None:
        """Have a segment that follows `previous` encoded speculatively, if the stream does not reach it first."""
        with self._lock:
            part.allow_speculation(previous)
            self._parts.append(part)
        self._ask()

    def reach(self, part: Part) -> bool:
        """Record that the stream has reached the segment; return whether it is or was encoded speculatively."""
        with self._lock:
            self._reached = part.number
            if part in self._parts:
                self._parts.remove(part)
                part.drop_speculation()
            return part.speculation is not None

    def ready(self) -> None:
        """Record that enough input is there to begin speculative encoding."""
        self._ready = True

    def end(self) -> None:
        """Record that no more segments will come."""
        self._ending = True
        self._ask()

    def wait(self, task: Task) -> None:
        """Wait until a task is done; meanwhile do tasks of joined segments that have not begun."""
        while not task.done() and (other := self._next_encoding()) is not None:
            other.run()
        task.wait()

    def _next_encoding(self) -> Task | None:
        with self._lock:
            return self._encoding.popleft() if self._encoding else None

    def _next(self) -> Task | None:
        if self._encoding:
            return self._encoding.popleft()
        part = self._best_part()
        if part is None:
            return None
        self._parts.remove(part)
        if self._furthest is None or part.number > self._furthest.number:
            self._furthest = part
        return part.speculation

    def _best_part(self) -> Part | None:
        """Return the oldest segment or, with few workers, one that is done before the stream reaches it.

        The best is one that follows a speculative segment. A new start costs a warm-up and, where
        it is wrong, repairs; it happens once the stream has reached the end of the last speculative
        segments, near the end of the input so far. Segments before them are for idle workers.
        """
        if not self._few:
            return self._parts[0] if self._parts else None
        later = [part for part in self._parts if part.number > self._reached + 1]
        for part in later:
            if part.follows_speculation():
                return part
        furthest = self._furthest
        if furthest is not None and furthest.number > self._reached:
            assert furthest.speculation is not None
            before = [part for part in later if part.number < furthest.number]
            idle = self._ending or not furthest.speculation.done()
            return before[len(before) // 2] if before and idle else None
        if not later or not (self._ready or self._ending):
            return None
        return later[len(later) // 2 if self._ending else len(later) * 3 // 4]

    def _ask(self) -> None:
        with self._lock:
            if self._free == 0 or not (self._encoding or self._best_part()):
                return
            self._free -= 1
        try:
            self._executor.submit(_help, weakref.ref(self))
        except RuntimeError:
            # The executor is shut down, and no help is needed any more.
            with self._lock:
                self._free = 0

    def help(self) -> None:
        """Run a few tasks and no more, so that other streams that use the executor get their turn."""
        for _ in range(_TASKS_A_CALL):
            with self._lock:
                task = self._next()
            if task is None:
                break
            task.run()
        with self._lock:
            self._free += 1
        self._ask()


def _help(asking: weakref.ref[Workers]) -> None:
    workers = asking()
    if workers is not None:
        workers.help()
