"""Refuse to write documents that are larger than readers accept."""

from __future__ import annotations

from typing import Final

from convert.errors import NotRepresentableError
from convert.limits import MAX_DOCUMENT_SIZE

#: The least number of bytes that a descriptor takes in JSON.
_MIN_DESCRIPTOR_SIZE: Final = 140


def check_entry_count(count: int) -> None:
    """Refuse an `index.json` of `count` descriptors before they are built: each takes a kilobyte of memory.

    Raises:
        NotRepresentableError: the document would be too large in any case.
    """
    if count * _MIN_DESCRIPTOR_SIZE > MAX_DOCUMENT_SIZE:
        raise NotRepresentableError(
            f"index.json would name {count} things and have more than {MAX_DOCUMENT_SIZE} bytes, "
            "which no document may have",
            code="output-too-large",
            hint="--image picks fewer images and names",
        )


def check_size(raw: bytes, member: str) -> bytes:
    """Return a document that is about to be written as `member`.

    Raises:
        NotRepresentableError: it is so large that imgconv itself would not read it.
    """
    if len(raw) > MAX_DOCUMENT_SIZE:
        raise _too_large(member, f"{len(raw)}")
    return raw


def check_least_size(size: int, member: str) -> None:
    """Refuse a document that would have `size` bytes or more as `member`.

    Raises:
        NotRepresentableError: it would be too large in any case.
    """
    if size > MAX_DOCUMENT_SIZE:
        raise _too_large(member, f"{size} or more")


def _too_large(member: str, size: str) -> NotRepresentableError:
    return NotRepresentableError(
        f"{member} would have {size} bytes, and no document may have more than {MAX_DOCUMENT_SIZE}",
        code="output-too-large",
        hint="--image picks fewer images and names",
    )
