"""What is lost where an archive loads: names, platforms, images that cannot run.

Each function returns it, "" for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.consumers import containerd, containers_image, docker, unpack

if TYPE_CHECKING:
    from convert.consumers.contents import Contents
    from convert.consumers.nodes import Node


def unnamed_item(contents: Contents) -> str:
    """An image of manifest.json has no RepoTag."""
    return "an image has no name, only its ID" if any(not item.tags for item in contents.items) else ""


def unnamed_entry(contents: Contents) -> str:
    """An entry of a layout, or an image of a docker archive, has no name."""
    if not contents.layout_version:
        return unnamed_item(contents)
    named = {top.part.digest for top in contents.tops if top.image_name or top.ref_name}
    if all(top.part.digest in named for top in contents.tops):
        return ""
    also = " (manifest.json beside it is not read)" if any(item.tags for item in contents.items) else ""
    return f"an image has no name in index.json{also}"


def tag_only(contents: Contents) -> str:
    """A name is only a tag: a ref.name without a repository, and no full name beside it."""
    if not contents.layout_version:
        return ""
    for top in contents.tops:
        if top.ref_name and not top.image_name and not any(mark in top.ref_name for mark in "/:@"):
            return f"the name {top.ref_name!r} is only a tag"
    return ""


def unaddressed(contents: Contents) -> str:
    """Entries without a ref.name beside others that have one."""
    count = sum(not top.ref_name for top in contents.tops)
    return f"{count} entries have no ref.name" if count else ""


def other_platforms(contents: Contents) -> str:
    """An index holds images of several platforms, of which one is taken."""
    for top in contents.tops:
        if top.is_index and (count := sum(1 for node in _leaves(top) if node.is_manifest and node.intact)) > 1:
            return f"of the {count} manifests of {top.part.digest} only one is taken"
    return ""


def not_runnable(contents: Contents) -> str:
    """What is kept cannot be unpacked for this platform."""
    for top in contents.tops if contents.layout_version else ():
        if (top.is_index or top.is_manifest) and not top.intact:
            return f"{top.part.digest} is absent"
        if top.is_index and unpack.chosen(contents, top) is None:
            return f"{top.part.digest} holds no complete image for {contents.host}"
        if not top.is_index and not top.is_manifest:
            return f"{top.part.digest} is not an image"
    found = containers_image.stored_config(contents) if contents.layout_version else docker.run_config(contents)
    return found or containerd.unpack_one(contents)


def _leaves(index: Node) -> list[Node]:
    found: list[Node] = []
    stack = list(index.children)
    while stack:
        node = stack.pop()
        if node.is_index:
            stack.extend(node.children)
        else:
            found.append(node)
    return found


def several_addresses(contents: Contents) -> str:
    """Several images, so that each has to be addressed by itself."""
    count = max(len(contents.items) if not contents.layout_version else 0, len(list(containers_image.copied(contents))))
    return f"{count} images, each with an address of its own" if count > 1 else ""
