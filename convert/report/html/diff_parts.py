"""What belongs to each pair of images that a page compares, and to each of its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convert.report.diff_files import file_document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convert.report.diff_files import Compared, ComparedFiles

Document = dict[str, Any]


class Parts:
    """Finds what belongs to a pair of images, of which there may be thousands."""

    def __init__(self, compared: Compared) -> None:
        """Look at each image and layer once."""
        self.compared = compared
        self._images = [
            side.inspected["images"] if side.inspected is not None else list[Document]() for side in compared.sides
        ]
        self._places = [_places(images) for images in self._images]
        self._files: dict[int, list[ComparedFiles]] = {}
        for found in compared.files:
            self._files.setdefault(found.image, []).append(found)
        #: The files of all pairs, for the data of a page.
        self.file_documents = [found.document() for found in compared.files]

    def images(self, one: Document) -> tuple[Document | None, Document | None]:
        """Return the images of the documents of `inspect` by what `diff` states of a pair."""
        a, b = (
            images[place] if place is not None else None
            for images, place in zip(self._images, self._places_of(one), strict=True)
        )
        return a, b

    def update(self, one: Document) -> str:
        """Return how the page of `inspect` for both archives names the update from one image of a pair to the other.

        Raises:
            ValueError: `inspect` does not have both.
        """
        a, b = self._places_of(one)
        if a is None or b is None:
            raise ValueError("an update needs two images")
        return f"{a + 1} → {len(self._images[0]) + b + 1}"

    def files(self, number: int) -> list[ComparedFiles]:
        """Return the layers of a pair whose files were compared."""
        return self._files.get(number, [])

    def _places_of(self, one: Document) -> list[int | None]:
        """Return the places of the images of a pair in the documents of `inspect`."""
        return [
            None
            if (side := one[key]) is None
            else known.get((side["image_id"], side["manifest_digest"]), known.get((side["image_id"], None)))
            for known, key in zip(self._places, "ab", strict=True)
        ]


def _places(images: Iterable[Document]) -> dict[tuple[str | None, str | None], int]:
    """Return the place of the first image with an image ID and a manifest digest, and with an image ID alone."""
    places: dict[tuple[str | None, str | None], int] = {}
    for place, image in enumerate(images):
        places.setdefault((image["image_id"], None), place)
        if image["manifest"] is not None:
            places.setdefault((image["image_id"], image["manifest"]["digest"]), place)
    return places


class LowerFiles:
    """The files of the layers below the one at hand, as far as they were compared and kept."""

    def __init__(self) -> None:
        """Start below the lowest layer."""
        #: The size of each path in the highest layer that has it, in A and in B.
        self._sizes: tuple[dict[str, int], dict[str, int]] = ({}, {})

    def add(self, layer: ComparedFiles) -> None:
        """Add the next layer above."""
        for side, known in enumerate(self._sizes):
            own: dict[str, int] = {}
            for each in layer.files:
                if (size := each.sizes[side]) is not None:
                    own.setdefault(file_document(each)["path"], size)
            known.update(own)

    def size(self, path: str, change: str) -> int | None:
        """Return the size of a file in the highest layer that has it; None if none of those compared has."""
        return self._sizes[0 if change == "removed" else 1].get(path)


def layer_numbers(one: Document, key: str, image: Document | None) -> dict[str, int]:
    """Return the number of each layer in A or B by its DiffID, the lowest of several.

    `diff` does not list the layers of an image that only one archive has; `image` of `inspect` does.
    """
    layers = [pair[key] for pair in one["layers"]] or (image["layers"] if image is not None else [])
    numbers: dict[str, int] = {}
    for place, layer in enumerate(layers, 1):
        if layer is not None:
            numbers.setdefault(layer["diff_id"], place)
    return numbers
