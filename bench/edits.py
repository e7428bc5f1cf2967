"""Measure merges and `tag`.

    python bench/edits.py merge [--archives 200] [--kilobytes 100] [--to docker-save] [--pairs 3]
    python bench/edits.py tag [--gigabytes 10] [--pairs 3] --folder FOLDER

`merge` compares one call over all archives with one call for each, in processor time: at most a quarter is wanted.
`tag` compares a new name in an archive with `cp` and `sync` of it, in turn, in wall clock and memory: the time of a
copy and 60 MB are wanted. It also measures `tag` in layouts of two sizes: the time must not depend on the size.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import statistics
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from batch_archives import archive
from measuring import machine, remove, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measuring import Cost

#: Bytes that a layer is written in.
_CHUNK = 16 << 20
_NAME = "example.com/new/name"


def merge(given: argparse.Namespace) -> Iterator[str]:
    """Compare one call over all archives with one call for each."""
    paths = []
    for seed in range(given.archives):
        path = given.folder / f"{seed:04}.tar"
        path.write_bytes(archive(seed, given.kilobytes * 1000))
        paths.append(str(path))
    base = [given.imgconv, "--progress", "none", "-q"]
    ratios = []
    for pair in range(given.pairs):
        singles = 0.0
        for number, path in enumerate(paths):
            singles += run([*base, path, "--to", given.to, str(given.folder / f"one{number}")])[0].cpu
        together, _ = run([*base, *paths, "--to", given.to, str(given.folder / "all")])
        ratios.append(together.cpu / singles)
        yield f"pair {pair}: {given.archives} calls {singles:.2f} s, one call {together.cpu:.2f} s: {ratios[-1]:.4f}"
        for each in (*(f"one{number}" for number in range(given.archives)), "all"):
            path = given.folder / each
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    yield f"median of the ratios: {statistics.median(ratios):.4f}"


def tag(given: argparse.Namespace) -> Iterator[str]:
    """Compare `tag` of an archive with `cp` of it, and `tag` in layouts of two sizes."""
    source, copy = given.folder / "app.tar", given.folder / "copy.tar"
    image(source, given.gigabytes * 10**9)
    ratios, memory = [], 0
    for pair in range(given.pairs):
        costs: dict[str, Cost] = {}
        tagging = [given.imgconv, "tag", str(source), f"{_NAME}:{pair}"]
        # `tag` returns when its result is on the disk; so does a copy that is synced.
        copying = ["sh", "-c", 'cp "$0" "$1" && sync "$1"', str(source), str(copy)]
        commands = {"tag": tagging, "cp": copying}
        for name in sorted(commands, reverse=bool(pair % 2)):
            os.sync()
            costs[name] = run(commands[name])[0]
            copy.unlink(missing_ok=True)
        memory = max(memory, costs["tag"].memory)
        ratios.append(costs["tag"].wall / costs["cp"].wall)
        yield f"pair {pair}: cp {_shown(costs['cp'])}, tag {_shown(costs['tag'])}: {ratios[-1]:.3f}"
    yield f"median of the ratios: {statistics.median(ratios):.3f}, {memory / 1e6:.1f} MB"
    remove(source)
    for megabytes in (10, 1000):
        folder = given.folder / "layout"
        layout(folder, megabytes * 10**6)
        costs_of = [run([given.imgconv, "tag", str(folder), f"{_NAME}:{number}"])[0] for number in range(5)]
        wall = statistics.median(cost.wall for cost in costs_of)
        cpu = statistics.median(cost.cpu for cost in costs_of)
        yield f"a layout of {megabytes} MB: {wall:.3f} s ({cpu:.3f} s of processor time)"
        remove(folder)


def _shown(cost: Cost) -> str:
    return f"{cost.wall:.2f} s ({cost.cpu:.2f} s of processor time, {cost.memory / 1e6:.1f} MB)"


def image(path: Path, size: int) -> None:
    """Write a docker archive of one image whose only layer has about this size, and holds one file."""
    config, parts = _parts(size)
    name = f"{_hex(config)}.json"
    item = [{"Config": name, "RepoTags": ["example.com/app:1"], "Layers": ["layer.tar"]}]
    with path.open("wb") as out:
        for member, contents in (
            ("manifest.json", [json.dumps(item).encode()]),
            (name, [config]),
            ("layer.tar", parts),
        ):
            info = tarfile.TarInfo(member)
            info.size = sum(map(len, contents))
            out.write(info.tobuf())
            out.writelines(contents)
            out.write(b"\0" * (-info.size % tarfile.BLOCKSIZE))
        out.write(b"\0" * tarfile.RECORDSIZE)


def layout(path: Path, size: int) -> None:
    """Write a layout of such an image, with its layer uncompressed."""
    config, parts = _parts(size)
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(kind: str, *contents: bytes) -> dict[str, Any]:
        digest = _hex(*contents)
        with (blobs / digest).open("wb") as out:
            out.writelines(contents)
        kind = f"application/vnd.oci.image.{kind}"
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": sum(map(len, contents))}

    kind = "manifest.v1+json"
    manifest = {"config": add("config.v1+json", config), "layers": [add("layer.v1.tar", *parts)]}
    entry = add(
        kind, json.dumps({"schemaVersion": 2, "mediaType": f"application/vnd.oci.image.{kind}"} | manifest).encode()
    )
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def _parts(size: int) -> tuple[bytes, list[bytes]]:
    """Return a config, and its layer in parts."""
    block = os.urandom(min(size, _CHUNK))
    head = tarfile.TarInfo("file")
    head.size = size // len(block) * len(block)
    padding = -head.size % tarfile.BLOCKSIZE
    parts = [head.tobuf(), *[block] * (size // len(block)), bytes(padding + 2 * tarfile.BLOCKSIZE)]
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{_hex(*parts)}"]}
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode(), parts


def _hex(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["merge", "tag"])
    parser.add_argument("--archives", type=int, default=200)
    parser.add_argument("--kilobytes", type=int, default=100)
    parser.add_argument("--gigabytes", type=int, default=10)
    parser.add_argument("--to", default="docker-save")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument(
        "--imgconv", default=shutil.which("imgconv", path=str(Path(sys.executable).parent)) or "imgconv"
    )
    parser.add_argument("--folder", type=Path, help="where archives are written; a temporary folder if not given")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        if given.folder is None:
            given.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for line in {"merge": merge, "tag": tag}[given.what](given):
            print(line, flush=True)
        print(json.dumps(machine()))


if __name__ == "__main__":
    main()
