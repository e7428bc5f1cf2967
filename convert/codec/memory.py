"""A common limit for the memory of all decoders in this process."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from typing import TYPE_CHECKING, Final

from convert import cancel
from convert.limits import DECODING_MEMORY, FREE_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator


class DecodingMemory:
    """Memory that concurrent decoders share for their windows and dictionaries."""

    def __init__(self, size: int) -> None:
        """Share `size` bytes."""
        self._size = size
        self._free = size
        self._changed = threading.Condition()
        self._held: Counter[int] = Counter()

    @contextlib.contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Hold `size` bytes; wait until they are free.

        Up to `FREE_MEMORY` nothing is counted. A thread that already holds memory gets more
        without waiting, because it could wait for itself.
        """
        size = min(size, self._size)
        if size <= FREE_MEMORY:
            yield
            return
        thread = threading.get_ident()
        with self._changed:
            while not (size <= self._free or self._held[thread]):
                cancel.check()
                self._changed.wait(cancel.INTERVAL)
            self._free -= size
            self._held[thread] += 1
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._held[thread] -= 1
                self._changed.notify_all()


DECODERS: Final = DecodingMemory(DECODING_MEMORY)
