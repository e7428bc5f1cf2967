"""The archives that are measured: a Debian root file system with the Go tree, in every form.

debootstrap makes the file system (it needs root and a Debian mirror), or existing folders are packed
(`--tree`). imgconv itself makes the other forms. Nothing else is fetched.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SUITE = "bookworm"
_PACKAGES = "golang-go"
_EPOCH = 1_700_000_000
#: Folders that most Unix systems have, with different kinds of files: a layer each.
_LOCAL = ("/usr/bin", "/usr/lib", "/usr/share", "/usr/include")
#: Megabytes of each of them.
LOCAL_LIMIT = 25


def local_trees() -> list[Path]:
    """Return the folders of this machine that can stand for an image's layers."""
    return [path for path in map(Path, _LOCAL) if path.is_dir()]


def make_tree(folder: Path) -> Path:
    """Return the root of a Debian with Go in it."""
    root = folder / "root"
    if not (root / "usr/lib/go-1.19").exists():
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root)]
        if shutil.which("debootstrap") is None:
            raise SystemExit("debootstrap is not installed; name folders to pack with --tree DIR")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return root


def pack(parts: Iterable[tuple[Path, Iterable[Path]]], out: Path, limit: int | None = None) -> None:
    """Pack paths below trees into one tar, without names and times of this machine.

    Args:
        parts: trees, and the paths below each.
        out: the tar to write.
        limit: the megabytes of files after which no more of a tree is packed.
    """

    def general(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        info.mtime = _EPOCH
        info.uname = info.gname = ""
        return info if info.isreg() or info.isdir() or info.issym() or info.islnk() else None

    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        for tree, paths in parts:
            end = tar.offset + limit * 10**6 if limit else None
            for path in paths:
                if end and tar.offset + path.lstat().st_size > end:
                    continue
                if path.is_symlink() or os.access(path, os.R_OK):
                    tar.add(path, arcname=str(path.relative_to(tree)), recursive=False, filter=general)


def split(tree: Path) -> Iterator[list[Path]]:
    """Yield the parts of a tree that become its layers: everything else first, then Go's compiler and library."""
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


def prepare(folder: Path, imgconv: str, trees: list[Path], limit: int | None = None) -> dict[str, Path]:
    """Make the archives that do not exist yet; return all by kind.

    `several` and `single` are docker-save archives of the same files in several
    layers and in one; imgconv makes `layout`, `layout1` and `crane` from them. `limit` is that of pack().
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {"several": folder / "several.tar", "single": folder / "single.tar"}
    layers = folder / "layers"
    if not all(path.exists() for path in found.values()):
        layers.mkdir(exist_ok=True)
        parts = [(tree, paths) for tree in trees or [make_tree(folder)] for paths in split(tree)]
        paths = [layers / f"{number}.tar" for number, _ in enumerate(parts)]
        for part, out in zip(parts, paths, strict=True):
            pack([part], out, limit)
        pack(parts, layers / "all.tar", limit)
        save_archive(paths, found["several"], "bench/several:1")
        save_archive([layers / "all.tar"], found["single"], "bench/single:1")
        shutil.rmtree(layers)
    return found | derived(folder, imgconv, found["several"], found["single"])


def derived(folder: Path, imgconv: str, several: Path, single: Path) -> dict[str, Path]:
    """Make the other forms of two docker-save archives where they are missing; return all by kind."""
    forms = {
        "layout": (several, "oci", folder / "layout"),
        "layout1": (single, "oci", folder / "layout1"),
        "crane": (several, "crane", folder / "crane.tar"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for source, form, target in forms.values():
        if not target.exists():
            subprocess.run([imgconv, str(source), "--to", form, str(target), "--progress", "none"], check=True)
    return {kind: target for kind, (_, _, target) in forms.items()}
