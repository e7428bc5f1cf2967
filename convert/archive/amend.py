"""Write an existing tar again with members left out and others added; all else byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.archive import tar_write
from convert.archive.copying import Sink, copy_extent
from convert.archive.tree import clean
from convert.limits import CHUNK
from convert.model import Extent

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from convert.archive.tar_tree import TarTree
    from convert.archive.tar_write import Item


def kept(tree: TarTree, drop: Collection[str]) -> Iterator[Extent]:
    """Yield the stretches of a tar that stay: all members with their headers, but those dropped."""
    begin = 0
    for member in tree.members:
        if clean(member.name) in drop:
            if member.start > begin:
                yield Extent(tree.fd, begin, member.start - begin)
            begin = member.end
    if tree.end > begin:
        yield Extent(tree.fd, begin, tree.end - begin)


def added(items: Sequence[Item]) -> bytes:
    """Return the new members and the end of the archive.

    The end is two zero blocks, as every writer of these archives leaves it.
    """
    parts = []
    for item in items:
        if not isinstance(item.content, bytes):
            raise TypeError("only documents and links are added to an archive")
        parts += [tar_write.header(item, len(item.content)), item.content, tar_write.padding(len(item.content))]
    return b"".join(parts) + tar_write.END


def write_to_file(fd: int, tree: TarTree, drop: Collection[str], items: Sequence[Item]) -> None:
    """Write the amended archive into an empty file.

    Raises:
        InputError: the source changed while it was read.
        OSError: writing failed.
    """
    sink = Sink(fd)
    for extent in kept(tree, drop):
        if not copy_extent(extent, sink):
            _copy(tree, extent, sink.write)
    # An archive that was cut in its last padding is accepted; what is added starts a block.
    sink.write(tar_write.padding(sink.count))
    sink.write(added(items))


def write_to_stream(
    write: Callable[[bytes], object], tree: TarTree, drop: Collection[str], items: Sequence[Item]
) -> None:
    """Write the amended archive to a stream, in order.

    Raises:
        InputError: the source changed while it was read.
        OSError: what `write` raises.
    """
    count = 0
    for extent in kept(tree, drop):
        _copy(tree, extent, write)
        count += extent.size
    write(tar_write.padding(count) + added(items))


def _copy(tree: TarTree, extent: Extent, write: Callable[[bytes], object]) -> None:
    from convert.archive.blobs import PreadStream  # noqa: PLC0415 - only where the kernel cannot copy

    with PreadStream(extent.fd, extent.offset, extent.size, where=tree.where, member="archive") as stream:
        while data := stream.read(CHUNK):
            write(data)
