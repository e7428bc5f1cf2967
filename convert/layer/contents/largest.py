"""The largest paths of a list, within the limits of what is shown."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from convert.limits import MAX_SHOWN_PATHS, MAX_SHOWN_PATHS_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence


class Room:
    """How many bytes of paths may still be shown."""

    def __init__(self) -> None:
        """Start with the limit."""
        self._left = MAX_SHOWN_PATHS_SIZE
        #: Whether a path was left out because there was no room.
        self.exceeded = False

    def take(self, path: bytes) -> bool:
        """Take room for a path; return whether there was any."""
        if len(path) > self._left:
            self.exceeded = True
            return False
        self._left -= len(path)
        return True


class Largest:
    """Keeps the largest of the things that are added, `MAX_SHOWN_PATHS` of them."""

    def __init__(self) -> None:
        """Start empty."""
        # Of equal size, the first in the order of paths is kept: it compares as the larger one.
        self._heap: list[tuple[int, _Reversed, int]] = []

    def add(self, path: bytes, size: int, count: int = 1) -> None:
        """Add a path; nothing without a size is kept."""
        if size <= 0 or (len(self._heap) == MAX_SHOWN_PATHS and size < self._heap[0][0]):
            return
        item = (size, _Reversed(path), count)
        if len(self._heap) < MAX_SHOWN_PATHS:
            heapq.heappush(self._heap, item)
        else:
            heapq.heappushpop(self._heap, item)

    def shown(self, room: Room) -> Sequence[tuple[bytes, int, int]]:
        """Return path, size and count of what is kept, the largest first, as far as there is room."""
        found = [(path.value, size, count) for size, path, count in sorted(self._heap, reverse=True)]
        return [item for item in found if room.take(item[0])]


class _Reversed:
    """A path that compares in reverse."""

    __slots__ = ("value",)

    def __init__(self, value: bytes) -> None:
        self.value = value

    def __lt__(self, other: _Reversed) -> bool:
        return self.value > other.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)
