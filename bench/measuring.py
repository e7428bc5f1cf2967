"""Run a command and say what it cost; check what it made with nothing but Python's own libraries."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall clock and processor, and peak memory in bytes, of a process and its children."""

    wall: float
    cpu: float
    memory: int


class Failed(Exception):  # noqa: N818 - said as the command's end
    """A command ended with another status than 0."""


def run(command: list[str]) -> Cost:
    """Run a command to its end.

    Raises:
        Failed: with its last words.
    """
    # An installed command has its bytecode; without this an editable one would compile in each run.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"{' '.join(command)}: status {process.returncode}: {said.decode(errors='replace')[-500:]}")
    # Linux counts ru_maxrss in KiB, macOS in bytes.
    unit = 1 if platform.system() == "Darwin" else 1024
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def median(costs: list[Cost]) -> Cost:
    """Return the medians of each figure."""
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        int(statistics.median(cost.memory for cost in costs)),
    )


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there, and let the disk settle."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    os.sync()


def machine() -> dict[str, Any]:
    """Describe the machine as far as it matters, without its name."""
    model = platform.processor() or platform.machine()
    memory = 0
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model,
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": memory,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


# -- answers -------------------------------------------------------------------------


def diff_ids_of_layout(path: Path) -> list[str]:
    """Return the DiffIDs of the only image of a layout, every blob of it hashed anew."""
    index = json.loads((path / "index.json").read_bytes())
    manifests = {entry["digest"] for entry in index["manifests"]}
    assert len(manifests) == 1, f"{path} holds {len(manifests)} manifests"
    manifest = json.loads(_blob(path, manifests.pop()))
    config = json.loads(_blob(path, manifest["config"]["digest"]))
    for layer, wanted in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        with _blob_file(path, layer["digest"]) as raw:
            assert "sha256:" + hashlib.file_digest(raw, "sha256").hexdigest() == layer["digest"], layer
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) as plain:
                got = "sha256:" + hashlib.file_digest(plain, "sha256").hexdigest()  # type: ignore[arg-type] # reads
        assert got == wanted, f"{path}: layer {layer['digest']} is {got}, not {wanted}"
    return list(config["rootfs"]["diff_ids"])


def diff_ids_of_archive(path: Path) -> list[str]:
    """Return the DiffIDs of the only image of a docker-save archive, every layer hashed anew."""
    with tarfile.open(path) as tar:
        (item,) = json.loads(_member(tar, "manifest.json").read())
        config = json.loads(_member(tar, item["Config"]).read())
        for name, wanted in zip(item["Layers"], config["rootfs"]["diff_ids"], strict=True):
            got = "sha256:" + hashlib.file_digest(_member(tar, name), "sha256").hexdigest()  # type: ignore[arg-type]
            assert got == wanted, f"{path}: {name} is {got}, not {wanted}"
    return list(config["rootfs"]["diff_ids"])


def diff_ids(path: Path) -> list[str]:
    """Return the DiffIDs of what a run made."""
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
