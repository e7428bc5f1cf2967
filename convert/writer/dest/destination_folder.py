"""The destination of a layout or `dir:` folder as it is when the run begins: looked at once, opened once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from convert.archive import atomic, folders, temporary
from convert.archive.access import Access
from convert.archive.entry import Entry
from convert.errors import DestinationExistsError
from convert.writer.dest.folder_kind import LAYOUT
from convert.writer.dest.replaceable import check_replaceable

if TYPE_CHECKING:
    from convert.errors import StorageError
    from convert.writer.dest.folder_kind import FolderKind


class DestinationFolder:
    """What is at the destination of a folder when the run begins.

    `fd` is the open folder there, -1 where there is none.
    """

    def __init__(self, path: str, kind: FolderKind = LAYOUT) -> None:
        """Open the parent folder of `path`, where a folder of this kind is written.

        Raises:
            OSError: the system refuses.
        """
        self.path = path
        self.kind = kind
        self.fd = -1
        self.place = folders.Place(path)
        self._entry: Entry | None = None

    def look(self) -> os.stat_result | None:
        """Return the status of what is there, None if nothing is; remember what it is.

        Raises:
            OSError: the system refuses.
        """
        self._entry = Entry(self.place)
        return self._entry.status

    def open(self) -> None:
        """Open the folder that is there.

        Raises:
            OSError: the system refuses.
            StorageError: it was moved or replaced meanwhile.
        """
        self.fd = folders.open_folder(self.place.folder, self.place.name)
        self.check_in_place("nothing was written")

    def close(self) -> None:
        """Close everything, which ends the lock."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        if self._entry is not None:
            self._entry.close()
        self.place.close()

    def lock(self) -> bool:
        """Lock the folder; return False if another imgconv has locked it."""
        try:
            return temporary.lock(self.fd)
        except OSError:  # a file system without locks
            return True

    def entries(self) -> tuple[list[str], bool]:
        """Return the names in the folder but temporary files, and whether there are any of those."""
        names = os.listdir(self.fd)
        entries = [name for name in names if not temporary.is_temporary(name)]
        return entries, len(entries) < len(names)

    def has_first_file(self) -> bool:
        """Whether the regular file that marks the kind is in the folder."""
        status = folders.status_of(self.fd, self.kind.first)
        return status is not None and atomic.is_regular(status)

    def exists_error(self) -> DestinationExistsError:
        """Return the error for a destination that may not be replaced."""
        msg = "the destination exists already"
        return DestinationExistsError(msg, file=self.path, hint=self.kind.hint)

    def changed_error(self, outcome: str = "nothing was replaced") -> StorageError:
        """Return the error for a destination that changed during the run; `outcome` states what was done."""
        return atomic.changed(self.path, outcome)

    def is_unchanged(self) -> bool:
        """Whether what is at the destination is what was there at the start."""
        return self._entry is not None and self._entry.is_unchanged()

    def is_old(self, folder: int, name: str) -> bool:
        """Whether a name in a folder stands for what was at the destination at the start."""
        return self._entry is not None and self._entry.is_at(folder, name)

    def check_in_place(self, outcome: str) -> None:
        """Check that the destination still names the folder that was opened.

        Raises:
            StorageError: it does not.
        """
        opened = folders.is_entry(self.fd, self.place.folder, self.place.name)
        if not (opened and self.is_old(self.place.folder, self.place.name)):
            raise self.changed_error(outcome)

    def check_replaceable(self) -> None:
        """Check that the folder that was opened is one of the kind, and holds nothing else.

        Raises:
            DestinationExistsError: it is not.
            StorageError: another run is replacing it.
        """
        try:
            check_replaceable(self.fd, self.path, self.kind)
        except (DestinationExistsError, OSError):
            self.check_in_place("nothing was replaced")
            raise

    def access(self) -> tuple[Access, Access]:
        """Return mode and owner of what was there: of its folders, and of its files."""
        if self._entry is None or self._entry.access is None:
            raise self.changed_error()
        last = os.stat(self.kind.last, dir_fd=self.fd, follow_symlinks=False)
        return self._entry.access, Access.of(self.fd, self.kind.last, last)
