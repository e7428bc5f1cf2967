"""How the cost of each command grows with each dimension of a source.

    python tests/hostile/scaling.py [--sizes 4] [--dimension NAME]… [--command NAME]… [--json FILE]

A dimension makes a source of size n. Every command runs on sources of n, 2n, 4n
and 8n; the exponent of processor time and of peak memory above the cost of the
start is fitted. A dimension is bounded at its limit: `limit` is the size that the
limits allow (or the document of 4 MiB), and a run there must stay within 20 seconds
of a processor and 300 MB.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1])]

from hostile import cases_scale as cases
from hostile.building import Docker, blob, config, dump
from hostile.dimensions import DIMENSIONS
from hostile.measuring import MOST_MEMORY, MOST_TIME, run_bounded

#: An exponent above this is not linear; below so many seconds and bytes above the start it says nothing.
MOST_EXPONENT = 1.2
LEAST_TIME = 0.4
LEAST_MEMORY = 12 << 20


_TARGETS = ("oci", "oci-archive", "docker-oci", "docker-save", "docker-save@25", "docker-save@29", "crane")
COMMANDS = {
    **{f"convert {to}": ["{source}", "--to", to, "{out}", "-q"] for to in _TARGETS},
    "convert --json": ["{source}", "--to", "oci", "{out}", "--json"],
    "--append": ["{source}", "--to", "oci", "{layout}", "--append", "-q"],
    "--add-repositories": ["--add-repositories", "{source}", "{out}"],
    "id": ["id", "{source}"],
    "id --json": ["id", "{source}", "--json"],
    "id REF": ["id", "{source}", "nosuch:9"],
    "inspect": ["inspect", "{source}"],
    "inspect --json": ["inspect", "{source}", "--json"],
    "inspect --verify": ["inspect", "{source}", "--verify"],
    "inspect --graph svg": ["inspect", "{source}", "--graph", "{out}.svg"],
    "inspect --graph dot": ["inspect", "{source}", "--graph", "{out}.dot"],
    "digest": ["digest", "{source}"],
    "digest imgconv": ["digest", "{source}", "--as", "imgconv"],
    "match": ["match", "{source}", "{manifest}"],
    "diff": ["diff", "{source}", "{source}"],
    "diff other": ["diff", "{source}", "{other}"],
    "diff --json": ["diff", "{source}", "{other}", "--json"],
    "diff --files": ["diff", "--files", "{source}", "{other}"],
    "validate": ["validate", "{source}"],
    "validate --json": ["validate", "{source}", "--json"],
    "validate sarif": ["validate", "{source}", "--format", "sarif"],
}


def write(path, pieces):
    """Write the pieces of a source."""
    with open(path, "wb") as file:
        file.writelines(pieces)


def manifest_for(source):
    """Return a manifest that lies about each layer of a docker archive; of another source, any."""
    import tarfile

    raw, count = dump(config()), 1
    with tarfile.open(source) as tar:
        try:
            item = json.loads(tar.extractfile("manifest.json").read())[0]
            raw = tar.extractfile(item["Config"]).read()
            count = len(item["Layers"])
        except (KeyError, TypeError, IndexError):
            pass
    document = json.loads(cases.registry_manifest([f"sha256:{k:064x}" for k in range(count)], size=100))
    document["config"].update(blob(raw)[1])
    return dump(document)


class Bench:
    """Sources of all sizes in a folder, and runs on them."""

    def __init__(self, folder):
        """Work in `folder`."""
        self._folder = Path(folder)
        other = self._folder / "other.tar"
        write(other, [Docker(config=config(other=1), tags=["example.com/app:2"]).build()])
        self._other = other

    def source(self, dimension, size):
        """Make a source."""
        path = self._folder / "source.tar"
        write(path, DIMENSIONS[dimension].make(size))
        return path

    def run(self, command, source):
        """Run a command; return its status, processor seconds, peak bytes and what it printed last."""
        out, layout = self._folder / "out", self._folder / "layout"
        for path in (out, layout):
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        manifest = self._folder / "manifest.json"
        if command == "match":
            manifest.write_bytes(manifest_for(source))
        if command == "--append":
            run_bounded([str(self._other), "--to", "oci", str(layout), "-q"])
        places = {"source": source, "out": out, "layout": layout, "other": self._other, "manifest": manifest}
        return run_bounded([word.format(**places) for word in COMMANDS[command]])


def exponent(sizes, costs, least):
    """Fit the exponent of costs above the start's; None where they are too small to say."""
    points = [(math.log(size), math.log(cost)) for size, cost in zip(sizes, costs, strict=True) if cost > least]
    if len(points) < 2:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


