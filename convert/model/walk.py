"""Walks over the graph of indexes and what they list.

Nodes are shared, and indexes may list each other many times over: each walk enters an
index once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.model.image import Artifact, Image, Index, config_of
from convert.model.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.model.digest import Digest
    from convert.model.image import Child, Node

#: The platform of what runs nowhere: attestations.
_UNKNOWN: Final = Platform("unknown", "unknown")


def node_digest(node: Node) -> Digest | None:
    """Return the digest that a registry would know a node by, None if it has none."""
    if isinstance(node, Image):
        return node.manifest.digest if node.manifest and not node.manifest.made_up else None
    if isinstance(node, Artifact):
        return node.manifest.digest
    if isinstance(node, Index):
        return node.digest
    return node.descriptor.digest


def descend(node: Node | None, seen: set[Node] | None = None) -> Iterator[Node]:
    """Yield a node and everything under it, parents first, each once.

    What is in `seen` is passed over; what is yielded is added to it.
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
    """Yield what an index lists, and in place of each index inside it what that one lists."""
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
