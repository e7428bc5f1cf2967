"""The threads of one command. No other module constructs a `ThreadPoolExecutor`."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from convert import cancel
from convert.cancel import Cancel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor, Future
    from types import TracebackType
    from typing import Self

    from convert.model.image import Layer

_K = TypeVar("_K")
_T = TypeVar("_T")
_R = TypeVar("_R")
#: A future takes a kilobyte, so 40,000 layers are not submitted at the same time.
_BATCH: Final = 4096
#: Bytes below which a layer or blob takes more time in Python than in C. Python runs in one thread at a time, and
#: threads that take turns cost more than one alone: such tasks are called in groups, and one group at a time.
_SMALL: Final = 4 << 10
_TOGETHER: Final = 64


class Task(NamedTuple, Generic[_K, _R]):
    """Work for a pool.

    Attributes:
        key: what its result is found by.
        call: does the work.
        size: the bytes that it reads, None if that is not known.
        large: whether it keeps all cores busy by itself.
    """

    key: _K
    call: Callable[[], _R]
    size: int | None = None
    large: bool = False

    @property
    def is_small(self) -> bool:
        """Whether threads would not make it faster."""
        return self.size is not None and self.size < _SMALL and not self.large


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
        self._small = threading.Lock()

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

    def gather(self, tasks: Iterable[Task[_K, _R]]) -> dict[_K, _R]:
        """Do each task, begun in order; return the results by their keys. Errors as `wait`."""
        found: dict[_K, _R] = {}
        rest = iter(tasks)
        while batch := list(islice(rest, _BATCH)):
            running = [(group, self._begin(group)) for group in _groups(batch)]
            self.wait([future for _, future in running])
            for group, future in running:
                found.update(zip((task.key for task in group), future.result(), strict=True))
        return found

    def map(
        self,
        function: Callable[[_T], _R],
        items: Iterable[_T],
        *,
        size: Callable[[_T], int | None] | None = None,
    ) -> list[_R]:
        """Call a function for each item, in layer threads; return the results in order. Errors as `wait`.

        `size` returns the bytes that the function reads for an item, None if that is not known.
        """
        tasks = (
            Task(number, partial(function, item), size(item) if size is not None else None)
            for number, item in enumerate(items)
        )
        return list(self.gather(tasks).values())

    def _begin(self, group: Sequence[Task[Any, _R]]) -> Future[list[_R]]:
        submit = self.submit_large if group[0].large else self.submit
        return submit(self._call, group)

    def _call(self, group: Sequence[Task[Any, _R]]) -> list[_R]:
        with self._small if group[0].is_small else contextlib.nullcontext():
            return [task.call() for task in group]

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


def stored_size(layer: Layer) -> int | None:
    """Return the bytes of a layer as they are stored, 0 if it is not there, None if their number is not known."""
    return layer.blob.size if layer.blob is not None else 0


def _groups(tasks: Sequence[Task[_K, _R]]) -> Iterator[list[Task[_K, _R]]]:
    """Yield the tasks in order, small ones that follow each other in groups."""
    group: list[Task[_K, _R]] = []
    for task in tasks:
        if group and (not task.is_small or len(group) == _TOGETHER):
            yield group
            group = []
        group.append(task)
        if not task.is_small:
            yield group
            group = []
    if group:
        yield group


def _next(ended: SimpleQueue[Future[Any]]) -> Future[Any]:
    """Return the next future that has ended."""
    while True:
        try:
            return ended.get(timeout=cancel.INTERVAL)
        except Empty:
            cancel.check()