@dataclass
class Row:
    """What was measured of one command along one dimension."""

    dimension: str
    command: str
    sizes: list[int]
    seconds: list[float]
    peaks: list[int]
    statuses: list[int]
    time_exponent: float | None
    memory_exponent: float | None

    @property
    def faults(self):
        """What is wrong, in words."""
        found = []
        if any(status not in {0, 1, 2, 3} for status in self.statuses):
            found.append(f"exit status {self.statuses}")
        if max(self.seconds) > MOST_TIME:
            found.append(f"{max(self.seconds):.1f} s")
        if max(self.peaks) > MOST_MEMORY:
            found.append(f"{max(self.peaks) >> 20} MB")
        if self.time_exponent is not None and self.time_exponent > MOST_EXPONENT:
            found.append(f"time grows with exponent {self.time_exponent:.2f}")
        if self.memory_exponent is not None and self.memory_exponent > MOST_EXPONENT:
            found.append(f"memory grows with exponent {self.memory_exponent:.2f}")
        return found

    def __str__(self):
        """Return one line."""
        cells = [
            f"{n}: {s:.1f} s {p >> 20} MB ={c}"
            for n, s, p, c in zip(self.sizes, self.seconds, self.peaks, self.statuses, strict=True)
        ]
        return f"{self.dimension:24} {self.command:20} {'  '.join(cells)}"


def sweep(folder, dimensions, commands, steps=4, *, at_limit=True):
    """Yield a row for each dimension and command."""
    bench = Bench(folder)
    start_source = bench.source("tags", 1)
    base = {command: bench.run(command, start_source) for command in commands}
    for name in dimensions:
        dimension = DIMENSIONS[name]
        sizes = [dimension.start << step for step in range(steps)]
        if at_limit:
            sizes = [size for size in sizes if size < dimension.limit] + [dimension.limit]
        results = {command: [] for command in commands}
        for size in sizes:
            source = bench.source(name, size)
            for command in commands:
                # What was killed at one size is not tried with a larger one.
                if not results[command] or results[command][-1].status >= 0:
                    results[command].append(bench.run(command, source))
        for command, runs in results.items():
            ran = sizes[: len(runs)]
            # A run that a limit refused says nothing about growth.
            kept = [(size, run) for size, run in zip(ran, runs, strict=True) if run.status == runs[0].status][:steps]
            fitted = [size for size, _ in kept]
            yield Row(
                name, command, ran, [run.seconds for run in runs], [run.peak for run in runs],
                [run.status for run in runs],
                exponent(fitted, [run.seconds - base[command].seconds for _, run in kept], LEAST_TIME),
                exponent(fitted, [run.peak - base[command].peak for _, run in kept], LEAST_MEMORY),
            )  # fmt: skip


def _say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main():
    """Measure what was asked for and print a line for each row, and those at fault again."""
    parser = argparse.ArgumentParser(description="How the cost of each command grows with each dimension of a source.")
    parser.add_argument("--dimension", action="append", choices=DIMENSIONS)
    parser.add_argument("--command", action="append", choices=COMMANDS)
    parser.add_argument("--sizes", type=int, default=4)
    parser.add_argument("--limit-only", action="store_true", help="only the size at the limit")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        steps = 0 if given.limit_only else given.sizes
        for row in sweep(folder, given.dimension or DIMENSIONS, given.command or COMMANDS, steps):
            rows.append(row)
            _say(row, *(f"! {fault}" for fault in row.faults))
    bad = [row for row in rows if row.faults]
    _say(f"{len(rows)} rows, {len(bad)} at fault")
    for row in bad:
        _say("; ".join([row.dimension, row.command, *row.faults]))
    if given.json:
        Path(given.json).write_text(json.dumps([vars(row) for row in rows], indent=1), encoding="utf-8")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
