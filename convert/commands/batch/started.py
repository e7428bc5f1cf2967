"""An engine that runs, as the run of a batch uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from convert.commands.batch.item import Item
    from convert.report.batch import Row


@dataclass(frozen=True, slots=True)
class Started:
    """An engine that runs.

    Attributes:
        executor: where items run.
        ahead: how many calls it should hold at a time, None if it does not matter.
        check: raises when the engine is lost.
        lifetime: returns for the error of an item whose process died how many seconds it ran, None if
            that is not known.
        run_several: what runs several items in one call, None if each has a call of its own.
    """

    executor: Executor
    ahead: int | None = None
    check: Callable[[], None] | None = None
    lifetime: Callable[[BaseException], float | None] | None = None
    run_several: Callable[[Sequence[Item]], list[Row]] | None = None
