"""Re-create indexes from the children that are kept."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convert.identity import manifest
from convert.model import mediatype
from convert.model.digest import Digest
from convert.model.image import Artifact, Image, Index

if TYPE_CHECKING:
    from convert.model.descriptor import Descriptor
    from convert.model.image import Child


def rebuilt(index: Index, children: tuple[Child, ...], *, media_type: str | None = None, bare: bool = False) -> Index:
    """Return an index of `children` with `media_type`, by default that of the old index.

    Each child's descriptor describes its present node. Platforms stay as in the old index, and so
    do annotations of children that did not change. Annotations, artifactType and subject of the
    index stay if its media type supports them, unless `bare`.
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
