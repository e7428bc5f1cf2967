"""Cancellation: all code that reads or writes large data checks a token at every chunk.

There are two reasons to stop. A signal ends the process: the handler of the command line sets
`TOKEN` and does nothing else. An error in one thread ends its run: each run has a `Cancel` for
that. Work stops at its next chunk in either case.

Waits are bounded: code that waits for another process or thread does so for a short interval at a
time, because CPython runs signal handlers only between two steps of the main thread, and a signal
may not interrupt a wait.
"""

from __future__ import annotations

from typing import Final

#: Maximum duration of a wait, in seconds, before the token is checked again.
INTERVAL: Final = 0.2


class Cancelled(KeyboardInterrupt):
    """A signal requested the end of the run.

    It is not an `Exception`, so that handlers for errors of a source do not catch it.
    """

    def __init__(self, number: int) -> None:
        """Record the number of the signal."""
        super().__init__()
        self.number = number


class Stopped(Exception):  # noqa: N818 - not an error: another error ended the work
    """The work was stopped because another part of the run failed."""


class Token:
    """Whether a signal requested the end of the process, and which one."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        """Nothing was requested."""
        #: The number of the first signal that requested it, or None.
        self.number: int | None = None

    def request(self, number: int) -> None:
        """Request cancellation; only the first signal counts."""
        if self.number is None:
            self.number = number

    def clear(self) -> None:
        """Reset the token before another run."""
        self.number = None

    def check(self) -> None:
        """Return unless cancellation was requested.

        Raises:
            Cancelled: it was.
        """
        if self.number is not None:
            raise Cancelled(self.number)


#: The token of this process.
TOKEN: Final = Token()
check = TOKEN.check


def wait_readable(fd: int) -> None:
    """Wait until a descriptor can be read without blocking, or is at its end.

    Raises:
        Cancelled: a signal requested the end of the process.
    """
    import select  # noqa: PLC0415 - only where something may block

    _wait(fd, select.POLLIN)


def wait_writable(fd: int) -> None:
    """Wait until `select.PIPE_BUF` bytes can be written without blocking, or the reader has closed the pipe.

    Raises:
        Cancelled: a signal requested the end of the process.
    """
    import select  # noqa: PLC0415 - only where something may block

    _wait(fd, select.POLLOUT)


def _wait(fd: int, events: int) -> None:
    import select  # noqa: PLC0415 - as above

    TOKEN.check()
    ready = select.poll()
    ready.register(fd, events)
    while not ready.poll(INTERVAL * 1000):
        TOKEN.check()


class Cancel:
    """The cancellation of one run, shared by all its threads."""

    __slots__ = ("stopped",)

    def __init__(self) -> None:
        """The run continues until `stop`."""
        self.stopped = False

    def stop(self) -> None:
        """Request cancellation; every reader and writer of the run stops at its next chunk."""
        self.stopped = True

    def check(self) -> None:
        """Return unless the run was cancelled.

        Raises:
            Cancelled: a signal requested the end of the process.
            Stopped: another part of the run failed.
        """
        TOKEN.check()
        if self.stopped:
            raise Stopped
