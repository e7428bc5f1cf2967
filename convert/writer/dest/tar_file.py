"""Tar output: a file filled in parallel at known offsets, or a stream in strict order.

Both take `Item`s in the order of the archive. A file is built beside its
destination and appears whole (`atomic.py`); a stream cannot be recalled, so each
member is verified before its header goes out (docs/contract.md#destinations). A member that
has to be read again to be sent is hashed again: what goes out is what was verified,
or the stream ends without its end.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, Self

from convert.archive import tar_writer
from convert.archive.atomic import AtomicFile, refuse_overlap
from convert.archive.copy import Sink, copy_content
from convert.archive.stream_sink import STDOUT as STDOUT  # noqa: PLC0414 - part of the interface
from convert.archive.stream_sink import names_descriptor, open_stream
from convert.archive.tar_header import BLOCK
from convert.archive.temporary import remove_stale
from convert.cancel import Stopped
from convert.codec.decompress import read_chunks, read_into
from convert.errors import InputError, StorageError, UsageError
from convert.limits import CHUNK, MIB
from convert.writer.dest.staging import Staging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor

    from convert.archive.stream_sink import Stream
    from convert.archive.tar_writer import Item as Item  # noqa: PLC0414 - as above
    from convert.model.blob import (
        Content,
        Extent,
    )

#: Members of a stream that are verified ahead of the one being sent.
_AHEAD: Final = 4
#: A member up to this size is kept in memory after it was verified, and read only once;
#: with `_AHEAD` that bounds what is held.
_HELD_SIZE: Final = 2 * MIB
#: Bytes handed to the kernel in one call when sending.
_SEND_STEP: Final = 64 * MIB


class TarOutput(Protocol):
    """Where an archive goes. Use it as a context manager: without `commit` nothing stays."""

    @property
    def staging(self) -> Staging:
        """The folder for blobs that must be made before they can be written."""

    def write(
        self,
        items: Iterable[Item],
        executor: Executor,
        progress: Callable[[int], None] | None = None,
        *,
        before_end: Callable[[], None] | None = None,
    ) -> None:
        """Write all members and the end of the archive; call it once.

        `executor` runs what can run in parallel; the bytes do not depend on it.
        `progress` is told bytes of content as they are done, from any thread.
        `before_end` is called when all members are written; if it raises, the
        archive gets no end.

        Raises:
            InputError: a content is not what it should be.
            StorageError: writing failed.
            BrokenPipeError: nobody reads the stream any more.
        """

    def commit(self, check: Callable[[int], None] | None = None) -> None:
        """Make it durable and put it in place, once `check` has seen it by its descriptor.

        Raises:
            UsageError: there is something to check and nothing that can be read back.
        """

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(self, *_: object) -> None:
        """Remove what is not committed."""


def open_tar(
    destination: str,
    *,
    force: bool = False,
    source: str | None = None,
    stdout: BinaryIO | None = None,
    spool_folder: str | None = None,
) -> TarOutput:
    """Begin an archive at `destination`: a path, `-`, a FIFO or a device such as /dev/stdout.

    `force` allows to replace a regular file or a symbolic link, `source` is what must
    not be overwritten. Blobs made for a stream wait in `spool_folder`.

    Raises:
        UsageError: the destination exists, or is the source or inside it.
        StorageError: it cannot be written to.
    """
    if not names_descriptor(destination) and source is not None and source != "-":
        refuse_overlap(destination, source)
    stream = open_stream(destination, stdout)
    if stream is not None:
        return StreamTar(stream, destination, spool_folder)
    return FileTar(destination, replace=force)


@dataclass(slots=True)
class _Placed:
    """A member and where it stands. `size` is what its header says."""

    item: Item
    start: int
    size: int
    done: Future[int] | None = None

    @property
    def content_start(self) -> int:
        return self.start + len(tar_writer.header(self.item, self.size))

    @property
    def end(self) -> int:
        end = self.content_start + self.size
        return end + -end % BLOCK


class FileTar:
    """An archive built in a temporary file: contents are filled in side by side.

    A member's place needs the sizes of all before it. Where only a hint is known,
    it is believed at first; should it be wrong, what follows is written again with
    the sizes learnt.
    """

    def __init__(self, destination: str, *, replace: bool) -> None:
        """Create the temporary file; see `open_tar`."""
        self._file = AtomicFile(destination, replace=replace)
        self._destination = destination
        self.staging = Staging(self._file.folder, destination)
        self._stop = threading.Event()
        self._progress: Callable[[int], None] | None = None

    def write(
        self,
        items: Iterable[Item],
        executor: Executor,
        progress: Callable[[int], None] | None = None,
        *,
        before_end: Callable[[], None] | None = None,
    ) -> None:
        """Write all members and the end of the archive."""
        self._progress = progress
        try:
            placed = self._place(iter(items), 0, {}, executor)
            wrong = _first_wrong(placed)
            if wrong is not None:
                sizes = {id(each.item): each.done.result() for each in placed if each.done is not None}
                os.ftruncate(self._file.fd, placed[wrong].start)
                again = [each.item for each in placed[wrong:]]
                placed = self._place(iter(again), placed[wrong].start, sizes, executor)
                wrong = _first_wrong(placed)
                if wrong is not None:
                    raise _changed(placed[wrong].item)
            end = placed[-1].end if placed else 0
            if before_end is not None:
                before_end()
            self._put(tar_writer.END, end)
            os.ftruncate(self._file.fd, end + len(tar_writer.END))
        except OSError as error:
            raise StorageError.from_os(error, file=self._destination, doing="writing") from error

    def _place(self, items: Iterator[Item], start: int, sizes: dict[int, int], executor: Executor) -> list[_Placed]:
        """Give each item its place and have it filled."""
        placed: list[_Placed] = []
        waiting: list[_Placed] = []
        try:
            for item in items:
                size = sizes.get(id(item), _expected(item))
                if size is None:
                    self._submit(waiting, executor)
                    each = self._append(item, start)
                else:
                    each = _Placed(item, start, size)
                    if isinstance(item.content, bytes):
                        self._put(tar_writer.header(item, size) + item.content + tar_writer.padding(size), start)
                    else:
                        waiting.append(each)
                placed.append(each)
                start = each.end
            self._submit(waiting, executor)
            running = [each.done for each in placed if each.done is not None]
            for future in wait(running, return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            # Nobody may write to the descriptor any more once it is closed.
            self._stop.set()
            running = [each.done for each in [*placed, *waiting] if each.done is not None]
            for future in running:
                future.cancel()
            wait(running)
            raise
        return placed

    def _submit(self, waiting: list[_Placed], executor: Executor) -> None:
        """Have the largest filled first, so that none is left alone at the end."""
        for each in sorted(waiting, key=lambda placed: -placed.size):
            each.done = executor.submit(self._fill, each)
        waiting.clear()

    def _fill(self, each: _Placed) -> int:
        """Write one member; return the size of its content, right or not."""
        content = each.item.content
        if isinstance(content, bytes):  # filled in where it was placed
            return len(content)
        sink = self._sink(each.content_start, each.size)
        size = copy_content(content, sink)
        if size == each.size:
            self._put(tar_writer.header(each.item, size), each.start)
        elif content.size is not None:
            msg = f"it has {size} bytes where {content.size} were announced"
            raise InputError(msg, member=each.item.name)
        return size

    def _append(self, item: Item, start: int) -> _Placed:
        """Write a member of unknown size; its header follows its content."""
        each = _Placed(item, start, 0)
        while True:
            content = item.content
            if isinstance(content, bytes):
                return each
            size = copy_content(content, self._sink(each.content_start, None))
            settled = _Placed(item, start, size)
            if settled.content_start == each.content_start:
                self._put(tar_writer.header(item, size), start)
                return settled
            each = settled  # from 8 GiB on a header is longer

    def _sink(self, offset: int, room: int | None) -> Sink:
        return Sink(self._file.fd, offset, room=room, progress=self._progress, stopped=self._stop.is_set)

    def _put(self, data: bytes, offset: int) -> None:
        Sink(self._file.fd, offset).write(data)

    def commit(self, check: Callable[[int], None] | None = None) -> None:
        """Make the archive durable and put it in place."""
        if check is not None:
            check(self._file.fd)
        self._file.commit()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what is not committed."""
        self.staging.remove()
        self._file.abort()


