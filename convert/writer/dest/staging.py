"""The temporary folder in or beside a destination, in which blobs are built before their digests are known."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from convert import cancel
from convert.archive import folders, temporary
from convert.archive.blob import PreadStream, StagedBlob, Stamp
from convert.archive.copy import Sink, clone, copy_content, start_writeback
from convert.codec.decompress import read_chunks
from convert.errors import StorageError
from convert.model.dir_names import blob_file
from convert.writer.dest.folder_kind import LAYOUT as LAYOUT_KIND

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from convert.model.blob import Blob, Content, Extent
    from convert.model.digest import Digest
    from convert.writer.dest.folder_kind import FolderKind


#: The folder inside the temporary one that is laid out as an image layout.
LAYOUT: Final = "layout"
#: From this number of blobs on, the file system is synced once.
_SYNC_ALL_BLOBS: Final = 8
#: Bytes of a blob that are kept in memory before it gets a file.
_HELD_SIZE: Final = 64 << 10


class Staging:
    """A temporary folder that holds finished blobs as `layout/blobs/<algorithm>/<hex>`.

    In a `dir:` folder they are `layout/<hex>`.
    Safe to use from several threads. It is created with the first blob, and removed by
    `remove`. No other user can enter it. `layout` may be moved out of it and
    become the result; the temporary folder itself never does.
    """

    def __init__(self, parent: int, destination: str, *, final: bool = False, kind: FolderKind = LAYOUT_KIND) -> None:
        """Create it inside the open folder `parent`, on first use; `destination` names it in errors.

        `final`: finished blobs become part of the result where they are. `kind` is that of the folder.
        """
        self._kind = kind
        self.final = final
        self._parent = parent
        self.destination = destination
        self._guard = threading.RLock()
        self._name = ""
        self._fd = -1
        self._layout = -1
        self._count = 0
        #: Open folders of blobs, by algorithm.
        self._folders: dict[str, int] = {}
        self.blobs: dict[Digest, StagedBlob] = {}

    @property
    def folder(self) -> int:
        """The open temporary folder, created on first use.

        Raises:
            StorageError: it cannot be created.
        """
        with self._guard:
            if self._layout < 0:
                try:
                    if self._fd < 0:
                        self._name, self._fd = temporary.make_folder(self._parent)
                    self._layout = folders.make_folder(self._fd, LAYOUT)
                except OSError as error:
                    raise self.failed(error) from error
            return self._fd

    @property
    def layout(self) -> int:
        """The open folder in it that is laid out as an image layout, created on first use.

        Raises:
            StorageError: it cannot be created.
        """
        with self._guard:
            if self._layout < 0:
                _ = self.folder
            return self._layout

    def failed(self, error: OSError) -> StorageError:
        """Return the error to raise where writing into the folder failed."""
        return StorageError.from_os(error, file=self.destination, doing="writing")

    def new_blob(self) -> BlobWriter:
        """Start a blob whose digest is known when its content is."""
        return BlobWriter(self)

    def new_file(self) -> tuple[str, int]:
        """Create an empty file for a blob; return its name and its descriptor.

        Raises:
            OSError: the system refuses.
        """
        with self._guard:
            self._count += 1
            name = f"new-{self._count}"
            return name, folders.new_file(self.folder, name)

    def put(self, digest: Digest, content: bytes | Content, progress: Callable[[int], None] | None = None) -> None:
        """Store `content` as the blob `digest`, unless it is stored already; reading `content` verifies it.

        A complete file is cloned where the file system can, and the clone is verified.

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

    def place(self, name: str, digest: Digest) -> StagedBlob:
        """Rename a finished file to its digest; of several blobs with one digest the first is kept."""
        parts = ("blobs", digest.algorithm, digest.hex) if self._kind.blobs else (blob_file(digest),)
        with self._guard:
            folder = self.folder
            first = self.blobs.get(digest)
            if first is not None:
                os.unlink(name, dir_fd=folder)
                return first
            target = self._folder_of(digest.algorithm)
            os.rename(name, parts[-1], src_dir_fd=folder, dst_dir_fd=target)
            status = os.stat(parts[-1], dir_fd=target, follow_symlinks=False)
            blob = StagedBlob(self.layout, parts, Stamp.of(status), where="/".join(parts), file=self.destination)
            self.blobs[digest] = blob
            return blob

    def discard(self, name: str) -> None:
        """Remove an unfinished file; harmless if it is gone."""
        with self._guard:
            if self._fd >= 0:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=self._fd)

    def entries(self) -> list[str]:
        """Return what lies at the top of the layout: the folder of blobs, or each blob."""
        return [self._kind.blobs] if self._kind.blobs else sorted(map(blob_file, self.blobs))

    def _folder_of(self, algorithm: str) -> int:
        if not self._kind.blobs:
            return self.layout
        if algorithm not in self._folders:
            blobs = folders.make_folder(self.layout, "blobs")
            try:
                self._folders[algorithm] = folders.make_folder(blobs, algorithm)
            finally:
                os.close(blobs)
        return self._folders[algorithm]

    def retain(self, digests: Collection[Digest]) -> None:
        """Remove blobs with other digests, which nothing in the result names."""
        with self._guard:
            for digest in [digest for digest in self.blobs if digest not in digests]:
                del self.blobs[digest]
                os.unlink(self._file(digest), dir_fd=self._folder_of(digest.algorithm))

    def _file(self, digest: Digest) -> str:
        return digest.hex if self._kind.blobs else blob_file(digest)

    def sync(self) -> None:
        """Make every blob durable."""
        if len(self.blobs) >= _SYNC_ALL_BLOBS and folders.sync_all(self._fd):
            return
        for digest in self.blobs:
            cancel.check()
            fd = self.open_blob(digest)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def open_blob(self, digest: Digest) -> int:
        """Open a finished blob.

        Raises:
            OSError: the system refuses.
        """
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(self._file(digest), flags, dir_fd=self._folder_of(digest.algorithm))

    def remove(self) -> None:
        """Remove the folder and what is left in it; harmless if there is none. No thread may use it any more."""
        with self._guard:
            if self._name:
                with contextlib.suppress(OSError):
                    temporary.remove_folder(self._parent, self._name, self._fd)
                self._name = ""
            for fd in (*self._folders.values(), self._layout, self._fd):
                if fd >= 0:
                    os.close(fd)
            self._folders.clear()
            self._layout = self._fd = -1


