"""Progress: a table on a terminal, plain lines elsewhere, or nothing.

Worker threads only add numbers. A separate thread draws a few times a second, and imports rich when
the work turns out to be long.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import click

from convert import cancel
from convert.errors import printable
from convert.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import TaskID

_MB: Final = 10**6
#: Seconds before the first update, and between two updates.
_LIVE_FIRST: Final = 1.5
_LIVE_INTERVAL: Final = 0.3
_PLAIN_INTERVAL: Final = 10.0
#: Columns of a bar: with all others, a line fits into 80 columns.
_BAR: Final = 20
#: Seconds before a time that is left is estimated.
_FIRST_ESTIMATE: Final = 1.0
#: Layers that are shown at the same time.
_MOST_ROWS: Final = 8


@dataclass(slots=True)
class Part:
    """One layer in progress."""

    name: str
    size: int
    begin: float
    done: int = 0


class Snapshot(NamedTuple):
    """The state of the work; `total` is None until it is known."""

    seconds: float
    done: int
    total: int | None
    parts: tuple[Part, ...]

    @property
    def read(self) -> bool:
        """Whether everything is read; what remains is writing and syncing."""
        return self.total is not None and self.done >= self.total > 0


class Display(Protocol):
    """An output that draws snapshots; called by one thread at a time."""

    first: float
    interval: float

    def draw(self, now: Snapshot) -> None:
        """Show the state of the work."""

    def close(self) -> None:
        """Restore the screen; drawing again begins a new display."""


class Nothing(Silent):
    """A display that shows nothing."""

    def paused(self) -> contextlib.AbstractContextManager[None]:
        """Do nothing."""
        return contextlib.nullcontext()


class Counted:
    """Counts in the worker threads and draws in its own, so that drawing does not delay them."""

    def __init__(self, display: Display) -> None:
        """Start the clock; drawing starts with the first bytes that are expected or done."""
        self._display = display
        self._total = 0
        self._done = 0
        self._parts: list[Part] = []
        self._lock = threading.Lock()
        self._drawing = threading.Lock()
        self._stop = threading.Event()
        self._begin = time.monotonic()
        self._thread: threading.Thread | None = None

    def expect(self, size: int) -> None:
        """Add bytes to the total."""
        with self._lock:
            self._total += size
            self._start()

    def begin(self, name: str, size: int) -> Callable[[int], None]:
        """Start a layer; it is removed from the screen after its last byte."""
        part = Part(name, size, time.monotonic())
        with self._lock:
            self._parts.append(part)
            self._start()

        def advance(count: int) -> None:
            with self._lock:
                self._done += count
                part.done += count
                if part.done >= part.size and part in self._parts:
                    self._parts.remove(part)

        return advance

    def advance(self, size: int) -> None:
        """Count bytes that are done."""
        with self._lock:
            self._done += size
            self._start()

    def close(self) -> None:
        """End the display."""
        self._stop.set()
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(cancel.INTERVAL)
            if cancel.TOKEN.number is not None:
                return  # the terminal may be stopped, and the process ends anyway

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Remove the display while something else is printed on the same terminal."""
        # The terminal may be stopped while the display draws on it.
        while not self._drawing.acquire(timeout=cancel.INTERVAL):
            cancel.TOKEN.check()
        try:
            self._display.close()
            yield
        finally:
            self._drawing.release()

    def snapshot(self) -> Snapshot:
        """Return the present state of the work."""
        with self._lock:
            parts = tuple(Part(part.name, part.size, part.begin, part.done) for part in self._parts)
            total = self._total if self._total >= self._done else None
            return Snapshot(time.monotonic() - self._begin, self._done, total, parts)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        wait = self._display.first
        with contextlib.suppress(cancel.Cancelled):  # writing to the terminal checks for it
            try:
                while not self._stop.wait(wait):
                    with self._drawing:
                        self._display.draw(self.snapshot())
                    wait = self._display.interval
            finally:
                with self._drawing:
                    self._display.close()


