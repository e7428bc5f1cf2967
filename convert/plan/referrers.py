"""Artifacts that refer to a manifest which the result does not hold any more: they go with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from convert.diagnostics import Dropped
from convert.model.digest import Digest
from convert.model.image import Artifact
from convert.plan.labels import entry_label

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from convert.model.image_set import Entry
    from convert.plan.changes import Changes

# cosign's tag scheme: sha256-<hex of the manifest it refers to>.<kind>
_REFERRER_TAG: Final = re.compile(r"(?:.*:)?sha256-([0-9a-f]{64})(?:\.[a-z]+)?\Z")


def drop_referrers(entries: Iterable[Entry], replaced: Container[Digest], changes: Changes) -> list[Entry]:
    """Return the entries without artifacts that refer to a manifest or index in `replaced`; record those."""
    kept = []
    for entry in entries:
        about = _subject_of(entry)
        if about is None or about not in replaced:
            kept.append(entry)
            continue
        text = f"dropped {entry_label(entry)}: it refers to {about}, which was re-created"
        changes.dropped.append(Dropped(text, what="artifact", of=str(about)))
    return kept


def _subject_of(entry: Entry) -> Digest | None:
    """Return the digest of the manifest that an artifact refers to, None for other entries."""
    node = entry.node
    if isinstance(node, Artifact) and node.manifest.subject is not None:
        return node.manifest.subject.digest
    if entry.name is not None and (match := _REFERRER_TAG.match(entry.name.ref_name or "")):
        return Digest.from_hex(match[1])
    return None
