"""What a name in a folder stood for at the start of a run; only that may be replaced.

A user who can write to the folder can move something else to the name during the run.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final, Self

from convert.archive import folders
from convert.archive.access import Access

if TYPE_CHECKING:
    from convert.archive.folders import Place

#: Opens the entry itself, a link included: O_PATH of Linux needs no permission to read, O_SYMLINK is that of macOS.
_HOLD: Final = os.O_CLOEXEC | (
    os.O_PATH | os.O_NOFOLLOW
    if hasattr(os, "O_PATH")
    else os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_SYMLINK", os.O_NOFOLLOW)
)


class Entry:
    """The file, folder or link under a name, or the fact that nothing was there.

    It stays open where the system permits that, so that nothing else gets its inode
    number in the meantime.
    """

    def __init__(self, place: Place) -> None:
        """Examine what is at `place`.

        Raises:
            OSError: the system refuses.
        """
        self._folder, self._name = place.folder, place.name
        self._fd = -1
        self.status = place.status()
        if self.status is not None and _can_be_held(self.status):
            try:
                self._fd = os.open(place.name, _HOLD, dir_fd=place.folder)
                self.status = os.fstat(self._fd)
            except OSError:  # not readable, where that is needed, or gone again: then the status has to do
                self._fd = -1
        #: Mode, owner and ACL as they were first; None for a link, and where nothing was.
        self.access = self._read_access(self.status)

    def _read_access(self, status: os.stat_result | None) -> Access | None:
        if status is None or stat.S_ISLNK(status.st_mode):
            return None
        return Access.of(self._folder, self._name, status)

    def is_at(self, folder: int, name: str) -> bool:
        """Whether a name in a folder stands for this very file, folder or link."""
        try:
            status = folders.status_of(folder, name)
        except OSError:
            return False
        if status is None or self.status is None:
            return status is self.status
        if self._fd < 0 and (status.st_mtime_ns, status.st_size) != (self.status.st_mtime_ns, self.status.st_size):
            return False  # another one may have got its inode number
        same_kind = stat.S_IFMT(status.st_mode) == stat.S_IFMT(self.status.st_mode)
        return same_kind and os.path.samestat(status, self.status)

    def is_unchanged(self) -> bool:
        """Whether it is where it was, with the same mode, owner and ACL, and a file with the same content.

        Raises:
            OSError: the system refuses.
        """
        if not self.is_at(self._folder, self._name):
            return False
        status = folders.status_of(self._folder, self._name)
        if status is None or self.status is None:
            return status is self.status
        if stat.S_ISREG(status.st_mode) and _written(status) != _written(self.status):
            return False
        return self._read_access(status) == self.access

    def close(self) -> None:
        """Close it; harmless when done twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def _can_be_held(status: os.stat_result) -> bool:
    """Whether opening it has no effect; without O_PATH, opening a device may do anything."""
    kind = status.st_mode
    return hasattr(os, "O_PATH") or stat.S_ISREG(kind) or stat.S_ISDIR(kind) or stat.S_ISLNK(kind)


def _written(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
