"""Pick images, platforms and names out of an image set (docs/contract.md#selecting).

Pure: an `ImageSet` goes in, a smaller one comes out.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from convert.diagnostics import Dropped
from convert.errors import FormatError, SelectionError
from convert.identity import index as indexes
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Artifact, Child, Image, Index, config_of
from convert.model.image_set import Entry, Name
from convert.model.reference import Reference
from convert.model.walk import child_platform, descend, leaves, node_digest, platform_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from convert.errors import ImgconvError
    from convert.model.image import Node
    from convert.model.image_set import ImageSet
    from convert.model.platform import Platform
    from convert.reader.sink import Fault

_PREFIX: Final = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})\Z")

#: Stands for the descriptor that an image of a docker archive does not have.
_NO_DESCRIPTOR: Final = Descriptor("", Digest.of(b""), 0)
#: Things that one message lists.
_MOST: Final = 8

#: One hit of a selector: what it picks, and the entry whose name it keeps.
_Hit = tuple["Node", Entry]

# -- choosing --------------------------------------------------------------------


def chosen(
    images: ImageSet,
    *,
    spelling: str = "",
    reference: str = "",
    selectors: Sequence[str] = (),
    platforms: Sequence[Platform] = (),
    faults: Sequence[Fault] = (),
    warn: Callable[[str], None],
    damaged: bool = False,
) -> ImageSet:
    """Keep what a SOURCE's spelling, `--image` and `--platform` ask for.

    `spelling` and `reference` are skopeo's transport and what follows the path. A
    fault counts only if what is asked for needs the damaged part (docs/contract.md#selecting).
    With `damaged`, an image that is there in part is returned, as `inspect` shows it.

    Raises:
        SelectionError: nothing fits, or more than may.
        InputError: what is asked for is damaged.
    """
    lost = next(_lost(images, faults), None) if faults and not reference and not selectors else None
    if lost is not None:
        raise lost
    if reference:
        images = by_spelling(images, spelling, reference, faults)
    images = by_image(images, selectors, faults)
    images = by_platform(images, platforms, warn, faults)
    error = next(iter(errors_of(images, faults)), None)
    if error is not None and not damaged:
        raise error
    return images


def errors_of(images: ImageSet, faults: Sequence[Fault]) -> list[ImgconvError]:
    """Return the errors that concern these images, those of the whole source among them."""
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
            digests.update(_digests(node))
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


def _lost(images: ImageSet, faults: Sequence[Fault]) -> Iterator[ImgconvError]:
    """Yield the errors that hide an image, so that no entry stands for it."""
    there = {digest for node in images.nodes() for digest in _digests(node)}
    for fault in faults:
        if fault.part is None or (fault.part.item and fault.part.digest not in there):
            yield fault.error


def _blamed(images: ImageSet, selector: str, faults: Sequence[Fault]) -> ImgconvError | None:
    """Return the error that hides what a selector asks for, None if none does."""
    if not faults:
        return None
    names: dict[Digest, list[Name]] = {}
    for entry in images.entries:
        if entry.node is None and entry.descriptor is not None and entry.name is not None:
            names.setdefault(entry.descriptor.digest, []).append(entry.name)
    prefix = _PREFIX.match(selector)
    for fault in faults:
        if fault.part is None:
            return fault.error
        digest = fault.part.digest
        listed = [*fault.part.names, *(names.get(digest, ()) if digest is not None else ())]
        if any(_fits(name, selector) for name in listed):
            return fault.error
        if prefix is not None and digest is not None and digest.hex.startswith(prefix.group(1)):
            return fault.error
    return None


def _fits(name: Name, selector: str) -> bool:
    if name.ref_name == selector:
        return True
    try:
        wanted = Reference.parse(selector)
    except FormatError:
        return False
    return name.reference is not None and name.reference in {wanted, wanted.with_default_tag()}


# -- --image ---------------------------------------------------------------------


def by_image(images: ImageSet, selectors: Sequence[str], faults: Sequence[Fault] = ()) -> ImageSet:
    """Keep what `--image` asks for, in the source's order.

    Raises:
        SelectionError: a selector matches nothing, or two things.
        InputError: what it asks for could not be read.
    """
    if not selectors:
        return images
    order = {id(entry): number for number, entry in enumerate(images.entries)}
    # Two digests may pick two children under one name.
    picked: dict[int, dict[int, Node]] = {}
    for selector in selectors:
        for node, entry in _matches(images, selector, faults):
            picked.setdefault(order[id(entry)], {})[id(node)] = node
    entries = []
    for number, nodes in sorted(picked.items()):
        entry = images.entries[number]
        entries += [entry if entry.node is node else Entry(node, entry.name) for node in nodes.values()]
    return dataclasses.replace(images, entries=tuple(entries))


def by_spelling(images: ImageSet, spelling: str, text: str, faults: Sequence[Fault] = ()) -> ImageSet:
    """Keep what skopeo's spelling names behind the path: a reference, or `@N` for the N-th image.

    `oci:` and `oci-archive:` count the entries of `index.json`, `docker-archive:` those
    of `manifest.json`; in a source that has only the other list, that one counts.

    Raises:
        SelectionError: it names nothing, or two things.
        InputError: what it names could not be read.
    """
    if not text.startswith("@") or not text[1:].isdecimal():
        return by_image(images, [text], faults)
    by_place = images.indexed if spelling.startswith("oci") else images.listed
    nodes = {id(entry.node): entry.node for entry in images.entries if entry.node is not None}
    places = by_place or images.indexed or images.listed or tuple(map(node_digest, nodes.values()))
    if len(text) > 1 + len(str(len(places))) or int(text[1:]) >= len(places):
        raise SelectionError(f"no image {text} in the source", hint=f"it holds {len(places)}, counted from @0")
    wanted = places[int(text[1:])]
    if wanted is None:
        for fault in faults:
            if fault.part is None or fault.part.item:
                raise fault.error
    entries = [entry for entry in images.entries if wanted in _top_digests(entry)]
    if not entries:
        hits = ((node, entry) for entry in images.entries for node in descend(entry.node) if wanted in _digests(node))
        entries = [Entry(node, entry.name) for node, entry in hits]
    return dataclasses.replace(images, entries=tuple(entries))


def _top_digests(entry: Entry) -> set[Digest]:
    """Return what identifies an entry as a whole: the digest of its descriptor, manifest and config."""
    digests = _digests(entry.node) if entry.node is not None else set()
    if entry.descriptor is not None:
        digests.add(entry.descriptor.digest)
    if isinstance(entry.node, Image) and entry.node.manifest is not None:
        digests.add(entry.node.manifest.digest)
    return digests


def _matches(images: ImageSet, selector: str, faults: Sequence[Fault]) -> list[_Hit]:
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
    error = _blamed(images, selector, faults)
    if error is not None:
        raise error
    raise SelectionError(f"no image {selector!r} in the source", hint=_inventory(images))


def _label(node: Node) -> str:
    return str(node_digest(node) or (node.image_id if isinstance(node, Image) else "?"))


def _inventory(images: ImageSet, most: int = _MOST) -> str:
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
    """Return what identifies a node; an image whose config is damaged still has an ID."""
    digests = {node_digest(node)}
    config = config_of(node)
    if config is not None:
        digests.add(config.digest)
    elif isinstance(node, Artifact) and node.manifest.config.media_type in mediatype.IMAGE_CONFIGS:
        digests.add(node.manifest.config.digest)
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


@dataclass(slots=True)
class _Offer:
    """What one selected image offers: its platforms, and those that are only named.

    `label` is what a message calls it. An index is one image; so are the entries that
    a layout lists by platform under one name.
    """

    label: str
    there: list[Platform] = field(default_factory=list)
    absent: list[Platform] = field(default_factory=list)


def by_platform(
    images: ImageSet, platforms: Sequence[Platform], warn: Callable[[str], None], faults: Sequence[Fault] = ()
) -> ImageSet:
    """Keep what `--platform` asks for.

    One platform gives the child without its index, several a new index of the
    children that are there. What is not an image is left out, and reported.

    Raises:
        SelectionError: an image lacks a platform (docs/contract.md#selecting).
        InputError: an image for such a platform could not be read.
    """
    if not platforms:
        return images
    damaged = {fault.part.digest: fault.error for fault in faults if fault.part is not None and fault.part.digest}
    entries: list[Entry] = []
    offers: dict[object, _Offer] = {}
    made: dict[int, Node] = {}
    for entry in images.entries:
        node = entry.node
        listed = _listed_platforms(entry)
        if not listed:
            if node is None and entry.descriptor is not None and entry.descriptor.digest in damaged:
                raise damaged[entry.descriptor.digest]
            if node is not None:
                text = f"left out {entry_label(entry)}: it is not an image for a platform"
                warn(Dropped(text, what="artifact", of=entry_label(entry)))
            continue
        offer = offers.setdefault(_image_key(entry), _Offer(entry_label(entry)))
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
            entries.append(Entry(made.setdefault(id(node), _chosen(node, kept, platforms)), entry.name))
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


def _image_key(entry: Entry) -> object:
    """Return what the entries of one image share."""
    if entry.descriptor is not None and entry.descriptor.platform is not None and not isinstance(entry.node, Index):
        return entry.name
    return id(entry.node)


def _check_platforms(offers: Collection[_Offer], platforms: Sequence[Platform]) -> None:
    """Refuse a request for platforms that an image lacks, and name every such pair."""
    if not offers:
        raise SelectionError(f"no image for {', '.join(map(str, platforms))}: the selection holds no image")
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
        raise SelectionError("; ".join(pairs[:_MOST]) + more, hint=f"platforms in the source: {there}")


def _wanted(platform: Platform, platforms: Sequence[Platform]) -> bool:
    return any(asked.matches(platform) for asked in platforms)


def _chosen(index: Index, kept: list[Child], platforms: Sequence[Platform]) -> Node:
    nodes = [child.node for child in kept if child.node is not None]
    if len(platforms) == 1 and len({id(node) for node in nodes}) > 1:
        full = {platform.full for child in kept if (platform := child_platform(child)) is not None}
        versions = f"; or give a version: {', '.join(sorted(full))}" if len(full) > 1 else ""
        raise SelectionError(
            f"{len(nodes)} images of the index are for {platforms[0].full}",
            hint="pick one with --image DIGEST: " + ", ".join(_label(node) for node in nodes) + versions,
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
