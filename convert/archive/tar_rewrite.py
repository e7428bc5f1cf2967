"""Copy an existing tar without some members and with new ones; all else stays byte for byte.

What was verified in the source is verified again in what is written: the source may
have changed in between.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from convert.archive import tar_reader, tar_writer
from convert.archive.blob import PreadStream, changed
from convert.archive.copy import Sink, copy_extent
from convert.archive.tar_header import BLOCK, number
from convert.archive.tree import clean
from convert.limits import CHUNK
from convert.model.blob import Extent

#: The bits of a mode that a header holds; Docker writes the type of the file among them.
_MODE: Final = 0o7777777
#: The latest time in seconds that the header of a tar holds in octal digits.
_LATEST: Final = (1 << 33) - 1

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from convert.archive.member import Member
    from convert.archive.tar_tree import TarTree
    from convert.archive.tar_writer import Item
    from convert.model.digest import Digest


def _pieces(tree: TarTree, drop: Collection[str], replaced: Mapping[str, Item]) -> Iterator[Extent | bytes]:
    """Yield what stays, and each replaced member in the place of the first one of its name."""
    waiting = dict(replaced)
    begin = 0
    for member in tree.members:
        name = clean(member.name)
        if name is None or (name not in drop and name not in replaced):
            continue
        if member.start > begin:
            yield Extent(tree.fd, begin, member.start - begin)
        if (item := waiting.pop(name, None)) is not None:
            yield _encoded(item)
        begin = member.end
    if tree.end > begin:
        yield Extent(tree.fd, begin, tree.end - begin)


def _encoded(item: Item) -> bytes:
    if not isinstance(item.content, bytes):
        raise TypeError("only documents and links are added to an archive")
    return tar_writer.header(item, len(item.content)) + item.content + tar_writer.padding(len(item.content))


def encode_items(items: Sequence[Item]) -> bytes:
    """Return the new members and the end of the archive.

    The end is two zero blocks, as every writer of these archives leaves it.
    """
    return b"".join(map(_encoded, items)) + tar_writer.END


@dataclass(frozen=True, slots=True, order=True)
class Expected:
    """Bytes of the source that were verified, or that a decision was based on, and their digest."""

    offset: int
    size: int
    digest: Digest
    where: str


def write_to_file(
    fd: int,
    tree: TarTree,
    drop: Collection[str],
    items: Sequence[Item],
    expected: Iterable[Expected],
    replaced: Mapping[str, Item] = MappingProxyType({}),
) -> None:
    """Write the changed archive into an empty file, and verify there what is expected of it.

    `items` are added at the end; `replaced` are put where the members of these clean names are.
    The headers are read again from the copy and compared with those of the source.

    Raises:
        InputError: the source changed while it was read.
        OSError: writing failed.
    """
    sink = Sink(fd)
    waiting = deque(sorted(expected))
    for piece in _pieces(tree, drop, replaced):
        if isinstance(piece, bytes):
            sink.write(piece)
            continue
        extent, begin = piece, sink.offset
        if not copy_extent(extent, sink):
            _copy(tree, extent, sink.write)
        for group in _within(waiting, extent):
            copied = Extent(fd, begin + group[0].offset - extent.offset, group[0].size)
            with _hashed(tree, group) as update:
                _copy(tree, copied, update)
    # An archive that was cut in its last padding is accepted; what is added starts a block.
    sink.write(tar_writer.padding(sink.count))
    sink.write(encode_items(items))
    members, _ = tar_reader.index(fd, sink.count, where=tree.where)
    stay = list(_facts_after(tree, drop, replaced))
    if list(map(_facts, members[: len(stay)])) != stay or len(members) != len(stay) + len(items):
        raise changed(tree.where, "")


def _facts_after(tree: TarTree, drop: Collection[str], replaced: Mapping[str, Item]) -> Iterator[tuple[object, ...]]:
    """Yield what the headers state of the members that stay or are replaced."""
    waiting = dict(replaced)
    for member in tree.members:
        name = clean(member.name)
        if name is None or (name not in drop and name not in replaced):
            yield _facts(member)
        elif (item := waiting.pop(name, None)) is not None:
            yield item.name, item.kind, len(item.content) if isinstance(item.content, bytes) else 0, item.link, False


def _facts(member: Member) -> tuple[object, ...]:
    return member.name, member.kind, member.size, member.link, member.sparse


def write_to_stream(
    write: Callable[[bytes], object], tree: TarTree, drop: Collection[str], items: Sequence[Item]
) -> None:
    """Write the changed archive to a stream, in order; the source must be a file that only this process can change.

    Raises:
        OSError: reading failed, or what `write` raises.
    """
    count = 0
    for piece in _pieces(tree, drop, {}):
        if not isinstance(piece, bytes):
            _copy(tree, piece, write)
            count += piece.size
    write(tar_writer.padding(count) + encode_items(items))


def replacement(tree: TarTree, name: str, content: bytes) -> Item:
    """Return a document in place of a member of the same clean name, with its spelling, mode and time.

    Raises:
        KeyError: the member does not exist.
    """
    for member in tree.members:
        if clean(member.name) == name:
            head = os.pread(tree.fd, BLOCK, member.offset - BLOCK)
            mode, mtime = number(head[100:108]), number(head[136:148])
            return tar_writer.Item(
                member.name,
                mode=0o644 if mode is None else mode & _MODE,
                mtime=mtime if mtime is not None and 0 <= mtime <= _LATEST else 0,
                content=content,
            )
    raise KeyError(name)


def send(fd: int, tree: TarTree, write: Callable[[bytes], object]) -> None:
    """Write a whole file to a stream."""
    _copy(tree, Extent(fd, 0, os.fstat(fd).st_size), write)


def _within(waiting: deque[Expected], extent: Extent) -> Iterator[list[Expected]]:
    """Take what is expected of the bytes of an extent, in order; one list for each range of them."""
    while waiting and waiting[0].offset < extent.offset + extent.size:
        first = waiting.popleft()
        group = [first]
        while waiting and (waiting[0].offset, waiting[0].size) == (first.offset, first.size):
            group.append(waiting.popleft())
        if first.offset >= extent.offset:  # else it was dropped
            yield group


@contextlib.contextmanager
def _hashed(tree: TarTree, group: Sequence[Expected]) -> Iterator[Callable[[bytes], object]]:
    """Give a function to feed the bytes of a range to; check them at the end."""
    hashers = {each.digest.algorithm: hashlib.new(each.digest.algorithm) for each in group}

    def update(data: bytes) -> None:
        for hasher in hashers.values():
            hasher.update(data)

    yield update
    for each in group:
        if hashers[each.digest.algorithm].hexdigest() != each.digest.hex:
            raise changed(tree.where, each.where)


def _copy(tree: TarTree, extent: Extent, write: Callable[[bytes], object]) -> None:
    with PreadStream(extent.fd, extent.offset, extent.size, where=tree.where, member="archive") as stream:
        while data := stream.read(CHUNK):
            write(data)
