"""The images of an archive as containerd unpacks them: which one it picks, and why layers do not unpack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.consumers.needs import absent_layer
from convert.model import mediatype
from convert.model.platform import Platform
from convert.reader.document import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.consumers.contents import Contents
    from convert.consumers.nodes import Item, Node, Part, Settings
    from convert.model.blob import Blob

    #: A config, what is wrong with it, and the layers: name, blob, and the descriptor if there is one.
    Unpacking = tuple[Settings | None, str, list[tuple[str, Blob | None, Part | None]]]

#: Platforms that run images of another one (containerd/platforms compare.go, `platformVector`).
_ALSO_RUNS: Final = {"amd64": (("386", ""),), "arm64": (("arm", "v8"), ("arm", "v7"), ("arm", "v6"), ("arm", "v5"))}
_LAYER_PREFIXES: Final = ("application/vnd.oci.image.layer.",)


def runs(host: Platform, other: Platform) -> bool:
    """Return whether `host` runs images of another platform (platforms.Only)."""
    if host.matches(other):
        return True
    also = _ALSO_RUNS.get(host.normalised[1], ())
    return any(
        Platform(host.os, architecture, variant).normalised == other.normalised for architecture, variant in also
    )


def readable(node: Node) -> bool:
    """Return whether containerd finds a document: by the digest of its content, or in its descriptor."""
    return node.intact or (node.part.data is not None and not node.was_read)


def _is_layer(media_type: str) -> bool:
    base = media_type.partition("+")[0]
    return media_type.startswith(_LAYER_PREFIXES) or mediatype.is_layer(base) or mediatype.is_layer(media_type)


def config_of(contents: Contents, part: Part | None) -> tuple[Settings | None, str]:
    """Return the config that a manifest names, and what is wrong with it."""
    if part is None:
        return None, "a manifest names no config"
    if part.blob is None:
        return None, f"config {part.digest} is not in the archive"
    settings, fault = contents.settings(part.blob, str(part.digest))
    if settings is not None and not _is(settings.raw, part):
        return None, f"config {part.digest} is not what its digest identifies"
    return settings, f"config {part.digest}: {fault}" if fault else ""


def _is(raw: bytes, part: Part) -> bool:
    return digest_of(raw, part.digest.algorithm) == part.digest


def _of_item(item: Item) -> Unpacking:
    return item.config, item.config_fault, [(path, blob, None) for path, blob in item.layers]


def _of_manifest(contents: Contents, node: Node, *, every: bool) -> Unpacking:
    settings, fault = config_of(contents, node.config)
    layers: list[tuple[str, Blob | None, Part | None]] = [
        (str(layer.digest), layer.blob, layer) for layer in node.layers if every or _is_layer(layer.media_type)
    ]
    return settings, fault, layers


def images_to_unpack(contents: Contents) -> Iterator[Unpacking]:
    """Yield the image of each entry that containerd 1 unpacks."""
    if not contents.layout_version:
        yield from map(_of_item, contents.items)
        return
    for top in contents.tops:
        node = chosen(contents, top) if top.is_index else top
        if node is not None and node.is_manifest and readable(node):
            yield _of_manifest(contents, node, every=True)


def all_images(contents: Contents) -> Iterator[Unpacking]:
    """Yield every image, with the layers of types that are known."""
    if not contents.layout_version:
        yield from map(_of_item, contents.items)
        return
    for node, _ in contents.walk():
        is_image = node.config is not None and node.config.media_type in mediatype.IMAGE_CONFIGS
        if node.is_manifest and readable(node) and is_image:
            yield _of_manifest(contents, node, every=False)


def chosen(contents: Contents, index: Node) -> Node | None:
    """Return the manifest that containerd picks from an index (core/images/image.go, `Manifest`)."""
    fitting = [child for child in index.children if child.platform is None or runs(contents.host, child.platform)]
    fitting.sort(key=lambda child: _order(contents.host, child))
    if not fitting:
        return None
    first = fitting[0]
    if first.is_index:
        return chosen(contents, first)
    if not first.is_manifest or not readable(first):
        return None
    if first.platform is None:
        settings, _ = config_of(contents, first.config)
        if settings is None or not runs(contents.host, settings.platform):
            return None
    return first


def _order(host: Platform, child: Node) -> int:
    if child.platform is None:
        return 2
    return 0 if host.matches(child.platform) else 1


def counts(settings: Settings | None, layers: Sequence[object]) -> str:
    """Return what is wrong where the numbers of layers and DiffIDs differ."""
    found = len(settings.diff_ids) if settings is not None else 0
    return f"{len(layers)} layers in a manifest, {found} DiffIDs in its config"


def unpack(
    contents: Contents, settings: Settings | None, layers: Sequence[tuple[str, Blob | None, Part | None]]
) -> str:
    """Return why the layers of an image do not unpack, "" if they do."""
    diff_ids = settings.diff_ids if settings is not None else []
    for (name, blob, part), wanted in zip(layers, diff_ids, strict=False):
        if blob is None:
            layer = part.digest if part is not None else name
            text = f"layer {name} is not in the archive"
            return absent_layer(contents.left_out, layer, text, reads_all=part is None)
        facts = contents.facts(blob)
        if part is not None:
            if not _is_layer(part.media_type) or part.media_type.endswith("encrypted"):
                return f"layer {name} has the type {part.media_type}"
            if facts.stored.get(part.digest.algorithm, part.digest) != part.digest:
                return f"layer {name} is not what its digest identifies"
        if facts.unread is not None or facts.damage is not None:
            return f"layer {name} is damaged"
        if facts.tar.broken:
            return f"layer {name} is not a complete tar: {facts.tar.broken}"
        plain = facts.plain.get("sha256")
        if plain is not None and str(plain) != wanted:
            return f"layer {name} unpacks to {plain}, the config states {wanted}"
    return ""
