"""A tar that is written in order to a pipe, FIFO or device.

A stream cannot be recalled, so each member is verified before its header is sent
(docs/contract.md#destinations). A member that has to be read again to be sent is
hashed again: only verified bytes are sent, or the stream stops without an end of
the archive.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections import deque
from concurrent.futures import Future, wait
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, Self

from convert.archive import tar_writer
from convert.archive.temporary import remove_stale
from convert.cancel import Stopped
from convert.codec.decompress import read_chunks, read_into
from convert.errors import InputError, StorageError, UsageError
from convert.layer.verify import read_to_end
from convert.limits import CHUNK, MIB
from convert.writer.dest.staging import Staging
from convert.writer.dest.tar_file import changed_while_read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from convert.archive.stream_sink import Stream
    from convert.archive.tar_writer import Item
    from convert.layer.context import ReadContext
    from convert.layer.pool import Pool
    from convert.model.blob import Content, Extent
    from convert.model.image import Layer

#: Members that are verified before their turn, the one being sent included.
_LOOKAHEAD: Final = 4
#: A member up to this size is kept in memory after it was verified, and read only once;
#: with `_LOOKAHEAD` that bounds the memory.
_MAX_BUFFERED_SIZE: Final = 2 * MIB
#: Bytes passed to the kernel in one call when sending.
_SEND_STEP: Final = 64 * MIB


@dataclass(frozen=True, slots=True)
class _Verified:
    """A member whose content was verified: its size, and the content if it was kept."""

    size: int
    data: bytes | None = None


class TarStream:
    """A tar written in order to where it cannot be recalled (see `Destination`)."""

    def __init__(self, out: Stream, destination: str, spool_folder: str | None = None) -> None:
        """Write to `out`. Blobs that must exist before they can be sent are built in `spool_folder`."""
        self._out = out
        self._destination = destination
        self._stop = threading.Event()
        self._spool_folder = spool_folder
        self._spool = -1
        self._staging: Staging | None = None
        self._progress: Callable[[int], None] | None = None

    @property
    def staging(self) -> Staging:
        """The folder for blobs that must exist before they can be sent; created on first use."""
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

    def open_existing(self, context: ReadContext) -> None:
        """Return None: nothing is added to a stream."""
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
        """Write all members, each once it is verified, and the end of the archive."""
        self._progress = progress
        pool.map(read_to_end, relies_on)
        verifying: deque[tuple[Item, Future[_Verified]]] = deque()
        rest = iter(items)
        try:
            while True:
                for item in islice(rest, _LOOKAHEAD - len(verifying)):
                    verifying.append((item, pool.submit(self._verify, item)))
                if not verifying:
                    break
                item, verified = verifying.popleft()
                with self._naming(item):
                    self._send(item, verified.result())
            if before_end is not None:
                before_end()
            self._write(tar_writer.END)
            with self._writing():
                self._out.close()
        finally:
            self._stop.set()
            for _, verified in verifying:
                verified.cancel()
            wait([verified for _, verified in verifying])

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Report errors of the output. A closed pipe is passed on: it ends the run without a message."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StorageError.from_os(error, file=self._destination, doing="writing") from error

    @contextlib.contextmanager
    def _naming(self, item: Item) -> Iterator[None]:
        """Report errors of the system while the content of `item` is read."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StorageError.from_os(error, doing=f"reading {item.name}") from error

    def _write(self, data: memoryview | bytes) -> None:
        with self._writing():
            self._out.write(data)

    def _verify(self, item: Item) -> _Verified:
        """Verify a content, and keep it if it is small."""
        content = item.content
        if isinstance(content, bytes):
            return _Verified(len(content), content)
        if content.verified and content.size is not None and (content.fixed or content.size > _MAX_BUFFERED_SIZE):
            return _Verified(content.size)
        buffered: list[bytes] | None = []
        size = 0
        with content.open() as stream:
            for chunk in read_chunks(stream):
                size += len(chunk)
                if buffered is not None:
                    buffered.append(chunk)
                    buffered = buffered if size <= _MAX_BUFFERED_SIZE else None
                if self._stop.is_set():
                    raise Stopped
        if content.size is not None and content.size != size:
            msg = f"it has {size} bytes where {content.size} were announced"
            raise InputError(msg, code="source-changed", member=item.name)
        return _Verified(size, b"".join(buffered) if buffered is not None else None)

    def _send(self, item: Item, verified: _Verified) -> None:
        """Send a member. One that is read again is verified again; after a mismatch the stream stops."""
        content = item.content
        self._write(tar_writer.header(item, verified.size))
        if verified.data is not None:
            self._write(verified.data)
            if not isinstance(content, bytes):
                self._advance(verified.size)
        elif not isinstance(content, bytes):
            extent = content.extent() if content.fixed else None
            if extent is None or not self._send_extent(extent):
                self._send_stream(item, content, verified.size)
        self._write(tar_writer.padding(verified.size))

    def _send_stream(self, item: Item, content: Content, size: int) -> None:
        sent = 0
        with content.open() as stream:
            # One byte more than there should be, so that a longer stream is noticed.
            buffer = memoryview(bytearray(min(CHUNK, size + 1)))
            while count := read_into(stream, buffer):
                sent += count
                if sent > size:
                    break
                self._write(buffer[:count])
                self._advance(count)
        if sent != size:
            raise changed_while_read(item)

    def _send_extent(self, extent: Extent) -> bool:
        """Send bytes that cannot change inside the kernel; return False, with nothing sent, if it cannot."""
        if self._out.fd is None or not hasattr(os, "sendfile"):
            return False
        done = 0
        while done < extent.size:
            step = min(extent.size - done, _SEND_STEP)
            with self._writing():
                self._out.wait()
            try:
                count = os.sendfile(self._out.fd, extent.fd, extent.offset + done, step)
            except BlockingIOError:
                continue
            except OSError as error:
                if not done and error.errno in {errno.EINVAL, errno.ENOSYS, errno.ENOTSOCK, errno.ENOTSUP}:
                    return False
                if error.errno == errno.EIO:  # an error while reading (sendfile(2))
                    raise
                with self._writing():
                    raise
            if not count:
                msg = "the source became shorter while it was copied"
                raise InputError(msg, code="source-changed")
            done += count
            self._advance(count)
        return True

    def _advance(self, count: int) -> None:
        if self._progress is not None:
            self._progress(count)

    def record_layers(self, profile: str, layers: Iterable[Layer]) -> None:
        """Do nothing: a tar has no list of layers."""

    def prepare(self, check: Callable[[int], None] | None = None) -> None:
        """Refuse a check: everything was sent already."""
        if check is not None:
            raise UsageError(
                "a stream cannot be read back",
                code="stream-cannot-be-verified",
                file=self._destination,
                hint="write to a file to verify it",
            )

    def commit(self) -> None:
        """Do nothing: everything was sent already."""

    def withdraw(self) -> bool:
        """Return False: what was sent cannot be taken back."""
        return False

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
