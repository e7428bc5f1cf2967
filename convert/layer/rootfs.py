"""The file system that the layers of an image make together (image-spec 1.1, layer.md).

Only names and the attributes of folders are kept, never contents: each file is known by the layer
and the number of the member that holds it. Members apply in order, as umoci and Docker unpack
them: parents are followed through symbolic links inside the file system, a folder joins one that is
there, everything else replaces what is there, and hard links share an inode. Whiteouts hide only
what lower layers hold ("Applying Changesets", "Whiteouts").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.errors import FormatError, UnsafeInputError
from convert.limits import MAX_FOLDER_LINKS, MAX_NAME_PARTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.archive.member import Attributes, Member

_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
#: Names of AUFS itself; its folder of hard links can be the target of one.
_META: Final = ".wh..wh."


class Inode:
    """A file, folder, link or device: the member that made it, and the names that it has in the end.

    `attributes` are those of a folder, or of the hard link that came last; None where those of the
    member itself count.
    """

    __slots__ = ("attributes", "is_folder", "layer", "link", "names", "number")

    def __init__(self, layer: int, number: int, *, is_folder: bool, link: str | None = None) -> None:
        """`layer` counts from the bottom, `number` the members of its tar; `link` is the target of a symbolic link."""
        self.layer = layer
        self.number = number
        self.is_folder = is_folder
        self.link = link
        self.attributes: Attributes | None = None
        self.names: list[Name] = []


class Name:
    """A name in a folder.

    `layer` is the last one that wrote it or something below it, `hidden` the last one that hid what lower layers
    have below it.
    """

    __slots__ = ("children", "hidden", "inode", "layer", "parent", "text")

    def __init__(self, text: str, parent: Name | None, inode: Inode, layer: int) -> None:
        """Put an inode under a name."""
        self.text = text
        self.parent = parent
        self.inode = inode
        self.layer = layer
        self.hidden = -1
        self.children: dict[str, Name] = {}

    @property
    def path(self) -> str:
        """The path from the root, without a leading slash; "" for the root."""
        parts: list[str] = []
        name: Name | None = self
        while name is not None and name.parent is not None:
            parts.append(name.text)
            name = name.parent
        return "/".join(reversed(parts))


class RootFileSystem:
    """Names and inodes, as members of layers are applied to them."""

    def __init__(self) -> None:
        """Start with an empty root."""
        self.root = Name("", None, Inode(-1, -1, is_folder=True), -1)

    def apply(self, layer: int, number: int, member: Member) -> None:
        """Apply one member of a layer; call it in the order of layers and members.

        Raises:
            UnsafeInputError: its name leads out of the file system.
            FormatError: it needs something that is not there, or another kind of thing.
        """
        parts = _parts(member)
        if not parts:
            if member.kind != "dir":
                raise FormatError("it would replace the root folder", code="layer-path-conflict", member=member.name)
            self.root.inode.attributes = member.attributes
            self.root.inode.layer = layer
            return
        text = parts[-1]
        parent = self._folder(parts[:-1], layer, member)
        if parent is None:
            return  # a whiteout of something that is not there
        if text == _OPAQUE:
            _hide_children(parent, layer)
        elif text.startswith(_WHITEOUT) and not text.startswith(_META):
            hidden = parent.children.get(text.removeprefix(_WHITEOUT))
            if hidden is not None and not _hide(hidden, layer):
                del parent.children[hidden.text]
        else:
            self._put(parent, text, layer, number, member)

    def _put(self, parent: Name, text: str, layer: int, number: int, member: Member) -> None:
        there = parent.children.get(text)
        if member.kind == "dir" and there is not None and there.inode.is_folder:
            there.inode.attributes = member.attributes
            there.layer = layer
            return
        if member.kind == "hardlink":
            inode = self._target(member, layer)
            inode.attributes = member.attributes
        else:
            link = member.link if member.kind == "symlink" else None
            inode = Inode(layer, number, is_folder=member.kind == "dir", link=link)
            if inode.is_folder:
                inode.attributes = member.attributes
        parent.children[text] = Name(text, parent, inode, layer)
        _touch(parent, layer)

    def _target(self, member: Member, layer: int) -> Inode:
        """Return the inode that a hard link leads to."""
        parts = [part for part in member.link.split("/") if part not in {"", "."}]
        found: Name | None = None
        if parts and ".." not in parts:
            folder = self._folder(parts[:-1], layer, None)
            found = folder.children.get(parts[-1]) if folder is not None else None
        if found is None:
            raise FormatError(
                f"is a hard link to {member.link!r}, which is not there", code="layer-link-missing", member=member.name
            )
        if found.inode.is_folder:
            raise FormatError(
                f"is a hard link to the folder {member.link!r}", code="layer-path-conflict", member=member.name
            )
        return found.inode

    def _folder(self, parts: list[str], layer: int, member: Member | None) -> Name | None:
        """Return the folder that a path leads to, through symbolic links; it is created for a member.

        None if it is not there and not created: for a whiteout and for the target of a hard link.
        """
        is_whiteout = member is not None and member.name.rstrip("/").rpartition("/")[2].startswith(_WHITEOUT)
        creates = member is not None and not is_whiteout
        where = self.root
        waiting = list(reversed(parts))
        hops = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                where = where.parent or where
                continue
            found = where.children.get(part)
            if found is None:
                if not creates:
                    return None
                found = where.children[part] = Name(part, where, Inode(layer, -1, is_folder=True), layer)
                _touch(where, layer)
            if found.inode.link is not None:
                hops += 1
                target = found.inode.link
                # Counted before the target is split, which may be long.
                if hops > MAX_FOLDER_LINKS or len(waiting) + target.count("/") >= MAX_NAME_PARTS:
                    name = member.name if member is not None else part
                    raise UnsafeInputError(
                        "its folder is behind a circle of links, or too long a chain", code="link-loop", member=name
                    )
                where = self.root if target.startswith("/") else where
                waiting += [step for step in reversed(target.split("/")) if step not in {"", "."}]
            elif not found.inode.is_folder:
                if not creates or member is None:
                    return None
                raise FormatError(
                    f"is below {found.path!r}, which is not a folder", code="layer-path-conflict", member=member.name
                )
            else:
                where = found
        if creates:
            _touch(where, layer)
        return where

    def names(self) -> Iterator[Name]:
        """Yield every name but the root and AUFS's own, folders before what is in them, in the order of paths."""
        stack = [self.root]
        while stack:
            name = stack.pop()
            if name is not self.root:
                yield name
            stack += [
                child for text, child in sorted(name.children.items(), reverse=True) if not text.startswith(_META)
            ]


