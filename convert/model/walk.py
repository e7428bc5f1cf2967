"""Walk the graph of indexes and their children.

Nodes may be shared, and many indexes may list the same index: a walk enters each index once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.model import mediatype
from convert.model.image import Artifact, Image, Index, config_of
from convert.model.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.model.digest import Digest
    from convert.model.image import Child, Node

#: The platform of attestations, which run nowhere.
_UNKNOWN: Final = Platform("unknown", "unknown")


def node_digest(node: Node) -> Digest | None:
    """Return the digest that identifies a node in a registry, or None."""
    if isinstance(node, Image):
        return node.manifest.digest if node.manifest and not node.manifest.generated else None
    if isinstance(node, Artifact):
        return node.manifest.digest
    if isinstance(node, Index):
        return node.digest
    return node.descriptor.digest


def descend(node: Node | None, seen: set[Node] | None = None) -> Iterator[Node]:
    """Yield a node and everything under it, parents first, each once.

    Nodes in `seen` are skipped; yielded nodes are added to it.
    """
    seen = set() if seen is None else seen
    stack = [node]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        if isinstance(node, Index):
            stack.extend(child.node for child in reversed(node.children))


def leaves(index: Index) -> Iterator[Child]:
    """Yield the children of an index; nested indexes are replaced by their children."""
    seen: set[Node] = {index}
    stack = list(reversed(index.children))
    while stack:
        child = stack.pop()
        if not isinstance(child.node, Index):
            yield child
        elif child.node not in seen:
            seen.add(child.node)
            stack.extend(reversed(child.node.children))


def child_platform(child: Child) -> Platform | None:
    """Return the platform that an index gives for a child; None for attestations and artifacts."""
    if child.descriptor.annotations.get("vnd.docker.reference.type"):
        return None
    given = child.descriptor.platform
    if given is not None:
        platform = platform_of(given)
        return None if (platform.os, platform.architecture) == (_UNKNOWN.os, _UNKNOWN.architecture) else platform
    config = config_of(child.node)
    return config.platform if config is not None else None


def platform_of(given: object) -> Platform:
    """Return the value of a descriptor's `platform` object; absent fields are empty."""
    parts = given if isinstance(given, dict) else {}

    def text(key: str) -> str:
        value = parts.get(key)
        return value if isinstance(value, str) else ""

    return Platform(text("os"), text("architecture"), text("variant"), text("os.version"))


def child_kind(child: Child) -> str:
    """Name what a child of an index is, by itself or, where absent, by its descriptor."""
    if child.descriptor.annotations.get("vnd.docker.reference.type") == "attestation-manifest":
        return "attestation"
    if isinstance(child.node, Image):
        return "image"
    if isinstance(child.node, Artifact):
        return "artifact"
    if child.descriptor.media_type in mediatype.INDEXES:
        return "index"
    return "image" if child.descriptor.media_type in mediatype.MANIFESTS else "other"
