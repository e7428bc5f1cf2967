"""Documents that a target gets: none is larger than what readers take."""

from __future__ import annotations

from typing import Final

from convert.errors import NotRepresentableError
from convert.limits import MAX_DOCUMENT_SIZE

#: Bytes that the JSON of a descriptor has at least.
_LEAST_DESCRIPTOR: Final = 140


def check_count(descriptors: int) -> None:
    """Refuse an `index.json` of so many descriptors before they are made: each takes a kilobyte.

    Raises:
        NotRepresentableError: it cannot but be too large.
    """
    least = descriptors * _LEAST_DESCRIPTOR
    if least > MAX_DOCUMENT_SIZE:
        raise NotRepresentableError(
            f"index.json would name {descriptors} things and have more than {MAX_DOCUMENT_SIZE} bytes, "
            "which no document may have",
            hint="--image picks fewer images and names",
        )


def bounded(raw: bytes, member: str) -> bytes:
    """Return a document that is about to be written.

    Raises:
        NotRepresentableError: imgconv itself would not read it.
    """
    if len(raw) > MAX_DOCUMENT_SIZE:
        raise NotRepresentableError(
            f"{member} would have {len(raw)} bytes, and no document may have more than {MAX_DOCUMENT_SIZE}",
            hint="--image picks fewer images and names",
        )
    return raw
