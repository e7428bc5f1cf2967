"""Compare the engines of `imgconv batch` on many hard links of a few archives.

    python bench/batch_engines.py [--items 20000] [--archives 50] [--megabytes 10] [--pairs 5] [--jobs 2]

Each pair runs `validate` with the engine local and with dask, in turn, so that both meet the same state of the machine.
Prints the ratio of each pair and their median: at most 1.05 is wanted. The first run of each engine is not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from batch_archives import archive

ENGINES = ("local", "dask")


def prepare(folder: Path, archives: int, megabytes: int, items: int) -> None:
    """Write archives, and hard links of them in one folder."""
    (folder / "archives").mkdir()
    (folder / "in").mkdir()
    for seed in range(archives):
        (folder / "archives" / f"{seed}.tar").write_bytes(archive(seed, megabytes * 10**6))
    for number in range(items):
        os.link(folder / "archives" / f"{number % archives}.tar", folder / "in" / f"{number:06}.tar")


def measure(folder: Path, imgconv: str, engine: str, jobs: int, items: int) -> float:
    """Return the seconds of one run."""
    journal = folder / "run.jsonl"
    journal.unlink(missing_ok=True)
    words = [imgconv, "batch", "validate", "in/*.tar", "--journal", str(journal), "--engine", engine, "-q"]
    begin = time.monotonic()
    subprocess.run([*words, "--jobs", str(jobs)], cwd=folder, check=True)
    seconds = time.monotonic() - begin
    with journal.open() as rows:
        assert sum(json.loads(row)["exit"] == 0 for row in rows) == items
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--archives", type=int, default=50)
    parser.add_argument("--megabytes", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--imgconv", default=shutil.which("imgconv", path=str(Path(sys.executable).parent)) or "imgconv"
    )
    parser.add_argument("--folder", type=Path, help="where the archives are written; a temporary folder if not given")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        prepare(folder, given.archives, given.megabytes, given.items)
        ratios = []
        for pair in range(given.pairs + 1):
            order = ENGINES if pair % 2 else ENGINES[::-1]
            found = {each: measure(folder, given.imgconv, each, given.jobs, given.items) for each in order}
            ratio = found["dask"] / found["local"]
            counted = "" if pair else "  (not counted)"
            print(f"local {found['local']:8.2f} s  dask {found['dask']:8.2f} s  ratio {ratio:.4f}{counted}", flush=True)
            if pair:
                ratios.append(ratio)
        print(f"median of the ratios: {statistics.median(ratios):.4f}")


if __name__ == "__main__":
    main()
