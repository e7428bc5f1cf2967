"""What long work tells while it runs; how that is shown is the caller's matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Progress(Protocol):
    """Takes counts of bytes; calls come from any thread.

    Conversions count the bytes of the source as they lie, each blob once, however
    often it is read and whatever becomes of it.
    """

    def expect(self, size: int) -> None:
        """`size` more bytes are to be done; fewer, if it is negative."""

    def begin(self, name: str, size: int) -> Callable[[int], None]:
        """Start a part of the work, one layer; return what takes the counts of its bytes."""

    def advance(self, size: int) -> None:
        """`size` bytes are done that belong to no part."""

    def close(self) -> None:
        """No more is shown."""


class Silent:
    """Shows nothing."""

    def expect(self, size: int) -> None:
        """Say nothing."""

    def begin(self, name: str, size: int) -> Callable[[int], None]:
        """Return what says nothing."""
        del name, size
        return self.advance

    def advance(self, size: int) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Say nothing."""
