"""Output that appears whole or not at all: built beside its destination, synced, renamed.

Temporary files and folders are named `.imgconv-<pid>-<random>.tmp` and locked
while their maker lives, so that what a SIGKILL left behind is recognised and
removed by the next run in that folder. The rename is `renameat2` on Linux and
`renamex_np` on macOS where the file system has them (never over an existing
result, or by exchange with it), else the nearest thing POSIX offers.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from typing import TYPE_CHECKING, Final, Self

from convert.errors import DestinationExistsError, StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PREFIX: Final = ".imgconv-"
_SUFFIX: Final = ".tmp"

# linux/fs.h and macOS sys/stdio.h
_LINUX_NOREPLACE: Final = 1
_LINUX_EXCHANGE: Final = 2
_MACOS_SWAP: Final = 2
_MACOS_EXCL: Final = 4
_AT_FDCWD: Final = -100
_UNSUPPORTED: Final = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM)


def refuse_overlap(destination: str, source: str) -> None:
    """Refuse a destination that is its own source or lies inside it.

    Raises:
        UsageError: it does.
    """
    target, origin = os.path.realpath(destination), os.path.realpath(source)
    same = target == origin
    with contextlib.suppress(OSError):
        same = same or os.path.samefile(target, origin)
    if same or (os.path.isdir(origin) and target.startswith(os.path.join(origin, ""))):
        msg = "the destination is the source, or lies inside it"
        raise UsageError(msg, file=destination)


def temporary_name() -> str:
    """Return a new name that `remove_stale` recognises."""
    return f"{_PREFIX}{os.getpid()}-{os.urandom(8).hex()}{_SUFFIX}"


def is_temporary(name: str) -> bool:
    """Whether a file name is one that `temporary_name` makes."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def is_regular(status: os.stat_result) -> bool:
    """Whether a stat result is that of a regular file."""
    return stat.S_ISREG(status.st_mode)


def remove_stale(folder: str) -> None:
    """Remove temporary files and folders in `folder` whose maker is dead.

    Whoever makes one holds its lock for life. What cannot be looked at is left.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if is_temporary(name):
                with contextlib.suppress(OSError):
                    _remove_if_dead(os.path.join(folder, name))


def _remove_if_dead(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if lock(fd) and _is_at(fd, path):
            remove(path)
    finally:
        os.close(fd)


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


def _is_at(fd: int, path: str) -> bool:
    """Whether `path` still names the file that `fd` has open."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except OSError:
        return False


def remove(path: str) -> None:
    """Remove a file or a folder with all it holds; links are not followed.

    A signal meanwhile is obeyed when all is gone.
    """
    try:
        _remove(path)
    except (KeyboardInterrupt, SystemExit):
        with contextlib.suppress(FileNotFoundError):
            _remove(path)
        raise


def _remove(path: str) -> None:
    if stat.S_ISDIR(os.lstat(path).st_mode):
        import shutil  # noqa: PLC0415 - only where used

        shutil.rmtree(path)
    else:
        os.unlink(path)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold signals that end a run back for a moment, until what was made is in safe hands.

    Python turns them into exceptions between any two steps: also between making a
    temporary file and giving it to the `with` that removes it. SIGALRM is one of
    them where the command line wakes itself by it to raise what got lost.
    """
    import signal  # noqa: PLC0415 - only where an output begins
    import threading  # noqa: PLC0415 - as above

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    handlers = {number: signal.getsignal(number) for number in numbers}
    handlers = {number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN}
    if threading.current_thread() is not threading.main_thread() or None in handlers.values():
        yield  # no handler of Python's runs here
        return
    came: list[int] = []
    try:
        for number in handlers:
            signal.signal(number, lambda which, _: came.append(which))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for which in came:
            signal.raise_signal(which)


def make_locked(folder: str, create: Callable[[str], int]) -> tuple[str, int]:
    """Create a temporary file or folder in `folder` and lock it; return path and descriptor.

    `create` makes it under the path it is given and returns a descriptor. Between
    that and the lock a cleaner may have taken it for stale; then another is made.
    """
    while True:
        path = os.path.join(folder, temporary_name())
        fd = create(path)
        with contextlib.suppress(OSError):  # where there are no locks, nobody cleans up either
            lock(fd)
        if _is_at(fd, path):
            return path, fd
        os.close(fd)


def sync_folder(path: str) -> None:
    """Make names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network file systems
            raise
    finally:
        os.close(fd)


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


