"""Properties of archives that decide whether an engine with a graph driver loads them.

`docker load` unpacks the archive, decodes `manifest.json`, and registers each image's layers, config and tags in
order (moby/moby daemon/internal/image/tarexport/load.go, `Load`). Each function returns what it found, "" for
nothing; the rules name them (rules.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.archive.tree import clean
from convert.codec.compression import Compression
from convert.consumers.needs import absent_layer
from convert.consumers.values import UnknownError
from convert.errors import FormatError, InputError
from convert.identity import docker_structs
from convert.jsonio.strict import fold
from convert.limits import MAX_DOCKER_LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.consumers.contents import Contents
    from convert.consumers.nodes import Item, Settings
    from convert.model.blob import Blob

_RUN: Final = ("Cmd", "Entrypoint", "Shell")


def folder(contents: Contents) -> str:
    """A folder is not a stream of tar members."""
    return "the source is a folder" if contents.tree.is_folder else ""


def zstd_archive(contents: Contents) -> str:
    """The whole archive is compressed with zstd."""
    return "the whole archive is compressed with zstd" if contents.compression == Compression.ZSTD else ""


def tar_headers(contents: Contents) -> str:
    """A tar header that Go's archive/tar refuses."""
    return str(contents.tree.refusal) if contents.tree.refusal is not None else ""


def early_hard_link(contents: Contents) -> str:
    """A hard link before the member that it leads to: unpacking in order fails."""
    seen: set[str] = set()
    for name in contents.tree.names():
        try:
            member = contents.tree.member(name)
        except InputError as error:
            raise UnknownError(error.message) from None
        if member is not None and member.kind == "hardlink" and clean(member.link) not in seen:
            return f"the hard link {name} comes before {member.link}"
        seen.add(name)
    return ""


def no_manifest_json(contents: Contents) -> str:
    """Archives from before Docker 1.10, and OCI layouts, have no manifest.json."""
    return "" if contents.has("manifest.json") else "there is no manifest.json"


def layout_only(contents: Contents) -> str:
    """Without manifest.json, each folder is taken for a v1 layer; a layout has none."""
    if contents.has("manifest.json"):
        return ""
    if contents.has("repositories") and not contents.has("index.json"):
        return ""
    return "there is neither manifest.json nor repositories"


def legacy_parts(contents: Contents) -> str:
    """Without manifest.json, each folder at the top needs `json` and `layer.tar`."""
    if contents.has("manifest.json"):
        return ""
    if any(warning.code == "ignored-member" and ".." in warning for warning in contents.tree.warnings):
        return "a member leads out of the archive"
    tops = dict.fromkeys(name.removeprefix("./").partition("/")[0] for name in contents.tree.names() if "/" in name)
    for top in tops:
        if top in {"", ".", ".."}:
            return "a folder at its top is not a v1 layer"
        for part in ("json", "layer.tar"):
            if not contents.has(f"{top}/{part}"):
                return f"{top}/{part} is not in the archive"
    return ""


def manifest_json(contents: Contents) -> str:
    """manifest.json must decode into a list of items."""
    if not contents.has("manifest.json"):
        return ""
    value, fault = contents.document("manifest.json")
    if fault:
        raise UnknownError(f"manifest.json: {fault}")
    if value is None:
        return "manifest.json is null"
    if not isinstance(value, list):
        return "manifest.json is not a list"
    for number, item in enumerate(value):
        try:
            docker_structs.MANIFEST_ITEM.check(item, f"[{number}]")
        except FormatError as error:
            return f"manifest.json: {error.message}"
    return "" if value else "manifest.json lists no image"


def config(contents: Contents) -> str:
    """A config must be there, decode into the engine's struct, and have a rootfs."""
    for item in contents.items:
        if item.config is None:
            if item.config_name and contents.has(item.config_name):
                return f"{item.config_name}: {item.config_fault}"
            return f"the config {item.config_name or 'without a name'} is not in the archive"
        if error := item.config.decode_error(docker_structs.CONFIG):
            return f"{item.config_name}: {error}"
        if item.config.get("rootfs") is None:
            return f"{item.config_name} has no rootfs"
    return ""


def run_config(contents: Contents) -> str:
    """Cmd, Entrypoint or Shell is a text, which old engines wrote."""
    return next((found for settings in _configs(contents) if (found := text_in_run_config(settings))), "")


def text_in_run_config(settings: Settings) -> str:
    """Return what is a text in the settings of containers where a list is needed, "" for nothing."""
    return settings.ask(_text_in_run_config)


def _text_in_run_config(settings: Settings) -> str:
    given = settings.get("config")
    for key in given if isinstance(given, dict) else ():
        for name in _RUN:
            if fold(key) == fold(name) and isinstance(given[key], str):
                return f"the config's {name} is a text, not a list"
    return ""


