"""Which layers several images share, and how many bytes that saves; from documents of `inspect`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Document = dict[str, Any]


class Place(NamedTuple):
    """Where a layer occurs: the number of the image, and its number in it, both from 1."""

    image: int
    layer: int


@dataclass(frozen=True, slots=True)
class SharedLayer:
    """A layer that occurs more than once.

    Attributes:
        label: letters that stand for it: A, B, … Z, AA.
        number: its number among the shared layers, from 0.
        diff_id: its DiffID.
        size: its bytes as they are stored, the fewest if it is stored in several forms; None if not known.
        places: where it occurs.
        images: the numbers of the images that have it.
    """

    label: str
    number: int
    diff_id: str
    size: int | None
    places: tuple[Place, ...]
    images: tuple[int, ...]


class Sharing(NamedTuple):
    """What the layers of several images have in common.

    Attributes:
        shared: the layers that occur more than once, by DiffID, in the order in which they first occur.
        layers: how many layers there are, each counted as often as it occurs.
        different: how many different ones.
        bytes_all: their bytes as they are stored, each counted as often as it occurs.
        bytes_once: the bytes of the different ones.
        unknown: how many layers have an unknown size; they count as nothing.
    """

    shared: dict[str, SharedLayer]
    layers: int
    different: int
    bytes_all: int
    bytes_once: int
    unknown: int

    def document(self) -> Document:
        """Return the part of the data of a page (schemas/page-inspect.json)."""
        return {
            "layers": self.layers,
            "different_layers": self.different,
            "bytes": self.bytes_all,
            "bytes_once": self.bytes_once,
            "unknown_sizes": self.unknown,
            "shared_layers": [
                {
                    "label": each.label,
                    "diff_id": each.diff_id,
                    "size": each.size,
                    "places": [{"image": place.image, "layer": place.layer} for place in each.places],
                }
                for each in self.shared.values()
            ],
        }


@dataclass(slots=True)
class _Occurrences:
    places: list[Place] = field(default_factory=list)
    size: int | None = None


def find_sharing(images: Sequence[Document]) -> Sharing:
    """Return what the images of inspect documents have in common: two layers are one if they have one DiffID."""
    found: dict[str, _Occurrences] = {}
    bytes_all = unknown = 0
    for image_number, image in enumerate(images, 1):
        for layer_number, layer in enumerate(image["layers"], 1):
            here = found.setdefault(layer["diff_id"], _Occurrences())
            here.places.append(Place(image_number, layer_number))
            size = layer["size"]
            if size is None:
                unknown += 1
                continue
            bytes_all += size
            here.size = size if here.size is None else min(here.size, size)
    labels = _labels()
    several = [(diff_id, each) for diff_id, each in found.items() if len(each.places) > 1]
    return Sharing(
        shared={
            diff_id: SharedLayer(
                next(labels),
                number,
                diff_id,
                each.size,
                tuple(each.places),
                tuple(dict.fromkeys(place.image for place in each.places)),
            )
            for number, (diff_id, each) in enumerate(several)
        },
        layers=sum(len(each.places) for each in found.values()),
        different=len(found),
        bytes_all=bytes_all,
        bytes_once=sum(each.size or 0 for each in found.values()),
        unknown=unknown,
    )


def _labels() -> Iterator[str]:
    """Yield A to Z, AA, AB and so on."""
    number = 0
    while True:
        number += 1
        rest, text = number, ""
        while rest:
            rest, digit = divmod(rest - 1, 26)
            text = chr(ord("A") + digit) + text
        yield text
