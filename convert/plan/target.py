"""Fit images to a target: what it can hold, and what becomes of each manifest and layer in it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convert.errors import NotRepresentableError
from convert.model.form import Form
from convert.model.image import Other
from convert.model.image_set import Entry, Name
from convert.plan import dropped, notices
from convert.plan.changes import CreatedBlob
from convert.writer.naming import nothing_left, single_images

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.diagnostics import Diagnostic
    from convert.layer.finished import FinishedLayers
    from convert.model.image_set import ImageSet
    from convert.plan.changes import Changes
    from convert.writer.registry import Target


def fit_images(images: ImageSet, target: Target, warn: Callable[[Diagnostic], None]) -> ImageSet:
    """Keep what the target can hold, before any layer is read.

    Raises:
        NotRepresentableError: nothing is left, or an index of several platforms is.
    """
    if target.single_entry:
        return _fit_single_entry(images, target, warn)
    if not target.single_platform:
        return images
    named = single_images(images, target.name, warn)
    entries = [
        Entry(one.image, Name(reference) if reference else None)
        for one in named
        for reference in one.references or (None,)
    ]
    return dataclasses.replace(images, entries=tuple(entries))


def _fit_single_entry(images: ImageSet, target: Target, warn: Callable[[Diagnostic], None]) -> ImageSet:
    """Return the one entry of a source, without its names and its descriptor.

    Raises:
        NotRepresentableError: there are several, or it is neither image, index nor artifact.
    """
    nodes = dict.fromkeys(entry.node for entry in images.entries if entry.node is not None)
    if len(nodes) > 1:
        raise NotRepresentableError(
            f"{target.name} holds one image, and {len(nodes)} are selected",
            code="several-images",
            hint="pick one with --image, or write one folder for each: DEST 'out/{name}_{tag}'",
        )
    if not nodes or isinstance(node := next(iter(nodes)), Other):
        raise nothing_left(images, target.name)
    for line in dropped.find_dropped_entries(images, target.name):
        warn(line)
    return dataclasses.replace(images, entries=(Entry(node),))


def record_changes(
    selected: ImageSet, result: ImageSet, layers: FinishedLayers, target: Target, changes: Changes
) -> None:
    """Record what a result keeps, creates and drops of the images that were selected."""
    _record_blobs(result, layers, target, changes)
    changes.hints += notices.about(result, target)
    changes.dropped += dropped.find_dropped(selected, result, dropped.capability_of(target), target.name)
    if target.manifests:
        changes.dropped += dropped.find_unread_artifacts(result)
    changes.dropped += dropped.find_dropped_parents(selected, result, target.name, holds_parents=target.holds_parents)


def _record_blobs(images: ImageSet, layers: FinishedLayers, target: Target, changes: Changes) -> None:
    """Record each manifest and layer that the target carries as kept or created."""
    kept, created = dict.fromkeys(changes.kept), dict.fromkeys(changes.created)
    for _, layer in images.layers():
        if layer.stored is None or target.uncompressed:
            continue
        if layers.forms.get(layer) is Form.ENCODED:
            created[CreatedBlob("layer", str(layer.stored.digest), str(layer.diff_id))] = None
        else:
            kept[str(layer.stored.digest)] = None
    for image in images.images():
        if target.manifests and image.manifest is not None and str(image.manifest.digest) not in kept:
            created[CreatedBlob("manifest", str(image.manifest.digest), str(image.image_id))] = None
    changes.kept, changes.created = list(kept), list(created)
