"""Run commands, measure what they cost, and verify results with nothing but Python's own libraries."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from record import system

#: What a cost consists of.
FIGURES = ("wall", "cpu", "memory")
#: A digest of nothing: the state of a path that does not exist.
ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall clock and of processor time, and peak memory in bytes, of a process and its children."""

    wall: float
    cpu: float
    memory: int

    def row(self) -> dict[str, Any]:
        """Return it for a record."""
        return {"wall": round(self.wall, 4), "cpu": round(self.cpu, 4), "memory": self.memory}


#: Runs a command and prints its cost. A process of its own, because the kernel counts the peak memory of
#: the process that starts a command as the command's, too: this one is as small as Python gets.
_LAUNCHER = """
import os, sys, time
out, err, *command = sys.argv[1:]
flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
files = [(os.POSIX_SPAWN_OPEN, number, path, flags, 0o600) for number, path in ((1, out), (2, err))]
began = time.monotonic()
process = os.posix_spawnp(command[0], command, os.environ, file_actions=files)
_, status, usage = os.wait4(process, 0)
print(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, status)
"""


class CommandError(Exception):
    """A command ended with a status that was not expected."""


def run(command: list[str], *, times: int = 1, accept: tuple[int, ...] = (0,)) -> tuple[Cost, bytes]:
    """Run a command to its end; return its cost and its standard output.

    Args:
        command: the command and its arguments.
        times: how often to run it. Times are the mean of all runs, memory the largest: short
            commands need several runs for a figure that can be compared.
        accept: the exit statuses that count as success.

    Raises:
        CommandError: it ended with another status.
    """
    # An installed command has its bytecode; without this an editable one would compile in each run.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    costs = []
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(out), str(err), *command]
        for _ in range(times):
            done = subprocess.run(launcher, stdout=subprocess.PIPE, env=environment, check=True)
            wall, cpu, memory, status = done.stdout.split()
            if (code := os.waitstatus_to_exitcode(int(status))) not in accept:
                words = err.read_text(errors="replace")[-500:]
                raise CommandError(f"{' '.join(command)}: status {code}: {words}")
            # Linux counts ru_maxrss in KiB, macOS in bytes.
            unit = 1 if platform.system() == "Darwin" else 1024
            costs.append(Cost(float(wall), float(cpu), int(memory) * unit))
        answer = out.read_bytes()
    mean = [statistics.fmean(getattr(cost, name) for cost in costs) for name in FIGURES[:2]]
    return Cost(mean[0], mean[1], max(cost.memory for cost in costs)), answer


def median(costs: list[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        int(statistics.median(cost.memory for cost in costs)),
    )


def ratio(costs: list[Cost], others: list[Cost], figure: str) -> float:
    """Return the median over the pairs of the other's figure divided by imgconv's."""
    pairs = zip(costs, others, strict=True)
    return statistics.median(getattr(other, figure) / getattr(cost, figure) for cost, other in pairs)


def best(costs: list[Cost], figure: str) -> float:
    """Return the lowest figure: on a busy machine it is disturbed the least."""
    return min(getattr(cost, figure) for cost in costs)


def pair_row(
    case: str, other: str, costs: list[Cost], others: list[Cost], *, only_wall: bool = False
) -> dict[str, Any]:
    """Return the row of a record for the paired runs of a case.

    Args:
        case: the name of the case.
        other: the name of what imgconv is compared with.
        costs: the cost of each run of imgconv.
        others: the cost of the other's run in the same pair.
        only_wall: leave out the other's processor time and memory, because another process does its work.
    """
    kept = FIGURES[:1] if only_wall else FIGURES
    other_cost = {name: value if name in kept else None for name, value in median(others).row().items()}
    return {
        "case": case,
        "other": other,
        "runs": len(costs),
        "imgconv_cost": median(costs).row(),
        "other_cost": other_cost,
        "ratio": {name: round(ratio(costs, others, name), 4) if name in kept else None for name in FIGURES},
        "best_ratio": {name: round(best(others, name) / best(costs, name), 4) for name in kept},
        "samples": {
            "imgconv": [list(cost.row().values()) for cost in costs],
            "other": [list(cost.row().values())[: len(kept)] for cost in others],
        },
    }


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists, and sync, so that no run pays for another's data."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    os.sync()


def machine() -> dict[str, Any]:
    """Describe the machine in general terms, without its name."""
    model = platform.processor() or platform.machine()
    memory = 0
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": re.sub(r"\((R|TM)\)| Processor", "", model),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": round(memory, -9),
        "system": system(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def go_version(path: str) -> str | None:
    """Return the Go release that built a program, from its build information."""
    found = re.search(rb"\xff Go buildinf:.{0,64}?go(\d+\.\d+(?:\.\d+)?)", Path(path).read_bytes(), re.DOTALL)
    return found[1].decode() if found else None


def state(path: Path) -> str:
    """Return a digest of the names and bytes of a file or a folder, without times and modes."""
    if not path.exists():
        return ABSENT
    found = hashlib.sha256()
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if each.is_file():
            with each.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found.update(f"{each.relative_to(path)}\0{digest}\n".encode())
    return found.hexdigest()


def diff_ids_of_layout(path: Path) -> list[str]:
    """Return the DiffIDs of the only image of a layout, after hashing each of its blobs."""
    index = json.loads((path / "index.json").read_bytes())
    manifests = {entry["digest"] for entry in index["manifests"]}
    assert len(manifests) == 1, f"{path} holds {len(manifests)} manifests"
    manifest = json.loads(_blob(path, manifests.pop()))
    config = json.loads(_blob(path, manifest["config"]["digest"]))
    for layer, wanted in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        with _blob_file(path, layer["digest"]) as raw:
            assert "sha256:" + hashlib.file_digest(raw, "sha256").hexdigest() == layer["digest"], layer
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                got = "sha256:" + hashlib.file_digest(unpacked, "sha256").hexdigest()  # type: ignore[arg-type] # reads
        assert got == wanted, f"{path}: layer {layer['digest']} is {got}, not {wanted}"
    return list(config["rootfs"]["diff_ids"])


def diff_ids_of_archive(path: Path) -> list[str]:
    """Return the DiffIDs of the only image of a docker-save archive, after hashing each layer."""
    with tarfile.open(path) as tar:
        (item,) = json.loads(_member(tar, "manifest.json").read())
        config = json.loads(_member(tar, item["Config"]).read())
        for name, wanted in zip(item["Layers"], config["rootfs"]["diff_ids"], strict=True):
            got = "sha256:" + hashlib.file_digest(_member(tar, name), "sha256").hexdigest()  # type: ignore[arg-type]
            assert got == wanted, f"{path}: {name} is {got}, not {wanted}"
    return list(config["rootfs"]["diff_ids"])


def diff_ids(path: Path) -> list[str]:
    """Return the DiffIDs of the result of a run."""
    return diff_ids_of_layout(path) if path.is_dir() else diff_ids_of_archive(path)


def _blob_file(path: Path, digest: str) -> IO[bytes]:
    algorithm, _, encoded = digest.partition(":")
    return (path / "blobs" / algorithm / encoded).open("rb")


def _blob(path: Path, digest: str) -> bytes:
    with _blob_file(path, digest) as file:
        data = file.read()
    assert "sha256:" + hashlib.sha256(data).hexdigest() == digest, f"{path}: {digest}"
    return data


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    file = tar.extractfile(name)
    assert file is not None, name
    return file
