"""Measure `imgconv validate registry:ROOT` against the speed at which this machine hashes.

    python bench/registry.py [--size MB] [--rounds N] [--imgconv COMMAND]

In each round, one after the other: SHA-256 alone over as many bytes in memory, on all cores; the same over the files
of the storage, read by the simplest loop; and imgconv. The storage has 40 repositories with 20 tags each, which share
bases. Run it on an idle machine; the files have to fit into memory, so that no disk is measured.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measuring import run

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from layouts import CONFIG, GZIP, MANIFEST, PLATFORM, dumps
from storages import Storage, write

MB = 10**6
REPOSITORIES, TAGS, BASES = 40, 20, 4
#: Part of the bytes that are in bases.
_SHARED = 0.3
_CHUNK = 1 << 20


def fill(folder: Path, size: int) -> Storage:
    """Write a storage of about `size` bytes whose layers look like gzip."""
    storage, numbers = Storage(folder), random.Random(1)

    block = numbers.randbytes(_CHUNK)

    def layer(repository: str, length: int) -> dict[str, object]:
        data = b"\x1f\x8b\x08\x00" + numbers.randbytes(16) + block * (length // _CHUNK) + block[: length % _CHUNK]
        return storage.part(repository, data, GZIP)

    bases = [layer("bases", int(size * _SHARED / BASES)) for _ in range(BASES)]
    own = int(size * (1 - _SHARED) / (REPOSITORIES * TAGS))
    for number in range(REPOSITORIES):
        name = f"team/app-{number}"
        base = bases[number % BASES]
        write(storage.layer_link(name, base), base["digest"].encode())
        for tag in range(TAGS):
            rootfs = {"type": "layers", "diff_ids": [f"sha256:{numbers.randbytes(32).hex()}" for _ in range(2)]}
            config = storage.part(name, dumps(PLATFORM | {"config": {}, "rootfs": rootfs}), CONFIG)
            layers = [base, layer(name, own)]
            document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
            storage.manifest(name, document, str(tag))
    shutil.rmtree(storage.repository("bases"))
    return storage


def _timed(work: object, jobs: int) -> float:
    began = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda task: task(), work))
    return time.monotonic() - began


def hash_memory(size: int, jobs: int) -> float:
    """Return the seconds that SHA-256 of `size` bytes takes, the same chunk over and over."""
    buffer = os.urandom(_CHUNK)

    def task() -> None:
        hasher = hashlib.sha256()
        for _ in range(size // jobs // _CHUNK):
            hasher.update(buffer)

    return _timed([task] * jobs, jobs)


def hash_files(paths: list[Path], jobs: int) -> float:
    """Return the seconds that reading and hashing files takes, the largest first."""

    def task(path: Path) -> None:
        hasher, buffer = hashlib.sha256(), memoryview(bytearray(_CHUNK))
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                hasher.update(buffer[:count])

    return _timed([lambda path=path: task(path) for path in paths], jobs)


def main() -> None:
    """Print the rates of each round and the medians of their ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=10_000, metavar="MB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--imgconv", default="imgconv")
    given = parser.parse_args()
    jobs = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        storage = fill(Path(folder), given.size * MB)
        paths = sorted(storage.v2.glob("blobs/*/*/*/data"), key=lambda path: -path.stat().st_size)
        size = sum(path.stat().st_size for path in paths)
        print(f"{len(paths)} blobs, {size / MB:.0f} MB, {jobs} cores")
        ratios: dict[str, list[float]] = {"hash alone": [], "files hashed": []}
        for number in range(given.rounds + 1):
            memory, files = hash_memory(size, jobs), hash_files(paths, jobs)
            checked = run([given.imgconv, "validate", str(storage)])[0].wall
            if not number:
                continue  # the first round fills the page cache
            ratios["hash alone"].append(memory / checked)
            ratios["files hashed"].append(files / checked)
            rates = (
                f"{what} {size / MB / seconds:.0f} MB/s"
                for what, seconds in (
                    ("hash alone", memory),
                    ("files hashed", files),
                    ("imgconv validate", checked),
                )
            )
            print("; ".join(rates))
        for what, values in ratios.items():
            print(f"imgconv validate / {what}: {statistics.median(values):.3f} (median of {len(values)})")


if __name__ == "__main__":
    main()
