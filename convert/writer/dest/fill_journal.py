"""The journal of moving a finished folder into an empty one, with which the next run undoes a killed one.

It is written into the temporary folder before the first move, and lists the entries
with device and inode of each. The next run moves back what the journal
lists, and nothing else: an entry with another inode belongs to somebody else.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from convert.archive import folders, temporary
from convert.model import dir_names

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Every entry that imgconv may move into a folder, beside the blobs and manifests of a `dir:` folder.
_ENTRIES: Final = frozenset(
    {"blobs", "oci-layout", "index.json", ".imgconv-layers.json", dir_names.VERSION, dir_names.MANIFEST}
)
_JOURNAL: Final = "journal.json"
#: Bytes; each file of a `dir:` folder takes 110 of them.
_MAX_SIZE: Final = 1 << 24


def begin(temporary_folder: int, layout: int, names: Sequence[str]) -> None:
    """Write the journal: these entries of `layout` are about to move; the last of them completes the layout.

    Raises:
        OSError: writing failed.
    """
    moves = []
    for name in names:
        status = os.stat(name, dir_fd=layout, follow_symlinks=False)
        moves.append([name, status.st_dev, status.st_ino])
    folders.write_new(temporary_folder, _JOURNAL, json.dumps(moves).encode())


def undo(temporary_folder: int, target: int) -> None:
    """Move the listed entries back out of `target`, unless the last of them is there: then the layout is complete.

    Raises:
        OSError: the system refuses.
    """
    moves = _read(temporary_folder)
    if not moves or _is_there(target, *moves[-1]):
        return
    for number, move in enumerate(reversed(moves)):
        if _is_there(target, *move):
            os.rename(move[0], f"undone-{number}", src_dir_fd=target, dst_dir_fd=temporary_folder)


def recover(target: int) -> None:
    """Undo what killed runs moved into `target` without completing it.

    Raises:
        OSError: the system refuses.
    """
    for _, fd in temporary.marked(target):
        undo(fd, target)


def _is_there(target: int, name: str, device: int, inode: int) -> bool:
    status = folders.status_of(target, name)
    return status is not None and (status.st_dev, status.st_ino) == (device, inode)


def _read(folder: int) -> list[tuple[str, int, int]]:
    """Return the journal; an empty one if it is missing or incomplete, since nothing was moved then."""
    try:
        fd = os.open(_JOURNAL, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return []
    with open(fd, "rb") as file:
        try:
            moves = [(str(name), int(device), int(inode)) for name, device, inode in json.loads(file.read(_MAX_SIZE))]
        except (ValueError, TypeError, OSError, RecursionError):
            return []
    # Somebody else may have written it: only names that imgconv itself moves are accepted.
    return moves if all(_is_movable(name) for name, _, _ in moves) else []


def _is_movable(name: str) -> bool:
    return name in _ENTRIES or any(form.match(name) for form in (dir_names.BLOB, dir_names.CHILD))
