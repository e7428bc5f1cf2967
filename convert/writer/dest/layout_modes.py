"""How a finished layout or `dir:` folder reaches its destination, by what is there when the run begins.

| at the destination  | mode            | what happens                                       |
|---------------------|-----------------|----------------------------------------------------|
| nothing             | `NewFolder`     | staged beside it, renamed                          |
| an empty folder     | `FillFolder`    | staged inside it, moved up, `index.json` last      |
| a symbolic link     | `ReplaceLink`   | staged beside it, exchanged (`--force`)            |
| a layout            | `ReplaceLayout` | the same, with mode and owner of the old one       |
| a layout            | `AppendLayout`  | staged inside it, blobs moved first (`--append`)   |

A `dir:` folder is written in the same ways, but for the last; what is said of `index.json` holds for its
`manifest.json`. In each of them no reader ever sees a name before what it stands for. A folder that
exists is opened once, and written to by its descriptor.
"""

from __future__ import annotations

import contextlib
import os
import stat
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from convert.archive import folders, temporary
from convert.errors import DestinationExistsError, StorageError
from convert.writer.dest import fill_journal
from convert.writer.dest.replaceable import check_replaceable
from convert.writer.dest.staging import LAYOUT as STAGED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.writer.dest.destination_folder import DestinationFolder
    from convert.writer.dest.staging import Staging


class Mode(ABC):
    """One of the ways in which a layout reaches its destination."""

    #: Whether blobs become part of the result where they are staged.
    final: ClassVar[bool] = True
    #: Whether the destination keeps what it holds.
    appends: ClassVar[bool] = False

    def __init__(self, destination: DestinationFolder) -> None:
        """Write to `destination`, which the caller closes."""
        self.destination = destination

    @property
    def parent(self) -> int:
        """The open folder in which the layout is staged."""
        return self.destination.place.folder

    def begin(self) -> None:
        """Remove what killed runs left; raise an error if the destination cannot be written to in this mode.

        Raises:
            DestinationExistsError: it cannot.
            OSError: the system refuses.
        """
        temporary.remove_stale(self.parent)

    @abstractmethod
    def install(self, staging: Staging, documents: Sequence[str]) -> None:
        """Let the staged layout appear. `documents` are its files in the order in which they may appear.

        Raises:
            FileExistsError: something was created at the destination meanwhile.
            OSError: the system refuses.
            StorageError: the destination was moved, replaced or changed; it is as it was.
        """

    def withdraw(self, entries: Sequence[str]) -> bool:
        """Remove what `install` put where nothing was, these entries; return whether it is gone.

        Raises:
            OSError: the system refuses.
        """
        del entries
        return False


class NewFolder(Mode):
    """Nothing is at the destination: the layout gets its name there by one rename."""

    _installed: os.stat_result | None = None

    def install(self, staging: Staging, documents: Sequence[str]) -> None:
        """Rename the staged folder; see `Mode`."""
        del documents
        place = self.destination.place
        _sync_folders(staging.layout)
        installed = os.fstat(staging.layout)
        folders.rename_new(staging.folder, STAGED, place.folder, place.name)
        self._installed = installed
        folders.sync_folder(place.folder)
        staging.remove()

    def withdraw(self, entries: Sequence[str]) -> bool:
        """Remove the folder if it is still the one that was installed, and holds nothing else; see `Mode`."""
        place = self.destination.place
        if self._installed is None:
            return False
        fd = folders.open_folder(place.folder, place.name)
        try:
            is_ours = os.path.samestat(os.fstat(fd), self._installed)
            if not is_ours or not _empty(fd, entries, self.destination.kind.last):
                return False
        finally:
            os.close(fd)
        os.rmdir(place.name, dir_fd=place.folder)
        return True


