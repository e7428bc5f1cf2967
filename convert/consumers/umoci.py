"""Properties of archives that decide whether `umoci unpack` reads them (opencontainers/umoci).

umoci reads layout folders and addresses images by ref.name. It knows only OCI's media types, and verifies digests,
sizes and DiffIDs (oci/casext, oci/layer). Each function returns what it found, "" for nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from convert import cancel
from convert.consumers import docker
from convert.consumers.needs import absent_layer
from convert.consumers.unpack import config_of
from convert.consumers.values import UnknownError
from convert.model import mediatype

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.consumers.contents import Contents
    from convert.consumers.nodes import Node, Part, Settings

_REF_NAME: Final = re.compile(
    r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*(?:/[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*)*\Z"
)


def layout(contents: Contents) -> str:
    """A layout has `oci-layout` of version 1.0.0, index.json and the folder blobs."""
    if contents.layout_version is None:
        return "there is no oci-layout"
    if contents.layout_version != "1.0.0":
        return f"oci-layout states version {contents.layout_version or 'none'}"
    if not any(name.startswith("blobs/") or name == "blobs" for name in contents.tree.names()):
        return "there is no folder blobs"
    if not contents.has("index.json"):
        return "there is no index.json"
    _, fault = contents.document("index.json")
    return f"index.json: {fault}" if fault else ""


def no_ref_name(contents: Contents) -> str:
    """No entry has a ref.name, by which umoci addresses images."""
    return "" if any(top.ref_name for top in contents.tops) else "no entry of index.json has a ref.name"


def ref_name(contents: Contents) -> str:
    """A ref.name that does not follow the grammar of image-spec."""
    for top in contents.tops:
        if top.ref_name and not _REF_NAME.match(top.ref_name):
            return f"ref.name {top.ref_name!r} does not follow the grammar of image-spec"
    return ""


def ambiguous(contents: Contents) -> str:
    """A ref.name must lead to exactly one manifest."""
    led: dict[str, bool] = {}
    for top in contents.tops:
        if top.ref_name:
            led.setdefault(top.ref_name, False)
            for _ in _targets(top):
                if led[top.ref_name]:
                    return f"ref.name {top.ref_name!r} leads to more than one manifest"
                led[top.ref_name] = True
    return next((f"ref.name {name!r} leads to no manifest" for name, one in led.items() if not one), "")


def not_a_manifest(contents: Contents) -> str:
    """A ref.name must lead to an OCI manifest."""
    for node in _named(contents):
        if node.part.media_type not in {mediatype.OCI_MANIFEST, mediatype.OCI_INDEX}:
            return f"{node.part.digest} has the type {node.part.media_type}"
        if not node.intact or node.keys is None:
            kind = "index" if node.is_index else "manifest"
            return f"{kind} {node.part.digest}: {node.fault or 'it is not what its digest identifies'}"
        if _size_differs(contents, node.part):
            return f"manifest {node.part.digest} does not have the size of its descriptor"
    return ""


def config(contents: Contents) -> str:
    """A config must be of OCI's type, with a rootfs of type layers, and decode."""
    for node in _named(contents):
        if node.config is None or node.config.media_type != mediatype.OCI_CONFIG:
            return f"a config has the type {node.config.media_type if node.config else 'none'}"
        settings, fault = _config(contents, node.config)
        if settings is None:
            return fault
        if _size_differs(contents, node.config):
            return f"config {node.config.digest} does not have the size of its descriptor"
        if settings.platform.os == "windows":
            return "an image is for windows"
        if settings.platform.os not in {"", "linux"}:
            raise UnknownError(f"no archive for {settings.platform.os} was tried")
        if settings.get("rootfs", "type") != "layers":
            return f"config {node.config.digest} has the rootfs type {settings.get('rootfs', 'type')}"
        if found := docker.text_in_run_config(settings):
            return found
        if len(settings.diff_ids) != len(node.layers):
            return f"{len(node.layers)} layers in a manifest, {len(settings.diff_ids)} DiffIDs in its config"
    return ""


def run_env(contents: Contents) -> str:
    """Each entry of Env must be a name, "=" and a value."""
    for node in _named(contents):
        settings, _ = _config(contents, node.config)
        entries = settings.get("config", "Env") if settings is not None else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, str) and entry.find("=") < 1:
                return f"the config's Env has {entry!r}"
    return ""


def layers(contents: Contents) -> str:
    """Layers must be of OCI's types, intact, compressed as they state, and have their DiffIDs."""
    for node in _named(contents):
        settings, _ = _config(contents, node.config)
        for layer, wanted in zip(node.layers, settings.diff_ids if settings is not None else (), strict=False):
            if not mediatype.is_layer(layer.media_type) or mediatype.is_docker(layer.media_type):
                return f"layer {layer.digest} has the type {layer.media_type}"
            if layer.blob is None:
                return absent_layer(
                    contents.left_out, layer.digest, f"layer {layer.digest} is not in the layout", reads_all=True
                )
            facts = contents.facts(layer.blob)
            if facts.stored.get(layer.digest.algorithm, layer.digest) != layer.digest or facts.size != layer.size:
                return f"layer {layer.digest} is not what its descriptor states"
            if facts.compression != mediatype.layer_compression(layer.media_type):
                return f"layer {layer.digest} is not compressed as {layer.media_type} states"
            if facts.damage is not None or facts.tar.broken or facts.trailing:
                return f"layer {layer.digest} is damaged, or something follows its compressed stream"
            plain = facts.plain.get("sha256")
            if plain is not None and str(plain) != wanted:
                return f"layer {layer.digest} unpacks to {plain}, the config states {wanted}"
    return ""


def zstd(contents: Contents) -> str:
    """A layer is compressed with zstd."""
    for node in _named(contents):
        for layer in node.layers:
            if layer.media_type == mediatype.OCI_LAYER_ZSTD:
                return f"layer {layer.digest} has the type {layer.media_type}"
    return ""


def embedded_config(contents: Contents) -> str:
    """A config that only its descriptor embeds."""
    for node in _named(contents):
        if node.config is not None and node.config.blob is None and node.config.data:
            return f"config {node.config.digest} is only in its descriptor"
    return ""


def _config(contents: Contents, part: Part | None) -> tuple[Settings | None, str]:
    """Return a config, also one that only its descriptor embeds."""
    if part is not None and part.blob is None and part.data is not None:
        return contents.parse_settings(part.data, str(part.digest))
    return config_of(contents, part)


def _named(contents: Contents) -> Iterator[Node]:
    return (node for top in contents.tops if top.ref_name for node in _targets(top))


def _targets(node: Node) -> Iterator[Node]:
    """Yield where a descriptor leads: to manifests, and to what umoci does not know or cannot read.

    One index may be reached by many paths; reading limits their number (`Node.paths`).
    """
    cancel.check()
    if node.part.media_type != mediatype.OCI_INDEX or not node.intact:
        yield node
        return
    for child in node.children:
        yield from _targets(child)


def _size_differs(contents: Contents, part: Part) -> bool:
    return part.blob is not None and contents.facts(part.blob).size != part.size
