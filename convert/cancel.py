"""Cancellation: everyone who reads or writes much asks at every chunk whether to go on.

There are two reasons to end. A signal ends the process: the command line's handler
requests it of `TOKEN`. An error in one thread ends the run it belongs to: that is a
`Cancel`, of which every run has its own. In either case work ends within a chunk's time,
however large a layer is.
"""

from __future__ import annotations

from typing import Final


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

    __slots__ = ("deferred", "number")

    def __init__(self) -> None:
        """Nothing was requested."""
        #: The number of the signal that requested it, None while nothing did.
        self.number: int | None = None
        #: The number of a signal that came while signals are held back, None at other times.
        self.deferred: int | None = None

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

    def check_deferred(self) -> None:
        """As `check`; for what may wait long while signals are held back.

        Raises:
            Cancelled: cancellation was requested, or a signal is held back.
        """
        self.check()
        if self.deferred is not None:
            raise Cancelled(self.deferred)


#: Signals belong to the process, and so does this.
TOKEN: Final = Token()
check = TOKEN.check
check_deferred = TOKEN.check_deferred


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
