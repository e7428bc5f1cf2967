"""An engine that runs, as the run of a batch uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor


@dataclass(frozen=True, slots=True)
class Started:
    """An engine that runs.

    Attributes:
        executor: where items run.
        ahead: how many items it should hold at a time, None if it does not matter.
        check: raises when the engine is lost.
        lifetime: returns for the error of an item whose process died how many seconds it ran, None if
            that is not known.
    """

    executor: Executor
    ahead: int | None = None
    check: Callable[[], None] | None = None
    lifetime: Callable[[BaseException], float | None] | None = None
