"""A long run of every target, in slices, one process at a time; what was done is kept in a file.

    nice -n 19 python tests/fuzz/long.py FOLDER [--parsers N] [--archives N] [--only TARGET…]

goes on where FOLDER/counts.json ended until the targets for parsers together, and
the whole archives, have had so many runs. FOLDER also holds the corpora, what was
found (a parser with a finding is not run on) and the last output of each target.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
SEEDS = HERE.parents[1] / "testdata" / "fuzz"
PARSERS = ["image_documents", "json_documents", "references", "tar_index", "v1_metadata"]
ARCHIVES = "archives"
#: Seconds after which a target makes room for the next.
SLICE = 120
STATS = {
    "runs": re.compile(r"stat::number_of_executed_units: +(\d+)"),
    "peak_mib": re.compile(r"stat::peak_rss_mb: +(\d+)"),
}


class Counts:
    def __init__(self, path):
        self._path = path
        self.all = json.loads(path.read_text()) if path.exists() else {}

    def of(self, target):
        return self.all.setdefault(target, {"runs": 0, "seconds": 0, "peak_mib": 0, "findings": 0})

    def add(self, target, runs, seconds, peak, findings):
        counts = self.of(target)
        counts["runs"] += runs
        counts["seconds"] += round(seconds)
        counts["peak_mib"] = max(counts["peak_mib"], peak)
        counts["findings"] += findings
        self._path.write_text(json.dumps(self.all, indent=1) + "\n")

    def runs(self, targets):
        return sum(self.of(target)["runs"] for target in targets)


def parser_slice(folder, target):
    corpus = folder / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    # The clock of -timeout is the wall's; fuzzing.py judges by the processor's.
    options = [f"-max_total_time={SLICE}", "-max_len=4096", "-timeout=400", "-rss_limit_mb=300", "-print_final_stats=1"]
    command = [sys.executable, HERE / f"{target}.py", corpus, SEEDS / target, *options, "-verbosity=0"]
    with open(folder / f"{target}.log", "wb") as log:
        done = subprocess.run([*command, f"-artifact_prefix={folder}/{target}-"], stderr=log, stdout=log, check=False)
    text = (folder / f"{target}.log").read_text(errors="replace")
    found = {name: pattern.search(text) for name, pattern in STATS.items()}
    numbers = {name: int(match[1]) if match else 0 for name, match in found.items()}
    return numbers["runs"], numbers["peak_mib"], int(done.returncode != 0)


def archives_slice(folder, begin):
    command = [sys.executable, HERE / "archives.py", "--seed", str(begin), "--seconds", str(SLICE), "--runs", "1000000"]
    with open(folder / f"{ARCHIVES}.log", "ab") as log:
        done = subprocess.run(
            [*command, "--keep", folder, "--json"], stdout=subprocess.PIPE, stderr=log, check=False, text=True
        )
    if not done.stdout:
        return 0, 0, 1
    numbers = json.loads(done.stdout)
    return numbers["runs"], numbers["peak_mib"], numbers["findings"]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("folder", type=Path)
    options.add_argument("--parsers", type=int, default=10_000_000)
    options.add_argument("--archives", type=int, default=1_000_000)
    options.add_argument("--only", nargs="*", choices=[*PARSERS, ARCHIVES])
    given = options.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    counts = Counts(folder / "counts.json")
    targets = given.only or [*PARSERS, ARCHIVES]
    parsers = [target for target in targets if target != ARCHIVES]
    while True:
        todo = [target for target in parsers if counts.runs(parsers) < given.parsers]
        todo = [target for target in todo if not counts.of(target)["findings"]]
        if ARCHIVES in targets and counts.runs([ARCHIVES]) < given.archives:
            todo.append(ARCHIVES)
        if not todo:
            break
        target = min(todo, key=lambda target: counts.of(target)["seconds"])
        begin = time.monotonic()
        if target == ARCHIVES:
            numbers = archives_slice(folder, counts.runs([ARCHIVES]))
        else:
            numbers = parser_slice(folder, target)
        runs, peak, findings = numbers
        counts.add(target, runs, time.monotonic() - begin, peak, findings)
    sys.exit(any(counts.of(target)["findings"] for target in targets))


if __name__ == "__main__":
    main()
