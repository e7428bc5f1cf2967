"""Progress reports of long work; the caller decides how they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Progress(Protocol):
    """Receives counts of bytes, from any thread.

    Conversions count the stored bytes of the source, each blob once, however often it is read.
    """

    def expect(self, size: int) -> None:
        """Add `size` bytes to the total; it may be negative."""

    def begin(self, name: str, size: int) -> Callable[[int], None]:
        """Start a part of the work, such as a layer; return the function to call with counts of its bytes."""

    def advance(self, size: int) -> None:
        """Count `size` bytes that belong to no part."""

    def close(self) -> None:
        """End the display."""


class Silent:
    """A progress display that shows nothing."""

    def expect(self, size: int) -> None:
        """Do nothing."""

    def begin(self, name: str, size: int) -> Callable[[int], None]:
        """Return a function that does nothing."""
        del name, size
        return self.advance

    def advance(self, size: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
