"""Hostile text: how anything from an archive is shown in a page."""

from __future__ import annotations

from typing import Final

from convert.errors import printable, shortened

#: Characters of one text before what is invisible in it is written as codes, each of at most ten characters.
LONGEST: Final = 2000


def shown(value: object, most: int = LONGEST) -> str:
    r"""Return a value as a page shows it: one line, cut in its middle if it is long.

    Control, bidirectional and invisible characters become codes (`\x1b`, `\u202e`). The result is
    text, not markup: templates and drawings escape it.
    """
    return "" if value is None else printable(shortened(str(value), most))
