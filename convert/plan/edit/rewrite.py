"""Rewrite indexes without some of their children; everything else keeps its bytes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convert.diagnostics import Dropped
from convert.identity import index as indexes
from convert.model.image import Child, Index
from convert.model.image_set import Entry
from convert.plan import dropped
from convert.plan.changes import Change
from convert.plan.referrers import drop_referrers
from convert.writer.naming import is_attestation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.image import Node
    from convert.model.image_set import ImageSet
    from convert.plan.changes import Changes


class IndexRewriter:
    """Rewrites the indexes of a set, and records each digest that changes.

    `option` is the reason in the records. `loss` returns None for a child that stays, and the lines to
    record for one that does not. `arrange` reorders or replaces what stays.
    """

    def __init__(
        self,
        option: str,
        loss: Callable[[Child], Sequence[Dropped] | None],
        changes: Changes,
        *,
        arrange: Callable[[Index], Sequence[Child]] | None = None,
    ) -> None:
        """Record in `changes`."""
        self._option = option
        self._loss = loss
        self._changes = changes
        self._arrange = arrange or (lambda index: index.children)
        self._indexes: dict[Index, Index | None] = {}
        self._replaced: set[Digest] = set()

    def run(self, images: ImageSet) -> ImageSet:
        """Return the images with their indexes rewritten; entries of which nothing is left are left out."""
        entries: list[Entry] = []
        before: list[Entry] = []
        after: list[Entry] = []
        for entry in images.entries:
            node = self._node(entry.node)
            if node is entry.node:
                entries.append(entry)
            elif isinstance(node, Index):
                described = redescribed(entry.descriptor, node) if entry.descriptor is not None else None
                entries.append(Entry(node, entry.name, described))
                before.append(entry)
                after.append(entries[-1])
        # Children keep their annotations; those of indexes that are gone are reported.
        self._changes.dropped += dropped.find_dropped(
            dataclasses.replace(images, entries=tuple(before), index_annotations={}),
            dataclasses.replace(images, entries=tuple(after), index_annotations={}),
        )
        entries = drop_referrers(entries, self._replaced, self._changes)
        return dataclasses.replace(images, entries=tuple(entries))

    def _node(self, node: Node | None) -> Node | None:
        if not isinstance(node, Index):
            return node
        if node not in self._indexes:
            self._indexes[node] = self._index(node)
        return self._indexes[node]

    def _index(self, index: Index) -> Index | None:
        children: list[Child] = []
        for child in self._arrange(index):
            lines = self._loss(child)
            if lines is not None:
                self._changes.dropped += lines
                continue
            node = self._node(child.node)
            if node is child.node:
                children.append(child)
            elif isinstance(node, Index):
                children.append(Child(redescribed(child.descriptor, node), node))
        if tuple(children) == index.children:
            return index
        self._replaced.add(index.digest)
        if all(is_attestation(child) for child in children):
            text = f"dropped index {index.digest}: {self._option} leaves no image in it"
            self._changes.dropped.append(Dropped(text, what="index", of=str(index.digest)))
            return None
        made = indexes.rebuilt(index, tuple(children))
        self._changes.changed.append(Change("index", str(index.digest), str(made.digest), self._option))
        return made


def redescribed(descriptor: Descriptor, index: Index) -> Descriptor:
    """Return a descriptor for an index that was rewritten; annotations and platform stay."""
    return dataclasses.replace(
        descriptor, media_type=index.media_type, digest=index.digest, size=len(index.raw), data=None
    )
