"""Atomic output: a file is built beside its destination, synced and renamed.

The folder of the destination is opened once (`folders.py`). The rename is `renameat2`
on Linux and `renameatx_np` on macOS where the file system has them (never over an
existing result, or by exchange with it), else the nearest thing POSIX offers.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Final, Self

from convert import cancel
from convert.archive import folders, temporary
from convert.archive.entry import Entry
from convert.archive.folders import Place
from convert.errors import DestinationExistsError, StorageError, UsageError

#: Mode of a file that replaces another while it is built; it gets the other's mode at the end.
_PRIVATE: Final = 0o600
#: Standard output and standard error.
_PRINTED: Final = (1, 2)


def refuse_overlap(destination: str, source: str) -> None:
    """Refuse a destination that is the source or is inside it.

    Raises:
        UsageError: it is.
    """
    target, origin = os.path.realpath(destination), os.path.realpath(source)
    same = target == origin
    with contextlib.suppress(OSError):
        same = same or os.path.samefile(target, origin)
    if same or (os.path.isdir(origin) and target.startswith(os.path.join(origin, ""))):
        msg = "the destination is the source, or is inside it"
        raise UsageError(msg, code="destination-overlaps-source", file=destination)


def is_regular(status: os.stat_result) -> bool:
    """Whether a stat result is that of a regular file."""
    return stat.S_ISREG(status.st_mode)


class AtomicFile:
    """A file under construction beside its destination.

    Write to `fd`, then `commit`; leaving the context without it removes all.
    """

    def __init__(
        self,
        destination: str | Place,
        *,
        replace: bool,
        replace_link: bool | None = None,
        same: os.stat_result | None = None,
    ) -> None:
        """Create the temporary file.

        `replace` allows a regular file at the destination, which gives the new one its
        mode, owner and ACL; `replace_link` a symbolic link, which is replaced itself
        (as `replace` if None). Only what is there now is replaced; with `same` only that
        file. A `Place` is closed with this.

        Raises:
            DestinationExistsError: something is there and may not be replaced.
            UsageError: it is where standard output or standard error goes.
            StorageError: the folder is missing or cannot be written to, or `same` was replaced.
        """
        self.destination = destination if isinstance(destination, str) else destination.path
        self._replace = replace
        self._replace_link = replace if replace_link is None else replace_link
        self._name = ""
        self.fd = -1
        if self.destination.endswith("/"):
            raise UsageError(
                "a file name is needed here, not a folder", code="destination-is-folder", file=self.destination
            )
        try:
            self._place = Place(destination) if isinstance(destination, str) else destination
        except (FileNotFoundError, NotADirectoryError) as error:
            raise folder_missing(self.destination) from error
        except OSError as error:
            raise self._failed(error, "opening its folder") from error
        try:
            self._old = Entry(self._place)
        except OSError as error:
            self._place.close()
            raise self._failed(error, "looking at it") from error
        try:
            self._check_old(self._old.status, same)
            temporary.remove_stale(self.folder)
            mode = 0o666 if self._old.access is None else _PRIVATE
            self._name, self.fd = temporary.make_file(self.folder, mode)
        except OSError as error:
            self._close()
            raise self._failed(error, "creating a file beside it") from error
        except BaseException:
            self._close()
            raise

    @property
    def folder(self) -> int:
        """The open folder of the destination."""
        return self._place.folder

    def _failed(self, error: OSError, doing: str) -> StorageError:
        return StorageError.from_os(error, file=self.destination, doing=doing)

    def _changed(self) -> StorageError:
        return changed(self.destination, "nothing was written")

    def _check_old(self, status: os.stat_result | None, same: os.stat_result | None) -> None:
        """Check that what is at the destination may be replaced.

        Raises:
            DestinationExistsError: it may not.
            StorageError: it is not the file `same`.
        """
        if same is not None and (status is None or not os.path.samestat(status, same)):
            raise self._changed()
        if status is None:
            return
        if stat.S_ISLNK(status.st_mode):
            if not self._replace_link:
                raise self._is_link()
            return
        if not is_regular(status):
            msg = "the destination exists and is not a regular file"
            raise DestinationExistsError(msg, code="destination-not-regular", file=self.destination)
        if not self._replace:
            raise _exists(self.destination)
        for fd in _PRINTED:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(fd), status):
                    raise UsageError(
                        "what the command prints goes to this file",
                        code="destination-overlaps-output",
                        file=self.destination,
                        hint="name another file, or redirect to another one",
                    )

    def is_same_place(self, other: AtomicFile) -> bool:
        """Whether another file is built for the same name, or to replace the same file."""
        folders_are_same = os.path.samestat(os.fstat(self.folder), os.fstat(other.folder))
        if folders_are_same and self._place.name == other._place.name:
            return True
        mine, its = self._old.status, other._old.status
        return mine is not None and its is not None and os.path.samestat(mine, its)

    def _is_link(self) -> DestinationExistsError:
        hint = "name the file it leads to" if self._replace else "--force replaces the link, not what it leads to"
        return DestinationExistsError(
            "the destination is a symbolic link", code="destination-is-link", file=self.destination, hint=hint
        )

    def commit(self) -> None:
        """Make the bytes durable, then put them in place in one step.

        Raises:
            DestinationExistsError: something came into place meanwhile, and nothing may
                be replaced.
            StorageError: the system refuses, or the destination, its folder or the
                temporary file was moved, replaced or changed.
        """
        cancel.check()
        old = self._old
        try:
            self._check_unchanged(old)
            if old.access is not None:
                old.access.apply(self.fd)
            os.fsync(self.fd)
            self._place.check_folder()
            if not folders.is_entry(self.fd, self.folder, self._name):
                msg = "the temporary file beside it was moved or replaced during the run; nothing was written"
                raise StorageError(msg, code="destination-changed", file=self.destination)
            if old.status is None:
                folders.rename_new(self.folder, self._name, self.folder, self._place.name)
                self._name = ""
            else:
                self._replace_old(old)
            folders.sync_folder(self.folder)
        except FileExistsError as error:
            raise self._came() from error
        except OSError as error:
            raise self._failed(error, "putting it in place") from error

    def _came(self) -> StorageError | DestinationExistsError:
        return self._changed() if self._replace else _exists(self.destination)

    def _check_unchanged(self, old: Entry) -> None:
        if not old.is_unchanged():
            raise self._came() if old.status is None else self._changed()

    def _replace_old(self, old: Entry) -> None:
        """Replace what was at the destination at the start, and nothing else.

        Raises:
            StorageError: something else is there by now; it stays.
        """
        self._check_unchanged(old)
        folder, name = self.folder, self._place.name
        if not folders.exchange(folder, self._name, folder, name):
            os.replace(self._name, name, src_dir_fd=folder, dst_dir_fd=folder)
            self._name = ""
            return
        if not old.is_at(folder, self._name):  # it came after the check
            folders.exchange(folder, self._name, folder, name)
            raise self._changed()
        os.unlink(self._name, dir_fd=folder)
        self._name = ""

    def withdraw(self) -> bool:
        """Remove the file that `commit` put where nothing was; return whether it is gone.

        One that replaced another stays, and so does what somebody else put there since.
        """
        if self._old.status is not None or not folders.is_entry(self.fd, self.folder, self._place.name):
            return False
        try:
            os.unlink(self._place.name, dir_fd=self.folder)
        except OSError:
            return False
        return True

    def abort(self) -> None:
        """Remove what is not committed; harmless after `commit`."""
        if self._name:
            with contextlib.suppress(OSError):
                if folders.is_entry(self.fd, self.folder, self._name):
                    os.unlink(self._name, dir_fd=self.folder)
            self._name = ""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self._close()

    def _close(self) -> None:
        self._old.close()
        self._place.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what is not committed, and close."""
        self.abort()


def folder_missing(destination: str) -> StorageError:
    """Return the error for a destination in a folder that does not exist."""
    import shlex  # noqa: PLC0415 - only for errors

    folder = os.path.dirname(os.path.realpath(destination))
    return StorageError(
        "cannot create it: its folder does not exist",
        code="destination-folder-missing",
        file=destination,
        hint=f"mkdir -p {shlex.quote(folder)}",
    )


def changed(destination: str, outcome: str) -> StorageError:
    """Return the error for a destination that changed during the run; `outcome` states what was done."""
    return StorageError(
        f"it was moved, replaced or changed during the run; {outcome}", code="destination-changed", file=destination
    )


def _exists(destination: str) -> DestinationExistsError:
    return DestinationExistsError("the destination exists already", file=destination, hint="--force replaces it")
