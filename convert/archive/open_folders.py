"""Folders that stay open while many files in them are opened, one after the other."""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from typing import Final

_FOLDER: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
#: Folders that are open at a time.
_MOST: Final = 8


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
        with self._lock:
            try:
                fd = self._folder(folder)
                *parts, last = name.split("/")
                return self._below(fd, parts, last)
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

    def _below(self, folder: int, parts: list[str], last: str) -> tuple[int, int] | None:
        fd = self._walk(folder, parts)
        try:
            # Looked at before it is opened: opening a device can have effects.
            if not stat.S_ISREG(os.stat(last, dir_fd=fd, follow_symlinks=False).st_mode):
                return None
            file = os.open(last, _FILE, dir_fd=fd)
        finally:
            if fd != folder:
                os.close(fd)
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            os.close(file)
            return None
        return file, status.st_size

    def size(self, folder: str, name: str) -> int | None:
        """Return the size of a regular file; None as for `open`."""
        found = self.open(folder, name)
        if found is None:
            return None
        os.close(found[0])
        return found[1]

    def _close(self, folder: str) -> None:
        fd = self._open.pop(folder, None)
        if fd is not None:
            os.close(fd)

    def close(self) -> None:
        """Close all folders."""
        with self._lock:
            for folder in list(self._open):
                self._close(folder)
