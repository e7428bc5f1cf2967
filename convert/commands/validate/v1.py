"""Compare the v1 directories and `repositories` with the `manifest.json` of the same archive."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

from convert.errors import ImgconvError
from convert.identity import v1_id as v1_ids
from convert.model.needs import NEEDS_MEMBER
from convert.model.reference import Reference
from convert.reader.checks.claims import Claim
from convert.reader.checks.v1_directories import REPOSITORIES, CheckedDirectories, read_repositories
from convert.reader.findings import shown
from convert.reader.v1_directories import V1_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convert.model.config import Config
    from convert.model.digest import Digest
    from convert.reader.checks.claims import Claims
    from convert.reader.checks.documents import Checked
    from convert.reader.checks.manifest_json import Item

_LAYER: Final = re.compile(r"(?:\./)?([^/]+)/layer\.tar\Z")
_BLOB: Final = re.compile(r"(?:\./)?blobs/")


def check_v1(checked: Checked, claims: Claims, items: Sequence[Item]) -> None:
    """Check the v1 side of an archive that has a `manifest.json`.

    What `repositories` leads to must be the image that `manifest.json` gives the name.
    """
    folders = CheckedDirectories(checked)
    table = read_repositories(checked)
    tops: dict[str, str | None] = {}
    layerless: set[str] = set()
    # One image may be listed any number of times.
    done: set[tuple[tuple[str, ...], Digest | None]] = set()
    for item in items:
        chain = _chain(item, folders, table) or _named_chain(checked, claims, item, folders, table)
        key = tuple(chain), item.config.digest if item.config is not None else None
        # Tools that follow manifest.json alone write folders without v1 metadata.
        if key not in done and chain and (table is not None or any(checked.exists(f"{one}/json") for one in chain)):
            folders.check_chain(chain)
            _check_scheme(checked, item, chain)
            _check_config(checked, item, chain[-1])
        done.add(key)
        for reference in item.references:
            tops[reference.full] = _top(item, chain)
            if not item.layers:
                layerless.add(reference.full)
    if table is not None:
        _check_table(checked, table, tops, layerless)
    elif (
        tops
        and not checked.exists(REPOSITORIES)
        and not checked.exists(NEEDS_MEMBER)  # thin archives have none, and nothing adds it to them
        and any(_LAYER.match(name) for item in items for name in item.layers)
    ):
        message = "is not there; imgconv --add-repositories makes it"
        checked.findings.add("no-repositories", message, member=REPOSITORIES)


def _chain(item: Item, folders: CheckedDirectories, table: dict[str, tuple[str, str]] | None) -> list[str]:
    """Return the v1 folders of an image's layers, lowest first; nothing where it has none.

    podman and skopeo store layers outside the folders and link to them, so only
    `repositories` and the parents match folders to images.
    """
    matches = [_LAYER.match(name) for name in item.layers]
    if matches and all(matches):
        return [match[1] for match in matches if match]
    for reference in item.references:
        _, top = (table or {}).get(reference.full, ("", ""))
        chain = folders.chain(top, len(item.layers))
        if chain and all(folders.layer(v1_id) is blob for v1_id, blob in zip(chain, item.blobs, strict=True)):
            return chain
    return []


def _named_chain(
    checked: Checked,
    claims: Claims,
    item: Item,
    folders: CheckedDirectories,
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
        if not V1_ID.match(top) or not checked.exists(f"{top}/json"):
            continue
        chain = folders.chain(top, len(item.layers))
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
                claims.add(blob, member, Claim(by, diff_ids=(config.diff_ids[number],), layer=True))
        return chain
    return []


def _top(item: Item, chain: Sequence[str]) -> str | None:
    """Return what `repositories` should state for an image, None if that is unknown."""
    if chain:
        return chain[-1]
    if item.config is not None and item.config.diff_ids and item.layers and _BLOB.match(item.layers[-1]):
        return item.config.diff_ids[-1].hex
    return None


def _check_table(
    checked: Checked, table: dict[str, tuple[str, str]], tops: dict[str, str | None], layerless: set[str]
) -> None:
    """Compare `repositories` with the RepoTags. A name of an image in `layerless` has no top layer to lead to."""
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
        if name not in table and name not in layerless:
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
