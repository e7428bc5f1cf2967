"""Progress on a terminal, as plain lines, or not at all."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Final

import click

from convert.progress import Silent

if TYPE_CHECKING:
    from convert.progress import Progress

_MIB: Final = 1 << 20
#: Seconds between two looks, and before the first: short work shows nothing.
_INTERVAL: Final = 0.2
_PLAIN_INTERVAL: Final = 5.0


class Shown:
    """Counts in the working threads, draws in its own: drawing never slows them."""

    def __init__(self, *, live: bool) -> None:
        """`live` redraws one line, else a line is printed now and then."""
        self._live = live
        self._total = 0
        self._done = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._begin = time.monotonic()
        self._drawn = False
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._thread.start()

    def expect(self, size: int) -> None:
        """Count bytes to be done."""
        with self._lock:
            self._total += size

    def advance(self, size: int) -> None:
        """Count bytes that are done."""
        with self._lock:
            self._done += size

    def close(self) -> None:
        """End the line."""
        self._stop.set()
        self._thread.join()
        if self._live and self._drawn:
            click.echo("\r\x1b[K", nl=False, err=True)

    def _run(self) -> None:
        interval = _INTERVAL if self._live else _PLAIN_INTERVAL
        while not self._stop.wait(interval):
            self._draw()

    def _draw(self) -> None:
        seconds = max(time.monotonic() - self._begin, 1e-9)
        done, total = self._done, max(self._total, self._done)
        share = f" of {total / _MIB:,.0f}" if total else ""
        text = f"{done / _MIB:,.0f}{share} MiB, {done / _MIB / seconds:,.0f} MiB/s"
        self._drawn = True
        click.echo(f"\r\x1b[K{text}" if self._live else f"imgconv: {text}", nl=not self._live, err=True)


def choose(kind: str) -> Progress:
    """Return what `--progress` asks for; `auto` is live on a terminal and silent elsewhere."""
    if kind == "none":
        return Silent()
    if kind == "auto":
        return Shown(live=True) if sys.stderr.isatty() else Silent()
    return Shown(live=False)
