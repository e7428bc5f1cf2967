"""Wait for work in a thread pool: the first failure ends the rest."""

from __future__ import annotations

from concurrent.futures import as_completed, wait
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future


def wait_all(futures: Sequence[Future[Any]], stop: Callable[[], object] | None = None) -> None:
    """Wait for all; the first failure cancels those not begun and is raised when the rest is done.

    `stop` makes the rest end sooner; it is called on a signal, too.
    """
    try:
        for future in as_completed(futures):
            future.result()
    except BaseException:
        if stop is not None:
            stop()
        for future in futures:
            future.cancel()
        wait(futures)
        raise


_K = TypeVar("_K")
_R = TypeVar("_R")
#: A future takes a kilobyte, so not one for each of 40,000 layers is made at once.
_AT_ONCE: Final = 4096


def results_of(
    work: Iterable[tuple[_K, Callable[[], Future[_R]]]], stop: Callable[[], object] | None = None
) -> dict[_K, _R]:
    """Begin each piece of work, in order; return the results under their keys. Errors as `wait_all`."""
    found: dict[_K, _R] = {}
    rest = iter(work)
    while batch := list(islice(rest, _AT_ONCE)):
        running = {key: begin() for key, begin in batch}
        wait_all(list(running.values()), stop)
        found.update((key, future.result()) for key, future in running.items())
    return found
