"""Take attestations out of indexes: `--no-attestations` (docs/contract.md#editing)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convert.diagnostics import Dropped
from convert.model.image import Child
from convert.plan.edit.rewrite import IndexRewriter
from convert.writer.naming import is_attestation

if TYPE_CHECKING:
    from convert.model.image_set import ImageSet
    from convert.plan.changes import Changes

_OPTION = "--no-attestations"


def remove_attestations(images: ImageSet, changes: Changes) -> ImageSet:
    """Rewrite each index that lists attestations of buildkit without them, absent ones too; record each."""
    entries = []
    for entry in images.entries:
        # An index.json may list one without an index around it.
        lines = _loss(Child(entry.descriptor, entry.node)) if entry.descriptor is not None else None
        changes.dropped += lines or []
        if lines is None:
            entries.append(entry)
    return IndexRewriter(_OPTION, _loss, changes).run(dataclasses.replace(images, entries=tuple(entries)))


def _loss(child: Child) -> list[Dropped] | None:
    if not is_attestation(child):
        return None
    about = child.descriptor.annotations.get("vnd.docker.reference.digest", "")
    text = f"dropped attestation {child.descriptor.digest}{f' of {about}' if about else ''}: {_OPTION}"
    return [Dropped(text, what="attestation", of=about or str(child.descriptor.digest))]
