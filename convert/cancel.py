"""Cancellation: one token for the process, asked by everyone who reads or writes much.

The command line's signal handler requests it. A reader asks at every chunk, in whatever thread
it runs, so a run ends within a chunk's time of the signal however large its layers are.
"""

from __future__ import annotations

from typing import Final


class Cancelled(KeyboardInterrupt):
    """The run was asked to end.

    It is no `Exception`: a handler for errors of a source must not take it for one.
    """

    def __init__(self, number: int) -> None:
        """`number` is that of the signal."""
        super().__init__()
        self.number = number


class Token:
    """Whether a run has to end, and by which signal."""

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
