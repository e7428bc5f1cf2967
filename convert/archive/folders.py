"""Folders that are opened once; what is in them is used relative to the descriptor.

Every call that takes a path resolves it again, so a user who can write to one of its
folders can lead two calls to two places. Here only the first call resolves the path.
No later call follows a link: it takes a descriptor and one name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from typing import TYPE_CHECKING, Final, Self

from convert.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

# linux/fs.h and macOS sys/stdio.h
_LINUX_NOREPLACE: Final = 1
_LINUX_EXCHANGE: Final = 2
_MACOS_SWAP: Final = 2
_MACOS_EXCL: Final = 4
_UNSUPPORTED: Final = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM)

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class Place:
    """A name in an open folder: where a result goes.

    Links in the path of the folder are followed, once, when it is opened. A link
    under the name itself is never followed.
    """

    def __init__(self, path: str) -> None:
        """Open the folder of `path`.

        Raises:
            OSError: it does not exist, or may not be read.
        """
        self.path = path
        self._folder_path, self.name = _split(path)
        self.folder = os.open(self._folder_path, _FOLDER)

    def status(self) -> os.stat_result | None:
        """Return the status of what is there, of the link itself if it is one; None if nothing is there.

        Raises:
            OSError: the system refuses.
        """
        return status_of(self.folder, self.name)

    def check_folder(self) -> None:
        """Check that the path of the folder still leads to the folder that was opened.

        Raises:
            StorageError: it does not. What is written would not be found at the path.
        """
        try:
            same = os.path.samestat(os.stat(self._folder_path), os.fstat(self.folder))
        except OSError:
            same = False
        if not same:
            raise StorageError(
                "its folder was moved or replaced during the run; nothing was written",
                code="destination-changed",
                file=self.path,
            )

    def close(self) -> None:
        """Close the folder; harmless when done twice."""
        if self.folder >= 0:
            os.close(self.folder)
            self.folder = -1

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the folder."""
        self.close()


def _split(path: str) -> tuple[str, str]:
    """Return the folder of a path and the name in it; `a/b/` and `a/b/.` are `b` in `a`."""
    trimmed = path
    while len(trimmed) > 1 and trimmed.endswith(("/", "/.")):
        trimmed = trimmed.removesuffix(".").rstrip("/") or "/"
    folder, name = os.path.split(trimmed)
    if name in {"", os.curdir, os.pardir}:
        folder, name = os.path.split(os.path.realpath(path))
    return folder or os.curdir, name or os.curdir


def status_of(folder: int, name: str) -> os.stat_result | None:
    """Return the status of an entry, of the link itself if it is one; None if the entry does not exist.

    Raises:
        OSError: the system refuses.
    """
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_entry(fd: int, folder: int, name: str) -> bool:
    """Whether a name in a folder still stands for the file or folder that `fd` has open."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(name, dir_fd=folder, follow_symlinks=False))
    except OSError:
        return False


def open_folder(folder: int, name: str) -> int:
    """Open a folder in a folder; a link is not followed.

    Raises:
        OSError: it is not there, or not a folder.
    """
    return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)


def make_folder(folder: int, name: str) -> int:
    """Open a folder in a folder, and create it first if it is not there.

    Raises:
        OSError: something else is there, or the system refuses.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
    return open_folder(folder, name)


def new_file(folder: int, name: str, mode: int = 0o666) -> int:
    """Create a file in a folder and return its descriptor; nothing may be there.

    Raises:
        OSError: something is there, or the system refuses.
    """
    return os.open(name, _NEW_FILE, mode, dir_fd=folder)


def write_new(folder: int, name: str, data: bytes) -> None:
    """Create a file in a folder with these bytes and make them durable.

    Raises:
        OSError: something is there, or the system refuses.
    """
    fd = new_file(folder, name)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of `data`, however little the system takes at a time.

    Raises:
        OSError: writing failed.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def folders_below(folder: int) -> Iterator[int]:
    """Yield a descriptor of a folder and of each folder below it, open until the next one; links are not followed.

    Raises:
        OSError: one cannot be read.
    """
    yield folder
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for name in names:
        below = open_folder(folder, name)
        try:
            yield from folders_below(below)
        finally:
            os.close(below)


