"""Folder output: a tree of blobs and documents that appears whole, or grows without a gap.

A new folder is staged beside its destination and renamed. An empty one, and a
layout that is appended to, are staged inside and filled in an order in which no
reader ever sees a name before what it stands for: blobs, the documents, and last
the one document that makes it all count. A folder that is there is opened once, and
written to by its descriptor.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Literal, Self

from convert.archive import atomic, folders, temporary
from convert.archive.access import Access
from convert.archive.entry import Entry
from convert.archive.open import open_descriptor
from convert.errors import DestinationExistsError, StorageError, UsageError
from convert.writer.dest import fill_journal
from convert.writer.dest.replaceable import INDEX, LAYOUT, check_replaceable
from convert.writer.dest.staging import LAYOUT as STAGED
from convert.writer.dest.staging import BlobWriter, Staging

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.archive.open import Source
    from convert.model.blob import Content
    from convert.model.digest import Digest

_How = Literal["new", "fill", "replace", "replace link", "append"]


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
        against another append until the end; where nothing is, it begins one). A
        symbolic link is refused, or replaced itself (`force`).

        Raises:
            DestinationExistsError: something else is there.
            UsageError: it is the source or inside it, or another imgconv writes to it.
            StorageError: it cannot be written to.
        """
        self.destination = destination
        self._force = force
        self._documents: dict[str, bytes] = {}
        self._attributes: dict[str, tuple[str, bytes]] = {}
        #: The open folder at the destination, where one is.
        self._target = -1
        #: What was at the destination at the start, and what the new layout takes over from it.
        self._old: Entry | None = None
        self._kept: tuple[Access, Access] | None = None
        if source is not None and source != "-":
            atomic.refuse_overlap(destination, source)
        try:
            self._place = folders.Place(destination)
        except OSError as error:
            raise self._failed(error) from error
        try:
            self._how: _How = self._look(source, force=force, append=append)
            parent = self._target if self._how in {"fill", "append"} else self._place.folder
            temporary.remove_stale(parent)
            if self._how == "fill" and os.listdir(self._target):
                raise self._exists()
        except OSError as error:
            self._close()
            raise self._failed(error) from error
        except BaseException:
            self._close()
            raise
        self.staging = Staging(parent, destination, final=self._how != "append")

    def _look(self, source: str | None, *, force: bool, append: bool) -> _How:
        """Open what is at the destination, and return what is to be done with it."""
        self._old = Entry(self._place)
        status = self._old.status
        if status is None:
            return "new"
        if stat.S_ISLNK(status.st_mode):
            if force:
                return "replace link"
            hint = "--force replaces the link, not what it leads to"
            raise DestinationExistsError("the destination is a symbolic link", file=self.destination, hint=hint)
        if not stat.S_ISDIR(status.st_mode):
            raise DestinationExistsError("the destination exists and is not a folder", file=self.destination)
        self._target = folders.open_folder(self._place.folder, self._place.name)
        self._check_target("nothing was written")
        entries, left = self._entries()
        locked = False
        if left or not entries or append or force:
            locked = self._lock()
        if left and locked:
            fill_journal.recover(self._target)
            entries, _ = self._entries()
        how: _How = "fill" if not entries else "append" if append else "replace"
        if how != "replace" and not locked:
            msg = "another imgconv is writing to it"
            raise UsageError(msg, file=self.destination, hint="try again when it is done")
        if how == "fill":
            return how
        if not self._has_layout_file():
            msg = "the destination is a folder that holds something else than an image layout"
            raise DestinationExistsError(msg, file=self.destination)
        if how == "append":
            self._refuse_linked_blobs()
        elif not force:
            raise self._exists()
        else:
            self._keep_source(source)
            temporary.remove_stale(self._target)
            self._check_layout()
            self._kept = self._access_of_old()
        return how

    def _entries(self) -> tuple[list[str], bool]:
        """Return what is in the destination but temporary files, and whether there are any of those."""
        names = os.listdir(self._target)
        entries = [name for name in names if not temporary.is_temporary(name)]
        return entries, len(entries) < len(names)

    def _lock(self) -> bool:
        """Lock the destination; False if another imgconv has it."""
        try:
            return temporary.lock(self._target)
        except OSError:  # a file system without locks
            return True

    def _has_layout_file(self) -> bool:
        status = folders.status_of(self._target, LAYOUT)
        return status is not None and atomic.is_regular(status)

    def _refuse_linked_blobs(self) -> None:
        """Refuse a layout whose `blobs` lie elsewhere: nothing is written through a link."""
        status = folders.status_of(self._target, "blobs")
        if status is not None and not stat.S_ISDIR(status.st_mode):
            msg = "its blobs is a link or file, not a folder; nothing is added through a link"
            raise DestinationExistsError(msg, file=self.destination)

    def _keep_source(self, source: str | None) -> None:
        if source is None or source == "-":
            return
        if os.path.realpath(source).startswith(os.path.join(os.path.realpath(self.destination), "")):
            msg = "the source lies inside the destination, which would be replaced"
            raise UsageError(msg, file=self.destination)

    def _exists(self) -> DestinationExistsError:
        msg = "the destination exists already"
        return DestinationExistsError(msg, file=self.destination, hint="--force replaces a layout, --append adds to it")

    def _failed(self, error: OSError) -> StorageError:
        return StorageError.from_os(error, file=self.destination, doing="writing")

    def _close(self) -> None:
        if self._target >= 0:
            os.close(self._target)  # and with it its lock
            self._target = -1
        if self._old is not None:
            self._old.close()
        self._place.close()

    @property
    def descriptor(self) -> int:
        """The open folder at the destination; negative where there is none."""
        return self._target

    @property
    def appends(self) -> bool:
        """Whether the destination keeps what it holds."""
        return self._how == "append"

    def has_blob(self, digest: Digest, size: int) -> bool:
        """Whether a layout that is appended to holds a blob of this name and size already."""
        if not self.appends:
            return False
        below: list[int] = []
        try:
            for name in ("blobs", digest.algorithm):
                below.append(folders.open_folder(below[-1] if below else self._target, name))
            status = folders.status_of(below[-1], digest.hex)
        except OSError:
            return False
        finally:
            for fd in below:
                os.close(fd)
        return status is not None and atomic.is_regular(status) and status.st_size == size

    def open(self) -> Source:
        """Open the layout that is appended to, as a source; it is closed by the caller.

        Raises:
            StorageError: it cannot be read.
        """
        return open_descriptor(self._target, self.destination)

    def new_blob(self) -> BlobWriter:
        """Start a blob whose name its content will tell."""
        return self.staging.new_blob()

    def put(self, digest: Digest, content: bytes | Content, progress: Callable[[int], None] | None = None) -> None:
        """Store a blob, which is verified while it is read or copied. May be called from any thread."""
        self.staging.put(digest, content, progress)

    def write(self, name: str, data: bytes) -> None:
        """Store a document at the top of the folder."""
        self._documents[name] = data

    def set_attribute(self, name: str, attribute: str, value: bytes) -> None:
        """Give a document an extended attribute, where the file system has such."""
        self._attributes[name] = (attribute, value)

    def commit(self, check: Callable[[int], None] | None = None) -> None:
        """Make everything durable, then let it appear, once `check` has seen the staged folder by its descriptor.

        Where a layout is appended to, the staged folder holds what is new.

        Raises:
            DestinationExistsError: something came into place meanwhile.
            StorageError: writing failed, or the destination was moved away; what was
                there is as it was, or has grown by blobs that nothing names.
        """
        try:
            layout = self.staging.layout
            os.close(folders.make_folder(layout, "blobs"))
            for name in self._order():
                folders.write_new(layout, name, self._documents[name])
                self._set_attribute(layout, name)
            if check is not None:
                check(layout)
            self.staging.sync()
            self._place.check_folder()
            if self._how in {"new", "replace", "replace link"}:
                self._appear(layout)
            else:
                self._check_target("nothing was added")
                self._fill(layout)
        except FileExistsError as error:
            raise (self._changed() if self._force else self._exists()) from error
        except OSError as error:
            raise self._failed(error) from error

    def _order(self) -> list[str]:
        return sorted(self._documents, key=lambda name: (name != LAYOUT, name == INDEX, name))

    def _changed(self) -> StorageError:
        return atomic.changed(self.destination, "nothing was replaced")

    def _is_old(self, folder: int, name: str) -> bool:
        """Whether a name in a folder stands for what was at the destination at the start."""
        return self._old is not None and self._old.is_at(folder, name)

    def _check_target(self, outcome: str) -> None:
        """Check that the destination still names the folder that was opened."""
        opened = folders.is_entry(self._target, self._place.folder, self._place.name)
        if not (opened and self._is_old(self._place.folder, self._place.name)):
            raise atomic.changed(self.destination, outcome)

    def _check_layout(self) -> None:
        """Check that the folder that was opened is a layout, and holds nothing else.

        Raises:
            DestinationExistsError: it is not.
            StorageError: another run is replacing it.
        """
        try:
            check_replaceable(self._target, self.destination)
        except (DestinationExistsError, OSError):
            self._check_target("nothing was replaced")
            raise

    def _appear(self, layout: int) -> None:
        """Move the staged folder to its destination."""
        if self._kept is not None:
            self._give_access(layout, *self._kept)
        for folder in folders.folders_below(layout):
            folders.sync_folder(folder)
        if self._how == "new":
            folders.rename_new(self.staging.folder, STAGED, self._place.folder, self._place.name)
        else:
            with atomic.held_back():  # until what is in the temporary folder may go with it
                self._replace_old(layout)
        if self._kept is not None:
            self._kept[0].apply(layout)
        folders.sync_folder(self._place.folder)
        self.staging.remove()

    def _check_unchanged(self) -> None:
        """Check that the destination is what it was at the start, and may still be replaced."""
        if self._old is None or not self._old.is_unchanged():
            raise self._changed()
        if self._how == "replace":
            self._check_target("nothing was replaced")
            self._check_layout()
            if self._access_of_old() != self._kept:
                raise self._changed()

    def _replace_old(self, layout: int) -> None:
        """Replace what was at the destination at the start, and nothing else.

        Raises:
            StorageError: something else is there by now; it stays.
        """
        self._check_unchanged()
        folder, name = self._place.folder, self._place.name
        if not folders.exchange(self.staging.folder, STAGED, folder, name):
            self._put_aside()
            return
        try:
            if not self._is_old(self.staging.folder, STAGED):  # it came after the check
                raise self._changed()
            if self._how == "replace":
                check_replaceable(self._target, self.destination)
        except (DestinationExistsError, StorageError, OSError):
            self._exchange_back(layout)
            raise
        # What was there is in the temporary folder now, which goes with all it holds.

    def _exchange_back(self, layout: int) -> None:
        """Give the destination what the exchange took from it."""
        folder, staging = self._place.folder, self.staging.folder
        with contextlib.suppress(OSError):
            folders.exchange(staging, STAGED, folder, self._place.name)
        if not folders.is_entry(layout, staging, STAGED):
            self._rescue(STAGED)

    def _rescue(self, name: str) -> None:
        """Move what must not be removed out of the temporary folder.

        Raises:
            StorageError: always; it names where that is now.
        """
        kept = temporary.name_of_old()
        folders.rename_new(self.staging.folder, name, self._place.folder, kept)
        raise atomic.changed(self.destination, f"what was there is beside it now, as {kept}")

    def _put_aside(self) -> None:
        """Replace in two renames, where the system cannot do it in one.

        A kill between them leaves the old layout beside the destination, under a name
        that no later run removes.
        """
        folder, name = self._place.folder, self._place.name
        aside = temporary.name_of_old()
        folders.rename_new(folder, name, folder, aside)
        try:
            if not self._is_old(folder, aside):  # it came after the check
                raise self._changed()
            folders.rename_new(self.staging.folder, STAGED, folder, name)
        except (StorageError, OSError) as error:
            try:
                folders.rename_new(folder, aside, folder, name)
            except OSError:
                raise atomic.changed(self.destination, f"what was there is beside it now, as {aside}") from error
            raise
        folders.rename_new(folder, aside, self.staging.folder, "old")
        if not self._is_old(self.staging.folder, "old"):
            self._rescue("old")

    def _access_of_old(self) -> tuple[Access, Access]:
        """Return mode and owner of the old layout: of its folders, and of its files."""
        if self._old is None or self._old.access is None:
            raise self._changed()
        index = os.stat(INDEX, dir_fd=self._target, follow_symlinks=False)
        return self._old.access, Access.of(self._target, INDEX, index)

    def _give_access(self, layout: int, of_folders: Access, of_files: Access) -> None:
        """Give mode and owner of the old layout to all of the new one.

        A folder that its owner may not write to could not be moved: it gets its own mode after that.
        """
        movable = of_folders.movable()
        for folder in folders.folders_below(layout):
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
            for name in names:
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                try:
                    if not of_files.is_that_of(fd):
                        of_files.apply(fd)
                        os.fsync(fd)
                finally:
                    os.close(fd)
            movable.apply(folder)

    def _fill(self, layout: int) -> None:
        """Move the staged parts into the folder: blobs, then documents, the index last."""
        if self._how == "append":
            self._add_blobs(layout)
        else:
            fill_journal.begin(self.staging.folder, layout, ["blobs", *self._order()])
        try:
            if self._how == "fill":
                folders.rename_new(layout, "blobs", self._target, "blobs")
                folders.sync_folder(self._target)
            for name in self._order():
                if self._how == "fill":
                    folders.rename_new(layout, name, self._target, name)
                else:
                    os.replace(name, name, src_dir_fd=layout, dst_dir_fd=self._target)
        except OSError:
            if self._how == "fill":  # it was empty, and shall be again
                with contextlib.suppress(OSError):
                    fill_journal.undo(self.staging.folder, self._target)
            raise
        folders.sync_folder(self._target)
        self.staging.remove()

    def _add_blobs(self, layout: int) -> None:
        """Move the staged blobs to those of the layout, and make their names durable."""
        opened = [folders.open_folder(layout, "blobs"), folders.make_folder(self._target, "blobs")]
        try:
            for algorithm in sorted({digest.algorithm for digest in self.staging.blobs}):
                staged = folders.open_folder(opened[0], algorithm)
                opened.append(staged)
                below = folders.make_folder(opened[1], algorithm)
                opened.append(below)
                for digest in self.staging.blobs:
                    if digest.algorithm == algorithm:
                        os.replace(digest.hex, digest.hex, src_dir_fd=staged, dst_dir_fd=below)
                folders.sync_folder(below)
            folders.sync_folder(opened[1])
            folders.sync_folder(self._target)
        finally:
            for fd in opened:
                os.close(fd)

    def _set_attribute(self, layout: int, name: str) -> None:
        """Set a document's extended attribute, if it has one; it only saves work, so a failure is ignored."""
        if name not in self._attributes or not hasattr(os, "setxattr"):
            return
        with contextlib.suppress(OSError):
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=layout)
            try:
                os.setxattr(fd, *self._attributes[name])
            finally:
                os.close(fd)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what is not committed, and unlock."""
        self.staging.remove()
        self._close()
