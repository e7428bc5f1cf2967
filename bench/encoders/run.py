"""Encoder benchmark: imgconv's encoders beside the Go they equal, in one run.

    python bench/encoders/run.py --go126 GO --go127 GO FILE...

GO are go programs of the two generations (either may be left out), FILEs the inputs, a tar
each, which all read as they go. Runs are interleaved, ours and Go's in turn, and the best of
each is taken, so that what else the machine does hits both. Outputs are compared first.
Columns: MB/s of Go, of one core and of the workers here (best wall time each), then ratios:
one core to Go, workers to one core; both also by processor time, which a busy machine
disturbs less (for workers: what two free cores could give at best).
`noise` is an incompressible input made here.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from convert.compression.gzip import GoGzipEncoder

LEVELS = {"go1.26": (1, 6), "go1.27": (1, 6)}


def processor_time(who: int = resource.RUSAGE_SELF) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


class Counter:
    """What becomes of output, as in main.go: it is counted, and hashed if that is asked for."""

    def __init__(self, digest: hashlib._Hash | None = None) -> None:
        self.size = 0
        self.digest = digest

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.digest is not None:
            self.digest.update(data)


def ours(path: Path, generation: str, level: int, workers: int, to: Counter) -> tuple[float, float, int]:
    """Encode; return wall and processor seconds, and what was repaired."""
    with ThreadPoolExecutor(workers) as executor, path.open("rb", buffering=0) as file:
        began, used = time.perf_counter(), processor_time()
        encoder = GoGzipEncoder(generation, level, executor if workers > 1 else None, workers)
        while (made := encoder.take(file)) is not None:
            to.write(made)
        to.write(encoder.finish())
        return time.perf_counter() - began, processor_time() - used, encoder.repaired


def build(go: str, folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("main.go"), folder)
    (folder / "go.mod").write_text("module bench\n")
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOCACHE": str(folder / "cache")}
    subprocess.run([go, "build", "-o", "bench", "."], cwd=folder, env=environment, check=True)
    return folder / "bench"


def theirs(program: Path, path: Path, level: int) -> tuple[float, float]:
    """Return wall seconds of compressing alone, processor seconds of the whole program."""
    used = processor_time(resource.RUSAGE_CHILDREN)
    # One processor: Go's collector would use another, which is no part of the comparison.
    environment = {**os.environ, "GOMAXPROCS": "1"}
    out = subprocess.run([program, path, str(level), "time"], capture_output=True, check=True, env=environment)
    return int(out.stdout) / 1e9, processor_time(resource.RUSAGE_CHILDREN) - used


def check(program: Path, path: Path, generation: str, level: int, workers: int) -> None:
    command = [program, path, str(level), "check"]
    size, digest = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    for some in (1, workers):
        out = Counter(sha256 := hashlib.sha256())
        ours(path, generation, level, some, out)
        if (size, digest) != (str(out.size), sha256.hexdigest()):
            sys.exit(f"{path}: level {level}, {some} workers: not Go's bytes")


def measure(program: Path, generation: str, path: Path, runs: int, workers: int) -> None:
    megabytes = path.stat().st_size / 1e6
    for level in LEVELS[generation]:
        check(program, path, generation, level, workers)
        go, one, many = [], [], []
        for _ in range(runs):
            go.append(theirs(program, path, level))
            one.append(ours(path, generation, level, 1, Counter()))
            many.append(ours(path, generation, level, workers, Counter()))
        wall = [min(run[0] for run in kind) for kind in (go, one, many)]
        used = [min(run[1] for run in kind) for kind in (go, one, many)]
        print(
            f"{path.name:<16} {generation}-{level}  "
            + " ".join(f"{megabytes / seconds:8.0f}" for seconds in wall)
            + f"   {wall[0] / wall[1]:5.2f} {used[0] / used[1]:5.2f}"
            + f"   {wall[1] / wall[2]:5.2f} {workers * used[1] / used[2]:5.2f}   {many[0][2]}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--go126")
    parser.add_argument("--go127")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        noise = Path(scratch) / "noise"
        with noise.open("wb") as file:
            for _ in range(64):  # piece by piece: the most memory used is reported
                file.write(os.urandom(1 << 20))
        load = os.getloadavg()[0]
        print(f"best of {options.runs}, {options.workers} workers, {os.cpu_count()} processors; load {load:.1f}")
        print("                              MB/s:  Go  1 core  workers  1 core/Go     workers/1     repaired")
        print("                                                          wall  cpu     wall  bound")
        for generation, go in (("go1.26", options.go126), ("go1.27", options.go127)):
            if go is None:
                continue
            program = build(go, Path(scratch) / generation)
            for path in [*options.files, noise]:
                measure(program, generation, path, options.runs, options.workers)
    print(f"most memory here: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


if __name__ == "__main__":
    main()
