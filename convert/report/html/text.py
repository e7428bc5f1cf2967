"""Hostile text: how anything from an archive is shown in a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from convert.errors import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Characters of one text before what is invisible in it is written as codes, each of at most ten characters.
LONGEST: Final = 2000
_MOST_RUNS: Final = 10
_LONGEST_TITLE: Final = 200
#: A digest or the digits of one, and what must stand on the same line: the rest of a short word, a comma.
_DIGEST: Final = re.compile(r"((?<![0-9a-f])(?:sha256:)?[0-9a-f]{64}(?![0-9a-f]))(\S{1,12}(?!\S))?")


def shown(value: object, most: int = LONGEST) -> str:
    r"""Return a value as a page shows it: one line, cut in its middle if it is long.

    Control, bidirectional and invisible characters become codes (`\x1b`, `\u202e`). The result is
    text, not markup: templates and drawings escape it.
    """
    return "" if value is None else printable(shortened(str(value), most))


def pieces(value: object) -> Iterator[tuple[str, str, str]]:
    """Yield the parts of a value as a page shows it: text, a digest that follows, and what sticks to the digest."""
    found = [*_DIGEST.split(shown(value)), "", ""]
    for place in range(0, len(found), 3):
        text, digest, rest = found[place : place + 3]
        if text or digest:
            yield text, digest, rest or ""


def titles(paths: Sequence[str]) -> list[str]:
    """Return sources by their file names, by their whole paths where two would have one name."""
    names = [path.rstrip("/").rpartition("/")[2] or path for path in paths]
    chosen = names if len(set(names)) == len(set(paths)) else paths
    return [shortened(each, _LONGEST_TITLE) for each in chosen]


def numbers_text(what: str, numbers: Sequence[int]) -> str:
    """Return "layer 2", "layers 1 to 4, 7 and 8": ascending numbers in words; of many runs the first ten."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    words = [", ".join(map(str, run)) if run[-1] - run[0] == 1 else " to ".join(map(str, run)) for run in runs]
    words = ", ".join(words[:_MOST_RUNS]).split(", ")
    words += ["others"] if len(runs) > _MOST_RUNS else []
    listed = f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
    return f"{what}{'s' if len(numbers) > 1 else ''} {listed}"
