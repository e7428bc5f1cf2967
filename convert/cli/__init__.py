"""The command line: one module for each command. Only this package prints, reads the environment and exits."""

from __future__ import annotations

# Nothing else is imported before `main` has installed its signal handlers, because Python prints a
# traceback for a Ctrl-C during an import. `signal` itself imports much.
import _signal  # type: ignore[import-not-found] # typeshed has only `signal`
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn

__all__ = ["main"]

#: Added to the number of the signal that ended a run, as a shell does.
_SIGNALLED = 128


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the contract's status."""
    # At the beginning and at the end, nothing has to be cleaned up.
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        if _signal.getsignal(number) is not _signal.SIG_IGN:
            _signal.signal(number, _exit_at_once)
    from convert.cli.main import main as run_and_exit

    run_and_exit(arguments)


def _exit_at_once(number: int, _: FrameType | None) -> None:
    """End the process with the status of a signal."""
    os._exit(_SIGNALLED + number)
