"""Lazily read bytes: stored blobs, and the content of members that are written."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple, Protocol


class Extent(NamedTuple):
    """Bytes of a regular file that can be copied inside the kernel.

    `fd` stays open as long as its source.
    """

    fd: int
    offset: int
    size: int


class Blob(Protocol):
    """Stored bytes that are read on demand.

    Each `open` starts at the first byte and yields the same bytes, from any thread; the
    caller closes what it opened.
    """

    @property
    def size(self) -> int | None:
        """Size in bytes, or None if it is known only after reading."""

    @property
    def where(self) -> str:
        """Name of the member or path, for messages."""

    def open(self) -> BinaryIO:
        """Start reading at the first byte."""

    def extent(self) -> Extent | None:
        """Return where the bytes are in a regular file, or None."""


class Content(Protocol):
    """The bytes of a member that is written, read on demand."""

    @property
    def size(self) -> int | None:
        """Exact number of bytes, or None if that is known only after reading."""

    @property
    def size_hint(self) -> int | None:
        """An estimate of the size if `size` is None; it may be wrong."""

    @property
    def verified(self) -> bool:
        """Whether this run has verified the bytes. They may have changed since."""

    @property
    def fixed(self) -> bool:
        """Whether the bytes are verified and cannot change, so that they may be copied unread."""

    def open(self) -> BinaryIO:
        """Start reading; a read at the end raises `DigestMismatchError` if the bytes were wrong."""

    def open_copy(self, copy: BinaryIO) -> BinaryIO:
        """Start reading a copy of the bytes of `extent`, verified as by `open`."""

    def extent(self) -> Extent | None:
        """Return where exactly these bytes are in a regular file, or None."""
