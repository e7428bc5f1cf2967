"""What edits and formats change of images: what `--for` compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.model.image import Image, Index

if TYPE_CHECKING:
    from convert.model.image_set import ImageSet


def is_editable(images: ImageSet) -> bool:
    """Return whether edits of indexes or absent layers can change images: not in a docker archive with all layers."""
    return any(entry.descriptor is not None or not isinstance(entry.node, Image) for entry in images.entries) or any(
        layer.blob is None for _, layer in images.layers()
    )


def count_manifests(images: ImageSet) -> int:
    """Return how many manifests and indexes a target without manifests drops."""
    count = 0
    for node in images.nodes():
        if isinstance(node, Image):
            count += node.manifest is not None and not node.manifest.generated
        else:
            count += isinstance(node, Index)
    return count
