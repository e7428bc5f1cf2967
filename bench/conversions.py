"""imgconv against its peers: paired runs, medians, ratios, answers checked.

    python bench/conversions.py                        make the corpus if need be, measure, print the table
    python bench/conversions.py --only crane           only the cases whose name holds that; the day's other rows stay
    python bench/conversions.py --grow                 how cost grows with bytes, layers and jobs
    python bench/conversions.py --archive SAVE.tar --single ONE.tar     measure these instead

Each pair is one run of imgconv and one of the peer, in turns of order, so that what else
the machine does meets both. A ratio is the median over the pairs of the peer's figure by
imgconv's: more is better for imgconv. Peers that are not there are left out, and said.
Times include the end of the process; imgconv syncs its result to disk, its peers do not.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import corpus
import growth
from measuring import Cost, diff_ids, machine, median, remove, run

MB = 10**6


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to do, how imgconv is told to, and how others are.

    Words in braces are replaced: {several}, {single}, {layout}, {layout1}, {crane} by the
    corpus, {out} by where the result goes, and {imgconv}, {skopeo}, ... by the tools.
    `reach` is the ratio of wall clocks that the project set itself, `reach_cpu` of processor time.
    """

    name: str
    mine: str
    peer: str
    theirs: str
    reach: float | None = None
    reach_cpu: float | None = None
    #: Run before each of imgconv's runs and not counted.
    before: str = ""
    #: Run once before all.
    once: str = ""
    #: The corpus that both must have turned into the same DiffIDs; "" where nothing is written.
    same: str = "several"
    #: Whether the peer's command only asks another process to do it: then its cost says nothing but the wall clock.
    asks: bool = False


