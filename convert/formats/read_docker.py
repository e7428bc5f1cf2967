"""Read archives that carry a `manifest.json` (docker image spec v1.2, and its kin).

One reader for docker save, crane, podman, skopeo, kaniko, jib, bazel, nix and
buildpacks: they differ in member names only, and those are labels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert import documents, mediatypes
from convert.config import Config
from convert.digest import Digest
from convert.errors import DigestMismatchError, FormatError, InputError, UnsafeInputError
from convert.formats import parsing
from convert.formats.reading import Document, Fields, absent_layers
from convert.limits import MAX_LAYERS, MAX_NODES
from convert.model import Entry, Image, ImageSet, Layer, Name
from convert.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.formats.reading import Reading
    from convert.model import Blob, Descriptor

_V1_LAYER: Final = re.compile(r"(?:\./)?([0-9a-f]{64})/layer\.tar\Z")
_V1_ID: Final = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Item:
    """One element of `manifest.json`, resolved to an image and its names."""

    image: Image
    names: tuple[Name, ...]


def read_docker(reading: Reading, *, all_sources: bool = False) -> ImageSet:
    """Read every image that `manifest.json` lists, in its order.

    `all_sources`: layers get whatever descriptor `LayerSources` give them, as
    crane takes it, not only that of a foreign layer.

    Raises:
        FormatError: a document is broken, a member is missing, or the numbers
            of layers and DiffIDs differ.
        DigestMismatchError: crane's `sha256:` config name is not its content's.
    """
    entries: list[Entry] = []
    for item in read_items(reading, all_sources=all_sources):
        entries.extend(Entry(item.image, name) for name in item.names or (None,))
    return ImageSet(entries=tuple(entries), format=_format(reading))


def read_items(reading: Reading, *, all_sources: bool = False) -> list[Item]:
    """Return the elements of `manifest.json`; those that fail are problems."""
    raw = reading.read("manifest.json")
    value = reading.parse(raw, "manifest.json")
    document = Document(reading, "manifest.json", value, "docker-manifest")
    if value is None:
        raise FormatError("is null, so it names no image", file=reading.file, member="manifest.json")
    if not isinstance(value, list):
        document.fail("", "expected an array")
    if len(value) > MAX_NODES:
        msg = f"lists {len(value)} images, the limit is {MAX_NODES}"
        raise UnsafeInputError(msg, file=reading.file, member="manifest.json")
    items = []
    for number, element in enumerate(value):
        try:
            items.append(_item(reading, Fields(element, document, f"[{number}]"), all_sources=all_sources))
        except InputError as error:
            reading.problem(error)
    return items


def _item(reading: Reading, fields: Fields, *, all_sources: bool) -> Item:
    config_name = fields.required_text("Config")
    if not config_name:
        fields.fail("Config", "is empty")
    raw = reading.read(config_name)
    if config_name.startswith("sha256:") and (wanted := Digest.parse(config_name)) != (got := Digest.of(raw)):
        # crane names the config by its digest and reads it by that name.
        raise DigestMismatchError(
            f"content is {got}", wanted=str(wanted), got=str(got), size=len(raw), file=reading.file, member=config_name
        )
    config = Config.parse(raw, where=reading.file, member=config_name)
    paths = fields.strings("Layers") or []
    if len(paths) > MAX_LAYERS:
        fields.fail("Layers", f"names {len(paths)} layers, the limit is {MAX_LAYERS}")
    if len(paths) == len(config.diff_ids):
        sources = _layer_sources(fields, all_sources=all_sources)
        layers = tuple(
            _layer(reading, path, diff_id, sources.get(diff_id), f"[{number}]", fields)
            for number, (path, diff_id) in enumerate(zip(paths, config.diff_ids, strict=True))
        )
    else:
        reading.problem(
            FormatError(
                f"{len(paths)} layers in manifest.json, {len(config.diff_ids)} DiffIDs in the config",
                member=config_name,
            )
        )
        layers = absent_layers(config.diff_ids)
        paths = []
    parent = fields.text("Parent")
    image = Image(
        config=config,
        layers=layers,
        v1_ids=_v1_ids(reading, paths, layers, fields),
        parent=Digest.parse(parent) if parent else None,
    )
    return Item(image, tuple(_names(reading, fields)))


def _layer(
    reading: Reading, path: str, diff_id: Digest, source: Descriptor | None, number: str, fields: Fields
) -> Layer:
    blob = None
    try:
        blob = reading.tree.find(path)
        if blob is None and not (source and source.urls):
            raise FormatError(
                f"is missing, though manifest.json names it as {fields.place('Layers')}{number}", member=path
            )
    except InputError as error:
        reading.problem(error)
    return Layer(diff_id, blob, source)


def _layer_sources(fields: Fields, *, all_sources: bool) -> dict[Digest, Descriptor]:
    """Return the descriptors of foreign layers; others say nothing the bytes do not."""
    sources = fields.object("LayerSources")
    if sources is None:
        return {}
    found = {}
    for key in sources.keys():  # noqa: SIM118 - no mapping
        entry = sources.object(key)
        if entry is None:
            continue
        if not all_sources and not mediatypes.is_nondistributable(entry.text("mediaType") or ""):
            continue
        found[Digest.parse(key)] = parsing.descriptor(entry)
    return found


def _names(reading: Reading, fields: Fields) -> Iterator[Name]:
    for text in fields.strings("RepoTags") or ():
        try:
            reference = Reference.parse(text)
        except FormatError:
            reading.warn(f"manifest.json: RepoTag {text!r} is no valid reference; the image stays without that name")
            yield Name(None, text)
            continue
        if reference.tag is None and reference.digest is None:
            reading.warn(f"manifest.json: RepoTag {text!r} has no tag; read as {text}:latest")
        yield Name(reference.with_default_tag(), None)


# -- v1 directories --------------------------------------------------------------


def _v1_ids(reading: Reading, paths: list[str], layers: tuple[Layer, ...], fields: Fields) -> tuple[str, ...] | None:
    """Return the source's own v1 IDs where every layer has one (64 hex)."""
    matches = [_V1_LAYER.match(path) for path in paths]
    if not paths:
        return None
    if all(matches):
        return tuple(match.group(1) for match in matches if match)
    # podman and skopeo: the layers lie beside, and links in v1 dirs point at them.
    tops = _tops(reading, fields)
    for top in tops:
        chain = _chain(reading, top, len(layers))
        if chain and all(_linked(reading, v1_id) is layer.blob for v1_id, layer in zip(chain, layers, strict=True)):
            return tuple(chain)
    return None


