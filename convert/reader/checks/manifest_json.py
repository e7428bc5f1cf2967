"""`manifest.json` and what it names (docker image spec v1.2, and its kin)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convert.archive.tree import names_nothing
from convert.errors import FormatError
from convert.jsonio import schema
from convert.model import mediatype
from convert.model.digest import Digest
from convert.model.reference import Reference
from convert.reader.checks.claims import Claim
from convert.reader.checks.config import read_config
from convert.reader.checks.layout import Layout
from convert.reader.findings import Severity, shown
from convert.reader.layer_count import LayerCount

if TYPE_CHECKING:
    from convert.model.blob import Blob
    from convert.model.config import Config
    from convert.reader.checks.claims import Claims
    from convert.reader.checks.documents import Checked, View

MEMBER: Final = "manifest.json"
_NAMED_BY_DIGEST: Final = re.compile(r"(?:.*/)?([0-9a-f]{64})(?:\.json)?\Z")


@dataclass(frozen=True, slots=True)
class Item:
    """One element of `manifest.json`: an image as a docker archive lists it.

    `layers` are the names in the archive, `blobs` their content, `references`
    the RepoTags that are valid.
    """

    place: str
    config: Config | None
    layers: tuple[str, ...]
    blobs: tuple[Blob | None, ...]
    references: tuple[Reference, ...]


def check_docker(checked: Checked, claims: Claims, layout: Layout | None = None) -> list[Item] | None:
    """Check `manifest.json`, the configs and layers it names; return its images, None if it names none.

    `layout` is what was found in the layout beside it.
    """
    layout = layout or Layout(None)
    raw = checked.raw(MEMBER)
    if raw is None:
        return None
    value = checked.parse(raw, MEMBER)
    if value is None and checked.findings.blames(MEMBER):
        return None
    if value is None:
        checked.findings.add("no-images", "is null, so it names no image", member=MEMBER, severity=Severity.ERROR)
        return None
    checked.check_schema(value, MEMBER, schema.DOCKER_MANIFEST)
    if value == []:
        checked.findings.add("no-images", "is an empty list", member=MEMBER)
    elements = value if isinstance(value, list) else []
    count = LayerCount(checked.findings.file)
    items = [
        _item(checked, claims, checked.fields(element, MEMBER, f"[{number}]"), layout, count)
        for number, element in enumerate(elements)
        if isinstance(element, dict)
    ]
    _check_names(checked, items)
    _check_parents(checked, elements, items)
    return items


def _item(checked: Checked, claims: Claims, view: View, layout: Layout, count: LayerCount) -> Item:
    config = _config(checked, claims, view)
    names = tuple(view.strings("Layers") or ())
    count.add(names, config.diff_ids if config is not None else ())
    sources = _layer_sources(checked, view, config)
    matching = config is not None and len(names) == len(config.diff_ids)
    opaque = config is not None and config.digest in layout.opaque
    if config is not None and not matching and not opaque:
        message = f"{len(config.diff_ids)} DiffIDs here, {len(names)} layers in {MEMBER} at {view.place('Layers')}"
        checked.findings.add("layer-count", message, member=config.member, place="rootfs.diff_ids")
    blobs = []
    for number, name in enumerate(names):
        place = f"{view.place('Layers')}[{number}]"
        blob = None if names_nothing(name) else checked.find(name, place=place)
        diff_id = config.diff_ids[number] if config is not None and matching else None
        elsewhere = layout.absent_layers.get(name.removeprefix("./")) if blob is None else None
        if elsewhere is not None:
            checked.findings.add("absent-layer", elsewhere, member=name)
        elif blob is None:
            _missing_layer(checked, name, place, sources.get(diff_id) if diff_id else None)
        elif opaque:
            claims.add(blob, name, Claim(MEMBER, place))
        elif diff_id is not None and config is not None:
            at = f"rootfs.diff_ids[{number}]"
            claims.add(blob, name, Claim(config.member, at, diff_ids=(diff_id,), layer=True))
        else:
            # Its own DiffID is unknown, but it has to be one of them.
            by = config.member if config is not None else MEMBER
            claims.add(blob, name, Claim(by, diff_ids=config.diff_ids if config is not None else (), layer=True))
        blobs.append(blob)
        _check_source(claims, name, blob, sources.get(diff_id) if diff_id else None)
    return Item(view.path, config, names, tuple(blobs), tuple(_references(checked, view)))


def _config(checked: Checked, claims: Claims, view: View) -> Config | None:
    name = view.text("Config")
    if not name or names_nothing(name):
        return None
    blob = checked.find(name, place=view.place("Config"))
    if blob is None:
        _missing(checked, name, view.place("Config"))
        return None
    claims.add(blob, name, Claim(MEMBER, view.place("Config")))
    raw = checked.raw(name)
    if raw is None:
        return None
    got = Digest.of(raw)
    if name.startswith("sha256:"):
        # crane and kaniko name it by its digest, and read it by that name.
        try:
            claims.add(blob, name, Claim(MEMBER, view.place("Config"), digest=Digest.parse(name)))
        except FormatError as error:
            checked.findings.add("schema", error.message, member=MEMBER, place=view.place("Config"))
    elif (match := _NAMED_BY_DIGEST.match(name)) and match[1] != got.hex and not name.startswith("blobs/"):
        checked.findings.add("config-name", f"content is {got}, which is the image ID", member=name)
    return read_config(checked, raw, name)


def _missing(checked: Checked, name: str, place: str) -> None:
    if not checked.exists(name):
        checked.findings.add("missing", f"is not there, {MEMBER} names it at {place}", member=name)


def _missing_layer(checked: Checked, name: str, place: str, source: View | None) -> None:
    if names_nothing(name):
        checked.findings.add(
            "missing", "this layer has no name, so it is not in the archive", member=MEMBER, place=place
        )
    elif source is not None and (urls := source.strings("urls")):
        message = f"is not in the source, it lives at {urls[0]}"
        checked.findings.add("absent-layer", message, member=name)
    else:
        _missing(checked, name, place)


# -- LayerSources ------------------------------------------------------------------


def _layer_sources(checked: Checked, view: View, config: Config | None) -> dict[Digest, View]:
    """Return the descriptors by DiffID: Docker 25 writes all of them (docs/formats-docker.md#docker-25-and-later)."""
    sources = view.object("LayerSources")
    if sources is None or config is None:
        return {}
    named = {str(diff_id) for diff_id in config.diff_ids}
    for key in sources.value:
        if key not in named:
            message = f"{key} is not a DiffID of {config.member}"
            checked.findings.add("layer-sources", message, member=MEMBER, place=sources.path)
    return {Digest.parse(key): source for key, source in sources.all_objects() if key in named}


def _check_source(claims: Claims, name: str, blob: Blob | None, source: View | None) -> None:
    """Compare a LayerSources descriptor with the bytes, where it can describe those.

    Engines on Linux ignore it; go-containerregistry copies it into manifests. imgconv
    uses that of a foreign layer, unless the layer is there uncompressed.
    """
    media_type = source.text("mediaType") if source is not None else None
    if source is None or blob is None or media_type is None:
        return
    text = source.text("digest")
    try:
        digest = Digest.parse(text) if text is not None else None
    except FormatError:
        return
    size, foreign = source.integer("size"), mediatype.is_nondistributable(media_type)
    claim = Claim(MEMBER, source.path, digest, size, media_type=media_type, rule="layer-sources", foreign=foreign)
    claims.add(blob, name, claim)


# -- names -------------------------------------------------------------------------


def _references(checked: Checked, view: View) -> list[Reference]:
    """Return the RepoTags as references; Docker's load needs each to parse and to have a tag."""
    found = []
    for number, text in enumerate(view.array("RepoTags") or ()):
        if not isinstance(text, str):
            continue
        place = f"{view.place('RepoTags')}[{number}]"
        try:
            reference = Reference.parse(text)
        except FormatError as error:
            checked.findings.add("repo-tag", error.message, member=MEMBER, place=place)
            continue
        if reference.tag is None:
            message = f"{shown(text)} has no tag; Docker refuses it, imgconv reads it as {text}:latest"
            checked.findings.add("repo-tag", message, member=MEMBER, place=place)
        found.append(reference.with_default_tag())
    return found


def _check_names(checked: Checked, items: list[Item]) -> None:
    owners: dict[str, Item] = {}
    for item in items:
        for reference in item.references:
            owner = owners.setdefault(reference.full, item)
            if owner is not item and _other(owner.config, item.config):
                message = f"{reference.familiar} is a name of {owner.place} too, which is another image"
                checked.findings.add("duplicate-name", message, member=MEMBER, place=f"{item.place}.RepoTags")


def _other(one: Config | None, two: Config | None) -> bool:
    return one is None or two is None or one.digest != two.digest


def _check_parents(checked: Checked, elements: list[Any], items: list[Item]) -> None:
    ids = {str(item.config.digest) for item in items if item.config is not None}
    for number, element in enumerate(elements):
        if isinstance(element, dict):
            parent = checked.fields(element, MEMBER, f"[{number}]").text("Parent")
            if parent and parent not in ids:
                checked.findings.add(
                    "parent", f"{parent} is not an image of the source", member=MEMBER, place=f"[{number}].Parent"
                )
