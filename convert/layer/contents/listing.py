"""The names and sizes in layers, in a database in a temporary file: memory does not grow with their number.

Separators of paths are stored as NUL bytes, so that the order of paths has everything below
a folder right behind it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from convert.archive.cursor import StreamCursor
from convert.archive.tar_reader import TarReader
from convert.errors import InputError, UnknownFormatError
from convert.layer.database import Database
from convert.layer.examine import LayerFacts
from convert.layer.streams import drain
from convert.layer.tar_check import cleaned
from convert.layer.verify import PlainContent
from convert.limits import CHUNK, MAX_LISTED_FILES, MAX_LISTED_NAMES_SIZE, MAX_NAME_PARTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from convert.archive.member import Kind, Member
    from convert.cancel import Cancel
    from convert.layer.context import ReadContext
    from convert.model.digest import Digest
    from convert.model.image import Layer

#: What a row says of its path: it is there, this layer deletes it, this layer deletes what is in it.
ENTRY: Final = 0
WHITEOUT: Final = 1
OPAQUE: Final = 2

#: Kinds of an entry.
FILE: Final = 0
FOLDER: Final = 1
LINK: Final = 2
OTHER: Final = 3

_KINDS: Final[dict[Kind, int]] = {"file": FILE, "dir": FOLDER, "hardlink": LINK, "symlink": LINK}
_WHITEOUT_NAME: Final = b".wh."
#: Names of AUFS itself: `.wh..wh..opq` makes its folder opaque, the others are not files of the image.
_META_NAME: Final = b".wh..wh."
_OPAQUE_NAME: Final = b".wh..wh..opq"
SEPARATOR: Final = b"\0"

#: Path, place of the layer in the image, mark, kind, size.
Row = tuple[bytes, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Listed:
    """What was read of a layer: the sum of the sizes of its members, and how many names are left out."""

    facts: LayerFacts
    size: int = 0
    left_out: int = 0
    complete: bool = True


class Listing:
    """The names in all layers that were added; each layer has a number."""

    def __init__(self, cancel: Cancel) -> None:
        """Start without layers.

        Raises:
            StorageError: a temporary file cannot be created.
        """
        self._database = Database(cancel.check)
        self._files_left = MAX_LISTED_FILES
        self._names_left = MAX_LISTED_NAMES_SIZE
        run = self._database.run
        run("CREATE TABLE arrived (path BLOB, mark INTEGER, kind INTEGER, size INTEGER)")
        run(
            "CREATE TABLE entry (layer INTEGER, path BLOB, mark INTEGER, kind INTEGER, size INTEGER, "
            "PRIMARY KEY (layer, path, mark)) WITHOUT ROWID"
        )
        run("CREATE TABLE place (place INTEGER PRIMARY KEY, layer INTEGER)")

    def __enter__(self) -> Self:
        """Return the listing."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete the database."""
        self._database.close()

    def add(self, number: int, layer: Layer, context: ReadContext) -> Listed:
        """Read a layer to its end, which verifies it, and list its names under `number`, higher than all before.

        Raises:
            StorageError: reading failed, or the names could not be stored.
        """
        if layer.blob is None:
            return Listed(LayerFacts(), complete=False)
        reading = _Reading(layer, context, self)
        self._database.run_each("INSERT INTO arrived VALUES (?, ?, ?, ?)", reading.rows())
        # If a tar has a path twice, the last one counts, as when it is unpacked.
        self._database.run(
            "INSERT OR REPLACE INTO entry SELECT ?, path, mark, kind, size FROM arrived ORDER BY path, mark, rowid",
            (number,),
        )
        self._database.run("DELETE FROM arrived")
        return Listed(reading.facts, reading.size, reading.left_out, complete=reading.facts.problem is None)

    def has_room(self, path: bytes) -> bool:
        """Take room for a name; return whether there is any left."""
        self._files_left -= 1
        self._names_left -= len(path)
        return self._files_left >= 0 and self._names_left >= 0

    def count(self, number: int) -> int:
        """Return how many rows a layer has."""
        [(found,)] = self._database.rows("SELECT count(*) FROM entry WHERE layer = ?", (number,))
        return int(found)

    def of_layer(self, number: int) -> Iterator[Row]:
        """Yield the rows of one layer in the order of paths; its place is 0."""
        yield from self.of_image([number])

    def of_image(self, numbers: Sequence[int]) -> Iterator[Row]:
        """Yield the rows of several layers in the order of paths, of one path from the bottom layer up.

        A layer's place is its index in `numbers`.
        """
        self._database.run("DELETE FROM place")
        self._database.run_each("INSERT INTO place VALUES (?, ?)", enumerate(numbers))
        order = "path, mark" if len(numbers) == 1 else "path, place, mark"
        yield from self._database.rows(
            "SELECT path, place, mark, kind, size FROM place CROSS JOIN entry USING (layer) "  # noqa: S608 - a constant
            f"ORDER BY {order}"
        )


class _Reading:
    """One reading of a layer; `rows` gives what it holds, and after its end the rest is known."""

    def __init__(self, layer: Layer, context: ReadContext, listing: Listing) -> None:
        self.facts = LayerFacts()
        self.size = 0
        self.left_out = 0
        self._layer = layer
        self._where = layer.blob.where if layer.blob is not None else str(layer.diff_id)
        self._context = context
        self._listing = listing

    def rows(self) -> Iterator[tuple[bytes, int, int, int]]:
        try:
            yield from self._rows()
        except InputError as error:
            if error.file is None:
                error.file = self._context.file
            self.facts = LayerFacts(problem=error)

    def _rows(self) -> Iterator[tuple[bytes, int, int, int]]:
        described: list[Digest] = []
        content = PlainContent(self._layer, self._context)
        raw = cast("io.RawIOBase", content.open_described(lambda digest, _: described.append(digest)))
        # Headers are small and many: without a buffer each would be a system call of its own.
        with io.BufferedReader(raw, CHUNK) as stream:
            cursor = StreamCursor(stream)
            reader = TarReader(cursor, where=self._where, lenient=True)
            try:
                for member in reader:
                    if member.kind != "global":
                        yield from self._row(member)
            except UnknownFormatError:
                # No bytes at all are a layer too; Docker loads it.
                if cursor.position:
                    raise
            size = cursor.position + drain(stream)
        stored = self._layer.stored
        self.facts = LayerFacts(digest=stored.digest if stored is not None else described[0], plain_size=size)

    def _row(self, member: Member) -> Iterator[tuple[bytes, int, int, int]]:
        self.size += member.size
        path = cleaned(member.name.encode("utf-8", "surrogateescape")).lstrip(b"/")
        if path in {b"", b"."}:
            return
        if path.count(b"/") >= MAX_NAME_PARTS or not self._listing.has_room(path):
            self.left_out += 1
            return
        folder, slash, name = path.replace(b"/", SEPARATOR).rpartition(SEPARATOR)
        if not name.startswith(_WHITEOUT_NAME):
            yield folder + slash + name, ENTRY, _KINDS.get(member.kind, OTHER), member.size
        elif name == _OPAQUE_NAME:
            yield folder, OPAQUE, OTHER, 0
        elif not name.startswith(_META_NAME):
            yield folder + slash + name.removeprefix(_WHITEOUT_NAME), WHITEOUT, OTHER, 0


def text_of_path(path: bytes) -> str:
    """Return a stored path as text; bytes that are not UTF-8 are escaped."""
    return path.replace(SEPARATOR, b"/").decode("utf-8", "backslashreplace")