def _tops(reading: Reading, fields: Fields) -> list[str]:
    """Return the v1 IDs that may be this image's top: those its names have, or any."""
    tags = fields.strings("RepoTags")
    if not tags:
        folders = (name.partition("/") for name in reading.tree.names())
        return [folder for folder, _, rest in folders if rest == "json" and _V1_ID.match(folder)]
    if reading.tree.find("repositories") is None:
        return []
    table = reading.parse(reading.read("repositories"), "repositories")
    tops = []
    for text in tags:
        repository, _, tag = text.rpartition(":")
        top = table.get(repository, {}).get(tag) if isinstance(table, dict) else None
        if isinstance(top, str) and _V1_ID.match(top):
            tops.append(top)
    return tops


def _chain(reading: Reading, top: str, count: int) -> list[str] | None:
    """Follow `parent` from a top v1 ID; lowest first, None unless `count` long."""
    chain: list[str] = []
    v1_id: str | None = top
    while v1_id is not None:
        if len(chain) == count or not _V1_ID.match(v1_id) or reading.tree.find(f"{v1_id}/json") is None:
            return None
        chain.append(v1_id)
        value = reading.parse(reading.read(f"{v1_id}/json"), f"{v1_id}/json")
        if not isinstance(value, dict):
            return None
        parent = documents.lookup(value, "parent", where=reading.file, member=f"{v1_id}/json")
        v1_id = parent if isinstance(parent, str) and parent else None
    return chain[::-1] if len(chain) == count else None


def _linked(reading: Reading, v1_id: str) -> Blob | None:
    return reading.tree.find(f"{v1_id}/layer.tar")


def _format(reading: Reading) -> str:
    """Name the form of the archive by its members."""
    names = reading.tree.names()
    if any(name.startswith("sha256:") for name in names):
        return "crane"
    beside = any(name.endswith(".tar") and "/" not in name for name in names)
    return "docker-save" if not beside and any(_V1_LAYER.match(name) for name in names) else "docker-archive"
