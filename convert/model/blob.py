"""Bytes that are read when they are needed: blobs as they lie, and the content that is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes of a regular file that can be copied inside the kernel.

    `fd` stays open as long as the source it belongs to.
    """

    fd: int
    offset: int
    size: int


class Blob(Protocol):
    """Bytes that are read when they are needed.

    Each `open` starts at the first byte and yields the same bytes, from any thread; the
    caller closes what it opened.
    """

    @property
    def size(self) -> int | None:
        """Bytes in the blob, or None if that is known only after reading."""

    @property
    def where(self) -> str:
        """Name of the member or path, for messages."""

    def open(self) -> BinaryIO:
        """Start reading at the first byte."""

    def extent(self) -> Extent | None:
        """Where the bytes lie in a regular file, or None."""


class Content(Protocol):
    """The bytes of a member: described, and read when their turn comes."""

    @property
    def size(self) -> int | None:
        """Exact number of bytes, or None if that is known only after reading."""

    @property
    def size_hint(self) -> int | None:
        """A guess at it where `size` is None; it may be wrong."""

    @property
    def verified(self) -> bool:
        """Whether this run has verified the bytes before. They may have changed since."""

    @property
    def fixed(self) -> bool:
        """Whether they were verified and cannot have changed since, so that they may be copied unread."""

    def open(self) -> BinaryIO:
        """Start reading; a read at the end raises `DigestMismatchError` if the bytes were wrong."""

    def open_copy(self, copy: BinaryIO) -> BinaryIO:
        """Start reading a copy of what `extent` describes, verified as by `open`."""

    def extent(self) -> Extent | None:
        """Where exactly these bytes lie in a regular file, or None."""
