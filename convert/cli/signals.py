"""Signals that end a run: they unwind it, so that temporary files are removed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import weakref
from typing import TYPE_CHECKING, Final

from convert.cancel import TOKEN, Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from convert.cancel import Token

#: Seconds between two looks for a signal that was not obeyed.
_WAKE: Final = 0.25
#: Signals from which on a run no longer waits for its own cleaning up.
_IMPATIENT: Final = 3
#: Added to the number of the signal that ended a run, as a shell does.
SIGNALLED: Final = 128


class Signals:
    """Handles the signals that end a run.

    A handler requests cancellation, which worker threads see at their next chunk, and
    raises `Cancelled` in the main thread. CPython runs handlers in the main thread, before
    its next step, whatever that is; two things get lost so. A signal that comes while that
    thread hands the interpreter to another, to sleep until a layer is done, does not end
    the sleep. And an exception raised in a finaliser or a weak reference's callback is
    printed and dropped. So the main thread wakes now and then, and an exception that is
    gone although the run goes on is raised once more.
    """

    def __init__(self, token: Token) -> None:
        """No signal has come."""
        self.token = token
        self._count = 0
        self._raised: weakref.ref[Cancelled] | None = None

    def end(self, number: int, _: FrameType | None = None) -> None:
        """Handle a signal that ends the run.

        While a first one unwinds the run, a second one changes nothing, and a third one
        ends the process at once.

        Raises:
            Cancelled: unless the run is being unwound.
        """
        self._count += 1
        self.token.request(number)
        if not self._unwinding():
            self._raise()
        elif self._count >= _IMPATIENT:
            os._exit(SIGNALLED + (self.token.number or number))

    def look(self, *_: object) -> None:
        """Raise a signal's exception once more, if it was dropped.

        Raises:
            Cancelled: it was.
        """
        if self.token.number is not None and not self._unwinding():
            self._raise()

    def _unwinding(self) -> bool:
        """Tell whether the exception of an earlier signal is still on its way."""
        return self._raised is not None and self._raised() is not None

    def _raise(self) -> None:
        error = Cancelled(self.token.number or 0)
        self._raised = weakref.ref(error)
        try:
            raise error
        finally:
            del error  # this frame is in its traceback: a loop would keep it alive

    def unraisable(self, found: sys.UnraisableHookArgs) -> None:
        """Print what a finaliser raised, as Python does, unless a signal has ended the run."""
        if self.token.number is None:
            sys.__unraisablehook__(found)


@contextlib.contextmanager
def ending() -> Iterator[Token]:
    """Handle SIGINT, SIGTERM and SIGHUP in here, in the main thread, and yield what they request.

    Whoever catches `Cancelled` leaves at once. SIGINT and SIGHUP that the caller has
    ignored, as a shell does for background jobs and nohup for what outlives it, stay ignored.
    """
    TOKEN.clear()
    signals = Signals(TOKEN)
    handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {
        signal.SIGTERM: signals.end,
        signal.SIGALRM: signals.look,
    }
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            handlers[number] = signals.end
    hook = sys.unraisablehook
    sys.unraisablehook = signals.unraisable
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    signal.setitimer(signal.ITIMER_REAL, _WAKE, _WAKE)
    try:
        yield TOKEN
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        sys.unraisablehook = hook
        TOKEN.clear()
