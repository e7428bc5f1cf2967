"""Whole archives, made by mutating real ones: converted with the right digests, or refused.

    python tests/fuzz/archives.py [--runs N] [--seed S] [--keep FOLDER] [--seconds S] [--json]

needs no fuzzer: it changes members, documents and headers of the archives in testdata
(and of the published ones of fixtures.py, as far as they are there), each run from a
seed of its own, converts each, and judges the result (judging.py). `--keep` receives
what was found.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import resource
import signal
import sys
import tarfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import fixtures
from fuzzing import MOST_TIME, ROOT
from mutation import mutated
from oracle import reading
from oracle.judging import judge

#: Larger ones take their time without showing more.
MOST_SIZE = 100_000


def one(data: bytes) -> int:
    """Convert an archive and judge what came of it; return the status."""
    return judge(data)


def sources():
    """Return real archives, uncompressed, small enough to be read a million times."""
    folder = ROOT / "testdata" / "match" / "archives"
    return {path.name: reading.plain(path) for path in sorted(folder.glob("*.tar.gz"))}


def all_sources():
    """Return every small archive there is, the published ones included."""
    found = dict(sources())
    for folder in ("read", "refuse"):
        for path in sorted((ROOT / "testdata" / folder).glob("*.tar.gz")):
            found[f"{folder}/{path.name}"] = reading.plain(path)
    for path in sorted((ROOT / "testdata" / "fuzz" / "archives").iterdir()):
        found[f"fuzz/{path.name}"] = path.read_bytes()
    for path in fixtures.present("images"):
        if path.is_dir():
            found[path.name] = packed(path)
        elif ".tar" in path.name and path.stat().st_size <= MOST_SIZE:
            found[path.name] = reading.plain(path)
    return {name: data for name, data in found.items() if len(data) <= MOST_SIZE}


def packed(folder):
    """Return a folder as a tar."""
    if sum(path.stat().st_size for path in folder.rglob("*")) > MOST_SIZE:
        return bytes(MOST_SIZE + 1)
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            archive.add(path, str(path.relative_to(folder)), recursive=False)
    return target.getvalue()


def made(seed, archives):
    chance = random.Random(seed)
    name = chance.choice(sorted(archives))
    return name, mutated(archives[name], chance)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--keep", default="")
    options.add_argument("--seconds", type=int, default=0, help="stop after so long")
    options.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = options.parse_args()
    if hasattr(os, "sched_setaffinity"):
        # Its threads only wait for each other: on a busy machine one core is ten times faster than two.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    archives = all_sources()
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    # Of a processor's time: a machine that does other work, or stops us, is not a finding.
    signal.signal(signal.SIGPROF, signal.default_int_handler)
    found, begin, slowest, run = 0, time.monotonic(), 0.0, 0
    statuses: dict[int, int] = {}
    for run in range(1, given.runs + 1):
        name, data = made(given.seed + run, archives)
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, MOST_TIME)
        try:
            status = one(data)
            statuses[status] = statuses.get(status, 0) + 1
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every one of them is a finding
            found += 1
            sys.stderr.write(f"seed {given.seed + run} of {name}: {type(error).__name__}: {error}\n")
            if found <= 20:
                traceback.print_exc()
            if given.keep:
                Path(given.keep, f"archive-{given.seed + run}").write_bytes(data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        slowest = max(slowest, time.process_time() - start)
        if given.seconds and time.monotonic() - begin > given.seconds:
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    took = time.monotonic() - begin
    if given.json:
        figures = {"runs": run, "findings": found, "slowest": round(slowest, 2), "peak_mib": peak, "statuses": statuses}
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        sys.stdout.write(
            f"{run} runs, {found} findings, slowest {slowest:.2f} s, peak {peak} MiB, {took:.0f} s, status {statuses}\n"
        )
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
