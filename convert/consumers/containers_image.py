"""Properties of archives that decide whether skopeo and podman read them (containers/image).

Each transport reads one form: `docker-archive` the images of `manifest.json` (docker/internal/tarfile),
`oci` and `oci-archive` the layout below `index.json` (oci/layout, oci/archive). A copy verifies what it reads by
digest (copy/blob.go), so that damage is refused. Each function returns what it found, "" for nothing.
"""

from __future__ import annotations

import functools
import posixpath
from typing import TYPE_CHECKING, Final

from convert.codec.compression import Compression
from convert.consumers import docker
from convert.consumers.needs import absent_layer
from convert.consumers.unpack import config_of
from convert.consumers.values import UnknownError
from convert.errors import FormatError
from convert.identity import docker_structs
from convert.model import dir_names, mediatype

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from convert.consumers.contents import Contents
    from convert.consumers.nodes import Node
    from convert.consumers.rule import Property
    from convert.model.platform import Platform

_ONE: Final = 1
#: Bytes of a file `version` that are read.
_VERSION_SIZE: Final = 100
_SCHEMA_2: Final = frozenset(
    (mediatype.DOCKER_LAYER, mediatype.DOCKER_LAYER_GZIP, mediatype.DOCKER_FOREIGN, mediatype.DOCKER_FOREIGN + ".gzip")
)


# -- docker-archive ----------------------------------------------------------------------


def no_manifest_json(contents: Contents) -> str:
    """manifest.json is missing, or is not a list of images."""
    if not contents.has("manifest.json"):
        return "there is no manifest.json"
    value, fault = contents.document("manifest.json")
    if fault:
        raise UnknownError(f"manifest.json: {fault}")
    if not value:
        return "manifest.json lists no image"
    if not isinstance(value, list):
        return "manifest.json is not a list"
    for number, item in enumerate(value):
        try:
            docker_structs.MANIFEST_ITEM.check(item, f"[{number}]")
        except FormatError as error:
            return f"manifest.json: {error.message}"
    return ""


def config(contents: Contents) -> str:
    """A config must be JSON with a rootfs."""
    for item in contents.items:
        if item.config is None:
            return f"config {item.config_name}: {item.config_fault}"
        if item.config.get("rootfs") is None:
            return f"{item.config_name} has no rootfs"
    return ""


def one_path_for_two(contents: Contents) -> str:
    """One member is the layer of two DiffIDs."""
    for item in contents.items:
        owners: dict[str, str] = {}
        for (path, _), diff_id in zip(item.layers, item.config.diff_ids if item.config else (), strict=False):
            name = posixpath.normpath(path) if path else "."
            if owners.setdefault(name, diff_id) != diff_id:
                return f"layer {path} is named for two DiffIDs"
    return ""


def missing_layer(contents: Contents) -> str:
    """A layer that manifest.json names is not in the archive."""
    for item in contents.items:
        for number, (path, blob) in enumerate(item.layers, 1):
            if blob is None:
                text = f"layer {path} is not in the archive"
                return (
                    absent_layer(contents.left_out, path, text, reads_all=True)
                    if path
                    else f"layer {number} has no name"
                )
    return ""


def repo_tag(contents: Contents) -> str:
    """Podman lists the names of all images first: each must be a reference with a tag."""
    return docker.repo_tag(contents)


# -- oci and oci-archive -----------------------------------------------------------------


def not_a_folder(contents: Contents) -> str:
    """A tar is not a layout folder."""
    return "" if contents.tree.is_folder else "the source is a tar, not a folder"


def no_dir(contents: Contents) -> str:
    """A `dir:` folder has one manifest or index as manifest.json, and each blob under its hex digest."""
    return "" if contents.dir_folder.tops else "there is no dir: folder"


def dir_version(contents: Contents) -> str:
    """The version of a `dir:` folder, if it has one, must be 1.1 or 1.2."""
    blob = contents.find(dir_names.VERSION)
    if blob is None:
        return ""
    with blob.open() as stream:
        match = dir_names.VERSION_TEXT.fullmatch(stream.read(_VERSION_SIZE))
    if match is None:
        return "version is not that of a dir: folder"
    version = int(match[1]), int(match[2])
    return f"version is {version[0]}.{version[1]}" if version > dir_names.NEWEST_VERSION else ""


def dir_type(contents: Contents) -> str:
    """The manifest of a `dir:` folder is of schema 1 or of an unknown kind."""
    for top in contents.dir_folder.tops:
        if not top.is_manifest and not top.is_index:
            raise UnknownError("manifest.json is of schema 1, or neither a manifest nor an index")
    return ""


