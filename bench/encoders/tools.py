"""Measure imgconv's encoders against pigz, GNU gzip and busybox, in one run.

    python bench/encoders/tools.py [--busybox BUSYBOX] FILE...

FILEs are the inputs, a tar each. Each tool reads a file on standard input; imgconv reads it in this process. Runs
alternate and the best of each is taken. Outputs are compared first. pigz is measured on one core and on as many as
imgconv has workers; gzip and busybox use one core. --record adds the result to bench/records.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from convert.codec import profile as profiles

sys.path.insert(0, str(Path(__file__).parents[1]))
import record
import tables
from measuring import machine

Cost = tuple[float, float]


def processor_time(who: int = resource.RUSAGE_SELF) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def ours(path: Path, profile: str, workers: int, digest: hashlib._Hash | None = None) -> Cost:
    """Encode a file; return wall and processor seconds."""
    with ThreadPoolExecutor(workers) as executor, path.open("rb", buffering=0) as file:
        began, used = time.perf_counter(), processor_time()
        encoder = profiles.get(profile).encoder(executor if workers > 1 else None, workers)
        while (data := encoder.take(file)) is not None:
            if digest is not None:
                digest.update(data)
        data = encoder.finish()
        if digest is not None:
            digest.update(data)
        return time.perf_counter() - began, processor_time() - used


def theirs(command: list[str], path: Path, cores: int, digest: hashlib._Hash | None = None) -> Cost:
    """Run a tool on so many cores; return wall and processor seconds of the process."""
    allowed = ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores]))
    used = processor_time(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    out = subprocess.DEVNULL if digest is None else subprocess.PIPE
    with (
        path.open("rb") as file,
        subprocess.Popen(["taskset", "-c", allowed, *command], stdin=file, stdout=out) as tool,
    ):
        while tool.stdout is not None and (data := tool.stdout.read(1 << 20)):
            assert digest is not None
            digest.update(data)
    if tool.returncode:
        sys.exit(f"{' '.join(command)}: exit status {tool.returncode}")
    return time.perf_counter() - began, processor_time(resource.RUSAGE_CHILDREN) - used


def best(runs: list[Cost]) -> Cost:
    return min(wall for wall, _ in runs), min(used for _, used in runs)


def measure(profile: str, command: list[str], path: Path, runs: int, workers: int) -> list[dict[str, Any]]:
    """Measure a profile on a file, on one core and with workers if it has any; return rows of a record."""
    rows = []
    for cores in (1, workers) if profiles.get(profile).splits else (1,):
        first, second = hashlib.sha256(), hashlib.sha256()
        ours(path, profile, cores, first)
        theirs(command, path, cores, second)
        if first.digest() != second.digest():
            sys.exit(f"{path}: {profile}, {cores} workers: not the bytes of {command[0]}")
        costs: tuple[list[Cost], list[Cost]] = [], []
        for _ in range(runs):
            costs[0].append(theirs(command, path, cores))
            costs[1].append(ours(path, profile, cores))
        tool, imgconv = map(best, costs)
        megabytes = path.stat().st_size / 1e6
        rows.append(
            {
                "input": path.name,
                "profile": profile,
                "tool": Path(command[0]).name,
                "cores": cores,
                "runs": runs,
                "megabytes_per_second": {
                    "tool": round(megabytes / tool[0], 1),
                    "imgconv": round(megabytes / imgconv[0], 1),
                },
                "ratio": {"wall": round(tool[0] / imgconv[0], 3), "cpu": round(tool[1] / imgconv[1], 3)},
            }
        )
        print(f"{path.name} {profile}, {cores} cores: {rows[-1]['ratio']}", file=sys.stderr)
    return rows


def version(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).partition("\n")[0].partition(" (")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--busybox", help="the busybox of Docker's image")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="add the result to the records")
    parser.add_argument("--records", type=Path, default=record.FOLDER, help="where the records are")
    options = parser.parse_args()
    commands = {f"pigz-{level}": ["pigz", f"-{level}n", f"-p{options.workers}"] for level in (1, 6, 9)}
    commands |= {f"gzip-{level}-rsyncable": ["gzip", f"-{level}nc", "--rsyncable"] for level in (1, 9)}
    tools = {"pigz": version(["pigz", "--version"]), "gzip": version(["gzip", "--version"])}
    if options.busybox:
        commands["busybox"] = [options.busybox, "gzip", "-c"]
        tools["busybox"] = version([options.busybox])
    rows = [
        row
        for profile, command in commands.items()
        for path in options.files
        for row in measure(profile, command, path, options.runs, options.workers)
    ]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    result = record.new(
        "encoder-tools",
        rows,
        machine=machine(),
        tools=tools,
        input={path.name: path.stat().st_size for path in options.files},
        notes=["Best of each; inputs in the page cache.", f"Most memory of the run: {memory} MiB."],
    )
    print(tables.render(result))
    if options.record:
        print(f"recorded: {record.write(result, options.records)}", file=sys.stderr)


if __name__ == "__main__":
    main()
