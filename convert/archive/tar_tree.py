"""Trees over the members of a tar: lookup of names, and names that tools resolve differently."""

from __future__ import annotations

import os
from abc import abstractmethod
from bisect import bisect_left
from typing import TYPE_CHECKING

from convert.archive import tar_reader
from convert.archive.blob import OpenState, SliceBlob, Stamp, changed
from convert.archive.cursor import StreamCursor
from convert.archive.tree import LINKS, Tree, clean
from convert.errors import FormatError, StorageError
from convert.limits import CHUNK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.archive.member import Kind, Member
    from convert.model.blob import Blob


class MemberTree(Tree):
    """A tree over a list of tar members."""

    def __init__(self, where: str) -> None:
        """Begin without members."""
        super().__init__(where)
        self._members: dict[str, Member] = {}
        self._repeated: dict[str, list[Member]] = {}
        # Names that only some tools give to a member, and that member's kind and name as written.
        self._claimed: dict[str, str] = {}
        self._below_links: dict[str, str] | None = None
        #: Whether a member may be a link; known once `_below_links` is.
        self._may_have_links = True
        self._children: dict[str, dict[str, Kind]] | None = None

    def _add(self, member: Member) -> str | None:
        """Take a member in under its clean name; None if it cannot have one."""
        name = clean(member.name)
        if member.kind == "global":
            if name is not None:
                self._claimed[name] = f"the global PAX header '{member.name}'"
            return None
        if name is None:
            if member.kind != "dir" or member.name.strip("./"):
                text = f"the member '{member.name}' is ignored: its name is empty or leads out of the archive"
                self._warn(text, code="ignored-member", member=member.name)
            inside = _without_leading_dots(member.name)
            if inside is not None:
                self._claimed[inside] = f"the member '{member.name}'"
            return None
        if member.kind in {"device", "fifo", "other"}:
            kind = "special" if member.kind == "other" else member.kind
            self._warn(f"the {kind} member '{name}' is ignored", code="ignored-member", member=name)
        first = self._members.setdefault(name, member)
        if first is not member:
            self._repeated.setdefault(name, [first]).append(member)
            if member.name.startswith("/") != first.name.startswith("/"):
                self._other_spelling.setdefault(name, member)
        return name

    def names(self) -> Sequence[str]:
        """Return every name once, folders too, in the archive's order."""
        return list(self._members)

    def children(self, folder: str) -> list[tuple[str, Kind]]:
        """Return what is directly in a folder; a tar needs no member for the folder itself."""
        if self._children is None:
            self._children = self._find_children()
        return sorted(self._children.get(folder, {}).items())

    def _find_children(self) -> dict[str, dict[str, Kind]]:
        found: dict[str, dict[str, Kind]] = {}
        for name, member in self._members.items():
            above, _, last = name.rpartition("/")
            found.setdefault(above, {})[last] = member.kind
            while above:
                above, _, last = above.rpartition("/")
                beside = found.setdefault(above, {})
                if last in beside:
                    break  # the folders above it are there too
                beside[last] = "dir"
        return found

    def member(self, name: str) -> Member | None:
        """Return the member with exactly this name.

        Readers differ about a repeated name: Docker and containerd take the last,
        skopeo and crane the first. It is refused unless it makes no difference.
        """
        repeated = self._repeated.get(name)
        if repeated is not None:
            self._check_repeated(name, repeated)
        return self._members.get(name)

    def _check_name(self, path: str) -> None:
        """Refuse a name that some tools take for another member.

        skopeo and crane find a global header by its name, Docker and GNU tar clamp a
        name that leads out, and unpacking goes through a folder that is a link where
        skopeo and crane compare names only.
        """
        claimed = self._claimed.get(path)
        if claimed is not None:
            raise self._disputed(path, f"{claimed} has this name too")
        if self._below_links is None:
            self._below_links = self._find_below_links()
        if self._below_links:
            for part in path.split("/"):
                below = self._below_links.get(part)
                if below is not None:
                    raise self._disputed(path, f"the member '{below}' is below a link")

    def _through_folder(self, parts: list[str], asked: str) -> str | None:
        # Without links no folder is one, and hundreds of thousands of names may be looked up.
        if not self._may_have_links and not self._repeated:
            return None
        return super()._through_folder(parts, asked)

    def _find_below_links(self) -> dict[str, str]:
        """Return the members below a link, by the last part of their names.

        The folder of such a member depends on the reader; the last part of its name does not.
        """
        links = {name for name, member in self._members.items() if member.kind in LINKS}
        links |= {name for name, each in self._repeated.items() if any(member.kind in LINKS for member in each)}
        self._may_have_links = bool(links)
        if not links:
            return {}
        names = sorted(self._members)
        # Names below one link are neighbours; "0" is the character behind "/".
        ranges = sorted((bisect_left(names, link + "/"), bisect_left(names, link + "0")) for link in links)
        found: dict[str, str] = {}
        done = 0
        for begin, end in ranges:
            for position in range(max(begin, done), end):
                found.setdefault(names[position].rpartition("/")[2], names[position])
            done = max(done, end)
        return found

    def _check_repeated(self, name: str, members: list[Member]) -> None:
        first = members[0]
        for other in members[1:]:
            same = _description(first) == _description(other)
            # Sparse ones are refused whatever their bytes are, so a pipe's are not kept.
            read = first.kind == "file" and not first.sparse
            if not same or (read and not self._same_bytes(name, first, other)):
                msg = f"the archive has {len(members)} members of this name, and they differ"
                raise FormatError(msg, code="duplicate-member", file=self.where, member=name)
        del self._repeated[name]
        if first.kind != "dir":
            text = f"{name}: {len(members)} members of this name, all alike"
            self._warn(text, code="repeated-member", member=name)

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


