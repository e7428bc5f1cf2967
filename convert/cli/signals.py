"""Signals that end a run: the handler requests cancellation, and the run stops at its next check."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Final

from convert.cancel import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from convert.cancel import Token

#: The signal, counted from the first, that ends the process without cleaning up.
_IMPATIENT: Final = 3
#: Added to the number of the signal that ended a run, as a shell does.
SIGNALLED: Final = 128


@contextlib.contextmanager
def ending() -> Iterator[Token]:
    """Handle SIGINT, SIGTERM and SIGHUP in the main thread, and yield the token that they set.

    The handler raises nothing; every loop that reads, writes or waits checks the token
    (`convert.cancel`). A second signal has no effect, and a third one ends the process at once.
    Signals that the parent process ignores stay ignored, as for background jobs of a shell
    (SIGINT) and commands under nohup (SIGHUP).
    """
    TOKEN.clear()
    count = 0

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal count
        count += 1
        TOKEN.request(number)
        if count >= _IMPATIENT:
            os._exit(SIGNALLED + (TOKEN.number or number))

    ignored = [number for number in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_IGN]
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if number not in ignored]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield TOKEN
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        TOKEN.clear()
