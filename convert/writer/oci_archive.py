"""Write an OCI image layout as one tar: members sorted, times and ids 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.archive.tar_writer import Item
from convert.writer import layout_documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.model.image_set import ImageSet
    from convert.writer.options import WriteOptions

NAME: Final = "oci-archive"

_FILE: Final = 0o644


def items(images: ImageSet, options: WriteOptions) -> Iterator[Item]:
    """Yield the members, sorted by name. Every image must have a manifest."""
    index, layout, blobs = layout_documents.documents(images, options, NAME)
    yield from layout_documents.blob_items(blobs, _FILE)
    yield Item("index.json", "file", _FILE, content=index)
    yield Item("oci-layout", "file", _FILE, content=layout)
