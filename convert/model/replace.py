"""Replace images in the contents of a source."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convert.model.image import Index

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convert.model.image import Image, Node
    from convert.model.image_set import ImageSet


def replace_images(images: ImageSet, replaced: Mapping[Image, Image]) -> ImageSet:
    """Return a source's contents with other image nodes in the place of some, also below indexes."""
    done: dict[Node, Node] = {old: new for old, new in replaced.items()}  # noqa: C416 - mypy: dicts are invariant

    def other(node: Node | None) -> Node | None:
        if not isinstance(node, Index) or node in done:
            return done.get(node, node) if node is not None else None
        children = tuple(dataclasses.replace(child, node=other(child.node)) for child in node.children)
        changed = any(new.node is not old.node for new, old in zip(children, node.children, strict=True))
        done[node] = dataclasses.replace(node, children=children) if changed else node
        return done[node]

    entries = tuple(dataclasses.replace(entry, node=other(entry.node)) for entry in images.entries)
    return dataclasses.replace(images, entries=entries)
