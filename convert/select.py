"""Pick images, platforms and names out of an image set (CONTRACT.md, "Selecting").

Pure: an `ImageSet` goes in, a smaller one comes out.
"""

from __future__ import annotations

import dataclasses
import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from convert.digest import Digest
from convert.errors import FormatError, SelectionError
from convert.formats import indexes
from convert.model import Artifact, Child, Entry, Image, Index, Name, config_of
from convert.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.model import Descriptor, ImageSet, Node
    from convert.platform import Platform

_PREFIX: Final = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})\Z")

#: One hit of a selector: what it picks, and the entry whose name it keeps.
_Hit = tuple["Node", Entry]


def node_digest(node: Node) -> Digest | None:
    """Return the digest that a registry would know a node by, None if it has none."""
    if isinstance(node, Image):
        return node.manifest.digest if node.manifest and not node.manifest.made_up else None
    if isinstance(node, Artifact):
        return node.manifest.digest
    if isinstance(node, Index):
        return node.digest
    return node.descriptor.digest


def descend(node: Node | None, seen: set[int] | None = None) -> Iterator[Node]:
    """Yield a node and everything under it, parents first, each once.

    Nodes are shared: indexes that name each other many times over would take for
    ever otherwise.
    """
    seen = set() if seen is None else seen
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    yield node
    if isinstance(node, Index):
        for child in node.children:
            yield from descend(child.node, seen)


# -- --image ---------------------------------------------------------------------


def by_image(images: ImageSet, selectors: Sequence[str]) -> ImageSet:
    """Keep what `--image` asks for, in the source's order.

    Raises:
        SelectionError: a selector matches nothing, or two things.
    """
    if not selectors:
        return images
    order = {id(entry): number for number, entry in enumerate(images.entries)}
    # Two digests may pick two children under one name.
    picked: dict[int, dict[int, Node]] = {}
    for selector in selectors:
        for node, entry in _matches(images, selector):
            picked.setdefault(order[id(entry)], {})[id(node)] = node
    entries = []
    for number, nodes in sorted(picked.items()):
        entry = images.entries[number]
        entries += [entry if entry.node is node else Entry(node, entry.name) for node in nodes.values()]
    return dataclasses.replace(images, entries=tuple(entries))


def by_spelling(images: ImageSet, text: str) -> ImageSet:
    """Keep what skopeo's spelling names behind the path: a reference, or `@N` for the N-th image.

    Raises:
        SelectionError: it names nothing, or two things.
    """
    if not text.startswith("@") or not text[1:].isdecimal():
        return by_image(images, [text])
    nodes = list(dict.fromkeys(id(entry.node) for entry in images.entries))
    if len(text) > 1 + len(str(len(nodes))) or int(text[1:]) >= len(nodes):
        raise SelectionError(f"there is no image {text} in the source", hint=f"it holds {len(nodes)}")
    kept = tuple(entry for entry in images.entries if id(entry.node) == nodes[int(text[1:])])
    return dataclasses.replace(images, entries=kept)


def _matches(images: ImageSet, selector: str) -> list[_Hit]:
    for kind in (_by_ref_name, _by_reference, _by_digest, _by_prefix):
        hits = list(kind(images, selector))
        nodes = {id(node) for node, _ in hits}
        if len(nodes) > 1:
            raise SelectionError(
                f"{selector!r} fits {len(nodes)} images: " + ", ".join(sorted({_label(node) for node, _ in hits})),
                hint="give the full digest of one",
            )
        if hits:
            return hits
    raise SelectionError(f"no image {selector!r} in the source", hint=_inventory(images))


def _label(node: Node) -> str:
    return str(node_digest(node) or (node.image_id if isinstance(node, Image) else "?"))


def _inventory(images: ImageSet, most: int = 8) -> str:
    """Say in one line what there is to choose from."""
    labels: dict[str, None] = {}
    for entry in images.entries:
        if entry.name and entry.name.reference:
            label = entry.name.reference.familiar
        elif entry.name and entry.name.ref_name:
            label = entry.name.ref_name
        elif entry.node is not None:
            label = _label(entry.node)
        else:
            continue
        labels[label] = None
    if not labels:
        return "it holds none"
    return (
        "it holds "
        + ", ".join(islice(labels, most))
        + (f" and {len(labels) - most} more" if len(labels) > most else "")
    )


def _by_ref_name(images: ImageSet, text: str) -> Iterator[_Hit]:
    for entry in images.entries:
        if entry.node is not None and entry.name and entry.name.ref_name == text:
            yield entry.node, entry


