"""Select platforms: `--platform` (docs/contract.md#selecting)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from convert.diagnostics import Dropped
from convert.errors import SelectionError
from convert.identity import index as indexes
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Child, Index, config_of
from convert.model.image_set import Entry
from convert.model.walk import child_platform, leaves, platform_of
from convert.plan.labels import entry_label, node_label

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from convert.diagnostics import Diagnostic
    from convert.model.image import Node
    from convert.model.image_set import ImageSet
    from convert.model.platform import Platform
    from convert.reader.sink import Fault

#: Stands for the descriptor that an image of a docker archive does not have.
_NO_DESCRIPTOR: Final = Descriptor("", Digest.of(b""), 0)
#: Missing platforms that one message lists.
_MOST: Final = 8


@dataclass(slots=True)
class _Offer:
    """The platforms of one selected image: those that are present, and those that are only named.

    `label` is what a message calls it. An index is one image; so are the entries that
    a layout lists by platform under one name.
    """

    label: str
    there: list[Platform] = field(default_factory=list)
    absent: list[Platform] = field(default_factory=list)


def select_by_platform(
    images: ImageSet, platforms: Sequence[Platform], warn: Callable[[Diagnostic], None], faults: Sequence[Fault] = ()
) -> ImageSet:
    """Keep what `--platform` asks for.

    One platform gives the child without its index, several a new index of the
    children that are there. What is not an image is dropped, and reported.

    Raises:
        SelectionError: an image lacks a platform (docs/contract.md#selecting).
        InputError: an image for such a platform could not be read.
    """
    if not platforms:
        return images
    damaged = {fault.part.digest: fault.error for fault in faults if fault.part is not None and fault.part.digest}
    entries: list[Entry] = []
    offers: dict[object, _Offer] = {}
    created: dict[Node, Node] = {}
    for entry in images.entries:
        node = entry.node
        listed = _listed_platforms(entry)
        if not listed:
            if node is None and entry.descriptor is not None and entry.descriptor.digest in damaged:
                raise damaged[entry.descriptor.digest]
            if node is not None:
                text = f"dropped {entry_label(entry)}: it is not an image for a platform"
                warn(Dropped(text, what="artifact", of=entry_label(entry)))
            continue
        offer = offers.setdefault(image_key(entry), _Offer(entry_label(entry)))
        kept: list[Child] = []
        for child, platform in listed:
            fits = platform is None or _wanted(platform, platforms)
            if fits and child.node is None and child.descriptor.digest in damaged:
                raise damaged[child.descriptor.digest]
            if platform is None:
                continue
            (offer.there if child.node is not None else offer.absent).append(platform)
            if fits and child.node is not None:
                kept.append(child)
        if kept and isinstance(node, Index):
            entries.append(Entry(created.setdefault(node, _platforms_of(node, kept, platforms)), entry.name))
        elif kept:
            entries.append(entry)
    _check_platforms(offers.values(), platforms)
    return dataclasses.replace(images, entries=tuple(entries))


def _listed_platforms(entry: Entry) -> list[tuple[Child, Platform | None]]:
    """Return what an entry holds by platform: nothing if it is not an image, None where a platform is unknown."""
    if isinstance(entry.node, Index):
        children = [(child, child_platform(child)) for child in leaves(entry.node)]
        return children if any(platform is not None for _, platform in children) else []
    if (config := config_of(entry.node)) is not None:
        child = Child(entry.descriptor or _NO_DESCRIPTOR, entry.node)
        return [(child, child_platform(child) or config.platform)]
    if entry.node is None and entry.descriptor is not None and entry.descriptor.platform is not None:
        return [(Child(entry.descriptor, None), platform_of(entry.descriptor.platform))]
    return []


def image_key(entry: Entry) -> object:
    """Return what the entries of one image share."""
    if entry.descriptor is not None and entry.descriptor.platform is not None and not isinstance(entry.node, Index):
        return entry.name
    return entry.node


def _check_platforms(offers: Collection[_Offer], platforms: Sequence[Platform]) -> None:
    """Refuse a request for platforms that an image lacks, and name every such pair."""
    if not offers:
        raise SelectionError(
            f"no image for {', '.join(map(str, platforms))}: the selection holds no image", code="no-such-platform"
        )
    pairs: list[str] = []
    for offer in offers:
        for asked in platforms:
            if any(asked.matches(one) for one in offer.there):
                continue
            if any(asked.matches(one) for one in offer.absent):
                pairs.append(f"{offer.label} names {asked.full}, but it is not in the source")
            else:
                pairs.append(f"{offer.label} has no image for {asked.full}")
    if pairs:
        more = f"; and {len(pairs) - _MOST} more" if len(pairs) > _MOST else ""
        there = ", ".join(dict.fromkeys(platform.full for offer in offers for platform in offer.there)) or "none"
        raise SelectionError(
            "; ".join(pairs[:_MOST]) + more, code="no-such-platform", hint=f"platforms in the source: {there}"
        )


def _wanted(platform: Platform, platforms: Sequence[Platform]) -> bool:
    return any(asked.matches(platform) for asked in platforms)


def _platforms_of(index: Index, kept: list[Child], platforms: Sequence[Platform]) -> Node:
    nodes = [child.node for child in kept if child.node is not None]
    if len(platforms) == 1 and len(set(nodes)) > 1:
        full = {platform.full for child in kept if (platform := child_platform(child)) is not None}
        versions = f"; or give a version: {', '.join(sorted(full))}" if len(full) > 1 else ""
        raise SelectionError(
            f"{len(nodes)} images of the index are for {platforms[0].full}",
            code="ambiguous-platform",
            hint="pick one with --image DIGEST: " + ", ".join(node_label(node) for node in nodes) + versions,
        )
    if len(platforms) == 1:
        return nodes[0]
    return indexes.rebuilt(index, tuple(kept))
