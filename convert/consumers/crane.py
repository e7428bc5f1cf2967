"""Properties of archives that decide whether `crane push` uploads them (google/go-containerregistry).

A file is a tarball with the only image of `manifest.json` (pkg/v1/tarball/image.go), a folder a layout with one
entry (pkg/v1/layout), which is uploaded with everything that it names. Each function returns what it found, "" for
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.consumers.needs import absent_layer
from convert.consumers.values import UnknownError
from convert.errors import ImgconvError
from convert.identity import ggcr_structs
from convert.jsonio.strict import fold
from convert.model import mediatype
from convert.reader.docker_archive import ManifestJsonRules, check_rules, read_items
from convert.reader.sink import CollectingSink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.consumers.contents import Contents
    from convert.consumers.nodes import Node, Part

_RULES: Final = ManifestJsonRules("crane", ggcr_structs.MANIFEST_ITEM)


def tarball(contents: Contents) -> str:
    """A tarball needs a manifest.json with exactly one image, whose config and layers are found."""
    if contents.tree.is_folder:
        return ""
    if not contents.has("manifest.json"):
        return "there is no manifest.json"
    value, fault = contents.document("manifest.json")
    if fault:
        raise UnknownError(f"manifest.json: {fault}")
    if not isinstance(value, list) or len(value) != 1:
        return f"manifest.json lists {len(value) if isinstance(value, list) else 'no'} images, not one"
    sink = CollectingSink()
    try:
        reading = contents.readings.start(sink)
        read_items(reading, as_crane=True, needs_layers=True)
        check_rules(reading, _RULES)
    except ImgconvError as error:
        return error.message
    if not sink.faults:
        return ""
    first = sink.faults[0].error
    text = f"{first.member or ''}: {first.message}"
    return absent_layer(contents.left_out, first.member or "", text, reads_all=True)


def config(contents: Contents) -> str:
    """The config of a tarball must decode into crane's struct."""
    if contents.tree.is_folder:
        return ""
    for item in contents.items:
        if item.config is None:
            return f"{item.config_name}: {item.config_fault}"
        if error := item.config.decode_error(ggcr_structs.CONFIG):
            return f"{item.config_name}: {error}"
    return ""


def foreign_source(contents: Contents) -> str:
    """`LayerSources` names a non-distributable layer, which is not uploaded; a registry may refuse the manifest."""
    for item in contents.items if not contents.tree.is_folder else ():
        sources = next((value for key, value in item.value.items() if fold(key) == "layersources"), None)
        for described in sources.values() if isinstance(sources, dict) else ():
            media_type = described.get("mediaType", "") if isinstance(described, dict) else ""
            if isinstance(media_type, str) and mediatype.is_nondistributable(media_type):
                raise UnknownError("a non-distributable layer is not uploaded; it depends on the registry")
    return ""


def layout(contents: Contents) -> str:
    """A layout must have one entry, a manifest or an index."""
    if not contents.tree.is_folder:
        return ""
    if not contents.has("index.json"):
        return "there is no index.json"
    _, fault = contents.document("index.json")
    if fault:
        return f"index.json: {fault}"
    if len(contents.tops) != 1:
        return f"index.json lists {len(contents.tops)} entries, not one"
    top = contents.tops[0]
    if not top.is_index and not top.is_manifest:
        return f"index.json lists {top.part.media_type or 'something without a media type'}"
    return ""


def layout_documents(contents: Contents) -> str:
    """Everything that the entry lists must be there."""
    for node in _nodes(contents):
        if (node.is_index or node.is_manifest) and node.keys is None:
            return f"{node.part.digest}: {node.fault}"
        if not node.is_index and not node.is_manifest and node.part.blob is None:
            return f"{node.part.digest} is not in the layout"
    return ""


def layout_blobs(contents: Contents) -> str:
    """Configs and layers must be there with their digests and sizes; foreign layers are not uploaded."""
    for part, is_layer in _parts(contents):
        if part.blob is None:
            return absent_layer(contents.left_out, part.digest, f"{part.digest} is not in the layout", reads_all=True)
        facts = contents.facts(part.blob)
        if is_layer and facts.size != part.size:
            return f"{part.digest} holds {facts.size} bytes, its descriptor states {part.size}"
        if facts.stored.get(part.digest.algorithm, part.digest) != part.digest:
            return f"{part.digest} is not what its digest identifies"
    return ""


def foreign_layer(contents: Contents) -> str:
    """A non-distributable layer is not uploaded; a registry may refuse the manifest then."""
    for node in _nodes(contents):
        for layer in node.layers:
            if mediatype.is_nondistributable(layer.media_type):
                raise UnknownError(f"layer {layer.digest} is not uploaded; it depends on the registry")
    return ""


def _nodes(contents: Contents) -> Iterator[Node]:
    return (node for node, _ in contents.walk()) if contents.tree.is_folder else iter(())


def _parts(contents: Contents) -> Iterator[tuple[Part, bool]]:
    """Yield what is uploaded, and whether it is a layer; the size of a config is not compared."""
    for node in _nodes(contents):
        if node.config is not None:
            yield node.config, False
        yield from ((layer, True) for layer in node.layers if not mediatype.is_nondistributable(layer.media_type))