def rename_new(source: str, target: str) -> None:
    """Rename to a name that must be free; never replaces anything.

    Raises:
        FileExistsError: the name is taken.
        OSError: the system refuses.
    """
    if _rename_flags(source, target, _LINUX_NOREPLACE, _MACOS_EXCL):
        return
    if stat.S_ISDIR(os.lstat(source).st_mode):
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        os.rename(source, target)  # fails on a folder that came meanwhile and holds something
        return
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
        os.rename(source, target)
    else:
        os.unlink(source)


def exchange(one: str, two: str) -> bool:
    """Swap two names in one step; False if the system cannot."""
    return _rename_flags(one, two, _LINUX_EXCHANGE, _MACOS_SWAP)


def _rename_flags(source: str, target: str, linux: int, macos: int) -> bool:
    """Rename with flags; False where kernel or file system do not know them."""
    import ctypes  # noqa: PLC0415 - slow to import, needed once

    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        call = getattr(library, "renamex_np", None)
        arguments = (os.fsencode(source), os.fsencode(target), ctypes.c_uint(macos))
    else:
        call = getattr(library, "renameat2", None)
        arguments = (
            ctypes.c_int(_AT_FDCWD),
            os.fsencode(source),
            ctypes.c_int(_AT_FDCWD),
            os.fsencode(target),
            ctypes.c_uint(linux),
        )
    if call is None:
        return False
    if call(*arguments) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), source, None, target)


class AtomicFile:
    """A file under construction beside its destination.

    Write to `fd`, then `commit`; leaving the context without it removes all.
    A destination that is a symlink is followed: the file it names is replaced.
    """

    def __init__(self, destination: str, *, replace: bool, like: os.stat_result | None = None) -> None:
        """Create the temporary file.

        `replace` allows a regular file at the destination; `like` gives mode and
        owner (as far as the system lets us), else they are those of any new file.

        Raises:
            DestinationExistsError: something is there and may not be replaced.
            StorageError: the folder is missing or cannot be written to.
        """
        self.destination = destination
        self._replace = replace
        self._target = os.path.realpath(destination)
        self.folder = os.path.dirname(self._target)
        self.check()
        remove_stale(self.folder)
        try:
            self._path, self.fd = make_locked(self.folder, _create)
        except OSError as error:
            raise StorageError.from_os(error, file=destination, doing="creating a file beside it") from error
        if like is not None:
            with contextlib.suppress(OSError):
                os.fchown(self.fd, like.st_uid, like.st_gid)
            with contextlib.suppress(OSError):
                os.fchmod(self.fd, stat.S_IMODE(like.st_mode))

    @property
    def path(self) -> str:
        """Where the file is until it is committed."""
        return self._path

    def check(self) -> None:
        """Refuse what may not be replaced.

        Raises:
            DestinationExistsError: as above.
        """
        try:
            mode = os.lstat(self._target).st_mode
        except OSError:
            return
        if not stat.S_ISREG(mode):
            msg = "the destination exists and is no regular file"
            raise DestinationExistsError(msg, file=self.destination)
        if not self._replace:
            raise _exists(self.destination)

    def commit(self) -> None:
        """Make the bytes durable, then put them in place in one step.

        Raises:
            DestinationExistsError: something came into place meanwhile.
            StorageError: the system refuses.
        """
        try:
            os.fsync(self.fd)
            if self._replace:
                self.check()
                os.replace(self._path, self._target)
            else:
                rename_new(self._path, self._target)
            self._path = ""
            sync_folder(self.folder)
        except FileExistsError as error:
            raise _exists(self.destination) from error
        except OSError as error:
            raise StorageError.from_os(error, file=self.destination, doing="putting it in place") from error

    def abort(self) -> None:
        """Remove what is not committed; harmless after `commit`."""
        if self._path:
            with contextlib.suppress(OSError):
                remove(self._path)
            self._path = ""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what is not committed, and close."""
        self.abort()


def _create(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)


def _exists(destination: str) -> DestinationExistsError:
    return DestinationExistsError("the destination exists already", file=destination, hint="--force replaces it")
