"""Markdown for step summaries and pull requests: texts from archives stand in code spans only.

GitHub Flavored Markdown, which GitLab reads alike. In a code span there are no mentions (`@`), no
references (`#1`) and no HTML.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from convert.errors import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TICKS: Final = re.compile(r"`+")
_LONGEST: Final = 1000


def code(text: object, most: int = _LONGEST) -> str:
    """Return a code span with a text, "" for an empty one; a long text is cut in its middle."""
    return _span(printable(shortened(str(text), most)))


def cell(text: object, most: int = _LONGEST) -> str:
    """Return a code span for a cell of a table, where `|` ends a cell even in a code span (GFM 4.10)."""
    return _span(printable(shortened(str(text), most)).replace("|", "\\|"))


def _span(text: str) -> str:
    """Return a code span with enough backticks around a line (CommonMark 6.1)."""
    if not text:
        return ""
    longest = max(map(len, _TICKS.findall(text)), default=0)
    ticks = "`" * (longest + 1)
    # One blank on both sides is taken away, unless there are only blanks.
    pad = " " if (text[0] in "` " or text[-1] in "` ") and not text.isspace() else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> list[str]:
    """Return the lines of a table.

    Args:
        head: the titles, texts of ours.
        rows: the cells; whatever comes from an archive was made by `cell`.
        right: the numbers of the columns that are right-aligned.
    """
    marks = set(right)
    return [
        f"| {' | '.join(head)} |",
        f"|{'|'.join('---:' if number in marks else '---' for number in range(len(head)))}|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def mermaid(text: str) -> list[str]:
    """Return the lines of a Mermaid diagram; its labels must not contain a backtick."""
    return ["```mermaid", *text.rstrip("\n").split("\n"), "```"]
