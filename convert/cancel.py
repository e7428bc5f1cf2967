"""Cancellation: everyone who reads or writes much asks at every chunk whether to go on.

There are two reasons to end. A signal ends the process: the command line's handler
requests it of `TOKEN` and does nothing else. An error in one thread ends the run it belongs
to: that is a `Cancel`, of which every run has its own. In either case work ends within a
chunk's time, however large a layer is.

Nothing waits without asking: what may wait for another process or thread does so for a
short interval at a time, because CPython runs signal handlers only between two steps of
the main thread, and a signal need not end a wait.
"""

from __future__ import annotations

from typing import Final

#: Seconds that a wait may last before it asks whether to go on.
INTERVAL: Final = 0.2


class Cancelled(KeyboardInterrupt):
    """A signal asked for the end of the run.

    It is no `Exception`: a handler for errors of a source must not take it for one.
    """

    def __init__(self, number: int) -> None:
        """`number` is that of the signal."""
        super().__init__()
        self.number = number


class Stopped(Exception):  # noqa: N818 - not an error: another error ended the work
    """The work was stopped because another part of the run failed."""


class Token:
    """Whether a signal asked for the end of the process, and which."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        """Nothing was requested."""
        #: The number of the signal that requested it, None while nothing did.
        self.number: int | None = None

    def request(self, number: int) -> None:
        """Request cancellation; the first signal is the one that counts."""
        if self.number is None:
            self.number = number

    def clear(self) -> None:
        """Forget what was requested: another run begins."""
        self.number = None

    def check(self) -> None:
        """Return unless cancellation was requested.

        Raises:
            Cancelled: it was.
        """
        if self.number is not None:
            raise Cancelled(self.number)


#: Signals belong to the process, and so does this.
TOKEN: Final = Token()
check = TOKEN.check


def wait_readable(fd: int) -> None:
    """Wait until a descriptor can be read from without blocking, or has no more to give.

    Raises:
        Cancelled: a signal asked for the end of the process.
    """
    import select  # noqa: PLC0415 - only where something may block

    _wait(fd, select.POLLIN)


def wait_writable(fd: int) -> None:
    """Wait until `select.PIPE_BUF` bytes can be written to a descriptor without blocking, or nobody reads it any more.

    Raises:
        Cancelled: a signal asked for the end of the process.
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
    """Whether one run goes on; shared by all its threads."""

    __slots__ = ("stopped",)

    def __init__(self) -> None:
        """It goes on."""
        self.stopped = False

    def stop(self) -> None:
        """End all work of the run at its next chunk."""
        self.stopped = True

    def check(self) -> None:
        """Return if the run goes on.

        Raises:
            Cancelled: a signal asked for the end of the process.
            Stopped: another part of the run failed.
        """
        TOKEN.check()
        if self.stopped:
            raise Stopped
