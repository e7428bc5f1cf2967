"""Read the layers of images once each, and find what is in them and what later layers make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convert.layer.contents.largest import Room
from convert.layer.contents.listing import Listing
from convert.layer.contents.summary import summarise
from convert.layer.contents.waste import count_waste
from convert.layer.context import BlobProgress, ReadContext, ReadOptions
from convert.limits import MAX_COMPARED_FILES, MAX_COMPARED_TIMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.cancel import Cancel
    from convert.layer.contents.results import ImageContents, LayerContents
    from convert.layer.examine import LayerFacts
    from convert.layer.stored_digests import StoredDigests
    from convert.model.image import Image, Layer
    from convert.progress import Progress


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in the layers of some images.

    `facts` is what reading the layers verified. A layer that is not in the source is not in `layers`.
    An image is not in `images` if its layers have too many files to be compared. `shortened` is True if
    lists of paths are empty because all of them together are over a limit.
    """

    facts: dict[Layer, LayerFacts] = field(default_factory=dict)
    layers: dict[Layer, LayerContents] = field(default_factory=dict)
    images: dict[Image, ImageContents] = field(default_factory=dict)
    shortened: bool = False


def read_contents(
    images: Sequence[Image],
    digests: StoredDigests,
    *,
    file: str,
    cancel: Cancel,
    progress: Progress | None = None,
) -> Contents:
    """Read every layer of `images` to its end, which verifies it; layers of the same bytes are read once.

    Names go into a temporary file. `file` names the source in errors; `progress` takes counts of bytes as
    they are stored. Damage of a layer is in its facts; what could be read counts.

    Raises:
        StorageError: reading failed, or a temporary file could not be created.
    """
    shown = BlobProgress(progress)
    blobs = {layer.blob for image in images for layer in image.layers if layer.blob is not None}
    shown.progress.expect(sum(blob.size or 0 for blob in blobs))
    context = ReadContext(ReadOptions(file=file, overlap=True), progress=shown, cancel=cancel)
    room = Room()
    facts: dict[Layer, LayerFacts] = {}
    found: dict[Layer, LayerContents] = {}
    numbers: dict[Layer, int] = {}
    known: dict[object, Layer] = {}
    counts: list[int] = []
    with Listing(cancel) as listing:
        for layer in dict.fromkeys(layer for image in images for layer in image.layers):
            stored = (layer.stored.digest, layer.stored.size) if layer.stored is not None else None
            first = known.setdefault((layer.blob, layer.diff_id, stored), layer)
            if first is layer:
                number = len(counts)
                listed = listing.add(number, layer, context)
                counts.append(listing.count(number))
                if layer.blob is not None and listed.facts.digest is not None:
                    digests.learn(layer.blob, listed.facts.digest)
                found[layer] = summarise(listing.of_layer(number), listed, room)
                numbers[layer], facts[layer] = number, listed.facts
            else:
                numbers[layer], facts[layer], found[layer] = numbers[first], facts[first], found[first]
        wastes: dict[Image, ImageContents] = {}
        left = MAX_COMPARED_FILES + MAX_COMPARED_TIMES * sum(counts)
        for image in images:
            cancel.check()
            places = [numbers[layer] for layer in image.layers]
            rows = sum(counts[number] for number in places)
            if image in wastes or rows > left:
                continue
            left -= rows
            wastes[image] = count_waste(listing.of_image(places), [found[layer] for layer in image.layers], room)
    present = {layer: one for layer, one in found.items() if layer.blob is not None}
    return Contents(facts, present, wastes, room.exceeded)
