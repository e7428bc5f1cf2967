"""What belongs to each pair of images that a page compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