def remove_contents(folder: int, keep: str = "") -> None:
    """Remove everything in an open folder but the entry `keep`; links are removed, not followed.

    Folders below the first level are moved up before they are emptied, so the depth
    of the tree costs neither descriptors nor recursion.

    Raises:
        OSError: something could not be removed.
    """
    while entries := _entries(folder, keep):
        for name, is_folder in entries:
            if not is_folder:
                os.unlink(name, dir_fd=folder)
                continue
            below = open_folder(folder, name)
            try:
                for inner, inner_is_folder in _entries(below):
                    if inner_is_folder:
                        unused = f"{os.urandom(8).hex()}.tmp"
                        os.rename(inner, unused, src_dir_fd=below, dst_dir_fd=folder)
                    else:
                        os.unlink(inner, dir_fd=below)
            finally:
                os.close(below)
            os.rmdir(name, dir_fd=folder)


def _entries(folder: int, keep: str = "") -> list[tuple[str, bool]]:
    with os.scandir(folder) as entries:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries if entry.name != keep]


# -- durable -----------------------------------------------------------------------


def sync_folder(folder: int) -> None:
    """Make the names in an open folder durable.

    Raises:
        OSError: they could not be written.
    """
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network file systems
            raise


def sync_all(fd: int) -> bool:
    """Make all of the file system behind `fd` durable in one step; False if that cannot be relied on.

    For many files that is 10 times faster than one sync for each. Linux reports
    what failed since `fd` was opened from 5.8 on (syncfs(2)).

    Raises:
        OSError: something could not be written.
    """
    if sys.platform != "linux" or _linux_release() < (5, 8):
        return False
    import ctypes  # noqa: PLC0415 - slow to import, needed once

    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    if call(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return True


def _linux_release() -> tuple[int, ...]:
    numbers = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


# -- renames -----------------------------------------------------------------------


def rename_new(source: int, name: str, target: int, new: str) -> None:
    """Move the entry `name` of the folder `source` to `new` in the folder `target`; never replaces anything.

    Raises:
        FileExistsError: the name is taken.
        OSError: the system refuses.
    """
    if _rename_flags(source, name, target, new, linux=_LINUX_NOREPLACE, macos=_MACOS_EXCL):
        return
    if stat.S_ISDIR(os.stat(name, dir_fd=source, follow_symlinks=False).st_mode):
        _rename_if_free(source, name, target, new)  # fails on a folder that came meanwhile and holds something
        return
    try:
        os.link(name, new, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        _rename_if_free(source, name, target, new)
    else:
        os.unlink(name, dir_fd=source)


def _rename_if_free(source: int, name: str, target: int, new: str) -> None:
    if status_of(target, new) is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
    os.rename(name, new, src_dir_fd=source, dst_dir_fd=target)


def exchange(one: int, name: str, two: int, other: str) -> bool:
    """Swap two entries in one step; False if the system cannot.

    Raises:
        OSError: one is not there, or the system refuses.
    """
    return _rename_flags(one, name, two, other, linux=_LINUX_EXCHANGE, macos=_MACOS_SWAP)


def _rename_flags(source: int, name: str, target: int, new: str, *, linux: int, macos: int) -> bool:
    """Rename with flags; False where kernel or file system do not know them."""
    import ctypes  # noqa: PLC0415 - slow to import, needed once

    library = ctypes.CDLL(None, use_errno=True)
    call = getattr(library, "renameatx_np" if sys.platform == "darwin" else "renameat2", None)
    if call is None:
        return False
    flags = macos if sys.platform == "darwin" else linux
    folders = ctypes.c_int(source), ctypes.c_int(target)
    if call(folders[0], os.fsencode(name), folders[1], os.fsencode(new), ctypes.c_uint(flags)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), name, None, new)
