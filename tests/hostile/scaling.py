"""How the cost of each command grows with each dimension of a source.

    python tests/hostile/scaling.py [--dimension NAME]… [--command NAME]… [--json FILE] [--shard I/N] [--limit-only]

A dimension makes a source of size n. Its limit is the size that the limits of imgconv allow (or the document of
4 MiB); a command must stay within 20 seconds of a processor and 300 MB there. Where it costs more than a little, or
is refused, it runs with a half, a quarter and an eighth too, and the exponents of processor time and of peak memory
above the cost of the start are fitted. What is at fault runs again, and the least of each run counts.

`--json` appends each run to a file of JSON lines as it ends, and runs that are in it are not repeated: a campaign can
be ended and started again, and `--shard` splits its dimensions over processes that share one file. `--report` only
prints what the file has. All commands at all limits take about an hour and a half of one processor; without
`--limit-only` it is twice that.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
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
from hostile.measuring import MOST_MEMORY, MOST_TIME, Run, run_bounded
from hostile.scaled_commands import COMMANDS

#: An exponent above this is not linear; below so many seconds and bytes above the start it says nothing.
MOST_EXPONENT = 1.2
LEAST_TIME = 0.4
LEAST_MEMORY = 12 << 20
#: A command that costs less than this at the limit is not measured at smaller sizes: it is bounded there.
CHEAP_TIME = 4.0
CHEAP_MEMORY = 96 << 20
#: How often a row at fault is measured again: what else the machine does only adds to a run.
_REPEATS = 2
#: The parts of the limit at which the growth is measured.
_PARTS = (2, 4, 8)
#: The exit status of a source that is refused.
_REFUSED = 3
#: The source of the smallest cost.
_SMALLEST = ("tags", 1)


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
    """Runs on sources of all sizes in a folder; what was measured stays in `done`, and in a file if there is one."""

    def __init__(self, folder, record=None):
        """Work in `folder`; `record` is a file of JSON lines, whose runs are not repeated."""
        self._folder = Path(folder)
        self._source = None
        self._record = Path(record) if record else None
        self.done = {}
        if self._record and self._record.exists():
            for line in self._record.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                run = Run(row["status"], "", row["peak"], row["seconds"])
                self._keep((row["dimension"], row["size"], row["command"]), run)
        self._other = self._folder / "other.tar"
        write(self._other, [Docker(config=config(other=1), tags=["example.com/app:2"]).build()])

    def _path(self, dimension, size):
        """Return a source, made if it is not the one that was used last."""
        path = self._folder / "source.tar"
        if self._source != (dimension, size):
            write(path, DIMENSIONS[dimension].make(size))
            self._source = (dimension, size)
        return path

    def run(self, dimension, size, command):
        """Run a command, or return what an earlier run cost."""
        key = (dimension, size, command)
        return self.done[key] if key in self.done else self.repeat(*key)

    def repeat(self, dimension, size, command):
        """Run a command; return the least that it ever cost."""
        run = self._run(command, self._path(dimension, size))
        if self._record:
            row = {"dimension": dimension, "size": size, "command": command}
            row |= {"status": run.status, "seconds": round(run.seconds, 3), "peak": run.peak}
            with open(self._record, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        return self._keep((dimension, size, command), run)

    def _keep(self, key, run):
        earlier = self.done.get(key)
        if earlier is not None and earlier.seconds < run.seconds:
            run = earlier._replace(peak=min(earlier.peak, run.peak))
        elif earlier is not None:
            run = run._replace(peak=min(earlier.peak, run.peak))
        self.done[key] = run
        return run

    def base(self, command):
        """Return what the command costs with a source that has one of everything."""
        return self.run(*_SMALLEST, command)

    def _run(self, command, source):
        results = self._folder / "results"
        shutil.rmtree(results, ignore_errors=True)
        results.mkdir()
        out, layout, copy = results / "out", results / "layout", results / "copy.tar"
        manifest = self._folder / "manifest.json"
        if command == "match":
            manifest.write_bytes(manifest_for(source))
        if command == "--append":
            run_bounded([str(self._other), "--to", "oci", str(layout), "-q"])
        words = COMMANDS[command]
        if "{copy}" in words:
            # Names in a tar are changed beside it, and the copy is then another file.
            os.link(source, copy)
        places = {
            "source": source, "out": out, "layout": layout, "other": self._other, "manifest": manifest, "copy": copy
        }  # fmt: skip
        return run_bounded([word.format(**places) for word in words])


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
    """What was measured of one command along one dimension, the smallest size first."""

    dimension: str
    command: str
    sizes: list[int]
    runs: list[Run]
    base: Run

    def _fitted(self, cost, least):
        # A run that a limit refused says nothing about growth.
        kept = [(n, run) for n, run in zip(self.sizes, self.runs, strict=True) if run.status == self.runs[0].status]
        return exponent([n for n, _ in kept], [cost(run) - cost(self.base) for _, run in kept], least)

    @property
    def time_exponent(self):
        """How the processor time grows; None where it says nothing."""
        return self._fitted(lambda run: run.seconds, LEAST_TIME)

    @property
    def memory_exponent(self):
        """How the peak of memory grows; None where it says nothing."""
        return self._fitted(lambda run: run.peak, LEAST_MEMORY)

    @property
    def seconds(self):
        """The most processor time of a run."""
        return max(run.seconds for run in self.runs)

    @property
    def peak(self):
        """The most memory of a run."""
        return max(run.peak for run in self.runs)

    @property
    def faults(self):
        """What is wrong, in words."""
        found = []
        statuses = [run.status for run in self.runs]
        if any(status not in {0, 1, 2, 3} for status in statuses):
            found.append(f"exit status {statuses}")
        if self.seconds > MOST_TIME:
            found.append(f"{self.seconds:.1f} s")
        if self.peak > MOST_MEMORY:
            found.append(f"{self.peak >> 20} MB")
        if self.time_exponent is not None and self.time_exponent > MOST_EXPONENT:
            found.append(f"time grows with exponent {self.time_exponent:.2f}")
        if self.memory_exponent is not None and self.memory_exponent > MOST_EXPONENT:
            found.append(f"memory grows with exponent {self.memory_exponent:.2f}")
        return found

    def __str__(self):
        """Return one line."""
        cells = [
            f"{n}: {run.seconds:.1f} s {run.peak >> 20} MB ={run.status}"
            for n, run in zip(self.sizes, self.runs, strict=True)
        ]
        return f"{self.dimension:24} {self.command:24} {'  '.join(cells)}"


def row_of(bench, dimension, command):
    """Return what was measured of a command along a dimension; None if it was not yet."""
    runs = {size: run for (d, size, c), run in bench.done.items() if (d, c) == (dimension, command)}
    if (dimension, 1) == _SMALLEST:
        runs.pop(1, None)
    base = bench.done.get((*_SMALLEST, command))
    return Row(dimension, command, sorted(runs), [runs[size] for size in sorted(runs)], base) if runs and base else None


def sweep(folder, dimensions, commands, steps=4):
    """Yield a row for each dimension and command, measured from the smallest size on."""
    bench = Bench(folder)
    for name in dimensions:
        for step in range(steps):
            for command in commands:
                bench.base(command)
                bench.run(name, DIMENSIONS[name].start << step, command)
        yield from (_settled(bench, name, command) for command in commands)


def _settled(bench, dimension, command):
    """Return what was measured, after a row at fault was measured again."""
    row = row_of(bench, dimension, command)
    for _ in range(_REPEATS):
        if not row.faults:
            break
        for size in row.sizes:
            bench.repeat(dimension, size, command)
        row = row_of(bench, dimension, command)
    return row


def sweep_from_limits(bench, dimensions, commands, *, limit_only=False):
    """Yield a row for each dimension and command, measured at the limit, and below it where that says more."""
    for command in commands:
        bench.base(command)
    for name in dimensions:
        limit = DIMENSIONS[name].limit
        for part in (1, *(() if limit_only else _PARTS)):
            for command in commands:
                runs = [bench.done.get((name, limit // earlier, command)) for earlier in (1, *_PARTS)]
                if part == 1 or _says_more(bench.base(command), [run for run in runs if run]):
                    bench.run(name, limit // part, command)
        yield from (_settled(bench, name, command) for command in commands)


def _says_more(base, runs):
    """Return whether a run with a smaller size says more than `runs`, of which the largest is first."""
    if any(run.seconds - base.seconds > CHEAP_TIME or run.peak - base.peak > CHEAP_MEMORY for run in runs):
        return True
    # What the limit refuses may be costly just below it.
    return len(runs) == 1 and runs[0].status == _REFUSED


def _shard(text):
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError("give I/N, as in 1/2")
    return int(match[1]), int(match[2])


def _say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main():
    """Measure what was asked for and print a line for each row, and those at fault again."""
    parser = argparse.ArgumentParser(description="How the cost of each command grows with each dimension of a source.")
    parser.add_argument("--dimension", action="append", choices=DIMENSIONS)
    parser.add_argument("--command", action="append", choices=COMMANDS)
    parser.add_argument("--except", dest="without", action="append", choices=COMMANDS, default=[])
    parser.add_argument("--limit-only", action="store_true", help="only the size at the limit")
    parser.add_argument("--json", metavar="FILE", help="append each run to FILE, and do not repeat what it has")
    parser.add_argument("--shard", metavar="I/N", type=_shard, default=(1, 1), help="only the I-th of N dimensions")
    parser.add_argument("--report", action="store_true", help="only print what FILE has")
    given = parser.parse_args()
    part, parts = given.shard
    dimensions = list(given.dimension or DIMENSIONS)[part - 1 :: parts]
    commands = [command for command in given.command or COMMANDS if command not in given.without]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        bench = Bench(folder, given.json)
        if given.report:
            rows = [row_of(bench, name, command) for name in dimensions for command in commands]
            rows = [row for row in rows if row is not None]
        else:
            rows = []
            for row in sweep_from_limits(bench, dimensions, commands, limit_only=given.limit_only):
                rows.append(row)
                _say(row, *(f"! {fault}" for fault in row.faults))
    bad = [row for row in rows if row.faults]
    _say(f"{sum(len(row.runs) for row in rows)} runs in {len(rows)} rows, {len(bad)} at fault")
    for row in bad:
        _say(str(row), "!", "; ".join(row.faults))
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
