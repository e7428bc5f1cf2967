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


def open_stream(destination: str, stdout: BinaryIO | None = None, *, terminal: bool = False) -> Stream | None:
    """Open what is written in order and directly; None for any other path.

    That is `-`, an open descriptor such as /dev/stdout, a FIFO or device, and a
    symbolic link that leads to a FIFO, pipe or terminal. `terminal` permits
    a terminal, for text.

    Raises:
        UsageError: it is a terminal.
        StorageError: it cannot be opened.
    """
    try:
        if destination == STDOUT:
            return _standard_output(stdout)
        descriptor = _descriptor_of(destination)
        fd = _open_special(destination) if descriptor is None else os.dup(descriptor)
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


def _open_special(path: str) -> int | None:
    """Open a FIFO, a device, or a link to a FIFO, pipe or terminal; None if it is something else."""
    try:
        is_link = stat.S_ISLNK(os.lstat(path).st_mode)
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # ValueError: NUL in it
        return None
    if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        return None
    fd = _open_to_write(path, waits=stat.S_ISFIFO(mode))
    # It may be something else by now; opening has not changed that.
    mode = os.fstat(fd).st_mode
    if stat.S_ISFIFO(mode) or (os.isatty(fd) if is_link else stat.S_ISCHR(mode)):
        return fd
    os.close(fd)
    return None


def _open_to_write(path: str, *, waits: bool) -> int:
    """Open a FIFO or device, non-blocking; wait for the reader of a FIFO.

    Raises:
        Cancelled: a signal asked for the end of the process.
        OSError: the system refuses.
    """
    while True:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or not waits:  # else the FIFO has no reader yet (open(2))
                raise
            cancel.check()
            time.sleep(_WAIT)
        else:
            return fd
