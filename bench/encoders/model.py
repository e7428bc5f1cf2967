"""Measure what more cores than this machine has would give: the product's own scheduling in simulated time.

    python bench/encoders/model.py FILE... [--profile PROFILE]...

One thread runs everything: the stream of the product as it is, and each task that a helper would have
taken at the moment when the helper would have come for it. Each step takes its processor time here; who
would have waited for whom is computed. So the work is real, warm-up and repairs included, and in the order
in which so many workers would have done it. Memory bandwidth, shared caches and the interpreter's lock are
not part of the model. --record adds the result to bench/records.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from convert.codec import parallel
from convert.codec import workers as codec_workers
from convert.codec.gzip import GoGzipEncoder

sys.path.insert(0, str(Path(__file__).parents[1]))
import record
import tables
from measuring import machine

CORES = (2, 8, 32)


class Clock:
    """The caller's time: its processor time without what went to helpers, and its waiting."""

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


class Task(codec_workers.Task):
    """A task that is done at its helper's time."""

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


class Workers(codec_workers.Workers):
    """Helpers with times of their own, which work up to the caller's time whenever the caller looks."""

    def __init__(self, executor: Executor, helpers: int, *, few: bool) -> None:
        super().__init__(executor, helpers, few=few)
        self._free_at = [0.0] * helpers

    def _ask(self) -> None:
        self._catch_up()

    def reach(self, part: codec_workers.Part) -> bool:
        self._catch_up()
        return super().reach(part)

    def wait(self, task: codec_workers.Task) -> None:
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
                # An idle helper begins when the next task comes.
                self._free_at = [max(free, until) for free in self._free_at]
                return


class UnusedExecutor(Executor):
    """An executor that is never used."""


def stream(generation: str, level: int, path: Path, workers: int) -> int:
    """Encode a file; return the bytes that were repaired."""
    encoder = GoGzipEncoder(generation, level, UnusedExecutor() if workers > 1 else None, workers)
    with path.open("rb", buffering=0) as file:
        while encoder.take(file) is not None:
            pass
    encoder.finish()
    return encoder.repaired


def measure(path: Path, profile: str) -> list[dict[str, Any]]:
    """Encode a file with each number of cores; return the rows of a record."""
    global clock  # noqa: PLW0603 - the patched classes look at it
    generation, _, level = profile.partition("-")
    alone = []
    for _ in range(3):
        clock = Clock()
        stream(generation, int(level), path, 1)
        alone.append(clock.caller())
    rows = []
    for cores in CORES:
        runs = []
        for _ in range(3):
            clock = Clock()
            repaired = stream(generation, int(level), path, cores)
            took = clock.caller()
            runs.append((took, took - clock.waited, clock.helped, repaired))
        # The best run: another program's noise is not part of the model.
        took, caller, helped, repaired = min(runs)
        rows.append(
            {
                "input": path.name,
                "profile": profile,
                "cores": cores,
                "speed_up": round(min(alone) / took, 3),
                "work": round((caller + helped) / min(alone), 3),
                "caller": round(caller / (caller + helped), 4),
                "repaired": repaired,
            }
        )
        print(f"{path.name} {profile}, {cores} cores: {min(alone) / took:.2f}x", file=sys.stderr)
    return rows


def main() -> None:
    # mypy takes a class for a constant; here the simulated ones stand in for it.
    codec_workers.Task = Task  # type: ignore[misc]
    parallel.Workers = Workers  # type: ignore[misc]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--profile", action="append", help="[go1.26-1, go1.26-6, go1.27-1, go1.27-6]")
    parser.add_argument("--record", action="store_true", help="add the result to the records")
    parser.add_argument("--records", type=Path, default=record.FOLDER, help="where the records are")
    options = parser.parse_args()
    about = machine()
    profiles = options.profile or ["go1.26-1", "go1.26-6", "go1.27-1", "go1.27-6"]
    rows = [row for path in options.files for profile in profiles for row in measure(path, profile)]
    sizes = {path.name: path.stat().st_size for path in options.files}
    result = record.new("encoder-model", rows, machine=about, input=sizes)
    print(tables.render(result))
    if options.record:
        print(f"recorded: {record.write(result, options.records)}", file=sys.stderr)


if __name__ == "__main__":
    main()
