"""The largest files and folders of one layer."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from convert.layer.contents.largest import Largest
from convert.layer.contents.listing import ENTRY, FILE, FOLDER, LINK, OPAQUE, SEPARATOR, WHITEOUT, text_of_path
from convert.layer.contents.results import LayerContents, PathSize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convert.layer.contents.largest import Room
    from convert.layer.contents.listing import Listed, Row


def summarise(rows: Iterable[Row], listed: Listed, room: Room) -> LayerContents:
    """Return what a layer holds; `rows` are in the order of paths."""
    files, folders = Largest(), _Folders()
    kinds: Counter[int] = Counter()
    marks: Counter[int] = Counter()
    for path, _, mark, kind, size in rows:
        if mark == ENTRY:
            kinds[kind] += 1
            if kind != FOLDER and size:
                files.add(path, size)
                folders.add(path, size)
        marks[mark] += 1
    folders.end()
    return LayerContents(
        files=kinds[FILE],
        folders=kinds[FOLDER],
        links=kinds[LINK],
        others=marks[ENTRY] - kinds[FILE] - kinds[FOLDER] - kinds[LINK],
        whiteouts=marks[WHITEOUT],
        opaques=marks[OPAQUE],
        size=listed.size,
        largest_files=_sizes(files, room),
        largest_folders=_sizes(folders.largest, room),
        left_out=listed.left_out,
        complete=listed.complete,
    )


def _sizes(found: Largest, room: Room) -> tuple[PathSize, ...]:
    return tuple(PathSize(text_of_path(path), size) for path, size, _ in found.shown(room))


class _Folders:
    """Sums up folders while paths come in order."""

    def __init__(self) -> None:
        self.largest = Largest()
        #: Name of each open folder, its size, and that of its largest folder.
        self._open: list[tuple[bytes, int, int]] = []

    def add(self, path: bytes, size: int) -> None:
        names = path.split(SEPARATOR)[:-1]
        same = 0
        for name, (there, _, _) in zip(names, self._open, strict=False):
            if name != there:
                break
            same += 1
        self._close(same)
        self._open += [(name, 0, 0) for name in names[same:]]
        if self._open:
            name, total, largest = self._open[-1]
            self._open[-1] = name, total + size, largest

    def end(self) -> None:
        self._close(0)

    def _close(self, depth: int) -> None:
        while len(self._open) > depth:
            name, total, largest = self._open.pop()
            above: Sequence[bytes] = [folder for folder, _, _ in self._open]
            if total > largest:
                self.largest.add(SEPARATOR.join((*above, name)), total)
            if self._open:
                outer, sum_, most = self._open[-1]
                self._open[-1] = outer, sum_ + total, max(most, total)
