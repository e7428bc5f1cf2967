"""`Tree`: the names of an archive and the bytes behind them, tar or folder alike.

Names are looked up, never used as paths of this machine, and links are followed
among the archive's own members only (CVE-2014-9356, CVE-2014-9358; FORMATS.md,
section 9).
"""

from __future__ import annotations

import errno
import os
import stat
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Self

from convert.archive import tar_read
from convert.archive.blobs import FolderBlob, SliceBlob, Stamp, changed
from convert.archive.tar_read import Member, StreamCursor
from convert.errors import FormatError, StorageError, UnsafeInputError, UnsupportedError
from convert.limits import CHUNK, MAX_DOCUMENT_SIZE, MAX_LINK_HOPS, MAX_MEMBER_NAME, MAX_MEMBERS
from convert.remarks import Remarks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convert.model import Blob


def clean(name: str) -> str | None:
    """Return a member name without `.` and empty parts, as `./a//b/` means `a/b`.

    None where no reader can agree about it or where it names nothing: absolute, with
    `..`, empty, or with a NUL.
    """
    if name.startswith("/") or "\0" in name:
        return None
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if not parts or ".." in parts:
        return None
    found = "/".join(parts)
    return name if found == name else found  # one text for a million members, not two


class Tree(ABC):
    """The members of one archive, by name.

    A name is relative with `/` between its parts. Close it when nothing of it is
    read any more; it is a context manager.
    """

    is_folder: bool = False

    def __init__(self, where: str) -> None:
        """Name the source `where` in errors."""
        self.where = where
        self.warnings = Remarks()

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Return every name once, folders too, in the archive's order."""

    @abstractmethod
    def member(self, name: str) -> Member | None:
        """Return what lies under exactly this name, no link followed; None if nothing does.

        Raises:
            FormatError: several members have that name and differ.
        """

    @abstractmethod
    def _blob(self, name: str, member: Member) -> Blob:
        """Return the content of a regular member, the same object each time."""

    @abstractmethod
    def check_unchanged(self) -> None:
        """Raise `InputError` if the source was written to since it was opened."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the source; blobs cannot be read any more."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def find(self, name: str) -> Blob | None:
        """Return the bytes behind a name, links inside the archive followed; None if absent.

        The same bytes give the same object, so that identity can be used to read
        nothing twice.

        Raises:
            UnsafeInputError: the name or a link leaves the archive, the name is
                longer than any, links go in a circle or on for too long, or it is
                a device.
            FormatError: it is a folder, or several members with that name differ.
            UnsupportedError: it is a sparse member.
        """
        found = self._resolve(name)
        if found is None:
            return None
        path, member = found
        if member.kind == "dir":
            msg = "a file is needed here, and this is a folder"
            raise FormatError(msg, file=self.where, member=name)
        if member.kind != "file":
            kind = "special" if member.kind == "other" else member.kind
            msg = f"a file is needed here, and this is a {kind} member"
            raise UnsafeInputError(msg, file=self.where, member=name)
        if member.sparse:
            msg = "it is a sparse tar member, whose bytes are not stored as they are"
            raise UnsupportedError(msg, file=self.where, member=name, hint="pack the archive without --sparse")
        return self._blob(path, member)

    def read(self, name: str, limit: int = MAX_DOCUMENT_SIZE) -> bytes:
        """Return the bytes of a small document.

        Raises:
            FormatError: there is no such member.
            UnsafeInputError: it is larger than `limit`.
            Others: as `find`.
        """
        blob = self.find(name)
        if blob is None:
            msg = "there is no such member"
            raise FormatError(msg, file=self.where, member=name)
        with blob.open() as stream:
            data = stream.read(limit + 1) if blob.size is None or blob.size <= limit else None
            while data is not None and len(data) <= limit and (more := stream.read(CHUNK)):
                data += more
        if data is None or len(data) > limit:
            msg = f"a document of more than {limit} bytes is not read"
            raise UnsafeInputError(msg, file=self.where, member=name)
        return data

    def _resolve(self, name: str) -> tuple[str, Member] | None:
        """Follow links from a name to a member that is none."""
        path = clean(name)
        if path is None:
            msg = "a name that is absolute, empty or has '..' names nothing in an archive"
            raise UnsafeInputError(msg, file=self.where, member=name)
        if len(path) > MAX_MEMBER_NAME:
            # No member has such a name, and each folder in it would be looked for.
            msg = f"a name of more than {MAX_MEMBER_NAME} characters"
            raise UnsafeInputError(msg, file=self.where, member=name)
        for _ in range(MAX_LINK_HOPS + 1):
            step = self._step(path, name)
            if step is None:
                return None
            if isinstance(step, Member):
                return path, step
            path = step
        msg = f"links go in a circle or on for more than {MAX_LINK_HOPS} steps"
        raise UnsafeInputError(msg, file=self.where, member=name)

    def _step(self, path: str, asked: str) -> Member | str | None:
        """Return the member at `path`, or the path its first link leads to, or None."""
        parts = path.split("/")
        for count in range(1, len(parts)):
            parent = self.member("/".join(parts[:count]))
            if parent is not None and parent.kind == "symlink":
                target = self._link_target(parent, parts[: count - 1], asked)
                return "/".join([target, *parts[count:]])
        member = self.member(path)
        if member is None or member.kind not in {"symlink", "hardlink"}:
            return member
        return self._link_target(member, parts[:-1], asked)

    def _link_target(self, member: Member, folder: list[str], asked: str) -> str:
        """Return the name a link leads to.

        A symlink counts from its own folder, a hard link from the archive's root
        (POSIX), or from its own folder where only that exists (go-containerregistry).
        """
        if member.kind == "hardlink":
            target = clean(member.link)
            if target is None:
                raise self._outside(member, asked)
            if folder and self.member(target) is None:
                beside = "/".join([*folder, target])
                return beside if self.member(beside) is not None else target
            return target
        if member.link.startswith("/") or "\0" in member.link:
            raise self._outside(member, asked)
        parts = list(folder)
        too_many = 0
        for part in member.link.split("/"):
            if part == "..":
                if parts:
                    parts.pop()
                else:
                    too_many += 1
            elif part not in {"", "."}:
                parts.append(part)
        target = "/".join(parts)
        # Docker 1.12's release candidates wrote one `..` too many (moby/moby#24951).
        if not target or too_many > 1 or (too_many and self.member(target) is None):
            raise self._outside(member, asked)
        if too_many:
            self._warn(f"{member.name}: its link has one '..' too many; taken as {target}")
        return target

    def _outside(self, member: Member, asked: str) -> UnsafeInputError:
        return UnsafeInputError(f"its link to {member.link!r} leads out of the archive", file=self.where, member=asked)

    def _warn(self, text: str) -> None:
        self.warnings.append(text)


class MemberTree(Tree):
    """A tree over a list of tar members."""

    def __init__(self, where: str) -> None:
        """Begin without members."""
        super().__init__(where)
        self._members: dict[str, Member] = {}
        self._repeated: dict[str, list[Member]] = {}

    def _add(self, member: Member) -> str | None:
        """Take a member in under its clean name; None if it cannot have one."""
        name = clean(member.name)
        if name is None:
            if member.kind != "dir" or member.name.strip("./"):
                self._warn(f"the member {member.name!r} is ignored: its name is empty or leads out of the archive")
            return None
        if member.kind in {"device", "fifo", "other"}:
            kind = "special" if member.kind == "other" else member.kind
            self._warn(f"the {kind} member {name!r} is ignored")
        first = self._members.setdefault(name, member)
        if first is not member:
            self._repeated.setdefault(name, [first]).append(member)
        return name

    def names(self) -> Sequence[str]:
        """Return every name once, folders too, in the archive's order."""
        return list(self._members)

    def member(self, name: str) -> Member | None:
        """Return what lies under exactly this name.

        Readers differ about a repeated name: Docker and containerd take the last,
        skopeo and crane the first. It is refused unless it makes no difference.
        """
        repeated = self._repeated.get(name)
        if repeated is not None:
            self._check_repeated(name, repeated)
        return self._members.get(name)

    def _check_repeated(self, name: str, members: list[Member]) -> None:
        first = members[0]
        for other in members[1:]:
            same = (first.kind, first.size, first.link, first.sparse) == (
                other.kind,
                other.size,
                other.link,
                other.sparse,
            )
            # Sparse ones are refused whatever their bytes are, so a pipe's are not kept.
            read = first.kind == "file" and not first.sparse
            if not same or (read and not self._same_bytes(name, first, other)):
                msg = f"the archive has {len(members)} members of this name, and they differ"
                raise FormatError(msg, file=self.where, member=name)
        del self._repeated[name]
        if first.kind != "dir":
            self._warn(f"{name}: {len(members)} members of this name, all alike")

    @abstractmethod
    def _content(self, name: str, member: Member) -> Blob:
        """Return the content of one particular member."""

    def _same_bytes(self, name: str, first: Member, other: Member) -> bool:
        with self._content(name, first).open() as one, self._content(name, other).open() as two:
            left, right = StreamCursor(one), StreamCursor(two)
            while data := left.read(CHUNK):
                if data != right.read(CHUNK):
                    return False
            return not right.read(1)


