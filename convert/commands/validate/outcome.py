"""What checking a source showed besides its findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from convert.model.image_set import ImageSet, SourceFormat


class Outcome(NamedTuple):
    """The format of a source, whether it holds an image at all, and what could be read of it."""

    form: SourceFormat | None
    holds_image: bool
    images: ImageSet | None = None
