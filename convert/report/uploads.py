"""What a registry gets from pushes: the layers of each image, and what an update from one image to another costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from convert.model.image import Image
from convert.model.walk import descend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from convert.report.digest import DigestReport

Document = dict[str, Any]


class Stored(NamedTuple):
    """A layer as a registry stores it: its digest, and its bytes."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Upload:
    """The layers of all images of a source as some pushers upload them, all of them the same ones.

    Attributes:
        pushers: the names of the pushers.
        images: the layers of each image, the base first, by image ID and platform.
    """

    pushers: tuple[str, ...]
    images: Mapping[tuple[str, str], tuple[Stored, ...]]


def find_uploads(report: DigestReport) -> list[Upload]:
    """Return what the pushers of a report upload; pushers that upload the same layers are one element."""
    found: dict[str, dict[tuple[str, str], tuple[Stored, ...]]] = {}
    for pushed in report.pushed:
        images = found.setdefault(pushed.pusher.name, {})
        for node in descend(pushed.node):
            if isinstance(node, Image) and node.manifest is not None:
                layers = tuple(Stored(str(each.digest), each.size) for each in node.manifest.layers)
                images.setdefault((str(node.image_id), str(node.platform)), layers)
    groups: dict[tuple[Any, ...], list[str]] = {}
    for name, images in found.items():
        groups.setdefault(tuple(images.items()), []).append(name)
    return [Upload(tuple(names), dict(items)) for items, names in groups.items()]


@dataclass(frozen=True, slots=True)
class PushedImage:
    """An image of a page: its number, its document, and the uploads of its source."""

    number: int
    document: Document
    uploads: Sequence[Upload] = ()

    def layers(self) -> dict[str, tuple[Stored, ...]]:
        """Return the layers that each pusher uploads."""
        key = (self.document["image_id"], self.document["platform"])
        return {name: each.images[key] for each in self.uploads if key in each.images for name in each.pushers}


@dataclass(frozen=True, slots=True)
class Cost:
    """What pushers upload for an update: layers that the registry lacks, and their bytes there."""

    pushers: tuple[str, ...]
    layers: int
    size: int


@dataclass(frozen=True, slots=True)
class Update:
    """What an update from image `a` to image `b` costs where `a` is there already.

    Attributes:
        a: the number of the image that is there.
        b: the number of the image that is wanted.
        new: the numbers of the layers of `b`, from 1, whose DiffID `a` does not have.
        unpacked: the bytes of their tars; None if one is not known.
        costs: what pushers upload, one element for all that upload as many bytes.
    """

    a: int
    b: int
    new: tuple[int, ...]
    unpacked: int | None
    costs: tuple[Cost, ...] = field(default=())

    def document(self) -> Document:
        """Return the part of the data of a page (schemas/page-inspect.json)."""
        return {
            "from": self.a,
            "to": self.b,
            "new_layers": list(self.new),
            "unpacked_bytes": self.unpacked,
            "registry": [
                {"pushers": list(each.pushers), "layers": each.layers, "bytes": each.size} for each in self.costs
            ],
        }


def find_updates(images: Sequence[PushedImage]) -> Iterator[Update]:
    """Yield the updates between images of one platform: first those to a later image, then the others."""
    for forward in (True, False):
        for place, one in enumerate(images):
            for other in images[place + 1 :]:
                a, b = (one, other) if forward else (other, one)
                if (
                    a.document["platform"] == b.document["platform"]
                    and a.document["image_id"] != b.document["image_id"]
                ):
                    yield _update(a, b)


def _update(a: PushedImage, b: PushedImage) -> Update:
    there = {layer["diff_id"] for layer in a.document["layers"]}
    new: dict[str, tuple[int, int | None]] = {}
    for number, layer in enumerate(b.document["layers"], 1):
        if layer["diff_id"] not in there:
            new.setdefault(layer["diff_id"], (number, layer["plain_size"]))
    sizes = [size for _, size in new.values()]
    unpacked = sum(size or 0 for size in sizes) if None not in sizes else None
    return Update(a.number, b.number, tuple(number for number, _ in new.values()), unpacked, _costs(a, b))


def _costs(a: PushedImage, b: PushedImage) -> tuple[Cost, ...]:
    of_a, of_b = a.layers(), b.layers()
    groups: dict[tuple[int, int], list[str]] = {}
    for name, layers in of_b.items():
        if name in of_a:
            there = {each.digest for each in of_a[name]}
            missing = {each.digest: each.size for each in layers if each.digest not in there}
            groups.setdefault((len(missing), sum(missing.values())), []).append(name)
    return tuple(Cost(tuple(names), layers, size) for (layers, size), names in groups.items())
