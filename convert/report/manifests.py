"""The parts of the document of `inspect` about manifests, indexes, artifacts and what they list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convert.identity.engine_id import entry_name, image_id
from convert.model.image import Artifact, Image
from convert.model.walk import child_kind, child_platform, leaves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.image import Child, Index, Manifest, Node
    from convert.model.image_set import ImageSet

Document = dict[str, Any]


def digest_text(digest: Digest | None) -> str | None:
    """Return the text of a digest, None without one."""
    return str(digest) if digest is not None else None


def manifest_document(manifest: Manifest) -> Document:
    """Return what the document states about the manifest of an image."""
    return {
        "digest": str(manifest.digest),
        "media_type": manifest.media_type,
        "size": len(manifest.raw),
        "made_up": manifest.generated,
        "config_media_type": manifest.config.media_type,
        "annotations": dict(manifest.annotations),
    }


def list_artifacts(images: ImageSet, indexes: Sequence[Index]) -> list[Artifact]:
    """Return every artifact once, those at the top before those in indexes."""
    found: dict[Artifact, None] = {}
    nodes = [entry.node for entry in images.entries]
    nodes += [child.node for index in indexes for child in index.children]
    for node in nodes:
        if isinstance(node, Artifact):
            found[node] = None
    return list(found)


def names_by_node(images: ImageSet) -> dict[Node, list[str]]:
    """Return the names of everything that has some."""
    found: dict[Node, dict[str, None]] = {}
    for entry in images.entries:
        text = entry_name(entry)
        if text and entry.node is not None:
            found.setdefault(entry.node, {})[text] = None
    return {node: list(texts) for node, texts in found.items()}


def index_document(index: Index, names: Mapping[Node, list[str]]) -> Document:
    """Return what the document states about an index."""
    return {
        "names": names.get(index, []),
        "digest": str(index.digest),
        "media_type": index.media_type,
        "size": len(index.raw),
        "annotations": dict(index.annotations),
        "children": [_child(child) for child in index.children],
        "images_present": sum(isinstance(child.node, Image) for child in leaves(index)),
    }


def _child(child: Child) -> Document:
    platform = child_platform(child)
    return _descriptor(child.descriptor) | {
        "kind": child_kind(child),
        "platform": str(platform) if platform is not None else None,
        "image_id": digest_text(image_id(child.node)),
        "present": child.node is not None,
    }


def _descriptor(descriptor: Descriptor) -> Document:
    return {
        "digest": str(descriptor.digest),
        "media_type": descriptor.media_type,
        "size": descriptor.size,
        "annotations": dict(descriptor.annotations),
    }


def artifact_document(artifact: Artifact, names: Mapping[Node, list[str]]) -> Document:
    """Return what the document states about an artifact."""
    manifest = artifact.manifest
    return {
        "names": names.get(artifact, []),
        "digest": str(manifest.digest),
        "media_type": manifest.media_type,
        "size": len(manifest.raw),
        "type": manifest.artifact_type or manifest.config.media_type,
        "subject": str(manifest.subject.digest) if manifest.subject is not None else None,
        "image_id": digest_text(image_id(artifact)),
        "blobs": [
            _descriptor(part) | {"present": part.digest in artifact.blobs}
            for part in (manifest.config, *manifest.layers)
        ],
    }
