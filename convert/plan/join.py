"""Make one index of the images of several platforms: `--join` (docs/contract.md#several-sources). Pure."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convert.diagnostics import Dropped
from convert.errors import SelectionError
from convert.identity import manifest
from convert.identity.manifest import image_platform
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Artifact, Child, Image, Index, config_of
from convert.model.image_set import Entry, Name
from convert.model.walk import child_platform, leaves, node_digest
from convert.plan.labels import entry_label, node_label
from convert.writer.naming import describe, is_attestation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.model.image_set import ImageSet
    from convert.model.platform import Platform
    from convert.model.reference import Reference
    from convert.plan.changes import Changes


@dataclasses.dataclass(frozen=True, slots=True)
class _Part:
    """What an entry gives to the index, and the entry for messages."""

    child: Child
    entry: Entry


def check_join(images: ImageSet, changes: Changes) -> None:
    """Check before any layer is read that the images can be joined, and record what the index will not hold.

    Raises:
        SelectionError: two images are for one platform, one names no platform, or none is left.
    """
    platforms: dict[object, tuple[_Part, Platform]] = {}
    images_found: set[object] = set()
    for part in _parts(images, changes):
        if is_attestation(part.child) or part.child.node in images_found:
            continue
        images_found.add(part.child.node)
        platform = child_platform(part.child)
        label = entry_label(part.entry)
        if platform is None or not platform.os or not platform.architecture:
            raise SelectionError(f"--join: {label} names no platform", code="no-such-platform")
        key = (platform.normalised, platform.os_version)
        other, _ = platforms.setdefault(key, (part, platform))
        if other is not part:
            raise SelectionError(
                f"--join: {entry_label(other.entry)} and {label} are both for {platform.full}",
                code="ambiguous-platform",
                hint="--platform or --image selects, --drop leaves one out",
            )
    if not platforms:
        raise SelectionError("--join: no image to join", code="nothing-to-write")


def join(images: ImageSet, names: Sequence[Reference], *, docker: bool) -> ImageSet:
    """Return one index of all images; every image must have a manifest.

    The children of indexes become its children, with their attestations. `docker` makes it a manifest list.
    """
    children: dict[object, Child] = {}
    for part in _parts(images, None):
        child = _described(part.child)
        children.setdefault((child.descriptor.digest, repr(child.descriptor.platform)), child)
    described = [child.descriptor for child in children.values()]
    raw = manifest.docker_manifest_list(described) if docker else manifest.oci_index(described)
    media_type = mediatype.DOCKER_MANIFEST_LIST if docker else mediatype.OCI_INDEX
    index = Index(raw, media_type, Digest.of(raw), tuple(children.values()))
    return dataclasses.replace(images, entries=tuple(Entry(index, Name(name)) for name in names))


def _parts(images: ImageSet, changes: Changes | None) -> Iterator[_Part]:
    """Yield the images and attestations of all entries, each entry's node once."""
    seen: set[object] = set()
    for entry in images.entries:
        if entry.node is None or entry.node in seen:
            continue
        seen.add(entry.node)
        if isinstance(entry.node, Index):
            children = list(leaves(entry.node))
        else:
            own = entry.descriptor or Descriptor("", Digest.of(b""), 0)
            children = [Child(own, entry.node)]
        for child in children:
            if child.node is not None and (is_attestation(child) or config_of(child.node) is not None):
                yield _Part(child, entry)
            elif changes is not None:
                label = describe(child.node, child) if child.node is not None else str(child.descriptor.digest)
                why = "is not an image" if child.node is not None else "is not in the source"
                what = "artifact" if child.node is not None else "image"
                text = f"dropped {label} of {entry_label(entry)}: it {why}, so --join does not list it"
                changes.dropped.append(Dropped(text, what=what, of=str(child.descriptor.digest)))


def _described(child: Child) -> Child:
    """Return a child with the descriptor that the new index has of it: as its own index had it, or a new one."""
    node = child.node
    if is_attestation(child) and node is not None and node_digest(node) == child.descriptor.digest:
        return child
    if not isinstance(node, Image | Artifact) or node.manifest is None:
        raise ValueError(f"{node_label(node) if node is not None else child} has no manifest to join")
    config = config_of(node)
    platform = child.descriptor.platform or (image_platform(config) if config is not None else None)
    made = node.manifest
    return Child(Descriptor(made.media_type, made.digest, len(made.raw), platform=platform), node)
