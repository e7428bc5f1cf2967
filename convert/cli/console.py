"""What tables and progress are printed to."""

from __future__ import annotations

import os
from typing import Final

from rich.console import Console

#: Columns that a console has at least and at most, whatever COLUMNS says: rich prints nothing without a column, and
#: needs memory for each.
_LEAST: Final = 20
_MOST: Final = 10_000


def open_console(*, stderr: bool = False) -> Console:
    """Return a console for standard output or standard error that prints texts as they are."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=_width())


def _width() -> int | None:
    """Return the columns to use where COLUMNS is out of bounds, None where rich finds them itself."""
    stated = os.environ.get("COLUMNS", "")
    if not stated.isdigit() or _LEAST <= int(stated[:20]) <= _MOST:
        return None
    if not stated.strip("0"):
        import shutil  # start-up time

        return max(_LEAST, shutil.get_terminal_size().columns)  # it takes 0 as not set
    return min(max(int(stated[:20]), _LEAST), _MOST)
