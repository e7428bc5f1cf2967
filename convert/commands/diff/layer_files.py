"""Compare the files of two layers: which are added, removed and changed.

Both tars are streamed, and each content is hashed as it passes. The rows of a
layer with many files go into a database in a temporary file that has no name:
memory stays bounded however many files a layer has.
"""

from __future__ import annotations

import hashlib
import io
import itertools
from contextlib import closing
from typing import TYPE_CHECKING, Final, cast

from convert.archive.cursor import StreamCursor
from convert.archive.tar_reader import TarReader
from convert.archive.tree import clean
from convert.errors import FormatError, UnknownFormatError
from convert.layer.database import Database
from convert.layer.verify import PlainContent
from convert.limits import CHUNK, MAX_LAYER_MEMBERS
from convert.report.comparison import FileDifference

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from convert.archive.member import Attributes, Member
    from convert.cancel import Cancel
    from convert.layer.context import ReadContext
    from convert.layer.repeats import Repeats
    from convert.model.image import Layer

#: What is compared of a file, in the order of the report. Whiteouts are a type.
ATTRIBUTES: Final = ("type", "size", "content", "link", "mode", "owner", "mtime", "device", "xattr", "name")
_SIZE: Final = ATTRIBUTES.index("size")
_OPAQUE: Final = ".wh..wh..opq"
_WHITEOUT: Final = ".wh."
#: Bytes of rows from which on they are in a database: one for each of 10,000 small layers takes a millisecond each.
_IN_MEMORY: Final = 256 << 10


#: What `--ignore` leaves out of the comparison of files -> the attribute.
_IGNORED: Final = {"timestamps": "mtime", "owner": "owner"}


def layer_files(
    a: Layer | None,
    b: Layer | None,
    contexts: tuple[ReadContext, ReadContext],
    ignore: Collection[str] = (),
    repeats: Repeats | None = None,
) -> Iterator[FileDifference]:
    """Yield the files that differ between two layers, by path; None is a layer without files.

    `contexts` are those of A's and B's archives, `ignore` the values of `--ignore`. If a tar has a path twice,
    the last one counts, as when it is unpacked. `repeats` limits what is read again.

    Raises:
        DigestMismatchError: a layer is not what names it.
        InputError: the layer is not a valid tar.
        NotRepresentableError: a layer is not in the source.
    """
    with closing(_Files(a, contexts[0], repeats)) as left, closing(_Files(b, contexts[1], repeats)) as right:
        yield from _merged(left, right, ignore)


def alike(
    a: Layer,
    b: Layer,
    contexts: tuple[ReadContext, ReadContext],
    ignore: Collection[str],
    repeats: Repeats | None = None,
) -> bool:
    """Return whether two layers have the same files but for what is ignored; both are read, as by `layer_files`."""
    with closing(_Files(a, contexts[0], repeats)) as left, closing(_Files(b, contexts[1], repeats)) as right:
        if "order" not in ignore and left.order != right.order:
            return False
        return next(_merged(left, right, ignore), None) is None


_Row = tuple[bytes, tuple[str | None, ...]]


