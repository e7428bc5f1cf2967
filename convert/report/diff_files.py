"""The files that differ between two layers, in bounded memory: sums, and the files with the largest differences."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from convert.limits import MAX_SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convert.errors import ImgconvError
    from convert.report.comparison import FileDifference

Document = dict[str, Any]

#: Files that are kept of all layers together.
MAX_KEPT: Final = 20 * MAX_SHOWN
CHANGES: Final = ("added", "removed", "changed")
#: What the name of a whiteout starts with.
WHITEOUT: Final = ".wh."


@dataclass(slots=True)
class Sums:
    """How many files changed in one way, and their sizes in A and in B."""

    files: int = 0
    size_a: int = 0
    size_b: int = 0


@dataclass(slots=True)
class ComparedFiles:
    """The files of two layers that stand at the same place.

    Attributes:
        image: the number of the pair of images in the comparison, from 0.
        a: the DiffID of A's layer, None if it has no more; `b` is B's.
        sums: for each change, how many files and bytes.
        files: those with the largest differences in size, the largest first.
        total: how many there are.
        whiteouts: how many of those added are whiteouts.
        problem: code and message of what was wrong with a layer; the files are then incomplete.
    """

    image: int
    a: str | None
    b: str | None
    sums: dict[str, Sums] = field(default_factory=lambda: {change: Sums() for change in CHANGES})
    files: list[FileDifference] = field(default_factory=list)
    total: int = 0
    whiteouts: int = 0
    problem: tuple[str, str] | None = None

    def take(self, differences: Iterable[FileDifference], most: int = MAX_SHOWN) -> None:
        """Add files as they come and keep `most` of them; of equal difference, those that come first."""
        largest: list[tuple[int, int, FileDifference]] = []
        try:
            for found in differences:
                self.total += 1
                self.whiteouts += found.change == "added" and is_whiteout(found)
                sums = self.sums[found.change]
                sums.files += 1
                sums.size_a += found.sizes[0] or 0
                sums.size_b += found.sizes[1] or 0
                item = (weight(found), -self.total, found)
                if len(largest) < most:
                    heapq.heappush(largest, item)
                elif most and item > largest[0]:
                    heapq.heappushpop(largest, item)
        finally:
            self.files = [found for _, _, found in sorted(largest, reverse=True)]

    def document(self) -> Document:
        """Return the part of the data of a page (schemas/page-diff.json)."""
        return {
            "image": self.image,
            "a": self.a,
            "b": self.b,
            "sums": {
                change: {"files": sums.files, "size_a": sums.size_a, "size_b": sums.size_b}
                for change, sums in self.sums.items()
            },
            "total": self.total,
            "files": [file_document(found) for found in self.files],
            "problem": {"code": self.problem[0], "message": self.problem[1]} if self.problem else None,
        }


def is_whiteout(found: FileDifference) -> bool:
    """Return whether a path is a whiteout in the layers that have it."""
    types = [value for name, *values in found.attributes if name == "type" for value in values if value is not None]
    name = found.path.rpartition("/")[2]
    return name.startswith(WHITEOUT) and all(each.endswith("whiteout") for each in types)


def weight(found: FileDifference) -> int:
    """Return by how many bytes a file differs; a file that changed with its size counts with that."""
    a, b = found.sizes
    if found.change == "changed" and a == b and any(name == "content" for name, _, _ in found.attributes):
        return a or 0
    return abs((b or 0) - (a or 0))


def file_document(found: FileDifference) -> Document:
    """Return one file; bytes of the path that are not UTF-8 are escaped."""
    return {
        "change": found.change,
        "path": found.path.encode("utf-8", "backslashreplace").decode(),
        "size_a": found.sizes[0],
        "size_b": found.sizes[1],
        "differs": [name for name, _, _ in found.attributes] if found.change == "changed" else [],
    }


@dataclass(slots=True)
class Side:
    """One of the archives: its path, and the document of `inspect`, None if it could not be read."""

    path: str
    inspected: Document | None = None
    error: ImgconvError | None = None


@dataclass(slots=True)
class Compared:
    """What the page shows: the archives, the document of `diff` (None if there is none), and files."""

    sides: tuple[Side, Side]
    document: Document | None = None
    files: Sequence[ComparedFiles] = ()
    options: Sequence[str] = ()
