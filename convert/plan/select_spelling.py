"""Select what skopeo's spelling of SOURCE names behind the path (docs/contract.md#selecting)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convert.errors import SelectionError
from convert.model.image import Image
from convert.model.image_set import Entry
from convert.model.walk import descend, node_digest
from convert.plan.select_image import identifying_digests, select_by_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.model.digest import Digest
    from convert.model.image_set import ImageSet
    from convert.reader.sink import Fault


def select_by_spelling(images: ImageSet, spelling: str, text: str, faults: Sequence[Fault] = ()) -> ImageSet:
    """Keep what skopeo's spelling names behind the path: a reference, or `@N` for the N-th image.

    `oci:` and `oci-archive:` count the entries of `index.json`, `docker-archive:` those
    of `manifest.json`; in a source that has only the other list, that one counts.

    Raises:
        SelectionError: it names nothing, or two things.
        InputError: what it names could not be read.
    """
    if not text.startswith("@") or not text[1:].isdecimal():
        return select_by_image(images, [text], faults)
    by_place = images.indexed if spelling.startswith("oci") else images.listed
    nodes = dict.fromkeys(entry.node for entry in images.entries if entry.node is not None)
    places = by_place or images.indexed or images.listed or tuple(map(node_digest, nodes))
    if len(text) > 1 + len(str(len(places))) or int(text[1:]) >= len(places):
        raise SelectionError(
            f"no image {text} in the source", code="no-such-image", hint=f"it holds {len(places)}, counted from @0"
        )
    wanted = places[int(text[1:])]
    if wanted is None:
        for fault in faults:
            if fault.part is None or fault.part.item:
                raise fault.error
    entries = [entry for entry in images.entries if wanted in _top_digests(entry)]
    if not entries:
        hits = (
            (node, entry)
            for entry in images.entries
            for node in descend(entry.node)
            if wanted in identifying_digests(node)
        )
        entries = [Entry(node, entry.name) for node, entry in hits]
    return dataclasses.replace(images, entries=tuple(entries))


def _top_digests(entry: Entry) -> set[Digest]:
    """Return what identifies an entry as a whole: the digest of its descriptor, manifest and config."""
    digests = identifying_digests(entry.node) if entry.node is not None else set()
    if entry.descriptor is not None:
        digests.add(entry.descriptor.digest)
    if isinstance(entry.node, Image) and entry.node.manifest is not None:
        digests.add(entry.node.manifest.digest)
    return digests
