"""The archives that are measured: a Debian root file system with the Go tree, in every form.

Made by debootstrap (needs root and a Debian mirror) or of trees that are there
(`--tree`); the other forms are made by imgconv itself. Nothing else is fetched.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_SUITE = "bookworm"
_PACKAGES = "golang-go"
_EPOCH = 1_700_000_000


def make_tree(folder: Path) -> Path:
    """Return the root of a Debian with Go in it."""
    root = folder / "root"
    if not (root / "usr/lib/go-1.19").exists():
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root)]
        if shutil.which("debootstrap") is None:
            raise SystemExit("debootstrap is not here; name trees to pack with --tree DIR")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return root


def pack(parts: Iterable[tuple[Path, Iterable[Path]]], out: Path) -> None:
    """Pack paths below trees into one tar, with nothing of this machine in it but the files."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        info.mtime = _EPOCH
        info.uname = info.gname = ""
        return info if info.isreg() or info.isdir() or info.issym() or info.islnk() else None

    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        for tree, paths in parts:
            for path in paths:
                tar.add(path, arcname=str(path.relative_to(tree)), recursive=False, filter=plain)


def split(tree: Path) -> Iterator[list[Path]]:
    """Yield the parts of a tree that make its layers: Go's compiler, its library, and all else first."""
    go = [path for path in (tree / "usr/lib/go-1.19", tree / "usr/share/go-1.19") if path.exists()]
    yield [path for path in sorted(tree.rglob("*")) if not any(path.is_relative_to(each) for each in go)]
    for each in go:
        yield sorted(each.rglob("*"))


def save_archive(layers: list[Path], out: Path, name: str) -> None:
    """Write a docker-save archive of one image (the form that every tool reads: manifest.json, config, layers)."""
    diff_ids = []
    for layer in layers:
        with layer.open("rb") as file:
            diff_ids.append(hashlib.file_digest(file, "sha256").hexdigest())
    config = json.dumps(
        {
            "architecture": "amd64",
            "config": {},
            "created": "2026-01-01T00:00:00Z",
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": f"layer {each[:8]}"} for each in diff_ids],
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each}" for each in diff_ids]},
        },
        separators=(",", ":"),
    ).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    members = [f"{each}/layer.tar" for each in diff_ids]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": members}]).encode()
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        for member, layer in dict(zip(members, layers, strict=True)).items():
            info = tarfile.TarInfo(member)
            info.size = layer.stat().st_size
            with layer.open("rb") as file:
                tar.addfile(info, file)
        for member, data in ((config_name, config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def prepare(folder: Path, imgconv: str, trees: list[Path]) -> dict[str, Path]:
    """Make what is not there yet; return the archives by kind.

    `several` and `single` are docker-save archives of the same files in several
    layers and in one; `layout`, `layout1` and `crane` are made of them by imgconv.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {"several": folder / "several.tar", "single": folder / "single.tar"}
    layers = folder / "layers"
    if not all(path.exists() for path in found.values()):
        layers.mkdir(exist_ok=True)
        parts = [(tree, paths) for tree in trees or [make_tree(folder)] for paths in split(tree)]
        made = [layers / f"{number}.tar" for number, _ in enumerate(parts)]
        for part, out in zip(parts, made, strict=True):
            pack([part], out)
        pack(parts, layers / "all.tar")
        save_archive(made, found["several"], "bench/several:1")
        save_archive([layers / "all.tar"], found["single"], "bench/single:1")
        shutil.rmtree(layers)
    return found | derived(folder, imgconv, found["several"], found["single"])


def derived(folder: Path, imgconv: str, several: Path, single: Path) -> dict[str, Path]:
    """Return the other forms of two docker-save archives, made where they are missing."""
    made = {
        "layout": (several, "oci", folder / "layout"),
        "layout1": (single, "oci", folder / "layout1"),
        "crane": (several, "crane", folder / "crane.tar"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for source, form, target in made.values():
        if not target.exists():
            subprocess.run([imgconv, str(source), "--to", form, str(target), "--progress", "none"], check=True)
    return {kind: target for kind, (_, _, target) in made.items()}
