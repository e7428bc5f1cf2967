"""Who works on a stream that is shared out: tasks, and threads of an executor that come to do them."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from convert._native import Segment

#: Tasks that a thread of the executor does before others that wait for it get their turn.
_TASKS_A_CALL: Final = 4


class Task:
    """Something to be done once, by whoever comes first."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work: Callable[[], None] | None = work
        self._done = False
        self._until_done = threading.Lock()
        self._until_done.acquire()
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do it; what goes wrong is kept for who waits."""
        assert self._work is not None
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - whoever waits for the task raises it
            self._error = error
        # Who holds the task from now on does not hold what it worked on.
        self._work = None
        self._done = True
        self._until_done.release()

    def done(self) -> bool:
        """Whether it has been done, or has failed."""
        return self._done

    def failed(self) -> bool:
        """Whether it has failed."""
        return self._error is not None

    def wait(self) -> None:
        """Return when somebody has done it; raise what it raised."""
        with self._until_done:
            pass
        if self._error is not None:
            raise self._error


class Slab:
    """Input of some segments, one behind the other, and what is wanted around them."""

    def __init__(self, size: int) -> None:
        self.memory = memoryview(bytearray(size))
        self.parts = 0  # of it that are in flight


class Part:
    """A segment in flight."""

    def __init__(self, number: int, segment: Segment, size: int, slab: Slab) -> None:
        self.number = number
        self.segment = segment
        self.size = size
        self.slab = slab
        slab.parts += 1
        self.guess: Task | None = None
        self._previous: Part | None = None

    def may_be_guessed(self, previous: Part | None) -> None:
        """Let a helper guess at it, until the stream reaches it."""
        self.guess = Task(self._run)
        self._previous = previous

    def will_not_be_guessed(self) -> None:
        """Say that the stream came first."""
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


class Crew:
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
        self._coding: deque[Task] = deque()  # what there is to do of codings
        self._parts: deque[Part] = deque()
        self._reached = 0
        self._furthest: Part | None = None  # that somebody has begun to guess at
        self._ready = False
        self._ending = False
        self._free = helpers  # that may still be asked for

    def code(self, work: Callable[[], None]) -> Task:
        """Have a part of a coding done, before any guess."""
        task = Task(work)
        with self._lock:
            self._coding.append(task)
        self._ask()
        return task

    def guess(self, part: Part, previous: Part | None) -> None:
        """Have a part guessed at, which lies behind `previous`, if the stream does not come first."""
        with self._lock:
            part.may_be_guessed(previous)
            self._parts.append(part)
        self._ask()

    def reach(self, part: Part) -> bool:
        """Say that the stream has come to the part; return whether somebody guesses or has guessed at it."""
        with self._lock:
            self._reached = part.number
            if part in self._parts:
                self._parts.remove(part)
                part.will_not_be_guessed()
            return part.guess is not None

    def ready(self) -> None:
        """Say that enough lies ahead to begin guessing."""
        self._ready = True

    def end(self) -> None:
        """Say that no more parts will come."""
        self._ending = True
        self._ask()

    def wait(self, task: Task) -> None:
        """Return when it is done, doing what of codings nobody has begun."""
        while not task.done() and (other := self._next_of_coding()) is not None:
            other.run()
        task.wait()

    def _next_of_coding(self) -> Task | None:
        with self._lock:
            return self._coding.popleft() if self._coding else None

    def _next(self) -> Task | None:
        if self._coding:
            return self._coding.popleft()
        part = self._best_part()
        if part is None:
            return None
        self._parts.remove(part)
        if self._furthest is None or part.number > self._furthest.number:
            self._furthest = part
        return part.guess

    def _best_part(self) -> Part | None:
        """Return the oldest or, for few, what the stream will not have come to before it is done.

        That is what follows a guess. To begin anew costs warming up and, where the guess is
        wrong, repairs; it is done once the stream has come to the end of the last guesses, near
        the end of what is known: they grow there, until the stream is where they begin.
        What lies before them is for those who would be idle.
        """
        if not self._few:
            return self._parts[0] if self._parts else None
        ahead = [part for part in self._parts if part.number > self._reached + 1]
        for part in ahead:
            if part.follows_a_guess():
                return part
        furthest = self._furthest
        if furthest is not None and furthest.number > self._reached:
            assert furthest.guess is not None
            before = [part for part in ahead if part.number < furthest.number]
            idle = self._ending or not furthest.guess.done()
            return before[len(before) // 2] if before and idle else None
        if not ahead or not (self._ready or self._ending):
            return None
        return ahead[len(ahead) // 2 if self._ending else len(ahead) * 3 // 4]

    def _ask(self) -> None:
        with self._lock:
            if self._free == 0 or not (self._coding or self._best_part()):
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


def _help(asking: weakref.ref[Crew]) -> None:
    crew = asking()
    if crew is not None:
        crew.help()
