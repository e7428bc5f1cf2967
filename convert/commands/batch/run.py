"""Run the items of a batch on any executor, and note each in a journal."""

from __future__ import annotations

import time
from concurrent.futures import BrokenExecutor, CancelledError
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from convert import cancel
from convert.commands.batch.run_one import Outcome, row_of, run_one
from convert.commands.batch.stamps import stamp_of
from convert.errors import ImgconvError, StorageError, shortened
from convert.limits import usable_cores
from convert.report.batch import Stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from concurrent.futures import Executor, Future

    from convert.commands.batch.item import Item
    from convert.commands.batch.journal import Journal
    from convert.report.batch import Row

#: Items that are submitted at a time for each core, so that no worker waits for its next one.
_AHEAD: Final = 4
#: Names of the errors with which executors report that the process of a call died (`KilledWorker` is Dask's).
_DIED: Final = frozenset({"KilledWorker", "WorkerDiedError"})


def run(
    items: Iterable[Item],
    executor: Executor,
    *,
    journal: Journal | None = None,
    retry_failed: bool = False,
    ahead: int | None = None,
    check: Callable[[], None] | None = None,
) -> Generator[Row]:
    """Run items and yield the row of each in the order in which they end; of those that are done, nothing.

    A generator: nothing runs before it is iterated over, and closing it cancels what has not begun. An item
    whose process dies is a row; one that was not begun when the run ends has none.

    Args:
        items: what to run (`batch_items` makes them); items with one key run once.
        executor: where `run_one` runs: any `concurrent.futures.Executor`.
        journal: rows are appended to it, and items that it has a row of are done.
        retry_failed: run those of them again that failed.
        ahead: items that are submitted at a time, four for each core of this machine if None.
        check: called a few times a second; what it raises ends the run.

    Raises:
        StorageError: the journal cannot be written to, or the executor is lost.
        Cancelled: a signal requested the end of the process.
    """
    rest = missing(items, journal.rows if journal is not None else {}, retry_failed=retry_failed)
    yield from run_all(rest, executor, journal=journal, ahead=ahead, check=check)


def run_all(
    items: Iterable[Item],
    executor: Executor,
    *,
    journal: Journal | None = None,
    ahead: int | None = None,
    check: Callable[[], None] | None = None,
    lifetime: Callable[[BaseException], float | None] | None = None,
) -> Generator[Row]:
    """Run items whether or not the journal has them, as `run` does.

    `lifetime` returns for the error of an item whose process died how many seconds it ran, None if
    that is not known.
    """
    most = ahead or _AHEAD * usable_cores()
    ended: SimpleQueue[Future[Row]] = SimpleQueue()
    running: dict[Future[Row], tuple[Item, float]] = {}
    rest = iter(items)
    more = True
    try:
        while more or running:
            while more and len(running) < most:
                item = next(rest, None)
                if item is None:
                    more = False
                    break
                future = executor.submit(run_one, item)
                running[future] = item, time.monotonic()
                future.add_done_callback(ended.put)
            cancel.check()
            if check is not None:
                check()
            if not running:
                break
            try:
                future = ended.get(timeout=cancel.INTERVAL)
            except Empty:
                continue
            if _has_died(future):
                # A signal to the whole process group ends workers too; then the item was not done.
                time.sleep(cancel.INTERVAL)
                cancel.check()
            row = _row(future, *running.pop(future), lifetime)
            if journal is not None:
                journal.add(row)
            yield row
    finally:
        for future in running:
            future.cancel()


def missing(items: Iterable[Item], rows: Mapping[str, Row], *, retry_failed: bool = False) -> Iterator[Item]:
    """Yield the items that are not done, each key once.

    An item is done if it has a row and its source still has the size and time, or etag, of the row.
    """
    seen: set[str] = set()
    for item in items:
        key = item.key
        if key in seen:
            continue
        seen.add(key)
        row = rows.get(key)
        if row is None or (retry_failed and row.failed) or not _is_unchanged(item, row):
            yield item


def _is_unchanged(item: Item, row: Row) -> bool:
    try:
        return stamp_of(item) == row.stamp
    except ImgconvError:  # the item will state it
        return False


def _has_died(future: Future[Row]) -> bool:
    """Return whether the process of an item ended."""
    return not future.cancelled() and _is_death(future.exception())


def _is_death(error: BaseException | None) -> bool:
    return any(kind.__name__ in _DIED for kind in type(error).__mro__)


def _row(
    future: Future[Row], item: Item, submitted: float, lifetime: Callable[[BaseException], float | None] | None
) -> Row:
    """Return the row of an item that ended and was submitted at a time of `time.monotonic`.

    Raises:
        StorageError: it did not end, and no other one will.
    """
    try:
        return future.result()
    except (BrokenExecutor, CancelledError) as error:
        raise _lost(error) from error
    except Exception as error:
        if not _is_death(error):
            raise _lost(error) from error
        seconds = lifetime(error) if lifetime is not None else getattr(error, "seconds", None)
        if seconds is None:  # its executor does not tell when it began
            seconds = time.monotonic() - submitted
        _clean_up(item)
        code = error.code if isinstance(error, ImgconvError) else "worker-died"
        message = str(error) if isinstance(error, ImgconvError) else "its worker process ended"
        try:
            stamp = stamp_of(item)
        except ImgconvError:
            stamp = Stamp(is_remote=bool(item.address))
        return row_of(item, Outcome(StorageError.exit_status, code, message), stamp, seconds)


def _clean_up(item: Item) -> None:
    """Remove what a killed process left beside the output of its item."""
    if item.output is not None:
        from convert.commands.batch.results import remove_leftovers  # noqa: PLC0415 - only then

        remove_leftovers(item)


def _lost(error: BaseException) -> StorageError:
    if isinstance(error, StorageError):
        return error
    why = shortened(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, 300)
    return StorageError(
        f"the engine is lost: {why}", code="engine-lost", hint="start the run again; it does what is missing"
    )