def _first_wrong(placed: list[_Placed]) -> int | None:
    """Return the index of the first member whose size was guessed wrong."""
    for number, each in enumerate(placed):
        if each.done is not None and each.done.result() != each.size:
            return number
    return None


def _changed(item: Item) -> InputError:
    return InputError("it changed while it was read", member=item.name)


def _expected(item: Item) -> int | None:
    if isinstance(item.content, bytes):
        return len(item.content)
    return item.content.size if item.content.size is not None else item.content.size_hint


@dataclass(frozen=True, slots=True)
class _Verified:
    """A member whose content was verified: its size, and the content if it was kept."""

    size: int
    data: bytes | None = None


class StreamTar:
    """An archive written in order to where it cannot be taken back."""

    def __init__(self, out: Stream, destination: str, spool_folder: str | None = None) -> None:
        """Write to `out`; see `open_tar`."""
        self._out = out
        self._destination = destination
        self._stop = threading.Event()
        self._spool_folder = spool_folder
        self._spool = -1
        self._staging: Staging | None = None
        self._progress: Callable[[int], None] | None = None

    @property
    def staging(self) -> Staging:
        """The folder for blobs that must be made first."""
        if self._staging is None:
            import tempfile  # noqa: PLC0415 - only where used

            folder = self._spool_folder or tempfile.gettempdir()
            try:
                self._spool = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                raise StorageError.from_os(error, file=folder, doing="opening it for temporary files") from error
            remove_stale(self._spool)
            self._staging = Staging(self._spool, self._destination)
        return self._staging

    def write(
        self,
        items: Iterable[Item],
        executor: Executor,
        progress: Callable[[int], None] | None = None,
        *,
        before_end: Callable[[], None] | None = None,
    ) -> None:
        """Write all members, each once it is verified, and the end of the archive."""
        self._progress = progress
        ahead: deque[tuple[Item, Future[_Verified]]] = deque()
        rest = iter(items)
        try:
            while True:
                for item in islice(rest, _AHEAD - len(ahead)):
                    ahead.append((item, executor.submit(self._verify, item)))
                if not ahead:
                    break
                item, checked = ahead.popleft()
                self._send(item, checked.result())
            if before_end is not None:
                before_end()
            self._out.write(tar_writer.END)
            self._out.close()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StorageError.from_os(error, file=self._destination, doing="writing") from error
        finally:
            self._stop.set()
            for _, checked in ahead:
                checked.cancel()
            wait([checked for _, checked in ahead])

    def _verify(self, item: Item) -> _Verified:
        """Verify a content, and keep it if it is small."""
        content = item.content
        if isinstance(content, bytes):
            return _Verified(len(content), content)
        if content.verified and content.size is not None and (content.fixed or content.size > _HELD_SIZE):
            return _Verified(content.size)
        held: list[bytes] | None = []
        size = 0
        with content.open() as stream:
            for chunk in read_chunks(stream):
                size += len(chunk)
                if held is not None:
                    held.append(chunk)
                    held = held if size <= _HELD_SIZE else None
                if self._stop.is_set():
                    raise Stopped
        if content.size is not None and content.size != size:
            msg = f"it has {size} bytes where {content.size} were announced"
            raise InputError(msg, member=item.name)
        return _Verified(size, b"".join(held) if held is not None else None)

    def _send(self, item: Item, checked: _Verified) -> None:
        """Send a member. One that is read again is verified again; a mismatch ends the stream where it is."""
        content = item.content
        self._out.write(tar_writer.header(item, checked.size))
        if checked.data is not None:
            self._out.write(checked.data)
            if not isinstance(content, bytes):
                self._tell(checked.size)
        elif not isinstance(content, bytes):
            extent = content.extent() if content.fixed else None
            if extent is None or not self._send_extent(extent):
                self._send_stream(item, content, checked.size)
        self._out.write(tar_writer.padding(checked.size))

    def _send_stream(self, item: Item, content: Content, size: int) -> None:
        sent = 0
        with content.open() as stream:
            buffer = memoryview(bytearray(CHUNK))
            while count := read_into(stream, buffer):
                sent += count
                if sent > size:
                    break
                self._out.write(buffer[:count])
                self._tell(count)
        if sent != size:
            raise _changed(item)

    def _send_extent(self, extent: Extent) -> bool:
        """Send bytes that cannot change within the kernel; False, with nothing done, if it cannot."""
        if self._out.fd is None or not hasattr(os, "sendfile"):
            return False
        done = 0
        while done < extent.size:
            step = min(extent.size - done, _SEND_STEP)
            try:
                count = os.sendfile(self._out.fd, extent.fd, extent.offset + done, step)
            except OSError as error:
                if done or error.errno not in {errno.EINVAL, errno.ENOSYS, errno.ENOTSOCK, errno.ENOTSUP}:
                    raise
                return False
            if not count:
                msg = "the source became shorter while it was copied"
                raise InputError(msg)
            done += count
            self._tell(count)
        return True

    def _tell(self, count: int) -> None:
        if self._progress is not None:
            self._progress(count)

    def commit(self, check: Callable[[int], None] | None = None) -> None:
        """Do nothing: what was written is out."""
        if check is not None:
            raise UsageError(
                "a stream cannot be read back", file=self._destination, hint="write to a file to verify it"
            )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was opened and remove what was spooled."""
        if self._staging is not None:
            self._staging.remove()
            if self._spool >= 0:
                os.close(self._spool)
                self._spool = -1
        self._out.close()
