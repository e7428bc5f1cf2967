"""Signals that end a run: they unwind it, so that temporary files are removed."""

from __future__ import annotations

import contextlib
import signal
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

#: Seconds between two looks for a signal that was not obeyed.
_WAKE: Final = 0.25


class Ended(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP came."""

    def __init__(self, number: int) -> None:
        """`number` is the signal's."""
        super().__init__()
        self.number = number


class Signals:
    """What came of the signals that end a run.

    CPython acts on a signal in the main thread, before its next step, whatever
    that is; two things get lost so. One that comes while that thread hands the
    interpreter to another, to sleep until a layer is done, does not end the
    sleep. And what its handler raises is swallowed where the next step belongs to a
    finaliser: `io` closes streams that nobody holds any more, and takes what
    that raises for nothing. So the main thread wakes now and then, and an
    exception that is gone though nobody obeyed it is raised once more.
    """

    def __init__(self) -> None:
        """No signal has come."""
        #: The last signal that came.
        self.number: int | None = None
        self._raised: weakref.ref[Ended] | None = None

    def end(self, number: int, _: FrameType | None = None) -> None:
        """Handle a signal that ends the run.

        Raises:
            Ended: always.
        """
        self.number = number
        error = Ended(number)
        self._raised = weakref.ref(error)
        try:
            raise error
        finally:
            del error  # this frame is in its traceback: a loop would keep it alive

    def look(self, *_: object) -> None:
        """Raise a signal's exception once more, if it was swallowed.

        While the run is being unwound it is alive: the cleaning up is not disturbed.

        Raises:
            Ended: as said.
        """
        if self.number is not None and self._raised is not None and self._raised() is None:
            self.end(self.number)


@contextlib.contextmanager
def ending() -> Iterator[Signals]:
    """Let SIGINT, SIGTERM and SIGHUP raise `Ended` in here, in the main thread.

    Whoever catches it leaves at once. SIGINT and SIGHUP that the caller has
    ignored, as a shell does for what runs behind and nohup for what outlives it, stay ignored.
    """
    signals = Signals()
    handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {
        signal.SIGTERM: signals.end,
        signal.SIGALRM: signals.look,
    }
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            handlers[number] = signals.end
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    signal.setitimer(signal.ITIMER_REAL, _WAKE, _WAKE)
    try:
        yield signals
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def die_at_once() -> None:
    """Let SIGINT kill the process from now on: nothing is left that would have to be cleaned up."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
