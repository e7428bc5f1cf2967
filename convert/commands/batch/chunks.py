"""Chunks: several items of a batch in one call, for an engine whose calls cost more than small items do."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from convert.commands.batch.run_one import run_one

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from convert.commands.batch.item import Item
    from convert.report.batch import Row

#: Items of a chunk at most.
LARGEST: Final = 64
#: Seconds that a chunk should take; Dask needs some milliseconds for each.
SECONDS: Final = 0.5
#: Seconds after which a chunk ends early, because its items take longer than those before them.
_LATEST: Final = 1.0
#: Images in the rows of a chunk after which it ends early: a row has a few hundred bytes for each.
_MOST_IMAGES: Final = 1000


def run_several(items: Sequence[Item], is_wanted: Callable[[], bool] = lambda: True) -> list[Row]:
    """Run items one after the other and return the rows of those that ended, the first of them at least.

    Items are not begun once the time is up or the caller has cancelled the rest.
    """
    end = time.monotonic() + _LATEST
    rows: list[Row] = []
    images = 0
    for item in items:
        if rows and (time.monotonic() >= end or images >= _MOST_IMAGES or not is_wanted()):
            break
        rows.append(run_one(item))
        images += len(rows[-1].digests)
    return rows


def next_size(largest: int, seconds: float, rest: int, tasks: int) -> int:
    """Return how many items the next chunk has, at least one.

    Args:
        largest: items of the largest chunk that ended, 0 if none did.
        seconds: what an item took lately.
        rest: items that are left.
        tasks: chunks that are submitted at a time. Towards the end each gets a share of what is left, so that all
            workers end at the same time.
    """
    if not largest:
        return 1
    in_time = int(SECONDS / seconds) if seconds * LARGEST > SECONDS else LARGEST
    return max(1, min(2 * largest, LARGEST, in_time, -(-rest // tasks)))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Items of one call. `alone` is whether no other call runs at the same time."""

    items: tuple[Item, ...]
    alone: bool = False


class Chunks:
    """Divides items into chunks, by what the items before them took.

    An item of a call whose process died may not be the one to blame: it runs again, and nothing else with it.
    """

    def __init__(self, items: Iterable[Item], tasks: int, *, several: bool) -> None:
        """Take no item yet.

        Args:
            items: what to run; only as many as are looked at ahead are taken at a time.
            tasks: chunks that are submitted at a time.
            several: whether a chunk may have more than one item.
        """
        self._items = iter(items)
        self._tasks = tasks
        #: Items that are taken ahead: with fewer, the end of all is known.
        self._ahead = tasks * LARGEST if several else 1
        self._several = several
        self._next: deque[Item] = deque()
        self._suspects: deque[Item] = deque()
        self._is_alone = False
        self._largest = 0
        self._seconds = 0.0

    def take(self, *, idle: bool) -> Chunk | None:
        """Return the next chunk; None if there is none, or none before those that run have ended.

        `idle` is whether nothing runs.
        """
        if (self._suspects or self._is_alone) and not idle:
            return None
        self._is_alone = bool(self._suspects)
        if self._suspects:
            return Chunk((self._suspects.popleft(),), alone=True)
        self._next.extend(islice(self._items, max(0, self._ahead - len(self._next))))
        size = next_size(self._largest, self._seconds, len(self._next), self._tasks) if self._several else 1
        items = tuple(self._next.popleft() for _ in range(min(size, len(self._next))))
        return Chunk(items) if items else None

    def ended(self, chunk: Chunk, rows: Sequence[Row]) -> None:
        """Note the rows of a chunk; its items without one come next."""
        self._next.extendleft(reversed(chunk.items[len(rows) :]))
        if rows:
            seconds = sum(row.seconds for row in rows) / len(rows)
            self._seconds = (self._seconds + seconds) / 2 if self._largest else seconds
            self._largest = max(self._largest, len(rows))

    def suspect(self, chunk: Chunk) -> None:
        """Run the items of a chunk again, each alone: a process died that had it."""
        self._suspects.extend(chunk.items)
