"""What indexes list, and indexes made anew from the children that are kept."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from convert.identity import manifest
from convert.model import mediatype
from convert.model.digest import Digest
from convert.model.image import Artifact, Image, Index, config_of
from convert.model.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.model.image import Child, Descriptor, Node

_UNKNOWN: Final = Platform("unknown", "unknown")

#: The platform of what runs nowhere: attestations.


def leaves(index: Index, seen: set[int] | None = None) -> Iterator[Child]:
    """Yield what an index lists, and in their place what the indexes inside it do.

    Each index is entered once: a few that name each other many times over would
    take for ever.
    """
    seen = set() if seen is None else seen
    seen.add(id(index))
    for child in index.children:
        if not isinstance(child.node, Index):
            yield child
        elif id(child.node) not in seen:
            yield from leaves(child.node, seen)


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


def rebuilt(index: Index, children: tuple[Child, ...], *, media_type: str | None = None, bare: bool = False) -> Index:
    """Return an index of `children`, of the old one's media type unless told.

    Each child's descriptor names its node as it is now; the platform stays as
    the old index had it, and so do annotations of children that did not change.
    Annotations, artifactType and subject of the index stay where its media type
    has them, unless `bare`.
    """
    media_type = media_type or index.media_type
    fresh = tuple(dataclasses.replace(child, descriptor=_named(child)) for child in children)
    described = [child.descriptor for child in fresh]
    if media_type == mediatype.DOCKER_MANIFEST_LIST:
        raw = manifest.docker_manifest_list(described)
    elif bare:
        raw = manifest.oci_index(described)
    else:
        raw = manifest.oci_index(
            described, annotations=index.annotations, artifact_type=index.artifact_type, subject=index.subject
        )
        digest = Digest.of(raw)
        return dataclasses.replace(index, raw=raw, media_type=media_type, digest=digest, children=fresh)
    return Index(raw=raw, media_type=media_type, digest=Digest.of(raw), children=fresh)


def _named(child: Child) -> Descriptor:
    node = child.node
    if isinstance(node, Image | Artifact) and node.manifest is not None:
        now = (node.manifest.media_type, node.manifest.digest, len(node.manifest.raw))
    elif isinstance(node, Index):
        now = (node.media_type, node.digest, len(node.raw))
    else:
        return child.descriptor
    if now[1] == child.descriptor.digest:
        return child.descriptor
    return dataclasses.replace(
        child.descriptor, media_type=now[0], digest=now[1], size=now[2], annotations={}, data=None, extra={}
    )


def child_platform(child: Child) -> Platform | None:
    """Return what a child of an index runs on, as the index says; None for attestations and artifacts."""
    if child.descriptor.annotations.get("vnd.docker.reference.type"):
        return None
    given = child.descriptor.platform
    if given is not None:
        platform = platform_of(given)
        return None if (platform.os, platform.architecture) == (_UNKNOWN.os, _UNKNOWN.architecture) else platform
    config = config_of(child.node)
    return config.platform if config is not None else None


def platform_of(given: object) -> Platform:
    """Return a descriptor's `platform` object as a value; absent parts are empty."""
    parts = given if isinstance(given, dict) else {}

    def text(key: str) -> str:
        value = parts.get(key)
        return value if isinstance(value, str) else ""

    return Platform(text("os"), text("architecture"), text("variant"), text("os.version"))
