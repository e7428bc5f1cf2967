"""Measure how cost grows with bytes, with layers and with jobs."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from typing import TYPE_CHECKING, Any

import corpus
from measuring import median, remove, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from measuring import Cost

MB = 10**6
SIZES = (10, 100, 1000, 10_000)
LAYERS = (1, 8, 32, 127)
#: Megabytes of the archives with several layers: 127 layers of 1 MB.
TOTAL = 127
JOBS = (1, 2, 4)
JOBS_SIZE = 400
#: Larger archives, in megabytes, are converted once.
ONCE = 1000
DIRECTIONS = ("docker-save → oci", "oci → docker-save")


def _cases() -> Iterator[tuple[str, str, int, int, int | None]]:
    """Yield section, case, megabytes, layers and jobs."""
    for size in SIZES:
        yield "bytes, one layer", f"{size} MB", size, 1, None
    for count in LAYERS:
        yield f"layers, {TOTAL} MB in all", f"{count} layers", TOTAL, count, None
    for jobs in JOBS:
        yield f"jobs, {JOBS_SIZE} MB, one layer", f"--jobs {jobs}", JOBS_SIZE, 1, jobs


def sweep(folder: Path, imgconv: str, single: Path, runs: int, only: str) -> Iterator[dict[str, Any]]:
    """Measure docker-save to OCI and back; yield the rows of a record.

    Args:
        folder: where archives are written.
        imgconv: the command.
        single: the file whose bytes fill the archives.
        runs: runs of each case, one for those over ONCE megabytes.
        only: measure the cases whose section or name holds this.
    """
    source = folder / "grow.tar"
    for section, case, size, count, jobs in _cases():
        if only in section or only in case:
            _archive(single, source, size, count)
            for direction, costs in _both_ways(folder, imgconv, source, jobs, runs if size <= ONCE else 1):
                yield {
                    "section": section,
                    "case": case,
                    "direction": direction,
                    "megabytes": size,
                    "imgconv_cost": median(costs).row(),
                    "samples": {"imgconv": [list(cost.row().values()) for cost in costs]},
                }
            remove(source)


def _both_ways(
    folder: Path, imgconv: str, source: Path, jobs: int | None, runs: int
) -> Iterator[tuple[str, list[Cost]]]:
    layout, back = folder / "grow-layout", folder / "grow-back.tar"
    base = [imgconv, "--progress", "none", "-q", *(("--jobs", str(jobs)) if jobs else ())]
    for direction, begin, command in (
        (DIRECTIONS[0], layout, [*base, str(source), "--to", "oci", str(layout)]),
        (DIRECTIONS[1], back, [*base, str(layout), "--to", "docker-save", str(back)]),
    ):
        costs = []
        for _ in range(runs):
            remove(begin)
            costs.append(run(command)[0])
        yield direction, costs
    remove(back)
    remove(layout)


class _Repeated(io.RawIOBase):
    """The bytes of a file, repeated, from an offset on and up to a size."""

    def __init__(self, path: Path, offset: int, size: int) -> None:
        self._file = path.open("rb")
        self._length = path.stat().st_size
        self._file.seek(offset % self._length)
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        result = bytearray()
        while len(result) < wanted:
            part = self._file.read(wanted - len(result))
            if not part:
                self._file.seek(0)
            result += part
        self._left -= wanted
        return bytes(result)

    def close(self) -> None:
        self._file.close()
        super().close()


def _archive(data: Path, out: Path, megabytes: int, layers: int) -> None:
    """Write a docker-save archive whose layers hold one file each, filled from the corpus."""
    each = megabytes * MB // layers
    folder = out.parent / "grow-layers"
    folder.mkdir(parents=True, exist_ok=True)
    result = []
    for number in range(layers):
        path = folder / f"{number}.tar"
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar, _Repeated(data, number * each, each) as file:
            info = tarfile.TarInfo(f"file-{number}")
            info.size = each
            tar.addfile(info, file)  # type: ignore[arg-type] # reads
        result.append(path)
    corpus.save_archive(result, out, f"bench/grow:{json.dumps(megabytes)}")
    shutil.rmtree(folder)
