"""Describe a folder or tar archive that has no documents of an image."""

from __future__ import annotations

import re
import shlex
from itertools import islice
from typing import TYPE_CHECKING, Final

from convert.archive.transport import STDIN
from convert.archive.tree import clean
from convert.errors import UnknownFormatError, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convert.archive.tree import Tree

# Folders at the top of a Linux system (Filesystem Hierarchy Standard); three of them are not a coincidence.
_SYSTEM: Final = frozenset(
    (
        *("bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "media", "mnt", "opt"),
        *("proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var"),
    )
)
_ENOUGH: Final = 3
_ARCHIVE: Final = re.compile(r".+\.(?:tar|tgz|tar\.(?:gz|xz|bz2|zst)|oci)\Z")
# Layers of a docker archive whose manifest.json is lost.
_LAYER: Final = re.compile(r"(?:.*/)?(?:[0-9a-f]{64}\.tar(?:\.gz)?|layer\.tar)\Z")
# What is beside the manifest.json of a docker archive; alone, a file of that name may be anything.
_BESIDE: Final = re.compile(r"repositories|(?:sha256:|sha256-)?[0-9a-f]{64}(?:[./].*)?")
_MOST_DEEP: Final = 2
_MOST_NAMED: Final = 3


def not_an_image(tree: Tree) -> UnknownFormatError:
    """Return the error for a source without `manifest.json`, `index.json` and `repositories`.

    It names what the source looks like, and what helps.
    """
    names = [name for member in tree.names() if (name := clean(member))]
    kind = "folder" if tree.is_folder else "archive"
    message = f"no container image: this {kind} has no manifest.json, index.json or repositories"
    if len(_SYSTEM & {name.partition("/")[0] for name in names}) >= _ENOUGH:
        return UnknownFormatError(
            f"{message}; it looks like the root file system of a container or a system, or like a layer",
            code="root-file-system",
            file=tree.where,
            hint=f"make an image of it: {_import(tree)} && docker save NAME:TAG",
        )
    inner = min(_image_folders(names), key=lambda path: (path.count("/"), path), default=None)
    if inner is not None:
        return UnknownFormatError(
            f"{message}; its folder {quoted(inner)} holds one",
            code="image-in-folder",
            file=tree.where,
            hint=_way_in(tree, inner),
        )
    what, hint = _kind(names, folder=tree.is_folder)
    return UnknownFormatError(f"{message}; {what}" if what else message, file=tree.where, hint=hint)


def _import(tree: Tree) -> str:
    """Return the command that makes an image of a root file system (docker import, docs.docker.com)."""
    if tree.is_folder:
        return f"tar -C {shlex.quote(tree.where)} -c . | docker import - NAME:TAG"
    return f"docker import {shlex.quote(tree.where)} NAME:TAG"


def _way_in(tree: Tree, inner: str) -> str:
    """Return the commands with which the image in a folder of a source is read."""
    if inner.startswith("-"):
        inner = f"./{inner}"
    if tree.is_folder:
        return f"pass {shlex.quote(f'{tree.where}/{inner}')}"
    unpack = "tar -x" if tree.where == STDIN else f"tar -xf {shlex.quote(tree.where)}"
    return f"{unpack}, then pass {shlex.quote(inner)}, or pack it again: tar -cf NEW.tar -C {shlex.quote(inner)} ."


def _kind(names: list[str], *, folder: bool) -> tuple[str, str | None]:
    if not names:
        return "it is empty", None
    unpack = "" if folder else "unpack it and "
    archives = [name for name in names if name.count("/") < _MOST_DEEP and _ARCHIVE.match(name)]
    archives = [name for name in archives if not _LAYER.match(name)]
    if archives:
        more = ", …" if len(archives) > _MOST_NAMED else ""
        named = ", ".join(quoted(name) for name in islice(archives, _MOST_NAMED)) + more
        return f"it holds archives: {named}", f"{unpack}pass one of them"
    if any(map(_LAYER.match, names)):
        return "it holds layers, but not the documents that name them", "it may be a part of an archive"
    return "", None


def _image_folders(names: Iterable[str]) -> set[str]:
    """Return the folders near the top that hold the documents of a layout or a docker archive."""
    held: dict[str, set[str]] = {}
    for name in names:
        parts = name.split("/")
        for depth in range(1, min(len(parts), _MOST_DEEP + 1)):
            held.setdefault("/".join(parts[:depth]), set()).add(parts[depth])
    return {
        folder
        for folder, inside in held.items()
        if "oci-layout" in inside
        or {"index.json", "blobs"} <= inside
        or (inside & {"manifest.json", "repositories"} and any(map(_BESIDE.fullmatch, inside - {"repositories"})))
    }
