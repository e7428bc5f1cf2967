"""What the layers of an image hold in vain: files that later layers overwrite or delete.

Two counts come from one pass over the paths of all layers. *Hidden* is what is not in the file system of the
image: image-spec 1.1, layer.md, "Whiteouts" and "Opaque Whiteout". *Waste* and *efficiency* are
those of dive (dive/filetree/efficiency.go and dive/image/analysis.go at d6c6919), as
docs/layers.md#waste states them. Both compare paths as they are written, and neither follows links.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from convert.layer.contents.largest import Largest
from convert.layer.contents.listing import ENTRY, FOLDER, SEPARATOR, WHITEOUT, text_of_path
from convert.layer.contents.results import HiddenFile, ImageContents, LayerUse, WastedPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convert.layer.contents.largest import Room
    from convert.layer.contents.listing import Row
    from convert.layer.contents.results import LayerContents

_FIRST: Final = itemgetter(0)
#: A place behind all layers.
_NEVER: Final = 1 << 62


def count_waste(rows: Iterable[Row], layers: Sequence[LayerContents], room: Room) -> ImageContents:
    """Return what becomes of the files of an image's layers.

    `rows` are those of all layers in the order of paths; `layers` are given from the bottom.
    """
    tree = _Tree(len(layers))
    for path, group in groupby(rows, _FIRST):
        tree.add(path, group)
    tree.end()
    score, sizes = tree.score, [layer.size for layer in layers]
    return ImageContents(
        size=sum(sizes),
        upper_size=sum(sizes[1:]),
        waste=score.waste,
        efficiency=score.least / score.total if score.total else 1.0,
        layers=tuple(
            LayerUse(*overwritten, *deleted, waste)
            for overwritten, deleted, waste in zip(tree.overwritten, tree.deleted, score.by_place, strict=True)
        ),
        wasted=tuple(WastedPath(text_of_path(path), count, size) for path, size, count in score.largest.shown(room)),
        wasted_paths=score.paths,
        complete=all(layer.complete and not layer.left_out for layer in layers),
        largest_hidden=tree.largest_hidden(room),
    )


class _Node:
    """A path, and what the layers say of it; layers are places, counted from the bottom.

    `below` has a bit for each layer that has something below the path. `gone` is the size of what is at
    the path and below it and first deleted by each layer, for dive's count.
    """

    __slots__ = ("_inner", "below", "entries", "gone", "name", "opaques", "reach", "whiteouts")

    def __init__(self, name: bytes, reach: _Reach) -> None:
        self.name = name
        self.entries: list[tuple[int, int, int]] = []
        self.whiteouts: list[int] = []
        self.opaques: list[int] = []
        self.below = 0
        self.gone: dict[int, int] = {}
        #: What the folders around it do to it.
        self.reach = reach
        self._inner: _Reach | None = None

    @property
    def inner(self) -> _Reach:
        """What reaches the things in this folder; asked for when its own rows are known."""
        if self._inner is None:
            self._inner = self.reach.into(self)
        return self._inner


class _Reach:
    """Layers that change what is in a folder, each list in their order: how deletions and replacements reach down.

    `whiteouts` are those of the folders around, `deletions` these and opaque folders, `replacements` the
    layers in which such a folder is something else.
    """

    __slots__ = ("deletions", "replacements", "whiteouts")

    def __init__(self, whiteouts: list[int], deletions: list[int], replacements: list[int]) -> None:
        self.whiteouts = whiteouts
        self.deletions = deletions
        self.replacements = replacements

    def into(self, node: _Node) -> _Reach:
        """Return what reaches the things in a folder."""
        replaced = [place for place, kind, _ in node.entries if kind != FOLDER]
        if not node.whiteouts and not node.opaques and not replaced:
            return self
        return _Reach(
            _merged(self.whiteouts, node.whiteouts),
            _merged(_merged(self.deletions, node.whiteouts), node.opaques),
            _merged(self.replacements, replaced),
        )


class _Score:
    """The sums of dive's count."""

    def __init__(self, count: int) -> None:
        self.least = 0
        self.total = 0
        self.waste = 0
        self.paths = 0
        self.by_place = [0] * count
        self.largest = Largest()

    def add(self, path: bytes, found: Sequence[tuple[int, int]]) -> None:
        """Add a path with layer and size of each time that it occurs."""
        size = sum(size for _, size in found)
        self.total += size
        self.least += min(size for _, size in found)
        if len(found) > 1:
            self.waste += size
            self.paths += 1
            self.largest.add(path, size, len(found))
            for place, part in found:
                self.by_place[place] += part


