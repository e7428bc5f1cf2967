"""`--html FILE`: where a command writes its page."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

from convert.cli import groups
from convert.cli.values import FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from convert.archive.output_file import OutputFile

F = TypeVar("F", bound="Callable[..., Any]")


def html(command: F) -> F:
    """Add `--html` (docs/reports.md)."""
    return groups.output(
        "--html", type=FILE, metavar="FILE", help="Also write a page to look at: one HTML file that needs nothing else."
    )(command)


@contextlib.contextmanager
def page_file(
    path: str | None, sources: Iterable[str], others: Iterable[OutputFile] = ()
) -> Iterator[Callable[[Callable[[], bytes]], object]]:
    """Check FILE before the work begins, and give what writes the page; nothing without `--html`.

    What is given takes a function that returns the page, which is not called without `--html`.

    Args:
        path: FILE, None without `--html`.
        sources: every SOURCE of the command line.
        others: the other files that the command writes.

    Raises:
        UsageError: FILE is neither new nor a regular file, is a source or inside one, or another output.
        StorageError: the folder of FILE is missing or cannot be written to; or writing failed.
    """
    if path is None:
        yield lambda _: None
        return
    from convert.archive.output_file import OutputFile
    from convert.archive.transport import STDIN
    from convert.errors import UsageError

    if path in {"", STDIN}:
        raise UsageError("--html needs the name of a file", code="invalid-option-value")
    with OutputFile(path, sources=sources, others=others, streams=False) as output:
        yield lambda page: output.write(page())
