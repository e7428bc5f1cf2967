"""Select images by name, ID or digest: `--image` (docs/contract.md#selecting)."""

from __future__ import annotations

import dataclasses
import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from convert.errors import FormatError, SelectionError
from convert.model import mediatype
from convert.model.digest import Digest
from convert.model.image import Artifact, config_of
from convert.model.image_set import Entry
from convert.model.reference import Reference
from convert.model.walk import descend, node_digest
from convert.plan.labels import node_label

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.errors import ImgconvError
    from convert.model.image import Node
    from convert.model.image_set import ImageSet, Name
    from convert.reader.sink import Fault, Part

HEX_PREFIX: Final = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})\Z")

#: Labels that one message lists.
_MOST: Final = 8

#: One hit of a selector: what it picks, and the entry whose name it keeps.
_Hit = tuple["Node", Entry]


def select_by_image(images: ImageSet, selectors: Sequence[str], faults: Sequence[Fault] = ()) -> ImageSet:
    """Keep what `--image` asks for, in the source's order.

    Raises:
        SelectionError: a selector matches nothing, or two things.
        InputError: what it asks for could not be read.
    """
    if not selectors:
        return images
    order = {entry: number for number, entry in enumerate(images.entries)}
    # Two digests may pick two children under one name.
    picked: dict[int, dict[Node, None]] = {}
    for selector in selectors:
        for node, entry in _matches(images, selector, faults):
            picked.setdefault(order[entry], {})[node] = None
    entries = []
    for number, nodes in sorted(picked.items()):
        entry = images.entries[number]
        entries += [entry if entry.node is node else Entry(node, entry.name) for node in nodes]
    return dataclasses.replace(images, entries=tuple(entries))


def _matches(images: ImageSet, selector: str, faults: Sequence[Fault]) -> list[_Hit]:
    for kind in (_by_ref_name, _by_reference, _by_digest, _by_prefix):
        hits = list(kind(images, selector))
        nodes = {node for node, _ in hits}
        if len(nodes) > 1:
            raise SelectionError(
                f"{selector!r} fits {len(nodes)} images: " + ", ".join(sorted({node_label(node) for node, _ in hits})),
                code="ambiguous-image",
                hint="give the full digest of one",
            )
        if hits:
            return hits
    error = _error_hiding(images, selector, faults)
    if error is not None:
        raise error
    raise SelectionError(f"no image {selector!r} in the source", code="no-such-image", hint=inventory(images))


def inventory(images: ImageSet, most: int = _MOST) -> str:
    """Return the names to choose from, in one line."""
    labels: dict[str, None] = {}
    for entry in images.entries:
        if entry.name and entry.name.reference:
            label = entry.name.reference.familiar
        elif entry.name and entry.name.ref_name:
            label = entry.name.ref_name
        elif entry.node is not None:
            label = node_label(entry.node)
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


def identifying_digests(node: Node) -> set[Digest]:
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
        yield from ((node, entry) for node in descend(entry.node) if wanted in identifying_digests(node))


def _by_prefix(images: ImageSet, text: str) -> Iterator[_Hit]:
    match = HEX_PREFIX.match(text)
    if match is None:
        return
    for entry in images.entries:
        for node in descend(entry.node):
            if any(digest.hex.startswith(match.group(1)) for digest in identifying_digests(node)):
                yield node, entry


def _error_hiding(images: ImageSet, selector: str, faults: Sequence[Fault]) -> ImgconvError | None:
    """Return the error that hides what a selector asks for, None if none does."""
    if not faults:
        return None
    names: dict[Digest, list[Name]] = {}
    for entry in images.entries:
        if entry.node is None and entry.descriptor is not None and entry.name is not None:
            names.setdefault(entry.descriptor.digest, []).append(entry.name)
    for fault in faults:
        digest = fault.part.digest if fault.part is not None else None
        if fault.part is None or hides(fault.part, selector, names.get(digest, ()) if digest is not None else ()):
            return fault.error
    return None


def hides(part: Part, selector: str, more_names: Sequence[Name] = ()) -> bool:
    """Return whether a selector names a part of a source that has a fault; `more_names` are names of it too."""
    if any(_fits(name, selector) for name in (*part.names, *more_names)):
        return True
    prefix = HEX_PREFIX.match(selector)
    return prefix is not None and part.digest is not None and part.digest.hex.startswith(prefix[1])


def _fits(name: Name, selector: str) -> bool:
    if name.ref_name == selector:
        return True
    try:
        wanted = Reference.parse(selector)
    except FormatError:
        return False
    return name.reference is not None and name.reference in {wanted, wanted.with_default_tag()}
