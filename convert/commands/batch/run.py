"""Run the items of a batch on any executor, and note each in a journal."""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from convert import cancel
from convert.commands.batch.chunks import Chunk, Chunks
from convert.commands.batch.run_one import Outcome, row_of, run_one
from convert.commands.batch.stamps import stamp_of
from convert.errors import ImgconvError, StorageError, shortened
from convert.limits import usable_cores
from convert.report.batch import Stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future

    from convert.commands.batch.item import Item
    from convert.commands.batch.journal import Journal
    from convert.report.batch import Row

#: Items that are submitted at a time for each core, so that no worker waits for its next one.
_AHEAD: Final = 4
#: Names of the errors with which executors report that the process of a call died (`KilledWorker` is Dask's).
_DIED: Final = frozenset({"KilledWorker", "WorkerDiedError"})
#: The one of them that all calls get which the process had, those too that were waiting.
_SHARED: Final = "KilledWorker"


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
    run_several: Callable[[Sequence[Item]], list[Row]] | None = None,
) -> Generator[Row]:
    """Run items whether or not the journal has them, as `run` does.

    Args:
        items: as of `run`, like `executor`, `journal` and `check`.
        executor: as above.
        journal: as above.
        check: as above.
        ahead: calls that are submitted at a time.
        lifetime: returns for the error of an item whose process died how many seconds it ran, None if
            that is not known.
        run_several: what the executor calls instead of `run_one`, with several items; those it does not
            get to have no row.
    """
    most = ahead or _AHEAD * usable_cores()
    ended: SimpleQueue[Future[Any]] = SimpleQueue()
    running: dict[Future[Any], tuple[Chunk, float]] = {}
    chunks = Chunks(items, most, several=run_several is not None)
    try:
        while True:
            while len(running) < most and (chunk := chunks.take(idle=not running)) is not None:
                call = (run_one, chunk.items[0]) if run_several is None else (run_several, chunk.items)
                future = executor.submit(*call)
                running[future] = chunk, time.monotonic()
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
            error = None if future.cancelled() else future.exception()
            if _is_death(error):
                # A signal to the whole process group ends workers too; then the item was not done.
                time.sleep(cancel.INTERVAL)
                cancel.check()
            chunk, submitted = running.pop(future)
            if error is not None and _is_death(error):
                if not chunk.alone and (_is(error, {_SHARED}) or len(chunk.items) > 1):
                    chunks.suspect(chunk)
                    continue
                rows = [_row_of_dead(error, item, submitted, lifetime) for item in chunk.items]
            else:
                found = _result(future)
                rows = [found] if run_several is None else found
                chunks.ended(chunk, rows)
            for row in rows:
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


def _is_death(error: BaseException | None) -> bool:
    """Return whether an error is that of a call whose process ended."""
    return _is(error, _DIED)


def _is(error: BaseException | None, names: Collection[str]) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)


def _result(future: Future[Any]) -> Any:
    """Return the result of a call that ended.

    Raises:
        StorageError: it did not end, and no other one will.
    """
    try:
        return future.result()
    except Exception as error:
        raise _lost(error) from error


def _row_of_dead(
    error: BaseException, item: Item, submitted: float, lifetime: Callable[[BaseException], float | None] | None
) -> Row:
    """Return the row of an item whose process ended; it was submitted at a time of `time.monotonic`."""
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
