"""What the functions of all commands share: how they take options and report warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from convert.diagnostics import Dropped

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from convert.diagnostics import Diagnostic

    #: A path of a file or folder, or what else a SOURCE or DEST of the command line may be.
    Path = str | os.PathLike[str]
    #: Takes one line about something that was accepted, dropped or changed.
    Warn = Callable[[Diagnostic], None]

O = TypeVar("O")  # noqa: E741 - an options class


def ignore(_: str) -> None:
    """Ignore a warning."""


def options_of(kind: type[O], options: O | None, fields: dict[str, Any]) -> O:
    """Return the options that a caller gave, as a value or as its fields.

    Raises:
        TypeError: both were given, or a field that `kind` does not have.
    """
    if options is None:
        return kind(**fields)
    if fields:
        raise TypeError(f"give {kind.__name__} or its fields as keywords, not both")
    return options


class UniqueWarnings:
    """Passes each line on once, and keeps all of them in order."""

    def __init__(self, warn: Warn) -> None:
        """`warn` takes the lines."""
        self._warn = warn
        # A dict: looking a line up must not depend on how many there are.
        self.lines: dict[Diagnostic, None] = {}
        #: Those about something that the result does not hold.
        self.dropped: list[Dropped] = []

    def __call__(self, text: Diagnostic) -> None:
        """Take a line."""
        if text not in self.lines:
            self.lines[text] = None
            if isinstance(text, Dropped):
                self.dropped.append(text)
            self._warn(text)
