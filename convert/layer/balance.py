"""Decide whether whole layers, each in one thread, keep all cores busy."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The time that whole layers may take, relative to a perfect split; splitting costs more than the difference (bench/).
_MAX_OVERRUN: Final = 1.1


def fill_cores(sizes: Sequence[int], cores: int) -> bool:
    """Return whether layers of these sizes, each in one thread, keep all cores busy to nearly the end.

    Then splitting them would cost more than it gains. The largest layer goes first, each
    following one to the core that is free first.
    """
    busy = [0] * cores
    for size in sorted(sizes, reverse=True):
        heapq.heapreplace(busy, busy[0] + size)
    return max(busy) * cores <= _MAX_OVERRUN * sum(sizes)