@functools.cache
def of_dir(check: Property) -> Property:
    """Return a rule on what `index.json` lists as one on the manifest of a `dir:` folder."""

    @functools.wraps(check)
    def checked(contents: Contents) -> str:
        return check(contents.dir_folder)

    return checked


def no_index(contents: Contents) -> str:
    """index.json is missing, or lists nothing."""
    if not contents.has("index.json"):
        return "there is no index.json"
    _, fault = contents.document("index.json")
    if fault:
        return f"index.json: {fault}"
    return "" if contents.tops else "index.json lists nothing"


def several_entries(contents: Contents) -> str:
    """index.json lists several entries, and no name tells them apart for a transport without `:@N`."""
    if len(contents.tops) <= _ONE:
        return ""
    names = [top.ref_name for top in contents.tops]
    if not all(names) or len(set(names)) < len(names):
        return f"index.json lists {len(names)} entries, not each with a ref.name of its own"
    return ""


def several_docker_entries(contents: Contents) -> str:
    """Of several entries, one with a Docker media type is not found by its name."""
    if len(contents.tops) <= _ONE:
        return ""
    found = next((top for top in contents.tops if mediatype.is_docker(top.part.media_type)), None)
    return f"{found.ref_name!r} has the type {found.part.media_type}" if found is not None else ""


def more_than_one(contents: Contents) -> str:
    """index.json lists several entries, and the tool reads a layout with exactly one."""
    return f"index.json lists {len(contents.tops)} entries" if len(contents.tops) > _ONE else ""


def top_type(contents: Contents) -> str:
    """An entry is neither a manifest nor an index."""
    for top in contents.tops:
        if not top.is_manifest and not top.is_index:
            return f"index.json lists {top.part.media_type or 'something without a media type'}"
    return ""


def top_document(contents: Contents) -> str:
    """The document of an entry must be there; its digest is not compared."""
    for top in contents.tops:
        if top.keys is None:
            return f"{top.part.digest}: {top.fault}"
    return ""


def no_platform(contents: Contents) -> str:
    """An index without an image for this platform."""
    for top in contents.tops:
        if top.is_index and chosen(contents.host, top) is None:
            return f"index {top.part.digest} has no image for {contents.host}"
    return ""


def chosen_document(contents: Contents) -> str:
    """The manifest that is chosen from an index must be there and intact."""
    for top in contents.tops:
        node = chosen(contents.host, top) if top.is_index else None
        if node is not None and not node.intact:
            return (
                f"manifest {node.part.digest} for {contents.host} is not in the archive or not what its digest states"
            )
    return ""


def nested_index(contents: Contents) -> str:
    """What is chosen from an index is another index."""
    for top in contents.tops:
        node = chosen(contents.host, top) if top.is_index else None
        if node is not None and node.is_index:
            return f"index {top.part.digest} lists the index {node.part.digest}"
    return ""


def blobs(contents: Contents) -> str:
    """Config and layers of what is copied must be there and intact."""
    for node in copied(contents):
        parts = ([node.config] if node.config is not None else []) + list(node.layers)
        for part in parts:
            if any(url.startswith(("http://", "https://")) for url in part.urls):
                raise UnknownError(f"{part.digest} is fetched from {part.urls[0]}, not from the archive")
            if part.blob is None:
                return absent_layer(contents.left_out, part.digest, f"{part.digest} is not in the archive")
            facts = contents.facts(part.blob)
            if facts.stored.get(part.digest.algorithm, part.digest) != part.digest:
                return f"{part.digest} is not what its digest identifies"
            if part is node.config and facts.size != part.size:
                return f"{part.digest} holds {facts.size} bytes, its descriptor states {part.size}"
    return ""


def docker_types(contents: Contents) -> str:
    """A layer of a Docker manifest has a type of another family."""
    return _other_types(contents, _SCHEMA_2 | {mediatype.DOCKER_LAYER_ZSTD})


def docker_types_without_zstd(contents: Contents) -> str:
    """A layer of a Docker manifest has a type that schema 2 does not define: zstd's, or one of another family."""
    return _other_types(contents, _SCHEMA_2)


def _other_types(contents: Contents, known: Container[str]) -> str:
    for node in copied(contents):
        if node.part.media_type != mediatype.DOCKER_MANIFEST:
            continue
        for layer in node.layers:
            if layer.media_type not in known:
                return f"layer {layer.digest} of a Docker manifest has the type {layer.media_type}"
    return ""


