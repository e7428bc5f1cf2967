"""The engine `local`: processes of this machine, each used for many items.

A `ProcessPoolExecutor` breaks as a whole when one of its processes dies; here a process that dies takes only
the call with it that it was running. The others go on, and a new process takes its place.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, Final, TypeVar

from convert.commands.batch.worker import GRACE, serve
from convert.errors import StorageError
from convert.limits import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from multiprocessing.context import ForkServerContext, ForkServerProcess

_T = TypeVar("_T")

#: Seconds between two looks at the memory of workers.
_WATCH_INTERVAL: Final = 0.05
#: Seconds after which the pool looks again, whatever `timeout` is.
_LONGEST_WAIT: Final = 3600.0
#: Processes that may die in a row before they took a call: then they cannot work here at all.
_MOST_STILLBORN: Final = 5
#: The share of the memory limit that a worker may keep between two calls.
_KEPT: Final = 2


class WorkerDiedError(StorageError):
    """The process that ran a call ended before it answered; `code` states why."""

    default_code = "worker-died"
    #: How long the call had been running, None if it had not begun.
    seconds: float | None = None


@dataclass(slots=True)
class _Call:
    future: Future[Any]
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    began: bool = False


class _Worker:
    """A process, and the call that it is running."""

    def __init__(self, context: ForkServerContext) -> None:
        self.pipe, other = context.Pipe()
        self.process: ForkServerProcess = context.Process(target=serve, args=(other,), daemon=True)
        self.process.start()
        other.close()
        self.call: _Call | None = None
        self.began = 0.0
        #: Whether it has taken the call; until then another process can take it.
        self.taken = False
        #: Whether it has started and takes calls.
        self.ready = False
        #: Why the process was ended, and when it is killed if it does not end.
        self.reason = ""
        self.kill_at = 0.0

    def start(self, call: _Call) -> bool:
        """Give the process a call; return False if it is gone."""
        try:
            self.pipe.send((call.function, call.arguments))
        except OSError:
            return False
        except Exception as error:  # noqa: BLE001 - it cannot be pickled, which is for the caller to know
            call.future.set_exception(error)
            return True
        self.call, self.began, self.taken = call, time.monotonic(), False
        return True

    def end(self, reason: str, *, at_once: bool) -> None:
        """End the process: at once, or at the next chunk of its call, so that it cleans up."""
        if self.reason:
            return
        self.reason = reason
        self.kill_at = 0.0 if at_once else time.monotonic() + GRACE
        self._signal(signal.SIGKILL if at_once else signal.SIGTERM)

    def kill_if_late(self, now: float) -> None:
        """Kill a process that was asked to end and did not."""
        if self.reason and self.kill_at and now >= self.kill_at:
            self.kill_at = 0.0
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(OSError):
            if self.process.pid is not None:
                os.kill(self.process.pid, number)

    def memory(self) -> int:
        """Return the resident bytes of the process; 0 if it is gone."""
        try:
            with open(f"/proc/{self.process.pid}/statm", "rb") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            return 0

    def close(self) -> None:
        """Release what belongs to a process that has ended."""
        self.pipe.close()
        self.process.join()
        self.process.close()


class WorkerPool(Executor):
    """Runs calls in processes; use it as a context manager.

    A call whose process dies, takes too long or needs too much memory fails with `WorkerDiedError`; the
    other calls go on. Functions and arguments are pickled. A script that creates a pool has to be guarded
    by `if __name__ == "__main__":`, as always with processes.
    """

    def __init__(
        self,
        jobs: int | None = None,
        *,
        timeout: float | None = None,
        memory: int | None = None,
        preload: Iterable[str] = (),
    ) -> None:
        """Start no process yet.

        Args:
            jobs: the number of processes, one for each core if None.
            timeout: the most seconds that a call may take.
            memory: the most bytes that a process may have in memory; only where there is /proc.
            preload: modules that are imported once for all processes.
        """
        self._jobs = jobs or usable_cores()
        self._timeout = timeout
        self._memory = memory
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__, *preload])
        self._lock = threading.Lock()
        self._waiting: deque[_Call] = deque()
        self._workers: list[_Worker] = []
        self._stillborn = 0
        self._closing = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._thread = threading.Thread(target=self._supervise, name="workers", daemon=True)
        self._thread.start()

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return [worker.process.pid for worker in list(self._workers) if worker.process.pid is not None]

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Run a call in a process.

        Raises:
            RuntimeError: the pool is closed.
        """
        if kwargs:
            raise TypeError("calls take positional arguments only")
        future: Future[_T] = Future()
        with self._lock:
            if self._closing:
                raise RuntimeError("the pool is closed")
            self._waiting.append(_Call(future, fn, args))
        self._wake()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes when all calls have ended; with `cancel_futures` at the next chunk of the present ones."""
        with self._lock:
            self._closing = True
            dropped = list(self._waiting) if cancel_futures else []
            if cancel_futures:
                self._waiting.clear()
                self._stop = True
        for call in dropped:
            call.future.cancel()
        self._wake()
        if wait:
            self._thread.join()

    #: Whether running calls are to end too.
    _stop = False

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"\0")

    # -- in the thread of the supervisor ---------------------------------------------------

    def _supervise(self) -> None:
        try:
            while not self._is_over():
                self._start_calls()
                self._watch()
                self._handle(connection.wait(self._sources(), self._next_look()))
        except BaseException as error:  # noqa: BLE001 - whoever waits for a call must learn of it
            self._fail_all(error)
        finally:
            for worker in self._workers:
                worker.end("closed", at_once=True)
                worker.close()
            self._workers.clear()

    def _is_over(self) -> bool:
        with self._lock:
            over = self._closing and not self._waiting
        busy = [worker for worker in self._workers if worker.call is not None]
        if over and self._stop:
            for worker in busy:
                worker.end("closed", at_once=False)
        return over and not busy

    def _sources(self) -> list[Any]:
        found: list[Any] = [self._wake_read]
        for worker in self._workers:
            found += (worker.pipe, worker.process.sentinel)
        return found

    def _start_calls(self) -> None:
        """Give waiting calls to workers that have none, and start as many workers as there are calls."""
        for worker in [each for each in self._workers if each.ready and each.call is None and not each.reason]:
            call = self._next_call()
            if call is None:
                return
            if not worker.start(call):  # it died before it got the call, which another one takes
                with self._lock:
                    self._waiting.appendleft(call)
        with self._lock:
            wanted = len(self._waiting)
        starting = sum(not each.ready for each in self._workers)
        for _ in range(min(wanted - starting, self._jobs - len(self._workers))):
            self._workers.append(_Worker(self._context))

    def _next_call(self) -> _Call | None:
        while True:
            with self._lock:
                if not self._waiting:
                    return None
                call = self._waiting.popleft()
            if call.began or call.future.set_running_or_notify_cancel():
                call.began = True
                return call

    def _watch(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.call is not None and self._timeout is not None and now - worker.began > self._timeout:
                worker.end("timeout", at_once=False)
            if worker.call is not None and self._memory is not None and worker.memory() > self._memory:
                worker.end("memory", at_once=True)
            worker.kill_if_late(now)

    def _next_look(self) -> float | None:
        busy = [worker for worker in self._workers if worker.call is not None]
        times = [worker.kill_at for worker in self._workers if worker.kill_at]
        if self._timeout is not None:
            times += [worker.began + self._timeout for worker in busy if not worker.reason]
        # A longer wait overflows the system's time.
        waits = [min(max(0.0, min(times) - time.monotonic()) + 0.001, _LONGEST_WAIT)] if times else []
        if self._memory is not None and busy:
            waits.append(_WATCH_INTERVAL)
        return min(waits) if waits else None

    def _handle(self, ready: Iterable[Any]) -> None:
        found = set(ready)
        if self._wake_read in found:
            os.read(self._wake_read, 1 << 16)
        for worker in list(self._workers):
            if worker.pipe in found:
                self._take_answer(worker)
            elif worker.process.sentinel in found:
                # What it sent before it died is still in the pipe.
                if worker.pipe.poll():
                    self._take_answer(worker)
                else:
                    self._lose(worker)

    def _take_answer(self, worker: _Worker) -> None:
        try:
            succeeded, answer = worker.pipe.recv()
        except (EOFError, OSError):
            self._lose(worker)
            return
        except Exception as error:  # noqa: BLE001 - an answer that cannot be unpickled is one too
            succeeded, answer = False, error
        if not worker.ready:
            worker.ready = True
            return
        if succeeded is None:
            worker.taken, self._stillborn = True, 0
            return
        call, worker.call = worker.call, None
        if call is not None:
            if succeeded:
                call.future.set_result(answer)
            else:
                call.future.set_exception(answer)
        if self._memory is not None and worker.memory() > self._memory // _KEPT:
            worker.end("recycled", at_once=False)

    def _lose(self, worker: _Worker) -> None:
        """Note that a process has ended."""
        call, worker.call = worker.call, None
        reason = worker.reason
        if not worker.taken and not reason and (call is not None or not worker.ready):
            self._stillborn += 1
        status = self._remove(worker)
        if call is None:  # it had none, and nothing is lost
            pass
        elif not worker.taken and not reason:  # it ended before it took the call
            with self._lock:
                self._waiting.appendleft(call)
        else:
            error = self._error(reason, status)
            error.seconds = time.monotonic() - worker.began
            call.future.set_exception(error)
        if self._stillborn >= _MOST_STILLBORN:
            raise WorkerDiedError(f"worker processes end before they do anything: {status}")

    def _error(self, reason: str, status: str) -> WorkerDiedError:
        """Return the error of a call whose process ended."""
        if reason == "closed":
            return WorkerDiedError("the run was ended", code="worker-died")
        if reason == "timeout":
            return WorkerDiedError(f"it took more than {self._timeout:g} s", code="timeout")
        if reason == "memory":
            return WorkerDiedError(f"it needs more than {self._memory} bytes of memory", code="memory")
        return WorkerDiedError(f"its worker process ended: {status}")

    def _remove(self, worker: _Worker) -> str:
        self._workers.remove(worker)
        worker.process.join()
        status = worker.process.exitcode
        worker.close()
        if status is not None and status < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-status).name
        return f"exit status {status}"

    def _fail_all(self, error: BaseException) -> None:
        with self._lock:
            self._closing = True
            calls = [*self._waiting, *(worker.call for worker in self._workers if worker.call is not None)]
            self._waiting.clear()
        for worker in self._workers:
            worker.call = None
        for call in calls:
            if not call.future.done():
                call.future.set_exception(error)
