"""Measure imgconv against other tools, or against another version of itself, in paired runs.

    python bench/conversions.py                        against skopeo, crane, umoci and docker
    python bench/conversions.py --only crane           only the cases whose name holds that
    python bench/conversions.py --against COMMAND      against another imgconv: no row may be slower
    python bench/conversions.py --grow                 how cost grows with bytes, layers and jobs
    python bench/conversions.py --archive SAVE.tar --single ONE.tar     measure these archives

Each pair is one run of imgconv and one of the other, in alternating order, so that both meet the same
machine. A ratio is the median over the pairs of the other's figure divided by imgconv's: above 1, imgconv
is faster or smaller. Results are verified. Tools that are missing are skipped with a message. Times
include the end of the process; imgconv syncs its result to disk, its peers do not.

COMMAND is the path of an `imgconv`, or of the Python beside it. With --against, what both
print and write is compared byte for byte, and the exit status is 1 if a result differs or a row needs more
wall clock, processor time or memory than --slower allows, by the median of the pairs and by the best run
of each side as well: on a busy machine, either alone is off by more than that.

--record adds the result to bench/records; python bench/figures.py then renders the pages.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import corpus
import growth
import record
import tables
from cases import CASES, VERSION_CASES, Case
from measuring import ABSENT, FIGURES, CommandError, Cost, diff_ids, go_version, machine, pair_row, remove, run, state

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What other tools are asked for their version.
VERSION_OPTIONS = {"crane": ["version"], "docker": ["version", "--format", "{{.Server.Version}}"]}


def words_of(template: str, words: dict[str, str]) -> list[str]:
    """Return the words of a command, with the names in braces replaced."""
    return [part.format_map(words) for part in shlex.split(template)]


def pairs(
    sides: dict[str, tuple[str, dict[str, str], str]], folder: Path, runs: int, times: int
) -> tuple[dict[str, list[Cost]], dict[str, bytes], dict[str, Path]]:
    """Run two commands in turns; return the costs, the last output and the result's path of each side.

    Args:
        sides: for each side the template of its command, its words, and a template to run before it.
        folder: where results are written.
        runs: the number of pairs. One more is run first and not counted, to warm the cache.
        times: how often a sample runs its command.
    """
    outs = {side: folder / f"out-{side}" for side in sides}
    costs: dict[str, list[Cost]] = {side: [] for side in sides}
    answers: dict[str, bytes] = {}
    for number in range(runs + 1):
        for side in list(sides) if number % 2 else reversed(sides):
            template, words, before = sides[side]
            remove(outs[side])
            mapping = words | {"out": str(outs[side])}
            if before:
                run(words_of(before, mapping))
                os.sync()
            cost, answers[side] = run(words_of(template, mapping), times=times)
            if number:
                costs[side].append(cost)
    return costs, answers, outs


def measure(case: Case, words: dict[str, str], folder: Path, runs: int) -> dict[str, Any]:
    """Measure a case against its peer, verify the results, and return the record's row."""
    if case.once:
        run(words_of(case.once, words))
    sides = {"imgconv": (case.imgconv, words, case.before), "other": (case.other, words, "")}
    costs, answers, outs = pairs(sides, folder, runs, 1)
    if case.same:
        wanted = diff_ids(Path(words[case.same]))
        for out in outs.values():
            assert diff_ids(out) == wanted, f"{case.name}: {out} has other layers than the source"
    if case.same_output:
        assert answers["imgconv"] == answers["other"], f"{case.name}: the two print different answers: {answers}"
    for out in outs.values():
        remove(out)
    row = pair_row(case.name, case.peer, costs["imgconv"], costs["other"], only_wall=case.only_wall)
    return row | {"goal": case.goal}


