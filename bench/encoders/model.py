"""What more cores than there are would give: the product's own scheduling, in simulated time.

    python bench/encoders/model.py FILE [PROFILE...]

One thread runs everything: the stream of convert/compression/parallel.py as it is, and each task
that a helper would have taken at the moment the helper would have come for it. What every step
takes is its processor time here; who would have waited for whom is computed. So the work is
real, warm-ups and repairs included, and in the order that so many workers would have done it
in. Memory bandwidth, shared caches and the interpreter's lock are not in the model.
"""

from __future__ import annotations

import math
import sys
import time
from concurrent.futures import Executor
from pathlib import Path

from convert.compression import crew, parallel
from convert.compression.gzip import GoGzipEncoder

CORES = (2, 8, 32)


class Clock:
    """The caller's time: the processor's, less what was spent on helpers, and waiting."""

    def __init__(self) -> None:
        self.began = time.thread_time()
        self.helped = 0.0
        self.simulating = 0.0
        self.waited = 0.0
        self.elsewhere: float | None = None  # the time of the helper that is being simulated

    def caller(self) -> float:
        return time.thread_time() - self.began - self.simulating + self.waited

    def now(self) -> float:
        return self.caller() if self.elsewhere is None else self.elsewhere


clock = Clock()


class Task(crew.Task):
    """A task that is done when its helper's time says so."""

    done_at = math.inf

    def run(self) -> None:
        super().run()
        if clock.elsewhere is None:
            self.done_at = clock.caller()

    def done(self) -> bool:
        return self.done_at <= clock.now()

    def wait(self) -> None:
        clock.waited += max(0.0, self.done_at - clock.caller())
        super().wait()


class Crew(crew.Crew):
    """Helpers that have worked on, each in its own time, whenever the caller looks."""

    def __init__(self, executor: Executor, helpers: int, *, few: bool) -> None:
        super().__init__(executor, helpers, few=few)
        self._free_at = [0.0] * helpers

    def _ask(self) -> None:
        self._catch_up()

    def reach(self, part: crew.Part) -> bool:
        self._catch_up()
        return super().reach(part)

    def wait(self, task: crew.Task) -> None:
        self._catch_up()
        super().wait(task)

    def _catch_up(self) -> None:
        entered = time.thread_time()
        self._work_until(clock.caller())
        clock.simulating += time.thread_time() - entered

    def _work_until(self, until: float) -> None:
        while (at := min(self._free_at)) <= until:
            helper = self._free_at.index(at)
            clock.elsewhere = at
            task = self._next()
            if isinstance(task, Task):
                began = time.thread_time()
                task.run()
                took = time.thread_time() - began
                clock.helped += took
                task.done_at = self._free_at[helper] = at + took
            clock.elsewhere = None
            if task is None:
                # Those who find nothing can begin no earlier than with what comes next.
                self._free_at = [max(free, until) for free in self._free_at]
                return


class Nobody(Executor):
    """Is never asked."""


def stream(generation: str, level: int, path: Path, workers: int) -> int:
    """Encode; return what was repaired."""
    encoder = GoGzipEncoder(generation, level, Nobody() if workers > 1 else None, workers)
    with path.open("rb", buffering=0) as file:
        while encoder.take(file) is not None:
            pass
    encoder.finish()
    return encoder.repaired


def main() -> None:
    global clock  # noqa: PLW0603 - the patched classes look at it
    # mypy takes a class for a constant; here the simulated ones stand in for it.
    crew.Task = Task  # type: ignore[misc]
    parallel.Crew = Crew  # type: ignore[misc]
    path = Path(sys.argv[1])
    print("profile    cores  repaired  work/in order  caller's work  model")
    for profile in sys.argv[2:] or ["go1.26-1", "go1.26-6", "go1.27-1", "go1.27-6"]:
        generation, _, level = profile.partition("-")
        alone = []
        for _ in range(3):
            clock = Clock()
            stream(generation, int(level), path, 1)
            alone.append(clock.caller())
        for cores in CORES:
            runs = []
            for _ in range(3):
                clock = Clock()
                repaired = stream(generation, int(level), path, cores)
                took = clock.caller()
                runs.append((took, took - clock.waited, clock.helped, repaired))
            # The best run: another program's noise is no part of the model.
            took, caller, helped, repaired = min(runs)
            print(
                f"{profile:<10} {cores:5}  {repaired:8}  {(caller + helped) / min(alone):13.2f}"
                f"  {caller / (caller + helped):13.1%}  {min(alone) / took:5.2f}x",
                flush=True,
            )


if __name__ == "__main__":
    main()