def _parts(member: Member) -> list[str]:
    """Return the parts of a member's name.

    Raises:
        UnsafeInputError: it leads out of the file system, which Docker refuses.
    """
    parts: list[str] = []
    for part in member.name.split("/"):
        if part == "..":
            if not parts and not member.name.startswith("/"):
                raise UnsafeInputError("leads out of the file system", code="unsafe-member-name", member=member.name)
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return parts


def _touch(name: Name, layer: int) -> None:
    """Mark a folder and those around it as written by a layer: a whiteout in it hides only what is below."""
    folder: Name | None = name
    while folder is not None and folder.layer != layer:
        folder.layer = layer
        folder = folder.parent


def _hide(name: Name, layer: int) -> bool:
    """Hide what lower layers have under a name; return whether the name stays, because this layer wrote it."""
    if name.layer != layer:
        return False
    _hide_children(name, layer)
    return True


def _hide_children(folder: Name, layer: int) -> None:
    """Hide what lower layers have below a folder.

    What a layer adds later is its own, so each folder is looked at once per layer, however many whiteouts it has.
    """
    stack = [folder]
    while stack:
        name = stack.pop()
        if name.hidden == layer:
            continue
        name.hidden = layer
        for text, child in list(name.children.items()):
            if child.layer != layer:
                del name.children[text]
            else:
                stack.append(child)
