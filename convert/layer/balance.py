"""How evenly work can be shared out over the cores."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: How much later than with all cores at work to the last byte the last layer may be done
#: before it is split; splitting costs more than this (bench/).
_EVEN: Final = 1.1


def fill_cores(sizes: Sequence[int], cores: int) -> bool:
    """Tell whether layers of these sizes, each in one thread, keep all cores busy to nearly the end.

    Then splitting them would only cost what joining parts costs. The largest goes first,
    each next one to whoever is done first.
    """
    loads = [0] * cores
    for size in sorted(sizes, reverse=True):
        heapq.heapreplace(loads, loads[0] + size)
    return max(loads) * cores <= _EVEN * sum(sizes)
