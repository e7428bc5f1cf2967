"""A worker process of the engine `local`: it takes calls from a pipe and answers each with its result."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, Final

from convert.cancel import TOKEN, Cancelled

if TYPE_CHECKING:
    from types import FrameType

#: Seconds that a call has to end after its end was requested, before the process ends itself.
GRACE = 2.0
#: What a worker sends when it has taken a call, before the answer: until then the call can go to another one.
TAKEN: Final = (None, None)


def serve(pipe: connection.Connection) -> None:
    """Answer calls until the pipe is closed. Runs in the worker.

    SIGTERM ends the present call at its next chunk, and the process with it. SIGINT and SIGHUP, which a
    terminal sends to all processes of the run, are left to the run.
    """
    idle = True

    def end(number: int, _: FrameType | None) -> None:
        if idle:
            os._exit(0)
        TOKEN.request(number)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    try:
        pipe.send((True, None))  # it takes calls from now on
    except OSError:
        return
    while True:
        try:
            function, arguments = pipe.recv()
        except (EOFError, OSError):
            return
        except Exception as error:  # noqa: BLE001 - it cannot be unpickled here, which is the answer
            try:
                pipe.send(TAKEN)
                _send(pipe, (False, error))
            except OSError:
                return
            continue
        idle = False
        try:
            pipe.send(TAKEN)
        except OSError:  # the run is over
            return
        try:
            answer: tuple[bool, Any] = (True, function(*arguments))
        except Cancelled:
            return
        except Exception as error:  # noqa: BLE001 - it is the answer
            answer = (False, error)
        try:
            _send(pipe, answer)
        except OSError:  # the run is over
            return
        idle = True
        if TOKEN.number is not None:
            return


def _send(pipe: connection.Connection, answer: tuple[bool, Any]) -> None:
    try:
        pipe.send(answer)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - not every result and error can be pickled
        pipe.send((False, RuntimeError(f"the answer cannot be sent: {type(error).__name__}: {error}")))


def _end_with_parent() -> None:
    """End this process when that of the run is gone, killed too."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    connection.wait([parent.sentinel])
    TOKEN.request(signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(0)
