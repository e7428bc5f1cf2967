"""The threads of one command. No other module constructs a `ThreadPoolExecutor`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeVar

from convert import cancel
from convert.cancel import Cancel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor, Future
    from types import TracebackType
    from typing import Self

_K = TypeVar("_K")
_T = TypeVar("_T")
_R = TypeVar("_R")
#: A future takes a kilobyte, so 40,000 layers are not submitted at the same time.
_BATCH: Final = 4096


class Pool:
    """Threads in three roles; the command creates the pool and passes it down.

    `layers` handle whole layers: they read, hash and write. One more thread, `submit_large`,
    handles layers whose encoder keeps all cores busy, one at a time. `codec` runs the tasks
    into which an encoder splits its stream. Threads of the first two roles wait for codec
    tasks, and a codec task never waits for a thread, so they cannot deadlock. A thread
    starts when there is work for it.

    Results never depend on the number of threads.
    """

    def __init__(self, jobs: int, *, layers: int | None = None, cancel: Cancel | None = None) -> None:
        """Keep `jobs` cores busy; handle `layers` layers at a time (`jobs` if None).

        `cancel` ends the work of this pool and of what reads for it; None creates one.
        """
        self.jobs = max(1, jobs)
        self.cancel = cancel or Cancel()
        self._layers = ThreadPoolExecutor(layers or self.jobs, thread_name_prefix="layer")
        self._large = ThreadPoolExecutor(1, thread_name_prefix="large")
        self._codec = ThreadPoolExecutor(self.jobs, thread_name_prefix="codec")

    @property
    def layers(self) -> Executor:
        """The threads that handle whole layers, for what takes an executor."""
        return self._layers

    @property
    def codec(self) -> Executor:
        """The threads that run an encoder's tasks."""
        return self._codec

    def submit(self, function: Callable[..., _R], /, *arguments: Any) -> Future[_R]:
        """Call a function in a layer thread."""
        return self._layers.submit(function, *arguments)

    def submit_large(self, function: Callable[..., _R], /, *arguments: Any) -> Future[_R]:
        """Call a function that keeps all cores busy by itself, after those submitted before it."""
        return self._large.submit(function, *arguments)

    def wait(self, futures: Sequence[Future[Any]]) -> None:
        """Wait for all; the first failure stops the rest and is raised when they have ended.

        Raises:
            Cancelled: a signal asked for the end of the run.
        """
        ended: SimpleQueue[Future[Any]] = SimpleQueue()
        try:
            for future in futures:
                future.add_done_callback(ended.put)
            for _ in futures:
                _next(ended).result()
        except BaseException:
            self.cancel.stop()
            for future in futures:
                future.cancel()
            wait(futures)
            raise

    def gather(self, work: Iterable[tuple[_K, Callable[[], Future[_R]]]]) -> dict[_K, _R]:
        """Submit each task in order; return the results by their keys. Errors as `wait`."""
        found: dict[_K, _R] = {}
        rest = iter(work)
        while batch := list(islice(rest, _BATCH)):
            running = {key: begin() for key, begin in batch}
            self.wait(list(running.values()))
            found.update((key, future.result()) for key, future in running.items())
        return found

    def map(self, function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
        """Call a function for each item, in layer threads; return the results in order. Errors as `wait`."""
        results: list[_R] = []
        rest = iter(items)
        while batch := [self._layers.submit(function, item) for item in islice(rest, _BATCH)]:
            self.wait(batch)
            results += [future.result() for future in batch]
        return results

    def __enter__(self) -> Self:
        """Use as a context manager, so that the threads end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for running tasks; drop those that have not begun. After an error the others end at their next chunk."""
        if error is not None:
            self.cancel.stop()
        for executor in (self._large, self._layers, self._codec):
            executor.shutdown(wait=True, cancel_futures=True)


def _next(ended: SimpleQueue[Future[Any]]) -> Future[Any]:
    """Return the next future that has ended."""
    while True:
        try:
            return ended.get(timeout=cancel.INTERVAL)
        except Empty:
            cancel.check()