def _by_reference(images: ImageSet, text: str) -> Iterator[_Hit]:
    try:
        wanted = Reference.parse(text)
    except FormatError:
        return
    same = [
        (entry, entry.name.reference)
        for entry in images.entries
        if entry.node is not None
        and entry.name
        and entry.name.reference
        and entry.name.reference.repository == wanted.repository
    ]
    if wanted.digest is not None:
        for entry, reference in same:
            if wanted.tag in {None, reference.tag}:
                yield from ((node, entry) for node in descend(entry.node) if wanted.digest == node_digest(node))
        return
    tag = wanted.tag
    if tag is None:
        tags = {reference.tag for _, reference in same}
        tag = "latest" if "latest" in tags or len(tags) != 1 else next(iter(tags))
    for entry, reference in same:
        if reference.tag == tag and entry.node is not None:
            yield entry.node, entry


def _digests(node: Node) -> set[Digest]:
    digests = {node_digest(node)}
    config = config_of(node)
    if config is not None:
        digests.add(config.digest)
    return {digest for digest in digests if digest is not None}


def _by_digest(images: ImageSet, text: str) -> Iterator[_Hit]:
    try:
        wanted = Digest.parse(text)
    except FormatError:
        return
    for entry in images.entries:
        yield from ((node, entry) for node in descend(entry.node) if wanted in _digests(node))


def _by_prefix(images: ImageSet, text: str) -> Iterator[_Hit]:
    match = _PREFIX.match(text)
    if match is None:
        return
    for entry in images.entries:
        for node in descend(entry.node):
            if any(digest.hex.startswith(match.group(1)) for digest in _digests(node)):
                yield node, entry


# -- --platform ------------------------------------------------------------------


def by_platform(images: ImageSet, platforms: Sequence[Platform], warn: Callable[[str], None]) -> ImageSet:
    """Keep what `--platform` asks for.

    One platform gives the child without its index, several a new index of the
    children that are there. An image of another platform is left out, and said.

    Raises:
        SelectionError: nothing fits, or what fits is not in the source.
    """
    if not platforms:
        return images
    entries: list[Entry] = []
    offered: list[str] = []
    absent: list[str] = []
    made: dict[int, Node] = {}
    for entry in images.entries:
        node = entry.node
        if isinstance(node, Index):
            listed = [
                (child, platform) for child in indexes.leaves(node) if (platform := indexes.child_platform(child))
            ]
            offered += [str(platform) for _, platform in listed]
            fits = [(child, platform) for child, platform in listed if _wanted(platform, platforms)]
            absent += [str(platform) for child, platform in fits if child.node is None]
            kept = [child for child, _ in fits if child.node is not None]
            if kept:
                chosen = made.setdefault(id(node), _chosen(node, kept, platforms))
                entries.append(Entry(chosen, entry.name))
                continue
        elif (config := config_of(node)) is not None:
            offered.append(str(config.platform))
            if _wanted(config.platform, platforms):
                entries.append(entry)
                continue
        warn(f"left out {entry_label(entry)}: it is not for {', '.join(map(str, platforms))}")
    if not entries:
        asked = ", ".join(map(str, platforms))
        if absent:
            raise SelectionError(f"the index names {', '.join(sorted(set(absent)))}, but it is not in the source")
        there = ", ".join(dict.fromkeys(offered)) or "none"
        raise SelectionError(f"no image for {asked}", hint=f"platforms in the source: {there}")
    return dataclasses.replace(images, entries=tuple(entries))


def _wanted(platform: Platform, platforms: Sequence[Platform]) -> bool:
    return any(asked.matches(platform) for asked in platforms)


def _chosen(index: Index, kept: list[Child], platforms: Sequence[Platform]) -> Node:
    nodes = [child.node for child in kept if child.node is not None]
    if len(platforms) == 1 and len({id(node) for node in nodes}) > 1:
        raise SelectionError(
            f"{len(nodes)} images of the index are for {platforms[0]}",
            hint="pick one with --image DIGEST: " + ", ".join(_label(node) for node in nodes),
        )
    if len(platforms) == 1:
        return nodes[0]
    return indexes.rebuilt(index, tuple(kept))


# -- names -----------------------------------------------------------------------


def retag(images: ImageSet, tags: Sequence[Reference]) -> ImageSet:
    """Replace all names of the one image there is by `tags`.

    Raises:
        SelectionError: there is not exactly one image.
    """
    if not tags:
        return images
    nodes = {id(entry.node): entry.node for entry in images.entries if entry.node is not None}
    if len(nodes) != 1:
        raise SelectionError(f"--tag names one image, and {len(nodes)} are selected", hint="pick one with --image")
    node = next(iter(nodes.values()))
    descriptor: Descriptor | None = next(entry.descriptor for entry in images.entries if entry.node is node)
    entries = tuple(Entry(node, Name(tag.with_default_tag(), None), descriptor) for tag in dict.fromkeys(tags))
    return dataclasses.replace(images, entries=entries)


def entry_label(entry: Entry) -> str:
    """Return what a message calls an entry."""
    if entry.name and entry.name.reference:
        return entry.name.reference.familiar
    if entry.name and entry.name.ref_name:
        return entry.name.ref_name
    if entry.node is not None:
        return _label(entry.node)
    return str(entry.descriptor.digest) if entry.descriptor else "an image without a name"
