"""Folders that stay open while many files in them are opened, one after the other."""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

_FOLDER: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
#: Folders that are open at a time.
_MOST: Final = 8


def _size(folder: int, name: str) -> int | None:
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _open(folder: int, name: str) -> tuple[int, int] | None:
    # Looked at before it is opened: opening a device can have effects.
    if _size(folder, name) is None:
        return None
    fd = os.open(name, _FILE, dir_fd=folder)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        return None
    return fd, status.st_size


class OpenFolders:
    """The last folders below a root in which files were opened; safe to use from several threads.

    No link is followed, as by `archive.blob.open_below`, which walks the whole path for each file.
    """

    def __init__(self, root: int) -> None:
        """Open folders below the open folder `root`, which stays the caller's."""
        self._root = root
        self._open: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, folder: str, name: str) -> tuple[int, int] | None:
        """Return a descriptor of a regular file and its size; None for anything else, and where the system refuses."""
        return self._find(folder, name, _open)

    def size(self, folder: str, name: str) -> int | None:
        """Return the size of a regular file; None as for `open`."""
        return self._find(folder, name, _size)

    def entries(self, folder: str, most: int) -> list[os.DirEntry[str]]:
        """Return the first entries of a folder, "" for the root.

        Raises:
            OSError: it cannot be read, or a link is in the way.
            ValueError: no folder can have this name.
        """
        with self._lock:
            above = folder
            while above and above not in self._open:
                above = above.rpartition("/")[0]
            if above:
                try:
                    return self._list(self._open[above], folder.removeprefix(above).lstrip("/"), most)
                except OSError:
                    # The folder may be another one now.
                    self._close(above)
            return self._list(self._root, folder, most)

    def _list(self, fd: int, rest: str, most: int) -> list[os.DirEntry[str]]:
        # Opened again, because a descriptor has one position for all that list it.
        below = self._walk(fd, [*(rest.split("/") if rest else ()), "."])
        try:
            with os.scandir(below) as entries:
                return list(islice(entries, most))
        finally:
            os.close(below)

    def _find(self, folder: str, name: str, function: Callable[[int, str], _T]) -> _T | None:
        """Return what `function` returns for the folder in which a file is, and its name there."""
        with self._lock:
            try:
                fd = self._folder(folder)
                *parts, last = name.split("/")
                below = self._walk(fd, parts)
                try:
                    return function(below, last)
                finally:
                    if below != fd:
                        os.close(below)
            except (OSError, ValueError):
                # The folder may be another one now.
                self._close(folder)
                return None

    def _folder(self, folder: str) -> int:
        fd = self._open.get(folder)
        if fd is not None:
            self._open.move_to_end(folder)
            return fd
        fd = self._walk(self._root, folder.split("/"))
        self._open[folder] = fd
        if len(self._open) > _MOST:
            os.close(self._open.popitem(last=False)[1])
        return fd

    @staticmethod
    def _walk(fd: int, parts: list[str]) -> int:
        """Return a new descriptor of a folder below `fd`."""
        begun = fd
        for part in parts:
            try:
                below = os.open(part, _FOLDER, dir_fd=fd)
            finally:
                if fd != begun:
                    os.close(fd)
            fd = below
        return fd

    def _close(self, folder: str) -> None:
        fd = self._open.pop(folder, None)
        if fd is not None:
            os.close(fd)

    def close(self) -> None:
        """Close all folders."""
        with self._lock:
            for folder in list(self._open):
                self._close(folder)
