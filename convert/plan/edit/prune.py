"""Leave out what is incomplete: `--prune` (docs/contract.md#editing)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from convert.diagnostics import Dropped
from convert.errors import NoImageError
from convert.model import mediatype
from convert.model.image import Artifact, Image, Index
from convert.plan.edit.rewrite import IndexRewriter
from convert.plan.labels import entry_label, node_label
from convert.plan.select_image import identifying_digests
from convert.writer.naming import is_attestation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.errors import ImgconvError
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.image import Child, Node
    from convert.model.image_set import Entry, ImageSet
    from convert.plan.changes import Changes
    from convert.reader.sink import Fault

_OPTION: Final = "--prune"


def prune(images: ImageSet, faults: Sequence[Fault], changes: Changes) -> ImageSet:
    """Remove absent children from indexes and leave out images that lack a blob; record each.

    `faults` are what the reader found to be absent. They are the reason in each line, and the only
    trace of an image that could not be read at all.

    Raises:
        NoImageError: nothing is left.
    """
    return _Pruner(faults, changes).run(images)


class _Pruner:
    def __init__(self, faults: Sequence[Fault], changes: Changes) -> None:
        self._faults = faults
        self._changes = changes
        self._reasons: dict[Digest, ImgconvError] = {}
        for fault in faults:
            if fault.part is not None and fault.part.digest is not None:
                self._reasons.setdefault(fault.part.digest, fault.error)

    def run(self, images: ImageSet) -> ImageSet:
        entries: list[Entry] = []
        lost: dict[object, list[Entry]] = {}
        for entry in images.entries:
            if isinstance(entry.node, Index) or (entry.node is not None and not _lacks_blob(entry.node)):
                entries.append(entry)
            else:
                lost.setdefault(entry.node or (entry.descriptor and entry.descriptor.digest), []).append(entry)
        self._changes.dropped += [self._lost(named) for named in lost.values()]
        self._changes.dropped += self._unread(images)
        pruned = IndexRewriter(_OPTION, self._loss, self._changes).run(
            dataclasses.replace(images, entries=tuple(entries))
        )
        if not any(not isinstance(node, Index) for node in pruned.nodes()):
            raise NoImageError(f"{_OPTION} leaves no image: every image of the source lacks a manifest or a blob")
        return pruned

    def _lost(self, entries: Sequence[Entry]) -> Dropped:
        """Return the line for an image with all its names."""
        node, descriptor = entries[0].node, entries[0].descriptor
        label = ", ".join(dict.fromkeys(map(entry_label, entries)))
        reason = self._reason(node, descriptor.digest if descriptor is not None else None)
        return Dropped(f"dropped {label}: {reason}", what="image", of=label)

    def _loss(self, child: Child) -> list[Dropped] | None:
        if isinstance(child.node, Index) or (child.node is not None and not _lacks_blob(child.node)):
            return None
        digest = child.descriptor.digest
        attested = is_attestation(child)
        kind = "attestation" if attested else "image"
        text = f"dropped {kind} {digest} of an index: {self._reason(child.node, digest)}"
        return [Dropped(text, what=kind, of=str(digest))]

    def _reason(self, node: Node | None, digest: Digest | None) -> str:
        """Return why something is left out."""
        digests = identifying_digests(node) if node is not None else set()
        for each in (digest, *sorted(digests)):
            error = self._reasons.get(each) if each is not None else None
            if error is not None:
                return f"{error.member} {error.message}" if error.member else error.message
        if node is None:
            return "it is not in the source"
        return f"{next(_absent_blobs(node))} is not in the source"

    def _unread(self, images: ImageSet) -> Iterator[Dropped]:
        """Yield a line for each element of `manifest.json` that no entry stands for."""
        there = {digest for node in images.nodes() for digest in identifying_digests(node)}
        for fault in self._faults:
            part = fault.part
            if part is None or not part.item or (part.digest is not None and part.digest in there):
                continue
            names = [name.reference.familiar for name in part.names if name.reference is not None]
            label = ", ".join(names) or str(part.digest or "an image of manifest.json")
            error = fault.error
            text = f"dropped {label}: {error.member} {error.message}" if error.member else f"dropped {label}: {error}"
            yield Dropped(text, what="image", of=label)


def _lacks_blob(node: Node) -> bool:
    return next(_absent_blobs(node), None) is not None


def _absent_blobs(node: Node) -> Iterator[str]:
    """Yield what labels each blob that a node needs and the source lacks."""
    if isinstance(node, Image):
        for layer in node.layers:
            stored = layer.stored
            if layer.is_missing:
                yield f"layer {stored.digest if stored is not None else layer.diff_id}"
    elif isinstance(node, Artifact):
        for descriptor in (node.manifest.config, *node.manifest.layers):
            if descriptor.digest not in node.blobs and not _may_be_absent(descriptor):
                yield f"blob {descriptor.digest} of {node_label(node)}"


def _may_be_absent(descriptor: Descriptor) -> bool:
    return mediatype.may_be_absent(descriptor.media_type, descriptor.urls)
