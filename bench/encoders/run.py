"""Measure imgconv's encoders against the Go encoders whose bytes they write, in one run.

    python bench/encoders/run.py --go126 GO --go127 GO --pgzip GENERATION=PROGRAM FILE...

GO are go programs of the two generations (either may be omitted), PROGRAM is pgzip/main.go compiled with a release of
that generation (repeatable), FILEs the inputs, a tar each, read while they are encoded. Runs of imgconv and of Go
alternate and the best of each is taken, so that both meet the same machine. Outputs are compared first. The table has
MB/s of Go, of one core and of the workers (best wall time each), and the ratios of one core to Go and of workers to one
core; `bound` is what two free cores could give at best, by processor time. `noise` is an incompressible input, created
at the start. --record adds the result to bench/records.
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
from typing import Any

from convert.codec import profile as profiles
from convert.codec.gzip import GzipEncoder

sys.path.insert(0, str(Path(__file__).parents[1]))
import record
import tables
from measuring import go_version, machine

GO_LEVELS = (1, 6)
PGZIP_LEVELS = (1, 5, 6)


def processor_time(who: int = resource.RUSAGE_SELF) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


class Counter:
    """Counts output, and hashes it on request, as main.go does."""

    def __init__(self, digest: hashlib._Hash | None = None) -> None:
        self.size = 0
        self.digest = digest

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.digest is not None:
            self.digest.update(data)


def ours(path: Path, profile: str, workers: int, to: Counter) -> tuple[float, float, int]:
    """Encode a file; return wall and processor seconds, and the bytes that were repaired."""
    with ThreadPoolExecutor(workers) as executor, path.open("rb", buffering=0) as file:
        began, used = time.perf_counter(), processor_time()
        encoder = profiles.get(profile).encoder(executor if workers > 1 else None, workers)
        assert isinstance(encoder, GzipEncoder)
        while (data := encoder.take(file)) is not None:
            to.write(data)
        to.write(encoder.finish())
        return time.perf_counter() - began, processor_time() - used, encoder.repaired


def build(go: str, folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("main.go"), folder)
    (folder / "go.mod").write_text("module bench\n")
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOCACHE": str(folder / "cache")}
    subprocess.run([go, "build", "-o", "bench", "."], cwd=folder, env=environment, check=True)
    return folder / "bench"


def theirs(command: list[str | Path], path: Path) -> tuple[float, float]:
    """Return wall seconds of compression, and processor seconds of the program."""
    used = processor_time(resource.RUSAGE_CHILDREN)
    # One processor: Go's collector would use another, which is not part of the comparison.
    environment = {**os.environ, "GOMAXPROCS": "1"}
    program, *arguments = command
    out = subprocess.run([program, path, *arguments, "time"], capture_output=True, check=True, env=environment)
    return int(out.stdout) / 1e9, processor_time(resource.RUSAGE_CHILDREN) - used


def check(command: list[str | Path], path: Path, profile: str, workers: int) -> None:
    program, *arguments = command
    called = subprocess.run([program, path, *arguments, "check"], capture_output=True, check=True, text=True)
    size, digest = called.stdout.split()
    for some in (1, workers):
        out = Counter(sha256 := hashlib.sha256())
        ours(path, profile, some, out)
        if (size, digest) != (str(out.size), sha256.hexdigest()):
            sys.exit(f"{path}: {profile}, {some} workers: not the program's bytes")


def measure(command: list[str | Path], profile: str, path: Path, runs: int, workers: int) -> dict[str, Any]:
    """Measure a profile on a file; return the row of a record."""
    megabytes = path.stat().st_size / 1e6
    check(command, path, profile, workers)
    go, one, many = [], [], []
    for _ in range(runs):
        go.append(theirs(command, path))
        one.append(ours(path, profile, 1, Counter()))
        many.append(ours(path, profile, workers, Counter()))
    wall = [min(run[0] for run in kind) for kind in (go, one, many)]
    used = [min(run[1] for run in kind) for kind in (go, one, many)]
    names = ("go", "one core", "workers")
    print(f"{path.name} {profile}: {wall[0] / wall[1]:.2f}, {wall[1] / wall[2]:.2f}", file=sys.stderr)
    return {
        "input": path.name,
        "profile": profile,
        "round": 1,
        "runs": runs,
        "workers": workers,
        "megabytes_per_second": {name: round(megabytes / seconds) for name, seconds in zip(names, wall, strict=True)},
        "ratio": {
            "one core : go": {"wall": round(wall[0] / wall[1], 3), "cpu": round(used[0] / used[1], 3)},
            "workers : one core": {
                "wall": round(wall[1] / wall[2], 3),
                "bound": round(workers * used[1] / used[2], 3),
            },
        },
        "repaired": many[0][2],
    }


def pgzip_command(program: str, generation: str, level: int) -> tuple[str, list[str | Path]]:
    """Return the profile, and the program with its level and the size of its pieces."""
    piece = 1 << 18 if generation.endswith("-256k") else 1 << 20
    return profiles.pgzip_name(generation, level), [program, str(level), str(piece)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--go126")
    parser.add_argument("--go127")
    parser.add_argument("--pgzip", action="append", default=[], metavar="GENERATION=PROGRAM")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="add the result to the records")
    parser.add_argument("--records", type=Path, default=record.FOLDER, help="where the records are")
    options = parser.parse_args()
    about = machine()
    rows, releases = [], []
    commands: list[tuple[str, list[str | Path]]] = []
    with tempfile.TemporaryDirectory() as scratch:
        noise = Path(scratch) / "noise"
        with noise.open("wb") as file:
            for _ in range(64):  # in small writes: the peak memory of this process is reported
                file.write(os.urandom(1 << 20))
        sizes = {path.name: path.stat().st_size for path in [*options.files, noise]}
        for generation, go in (("go1.26", options.go126), ("go1.27", options.go127)):
            if go is None:
                continue
            program = build(go, Path(scratch) / generation)
            releases.append(go_version(str(program)) or "unknown")
            commands += [(f"{generation}-{level}", [program, str(level)]) for level in GO_LEVELS]
        for given in options.pgzip:
            generation, _, pgzip = given.partition("=")
            releases.append(f"{go_version(pgzip) or 'unknown'} for {generation}")
            commands += [pgzip_command(pgzip, generation, level) for level in PGZIP_LEVELS]
        for profile, command in commands:
            rows += [measure(command, profile, path, options.runs, options.workers) for path in [*options.files, noise]]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    result = record.new(
        "encoders",
        rows,
        machine=about,
        tools={"go": " and ".join(releases)},
        input=sizes,
        notes=["Best wall time of each; inputs in the page cache.", f"Most memory of the run: {memory} MiB."],
    )
    print(tables.render(result))
    if options.record:
        print(f"recorded: {record.write(result, options.records)}", file=sys.stderr)


if __name__ == "__main__":
    main()
