"""Folder output: a tree of blobs and documents that appears whole, or grows without a gap.

A new folder is staged beside its destination and renamed. An empty one, and a
layout that is appended to, are staged inside and filled in an order in which no
reader ever sees a name before what it stands for: blobs, the documents, and last
the one document that makes it all count.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal, Self

from convert.archive import atomic, settled
from convert.archive.staging import BlobWriter, Staging
from convert.digest import Digest
from convert.errors import DestinationExistsError, StorageError, UsageError

if TYPE_CHECKING:
    from convert.archive.tar_write import Content

#: Written first and last of the documents (image-spec image-layout.md).
_FIRST: Final = "oci-layout"
_LAST: Final = "index.json"

#: What stands at the top of a layout that is filled in place, before `index.json` does.
_OURS: Final = frozenset({"blobs", _FIRST, ".imgconv-layers.json"})
_HEX: Final = re.compile(r"[0-9a-f]{64}(?:[0-9a-f]{64})?\Z")

_How = Literal["new", "fill", "replace", "append"]
#: A document, its extended attribute, and what makes that of the status of each new blob.
_Marking = tuple[str, str, Callable[[Mapping[Digest, os.stat_result]], bytes]]


class FolderOutput:
    """A folder under construction. Use it as a context manager: without `commit` nothing stays."""

    def __init__(
        self,
        destination: str,
        *,
        force: bool = False,
        append: bool = False,
        source: str | None = None,
    ) -> None:
        """Look at the destination and begin.

        What is there may be nothing or an empty folder (filled), a layout to be
        replaced (`force`) or one to be added to (`append`, which keeps it locked
        against another append until the end; where nothing is, it begins one).

        Raises:
            DestinationExistsError: something else is there.
            UsageError: it is the source or inside it, or another imgconv writes to it.
            StorageError: it cannot be written to.
        """
        self.destination = destination
        self._target = os.path.realpath(destination)
        self._lock = -1
        if source is not None and source != "-":
            atomic.refuse_overlap(destination, source)
        self._how: _How = self._look(force=force, append=append)
        if source is not None and source != "-" and self._how == "replace":
            self._keep_source(source)
        parent = os.path.dirname(self._target) if self._how in {"new", "replace"} else self._target
        try:
            if self._how in {"append", "fill"}:
                self._lock_target()
            if self._how == "fill":
                self._clear_half_filled()
            atomic.remove_stale(parent)
            if self._how == "fill" and os.listdir(self._target):
                raise self._exists()
        except OSError as error:
            self._unlock()
            raise self._failed(error) from error
        except BaseException:
            self._unlock()
            raise
        self._documents: dict[str, bytes] = {}
        self._marking: _Marking | None = None
        self.staging = Staging(parent, destination)

    def _look(self, *, force: bool, append: bool) -> _How:
        try:
            names = os.listdir(self._target)
            entries = [name for name in names if not atomic.is_temporary(name)]
        except FileNotFoundError:
            if os.path.lexists(self._target):
                raise self._exists() from None
            return "new"
        except NotADirectoryError as error:
            msg = "the destination exists and is no folder"
            raise DestinationExistsError(msg, file=self.destination) from error
        except OSError as error:
            raise self._failed(error) from error
        if not entries or (len(entries) < len(names) and _half_filled(entries)):
            return "fill"
        if not os.path.isfile(os.path.join(self._target, _FIRST)):
            msg = "the destination is a folder that holds something else than an image layout"
            raise DestinationExistsError(msg, file=self.destination)
        if append:
            return "append"
        if force:
            return "replace"
        raise self._exists()

    def _keep_source(self, source: str) -> None:
        if os.path.realpath(source).startswith(os.path.join(self._target, "")):
            msg = "the source lies inside the destination, which would be replaced"
            raise UsageError(msg, file=self.destination)

    def _exists(self) -> DestinationExistsError:
        msg = "the destination exists already"
        return DestinationExistsError(msg, file=self.destination, hint="--force replaces a layout, --append adds to it")

    def _failed(self, error: OSError) -> StorageError:
        return StorageError.from_os(error, file=self.destination, doing="writing")

    def _lock_target(self) -> None:
        self._lock = os.open(self._target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        free = True
        with contextlib.suppress(OSError):  # a file system without locks: as good as it gets
            free = atomic.lock(self._lock)
        if not free:
            msg = "another imgconv is writing to it"
            raise UsageError(msg, file=self.destination, hint="try again when it is done")

    def _clear_half_filled(self) -> None:
        """Remove what a run that was killed in `_fill` had moved into place; its staging folder is still there."""
        top = os.path.join(self._target, "blobs")
        for folder, _, names in os.walk(top, topdown=False):
            for name in names:
                if _HEX.match(name):
                    os.unlink(os.path.join(folder, name))
            os.rmdir(folder)
        for name in os.listdir(self._target):
            if name in _OURS and name != "blobs":
                os.unlink(os.path.join(self._target, name))

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def appends(self) -> bool:
        """Whether the destination keeps what it holds."""
        return self._how == "append"

    def has_blob(self, digest: Digest, size: int) -> bool:
        """Whether a layout that is appended to holds a blob of this name and size already."""
        status = self.status(digest)
        return status is not None and status.st_size == size

    def status(self, digest: Digest) -> os.stat_result | None:
        """Return what the file system says of a blob that a layout which is appended to holds, if it does."""
        if not self.appends:
            return None
        try:
            status = os.lstat(os.path.join(self._target, "blobs", digest.algorithm, digest.hex))
        except OSError:
            return None
        return status if atomic.is_regular(status) else None

    def now(self) -> int:
        """Return the time by which the destination's file system stamps changes (`settled.py`).

        Raises:
            StorageError: the destination cannot be written to.
        """
        try:
            return settled.now(self.staging.path)
        except OSError as error:
            raise self._failed(error) from error

    def new_blob(self) -> BlobWriter:
        """Start a blob whose name its content will tell."""
        return self.staging.new_blob()

    def put(self, digest: Digest, content: bytes | Content, progress: Callable[[int], None] | None = None) -> None:
        """Store a blob; the content's own stream proves it. May be called from any thread."""
        self.staging.put(digest, content, progress)

    def write(self, name: str, data: bytes) -> None:
        """Store a document at the top of the folder."""
        self._documents[name] = data

    def mark(self, name: str, attribute: str, make: Callable[[Mapping[Digest, os.stat_result]], bytes]) -> None:
        """Give a document an extended attribute, where the file system has such.

        `make` returns it, once every blob that was made is durable and lies where it
        stays. It is told the status of those in which any later change would show.
        """
        self._marking = (name, attribute, make)

    def commit(self, check: Callable[[str], None] | None = None) -> None:
        """Make everything durable, then let it appear, once `check` has seen the staged folder.

        Where a layout is appended to, the staged folder holds what is new.

        Raises:
            DestinationExistsError: something came into place meanwhile.
            StorageError: writing failed; what was there is as it was, or has grown
                by blobs that nothing names.
        """
        try:
            folder = self.staging.path
            os.makedirs(os.path.join(folder, "blobs"), exist_ok=True)
            for name in self._order():
                _write_synced(os.path.join(folder, name), self._documents[name])
            if check is not None:
                check(folder)
            self.staging.sync()
            if self._how in {"new", "replace"}:
                self._appear(folder)
            elif self._how == "append":
                self._fill(folder)
            else:
                try:
                    self._fill(folder)
                except OSError:
                    if not os.path.lexists(os.path.join(self._target, _LAST)):  # it was empty, and shall be again
                        with contextlib.suppress(OSError):
                            self._clear_half_filled()
                    raise
        except FileExistsError as error:
            raise self._exists() from error
        except OSError as error:
            raise self._failed(error) from error

    def _order(self) -> list[str]:
        return sorted(self._documents, key=lambda name: (name != _FIRST, name == _LAST, name))

    def _appear(self, folder: str) -> None:
        """Rename the staged folder to its destination."""
        self._mark(folder, folder)
        for path, _, _ in os.walk(folder):
            atomic.sync_folder(path)
        if self._how == "new":
            atomic.rename_new(folder, self._target)
        elif atomic.exchange(folder, self._target):
            # What was there stands under the temporary name now, which is ours to remove.
            atomic.sync_folder(os.path.dirname(self._target))
            self.staging.remove()
            return
        else:
            aside = os.path.join(os.path.dirname(self._target), atomic.temporary_name())
            os.rename(self._target, aside)
            try:
                os.rename(folder, self._target)
            except OSError:
                os.rename(aside, self._target)
                raise
            with contextlib.suppress(OSError):
                atomic.remove(aside)
        self.staging.moved()
        atomic.sync_folder(os.path.dirname(self._target))

    def _fill(self, folder: str) -> None:
        """Move the staged parts into the folder: blobs, then documents, the index last."""
        top = os.path.join(self._target, "blobs")
        os.makedirs(top, exist_ok=True)
        for digest in self.staging.blobs:
            below = os.path.join(top, digest.algorithm)
            os.makedirs(below, exist_ok=True)
            os.replace(os.path.join(folder, "blobs", digest.algorithm, digest.hex), os.path.join(below, digest.hex))
        for algorithm in sorted({digest.algorithm for digest in self.staging.blobs}):
            atomic.sync_folder(os.path.join(top, algorithm))
        atomic.sync_folder(top)
        atomic.sync_folder(self._target)
        self._mark(folder, self._target)
        for name in self._order():
            os.replace(os.path.join(folder, name), os.path.join(self._target, name))
        atomic.sync_folder(self._target)
        self.staging.remove()

    def _mark(self, documents: str, top: str) -> None:
        """Set the attribute of a document in the folder `documents`; the blobs lie below `top`."""
        if self._marking is None or not hasattr(os, "setxattr"):
            return
        name, attribute, make = self._marking
        paths = {digest: os.path.join(top, "blobs", digest.algorithm, digest.hex) for digest in self.staging.blobs}
        # It only saves work: where it cannot be set, the work is done.
        with contextlib.suppress(OSError):
            since = settled.wait(documents, [os.lstat(path) for path in paths.values()])
            found = {digest: os.lstat(path) for digest, path in paths.items()}
            told = {digest: status for digest, status in found.items() if settled.shows_changes(status, since)}
            os.setxattr(os.path.join(documents, name), attribute, make(told))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what is not committed, and unlock."""
        self.staging.remove()
        self._unlock()


def _half_filled(entries: list[str]) -> bool:
    """Whether these are parts of a layout that came before its index."""
    return set(entries) <= _OURS and _LAST not in entries


def _write_synced(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
