"""The folder beside a destination in which blobs are made before they have a name."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Final

from convert.archive import atomic
from convert.archive.blobs import FolderBlob, Stamp
from convert.archive.copying import Sink, clone, copy_content, drain, start_writeback
from convert.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from convert.archive.tar_write import Content
    from convert.digest import Digest


#: Blobs from which on they are synced together.
_MANY: Final = 8


class Staging:
    """A temporary folder that holds finished blobs as `blobs/<algorithm>/<hex>`.

    Safe to use from several threads. It is made when the first blob is, and goes
    with `remove` unless its parts were moved away before.
    """

    def __init__(self, parent: str, destination: str) -> None:
        """Make it inside `parent`; `destination` names it in errors."""
        self._parent = parent
        self._destination = destination
        self._guard = threading.RLock()
        self._over = False
        self._path = ""
        self._fd = -1
        self._count = 0
        self.blobs: dict[Digest, FolderBlob] = {}

    @property
    def path(self) -> str:
        """Where the folder is; it is made if need be."""
        with self._guard:
            if self._over:
                raise StorageError("writing: it was given up", file=self._destination)
            if not self._path:
                try:
                    with atomic.held_back():
                        self._path, self._fd = atomic.make_locked(self._parent, _make_folder)
                except OSError as error:
                    raise self.failed(error) from error
            return self._path

    def failed(self, error: OSError) -> StorageError:
        """Return the error to raise where writing into the folder failed."""
        return StorageError.from_os(error, file=self._destination, doing="writing")

    def new_blob(self) -> BlobWriter:
        """Start a blob whose name its content will tell.

        Raises:
            StorageError: the file cannot be made.
        """
        with self._guard:
            self._count += 1
            try:
                return BlobWriter(self, os.path.join(self.path, f"new-{self._count}"))
            except OSError as error:
                raise self.failed(error) from error

    def put(self, digest: Digest, content: bytes | Content, progress: Callable[[int], None] | None = None) -> None:
        """Make `content` a blob named `digest`, which its stream proves; once is enough.

        A whole file is cloned where the file system can; then reading it for its
        digest is all that is left to do, and not even that if it is proved.

        Raises:
            InputError: the content is not what it should be.
            StorageError: writing failed.
        """
        with self._guard:
            if digest in self.blobs:
                return
        writer = self.new_blob()
        try:
            if isinstance(content, bytes):
                writer.write(content)
            else:
                writer.copy(content, progress)
            writer.finish(digest)
        except BaseException:
            writer.abort()
            raise

    def place(self, path: str, digest: Digest) -> FolderBlob:
        """Give a finished file its name; the one that came first stays."""
        parts = ("blobs", digest.algorithm, digest.hex)
        with self._guard:
            folder = os.path.join(self.path, *parts[:2])
            there = self.blobs.get(digest)
            if there is not None:
                os.unlink(path)
                return there
            os.makedirs(folder, exist_ok=True)
            target = os.path.join(folder, digest.hex)
            os.rename(path, target)
            blob = FolderBlob(
                self._fd, parts, Stamp.of(os.lstat(target)), where="/".join(parts), file=self._destination
            )
            self.blobs[digest] = blob
            return blob

    def retain(self, digests: Collection[Digest]) -> None:
        """Remove blobs of other digests: they were made, and nothing names them in the end."""
        with self._guard:
            for digest in [digest for digest in self.blobs if digest not in digests]:
                os.unlink(os.path.join(self._path, *self.blobs.pop(digest).parts))

    def sync(self) -> None:
        """Make every blob durable."""
        if len(self.blobs) >= _MANY and atomic.sync_all(self._fd):
            return
        for blob in self.blobs.values():
            fd = os.open(os.path.join(self._path, *blob.parts), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def moved(self) -> None:
        """Forget the folder: it was renamed to its destination."""
        with self._guard:
            self._path = ""
            self._close()

    def remove(self) -> None:
        """Remove the folder and what is left in it; harmless if there is none.

        A thread that an interrupt cut loose may still be at work: it makes no more.
        """
        with self._guard:
            self._over = True
            if self._path:
                with contextlib.suppress(OSError):
                    atomic.remove(self._path)
                self._path = ""
            self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _make_folder(path: str) -> int:
    os.mkdir(path)
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        os.rmdir(path)
        raise


class BlobWriter:
    """A blob being made. End it with `finish` or `abort`."""

    def __init__(self, staging: Staging, path: str) -> None:
        """Create the file."""
        self._staging = staging
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self._sink = Sink(self._fd)

    def write(self, data: bytes | memoryview, /) -> None:
        """Append bytes.

        Raises:
            StorageError: they could not be written.
        """
        try:
            self._sink.write(data)
        except OSError as error:
            raise self._staging.failed(error) from error

    def copy(self, content: Content, progress: Callable[[int], None] | None = None) -> None:
        """Make the blob of all of `content`, shared with its source if possible."""
        try:
            extent = content.extent()
            if extent is not None and clone(extent, self._fd):
                if not content.proved:
                    drain(content)
                if progress is not None:
                    progress(extent.size)
                return
            copy_content(content, Sink(self._fd, progress=progress))
        except OSError as error:
            raise self._staging.failed(error) from error

    def finish(self, digest: Digest) -> FolderBlob:
        """Name what was written, and return it for reading."""
        try:
            # Sooner begun is sooner synced; small blobs never reach the step at which a sink does it.
            start_writeback(self._fd, 0, 0)
            self._close()
            return self._staging.place(self._path, digest)
        except OSError as error:
            raise self._staging.failed(error) from error

    def abort(self) -> None:
        """Throw it away; harmless after `finish`."""
        self._close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
