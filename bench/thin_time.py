"""Measure the time that a thin archive takes against that of reading its source, in paired runs.

    python bench/thin_time.py SAVE.tar                    print a table
    python bench/thin_time.py SAVE.tar --record           add it to bench/records

SAVE.tar is a docker-save archive. The files of its layers are divided into ten layers of the same size: NEW has
all of them, and OLD lacks the top one. So a tenth of NEW is new.

Reading NEW is `imgconv validate NEW`, the command that reads and verifies all of it and writes nothing. Where the
target has compressed layers and NEW has not, its manifests need the digest of each layer, so all layers are
compressed; then the comparison is the full conversion into the same form. Where OLD is compressed, NEW is not, and
DiffIDs count, it is `imgconv validate OLD`. `validate NEW` runs in any case. Each round is one run of each, in turning
order; a ratio is the median over the rounds of the time for the thin archive divided by the other.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import statistics
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import corpus
import record
import tables
from measuring import Cost, machine, median, remove, run

import convert

PARTS = 10
MB = 10**6


@dataclass(frozen=True, slots=True)
class Case:
    """A thin conversion, and what its time is compared with."""

    source: str
    without: str
    to: str
    #: `validate`, `convert` for the full conversion, or `old` for `validate OLD`.
    other: str = "validate"

    @property
    def words(self) -> str:
        """The case in words."""
        return f"{self.source} {self.without} {self.to} {self.other}"


CASES = (
    *(Case("save", without, to) for to in ("docker-save", "docker-save@25") for without in ("save", "inventory")),
    *(Case("save", "layout", to, "old") for to in ("docker-save", "docker-save@25")),
    Case("layout", "layout", "docker-save"),
    *(
        Case("layout", without, to)
        for to in ("docker-oci", "oci", "oci-archive")
        for without in ("layout", "inventory")
    ),
    *(Case("layout", without, "docker-save@25") for without in ("layout", "save", "inventory")),
    *(Case("save", without, "docker-oci", "convert") for without in ("save", "layout", "inventory")),
)


def layers_of(source: Path, folder: Path) -> list[Path]:
    """Divide the bytes of a file among layers with one file each, which compress as they do."""
    size = source.stat().st_size // PARTS
    found = []
    with source.open("rb") as data:
        for number in range(PARTS):
            path = folder / f"layer{number}.tar"
            with tarfile.open(path, "w") as tar:
                member = tarfile.TarInfo(f"part{number}")
                member.size = size
                tar.addfile(member, io.BytesIO(data.read(size)))
            found.append(path)
    return found


def prepare(source: Path, folder: Path) -> dict[str, dict[str, Path]]:
    """Write OLD and NEW as docker-save archives and layouts, and the inventories of OLD."""
    layers = layers_of(source, folder)
    found: dict[str, dict[str, Path]] = {"old": {}, "new": {}}
    for name, chosen in (("old", layers[:-1]), ("new", layers)):
        found[name]["save"] = folder / f"{name}.tar"
        corpus.save_archive(chosen, found[name]["save"], f"bench/thin:{name}")
        found[name]["layout"] = folder / name
        convert.convert(found[name]["save"], found[name]["layout"], to="oci")
    for layer in layers:
        layer.unlink()
    found["old"]["inventory"] = folder / "have.json"
    found["old"]["inventory"].write_text(json.dumps(convert.inspect(found["old"]["layout"]).document))
    return found


def measure(case: Case, made: dict[str, dict[str, Path]], folder: Path, runs: int) -> dict[str, object]:
    """Measure one case; return the row of the record."""
    imgconv = [sys.executable, "-P", "-m", "convert"]
    source, out = str(made["new"][case.source]), folder / "out"
    full = [*imgconv, source, "--to", case.to, str(out), "--progress", "none", "-q"]
    thin = [*full, "--without", str(made["old"][case.without])]
    sides = {"thin": thin, "validate": [*imgconv, "validate", source, "--progress", "none"]}
    if case.other == "convert":
        sides["convert"] = full
    elif case.other == "old":
        sides["old"] = [*imgconv, "validate", str(made["old"][case.without]), "--progress", "none"]
    costs: dict[str, list[Cost]] = {side: [] for side in sides}
    size = 0
    for number in range(runs + 1):
        for side in list(sides) if number % 2 else reversed(sides):
            remove(out)
            cost, _ = run(sides[side])
            if number:
                costs[side].append(cost)
            if side == "thin":
                size = sum(each.stat().st_size for each in out.rglob("*")) if out.is_dir() else out.stat().st_size
    remove(out)
    others = {side: cost for side, cost in costs.items() if side != "thin"}
    return {
        "source": case.source,
        "without": case.without,
        "to": case.to,
        "other": case.other,
        "runs": runs,
        "imgconv_cost": median(costs["thin"]).row(),
        "other_cost": median(costs[case.other]).row(),
        "ratio": {"wall": ratio(costs["thin"], costs[case.other], "wall")},
        "ratios": {
            side: {figure: ratio(costs["thin"], other, figure) for figure in ("wall", "cpu")}
            for side, other in others.items()
        },
        "size": size,
        "samples": {side: [list(cost.row().values()) for cost in each] for side, each in costs.items()},
    }


def ratio(costs: list[Cost], others: list[Cost], figure: str) -> float:
    """Return the median over the rounds of one figure divided by the other's."""
    pairs = zip(costs, others, strict=True)
    return round(statistics.median(getattr(cost, figure) / getattr(other, figure) for cost, other in pairs), 3)


def main() -> None:
    """Measure all cases."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("archive", type=Path)
    given.add_argument("--runs", type=int, default=7)
    given.add_argument("--only", default="", help="only cases whose words hold this")
    given.add_argument("--folder", type=Path, default=None)
    given.add_argument("--record", action="store_true")
    options = given.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        made = prepare(options.archive, folder)
        os.sync()
        rows = []
        for case in CASES:
            if options.only in case.words:
                rows.append(measure(case, made, folder, options.runs))
                print(case.words, rows[-1]["ratios"], flush=True)
        sizes = {"NEW": made["new"]["save"].stat().st_size, "OLD": made["old"]["save"].stat().st_size}
    finally:
        shutil.rmtree(folder)
    found = record.new("thin-time", rows, machine=machine(), input=sizes)
    print(tables.render(found))
    if options.record:
        print(record.write(found))


if __name__ == "__main__":
    main()
