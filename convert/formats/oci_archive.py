"""Write an OCI image layout as one tar: members sorted, times and ids 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.archive.tar_write import Item
from convert.formats import _layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.formats.writing import WriteOptions
    from convert.model import ImageSet

NAME: Final = "oci-archive"

_FILE: Final = 0o644


def items(images: ImageSet, options: WriteOptions) -> Iterator[Item]:
    """Yield the members, sorted by name. Every image must have a manifest."""
    index, layout, blobs = _layout.documents(images, options, NAME)
    yield from _layout.blob_items(blobs, _FILE)
    yield Item("index.json", "file", _FILE, content=index)
    yield Item("oci-layout", "file", _FILE, content=layout)
