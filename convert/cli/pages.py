"""`--html FILE`: where a command writes its page."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self, TypeVar

from convert.cli import groups
from convert.cli.values import FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

F = TypeVar("F", bound="Callable[..., Any]")


def html(command: F) -> F:
    """Add `--html` (docs/reports.md)."""
    return groups.output(
        "--html", type=FILE, metavar="FILE", help="Also write a page to look at: one HTML file that needs nothing else."
    )(command)


class PageFile:
    """The file of a page; does nothing without `--html`.

    It is looked at before the work begins: `write` replaces a regular file that was there
    then, and nothing else, in one step.
    """

    def __init__(self, path: str | None, sources: Iterable[str]) -> None:
        """Check that `path` is a file, and none of `sources` (each a SOURCE of the command line).

        Raises:
            UsageError: the path is not that of a file, or it is a source or inside one.
        """
        from convert.archive.atomic import OutputPath, refuse_overlap
        from convert.archive.transport import STDIN, path_of
        from convert.errors import StorageError, UsageError

        self.path = path
        self._output = None
        if path is None:
            return
        if path in {"", STDIN}:
            raise UsageError("--html needs the name of a file", code="invalid-option-value")
        for source in sources:
            # Reading reports what is no path.
            with contextlib.suppress(StorageError):
                if path_of(source) != STDIN:
                    refuse_overlap(path, path_of(source))
        self._output = OutputPath(path)

    def write(self, page: Callable[[], bytes]) -> None:
        """Write the page that `page` returns; it is not called without `--html`.

        Raises:
            UsageError: something that is not a regular file is there.
            StorageError: writing failed, or what was there changed during the run.
        """
        from convert.archive.atomic import write_file

        if self._output is not None:
            write_file(self._output, page())

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was looked at."""
        if self._output is not None:
            self._output.__exit__()
