"""Find the errors of a source that concern the selected images (docs/contract.md#selecting)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.model.image import Index
from convert.model.walk import descend
from convert.plan.select_image import identifying_digests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.errors import ImgconvError
    from convert.model.digest import Digest
    from convert.model.image import Node
    from convert.model.image_set import ImageSet
    from convert.reader.sink import Fault


def find_errors(images: ImageSet, faults: Sequence[Fault]) -> list[ImgconvError]:
    """Return the errors that concern these images, including those of the source itself."""
    if not faults:
        return []
    digests: set[Digest] = set()
    names: set[object] = set()
    seen: set[Node] = set()
    for entry in images.entries:
        if entry.descriptor is not None and entry.node is None:
            digests.add(entry.descriptor.digest)
        if entry.name is not None:
            names.add(entry.name.reference or entry.name.ref_name)
        for node in descend(entry.node, seen):
            digests.update(identifying_digests(node))
            if isinstance(node, Index):
                digests.update(child.descriptor.digest for child in node.children if child.node is None)
    # Where index.json decides on the names, an element of manifest.json stands for one of several platforms.
    by_name = not any(entry.descriptor is not None for entry in images.entries)
    return [
        fault.error
        for fault in faults
        if fault.part is None
        or fault.part.digest in digests
        or (by_name and not names.isdisjoint(name.reference or name.ref_name for name in fault.part.names))
    ]
