"""Write the file system that the layers of an image make together as one tar.

Each layer is read twice: once for the names, and once for the files that are still there. Memory
grows with the number of names, never with contents.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from typing import TYPE_CHECKING, Final, cast

from convert.archive.cursor import StreamCursor
from convert.archive.sparse import SparseMap, read_map
from convert.archive.tar_entry import TarEntry, entry_header
from convert.archive.tar_reader import TarReader
from convert.archive.tar_writer import END, padding
from convert.errors import FormatError, InputError, UnknownFormatError, UnsafeInputError, UnsupportedError
from convert.layer.repeats import Repeats
from convert.layer.rootfs import Inode, RootFileSystem
from convert.layer.streams import drain
from convert.layer.verify import PlainContent, present
from convert.limits import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.archive.member import Attributes, Member
    from convert.layer.context import ReadContext
    from convert.model.image import Layer

_FLAGS: Final = {"file": b"0", "symlink": b"2", "fifo": b"6"}
#: The mode of folders that no layer describes, as umask 022 leaves it.
_FOLDER_MODE: Final = 0o755


class Exporter:
    """Reads the layers of one image and writes their file system."""

    def __init__(self, layers: Sequence[Layer], context: ReadContext) -> None:
        """Nothing is read before `read_names`; `layers` are given from the bottom."""
        self._layers = layers
        self._context = context
        self._files = RootFileSystem()
        #: Bytes that may still be written of the files of the layer at hand, with the holes of sparse ones.
        self._left = 0
        #: Members, files and links that were written.
        self.count = 0

    def read_names(self) -> None:
        """Read every layer to its end, which verifies it, and find what is in the file system.

        Raises:
            InputError: a layer is damaged, or something that no engine unpacks.
            UnsafeInputError: layers are repeated too many times.
            NotRepresentableError: a layer is not in the source.
        """
        repeats = Repeats()
        for number, layer in enumerate(self._layers):
            with self._naming(layer):
                repeats.check(layer)
                for place, member, _, _ in _members(layer, self._context, repeats):
                    self._files.apply(number, place, member)

    def write(self, write: Callable[[bytes], object]) -> None:
        """Write the tar: the folders, then everything else in the order of the layers.

        Raises:
            InputError: the source changed since the names were read.
            Exception: what `write` raises.
        """
        wanted: list[dict[int, Inode]] = [{} for _ in self._layers]
        root = self._files.root
        if root.inode.attributes is not None:
            self._put(write, _entry(b"./", b"5", root.inode.attributes))
        for name in self._files.names():
            self._context.cancel.check()
            inode = name.inode
            if inode.is_folder:
                self._put(write, _entry(_raw(name.path) + b"/", b"5", inode.attributes))
            else:
                inode.names.append(name)
                wanted[inode.layer][inode.number] = inode
        for layer, inodes in zip(self._layers, wanted, strict=True):
            if not inodes:
                continue
            left = len(inodes)
            self._left = self._context.options.max_layer_size
            with self._naming(layer):
                for place, member, reader, cursor in _members(layer, self._context):
                    found = inodes.get(place)
                    if found is not None:
                        left -= 1
                        self._member(write, found, member, reader, cursor)
                if left:
                    raise InputError("it changed while it was read", code="source-changed")
        write(END)

    @contextlib.contextmanager
    def _naming(self, layer: Layer) -> Iterator[None]:
        """Name the source in errors about a layer."""
        try:
            yield
        except InputError as error:
            error.file = self._context.file_of(layer.blob) if layer.blob is not None else self._context.file
            raise

    def _member(
        self,
        write: Callable[[bytes], object],
        inode: Inode,
        member: Member,
        reader: TarReader,
        cursor: StreamCursor,
    ) -> None:
        first, *others = inode.names
        attributes = own = cast("Attributes", member.attributes)
        if inode.attributes is not None:
            # A hard link to it came later: its owner, mode and time count, and extended attributes are added.
            attributes = dataclasses.replace(inode.attributes, xattrs={**own.xattrs, **inode.attributes.xattrs})
        name = _raw(first.path)
        if member.kind == "file":
            self._file(write, name, attributes, member, reader, cursor)
        elif member.kind == "device":
            self._put(write, _entry(name, reader.block[156:157], attributes))
        else:
            self._put(write, _entry(name, _FLAGS[member.kind], attributes, link=_raw(member.link)))
        for other in others:
            self._put(write, _entry(_raw(other.path), b"1", attributes, link=name))

    def _file(
        self,
        write: Callable[[bytes], object],
        name: bytes,
        attributes: Attributes,
        member: Member,
        reader: TarReader,
        cursor: StreamCursor,
    ) -> None:
        sparse, taken = SparseMap(member.size, ((0, member.size),)), 0
        if member.sparse:
            sparse, taken = read_map(reader, member, cursor)
        self._left -= sparse.size
        if self._left < 0:
            raise UnsafeInputError(
                f"with this file of {sparse.size} bytes, the files of the layer are larger than the limit of a layer",
                code="layer-too-large",
                member=member.name,
                hint=self._context.options.limit_hint,
            )
        self._put(write, _entry(name, b"0", attributes, size=sparse.size))
        position, left = 0, member.size - taken
        for offset, length in sparse.data:
            _zeros(write, offset - position)
            left -= _copy(write, cursor, min(length, left), member)
            position = offset + length
        _zeros(write, sparse.size - position)
        write(padding(sparse.size))

    def _put(self, write: Callable[[bytes], object], entry: TarEntry) -> None:
        self.count += 1
        write(entry_header(entry))


def _members(
    layer: Layer, context: ReadContext, repeats: Repeats | None = None
) -> Iterator[tuple[int, Member, TarReader, StreamCursor]]:
    """Yield what a layer's tar holds with its number; the end verifies the DiffID, and `repeats` learns the size."""
    blob = present(layer, context.file)
    raw = cast("io.RawIOBase", PlainContent(layer, context).open())
    # Headers are small and many: without a buffer each would be a system call of its own.
    with io.BufferedReader(raw, CHUNK) as stream:
        cursor = StreamCursor(stream)
        reader = TarReader(cursor, where=blob.where, attributes=True, lenient=True)
        try:
            for number, member in enumerate(reader):
                _check_refusal(reader, blob.where)
                if member.kind == "other":
                    raise UnsupportedError(
                        "is of a type that engines do not unpack", code="layer-member-type", member=member.name
                    )
                if member.kind != "global":
                    yield number, member, reader, cursor
            _check_refusal(reader, blob.where)
        except UnknownFormatError as error:
            # No bytes at all are a layer too; Docker loads it.
            if cursor.position:
                raise FormatError("the layer is not a tar", code="layer-not-a-tar", member=blob.where) from error
        size = cursor.position + drain(stream)
    if repeats is not None:
        repeats.learn(layer, size)