class _Tree:
    """The folders from the root to the path at hand; paths come in order, so that what is complete is left behind."""

    def __init__(self, count: int) -> None:
        self.score = _Score(count)
        #: For each layer, how many files are overwritten or deleted, and their size.
        self.overwritten = [(0, 0)] * count
        self.deleted = [(0, 0)] * count
        #: Size, path, place and hiding place of the largest hidden file, and whether it is deleted.
        self._largest: tuple[int, bytes, int, int, bool] = 0, b"", 0, 0, False
        self._stack = [_Node(b"", _Reach([], [], []))]

    def add(self, path: bytes, rows: Iterable[Row]) -> None:
        names = path.split(SEPARATOR) if path else []
        stack = self._stack
        depth = 0
        while depth < len(names) and depth + 1 < len(stack) and stack[depth + 1].name == names[depth]:
            depth += 1
        while len(stack) > depth + 1:
            self._finish()
        for name in names[depth:]:
            stack.append(_Node(name, stack[-1].inner))
        node = stack[-1]
        for _, place, mark, kind, size in rows:
            if mark == ENTRY:
                node.entries.append((place, kind, size))
            elif mark == WHITEOUT:
                node.whiteouts.append(place)
            else:
                node.opaques.append(place)

    def end(self) -> None:
        while len(self._stack) > 1:
            self._finish()

    def largest_hidden(self, room: Room) -> HiddenFile | None:
        """Return the largest hidden file; None if there is none, or no room for its path."""
        size, path, place, by, deleted = self._largest
        return HiddenFile(text_of_path(path), size, place + 1, by + 1, deleted) if size and room.take(path) else None

    def _finish(self) -> None:
        """Count the last node, whose folder then knows what is below it."""
        node = self._stack.pop()
        above = self._stack[-1]
        there = node.below
        for place, _, _ in node.entries:
            there |= 1 << place
        # dive has no node for the mark itself, but one for the folder that the mark is in.
        for place in node.opaques:
            there |= 1 << place
        self._hide(node)
        self._count(node, there)
        if above.whiteouts or above.reach.whiteouts:
            for place, size in node.gone.items():
                above.gone[place] = above.gone.get(place, 0) + size
        above.below |= there
        for place in node.whiteouts:
            above.below |= 1 << place

    def _hide(self, node: _Node) -> None:
        for number, (place, kind, size) in enumerate(node.entries):
            if kind == FOLDER:
                continue
            later = node.entries[number + 1][0] if number + 1 < len(node.entries) else _NEVER
            # Where something is below a path, or a mark in it, the path is a folder.
            folder = min(_next_bit(node.below, place), _after(place, node.opaques))
            replaced = min(later, folder, _after(place, node.reach.replacements))
            deleted = min(_after(place, node.whiteouts), _after(place, node.reach.deletions))
            if replaced == deleted == _NEVER:
                continue
            counts = self.overwritten if replaced <= deleted else self.deleted
            files, total = counts[place]
            counts[place] = files + 1, total + size
            if size > self._largest[0]:
                self._largest = size, self._path(node), place, min(replaced, deleted), deleted < replaced

    def _count(self, node: _Node, there: int) -> None:
        """Count a path as dive does: once for each layer in which it has nothing below it."""
        entries = {place: (kind, size) for place, kind, size in node.entries}
        for place, kind, size in node.entries:
            if kind != FOLDER and size:
                gone = min(_after(place, node.whiteouts), _after(place, node.reach.whiteouts))
                if gone != _NEVER and gone <= _next_bit(there, place):
                    node.gone[gone] = node.gone.get(gone, 0) + size
        found = [(place, size) for place, (_, size) in entries.items() if not node.below >> place & 1]
        found += [(place, 0) for place in node.opaques if place not in entries and not node.below >> place & 1]
        for place in node.whiteouts:
            before = (there & ((1 << place) - 1)).bit_length() - 1
            if before < 0 or min(_after(before, node.whiteouts), _after(before, node.reach.whiteouts)) < place:
                continue  # a whiteout of something that is not there
            is_folder = before in entries and entries[before][0] == FOLDER
            found.append((place, node.gone.get(place, 0) if is_folder else 0))
        if found:
            self.score.add(self._path(node), found)

    def _path(self, node: _Node) -> bytes:
        return SEPARATOR.join((*(folder.name for folder in self._stack[1:]), node.name))


def _merged(one: list[int], other: list[int]) -> list[int]:
    if not other:
        return one
    return sorted({*one, *other}) if one else other


def _after(place: int, places: list[int]) -> int:
    """Return the first of some sorted places behind `place`."""
    if not places:
        return _NEVER
    number = bisect_right(places, place)
    return places[number] if number < len(places) else _NEVER


def _next_bit(bits: int, place: int) -> int:
    """Return the first bit behind `place` that is set."""
    higher = bits >> (place + 1)
    return (higher & -higher).bit_length() + place if higher else _NEVER
