"""Copy bytes into a result, so that what is written is what was verified.

Bytes of a source are hashed in memory and written from there, or shared by a reflink
and then verified in the copy: a source may change at any moment. Only bytes in a
temporary file of this process are copied by the kernel without being read.

A reflink shares blocks copy-on-write, so the result is still a file of its own. Hard
links are not, so they are never created.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TYPE_CHECKING, Final

from convert import cancel
from convert.cancel import Stopped
from convert.codec.decompress import read_chunks
from convert.errors import InputError
from convert.limits import MIB

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.model.blob import Content, Extent

#: `_IOW(0x94, 9, int)` of linux/fs.h; the same on every architecture Python's
#: Linux wheels exist for but MIPS and PowerPC, where the call just fails.
_FICLONE: Final = 0x40049409
_NOT_HERE: Final = (
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOTTY,
    errno.EPERM,
    errno.EBADF,
    errno.ETXTBSY,
)
#: Bytes the kernel copies in one call: between calls progress is reported and a cancellation noticed.
_KERNEL_STEP: Final = 64 * MIB
#: Written bytes after which the kernel is asked to begin with the disk, so that
#: the sync at the end finds little left to do.
_WRITEBACK_STEP: Final = 8 * MIB


class Sink:
    """The destination of a copy: an open file from an offset on, at most `limit` bytes of it.

    Bytes beyond the limit are counted but not written. `progress` is called with the
    bytes that are done, `stopped` between chunks.
    """

    def __init__(
        self,
        fd: int,
        offset: int = 0,
        *,
        limit: int | None = None,
        progress: Callable[[int], None] | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> None:
        """Write into `fd`, which stays the caller's."""
        self.fd = fd
        self.offset = offset
        self.count = 0
        self._end = None if limit is None else offset + limit
        self._progress = progress
        self._stopped = stopped
        self._flushed = offset

    def write(self, data: memoryview | bytes) -> None:
        """Append bytes."""
        view = memoryview(data)
        if self._end is not None:
            view = view[: max(0, self._end - self.offset)]
        while view:
            written = os.pwrite(self.fd, view, self.offset)
            self.offset += written
            view = view[written:]
        self.advance(len(data))

    def advance(self, count: int) -> None:
        """Count bytes that are in place.

        Raises:
            Stopped: the work was cancelled.
        """
        cancel.check()
        self.count += count
        if self.offset - self._flushed >= _WRITEBACK_STEP:
            start_writeback(self.fd, self._flushed, self.offset - self._flushed)
            self._flushed = self.offset
        if self._progress is not None:
            self._progress(count)
        if self._stopped is not None and self._stopped():
            raise Stopped


def copy_content(content: Content, sink: Sink) -> int:
    """Copy all of `content` into `sink`; return its size.

    Verified bytes that cannot have changed since are moved by the kernel. Others
    are hashed while they pass, and what was hashed is what is written.

    Raises:
        InputError: what `content.open()` raises, or the source changed.
        OSError: writing failed.
    """
    extent = content.extent() if content.fixed else None
    if extent is not None and copy_extent(extent, sink):
        return extent.size
    with content.open() as stream:
        for chunk in read_chunks(stream):
            sink.write(chunk)
    return sink.count


def copy_extent(extent: Extent, sink: Sink) -> bool:
    """Copy a slice of a file within the kernel; False, with nothing done, if it cannot."""
    if not hasattr(os, "copy_file_range"):
        return False
    done = 0
    while done < extent.size:
        step = min(extent.size - done, _KERNEL_STEP)
        try:
            count = os.copy_file_range(extent.fd, sink.fd, step, extent.offset + done, sink.offset)
        except OSError as error:
            if done or error.errno not in _NOT_HERE:
                raise
            return False
        if not count:
            if not done:
                return False  # some file systems report this if they cannot copy
            msg = "the source became shorter while it was copied"
            raise InputError(msg, code="source-changed")
        done += count
        sink.offset += count
        sink.advance(count)
    return True


def clone(extent: Extent, fd: int) -> bool:
    """Make the empty file `fd` share all blocks of a whole source file; False if it cannot.

    The clone has to be verified: the source may have changed since it was.

    Raises:
        InputError: the source grew or shrank meanwhile.
    """
    if sys.platform != "linux" or extent.offset or os.fstat(extent.fd).st_size != extent.size:
        return False
    import fcntl  # noqa: PLC0415 - POSIX only, and only where used

    try:
        fcntl.ioctl(fd, _FICLONE, extent.fd)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
        return False
    if os.fstat(fd).st_size != extent.size:
        msg = "the source changed while it was copied"
        raise InputError(msg, code="source-changed")
    return True


def start_writeback(fd: int, offset: int, size: int) -> None:
    """Ask the kernel to begin writing a range to disk; it need not."""
    call = _sync_file_range()
    if call is not None:
        with contextlib.suppress(OSError):
            call(fd, offset, size)


_calls: dict[str, Callable[[int, int, int], object] | None] = {}


def _sync_file_range() -> Callable[[int, int, int], object] | None:
    if "sync_file_range" not in _calls:
        _calls["sync_file_range"] = _load_sync_file_range()
    return _calls["sync_file_range"]


def _load_sync_file_range() -> Callable[[int, int, int], object] | None:
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415 - slow to import, needed once

    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is None:
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    write_only = 2  # SYNC_FILE_RANGE_WRITE of linux/fs.h
    return lambda fd, offset, size: call(fd, offset, size, write_only)
