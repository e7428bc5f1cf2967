"""Output that appears whole or not at all: built beside its destination, synced, renamed.

The folder of the destination is opened once (`folders.py`). The rename is `renameat2`
on Linux and `renameatx_np` on macOS where the file system has them (never over an
existing result, or by exchange with it), else the nearest thing POSIX offers.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Final, Self

from convert import cancel
from convert.archive import folders, temporary
from convert.archive.access import Access
from convert.archive.direct import open_stream
from convert.archive.folders import Place
from convert.errors import DestinationExistsError, StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Mode of a file that replaces another while it is built; it gets the other's mode at the end.
_PRIVATE: Final = 0o600


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


def is_regular(status: os.stat_result) -> bool:
    """Whether a stat result is that of a regular file."""
    return stat.S_ISREG(status.st_mode)


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

    def defer(which: int, _: object) -> None:
        came.append(which)
        if which != signal.SIGALRM:
            cancel.TOKEN.deferred = which

    try:
        for number in handlers:
            signal.signal(number, defer)
        yield
    finally:
        cancel.TOKEN.deferred = None
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for which in came:
            signal.raise_signal(which)


class AtomicFile:
    """A file under construction beside its destination.

    Write to `fd`, then `commit`; leaving the context without it removes all.
    """

    def __init__(
        self,
        destination: str | Place,
        *,
        replace: bool,
        replace_link: bool | None = None,
        same: os.stat_result | None = None,
    ) -> None:
        """Create the temporary file.

        `replace` allows a regular file at the destination, which gives the new one its
        mode, owner and ACL; `replace_link` a symbolic link, which is replaced itself
        (as `replace` if None). With `same` only that file is replaced. A `Place` is
        closed with this.

        Raises:
            DestinationExistsError: something is there and may not be replaced.
            StorageError: the folder is missing or cannot be written to.
        """
        self.destination = destination if isinstance(destination, str) else destination.path
        self._replace = replace
        self._replace_link = replace if replace_link is None else replace_link
        self._same = same
        self._name = ""
        self.fd = -1
        if self.destination.endswith("/"):
            raise UsageError("a file name is needed here, not a folder", file=self.destination)
        try:
            self._place = Place(destination) if isinstance(destination, str) else destination
        except OSError as error:
            raise self._failed(error, "opening its folder") from error
        try:
            exists = self._check() is not None
            temporary.remove_stale(self.folder)
            self._name, self.fd = temporary.make_file(self.folder, _PRIVATE if exists else 0o666)
        except OSError as error:
            self._place.close()
            raise self._failed(error, "creating a file beside it") from error
        except BaseException:
            self._place.close()
            raise

    @property
    def folder(self) -> int:
        """The open folder of the destination."""
        return self._place.folder

    def _failed(self, error: OSError, doing: str) -> StorageError:
        return StorageError.from_os(error, file=self.destination, doing=doing)

    def _check(self) -> os.stat_result | None:
        """Return the status of the regular file that is replaced, None if there is none.

        Raises:
            DestinationExistsError: something is there that may not be replaced.
        """
        status = self._place.status()
        if self._same is not None:
            if status is None or not os.path.samestat(status, self._same):
                msg = "it was replaced by something else during the run, which is kept"
                raise DestinationExistsError(msg, file=self.destination)
            return status
        if status is None:
            return None
        if stat.S_ISLNK(status.st_mode):
            if not self._replace_link:
                raise self._is_link()
            return None
        if not is_regular(status):
            msg = "the destination exists and is not a regular file"
            raise DestinationExistsError(msg, file=self.destination)
        if not self._replace:
            raise _exists(self.destination)
        return status

    def _is_link(self) -> DestinationExistsError:
        hint = "name the file it leads to" if self._replace else "--force replaces the link, not what it leads to"
        return DestinationExistsError("the destination is a symbolic link", file=self.destination, hint=hint)

    def commit(self) -> None:
        """Make the bytes durable, then put them in place in one step.

        Raises:
            DestinationExistsError: something came into place meanwhile.
            StorageError: the system refuses, or the folder or the temporary file was
                moved away.
        """
        try:
            status = self._check()
            if status is not None:
                Access.of(self.folder, self._place.name, status).apply(self.fd)
            os.fsync(self.fd)
            self._place.check_folder()
            if not folders.is_entry(self.fd, self.folder, self._name):
                msg = "the temporary file beside it was moved or replaced during the run; nothing was written"
                raise StorageError(msg, file=self.destination)
            if self._replace:
                self._check()
                os.replace(self._name, self._place.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
            else:
                folders.rename_new(self.folder, self._name, self.folder, self._place.name)
            self._name = ""
            folders.sync_folder(self.folder)
        except FileExistsError as error:
            raise _exists(self.destination) from error
        except OSError as error:
            raise self._failed(error, "putting it in place") from error

    def abort(self) -> None:
        """Remove what is not committed; harmless after `commit`."""
        if self._name:
            with contextlib.suppress(OSError):
                if folders.is_entry(self.fd, self.folder, self._name):
                    os.unlink(self._name, dir_fd=self.folder)
            self._name = ""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self._place.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what is not committed, and close."""
        self.abort()


def write_file(path: str, data: bytes, *, source: str | None = None) -> None:
    """Write a document to the file that the user named: whole, or what was there stays.

    A regular file is replaced and gives the new one its mode and owner. FIFOs, devices,
    `/dev/stdout`, `/dev/fd/N`, and links to a FIFO, pipe or terminal are written
    through; any other link is refused. `source` is what must not be overwritten.

    Raises:
        UsageError: something else is there, or it is the source or inside it.
        StorageError: writing failed.
        BrokenPipeError: nobody reads the pipe any more.
    """
    stream = open_stream(path, terminal=True)
    if stream is not None:
        try:
            with contextlib.closing(stream):
                stream.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StorageError.from_os(error, file=path, doing="writing") from error
        return
    if source is not None and source != "-":
        refuse_overlap(path, source)
    with contextlib.ExitStack() as stack:
        with held_back():
            out = stack.enter_context(AtomicFile(path, replace=True, replace_link=False))
        try:
            folders.write_all(out.fd, data)
        except OSError as error:
            raise StorageError.from_os(error, file=path, doing="writing") from error
        out.commit()


def _exists(destination: str) -> DestinationExistsError:
    return DestinationExistsError("the destination exists already", file=destination, hint="--force replaces it")
