"""What one hostile or damaged input is, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Case:
    """One input and what comes of it.

    `build` gives the archive. `code` is that of the error, or of the warning that is
    expected; `says` is a part of its line.
    """

    name: str
    build: Callable[[], bytes]
    status: int
    says: str
    options: tuple[str, ...] = ()
    code: str = ""


def refused(name, build, says, *options, code):
    """Exit 3, one line, no output."""
    return Case(name, build, 3, says, options, code)


def accepted(name, build, says="", *options, code=""):
    """Exit 0 with a warning: docs/formats.md#hostile-or-damaged-input, last column."""
    return Case(name, build, 0, says, options, code)


def unfit(name, build, says, *options, code):
    """Exit 2: sound, but not what was asked for."""
    return Case(name, build, 2, says, options, code)
