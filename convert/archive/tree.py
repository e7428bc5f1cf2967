"""The members of an archive by name, in a tar or a folder.

Names are looked up, never used as paths of this machine, and links are followed
among the archive's own members only (CVE-2014-9356, CVE-2014-9358;
docs/formats.md#hostile-or-damaged-input).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from convert.diagnostics import Diagnostic, Diagnostics
from convert.errors import FormatError, InputError, UnsafeInputError, UnsupportedError
from convert.limits import CHUNK, MAX_DOCUMENT_SIZE, MAX_LINK_HOPS, MAX_MEMBER_NAME, MAX_NAME_PARTS, MAX_NAME_STEPS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convert.archive.go_tar import Refusal
    from convert.archive.member import Kind, Member
    from convert.model.blob import Blob


#: Slashes of a name up to which looking it up again is cheap.
_SHALLOW: Final = 8


def clean(name: str) -> str | None:
    """Return the name under which a member is looked up, as `./a//b/` and `/a/c/../b` mean `a/b`.

    None if no member can have it: empty, with a NUL, or with a `..` that leads out of the archive.
    """
    if "\0" in name:
        return None
    if "/." not in name and "//" not in name and name[:1] not in {".", "/", ""} and name[-1:] != "/":
        return name
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts) or None


def names_nothing(name: str) -> bool:
    """Return whether a name has no parts, such as an empty one or `./`."""
    return all(part in {"", "."} for part in name.split("/"))


#: Kinds of members that lead to another name.
LINKS: Final = frozenset({"symlink", "hardlink"})


class Tree(ABC):
    """The members of one archive, by name.

    A name is relative with `/` between its parts. A tree is a context manager; close
    it when nothing of it is read any more.
    """

    is_folder: bool = False
    #: Whether this is the storage of a registry, shown as a layout.
    is_registry: bool = False
    #: Whether the user called the source a `dir:` folder.
    is_spelled_dir: bool = False
    #: What helps where a link leads out of the source, if that is not the same for all such sources.
    link_hint: str | None = None
    #: Names in the storage of a registry whose manifest cannot be found, with the reason.
    unresolved: Sequence[tuple[str, InputError]] = ()

    def __init__(self, where: str) -> None:
        """Name the source `where` in errors."""
        self.where = where
        self.warnings = Diagnostics()
        #: Called with each document that `read` returns.
        self.on_read: Callable[[Blob, bytes], None] | None = None
        self._resolved: dict[str, tuple[str, Member] | None] = {}
        #: The first header that tools written in Go do not read past.
        self.refusal: Refusal | None = None
        # Of names that some members spell with a leading slash and others without: the first of the other spelling.
        self._other_spelling: dict[str, Member] = {}
        self._targets: dict[tuple[str, str], str] = {}  # of long links, by folder and link
        self._steps = 0  # parts of long names that were looked up

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Return every name once, folders too, in the archive's order."""

    @abstractmethod
    def member(self, name: str) -> Member | None:
        """Return the member with exactly this name, without following links; None if there is none.

        Raises:
            FormatError: several members have that name and differ.
        """

    @abstractmethod
    def children(self, folder: str) -> list[tuple[str, Kind]]:
        """Return name and kind of what is directly in a folder, sorted by name; nothing if it is not a folder.

        `folder` is a clean name, "" for the root. Links are not followed.

        Raises:
            UnsafeInputError: the folder holds too many files.
        """

    def forget(self, name: str) -> None:
        """Look a name up again the next time it is asked for; only a folder can have changed."""
        del name

    def open_listed(self, folder: str, name: str) -> BinaryIO | None:
        """Open a regular file of which there are many in a folder, without keeping anything about it.

        None if there is none, or a link is in the way: `find` states why. Errors are those of reading.
        """
        try:
            blob = self.find(f"{folder}/{name}")
        except InputError:
            return None
        return blob.open() if blob is not None else None

    def size_listed(self, folder: str, name: str) -> int | None:
        """Return the size of a file that `open_listed` opens, None if it opens none."""
        try:
            blob = self.find(f"{folder}/{name}")
        except InputError:
            return None
        return blob.size if blob is not None else None

    def spelled(self, name: str, *, rooted: bool) -> Member | None:
        """Return the member with a clean name if its spelling has a leading slash (`rooted`) or has none.

        Raises:
            FormatError: several members have that name and differ.
        """
        member = self.member(name)
        if member is None or member.name.startswith("/") == rooted:
            return member
        return self._other_spelling.get(name)

    @abstractmethod
    def _blob(self, name: str, member: Member) -> Blob:
        """Return the content of a regular member, the same object each time."""

    @abstractmethod
    def check_unchanged(self) -> None:
        """Raise `InputError` if the source was written to since it was opened."""

    @abstractmethod
    def close(self) -> None:
        """Close the source; blobs cannot be read any more."""

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
            FormatError: it is a folder, or tools find different bytes under that name.
            UnsupportedError: it is a sparse member.
        """
        found = self._resolve(name)
        if found is None:
            return None
        path, member = found
        if member.kind == "dir":
            msg = "a file is needed here, and this is a folder"
            raise FormatError(msg, code="not-a-file", file=self.where, member=name)
        if member.kind != "file":
            kind = "special" if member.kind == "other" else member.kind
            msg = f"a file is needed here, and this is a {kind} member"
            raise UnsafeInputError(msg, code="not-a-file", file=self.where, member=name)
        if member.sparse:
            msg = "it is a sparse tar member, whose bytes are not stored as they are"
            raise UnsupportedError(
                msg, code="sparse-member", file=self.where, member=name, hint="pack the archive without --sparse"
            )
        if member.disputed:
            raise FormatError(member.disputed, code="ambiguous-tar-header", file=self.where, member=name)
        return self._blob(path, member)

    def read(self, name: str, limit: int = MAX_DOCUMENT_SIZE) -> bytes:
        """Return the bytes of a small document.

        Raises:
            FormatError: the member does not exist.
            UnsafeInputError: it is larger than `limit`.
            Others: as `find`.
        """
        blob = self.find(name)
        if blob is None:
            msg = "no such member"
            raise FormatError(msg, code="missing-member", file=self.where, member=name)
        with blob.open() as stream:
            data = stream.read(limit + 1) if blob.size is None or blob.size <= limit else None
            while data is not None and len(data) <= limit and (more := stream.read(CHUNK)):
                data += more
        if data is None or len(data) > limit:
            msg = f"a document of more than {limit} bytes is not read"
            raise UnsafeInputError(msg, code="document-too-large", file=self.where, member=name)
        if self.on_read is not None:
            self.on_read(blob, data)
        return data

    def _resolve(self, name: str) -> tuple[str, Member] | None:
        """Follow links from a name to a member that is not a link."""
        path = clean(name)
        if path is None or ".." in name.split("/"):
            # With `..` Docker, skopeo, crane and containerd look for different members.
            msg = "a name that is empty or has '..' names nothing in an archive"
            raise UnsafeInputError(msg, code="unsafe-member-name", file=self.where, member=name)
        if len(path) > MAX_MEMBER_NAME:
            # No member has such a name, and each folder in it would be looked for.
            msg = f"a name of more than {MAX_MEMBER_NAME} characters"
            raise UnsafeInputError(msg, code="member-name-too-long", file=self.where, member=name)
        if path in self._resolved:
            return self._resolved[path]
        found = self._followed(path, name)
        if found is None or found[0] != path or path.count("/") > _SHALLOW:
            # A look-up that took long is kept; most names lead straight to a member.
            self._resolved[path] = found
        return found

    def _followed(self, path: str, name: str) -> tuple[str, Member] | None:
        linked_from: list[str] | None = None  # the folder of the hard link that led here
        for _ in range(MAX_LINK_HOPS + 1):
            if path.count("/") >= MAX_NAME_PARTS:
                # Each folder in it may be a link, so each is looked for.
                msg = f"a name, or a link behind it, of more than {MAX_NAME_PARTS} parts"
                raise UnsafeInputError(msg, code="member-path-too-deep", file=self.where, member=name)
            self._check_name(path)
            parts = path.split("/")
            if len(parts) > _SHALLOW:
                self._count_steps(len(parts), name)
            through = self._through_folder(parts, name)
            if through is not None:
                path = through
                continue
            member = self.member(path)
            if member is None:
                return None
            folder = parts[:-1]
            if member.kind == "symlink":
                if linked_from is not None and linked_from != folder:
                    # Unpacked, the hard link is that symlink, in another folder.
                    raise self._disputed(name, f"a hard link leads to the symlink '{path}' in another folder")
                linked_from = None
                path = self._symlink_target(member, folder, name)
            elif member.kind == "hardlink":
                linked_from = folder
                path = self._hardlink_target(member, folder, name)
            else:
                return path, member
        msg = f"links go in a circle or on for more than {MAX_LINK_HOPS} steps"
        raise UnsafeInputError(msg, code="link-loop", file=self.where, member=name)

    def _count_steps(self, steps: int, asked: str) -> None:
        """Bound the time of look-ups: each folder of a long name may be a link, on each step of a chain of links."""
        self._steps += steps
        if self._steps > MAX_NAME_STEPS:
            msg = f"long names in it lead through more than {MAX_NAME_STEPS} folders together"
            raise UnsafeInputError(msg, code="member-path-too-deep", file=self.where, member=asked)

    @abstractmethod
    def _check_name(self, path: str) -> None:
        """Raise `FormatError` if tools find different members under a clean name."""

    def _through_folder(self, parts: list[str], asked: str) -> str | None:
        """Return the path with its first linked folder replaced by where the link leads; None without one."""
        for count in range(1, len(parts)):
            parent = self.member("/".join(parts[:count]))
            if parent is not None and parent.kind == "symlink":
                return "/".join([self._symlink_target(parent, parts[: count - 1], asked), *parts[count:]])
        return None

    def _hardlink_target(self, member: Member, folder: list[str], asked: str) -> str:
        """Return the name a hard link leads to.

        It counts from the archive's root (POSIX, Docker), or from the link's own
        folder where only that exists (go-containerregistry).
        """
        target = None if member.link.startswith("/") or ".." in member.link.split("/") else clean(member.link)
        if target is None:
            raise self._outside(member, asked)
        beside = "/".join([*folder, target])
        if not folder or (found := self.member(beside)) is None or found is member:
            return target
        if self.member(target) is not None or self._has_linked_folder(target.split("/")):
            msg = f"its link to '{member.link}' leads to two members, '{target}' and '{beside}'"
            raise self._disputed(asked, msg)
        return beside

    def _symlink_target(self, member: Member, folder: list[str], asked: str) -> str:
        """Return the name a symlink leads to, counted from its own folder."""
        if member.link.count("/") <= _SHALLOW:
            return self._target(member, folder, asked)
        key = ("/".join(folder), member.link)
        if key not in self._targets:
            self._targets[key] = self._target(member, folder, asked)
        return self._targets[key]

    def _target(self, member: Member, folder: list[str], asked: str) -> str:
        if member.link.startswith("/") or "\0" in member.link:
            raise self._outside(member, asked)
        if member.link.count("/") >= MAX_NAME_PARTS:
            # Each folder in it may be a link, also one that `..` leaves again.
            msg = f"a link behind it has more than {MAX_NAME_PARTS} parts"
            raise UnsafeInputError(msg, code="member-path-too-deep", file=self.where, member=asked)
        parts = list(folder)
        own: list[bool] = []  # whether each part that the link added is a link itself
        too_many = 0
        steps = member.link.split("/")
        for step in steps:
            if step == "..":
                if any(own):
                    # A file system goes on from where the linked folder leads, skopeo and crane from its name.
                    raise self._disputed(asked, f"its link to '{member.link}' has '..' behind a linked folder")
                del own[-1:]
                if parts:
                    parts.pop()
                else:
                    too_many += 1
            elif step not in {"", "."}:
                parts.append(step)
                own.append(".." in steps and self._is_link("/".join(parts)))
        target = "/".join(parts)
        # Docker 1.12's release candidates wrote one `..` too many (moby/moby#24951).
        if not target or too_many > 1 or (too_many and self.member(target) is None):
            raise self._outside(member, asked)
        if too_many:
            text = f"{member.name}: its link has one '..' too many; taken as {target}"
            self._warn(text, code="link-one-step-too-high", member=member.name)
        return target

    def _has_linked_folder(self, parts: list[str]) -> bool:
        """Return whether a folder of a path is a link."""
        return any(self._is_link("/".join(parts[:count])) for count in range(1, len(parts)))

    def _is_link(self, name: str) -> bool:
        member = self.member(name)
        return member is not None and member.kind in LINKS

    def _disputed(self, name: str, why: str) -> FormatError:
        return FormatError(
            f"{why}, which readers disagree about", code="ambiguous-member", file=self.where, member=name
        )

    def _outside(self, member: Member, asked: str) -> UnsafeInputError:
        text = f"its link to '{member.link}' leads out of the archive"
        return UnsafeInputError(text, code="link-outside", file=self.where, member=asked, hint=self._outside_hint())

    def _outside_hint(self) -> str | None:
        """What helps where a link leads out of the source."""
        return self.link_hint

    def _warn(self, text: str, *, code: str, member: str) -> None:
        self.warnings.append(Diagnostic(text, code=code, member=member))