def _merged(left: _Files, right: _Files, ignore: Collection[str]) -> Iterator[FileDifference]:
    """Walk two sorted lists side by side."""
    ignored = {_IGNORED[each] for each in ignore if each in _IGNORED}
    ones, others = left.rows(), right.rows()
    one, other = next(ones, None), next(others, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            if one is not None:
                yield _alone("removed", one)
            one = next(ones, None)
        elif one is None or other[0] < one[0]:
            yield _alone("added", other)
            other = next(others, None)
        else:
            changed = tuple(
                (name, mine, its)
                for name, mine, its in zip(ATTRIBUTES, one[1], other[1], strict=True)
                if mine != its and name not in ignored
            )
            if changed:
                yield FileDifference("changed", _text(one[0]), changed, (_size(one), _size(other)))
            one, other = next(ones, None), next(others, None)


def _alone(change: str, row: _Row) -> FileDifference:
    shown = [(name, value) for name, value in zip(ATTRIBUTES, row[1], strict=True) if name in {"type", "size", "link"}]
    return FileDifference(
        change,
        _text(row[0]),
        tuple((name, value, None) if change == "removed" else (name, None, value) for name, value in shown if value),
        (_size(row), None) if change == "removed" else (None, _size(row)),
    )


def _size(row: _Row) -> int | None:
    size = row[1][_SIZE]
    return int(size) if size is not None else None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


class _Files:
    """The files of one layer, sorted by path."""

    def __init__(self, layer: Layer | None, context: ReadContext, repeats: Repeats | None) -> None:
        """Read the layer to its end, if there is one."""
        self._order = hashlib.sha256()
        self._database: Database | None = None
        #: The rows of a small layer, in the order of the tar.
        self._few: list[_Row] = []
        rows = self._read(layer, context, repeats) if layer is not None else iter(())
        size = 0
        for row in rows:
            self._few.append(row)
            size += len(row[0]) + sum(len(value) for value in row[1] if value is not None)
            if size > _IN_MEMORY:
                self._database = _database(itertools.chain(self._few, rows), context.cancel)
                self._few.clear()
        #: A hash of the paths in the order of the tar.
        self.order = self._order.digest()

    def _read(self, layer: Layer, context: ReadContext, repeats: Repeats | None) -> Iterator[_Row]:
        for row in _read(layer, context, repeats):
            self._order.update(row[0] + b"\0")
            yield row

    def rows(self) -> Iterator[_Row]:
        """Yield path and attributes, sorted by path; of one path the last in the tar."""
        found: _Row | None = None
        for row in sorted(self._few, key=lambda row: row[0]) if self._database is None else _sorted(self._database):
            if found is not None and found[0] != row[0]:
                yield found
            found = row
        if found is not None:
            yield found

    def close(self) -> None:
        if self._database is not None:
            self._database.close()


def _database(rows: Iterable[_Row], cancel: Cancel) -> Database:
    """Return a database of rows, in the order in which they are given."""
    database = Database(cancel.check)
    try:
        columns = ", ".join(f'"{name}"' for name in ATTRIBUTES)
        # Written in the tar's order and sorted by SQLite's own merge: no index to jump about in.
        database.run(f"CREATE TABLE files (path BLOB, {columns})")
        marks = ", ".join("?" * (len(ATTRIBUTES) + 1))
        database.run_each(
            f"INSERT INTO files VALUES ({marks})",  # noqa: S608 - nothing but question marks
            ((path, *values) for path, values in rows),
        )
    except BaseException:
        database.close()
        raise
    return database


def _sorted(database: Database) -> Iterator[_Row]:
    for path, *values in database.rows("SELECT * FROM files ORDER BY path, rowid"):
        yield path, tuple(values)


def _read(layer: Layer, context: ReadContext, repeats: Repeats | None) -> Iterator[_Row]:
    """Yield what a layer's tar holds; its end verifies the DiffID."""
    if repeats is not None:
        repeats.check(layer, context.file)
    where = layer.blob.where if layer.blob is not None else str(layer.diff_id)
    # Headers are small and many: without a buffer each would be a system call of its own.
    raw = cast("io.RawIOBase", PlainContent(layer, context).open())
    with io.BufferedReader(raw, CHUNK) as stream:
        cursor = StreamCursor(stream)
        reader = TarReader(cursor, where=where, attributes=True, most=MAX_LAYER_MEMBERS)
        rest = 0
        try:
            for member in reader:
                if member.kind != "global":
                    yield _row(member, cursor)
            # What was read before the end, which verifies it, counts too.
            while chunk := stream.read1(CHUNK):
                rest += len(chunk)
        except UnknownFormatError as error:
            # No bytes at all are a layer too; Docker loads it.
            if cursor.position:
                raise FormatError(
                    "the layer is not a tar", code="layer-not-a-tar", member=where, file=context.file
                ) from error
        finally:
            # A page shows what is wrong with a layer, and goes on.
            if repeats is not None:
                repeats.learn(layer, cursor.position + rest)


def _row(member: Member, cursor: StreamCursor) -> _Row:
    path = clean(member.name) or member.name.strip("/") or "/"
    attributes = member.attributes
    if attributes is None:
        raise ValueError("the tar is read without the attributes of its members")
    content = None
    if member.kind == "file":
        hasher = hashlib.sha256()
        left = member.size
        while left and (data := cursor.read(min(left, CHUNK))):
            hasher.update(data)
            left -= len(data)
        content = f"sha256:{hasher.hexdigest()}"
    values = {
        "type": _type(member),
        "size": str(member.size) if member.kind == "file" else None,
        "content": content,
        "link": member.link or None,
        "mode": f"{attributes.mode:04o}",
        "owner": _owner(attributes),
        "mtime": attributes.mtime,
        "device": ",".join(map(str, attributes.device)) if member.kind == "device" else None,
        "xattr": _xattrs(attributes.xattrs),
        # `./a` and `a` are one file under two spellings.
        "name": None if member.name.rstrip("/") == path else member.name,
    }
    row = tuple(_storable(values[name]) for name in ATTRIBUTES)
    return path.encode("utf-8", "surrogateescape"), row


def _storable(text: str | None) -> str | None:
    """Return a text that SQLite takes: bytes that were no UTF-8 are escaped."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


def _type(member: Member) -> str:
    name = member.name.rstrip("/").rpartition("/")[2]
    if name == _OPAQUE:
        return "opaque whiteout"
    if name.startswith(_WHITEOUT):
        return "whiteout"
    return "sparse file" if member.sparse else member.kind


def _owner(attributes: Attributes) -> str:
    """Return `uid:gid (user:group)`, names only where the tar has them."""
    names = (attributes.uname, attributes.gname)
    return f"{attributes.uid}:{attributes.gid}" + (f" ({':'.join(names)})" if any(names) else "")


def _xattrs(xattrs: Mapping[bytes, bytes]) -> str | None:
    """Return the extended attributes, sorted; long values as their digest."""
    return " ".join(f"{_text(key)}={_value(value)}" for key, value in sorted(xattrs.items())) or None


def _value(value: bytes) -> str:
    return value.hex() if len(value) <= 64 else f"sha256:{hashlib.sha256(value).hexdigest()}"
