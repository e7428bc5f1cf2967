"""What long work tells while it runs; how that is shown is the caller's matter."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Takes counts of bytes; calls come from any thread."""

    def expect(self, size: int) -> None:
        """`size` more bytes are to be done."""

    def advance(self, size: int) -> None:
        """`size` bytes are done."""

    def close(self) -> None:
        """No more is shown."""


class Silent:
    """Shows nothing."""

    def expect(self, size: int) -> None:
        """Say nothing."""

    def advance(self, size: int) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Say nothing."""