def compare(case: Case, words: dict[str, str], folder: Path, runs: int) -> dict[str, Any]:
    """Measure a case with two versions of imgconv; return the record's row, with `same` for equal results."""
    before = words | {"imgconv": words["other"]}
    sides = {"imgconv": (case.imgconv, words, case.before), "other": (case.imgconv, before, case.before)}
    costs, answers, outs = pairs(sides, folder, runs, case.times)
    results = {side: state(out) for side, out in outs.items()}
    if case.same and results["imgconv"] != ABSENT:
        assert diff_ids(outs["imgconv"]) == diff_ids(Path(words[case.same])), f"{case.name}: wrong layers"
    for out in outs.values():
        remove(out)
    # What is printed may name the result's path, which differs.
    printed = {side: answer.replace(str(outs[side]).encode(), b"OUT") for side, answer in answers.items()}
    same = results["imgconv"] == results["other"] and printed["imgconv"] == printed["other"]
    return pair_row(case.name, "imgconv before", costs["imgconv"], costs["other"]) | {"same": same}


def tools(given: argparse.Namespace) -> dict[str, str]:
    """Return the commands of the tools that are installed. A docker without a daemon does not count."""
    found = {
        "imgconv": command(given.imgconv) if given.imgconv else shutil.which("imgconv", path=_beside_python()),
        "skopeo": given.skopeo or shutil.which("skopeo"),
        "crane_tool": given.crane or shutil.which("crane"),
        "umoci": given.umoci or shutil.which("umoci"),
        "docker": given.docker or shutil.which("docker"),
    }
    docker = found["docker"]
    if docker and subprocess.run([docker, "version"], capture_output=True, check=False).returncode:
        found["docker"] = None
    if found["imgconv"] is None:
        raise SystemExit("imgconv is not installed beside this Python: name it with --imgconv")
    return {name: path for name, path in found.items() if path}


def _beside_python() -> str:
    return str(Path(sys.executable).parent)


def command(given: str) -> str:
    """Return the command of an imgconv that was named by its path or by that of a Python."""
    program = shutil.which(given)
    if program is None:
        raise SystemExit(f"{given}: no such program")
    path = Path(program).absolute()
    if path.name.startswith("python"):
        path = path.with_name("imgconv")
        if not path.exists():
            raise SystemExit(f"{given}: imgconv is not installed beside this Python")
    return str(path)


def versions(words: dict[str, str]) -> dict[str, str]:
    """Return the version of each tool, with the release of Go that built it."""
    found = {}
    for name in ("skopeo", "crane_tool", "umoci", "docker"):
        if name in words:
            tool = name.removesuffix("_tool")
            asked = [words[name], *VERSION_OPTIONS.get(tool, ["--version"])]
            done = subprocess.run(asked, capture_output=True, text=True, check=False)
            version = re.search(r"\d+\.\d+[^\s,]*", done.stdout)
            go = go_version(words[name])
            found[tool] = (version[0] if version else "unknown") + (f" (Go {go})" if go and tool != "docker" else "")
    return found


def selected(given: argparse.Namespace, words: dict[str, str]) -> Iterator[Case]:
    """Yield the cases to measure; report those whose tool is missing."""
    for case in (*CASES, *VERSION_CASES) if given.against else CASES:
        if given.only and given.only not in case.name:
            continue
        if given.against:
            if not case.peer_only:
                yield case
            continue
        tool = {"crane": "crane_tool"}.get(case.peer, case.peer)
        if tool in words:
            yield case
        else:
            print(f"skipped {case.name}: {case.peer} is not installed", file=sys.stderr)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder of corpus and results [build/bench, build/bench-small]")
    parser.add_argument("--archive", type=Path, help="a docker-save archive of several layers")
    parser.add_argument("--single", type=Path, help="one of a single layer")
    parser.add_argument("--tree", type=Path, action="append", default=[], help="pack this folder as a layer")
    parser.add_argument("--limit", type=int, metavar="MB", help="pack at most so much of each folder")
    parser.add_argument("--runs", type=int, help="pairs of each case [5; 7 with --against]")
    parser.add_argument("--only", metavar="TEXT", help="cases whose name holds TEXT")
    parser.add_argument("--against", metavar="COMMAND", help="compare with this imgconv, or the one of this Python")
    parser.add_argument("--slower", type=float, default=3, metavar="PERCENT", help="what --against allows [3]")
    for name in ("imgconv", "skopeo", "crane", "umoci", "docker"):
        parser.add_argument(f"--{name}", metavar="PATH")
    parser.add_argument("--grow", action="store_true", help="sweep bytes, layers and jobs")
    parser.add_argument("--record", action="store_true", help="add the result to the records")
    parser.add_argument("--records", type=Path, default=record.FOLDER, help="where the records are")
    given = parser.parse_args()
    if given.record and given.only:
        parser.error("--record needs all cases: leave out --only")
    given.runs = given.runs or (7 if given.against else 5)
    given.folder = (given.folder or Path("build/bench-small" if given.against else "build/bench")).absolute()
    if given.against and not given.tree:
        # Any files will do to compare two versions, and a small corpus allows more pairs.
        given.tree = corpus.local_trees()
        given.limit = given.limit or corpus.LOCAL_LIMIT
    return given


