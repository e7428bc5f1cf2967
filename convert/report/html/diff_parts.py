"""What belongs to each pair of images that a page compares, and to each of its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convert.report.diff_files import file_document

if TYPE_CHECKING:
    from convert.report.diff_files import Compared, ComparedFiles

Document = dict[str, Any]


class Parts:
    """Finds what belongs to a pair of images, of which there may be thousands."""

    def __init__(self, compared: Compared) -> None:
        """Look at each image and layer once."""
        self.compared = compared
        self._images: list[dict[str, list[Document]]] = []
        for side in compared.sides:
            by_id: dict[str, list[Document]] = {}
            for image in side.inspected["images"] if side.inspected is not None else ():
                by_id.setdefault(image["image_id"], []).append(image)
            self._images.append(by_id)
        self._files: dict[int, list[ComparedFiles]] = {}
        for found in compared.files:
            self._files.setdefault(found.image, []).append(found)

    def images(self, one: Document) -> tuple[Document | None, Document | None]:
        """Return the images of the documents of `inspect` by what `diff` states of a pair."""
        a, b = (_find(by_id, one[key]) for by_id, key in zip(self._images, "ab", strict=True))
        return a, b

    def files(self, number: int) -> list[ComparedFiles]:
        """Return the layers of a pair whose files were compared."""
        return self._files.get(number, [])


def _find(by_id: dict[str, list[Document]], side: Document | None) -> Document | None:
    """Return an image of a document of `inspect` by what `diff` states of it."""
    if side is None:
        return None
    same = by_id.get(side["image_id"], [])
    exact = [
        image
        for image in same
        if image["manifest"] is not None and image["manifest"]["digest"] == side["manifest_digest"]
    ]
    return next(iter(exact or same), None)


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
