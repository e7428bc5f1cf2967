"""`--add-repositories`: give an existing archive the legacy `repositories` file.

Every other member stays byte for byte; no layer is copied twice (CONTRACT.md,
"v1 IDs and `--add-repositories`").
"""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

from convert.archive import amend
from convert.archive.atomic import AtomicFile
from convert.archive.output import STDOUT
from convert.archive.source import open_whole_tar
from convert.content import compression_of, present
from convert.digest import Digest
from convert.errors import StorageError, UsageError
from convert.formats.read import read
from convert.formats.repositories import MEMBER, additions_to
from convert.formats.writing import WriteOptions
from convert.limits import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.archive.tar_write import Content
    from convert.archive.tree import TarTree
    from convert.formats.repositories import Additions
    from convert.formats.writing import V1Scheme
    from convert.model import Blob, Descriptor, ImageSet, Layer


def add_repositories(
    source: str,
    destination: str | None = None,
    *,
    v1_ids: V1Scheme | None = None,
    compress: str | None = None,
    force: bool = False,
    remark: Callable[[str], None] = lambda _: None,
) -> ImageSet:
    """Add or mend `repositories`; return what the archive holds.

    Without `destination` in place, keeping mode and owner and following a
    symlink; `-` writes to standard output. v1 IDs are the source's own where
    every layer has one, else made by `v1_ids`.

    Raises:
        UsageError: no name in the archive, a folder, no `manifest.json`, or a
            compressed source without a destination.
        InputError: the source is damaged or hostile.
        StorageError: reading or writing failed.
    """
    if destination is None and source == STDOUT:
        destination = STDOUT
    if destination == STDOUT and os.isatty(1):
        raise UsageError("standard output is a terminal", hint="redirect it, or name a file as DEST")
    tree, wrapper = open_whole_tar(source)
    with tree:
        if wrapper and destination is None:
            raise UsageError(
                f"is compressed ({wrapper}) and cannot be changed in place",
                file=tree.where,
                hint="give a DEST; it comes out plain",
            )
        if tree.find("manifest.json") is None:
            raise UsageError(
                "has no manifest.json, so it names no images for repositories",
                file=tree.where,
                hint="--to docker-save makes an archive that does",
            )
        images = read(tree)
        for warning in images.warnings:
            remark(warning)
        changes = _changes(tree, images, v1_ids or "keep", compress, remark)
        if changes.replaced:
            remark(f"{MEMBER}: {changes.replaced}; replaced")
        if destination is None and not changes.append and not changes.drop:
            remark(f"{MEMBER}: already there and right, nothing written")
            return images
        _write(tree, source, destination, changes, force=force)
        return images


def _changes(
    tree: TarTree, images: ImageSet, v1_ids: V1Scheme, compress: str | None, remark: Callable[[str], None]
) -> Additions:
    members = {id(tree.find(member.name)): member.name for member in tree.members if member.kind == "file"}

    def member_of(layer: Layer) -> str:
        return members[id(present(layer, tree.where))].removeprefix("./")

    options = WriteOptions(
        content=_unused_content,
        blob=_unused_blob,
        layer_digest=lambda layer: _layer_digest(layer, compress),
        warn=remark,
        v1_ids=v1_ids,
    )
    existing = tree.read(MEMBER) if tree.find(MEMBER) is not None else None
    return additions_to(images, options, names=tree.names(), existing=existing, member_of=member_of)


def _layer_digest(layer: Layer, compress: str | None) -> Digest:
    """Return a layer's digest as a registry would store it, for `chain-free` v1 IDs."""
    import hashlib  # noqa: PLC0415 - only for that scheme

    from convert.compression import profiles  # noqa: PLC0415

    if layer.stored is not None:
        return layer.stored.digest
    blob = present(layer)
    hasher = hashlib.sha256()
    encoder = None if compression_of(blob) else profiles.get(compress or profiles.DEFAULT).encoder()
    with blob.open() as stream:
        while data := stream.read(CHUNK):
            hasher.update(encoder.write(data) if encoder else data)
    if encoder:
        hasher.update(encoder.finish())
    return Digest("sha256", hasher.hexdigest())


def _unused_content(_: Layer) -> Content:
    raise ValueError("no layer is written")


def _unused_blob(_: Blob, __: Descriptor) -> Content:
    raise ValueError("no blob is written")


def _write(tree: TarTree, source: str, destination: str | None, changes: Additions, *, force: bool) -> None:
    if destination == STDOUT:
        sys.stdout.flush()
        amend.write_to_stream(_stdout, tree, changes.drop, changes.append)
        return
    in_place = destination is None or _same(destination, tree.where)
    target = tree.where if destination is None else destination
    if in_place and destination is not None and not force:
        raise UsageError("the destination is the source", file=destination, hint="leave DEST out to change it in place")
    if not in_place and _is_stream(target):
        with open(target, "wb", buffering=0) as file:
            amend.write_to_stream(file.write, tree, changes.drop, changes.append)
        return
    like = os.stat(source) if in_place else None
    with AtomicFile(target, replace=in_place or force, like=like) as out:
        try:
            amend.write_to_file(out.fd, tree, changes.drop, changes.append)
        except OSError as error:
            raise StorageError.from_os(error, file=target, doing="writing") from error
        tree.check_unchanged()
        out.commit()


def _stdout(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def _same(one: str, two: str) -> bool:
    try:
        return os.path.samefile(one, two)
    except OSError:
        return False


def _is_stream(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)
