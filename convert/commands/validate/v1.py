"""Check `repositories` and the v1 folders, which are all that engines before 1.10 read."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

from convert.commands.validate.contents import Claim
from convert.errors import FormatError, ImgconvError
from convert.identity import v1_id as v1_ids
from convert.jsonio import schema
from convert.model.reference import Reference
from convert.reader.findings import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.commands.validate.contents import Contents
    from convert.commands.validate.docker import Item
    from convert.model.blob import Blob
    from convert.model.config import Config
    from convert.model.digest import Digest
    from convert.reader.checked_documents import Checked, View
    from convert.reader.findings import Findings

REPOSITORIES: Final = "repositories"
VERSION: Final = b"1.0"
_V1_ID: Final = re.compile(r"[0-9a-f]{64}\Z")
_LAYER: Final = re.compile(r"(?:\./)?([^/]+)/layer\.tar\Z")
_BLOB: Final = re.compile(r"(?:\./)?blobs/")


class V1Folders:
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
        elif raw.strip() != VERSION:
            self._checked.findings.add(
                "v1-version", f"is {shown(raw[:20].decode('utf-8', 'backslashreplace'))}, not 1.0", member=member
            )


def check_v1(checked: Checked, contents: Contents, items: Sequence[Item]) -> None:
    """Check the v1 side of an archive that has a `manifest.json`.

    What `repositories` leads to must be the image that `manifest.json` gives the name.
    """
    folders = V1Folders(checked)
    table = _table(checked)
    tops: dict[str, str | None] = {}
    # One image may be listed any number of times.
    done: set[tuple[tuple[str, ...], Digest | None]] = set()
    for item in items:
        chain = _chain(item, folders, table) or _named_chain(checked, contents, item, folders, table)
        key = tuple(chain), item.config.digest if item.config is not None else None
        # Tools that follow manifest.json alone write folders without v1 metadata.
        if key not in done and chain and (table is not None or any(checked.exists(f"{one}/json") for one in chain)):
            folders.check_chain(chain)
            _check_scheme(checked, item, chain)
            _check_config(checked, item, chain[-1])
        done.add(key)
        for reference in item.references:
            tops[reference.full] = _top(item, chain)
    if table is not None:
        _check_table(checked, table, tops)
    elif (
        tops and not checked.exists(REPOSITORIES) and any(_LAYER.match(name) for item in items for name in item.layers)
    ):
        message = "is not there; imgconv --add-repositories makes it"
        checked.findings.add("no-repositories", message, member=REPOSITORIES)


def _table(checked: Checked) -> dict[str, tuple[str, str]] | None:
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


def _chain(item: Item, folders: V1Folders, table: dict[str, tuple[str, str]] | None) -> list[str]:
    """Return the v1 folders of an image's layers, lowest first; nothing where it has none.

    podman and skopeo store layers outside the folders and link to them, so only
    `repositories` and the parents match folders to images.
    """
    matches = [_LAYER.match(name) for name in item.layers]
    if matches and all(matches):
        return [match[1] for match in matches if match]
    for reference in item.references:
        _, top = (table or {}).get(reference.full, ("", ""))
        chain = _descend(folders, top, len(item.layers))
        if chain and all(folders.layer(v1_id) is blob for v1_id, blob in zip(chain, item.blobs, strict=True)):
            return chain
    return []


def _named_chain(
    checked: Checked,
    contents: Contents,
    item: Item,
    folders: V1Folders,
    table: dict[str, tuple[str, str]] | None,
) -> list[str]:
    """Return the v1 folders to which `repositories` leads for an image; they must hold the image's layers.

    Nothing where it leads to none, as where it names a blob (Docker 25 and later).
    """
    config = item.config
    if config is None or len(item.layers) != len(config.diff_ids):
        return []
    for reference in item.references:
        place, top = (table or {}).get(reference.full, ("", ""))
        if not _V1_ID.match(top) or not checked.exists(f"{top}/json"):
            continue
        chain = _descend(folders, top, len(item.layers))
        if not chain:
            message = f"{shown(top)} does not lead to as many v1 folders as the image has layers ({len(item.layers)})"
            checked.findings.add("v1-chain", message, member=REPOSITORIES, place=place)
            continue
        for number, (v1_id, own) in enumerate(zip(chain, item.blobs, strict=True)):
            member, blob = f"{v1_id}/layer.tar", folders.layer(v1_id)
            if blob is None:
                if not checked.exists(member):
                    checked.findings.add("missing", f"is not there, {REPOSITORIES} leads to it", member=member)
            elif blob is not own:
                by = f"{config.member}, to which {REPOSITORIES} leads for {place},"
                contents.claim(blob, member, Claim(by, diff_ids=(config.diff_ids[number],), layer=True))
        return chain
    return []


def _descend(folders: V1Folders, top: str, count: int) -> list[str]:
    chain: list[str] = []
    v1_id: str | None = top
    while v1_id and _V1_ID.match(v1_id) and len(chain) < count:
        chain.append(v1_id)
        v1_id = folders.parent(v1_id)
    return chain[::-1] if len(chain) == count and not v1_id else []


def _top(item: Item, chain: Sequence[str]) -> str | None:
    """Return what `repositories` should state for an image, None if that is unknown."""
    if chain:
        return chain[-1]
    if item.config is not None and item.config.diff_ids and item.layers and _BLOB.match(item.layers[-1]):
        return item.config.diff_ids[-1].hex
    return None


def _check_table(checked: Checked, table: dict[str, tuple[str, str]], tops: dict[str, str | None]) -> None:
    add = checked.findings.add
    for name, (place, top) in table.items():
        if name not in tops:
            add("repositories", "is not a RepoTag of manifest.json", member=REPOSITORIES, place=place)
        elif (wanted := tops[name]) is not None and top != wanted:
            add(
                "repositories",
                f"is {shown(top)}, the image's top layer is {shown(wanted)}",
                member=REPOSITORIES,
                place=place,
            )
        elif wanted is None and not checked.exists(f"{top}/json"):
            add("repositories", f"is {shown(top)}, which has no folder", member=REPOSITORIES, place=place)
    for name, wanted in tops.items():
        if name not in table:
            familiar = Reference.parse(name).familiar
            where = f" (top layer {shown(wanted)})" if wanted else ""
            add("repositories", f"lacks {familiar}, a RepoTag of manifest.json{where}", member=REPOSITORIES)


def _check_scheme(checked: Checked, item: Item, chain: Sequence[str]) -> None:
    """Compare v1 IDs with those of the known schemes.

    Engines outside UTC and older ones have legitimate others in all layers
    (docs/formats-docker.md#differences-by-version). Where the lower layers have Docker's, the top one
    covers the config, and another there means another config.
    """
    config = item.config
    if config is None or len(chain) != len(config.diff_ids):
        return
    docker, skopeo = _ids(v1_ids.docker, config), _ids(v1_ids.skopeo, config)
    if list(chain) in (docker, skopeo):
        return
    if len(chain) > 1 and list(chain[:-1]) == docker[:-1]:
        message = f"{shown(chain[-1])} is not the v1 ID that Docker gives this config, {shown(docker[-1])} is"
        checked.findings.add("v1-id", message, member="manifest.json", place=f"{item.place}.Layers")
        return
    checked.findings.add(
        "v1-scheme",
        "the v1 IDs are neither those of Docker in UTC nor skopeo's",
        member="manifest.json",
        place=item.place,
    )


def _check_config(checked: Checked, item: Item, top: str) -> None:
    """Compare the `json` of the top folder with the image's config: engines before 1.10 use it."""
    raw = checked.raw(f"{top}/json")
    if raw is None or item.config is None or not item.config.diff_ids:
        return
    with contextlib.suppress(ImgconvError):
        fault = v1_ids.config_fault(raw, v1_ids.docker(item.config)[-1])
        if fault:
            checked.findings.add("v1-id", fault, member=f"{top}/json")


def _ids(scheme: Callable[[Config], list[v1_ids.V1Entry]], config: Config) -> list[str]:
    try:
        return [entry.v1_id for entry in scheme(config)]
    except ImgconvError:
        return []


# -- before Docker 1.10 ------------------------------------------------------------


def check_legacy(checked: Checked, contents: Contents) -> None:
    """Check an archive that has only `repositories` and v1 folders.

    As Docker's legacy load reads it (moby image/tarexport/load.go, up to 28).
    """
    add = checked.findings.add
    folders = V1Folders(checked)
    raw = checked.raw(REPOSITORIES)
    view = checked.view(raw, REPOSITORIES, schema.REPOSITORIES) if raw is not None else None
    tops = dict(_rows(view, checked.findings)) if view is not None else {}
    for place, top in tops.values():
        if not _V1_ID.match(top):
            add("v1-id", f"{shown(top)} is not a v1 ID (64 hex digits)", member=REPOSITORIES, place=place)
        elif not checked.exists(f"{top}/json"):
            add("missing", f"is not there, {REPOSITORIES} names it at {place}", member=f"{top}/json")
    names = [name for name in checked.tree.names() if name.endswith("/json")]
    ids = [v1_id for name in names if _V1_ID.match(v1_id := name.removesuffix("/json"))]
    for v1_id in ids:
        parent = folders.parent(v1_id)
        folders.check_folder(v1_id, parent)
        if parent is not None and parent not in ids:
            add("missing", f"is not there, {v1_id}/json names it as parent", member=f"{parent}/json")
        member = f"{v1_id}/layer.tar"
        layer = folders.layer(v1_id)
        if layer is not None:
            contents.claim(layer, member, Claim(f"{v1_id}/json", layer=True))
        elif not checked.exists(member):
            add("missing", "is not there, though a v1 image needs it", member=member)
