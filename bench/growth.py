"""How cost grows with bytes, with layers and with jobs."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import corpus
from measuring import Cost, median, remove, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MB = 10**6
SIZES = (10, 100, 1000, 10_000)
LAYERS = (1, 8, 32, 127)
#: Bytes of the archives whose layers are counted: 127 layers of 1 MB.
WHOLE = 127
JOBS = (1, 2, 4)
JOBS_SIZE = 400
#: Above so many megabytes, once is enough.
ONCE = 1000
DIRECTIONS = ("docker-save → oci", "oci → docker-save")
HEADING = "| | direction | wall | CPU | memory | wall for each MB, by the first |"


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured: one archive, converted one way."""

    section: str
    case: str
    direction: str
    megabytes: int
    cost: Cost

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Point:
        """Take it from a record."""
        return cls(**(fields | {"cost": Cost(**fields["cost"])}))

    @property
    def key(self) -> tuple[str, str, str]:
        """What the same would be measured under."""
        return self.section, self.case, self.direction


def _cases() -> Iterator[tuple[str, str, int, int, int | None]]:
    """Yield section, case, megabytes, layers and jobs."""
    for size in SIZES:
        yield "bytes, one layer", f"{size} MB", size, 1, None
    for count in LAYERS:
        yield f"layers, {WHOLE} MB in all", f"{count} layers", WHOLE, count, None
    for jobs in JOBS:
        yield f"jobs, {JOBS_SIZE} MB, one layer", f"--jobs {jobs}", JOBS_SIZE, 1, jobs


def sweep(folder: Path, imgconv: str, single: Path, runs: int, only: str) -> Iterator[Point]:
    """Measure docker-save to OCI and back; of the cases whose section or name holds `only`."""
    source = folder / "grow.tar"
    for section, case, size, count, jobs in _cases():
        if only in section or only == case:
            _archive(single, source, size, count)
            for direction, cost in _both_ways(folder, imgconv, source, jobs, runs if size <= ONCE else 1):
                yield Point(section, case, direction, size, cost)
            remove(source)


def table(points: list[Point]) -> str:
    """Return the points as Markdown, a table for each section."""
    texts: dict[str, list[str]] = {}
    first: dict[tuple[str, str], float] = {}
    found = {point.key: point for point in points}
    for section, case, size, _, _ in _cases():
        for direction in DIRECTIONS:
            point = found.get((section, case, direction))
            if point is None:
                continue
            lines = texts.setdefault(section, [f"**{section}**", "", HEADING, "|---|---|---|---|---|---|"])
            cost, each = point.cost, point.cost.wall / size
            growth = each / first.setdefault((section, direction), each)
            lines.append(
                f"| {case} | {direction} | {cost.wall:.2f} s | {cost.cpu:.2f} s "
                f"| {cost.memory / MB:.0f} MB | {growth:.2f}x |"
            )
    return "\n\n".join("\n".join(lines) for lines in texts.values())


def merged(points: list[Point], earlier: list[Point]) -> list[Point]:
    """Return the points, and those earlier ones that were not measured again."""
    keys = {point.key for point in points}
    return points + [point for point in earlier if point.key not in keys]


def _both_ways(folder: Path, imgconv: str, source: Path, jobs: int | None, runs: int) -> Iterator[tuple[str, Cost]]:
    layout, back = folder / "grow-layout", folder / "grow-back.tar"
    base = [imgconv, "--progress", "none", "-q", *(("--jobs", str(jobs)) if jobs else ())]
    for direction, begin, command in (
        (DIRECTIONS[0], layout, [*base, str(source), "--to", "oci", str(layout)]),
        (DIRECTIONS[1], back, [*base, str(layout), "--to", "docker-save", str(back)]),
    ):
        costs = []
        for _ in range(runs):
            remove(begin)
            costs.append(run(command))
        yield direction, median(costs)
    remove(back)
    remove(layout)


class _Repeated(io.RawIOBase):
    """The bytes of a file again and again, from some offset on, up to a size."""

    def __init__(self, path: Path, offset: int, size: int) -> None:
        self._file = path.open("rb")
        self._length = path.stat().st_size
        self._file.seek(offset % self._length)
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        made = bytearray()
        while len(made) < wanted:
            part = self._file.read(wanted - len(made))
            if not part:
                self._file.seek(0)
            made += part
        self._left -= wanted
        return bytes(made)

    def close(self) -> None:
        self._file.close()
        super().close()


def _archive(data: Path, out: Path, megabytes: int, layers: int) -> None:
    """Write a docker-save archive with layers of one file each, out of the corpus."""
    each = megabytes * MB // layers
    folder = out.parent / "grow-layers"
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(layers):
        path = folder / f"{number}.tar"
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar, _Repeated(data, number * each, each) as file:
            info = tarfile.TarInfo(f"file-{number}")
            info.size = each
            tar.addfile(info, file)  # type: ignore[arg-type] # reads
        made.append(path)
    corpus.save_archive(made, out, f"bench/grow:{json.dumps(megabytes)}")
    shutil.rmtree(folder)