def _description(member: Member) -> tuple[str, int, str, bool, str]:
    return member.kind, member.size, member.link, member.sparse, member.disputed


def _without_leading_dots(name: str) -> str | None:
    """Return what a name that leads out of the archive would be inside it."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts) if parts and "\0" not in name else None


class TarTree(MemberTree):
    """A tar in a regular file, indexed by its headers; contents are read in place."""

    def __init__(self, fd: int, where: str) -> None:
        """Index the tar in `fd`, which is closed with the tree, also if this raises.

        Raises:
            UnknownFormatError: it is not a tar.
            InputError: it is a damaged one.
        """
        super().__init__(where)
        self.fd = fd
        #: Whether `fd` is an unnamed file of this process, which no other process can change.
        self.private = False
        self._state = OpenState()
        self._blobs: dict[int, SliceBlob] = {}
        try:
            self._stamp = Stamp.of(os.fstat(fd))
            #: Every member in the archive's order, with those no name leads to.
            self.members: list[Member]
            self.members, reader = tar_reader.index(fd, self._stamp.size, where=where)
            self.end, self.refusal = reader.end, reader.refusal
            for member in self.members:
                self._add(member)
            self.warnings += reader.warnings
        except OSError as error:
            os.close(fd)
            raise StorageError.from_os(error, file=where, doing="reading") from error
        except BaseException:
            os.close(fd)
            raise

    def _content(self, name: str, member: Member) -> SliceBlob:
        blob = self._blobs.get(member.offset)
        if blob is None:
            blob = SliceBlob(self.fd, member.offset, member.size, where=name, file=self.where, state=self._state)
            self._blobs[member.offset] = blob
        return blob

    def _blob(self, name: str, member: Member) -> SliceBlob:
        return self._content(name, member)

    def check_unchanged(self) -> None:
        """Raise `InputError` if the file was written to since it was opened."""
        try:
            stamp = Stamp.of(os.fstat(self.fd))
        except OSError as error:
            raise StorageError.from_os(error, file=self.where, doing="reading") from error
        if stamp != self._stamp:
            raise changed(self.where, "")

    def close(self) -> None:
        """Close the file."""
        self._state.closed = True
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