class ReplaceLink(Mode):
    """A symbolic link is at the destination, which is replaced itself."""

    def install(self, staging: Staging, documents: Sequence[str]) -> None:
        """Exchange the staged folder for what was there; see `Mode`."""
        del documents
        layout = staging.layout
        self._before_sync(layout)
        _sync_folders(layout)
        # What is in the temporary folder afterwards is removed with it.
        self._replace(staging)
        self._after_replacing(layout)
        folders.sync_folder(self.destination.place.folder)
        staging.remove()

    def _before_sync(self, layout: int) -> None:
        """Prepare the layout."""

    def _after_replacing(self, layout: int) -> None:
        """Complete the layout in its place."""

    def _check_unchanged(self) -> None:
        """Check that the destination is what it was at the start, and may still be replaced."""
        if not self.destination.is_unchanged():
            raise self.destination.changed_error()

    def _check_taken(self) -> None:
        """Check once more what was exchanged for the result."""

    def _replace(self, staging: Staging) -> None:
        """Replace what was at the destination at the start, and nothing else.

        Raises:
            StorageError: something else is there by now; it stays.
        """
        self._check_unchanged()
        place = self.destination.place
        if not folders.exchange(staging.folder, STAGED, place.folder, place.name):
            self._replace_by_two_renames(staging)
            return
        try:
            if not self.destination.is_old(staging.folder, STAGED):  # it was created after the check
                raise self.destination.changed_error()
            self._check_taken()
        except (DestinationExistsError, StorageError, OSError):
            self._exchange_back(staging)
            raise

    def _exchange_back(self, staging: Staging) -> None:
        """Return to the destination what the exchange took from it."""
        place, layout = self.destination.place, staging.layout
        with contextlib.suppress(OSError):
            folders.exchange(staging.folder, STAGED, place.folder, place.name)
        if not folders.is_entry(layout, staging.folder, STAGED):
            self._rescue(staging, STAGED)

    def _rescue(self, staging: Staging, name: str) -> None:
        """Move what must not be removed out of the temporary folder.

        Raises:
            StorageError: always; it names where that is now.
        """
        kept = temporary.name_of_old()
        folders.rename_new(staging.folder, name, self.destination.place.folder, kept)
        raise self.destination.changed_error(f"what was there is beside it now, as {kept}")

    def _replace_by_two_renames(self, staging: Staging) -> None:
        """Replace the old one where the system cannot exchange two names.

        A kill between the renames leaves the old layout beside the destination, under a name
        that no later run removes.
        """
        place = self.destination.place
        aside = temporary.name_of_old()
        folders.rename_new(place.folder, place.name, place.folder, aside)
        try:
            if not self.destination.is_old(place.folder, aside):  # it was created after the check
                raise self.destination.changed_error()
            folders.rename_new(staging.folder, STAGED, place.folder, place.name)
        except (StorageError, OSError) as error:
            try:
                folders.rename_new(place.folder, aside, place.folder, place.name)
            except OSError:
                raise self.destination.changed_error(f"what was there is beside it now, as {aside}") from error
            raise
        folders.rename_new(place.folder, aside, staging.folder, "old")
        if not self.destination.is_old(staging.folder, "old"):
            self._rescue(staging, "old")


class ReplaceLayout(ReplaceLink):
    """A layout is at the destination; the new one gets its mode and owner."""

    def __init__(self, destination: DestinationFolder) -> None:
        """Remember mode and owner of the old layout.

        Raises:
            OSError: the system refuses.
        """
        super().__init__(destination)
        self._access = destination.access()

    def _before_sync(self, layout: int) -> None:
        """Give mode and owner of the old layout to all of the new one.

        A folder that its owner may not write to could not be moved: it gets its own mode after that.
        """
        of_folders, of_files = self._access
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

    def _after_replacing(self, layout: int) -> None:
        self._access[0].apply(layout)

    def _check_unchanged(self) -> None:
        super()._check_unchanged()
        self.destination.check_in_place("nothing was replaced")
        self.destination.check_replaceable()
        if self.destination.access() != self._access:
            raise self.destination.changed_error()

    def _check_taken(self) -> None:
        check_replaceable(self.destination.fd, self.destination.path, self.destination.kind)


