"""Check `repositories` and the v1 directories, which are all that engines before 1.10 read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.errors import FormatError
from convert.jsonio import schema
from convert.model.reference import Reference
from convert.reader.checks.claims import Claim
from convert.reader.findings import shown
from convert.reader.v1_directories import V1_ID, follow_parents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.model.blob import Blob
    from convert.reader.checks.claims import Claims
    from convert.reader.checks.documents import Checked, View
    from convert.reader.findings import Findings

REPOSITORIES: Final = "repositories"
_VERSION: Final = b"1.0"


class CheckedDirectories:
    """The v1 folders of one archive, each read once."""

    def __init__(self, checked: Checked) -> None:
        """Nothing is read yet."""
        self._checked = checked
        self._views: dict[str, View | None] = {}
        self._versions: set[str] = set()

    def view(self, v1_id: str) -> View | None:
        """Return a folder's `json`, None if it has none to be read."""
        if v1_id not in self._views:
            member = f"{v1_id}/json"
            raw = self._checked.raw(member)
            self._views[v1_id] = self._checked.view(raw, member, schema.V1_LAYER) if raw is not None else None
        return self._views[v1_id]

    def parent(self, v1_id: str) -> str | None:
        """Return the ID of the layer below, None for the lowest."""
        view = self.view(v1_id)
        return (view.text("parent") or None) if view is not None else None

    def layer(self, v1_id: str) -> Blob | None:
        """Return the bytes of a folder's layer."""
        return self._checked.find(f"{v1_id}/layer.tar")

    def chain(self, top: str, count: int) -> list[str]:
        """Return the folders under a top v1 ID, lowest first; nothing unless there are `count`."""
        return follow_parents(top, count, self.parent)

    def check_chain(self, chain: Sequence[str]) -> None:
        """Check that these folders, lowest first, are one chain of parents."""
        below: str | None = None
        for v1_id in chain:
            self.check_folder(v1_id, below)
            below = v1_id

    def check_folder(self, v1_id: str, below: str | None) -> None:
        """Check that a folder names itself, and this as the layer below."""
        self._check_version(v1_id)
        member = f"{v1_id}/json"
        view = self.view(v1_id)
        add = self._checked.findings.add
        if view is None:
            if not self._checked.exists(member):
                add("v1-chain", "is not there, so engines before 1.10 cannot follow the layers", member=member)
            return
        named, parent = view.text("id"), view.text("parent") or None
        if named != v1_id:
            add("v1-chain", f"is {shown(named)}, the folder is {shown(v1_id)}", member=member, place="id")
        if parent != below:
            add("v1-chain", f"is {shown(parent)}, the layer below is {shown(below)}", member=member, place="parent")

    def _check_version(self, v1_id: str) -> None:
        if v1_id in self._versions:
            return
        self._versions.add(v1_id)
        member = f"{v1_id}/VERSION"
        raw = self._checked.raw(member)
        if raw is None:
            if not self._checked.exists(member):
                self._checked.findings.add("v1-version", "is not there", member=member)
        elif raw.strip() != _VERSION:
            self._checked.findings.add(
                "v1-version", f"is {shown(raw[:20].decode('utf-8', 'backslashreplace'))}, not 1.0", member=member
            )


def read_repositories(checked: Checked) -> dict[str, tuple[str, str]] | None:
    """Return `repositories` as full name -> (place, top), None where there is none to be read."""
    raw = checked.raw(REPOSITORIES)
    if raw is None:
        return None
    view = checked.view(raw, REPOSITORIES, schema.REPOSITORIES)
    return dict(_rows(view, checked.findings)) if view is not None else None


def _rows(view: View, findings: Findings) -> Iterator[tuple[str, tuple[str, str]]]:
    for repository, tags in view.items():
        for tag, top in tags.items() if isinstance(tags, dict) else ():
            text = f"{repository}:{tag}"
            try:
                name = Reference.parse(text).full
            except FormatError as error:
                findings.add("repositories", error.message, member=REPOSITORIES, place=text)
                continue
            if isinstance(top, str):
                yield name, (text, top)


def check_legacy(checked: Checked, claims: Claims) -> None:
    """Check an archive that has only `repositories` and v1 folders.

    As Docker's legacy load reads it (moby image/tarexport/load.go, up to 28).
    """
    add = checked.findings.add
    folders = CheckedDirectories(checked)
    raw = checked.raw(REPOSITORIES)
    view = checked.view(raw, REPOSITORIES, schema.REPOSITORIES) if raw is not None else None
    tops = dict(_rows(view, checked.findings)) if view is not None else {}
    for place, top in tops.values():
        if not V1_ID.match(top):
            add("v1-id", f"{shown(top)} is not a v1 ID (64 hex digits)", member=REPOSITORIES, place=place)
        elif not checked.exists(f"{top}/json"):
            add("missing", f"is not there, {REPOSITORIES} names it at {place}", member=f"{top}/json")
    names = [name for name in checked.tree.names() if name.endswith("/json")]
    ids = dict.fromkeys(v1_id for name in names if V1_ID.match(v1_id := name.removesuffix("/json")))
    for v1_id in ids:
        parent = folders.parent(v1_id)
        folders.check_folder(v1_id, parent)
        if parent is not None and parent not in ids:
            add("missing", f"is not there, {v1_id}/json names it as parent", member=f"{parent}/json")
        member = f"{v1_id}/layer.tar"
        layer = folders.layer(v1_id)
        if layer is not None:
            claims.add(layer, member, Claim(f"{v1_id}/json", layer=True))
        elif not checked.exists(member):
            add("missing", "is not there, though a v1 image needs it", member=member)
