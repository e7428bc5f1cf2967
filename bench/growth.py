"""How cost grows with bytes, with layers and with jobs."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from dataclasses import asdict
from typing import TYPE_CHECKING

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


def sweep(folder: Path, imgconv: str, single: Path, most: int, runs: int) -> tuple[str, dict[str, object]]:
    """Measure docker-save to OCI and back; return Markdown and the figures."""
    source = folder / "grow.tar"
    rows: list[tuple[str, str, float, Cost]] = []
    texts = []
    for title, points in (
        ("bytes, one layer", [(f"{size} MB", size, 1, None) for size in SIZES if size <= most]),
        (f"layers, {WHOLE} MB in all", [(f"{count} layers", WHOLE, count, None) for count in LAYERS]),
        (f"jobs, {JOBS_SIZE} MB, one layer", [(f"--jobs {jobs}", JOBS_SIZE, 1, jobs) for jobs in JOBS]),
    ):
        lines = [f"**{title}**", "", "| | direction | wall | CPU | memory | wall for each MB, by the first |"]
        lines.append("|---|---|---|---|---|---|")
        first: dict[str, float] = {}
        for label, size, count, jobs in points:
            _archive(single, source, size, count)
            for direction, cost in _both_ways(folder, imgconv, source, jobs, runs if size <= 1000 else 1):
                each = cost.wall / size
                first.setdefault(direction, each)
                rows.append((label, direction, size, cost))
                lines.append(
                    f"| {label} | {direction} | {cost.wall:.2f} s | {cost.cpu:.2f} s "
                    f"| {cost.memory / MB:.0f} MB | {each / first[direction]:.2f}x |"
                )
            remove(source)
        texts.append("\n".join(lines))
    document: dict[str, object] = {
        "rows": [
            {"case": label, "direction": direction, "megabytes": size, **asdict(cost)}
            for label, direction, size, cost in rows
        ]
    }
    return "\n\n".join(texts), document


def _both_ways(folder: Path, imgconv: str, source: Path, jobs: int | None, runs: int) -> Iterator[tuple[str, Cost]]:
    layout, back = folder / "grow-layout", folder / "grow-back.tar"
    base = [imgconv, "--progress", "none", "-q", *(("--jobs", str(jobs)) if jobs else ())]
    for direction, begin, command in (
        ("docker-save → oci", layout, [*base, str(source), "--to", "oci", str(layout)]),
        ("oci → docker-save", back, [*base, str(layout), "--to", "docker-save", str(back)]),
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