def stored_layers(contents: Contents) -> str:
    """A layer that is copied into a store must unpack: no other type, no damage, nothing behind its stream."""
    for node in copied(contents):
        for layer in node.layers:
            if not mediatype.is_layer(layer.media_type):
                return f"layer {layer.digest} has the type {layer.media_type}"
            if layer.blob is None:
                continue
            facts = contents.facts(layer.blob)
            if facts.damage is not None or facts.tar.broken:
                return f"layer {layer.digest} is damaged"
            if facts.trailing:
                return f"layer {layer.digest} has {facts.trailing} bytes behind its compressed stream"
            if facts.tar.repeats:
                return f"layer {layer.digest} names {facts.tar.repeated[0]} more than once"
    return ""


def stored_config(contents: Contents) -> str:
    """The config of what is copied into a store must decode: no text as Cmd, Entrypoint or Shell."""
    for node in copied(contents):
        settings, _ = config_of(contents, node.config)
        if settings is not None and (found := docker.text_in_run_config(settings)):
            return found
    return ""


def ref_name(contents: Contents) -> str:
    """Podman stores an image under its ref.name, which must be a reference."""
    for top in contents.tops:
        text = top.image_name or top.ref_name
        if text and contents.reference(text) is None:
            return f"ref.name {text!r} is not a valid name"
    return ""


def copied(contents: Contents) -> Iterator[Node]:
    """Yield the manifest of each entry, or the one chosen from its index."""
    for top in contents.tops:
        node = chosen(contents.host, top) if top.is_index else top
        if node is not None and node.keys is not None and not node.is_index:
            yield node


def chosen(host: Platform, index: Node) -> Node | None:
    """Return the child of an index for a platform (internal/manifest/oci_index.go, `chooseInstance`)."""
    for child in index.children:
        if child.platform is not None and _fits(host, child.platform):
            return child
    if index.part.media_type == mediatype.OCI_INDEX:
        return next((child for child in index.children if child.platform is None), None)
    return None


def _fits(host: Platform, other: Platform) -> bool:
    return (host.os, host.architecture) == (other.os, other.architecture) and (
        not other.variant or host.normalised[2] == other.variant or host.matches(other)
    )


def gzip_archive(contents: Contents) -> str:
    """The whole archive is compressed with gzip, which old versions begin to read behind its header."""
    return "the whole archive is compressed with gzip" if contents.compression == Compression.GZIP else ""


def hard_link(contents: Contents) -> str:
    """A layer's or config's member is a hard link, which has no content of its own."""
    for item in contents.items:
        for path in (item.config_name, *(path for path, _ in item.layers)):
            member = contents.tree.member(posixpath.normpath(path).lstrip("/")) if path else None
            if member is not None and member.kind == "hardlink":
                return f"{path} is a hard link"
    return ""


def ambiguous(contents: Contents) -> str:
    """A document that is both a manifest and an index, or has keys of schema 1 (CVE-2021-41190)."""
    for node in (*contents.tops, *copied(contents)):
        keys = ("manifests", "fsLayers", "history") if node.is_manifest else ("config", "layers", "fsLayers", "history")
        found = node.keys if node.is_manifest or node.is_index else None
        for key in keys:
            if found is not None and key in found:
                return f"{node.part.digest} has {key}"
    return ""


def layer_damaged(contents: Contents) -> str:
    """A compressed layer does not unpack, or something follows its stream; whether it is a tar is not looked at."""
    for item in contents.items:
        for path, blob in item.layers:
            facts = contents.facts(blob) if blob is not None else None
            if facts is not None and (facts.unread is not None or facts.damage is not None or facts.trailing):
                return f"layer {path} is damaged, or something follows its compressed stream"
    return ""


def linked_layer(contents: Contents) -> str:
    """A layer's member is a symbolic link, whose size counts as that of the layer."""
    return _linked_layer(contents, across=False)


def linked_layer_not_stored(contents: Contents) -> str:
    """The same, but a layer of an earlier image is in the store already."""
    return _linked_layer(contents, across=True)


def _linked_layer(contents: Contents, *, across: bool) -> str:
    seen: set[str] = set()
    for item in contents.items:
        if not across:
            seen.clear()
        for (path, blob), diff_id in zip(item.layers, item.config.diff_ids if item.config else (), strict=False):
            if diff_id in seen or blob is None:
                continue
            seen.add(diff_id)
            member = contents.tree.member(posixpath.normpath(path).lstrip("/"))
            if member is not None and member.kind == "symlink":
                return f"layer {path} is a symbolic link"
    return ""