class Lines:
    """Prints a line at intervals, for logs."""

    first = _PLAIN_INTERVAL
    interval = _PLAIN_INTERVAL

    def draw(self, now: Snapshot) -> None:
        """Print one line: the total, then the layers in progress."""
        texts = [f"{now.done / _MB:,.0f} MB read; writing" if now.read else _text("", now.done, now.total, now.seconds)]
        clock = time.monotonic()
        texts += [_text(f"{part.name} ", part.done, part.size, clock - part.begin) for part in now.parts[:_MOST_ROWS]]
        click.echo(printable(f"imgconv: {'; '.join(texts)}"), err=True)

    def close(self) -> None:
        """Do nothing: the lines stay."""


class Table:
    """Bars on a terminal, redrawn in place and removed at the end."""

    first = _LIVE_FIRST
    interval = _LIVE_INTERVAL

    def __init__(self) -> None:
        """Show nothing; rich is imported at the first drawing."""
        self._bars: _Bars | None = None

    def draw(self, now: Snapshot) -> None:
        """Draw one row for the total and one for each layer in progress."""
        if self._bars is None:
            self._bars = _Bars()
        self._bars.draw(now)

    def close(self) -> None:
        """Remove the table."""
        if self._bars is not None:
            self._bars.close()
            self._bars = None


class _Bars:
    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TransferSpeedColumn,
        )

        from convert.cli.console import open_console

        self._shown = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=_BAR),
            TaskProgressColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TextColumn("{task.fields[left]}"),
            console=open_console(stderr=True),
            auto_refresh=False,
            transient=True,
        )
        self._whole = self._shown.add_task("total", total=None, left="")
        self._rows: dict[tuple[str, float], TaskID] = {}
        self._shown.start()

    def draw(self, now: Snapshot) -> None:
        # A full bar looks like a run that hangs.
        total = None if now.read else now.total
        left = "" if now.read else time_left(now.done, now.total, now.seconds)
        self._shown.update(
            self._whole, description="writing" if now.read else "total", completed=now.done, total=total, left=left
        )
        parts = {(part.name, part.begin): part for part in now.parts[:_MOST_ROWS]}
        for key in [key for key in self._rows if key not in parts]:
            self._shown.remove_task(self._rows.pop(key))
        for key, part in parts.items():
            if key not in self._rows:
                self._rows[key] = self._shown.add_task(printable(part.name), total=part.size, left="")
            self._shown.update(self._rows[key], completed=part.done)
        self._shown.refresh()

    def close(self) -> None:
        self._shown.stop()


def _text(name: str, done: int, total: int | None, seconds: float) -> str:
    text = f"{name}{done / _MB:,.0f}"
    if total is not None:
        text += f" of {total / _MB:,.0f}"
    text += " MB"
    if total:
        text += f" ({done * 100 // total} %)"
    text += f", {done / _MB / max(seconds, 1e-3):,.0f} MB/s"
    left = time_left(done, total, seconds)
    return f"{text}, {left}" if left else text


def time_left(done: int, total: int | None, seconds: float) -> str:
    """Return how long the rest will take at the present rate, such as `1:05 left`; "" while that is not known."""
    if not total or done <= 0 or done >= total or seconds < _FIRST_ESTIMATE:
        return ""
    rest = round(seconds * (total - done) / done)
    hours, minutes = divmod(rest // 60, 60)
    return f"{hours}:{minutes:02}:{rest % 60:02} left" if hours else f"{minutes}:{rest % 60:02} left"


def choose(kind: str, *, logs: bool = True) -> Counted | Nothing:
    """Return the display for `--progress`.

    `auto` is a table on a terminal. Elsewhere it is lines with `logs`, else nothing: what CI prints
    besides the findings should be few lines.
    """
    if kind == "auto" and sys.stderr.isatty():
        return Counted(Table())
    if kind == "none" or (kind == "auto" and not logs):
        return Nothing()
    return Counted(Lines())


def beside(shown: Counted | Nothing, say: Callable[[str], None]) -> Callable[[str], None]:
    """Return `say`, with the display removed while it prints."""

    def note(text: str) -> None:
        with shown.paused():
            say(text)

    return note
