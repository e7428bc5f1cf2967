"""Members of an archive as crane finds them.

It compares `path.Clean` of the name it looks for with that of each member, so a leading
slash is part of a name, and a path does not lead through a folder that is a link. A link
counts from the folder of the name that was looked for, a hard link too
(pkg/v1/tarball/image.go, `followLinks`). It reads the archive from its start for each name,
so a header that Go refuses hides only what follows it.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from convert.archive.tree import LINKS
from convert.limits import MAX_LINK_HOPS

if TYPE_CHECKING:
    from convert.archive.member import Member
    from convert.archive.tree import Tree
    from convert.model.blob import Blob


class CraneMembers:
    """Looks names up in an archive as crane does."""

    def __init__(self, tree: Tree) -> None:
        """Look into `tree`."""
        self._tree = tree
        self._linked: dict[str, bool] = {}

    def holds(self, name: str, blob: Blob) -> bool:
        """Return whether crane finds `blob`, which is what the tree finds under `name`.

        Raises:
            InputError: as `Tree.find`.
        """
        cached = self._linked.get(name)
        if cached is not None:
            return cached
        cleaned = _clean(name)
        member = self._look(cleaned)
        if member is None or member.kind not in LINKS:
            return member is not None
        found = self._linked[name] = self._follow(name) is blob
        return found

    def _look(self, cleaned: str) -> Member | None:
        """Return the first member of a name; None if there is none, or if crane does not read as far as that."""
        member = self._tree.spelled(cleaned.lstrip("/"), rooted=cleaned.startswith("/"))
        refusal = self._tree.refusal
        return None if member is None or (refusal is not None and refusal.start <= member.start) else member

    def why(self, name: str) -> str:
        """Return why crane does not find what the tree finds under `name`."""
        cleaned = _clean(name)
        member = self._tree.member(cleaned.lstrip("/"))
        refusal = self._tree.refusal
        if member is None:
            return "it does not look behind a folder that is a link"
        if refusal is not None and refusal.start <= member.start:
            return f"it reads no further, because {refusal}"
        if member.name.startswith("/") != cleaned.startswith("/"):
            return f"the member is spelled {member.name}"
        return f"its link to {member.link} leads to nothing that crane finds"

    def _follow(self, name: str) -> Blob | None:
        for _ in range(MAX_LINK_HOPS + 1):
            cleaned = _clean(name)
            member = self._look(cleaned)
            if member is None:
                return None
            if member.kind not in LINKS:
                return self._tree.find(cleaned)
            # Not the folder of the cleaned name: behind a trailing slash it is the name itself.
            folder = _clean(name[: name.rfind("/") + 1])
            name = _clean(f"{folder}/{_clean(member.link)}")
        return None


def _clean(name: str) -> str:
    """Return what Go's path.Clean returns."""
    cleaned = posixpath.normpath(name)
    # POSIX lets two leading slashes stand; Go does not.
    return cleaned[1:] if cleaned.startswith("//") else cleaned
