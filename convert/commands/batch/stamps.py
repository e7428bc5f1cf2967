"""By what a later run sees that a source is still the same; and the sizes of results."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from convert.archive import transport
from convert.errors import ImgconvError
from convert.report.batch import Stamp

if TYPE_CHECKING:
    from convert.commands.batch.item import Item


def stamp_of(item: Item) -> Stamp:
    """Return the size and time, or etag, of an item's source; all None if it cannot be looked at.

    Raises:
        UsageError, StorageError: a URL cannot be looked at.
    """
    if item.address:
        from convert.commands.batch import remote  # noqa: PLC0415 - only with the extra

        return remote.stamp_of(item.address)
    try:
        spelling, path, reference = transport.parse(item.source)
        if spelling == transport.REGISTRY and reference:
            path = _repository(path, reference)
        return path_stamp(path)
    except (ImgconvError, OSError, ValueError):  # the command states what is wrong
        return Stamp()


def _repository(root: str, reference: str) -> str:
    """Return the folder that changes when a repository of a registry's storage does; ROOT if that is not a folder.

    The blobs of all repositories together would have to be listed again for each source.
    """
    from convert.archive.registry_storage import PREFIXES, REPOSITORIES  # noqa: PLC0415 - only for this transport

    name = reference.partition("@")[0].rpartition(":")[0] or reference.partition("@")[0]
    for prefix in PREFIXES:
        path = os.path.join(root, prefix, REPOSITORIES, name, "_manifests")
        if os.path.isdir(path):
            return path
    return root


def path_stamp(path: str) -> Stamp:
    """Return size and time of a file, or of all files in a folder together.

    Raises:
        OSError, ValueError: it cannot be looked at.
    """
    status = os.stat(path)
    if not stat.S_ISDIR(status.st_mode):
        return Stamp(status.st_size, status.st_mtime)
    size, newest, rest = 0, status.st_mtime, [path]
    while rest:
        with os.scandir(rest.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                newest = max(newest, status.st_mtime)
                if stat.S_ISDIR(status.st_mode):
                    rest.append(entry.path)
                else:
                    size += status.st_size
    return Stamp(size, newest)
