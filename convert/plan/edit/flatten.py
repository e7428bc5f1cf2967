"""Replace nested indexes by one list: `--flatten` (docs/contract.md#editing)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.model.image import Index
from convert.model.walk import leaves
from convert.plan.edit.rewrite import IndexRewriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.diagnostics import Dropped
    from convert.model.image import Child
    from convert.model.image_set import ImageSet
    from convert.plan.changes import Changes


def flatten(images: ImageSet, changes: Changes) -> ImageSet:
    """Rewrite each index that lists other indexes as one list of their children; layers stay as they are.

    A nested index that is absent stays in the list.
    """
    return IndexRewriter("--flatten", _nothing, changes, arrange=_arranged).run(images)


def _arranged(index: Index) -> Sequence[Child]:
    """Return the children, those of nested indexes in their place; a child that is listed twice once."""
    if not any(isinstance(child.node, Index) for child in index.children):
        return index.children
    found: dict[object, Child] = {}
    for child in leaves(index):
        described = child.descriptor
        key = (described.digest, described.media_type, repr(described.platform), repr(dict(described.annotations)))
        found.setdefault(key, child)
    return tuple(found.values())


def _nothing(_: Child) -> Sequence[Dropped] | None:
    return None