def foreign_system(contents: Contents) -> str:
    """An image for another operating system."""
    for settings in _configs(contents):
        if settings.platform.os not in {"", contents.host.os}:
            return f"an image is for {settings.platform.os}, not {contents.host.os}"
    return ""


def layer_count(contents: Contents) -> str:
    """As many layers in manifest.json as DiffIDs in the config."""
    for item in contents.items:
        if item.config is not None and len(item.layers) != len(item.config.diff_ids):
            return f"{len(item.layers)} layers in manifest.json, {len(item.config.diff_ids)} DiffIDs in the config"
    return ""


def missing_layer(contents: Contents) -> str:
    """A layer that manifest.json names is not in the archive.

    A layer that the engine registered already, under the same ChainID, is not looked for again.
    """
    # Chains of DiffIDs are numbered; each is found by the number of the chain below it, so that memory is linear.
    numbers: dict[tuple[int, str], int] = {}
    registered: set[int] = set()
    for item in contents.items:
        diff_ids = item.config.diff_ids if item.config is not None else []
        chain = 0
        for number, (path, blob) in enumerate(item.layers, 1):
            if number <= len(diff_ids):
                chain = numbers.setdefault((chain, diff_ids[number - 1]), len(numbers) + 1)
            if blob is None and chain not in registered:
                text = f"layer {path} is not in the archive"
                return absent_layer(contents.left_out, path, text) if path else f"layer {number} has no name"
            registered.add(chain)
    return ""


def layer_damaged(contents: Contents) -> str:
    """A layer does not unpack."""
    for _, path, blob, _ in _layers(contents):
        found = contents.facts(blob)
        if found.unread is not None or found.damage is not None:
            return f"layer {path} is damaged"
        if found.tar.broken:
            return f"layer {path} is not a complete tar: {found.tar.broken}"
    return ""


def zstd_layer(contents: Contents) -> str:
    """A layer is compressed with zstd."""
    for _, path, blob, _ in _layers(contents):
        if contents.facts(blob).compression == Compression.ZSTD:
            return f"layer {path} is compressed with zstd"
    return ""


def diff_id(contents: Contents) -> str:
    """A layer does not have its DiffID."""
    for _, path, blob, wanted in _layers(contents):
        found = contents.facts(blob).plain.get("sha256")
        if found is not None and str(found) != wanted:
            return f"layer {path} is {found}, the config states {wanted}"
    return ""


def path_twice(contents: Contents) -> str:
    """A layer names a path twice: the split of the tar's metadata cannot be put together again."""
    for _, path, blob, _ in _layers(contents):
        tar = contents.facts(blob).tar
        if tar.repeats:
            return f"layer {path} names {tar.repeated[0]} more than once"
    return ""


def many_layers(contents: Contents) -> str:
    """More layers than a graph driver stacks."""
    return too_many([len(settings.diff_ids) for settings in _configs(contents)])


def too_many(counts: Sequence[int]) -> str:
    """Return what is wrong with images of so many layers each, "" if nothing is."""
    return f"an image has {max(counts)} layers" if max(counts, default=0) > MAX_DOCKER_LAYERS else ""


def history_too_long(contents: Contents) -> str:
    """The history has more entries with a layer than there are layers."""
    for settings in _configs(contents):
        history = settings.get("history")
        entries = history if isinstance(history, list) else []
        made = sum(not (isinstance(one, dict) and _flag(one, "empty_layer")) for one in entries)
        if made > len(settings.diff_ids):
            return f"the history has {made} entries with a layer for {len(settings.diff_ids)} DiffIDs"
    return ""


def repo_tag(contents: Contents) -> str:
    """A RepoTag must be a reference with a tag."""
    for item in contents.items:
        for text in item.tags:
            reference = contents.reference(text)
            if reference is None:
                return f"RepoTag {text!r} is not a valid name"
            if reference.tag is None:
                return f"RepoTag {text!r} has no tag"
    return ""


def _flag(value: dict[str, object], name: str) -> bool:
    return any(fold(key) == name and flag is True for key, flag in value.items())


def _configs(contents: Contents) -> Iterator[Settings]:
    return iter(dict.fromkeys(item.config for item in contents.items if item.config is not None))


def _layers(contents: Contents) -> Iterator[tuple[Item, str, Blob, str]]:
    """Yield each layer that is there, with its item, its path and its DiffID."""
    for item in contents.items:
        diff_ids = item.config.diff_ids if item.config is not None else []
        for (path, blob), wanted in zip(item.layers, diff_ids, strict=False):
            if blob is not None:
                yield item, path, blob, wanted
