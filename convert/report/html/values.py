"""A value of a document in a cell."""

from __future__ import annotations

from typing import Any

from convert.report.comparison import shown


def value_text(difference: dict[str, Any], side: str) -> str:
    """Return what one side has at a key that differs, as JSON; a side that has nothing is `absent`."""
    return shown(difference[side]) if side in difference else "absent"