def prepare(given: argparse.Namespace, imgconv: str) -> dict[str, Path]:
    """Return the corpus by kind, after creating what is missing."""
    if given.archive:
        single = given.single or given.archive
        forms = {"several": given.archive.absolute(), "single": single.absolute()}
        return forms | corpus.derived(given.folder, imgconv, given.archive, single)
    return corpus.prepare(given.folder, imgconv, given.tree, given.limit)


def main() -> int:
    """Measure what the command line asks for; return the exit status."""
    given = arguments()
    commands = tools(given)
    forms = prepare(given, commands["imgconv"])
    words = {kind: str(path) for kind, path in forms.items()} | commands
    about = {"machine": machine(), "input": {"docker-save archive": forms["several"].stat().st_size}}
    if given.grow:
        points = list(growth.sweep(given.folder, words["imgconv"], forms["single"], given.runs, given.only or ""))
        return finish(given, record.new("growth", points, **about))
    if given.against:
        words["other"] = command(given.against)
        rows = []
        for case in selected(given, words):
            try:
                rows.append(compare(case, words, given.folder, given.runs))
            except CommandError as error:
                # An older version may not know an option; that this one fails is a fault.
                if not str(error).startswith(words["other"]):
                    raise
                print(f"{case.name}: not compared: {error}", file=sys.stderr)
                continue
            print(tables.comparison_line(rows[-1]), file=sys.stderr)
        finish(given, record.new("comparison", rows, **about))
        return verdict(rows, given.slower)
    annotations = json.loads((forms["layout"] / "index.json").read_bytes())["manifests"][0]["annotations"]
    words["tag"] = annotations["org.opencontainers.image.ref.name"]
    words["name"] = annotations["io.containerd.image.name"]
    rows = []
    for case in selected(given, words):
        rows.append(measure(case, words, given.folder, given.runs))
        print(f"{case.name}: {rows[-1]['ratio']['wall']:.2f}x", file=sys.stderr)
    return finish(given, record.new("conversions", rows, tools=versions(words), **about))


def verdict(rows: list[dict[str, Any]], percent: float) -> int:
    """Print the rows that need more than so many percent more, or have other results; return the status."""
    least = 1 / (1 + percent / 100)
    found: dict[str, list[str]] = {f"more than {percent:g} % more {name}": [] for name in FIGURES}
    found["different results"] = []
    for row in rows:
        for name in FIGURES:
            if max(row["ratio"][name], row["best_ratio"][name]) < least:
                found[f"more than {percent:g} % more {name}"].append(row["case"])
        if not row["same"]:
            found["different results"].append(row["case"])
    for text, cases in found.items():
        print(f"{text}: {'; '.join(cases) or 'none'}", file=sys.stderr)
    return 1 if any(found.values()) else 0


def finish(given: argparse.Namespace, result: record.Record) -> int:
    """Print a result as its table, and record it if that is asked for."""
    print(tables.render(result))
    if given.record:
        print(f"recorded: {record.write(result, given.records)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
