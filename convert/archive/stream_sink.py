"""Destinations that are written in order and directly: standard output, FIFOs and devices."""

from __future__ import annotations

import errno
import os
import stat
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
    if destination == STDOUT:
        return _Stdout(stdout)
    try:
        descriptor = _descriptor_of(destination)
        fd = _open_special(destination) if descriptor is None else os.dup(descriptor)
    except OSError as error:
        raise StorageError.from_os(error, file=destination, doing="opening") from error
    if fd is not None and not terminal and os.isatty(fd):
        os.close(fd)
        msg = "an archive is not written to a terminal"
        raise UsageError(msg, file=destination)
    return None if fd is None else _Opened(fd)


def names_descriptor(destination: str) -> bool:
    """Tell whether a destination is an open descriptor (`-`, /dev/stdout, /dev/fd/N) and no path."""
    return destination == STDOUT or _descriptor_of(destination) is not None


class Stream(Protocol):
    """A destination that is written in order, for good; `fd` is None where there is no descriptor."""

    fd: int | None

    def write(self, data: memoryview | bytes) -> None:
        """Write all of `data`."""

    def close(self) -> None:
        """Close it; harmless when done twice."""


class _Stdout:
    """Standard output, or a stream that stands for it."""

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream
        self.fd: int | None = 1
        if stream is not None:
            try:
                self.fd = stream.fileno()
            except (OSError, AttributeError):  # a stream without a descriptor
                self.fd = None
            stream.flush()

    def write(self, data: memoryview | bytes) -> None:
        if self.fd is None and self._stream is not None:
            self._stream.write(data)
        elif self.fd is not None:
            _write_all(self.fd, data)

    def close(self) -> None:
        if self.fd is None and self._stream is not None:
            self._stream.flush()


class _Opened:
    """A FIFO or device opened by us."""

    def __init__(self, fd: int) -> None:
        self.fd: int | None = fd

    def write(self, data: memoryview | bytes) -> None:
        if self.fd is not None:
            _write_all(self.fd, data)

    def close(self) -> None:
        if self.fd is not None:
            fd, self.fd = self.fd, None
            os.close(fd)


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
    """Open a FIFO or device; wait for the reader of a FIFO until the run is cancelled.

    Raises:
        Cancelled: the run was asked to end.
        OSError: the system refuses.
    """
    while True:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or not waits:  # else nobody reads the FIFO yet (open(2))
                raise
            cancel.check_deferred()
            time.sleep(_WAIT)
        else:
            os.set_blocking(fd, True)
            return fd


def _write_all(fd: int, data: memoryview | bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
