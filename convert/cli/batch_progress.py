"""Progress of a batch: how many sources are done and failed, how many a second, and the time that is left."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Final

import click

from convert.cli.progress import time_left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convert.report.batch import Row, Summary

#: Seconds between two updates: on a terminal, and of lines in a log.
_LIVE_INTERVAL: Final = 0.3
_PLAIN_INTERVAL: Final = 10.0
_CLEAR: Final = "\r\x1b[K"


class BatchProgress:
    """Counts rows, and draws when it is called; the run calls a few times a second."""

    def __init__(self, kind: str, summary: Summary) -> None:
        """`kind` is the value of `--progress`; `summary` has the rows of earlier runs."""
        self._summary = summary
        self._live = kind == "auto" and sys.stderr.isatty()
        self._silent = kind == "none"
        self._begin = time.monotonic()
        self._next = self._begin + (_LIVE_INTERVAL if self._live else _PLAIN_INTERVAL)
        self._first = summary.ended
        self._drawn = False

    def add(self, row: Row) -> None:
        """Count a row."""
        self._summary.add(row)

    def with_check(self, check: Callable[[], None] | None) -> Callable[[], None]:
        """Return a function that draws, and calls `check`."""

        def look() -> None:
            if check is not None:
                check()
            self.draw()

        return look

    def draw(self) -> None:
        """Show the state if it is time."""
        now = time.monotonic()
        if self._silent or now < self._next:
            return
        self._next = now + (_LIVE_INTERVAL if self._live else _PLAIN_INTERVAL)
        if self._live:
            click.echo(f"{_CLEAR}{self.text(now)}", nl=False, err=True)
            self._drawn = True
        else:
            click.echo(f"imgconv: {self.text(now)}", err=True)

    def text(self, now: float) -> str:
        """Return the state as one line."""
        summary = self._summary
        seconds = now - self._begin
        ended = summary.ended - self._first
        text = f"{summary.ended - summary.failed} done, {summary.failed} failed of {summary.total}"
        text += f", {ended / max(seconds, 1e-3):,.1f}/s"
        left = time_left(ended, summary.total - self._first, seconds)
        return f"{text}, {left}" if left else text

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Remove the line while something else is printed on the same terminal."""
        self.close()
        yield

    def close(self) -> None:
        """Remove the line."""
        if self._drawn:
            click.echo(_CLEAR, nl=False, err=True)
            self._drawn = False
