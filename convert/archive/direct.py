"""Where bytes go in order and at once: standard output, FIFOs and devices."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO, Final, Protocol

from convert.errors import StorageError, UsageError

STDOUT: Final = "-"


def open_stream(destination: str, stdout: BinaryIO | None = None) -> Stream | None:
    """Open what is written in order and directly: `-`, /dev/stdout, a FIFO or device; None for any other path.

    Raises:
        UsageError: it is a terminal.
        StorageError: it cannot be opened.
    """
    if destination == STDOUT:
        return _Stdout(stdout)
    descriptor = _descriptor_of(destination)
    return _opened(destination, descriptor) if descriptor is not None or _is_special(destination) else None


def names_descriptor(destination: str) -> bool:
    """Tell whether a destination is an open descriptor (`-`, /dev/stdout, /dev/fd/N) and no path."""
    return destination == STDOUT or _descriptor_of(destination) is not None


class Stream(Protocol):
    """Where bytes go in order and cannot be taken back; `fd` is None where there is no descriptor."""

    fd: int | None

    def write(self, data: memoryview | bytes) -> None:
        """Write all of `data`."""

    def close(self) -> None:
        """Let go of it; harmless when done twice."""


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
    """Return the number behind `/dev/stdout` and `/dev/fd/N`.

    Opening those by name would begin a redirected file anew, at its first byte.
    """
    if path == "/dev/stdout":
        return 1
    for folder in ("/dev/fd/", "/proc/self/fd/"):
        number = path.removeprefix(folder)
        if path.startswith(folder) and number.isascii() and number.isdigit():
            return int(number)
    return None


def _is_special(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _opened(path: str, descriptor: int | None) -> _Opened:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC) if descriptor is None else os.dup(descriptor)
    except OSError as error:
        raise StorageError.from_os(error, file=path, doing="opening") from error
    if os.isatty(fd):
        os.close(fd)
        msg = "an archive is not written to a terminal"
        raise UsageError(msg, file=path)
    return _Opened(fd)


def _write_all(fd: int, data: memoryview | bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
