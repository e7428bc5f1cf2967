"""Streams that stand for a SOURCE by its name, for callers that read from elsewhere than files."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STREAMS: Final[ContextVar[tuple[str, Callable[[], BinaryIO]] | None]] = ContextVar("imgconv_streams", default=None)


@contextlib.contextmanager
def named_stream(name: str, opening: Callable[[], BinaryIO]) -> Iterator[None]:
    """Let `open_source(name)` of this thread read what `opening` returns, in order, as from a pipe."""
    token = _STREAMS.set((name, opening))
    try:
        yield
    finally:
        _STREAMS.reset(token)


def find_stream(name: str) -> BinaryIO | None:
    """Return a new stream that stands for a SOURCE, None if none does."""
    found = _STREAMS.get()
    return found[1]() if found is not None and found[0] == name else None
