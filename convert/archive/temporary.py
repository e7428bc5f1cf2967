"""Temporary files and folders beside a result: their names, their locks, and what a killed run leaves behind.

They are named `.imgconv-<pid>-<16 hex digits>.tmp` and locked while the process that
made them lives. The next run in that folder removes those that are not locked, but
only what imgconv made: a regular file of this user, or a folder of this user that
holds the file `MARK`. Whoever can write to the folder can rename another folder of
this user to such a name, but cannot put the mark into it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from convert.archive import folders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The file that marks a temporary folder as one of imgconv.
MARK: Final = ".imgconv-temporary"
_NAME: Final = re.compile(r"\.imgconv-[1-9][0-9]{0,9}-[0-9a-f]{16}\.tmp\Z")
#: Names that are tried before giving up, if another process removes each of them.
_MOST_TRIES: Final = 100
#: The folders that were cleaned within `removing_stale_once`, by device and inode; None outside of it.
_CLEANED: Final[ContextVar[set[tuple[int, int]] | None]] = ContextVar("_CLEANED", default=None)


def temporary_name() -> str:
    """Return a new name that `remove_stale` recognises."""
    return f".imgconv-{os.getpid()}-{os.urandom(8).hex()}.tmp"


def name_of_old() -> str:
    """Return a new name for a result that is being replaced; `remove_stale` never removes it."""
    return f".imgconv-{os.getpid()}-{os.urandom(8).hex()}.old"


def is_temporary(name: str) -> bool:
    """Whether a file name is one that `temporary_name` makes."""
    return _NAME.match(name) is not None


def lock(fd: int) -> bool:
    """Lock a file or folder for this process; False if another one holds it.

    Raises:
        OSError: the file system has no locks.
    """
    import fcntl  # noqa: PLC0415 - POSIX only, and only where used

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make_file(folder: int, mode: int = 0o666) -> tuple[str, int]:
    """Create and lock a temporary file in a folder; return its name and descriptor.

    Raises:
        OSError: the system refuses.
    """
    return _make_locked(folder, lambda name: folders.new_file(folder, name, mode))


def make_folder(folder: int) -> tuple[str, int]:
    """Create, lock and mark a temporary folder that only this user can enter; return its name and descriptor.

    Raises:
        OSError: the system refuses.
    """

    def create(name: str) -> int:
        os.mkdir(name, 0o700, dir_fd=folder)
        try:
            return folders.open_folder(folder, name)
        except OSError:
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=folder)
            raise

    name, fd = _make_locked(folder, create)
    try:
        mark = folders.new_file(fd, MARK, 0o600)
        try:
            # Another user may have put a folder in place of the new one before it was opened.
            ours = os.fstat(mark).st_uid == os.fstat(fd).st_uid and os.listdir(fd) == [MARK]
        finally:
            os.close(mark)
        if not ours:
            raise OSError(errno.EPERM, "another user replaced a temporary folder while it was made")
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(MARK, dir_fd=fd)
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=folder)
        os.close(fd)
        raise
    return name, fd


def _make_locked(folder: int, create: Callable[[str], int]) -> tuple[str, int]:
    """Create something and lock it; try again if another run took it for stale before it was locked."""
    for _ in range(_MOST_TRIES):
        name = temporary_name()
        fd = create(name)
        free = True
        with contextlib.suppress(OSError):  # without locks no run removes stale files either
            free = lock(fd)
        if free and folders.is_entry(fd, folder, name):
            return name, fd
        os.close(fd)
    raise OSError(errno.EAGAIN, "temporary files are taken away as soon as they are made")


def remove_folder(folder: int, name: str, fd: int) -> None:
    """Remove the marked temporary folder that `fd` has open, with all it holds; the mark goes last.

    Its name is removed only if it still leads there.

    Raises:
        OSError: something could not be removed.
    """
    folders.remove_contents(fd, keep=MARK)
    if folders.is_entry(fd, folder, name):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(MARK, dir_fd=fd)
        os.rmdir(name, dir_fd=folder)


@contextlib.contextmanager
def removing_stale_once() -> Iterator[None]:
    """Have `remove_stale` look into each folder only once, for a run that makes many results.

    Each of them would look at the temporary files of all others.
    """
    before = _CLEANED.set(set())
    try:
        yield
    finally:
        _CLEANED.reset(before)


def remove_stale(folder: int) -> None:
    """Remove temporary files and folders whose process is dead. What cannot be removed is left."""
    if (cleaned := _CLEANED.get()) is not None:
        status = os.fstat(folder)
        key = (status.st_dev, status.st_ino)
        if key in cleaned:
            return
        cleaned.add(key)
    for name, fd in stale(folder):
        with contextlib.suppress(OSError):
            if not stat.S_ISDIR(os.fstat(fd).st_mode):
                os.unlink(name, dir_fd=folder)
            elif _is_marked(fd):
                remove_folder(folder, name, fd)
            else:
                os.rmdir(name, dir_fd=folder)  # killed before it was marked: it is empty, or not ours


def stale(folder: int) -> Iterator[tuple[str, int]]:
    """Yield name and descriptor of each temporary file and folder of this user that no process has locked.

    It is locked, and open until the next one. Nothing is yielded where the folder cannot be read.
    """
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = sorted(filter(is_temporary, os.listdir(folder)))
    for name in names:
        fd = -1
        try:
            with contextlib.suppress(OSError):
                fd = _open_stale(folder, name)
            if fd >= 0:
                yield name, fd
        finally:
            if fd >= 0:
                os.close(fd)


def marked(folder: int) -> Iterator[tuple[str, int]]:
    """Yield those of `stale` that are folders with the mark."""
    for name, fd in stale(folder):
        if stat.S_ISDIR(os.fstat(fd).st_mode) and _is_marked(fd):
            yield name, fd


def _open_stale(folder: int, name: str) -> int:
    """Open and lock what a dead process of this user left; -1 if it is something else."""
    status = folders.status_of(folder, name)
    if status is None or not _is_ours(status):
        return -1
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        if _is_ours(os.fstat(fd)) and lock(fd) and folders.is_entry(fd, folder, name):
            return fd
    except OSError:
        os.close(fd)
        raise
    os.close(fd)
    return -1


def _is_ours(status: os.stat_result) -> bool:
    kind = status.st_mode
    return status.st_uid == os.geteuid() and (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def _is_marked(fd: int) -> bool:
    try:
        status = folders.status_of(fd, MARK)
    except OSError:
        return False
    return status is not None and stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
