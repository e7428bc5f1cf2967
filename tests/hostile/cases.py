"""What one hostile or damaged input is, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Case:
    """`build` gives the archive; `status` and a part of the line that must be said are what is expected."""

    name: str
    build: Callable[[], bytes]
    status: int
    says: str
    options: tuple[str, ...] = ()


def refused(name, build, says, *options):
    """Exit 3, one line, no output."""
    return Case(name, build, 3, says, options)


def accepted(name, build, says="", *options):
    """Exit 0 with a warning: docs/formats.md#hostile-or-damaged-input, last column."""
    return Case(name, build, 0, says, options)


def unfit(name, build, says, *options):
    """Exit 2: sound, but not what was asked for."""
    return Case(name, build, 2, says, options)