SKOPEO = "{skopeo} --insecure-policy copy -q"
MINE = "{imgconv} --progress none -q"
CASES = (
    Case(
        "docker-save → oci",
        MINE + " {several} --to oci {out}",
        "skopeo",
        SKOPEO + " docker-archive:{several} oci:{out}:x",
        reach=2.0,
        reach_cpu=1.6,
    ),
    Case(
        "docker-save, one layer → oci",
        MINE + " {single} --to oci {out}",
        "skopeo",
        SKOPEO + " docker-archive:{single} oci:{out}:x",
        reach=1.8,
        same="single",
    ),
    Case(
        "oci → docker-save",
        MINE + " {layout} --to docker-save {out}",
        "skopeo",
        SKOPEO + " oci:{layout} docker-archive:{out}",
        reach=3.5,
    ),
    Case(
        "oci, one layer → docker-save",
        MINE + " {layout1} --to docker-save {out}",
        "skopeo",
        SKOPEO + " oci:{layout1} docker-archive:{out}",
        same="single",
    ),
    Case(
        "crane tarball → oci",
        MINE + " {crane} --to oci {out}",
        "skopeo",
        SKOPEO + " docker-archive:{crane} oci:{out}:x",
        reach=6.0,
    ),
    Case(
        "oci → oci",
        MINE + " {layout} --to oci {out}",
        "skopeo",
        SKOPEO + " oci:{layout} oci:{out}:x",
        reach=1.3,
    ),
    Case(
        "digest of a push",
        "{imgconv} digest {several} --as crane",
        "crane",
        "{crane_tool} digest --tarball {several}",
        same="",
    ),
    # umoci converts nothing; unpacking, which proves the same digests, is the nearest it does.
    Case(
        "oci → docker-save; umoci: unpack",
        MINE + " {layout} --to docker-save {out}",
        "umoci",
        "{umoci} unpack --rootless --image {layout}:{tag} {out}",
        same="",
    ),
    # The engine works in another process, so only the wall clock tells.
    Case(
        "oci → docker-save; docker save",
        MINE + " {layout} --to docker-save {out}",
        "docker",
        "{docker} save -o {out} {name}",
        once="{docker} load -q -i {several}",
        asks=True,
    ),
    Case(
        "second tag: --append against the first",
        MINE + " {several} --to oci --append --tag bench/again:2 {out}",
        "imgconv",
        MINE + " {several} --to oci {out}",
        reach=20.0,
        before=MINE + " {several} --to oci {out}",
        same="",
    ),
    Case(
        "from a file against from a pipe",
        MINE + " {several} --to oci {out}",
        "imgconv",
        "sh -c 'cat {several} | " + MINE + " - --to oci {out}'",
        same="several",
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a case."""

    case: str
    peer: str
    pairs: int
    mine: Cost
    theirs: Cost
    wall: float
    cpu: float | None
    memory: float | None
    reach: float | None
    reach_cpu: float | None

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Row:
        """Take it from a record."""
        costs = {name: Cost(**fields[name]) for name in ("mine", "theirs")}
        return cls(**(fields | costs))


def command(template: str, words: dict[str, str]) -> list[str]:
    """Return a command's parts; a word may hold spaces."""
    return [part.format_map(words) for part in shlex.split(template)]


def measure(case: Case, words: dict[str, str], runs: int) -> Row:
    """Run the pairs of a case and check what they made."""
    folder = Path(words["folder"])
    outs = {True: folder / "out-mine", False: folder / "out-theirs"}
    templates = {True: case.mine, False: case.theirs}
    costs: dict[bool, list[Cost]] = {True: [], False: []}
    if case.once:
        run(command(case.once, words))
    # One pair more than asked for, not counted: it warms the cache.
    for number in range(runs + 1):
        for mine in (True, False) if number % 2 else (False, True):
            remove(outs[mine])
            mapping = words | {"out": str(outs[mine])}
            if mine and case.before:
                run(command(case.before, mapping))
                os.sync()
            cost = run(command(templates[mine], mapping))
            if number:
                costs[mine].append(cost)
    if case.same:
        wanted = diff_ids(Path(words[case.same]))
        for out in outs.values():
            assert diff_ids(out) == wanted, f"{case.name}: {out} holds something else"
    for out in outs.values():
        remove(out)

    def ratio(figure: str) -> float:
        pairs = zip(costs[False], costs[True], strict=True)
        return statistics.median(getattr(theirs, figure) / getattr(mine, figure) for theirs, mine in pairs)

    return Row(
        case.name,
        case.peer,
        runs,
        median(costs[True]),
        median(costs[False]),
        ratio("wall"),
        None if case.asks else ratio("cpu"),
        None if case.asks else ratio("memory"),
        case.reach,
        case.reach_cpu,
    )


def table(rows: list[Row], about: dict[str, object]) -> str:
    """Return the rows as Markdown."""
    pairs = sorted({row.pairs for row in rows})
    lines = [
        f"{heading(about)}; {' or '.join(map(str, pairs))} pairs each, warm cache.",
        "",
        "| conversion | against | imgconv wall, CPU, memory | peer wall, CPU, memory | speed | CPU | memory | reach |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        reach = f"{row.reach:g}x" if row.reach else ""
        if row.reach_cpu:
            reach += f", CPU {row.reach_cpu:g}x"
        lines.append(
            f"| {row.case} | {row.peer} | {_cost(row.mine)} "
            f"| {_cost(row.theirs) if row.cpu else f'{row.theirs.wall:.2f} s'} "
            f"| {row.wall:.2f}x | {_ratio(row.cpu)} | {_ratio(row.memory)} | {reach} |"
        )
    return "\n".join(lines)


def heading(about: dict[str, object]) -> str:
    """Return one line about the machine."""
    what = "{cores} cores of {processor} ({architecture}), {system}, Python {python}, load {load} at the start"
    return what.format_map(about)


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}x"


def _cost(cost: Cost) -> str:
    return f"{cost.wall:.2f} s, {cost.cpu:.2f} s, {cost.memory / MB:.0f} MB"


def tools(given: argparse.Namespace) -> dict[str, str]:
    """Return the tools that are there; a docker without a daemon is none."""
    found = {
        "imgconv": given.imgconv or shutil.which("imgconv", path=str(Path(sys.executable).parent)),
        "skopeo": given.skopeo or shutil.which("skopeo"),
        "crane_tool": given.crane or shutil.which("crane"),
        "umoci": given.umoci or shutil.which("umoci"),
        "docker": given.docker or shutil.which("docker"),
    }
    docker = found["docker"]
    if docker and subprocess.run([docker, "version"], capture_output=True, check=False).returncode:
        found["docker"] = None
    return {name: path for name, path in found.items() if path}


def record(folder: Path, kind: str, text: str, document: dict[str, object]) -> None:
    """Write a dated result, as a table and as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    base = folder / f"{dt.datetime.now(dt.UTC):%Y-%m-%d}-{kind}"
    base.with_suffix(".md").write_text(text + "\n")
    base.with_suffix(".json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def earlier(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Return the rows of the day's record, if there is one."""
    path = folder / f"{dt.datetime.now(dt.UTC):%Y-%m-%d}-{kind}.json"
    return list(json.loads(path.read_bytes())["rows"]) if path.exists() else []


def versions(words: dict[str, str]) -> dict[str, str]:
    """Return what each tool says it is, in one line."""
    ask = {"crane_tool": "version"}
    said = {}
    for name in ("imgconv", "skopeo", "crane_tool", "umoci", "docker"):
        if name in words:
            got = subprocess.run([words[name], ask.get(name, "--version")], capture_output=True, text=True, check=False)
            said[name.removesuffix("_tool")] = (got.stdout or got.stderr).strip().partition("\n")[0]
    return said


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/bench"), help="where the corpus and results lie")
    parser.add_argument("--archive", type=Path, help="a docker-save archive of several layers")
    parser.add_argument("--single", type=Path, help="one of a single layer")
    parser.add_argument("--tree", type=Path, action="append", default=[], help="pack this instead of a Debian")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", help="cases whose name holds this; the other rows of the day's record stay")
    for name in ("imgconv", "skopeo", "crane", "umoci", "docker"):
        parser.add_argument(f"--{name}", metavar="PATH")
    parser.add_argument("--grow", action="store_true", help="sweep bytes, layers and jobs")
    parser.add_argument("--records", type=Path, default=Path(__file__).parent / "records")
    given = parser.parse_args()
    there = tools(given)
    if given.archive:
        single = given.single or given.archive
        forms = {"several": given.archive, "single": single}
        forms |= corpus.derived(given.folder, there["imgconv"], given.archive, single)
    else:
        # Elsewhere: a child is charged the memory that its parent had when it was started.
        with ProcessPoolExecutor(1) as elsewhere:
            forms = elsewhere.submit(corpus.prepare, given.folder, there["imgconv"], given.tree).result()
    words = {kind: str(path) for kind, path in forms.items()} | there | {"folder": str(given.folder)}
    index = json.loads((forms["layout"] / "index.json").read_bytes())
    names = index["manifests"][0]["annotations"]
    words["tag"] = names["org.opencontainers.image.ref.name"]
    words["name"] = names["io.containerd.image.name"]
    about = machine() | {"tools": versions(words), "bytes": forms["several"].stat().st_size}
    if given.grow:
        points = list(growth.sweep(given.folder, there["imgconv"], forms["single"], given.runs, given.only or ""))
        if given.only:
            points = growth.merged(points, [growth.Point.of(row) for row in earlier(given.records, "growth")])
        text = f"{heading(about)}.\n\n{growth.table(points)}"
        print(text)
        record(given.records, "growth", text, {"machine": about, "rows": [asdict(point) for point in points]})
        return
    rows = []
    for case in CASES:
        tool = {"crane": "crane_tool"}.get(case.peer, case.peer)
        if given.only and given.only not in case.name:
            continue
        if tool not in words:
            print(f"left out {case.name}: no {case.peer}", file=sys.stderr)
            continue
        rows.append(measure(case, words, given.runs))
        print(f"{case.name}: {rows[-1].wall:.2f}x", file=sys.stderr)
    if given.only:
        measured = {row.case for row in rows}
        rows += [Row.of(row) for row in earlier(given.records, "conversions") if row["case"] not in measured]
    order = [case.name for case in CASES]
    rows = sorted((row for row in rows if row.case in order), key=lambda row: order.index(row.case))
    text = table(rows, about)
    print(text)
    record(given.records, "conversions", text, {"machine": about, "rows": [asdict(row) for row in rows]})


if __name__ == "__main__":
    main()
