"""A tar that is written to a file, in parallel and at known offsets.

It is built beside its destination and appears complete or not at all
(`archive/atomic.py`, docs/contract.md#destinations).
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from convert.archive import tar_writer
from convert.archive.atomic import AtomicFile
from convert.archive.copy import Sink, copy_content
from convert.archive.tar_header import BLOCK
from convert.errors import InputError, StorageError
from convert.layer.verify import read_to_end
from convert.writer.dest.staging import Staging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from convert.archive.tar_writer import Item
    from convert.layer.context import ReadContext
    from convert.layer.pool import Pool
    from convert.model.blob import Content
    from convert.model.image import Layer


@dataclass(slots=True)
class _Placed:
    """A member and its offset. `size` is what its header states."""

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


class TarFile:
    """A tar in a temporary file, whose members are filled in side by side (see `Destination`).

    The offset of a member depends on the sizes of all before it. Where only a hint is
    known, it is used at first; if it is wrong, everything after it is written again with
    the sizes that are known by then.
    """

    def __init__(self, destination: str, *, replace: bool) -> None:
        """Create the temporary file. `replace` allows a regular file or symbolic link at `destination`.

        Raises:
            UsageError: the destination exists.
            StorageError: it cannot be written to.
        """
        self._file = AtomicFile(destination, replace=replace)
        self._destination = destination
        self.staging = Staging(self._file.folder, destination)
        self._stop = threading.Event()
        self._progress: Callable[[int], None] | None = None

    def open_existing(self, context: ReadContext) -> None:
        """Return None: nothing is added to a tar."""
        del context

    def write(
        self,
        items: Iterable[Item],
        pool: Pool,
        progress: Callable[[int], None] | None = None,
        *,
        relies_on: Sequence[Content] = (),
        before_end: Callable[[], None] | None = None,
    ) -> None:
        """Write all members and the end of the archive."""
        self._progress = progress
        try:
            placed = self._place(((item, _expected_size(item)) for item in items), 0, pool, relies_on)
            wrong = _first_wrong(placed)
            if wrong is not None:
                again = [
                    (each.item, each.done.result() if each.done is not None else _expected_size(each.item))
                    for each in placed[wrong:]
                ]
                os.ftruncate(self._file.fd, placed[wrong].start)
                placed = self._place(iter(again), placed[wrong].start, pool)
                wrong = _first_wrong(placed)
                if wrong is not None:
                    raise changed_while_read(placed[wrong].item)
            end = placed[-1].end if placed else 0
            if before_end is not None:
                before_end()
            self._put(tar_writer.END, end)
            os.ftruncate(self._file.fd, end + len(tar_writer.END))
        except OSError as error:
            raise StorageError.from_os(error, file=self._destination, doing="writing") from error

    def _place(
        self, items: Iterator[tuple[Item, int | None]], start: int, pool: Pool, relies_on: Sequence[Content] = ()
    ) -> list[_Placed]:
        """Assign an offset to each item, given with its expected size, and fill it in."""
        placed: list[_Placed] = []
        waiting: list[_Placed] = []
        verifying: list[Future[None]] = []
        running: list[Future[Any]] = []
        try:
            for item, size in items:
                if size is None:
                    self._submit(waiting, pool)
                    each = self._append(item, start)
                else:
                    each = _Placed(item, start, size)
                    if isinstance(item.content, bytes):
                        self._put(tar_writer.header(item, size) + item.content + tar_writer.padding(size), start)
                    else:
                        waiting.append(each)
                placed.append(each)
                start = each.end
            self._submit(waiting, pool)
            # Writing began first, so that the disk works while other layers are verified.
            verifying += [pool.submit(read_to_end, content) for content in relies_on]
            running = [*verifying, *(each.done for each in placed if each.done is not None)]
            for future in wait(running, return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            # No thread may write to the descriptor once it is closed.
            self._stop.set()
            pool.cancel.stop()
            running = [*verifying, *(each.done for each in [*placed, *waiting] if each.done is not None)]
            for future in running:
                future.cancel()
            wait(running)
            raise
        return placed

    def _submit(self, waiting: list[_Placed], pool: Pool) -> None:
        """Fill in the waiting members, largest first, so that no large one runs alone at the end."""
        for each in sorted(waiting, key=lambda placed: -placed.size):
            each.done = pool.submit(self._fill, each)
        waiting.clear()

    def _fill(self, each: _Placed) -> int:
        """Write one member; return the actual size of its content."""
        content = each.item.content
        if isinstance(content, bytes):  # written when its offset was assigned
            return len(content)
        sink = self._sink(each.content_start, each.size)
        size = copy_content(content, sink)
        if size == each.size:
            self._put(tar_writer.header(each.item, size), each.start)
        elif content.size is not None:
            msg = f"it has {size} bytes where {content.size} were announced"
            raise InputError(msg, code="source-changed", member=each.item.name)
        return size

    def _append(self, item: Item, start: int) -> _Placed:
        """Write a member of unknown size: first its content, then its header."""
        each = _Placed(item, start, 0)
        while True:
            content = item.content
            if isinstance(content, bytes):
                return each
            size = copy_content(content, self._sink(each.content_start, None))
            found = _Placed(item, start, size)
            if found.content_start == each.content_start:
                self._put(tar_writer.header(item, size), start)
                return found
            each = found  # from 8 GiB on a header is longer

    def _sink(self, offset: int, room: int | None) -> Sink:
        return Sink(self._file.fd, offset, limit=room, progress=self._progress, stopped=self._stop.is_set)

    def _put(self, data: bytes, offset: int) -> None:
        Sink(self._file.fd, offset).write(data)

    def record_layers(self, profile: str, layers: Iterable[Layer]) -> None:
        """Do nothing: a tar has no list of layers."""

    def prepare(self, check: Callable[[int], None] | None = None) -> None:
        """Let `check` look at the archive."""
        if check is not None:
            check(self._file.fd)

    def commit(self) -> None:
        """Make the archive durable and rename it to its destination."""
        self._file.commit()

    def withdraw(self) -> bool:
        """Remove the archive again if nothing was at its destination."""
        return self._file.withdraw()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what is not committed."""
        self.staging.remove()
        self._file.abort()


def _first_wrong(placed: list[_Placed]) -> int | None:
    """Return the index of the first member whose expected size was wrong."""
    for number, each in enumerate(placed):
        if each.done is not None and each.done.result() != each.size:
            return number
    return None


def changed_while_read(item: Item) -> InputError:
    """Return the error for a member whose content has another size than when it was verified."""
    return InputError("it changed while it was read", code="source-changed", member=item.name)


def _expected_size(item: Item) -> int | None:
    if isinstance(item.content, bytes):
        return len(item.content)
    return item.content.size if item.content.size is not None else item.content.size_hint