class BlobWriter:
    """A blob under construction. End it with `finish` or `abort`.

    A small one gets a file when its digest is known, and none if a blob of that digest is there:
    an image may have the same small layer very many times.
    """

    def __init__(self, staging: Staging) -> None:
        """Write into a new file in the staging's folder."""
        self._staging = staging
        self._name = ""
        self._fd = -1
        self._sink: Sink | None = None
        self._held = bytearray()

    def write(self, data: bytes | memoryview, /) -> None:
        """Append bytes.

        Raises:
            StorageError: they could not be written.
        """
        if self._sink is None and len(self._held) + len(data) <= _HELD_SIZE:
            cancel.check()
            self._held += data
            return
        try:
            self._file().write(data)
        except OSError as error:
            raise self._staging.failed(error) from error

    def _file(self) -> Sink:
        """Return what writes into the file, which is created and gets what was held."""
        if self._sink is None:
            self._name, self._fd = self._staging.new_file()
            self._sink = Sink(self._fd)
            if self._held:
                self._sink.write(bytes(self._held))
                self._held = bytearray()
        return self._sink

    def clone(self, blob: Blob) -> BinaryIO | None:
        """Make this blob a reflink of another one; return a stream to verify it by, None if that cannot be done.

        Nothing may have been written before, and nothing may be written after.

        Raises:
            InputError: the other blob changed meanwhile.
            StorageError: the system refuses.
        """
        try:
            extent = blob.extent()
            if extent is None:
                return None
            self._file()
            return self._reopened(extent) if clone(extent, self._fd) else None
        except OSError as error:
            raise self._staging.failed(error) from error

    def _reopened(self, extent: Extent) -> BinaryIO:
        stream = PreadStream(self._fd, 0, extent.size, where=self._staging.destination, member="the copy")
        return cast("BinaryIO", stream)

    def copy(self, content: Content, progress: Callable[[int], None] | None = None) -> None:
        """Copy all of `content`, as a reflink if possible."""
        try:
            self._file()
            extent = content.extent()
            if extent is not None and clone(extent, self._fd):
                if not content.fixed:
                    with content.open_copy(self._reopened(extent)) as stream:
                        for _ in read_chunks(stream):
                            pass
                if progress is not None:
                    progress(extent.size)
                return
            copy_content(content, Sink(self._fd, progress=progress))
        except OSError as error:
            raise self._staging.failed(error) from error

    def finish(self, digest: Digest) -> StagedBlob:
        """Name the blob, and return it for reading.

        Raises:
            StorageError: it could not be written.
        """
        try:
            if self._sink is None and (first := self._staging.blobs.get(digest)) is not None:
                return first
            self._file()
            # The earlier writeback starts, the sooner the sync ends; a sink starts it only for larger blobs.
            start_writeback(self._fd, 0, 0)
            self._close()
            return self._staging.place(self._name, digest)
        except OSError as error:
            raise self._staging.failed(error) from error

    def abort(self) -> None:
        """Discard the blob; harmless after `finish`."""
        self._close()
        if self._name:
            self._staging.discard(self._name)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