class TarTree(MemberTree):
    """A tar in a regular file: indexed by its headers, contents read where they lie."""

    def __init__(self, fd: int, where: str) -> None:
        """Index the tar in `fd`, which is closed with the tree, also if this raises.

        Raises:
            UnknownFormatError: it is no tar.
            InputError: it is a damaged one.
        """
        super().__init__(where)
        self.fd = fd
        self._blobs: dict[int, SliceBlob] = {}
        try:
            self._stamp = Stamp.of(os.fstat(fd))
            #: Every member in the archive's order, with those no name leads to.
            self.members: list[Member]
            self.members, warnings, self.end = tar_read.index(fd, self._stamp.size, where=where)
            for member in self.members:
                self._add(member)
            self.warnings += warnings
        except OSError as error:
            os.close(fd)
            raise StorageError.from_os(error, file=where, doing="reading") from error
        except BaseException:
            os.close(fd)
            raise

    def _content(self, name: str, member: Member) -> SliceBlob:
        blob = self._blobs.get(member.offset)
        if blob is None:
            blob = SliceBlob(self.fd, member.offset, member.size, where=name, file=self.where)
            self._blobs[member.offset] = blob
        return blob

    def _blob(self, name: str, member: Member) -> SliceBlob:
        return self._content(name, member)

    def check_unchanged(self) -> None:
        """Raise `InputError` if the file was written to since it was opened."""
        if Stamp.of(os.fstat(self.fd)) != self._stamp:
            raise changed(self.where, "")

    def close(self) -> None:
        """Close the file."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class FolderTree(Tree):
    """A folder: an OCI layout, or an archive somebody unpacked."""

    is_folder = True

    def __init__(self, fd: int, where: str) -> None:
        """Look things up below the open folder `fd`, which is closed with the tree."""
        super().__init__(where)
        self._fd = fd
        self._members: dict[str, Member | None] = {}
        self._stamps: dict[str, Stamp] = {}
        self._blobs: dict[str, FolderBlob] = {}

    def names(self) -> Sequence[str]:
        """Return every name below the folder, sorted, so that no file system decides."""
        found: list[str] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            for entry in self._entries(folder):
                name = f"{folder}/{entry.name}" if folder else entry.name
                if len(name) > MAX_MEMBER_NAME or len(found) >= MAX_MEMBERS:
                    msg = "the folder is too deep or holds too many files"
                    raise UnsafeInputError(msg, file=self.where)
                found.append(name)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name)
        return sorted(found)

    def _entries(self, folder: str) -> Iterable[os.DirEntry[str]]:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW
        try:
            fd = os.open(folder or ".", flags, dir_fd=self._fd)
            try:
                with os.scandir(fd) as entries:
                    return list(entries)
            finally:
                os.close(fd)
        except OSError as error:
            raise StorageError.from_os(error, file=self.where, doing=f"reading {folder or 'it'}") from error

    def member(self, name: str) -> Member | None:
        """Return what lies under exactly this name, no link followed."""
        if name not in self._members:
            self._members[name] = self._look(name)
        return self._members[name]

    def _look(self, name: str) -> Member | None:
        parent = name.rpartition("/")[0]
        if parent:
            above = self.member(parent)
            if above is None or above.kind != "dir":
                return None
        try:
            status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
            link = os.readlink(name, dir_fd=self._fd) if stat.S_ISLNK(status.st_mode) else ""
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None  # ValueError: the system has no spelling for such a name
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return None
            raise StorageError.from_os(error, file=self.where, doing=f"looking for {name}") from error
        kind = _FILE_KINDS.get(stat.S_IFMT(status.st_mode), "device")
        if kind == "file":
            self._stamps[name] = Stamp.of(status)
        return Member(name, kind, status.st_size if kind == "file" else 0, link)

    def _blob(self, name: str, member: Member) -> FolderBlob:
        blob = self._blobs.get(name)
        if blob is None:
            parts = tuple(member.name.split("/"))
            blob = FolderBlob(self._fd, parts, self._stamps[name], where=name, file=self.where)
            self._blobs[name] = blob
        return blob

    def check_unchanged(self) -> None:
        """Raise `InputError` if a file that was found is not the same any more."""
        for name, blob in self._blobs.items():
            try:
                status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
            except OSError as error:
                raise changed(self.where, name) from error
            if Stamp.of(status) != blob.stamp:
                raise changed(self.where, name)

    def close(self) -> None:
        """Close the folder."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


_FILE_KINDS: Final[dict[int, tar_read.Kind]] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
}
