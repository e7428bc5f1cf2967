"""Destinations that are written in order and directly: standard output, FIFOs and devices."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import time
from typing import BinaryIO, Final, Protocol

from convert import cancel
from convert.errors import StorageError, UsageError

STDOUT: Final = "-"
_STANDARD: Final = {"/dev/stdout": 1, "/dev/stderr": 2}
_MOST_DIGITS: Final = 9
_NOT_OPEN: Final = 2**31 - 1
#: Seconds between two looks for the reader of a FIFO.
_WAIT: Final = 0.05


def open_stream(
    destination: str, stdout: BinaryIO | None = None, *, terminal: bool = False, same: os.stat_result | None = None
) -> Stream | None:
    """Open what is written in order and directly; None for any other path.

    That is `-`, an open descriptor such as /dev/stdout, a FIFO or device, and a
    symbolic link that leads to a FIFO, pipe or terminal. `terminal` permits
    a terminal, for text; with `same`, only that FIFO or device is opened.

    Raises:
        UsageError: it is a terminal.
        StorageError: it cannot be opened.
    """
    try:
        if destination == STDOUT:
            return _standard_output(stdout)
        descriptor = _descriptor_of(destination)
        fd = _open_special(destination, same) if descriptor is None else os.dup(descriptor)
    except OSError as error:
        raise StorageError.from_os(error, file=destination, doing="opening") from error
    if fd is not None and not terminal and os.isatty(fd):
        os.close(fd)
        msg = "an archive is not written to a terminal"
        raise UsageError(msg, code="terminal-output", file=destination)
    return None if fd is None else DescriptorStream(fd, owned=True, nonblocking=descriptor is None)


def names_descriptor(destination: str) -> bool:
    """Return whether a destination is an open descriptor (`-`, /dev/stdout, /dev/fd/N), not a path."""
    return destination == STDOUT or _descriptor_of(destination) is not None


class Stream(Protocol):
    """Where bytes go in order and cannot be taken back.

    `fd` is a descriptor that never blocks, for `os.sendfile` after `wait`; None where there
    is none.
    """

    fd: int | None

    def write(self, data: memoryview | bytes) -> None:
        """Write all of `data`.

        Raises:
            Cancelled: a signal asked for the end of the process.
        """

    def wait(self) -> None:
        """Wait until something can be written; errors as `write`."""

    def close(self) -> None:
        """Close it; harmless when done twice."""


class DescriptorStream:
    """Writes to a descriptor. While a reader does not read, it asks whether the run was cancelled.

    Writing to a pipe may block for as long as its reader likes. A pipe is opened once more
    where the system can (`/proc`), because only a new open file description can be made
    non-blocking without changing those of other processes. Elsewhere no more is written at
    a time than is sure not to block.
    """

    def __init__(self, fd: int, *, owned: bool, nonblocking: bool = False) -> None:
        """Write to `fd`, which is closed with this if it is `owned`."""
        self._opened = [fd] if owned else []
        self._fd = fd
        self._most = sys.maxsize
        mode = os.fstat(fd).st_mode
        self._waits = not (stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(fd)))
        if self._waits and not nonblocking:
            again = _open_again(fd) if stat.S_ISFIFO(mode) else None
            if again is not None:
                self._opened.append(again)
                self._fd = again
            else:
                self._most = select.PIPE_BUF
        self.fd: int | None = self._fd if self._most == sys.maxsize else None

    def write(self, data: memoryview | bytes) -> None:
        """Write all of `data`."""
        view = memoryview(data)
        while view:
            self.wait()
            try:
                view = view[os.write(self._fd, view[: self._most]) :]
            except BlockingIOError:
                cancel.wait_writable(self._fd)

    def wait(self) -> None:
        """Wait until something can be written."""
        if self._waits:
            cancel.wait_writable(self._fd)
        else:
            cancel.check()

    def close(self) -> None:
        """Close what is owned."""
        self.fd = None
        while self._opened:
            os.close(self._opened.pop())


class _ObjectStream:
    """Writes to a stream object without a descriptor, which stands for standard output."""

    fd: int | None = None

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: memoryview | bytes) -> None:
        self.wait()
        self._stream.write(data)

    def wait(self) -> None:
        cancel.check()

    def close(self) -> None:
        self._stream.flush()


def _standard_output(stream: BinaryIO | None) -> Stream:
    if stream is None:
        return DescriptorStream(1, owned=False)
    stream.flush()
    try:
        fd = stream.fileno()
    except (OSError, AttributeError):
        return _ObjectStream(stream)
    return DescriptorStream(fd, owned=False)


def _open_again(fd: int) -> int | None:
    """Open the pipe behind a descriptor once more, non-blocking; None if that cannot be done."""
    if sys.platform != "linux":
        return None
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None


def _descriptor_of(path: str) -> int | None:
    """Return the number behind `/dev/stdout`, `/dev/stderr` and `/dev/fd/N`.

    Opening those by name would write a redirected file from its first byte.
    """
    if path in _STANDARD:
        return _STANDARD[path]
    for folder in ("/dev/fd/", "/proc/self/fd/"):
        number = path.removeprefix(folder)
        if path.startswith(folder) and number.isascii() and number.isdigit():
            # No system has descriptors with more digits.
            return int(number) if len(number) <= _MOST_DIGITS else _NOT_OPEN
    return None


def fifo_or_device(path: str) -> os.stat_result | None:
    """Return the status of the FIFO or device that `open_stream` would write to; None if it would not.

    Raises:
        StorageError: it cannot be opened.
    """
    found = _special(path)
    if found is None or stat.S_ISFIFO(found[0].st_mode):
        return found[0] if found is not None else None
    # Whether a device is a terminal is known when it is open.
    try:
        fd = _open_special(path)
    except OSError as error:
        raise StorageError.from_os(error, file=path, doing="opening") from error
    if fd is None:
        return None
    os.close(fd)
    return found[0]


def _special(path: str) -> tuple[os.stat_result, bool] | None:
    """Return the status of a FIFO or device, and whether a link leads to it; None if it is something else."""
    try:
        is_link = stat.S_ISLNK(os.lstat(path).st_mode)
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: NUL in it
        return None
    return (status, is_link) if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode) else None


def _open_special(path: str, same: os.stat_result | None = None) -> int | None:
    """Open a FIFO, a device, or a link to a FIFO, pipe or terminal, non-blocking; None if it is something else.

    A FIFO is opened when it has a reader. With `same`, something else that is there by now is not opened.

    Raises:
        Cancelled: a signal asked for the end of the process.
        OSError: the system refuses.
    """
    while True:
        found = _special(path)
        if found is None or (same is not None and not os.path.samestat(found[0], same)):
            return None
        status, is_link = found
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            # open(2): the FIFO has no reader yet
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(status.st_mode):
                raise
            cancel.check()
            time.sleep(_WAIT)
            continue
        # It may be something else by now; opening has not changed that.
        now = os.fstat(fd)
        if (same is None or os.path.samestat(now, same)) and (
            stat.S_ISFIFO(now.st_mode) or (os.isatty(fd) if is_link else stat.S_ISCHR(now.st_mode))
        ):
            return fd
        os.close(fd)
        return None
