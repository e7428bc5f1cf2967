"""The tree of a folder: an OCI layout, or an unpacked archive."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from convert.archive.blob import FolderBlob, OpenState, PreadStream, Stamp, changed
from convert.archive.member import Member
from convert.archive.open_folders import OpenFolders
from convert.archive.tree import Tree
from convert.errors import StorageError, UnsafeInputError
from convert.limits import MAX_MEMBER_NAME, MAX_MEMBERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convert.archive.member import Kind

_FILE_KINDS: Final[dict[int, Kind]] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
}


class FolderTree(Tree):
    """The files below a folder, by name."""

    is_folder = True

    def __init__(self, fd: int, where: str) -> None:
        """Look things up below the open folder `fd`, which is closed with the tree."""
        super().__init__(where)
        self._fd = fd
        self._folders = OpenFolders(fd)
        self._state = OpenState()
        self._members: dict[str, Member | None] = {}
        self._stamps: dict[str, Stamp] = {}
        self._blobs: dict[str, FolderBlob] = {}

    def names(self) -> Sequence[str]:
        """Return every name below the folder, sorted, so that no file system decides."""
        found: list[str] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            for entry in self._entries(folder):
                name = f"{folder}/{entry.name}" if folder else entry.name
                if len(name) > MAX_MEMBER_NAME or len(found) >= MAX_MEMBERS:
                    msg = "the folder is too deep or holds too many files"
                    raise UnsafeInputError(msg, code="too-many-members", file=self.where)
                found.append(name)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name)
        return sorted(found)

    def children(self, folder: str) -> list[tuple[str, Kind]]:
        """Return what is directly in a folder now, sorted by name."""
        try:
            found = sorted((entry.name, _kind_of(entry)) for entry in self._folders.entries(folder, MAX_MEMBERS + 1))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return []
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENAMETOOLONG}:  # a link is in the way, or the name does not exist
                return []
            raise self._unreadable(folder, error) from error
        if len(found) > MAX_MEMBERS:
            msg = f"a folder with more than {MAX_MEMBERS} files"
            raise UnsafeInputError(msg, code="too-many-members", file=self.where, member=folder)
        return found

    def forget(self, name: str) -> None:
        """Look a name up again, and the folders in which it was not found."""
        self._members.pop(name, None)
        self._stamps.pop(name, None)
        self._blobs.pop(name, None)
        self._resolved.pop(name, None)
        folder = name.rpartition("/")[0]
        while folder:
            if self._members.get(folder) is None:
                self._members.pop(folder, None)
            folder = folder.rpartition("/")[0]

    def open_listed(self, folder: str, name: str) -> BinaryIO | None:
        """Open a regular file of which there are many in a folder, from the folder, which stays open."""
        self._state.check(self.where)
        found = self._folders.open(folder, name)
        if found is None:
            return None
        fd, size = found
        stream = PreadStream(
            fd,
            0,
            size,
            where=self.where,
            member=f"{folder}/{name}",
            close=lambda: os.close(fd),
            state=self._state,
        )
        return cast("BinaryIO", stream)

    def size_listed(self, folder: str, name: str) -> int | None:
        """Return the size of a file that `open_listed` opens."""
        return self._folders.size(folder, name)

    def _entries(self, folder: str) -> Iterable[os.DirEntry[str]]:
        try:
            return self._folders.entries(folder, MAX_MEMBERS + 1)
        except OSError as error:
            raise self._unreadable(folder, error) from error

    def _unreadable(self, folder: str, error: OSError) -> StorageError:
        return StorageError.from_os(error, file=self.where, doing=f"reading {folder or 'it'}")

    def member(self, name: str) -> Member | None:
        """Return the member with exactly this name, without following links."""
        if name not in self._members:
            self._members[name] = self._look(name)
        return self._members[name]

    def _outside_hint(self) -> str | None:
        folder = shlex.quote(self.where)
        return self.link_hint or f"to read what the links lead to: tar chf - -C {folder} . | imgconv - ..."

    def _check_name(self, path: str) -> None:
        """Do nothing: a folder has one file of a name."""

    def _look(self, name: str) -> Member | None:
        parent = name.rpartition("/")[0]
        if parent:
            above = self.member(parent)
            if above is None or above.kind != "dir":
                return None
        try:
            status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
            link = os.readlink(name, dir_fd=self._fd) if stat.S_ISLNK(status.st_mode) else ""
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None  # ValueError: the system has no spelling for such a name
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return None
            raise StorageError.from_os(error, file=self.where, doing=f"looking for {name}") from error
        kind = _FILE_KINDS.get(stat.S_IFMT(status.st_mode), "device")
        if kind == "file":
            self._stamps[name] = Stamp.of(status)
        return Member(name, kind, status.st_size if kind == "file" else 0, link)

    def _blob(self, name: str, member: Member) -> FolderBlob:
        blob = self._blobs.get(name)
        if blob is None:
            parts = tuple(member.name.split("/"))
            blob = FolderBlob(self._fd, parts, self._stamps[name], where=name, file=self.where, state=self._state)
            self._blobs[name] = blob
        return blob

    def check_unchanged(self) -> None:
        """Raise `InputError` if a file that was found is not the same any more."""
        for name, blob in self._blobs.items():
            try:
                status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
            except OSError as error:
                raise changed(self.where, name) from error
            if Stamp.of(status) != blob.stamp:
                raise changed(self.where, name)

    def close(self) -> None:
        """Close the folder."""
        self._state.closed = True
        self._folders.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _kind_of(entry: os.DirEntry[str]) -> Kind:
    if entry.is_symlink():
        return "symlink"
    if entry.is_dir(follow_symlinks=False):
        return "dir"
    return "file" if entry.is_file(follow_symlinks=False) else "other"
