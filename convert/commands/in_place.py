"""What commands share that change an archive in place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from convert.archive import tar_rewrite
from convert.archive.folders import Place
from convert.archive.temporary import remove_stale
from convert.archive.tree import clean
from convert.errors import StorageError

if TYPE_CHECKING:
    from convert.archive.tar_tree import TarTree
    from convert.layer.context import ReadContext


def opened_place(path: str, tree: TarTree) -> Place:
    """Return the real path of the file that was opened at `path`; a link is resolved here, once.

    What a killed run left beside the file is removed, also if nothing is to be written.

    Raises:
        StorageError: the path leads to another file by now.
    """
    try:
        place = Place(os.path.realpath(path))
    except OSError as error:
        raise StorageError.from_os(error, file=path, doing="opening its folder") from error
    status = place.status()
    if status is None or not os.path.samestat(status, os.fstat(tree.fd)):
        place.close()
        raise StorageError(
            "it was moved or replaced when it was opened, so it is not changed", code="destination-changed", file=path
        )
    remove_stale(place.folder)
    return place


def expected_members(tree: TarTree, context: ReadContext) -> list[tar_rewrite.Expected]:
    """Return what has to be in the result: the members that were verified or read, and their repetitions."""
    alike: dict[tuple[str | None, int], list[int]] = {}
    at: dict[int, list[int]] = {}
    for member in tree.members:
        if member.kind == "file":
            offsets = alike.setdefault((clean(member.name), member.size), [])
            offsets.append(member.offset)
            at[member.offset] = offsets
    return [
        tar_rewrite.Expected(offset, size, digest, blob.where)
        for blob, digest, size in context.verified.blobs
        if (extent := blob.extent()) is not None
        for offset in at.get(extent.offset, ())
    ]
