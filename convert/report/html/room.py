"""How much a page may hold, and what it says about the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from convert.errors import shortened
from convert.limits import MAX_PAGE_SIZE
from convert.report.html.text import LONGEST
from convert.report.json_text import in_script

if TYPE_CHECKING:
    from collections.abc import Sequence, Sized

T = TypeVar("T")

#: Rows of tables and parts of drawings, if they are short enough for the size of a page.
_ROWS: Final = 6000
#: The part of a page that its data may take.
_DATA_SHARE: Final = 3
SMALLEST_TEXT: Final = 140  # as long as any digest
_MOST_KEYS: Final = 64
_LONGEST_PATH: Final = 200
#: More elements than any list in the data has.
_ALL: Final = 1 << 62
#: A text in the data is cut to this many times the length of one that is shown.
_DATA_TEXT: Final = 10


class LeftOut(NamedTuple):
    """Things of which a page shows only the first: what, how many of how many, and the command that prints all."""

    what: str
    shown: int
    total: int
    command: str


@dataclass(slots=True)
class Room:
    """What one attempt to build a page may take.

    Attributes:
        rows: the rows of tables and parts of drawings that are left.
        text: the characters of one text.
        data: the bytes of the data.
        lists: the elements of one list in the data.
        data_text: the characters of one text in the data.
    """

    rows: int = _ROWS
    text: int = LONGEST
    data: int = MAX_PAGE_SIZE // _DATA_SHARE
    lists: int = _ALL
    data_text: int = LONGEST * _DATA_TEXT
    _counts: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def first(self, things: Sequence[T], what: str, command: str = "", *, most: int | None = None) -> Sequence[T]:
        """Return the first of some things, as many as there is room for, and take that room.

        Args:
            things: what would be shown.
            what: what they are, in the plural, for the sentence about the rest.
            command: the command line that prints all of them, "" if there is none.
            most: how many are shown at most, whatever room there is.
        """
        count = min(len(things), self.rows, len(things) if most is None else most)
        self.rows -= count
        counts = self._counts.setdefault((what, command), [0, 0])
        counts[0] += count
        counts[1] += len(things)
        return things[:count]

    @property
    def left_out(self) -> list[LeftOut]:
        """What had no room; calls of `first` about the same things are counted together."""
        return [
            LeftOut(what, shown, total, command)
            for (what, command), (shown, total) in self._counts.items()
            if shown < total
        ]

    def smaller(self, rows: int) -> Room:
        """Return the room of the next attempt, half of this one; `rows` are those that this one began with."""
        text = max(SMALLEST_TEXT, self.text // 2)
        return Room(rows // 2, text, self.data // 2, self.lists, self.data_text)

    @property
    def is_smallest(self) -> bool:
        """Whether the data cannot be cut any further."""
        return not self.lists and self.data_text <= SMALLEST_TEXT


def cut_data(data: dict[str, Any], room: Room) -> tuple[str, bool]:
    """Return the data of a page as text, cut to its room, and whether lists were cut; `left_out` in it states which."""
    while True:
        cutter = _Cutter(room)
        try:
            cut = cutter.cut(data, "")
        except _TooLargeError:
            pass
        else:
            text = in_script({**cut, "left_out": cutter.left_out()})
            if len(text) <= room.data or room.is_smallest:
                return text, bool(cutter.counts)
        if room.lists == _ALL:
            # Once for all attempts: a document may have a million values.
            room.lists = _longest(data)
        room.lists //= 2
        room.data_text = max(SMALLEST_TEXT, room.data_text // 2)


def _longest(value: Any) -> int:
    """Return the length of the longest list or object in a document."""
    longest, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            longest = max(longest, len(each))
            waiting.extend(each.values())
        elif isinstance(each, list):
            longest = max(longest, len(each))
            waiting.extend(each)
    return longest


class _TooLargeError(Exception):
    """What is left of the data is larger than its room."""


class _Cutter:
    """Copies a document with its lists and texts cut, and stops as soon as it is certain to be too large."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = 0
        #: Path -> elements that stayed, and all.
        self.counts: dict[str, list[int]] = {}

    def cut(self, value: Any, path: str) -> Any:
        """Return a copy of a value.

        Raises:
            _TooLargeError: the text would be too large.
        """
        if isinstance(value, dict):
            # Only objects with keys from the archive, such as annotations, have more keys than that.
            kept = self._kept(path, value, max(self._room.lists, _MOST_KEYS))
            return {
                self._text(key): self.cut(each, f"{path}.{key}" if path else key)
                for key, each in islice(value.items(), kept)
            }
        if isinstance(value, list | tuple):
            kept = self._kept(path, value, self._room.lists)
            return [self.cut(each, f"{path}[]") for each in value[:kept]]
        return self._text(value) if isinstance(value, str) else value

    def left_out(self) -> list[dict[str, Any]]:
        """Return what was cut (schemas/defs.json, "leftOut")."""
        return [{"list": path, "kept": kept, "total": total} for path, (kept, total) in self.counts.items()]

    def _kept(self, path: str, value: Sized, most: int) -> int:
        kept = min(len(value), most)
        self._take(kept)
        if kept < len(value):
            counts = self.counts.setdefault(shortened(path, _LONGEST_PATH), [0, 0])
            counts[0] += kept
            counts[1] += len(value)
        return kept

    def _text(self, text: str) -> str:
        text = shortened(text, self._room.data_text)
        self._take(len(text) + 2)
        return text

    def _take(self, size: int) -> None:
        """Count characters that the text will have at least."""
        self._size += size
        if self._size > self._room.data and not self._room.is_smallest:
            raise _TooLargeError
