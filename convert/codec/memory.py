"""Memory that decoders take: all of this process together stay below one bound."""

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
    """What the windows and dictionaries of all decoders that run at once may take together."""

    def __init__(self, size: int) -> None:
        """Share out `size` bytes."""
        self._size = size
        self._free = size
        self._changed = threading.Condition()
        self._held: Counter[int] = Counter()

    @contextlib.contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Hold `size` bytes; wait until they are free.

        What every decoder has is not counted. A thread that holds some already is
        given more at once: it would wait for itself.
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
