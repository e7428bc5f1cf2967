"""What more cores than there are would give: a model of one stream, fed with measured costs.

    python bench/encoders/model.py FILE [PROFILE...]

Every part of a parallel stream is run here by itself, one after the other, and its processor
time taken: filling buffers and CRC, working on each segment that others get, joining it
(comparing, repairing, copying, cutting) or encoding it without a guess, coding, appending. A
schedule is then computed for N workers, the calling thread one of them, with the rules of
convert/compression/gzip.py (segment size and number in flight for that many, which segments
are the caller's, joins and appends in order), and compared with the measured time in order.
That the caller does what others have not begun, memory bandwidth and shared caches are not
in the model.
"""

from __future__ import annotations

import heapq
import sys
import time
from concurrent.futures import Executor
from itertools import pairwise
from pathlib import Path

from isal import isal_zlib

from convert._native import Coding, Encoder, Joiner, segment_geometry
from convert.compression import gzip

CORES = (2, 8, 32)
CHUNK = 1 << 20


class Plan:
    """How the product would cut a stream for so many workers."""

    def __init__(self, generation: int, level: int, workers: int) -> None:
        geometry = segment_geometry(generation, level)
        assert geometry is not None
        self.geometry = geometry
        rules = gzip._Parallel(generation, level, geometry, _Nobody(), workers, busy=False)  # noqa: SLF001 - the rules themselves
        self.guessed, self.left = rules._guess_size, rules._true_size  # noqa: SLF001
        self.most, self.most_codings = rules._most, rules._most_codings  # noqa: SLF001
        self.turns = rules._turns  # noqa: SLF001
        self.helpers = rules._crew._free  # noqa: SLF001
        self.at_once = rules._skips  # noqa: SLF001


class _Nobody(Executor):
    pass


def in_order(generation: int, level: int, data: memoryview) -> float:
    began = time.thread_time()
    encoder = Encoder(generation, level)
    for i in range(0, len(data), CHUNK):
        isal_zlib.crc32(data[i : i + CHUNK])
        encoder.write(data[i : i + CHUNK])
    encoder.finish()
    return time.thread_time() - began


def costs(generation: int, level: int, data: memoryview, plan: Plan) -> tuple[list[list[float]], int]:
    """Return fill, run, join, code and append seconds of each segment, and what was repaired.

    No time to run: it is the caller's, and joining it is all there is.
    """
    _, before, after, _ = plan.geometry
    joiner = Joiner(generation, level)
    result: list[list[float]] = []
    position = 0
    last = False
    while not last:
        own = len(result) % plan.turns == 0
        step = plan.left if own else plan.guessed
        last = len(data) - position < step + after
        size = len(data) - position if last else step
        start = max(0, position - before)
        times = [time.thread_time()]
        held = bytearray(data[start : position + size + (0 if last else after)])
        isal_zlib.crc32(data[position : position + size])
        segment = joiner.segment(held, position - start, size, position, last)
        times.append(time.thread_time())
        if not own:
            segment.run()
        times.append(time.thread_time())
        joined = joiner.encode(segment) if own and plan.at_once else joiner.join(segment)
        times.append(time.thread_time())
        if isinstance(joined, Coding):
            joined.run()
            times.append(time.thread_time())
            joiner.append(joined)
        else:
            times.append(times[-1])
        times.append(time.thread_time())
        parts = [b - a for a, b in pairwise(times)]
        if own:
            parts[1] = 0.0
        result.append(parts)
        position += size
    return result, joiner.repaired


def schedule(segments: list[list[float]], plan: Plan) -> float:
    """Return the time at which the calling thread is done."""
    free = [0.0] * plan.helpers
    now = 0.0
    running: list[tuple[float, list[float]]] = []
    codings: list[tuple[float, float]] = []

    def submit(cost: float) -> float:
        end = max(heapq.heappop(free), now) + cost
        heapq.heappush(free, end)
        return end

    def join() -> None:
        nonlocal now
        end, (_, _, join_cost, code, append) = running.pop(0)
        now = max(now, end) + join_cost
        codings.append((submit(code) if code else now, append))
        while codings and (len(codings) > plan.most_codings or codings[0][0] <= now):
            take()

    def take() -> None:
        nonlocal now
        end, append = codings.pop(0)
        now = max(now, end) + append

    for segment in segments:
        now += segment[0]
        running.append((submit(segment[1]) if segment[1] else 0.0, segment))
        while len(running) > plan.most:
            join()
    while running:
        join()
    while codings:
        take()
    return now


def main() -> None:
    data = memoryview(Path(sys.argv[1]).read_bytes())
    print("profile    cores  segments  MiB each  repaired  work/in order  on the caller  model")
    for profile in sys.argv[2:] or ["go1.26-1", "go1.26-6", "go1.27-1", "go1.27-6"]:
        generation, level = 100 + int(profile[4:6]), int(profile[7:])
        alone = min(in_order(generation, level, data) for _ in range(3))
        for cores in CORES:
            plan = Plan(generation, level, cores)
            runs = [costs(generation, level, data, plan) for _ in range(3)]
            # The best of each part: another program's noise is no part of the model.
            segments = [
                [min(parts) for parts in zip(*same, strict=True)]
                for same in zip(*(run[0] for run in runs), strict=True)
            ]
            work = sum(map(sum, segments))
            caller = sum(segment[0] + segment[2] + segment[4] for segment in segments)
            modelled = schedule(segments, plan)
            print(
                f"{profile:<10} {cores:5}  {len(segments):8}  {plan.guessed / 2**20:8.2f}  {runs[0][1]:8}"
                f"  {work / alone:13.2f}  {caller / work:12.1%}  {alone / modelled:5.2f}x",
                flush=True,
            )


if __name__ == "__main__":
    main()