class FillFolder(Mode):
    """An empty folder is at the destination; it stays, with its mode and owner."""

    @property
    def parent(self) -> int:
        """The folder itself."""
        return self.destination.fd

    def begin(self) -> None:
        """Check that the folder is empty; see `Mode`."""
        super().begin()
        if os.listdir(self.destination.fd):
            raise self.destination.exists_error()

    def install(self, staging: Staging, documents: Sequence[str]) -> None:
        """Move the staged parts into the folder: blobs, then documents, the index last; see `Mode`."""
        self.destination.check_in_place("nothing was added")
        layout, folder = staging.layout, self.destination.fd
        blobs = staging.entries()
        fill_journal.begin(staging.folder, layout, [*blobs, *documents])
        try:
            for name in blobs:
                folders.rename_new(layout, name, folder, name)
            folders.sync_folder(folder)
            for name in documents:
                folders.rename_new(layout, name, folder, name)
        except OSError:
            with contextlib.suppress(OSError):  # it becomes empty again
                fill_journal.undo(staging.folder, folder)
            raise
        folders.sync_folder(folder)
        staging.remove()

    def withdraw(self, entries: Sequence[str]) -> bool:
        """Empty the folder if it holds nothing else; see `Mode`."""
        return _empty(self.destination.fd, entries, self.destination.kind.last)


class AppendLayout(Mode):
    """A layout is at the destination and is added to."""

    final = False
    appends = True

    def __init__(self, destination: DestinationFolder) -> None:
        """Refuse a layout whose `blobs` are elsewhere: nothing is written through a link.

        Raises:
            DestinationExistsError: `blobs` is not a folder.
        """
        super().__init__(destination)
        status = folders.status_of(destination.fd, "blobs")
        if status is not None and not stat.S_ISDIR(status.st_mode):
            msg = "its blobs is a link or file, not a folder; nothing is added through a link"
            raise DestinationExistsError(msg, code="destination-not-layout", file=destination.path)

    @property
    def parent(self) -> int:
        """The layout itself."""
        return self.destination.fd

    def install(self, staging: Staging, documents: Sequence[str]) -> None:
        """Move the staged parts into the layout: blobs, then documents, the index last; see `Mode`."""
        self.destination.check_in_place("nothing was added")
        layout, folder = staging.layout, self.destination.fd
        self._add_blobs(staging)
        for name in documents:
            os.replace(name, name, src_dir_fd=layout, dst_dir_fd=folder)
        folders.sync_folder(folder)
        staging.remove()

    def _add_blobs(self, staging: Staging) -> None:
        """Move the staged blobs to those of the layout, and make their names durable."""
        folder = self.destination.fd
        opened = [folders.open_folder(staging.layout, "blobs"), folders.make_folder(folder, "blobs")]
        try:
            for algorithm in sorted({digest.algorithm for digest in staging.blobs}):
                staged = folders.open_folder(opened[0], algorithm)
                opened.append(staged)
                below = folders.make_folder(opened[1], algorithm)
                opened.append(below)
                for digest in staging.blobs:
                    if digest.algorithm == algorithm:
                        os.replace(digest.hex, digest.hex, src_dir_fd=staged, dst_dir_fd=below)
                folders.sync_folder(below)
            folders.sync_folder(opened[1])
            folders.sync_folder(folder)
        finally:
            for fd in opened:
                os.close(fd)


def _empty(layout: int, entries: Sequence[str], last: str) -> bool:
    """Remove the document `last`, then all else from a folder that holds only `entries`; else return False."""
    if set(os.listdir(layout)) != set(entries):
        return False
    with contextlib.suppress(FileNotFoundError):  # no reader finds an image that lacks blobs
        os.unlink(last, dir_fd=layout)
    folders.remove_contents(layout)
    return True


def _sync_folders(layout: int) -> None:
    for folder in folders.folders_below(layout):
        folders.sync_folder(folder)