def _check_refusal(reader: TarReader, where: str) -> None:
    """Refuse what Go's archive/tar does not read past, as a time that is not a number of 64 bits."""
    if reader.refusal is not None:
        raise FormatError(f"no engine unpacks the layer: {reader.refusal}", code="refused-tar-header", member=where)


def _entry(name: bytes, flag: bytes, attributes: Attributes | None, *, size: int = 0, link: bytes = b"") -> TarEntry:
    if attributes is None:
        return TarEntry(name, flag, mode=_FOLDER_MODE)
    return TarEntry(
        name,
        flag,
        mode=attributes.mode,
        uid=_number(attributes.uid),
        gid=_number(attributes.gid),
        size=size,
        mtime=_time(attributes.mtime),
        link=link,
        device=attributes.device if flag in b"34" else (0, 0),
        xattrs=attributes.xattrs if flag != b"1" else {},
    )


def _number(text: str) -> int:
    """Return an owner; a negative one is none. Any other text than a number of 64 bits was refused."""
    return max(int(text), 0)


def _time(text: str) -> str:
    """Return a time as PAX has it, to the nanosecond."""
    seconds, _, fraction = text.partition(".")
    if not fraction:
        return str(int(seconds))
    # Not by its value: -0.5 is before 1970.
    return f"{'-' if seconds.startswith('-') else ''}{abs(int(seconds))}.{fraction[:9]}"


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _copy(write: Callable[[bytes], object], cursor: StreamCursor, size: int, member: Member) -> int:
    """Copy content; the number of bytes copied."""
    left = size
    while left:
        data = cursor.read(min(left, CHUNK))
        if not data:
            raise InputError("truncated: ends inside this member", code="truncated", member=member.name)
        write(data)
        left -= len(data)
    return size


def _zeros(write: Callable[[bytes], object], count: int) -> None:
    while count > 0:
        step = min(count, CHUNK)
        write(bytes(step))
        count -= step
