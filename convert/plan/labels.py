"""What messages call images, indexes and the entries of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.model.image import Image
from convert.model.walk import node_digest

if TYPE_CHECKING:
    from convert.model.image import Node
    from convert.model.image_set import Entry


def node_label(node: Node) -> str:
    """Return the digest of a node, or the image ID of an image without manifest."""
    return str(node_digest(node) or (node.image_id if isinstance(node, Image) else "?"))


def entry_label(entry: Entry) -> str:
    """Return what a message calls an entry."""
    if entry.name and entry.name.reference:
        return entry.name.reference.familiar
    if entry.name and entry.name.ref_name:
        return entry.name.ref_name
    if entry.node is not None:
        return node_label(entry.node)
    return str(entry.descriptor.digest) if entry.descriptor else "an image without a name"


def counted(count: int, what: str) -> str:
    """Return `1 layer` or `2 layers`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
