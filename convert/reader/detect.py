"""Recognise a source by content and read it into the canonical model."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Final

from convert.errors import InputError, NoImageError, UnknownFormatError
from convert.model import mediatype
from convert.model.image import Artifact, Image, Index
from convert.model.image_set import ImageSet, SourceFormat
from convert.model.walk import descend
from convert.reader.docker_archive import read_docker, read_items
from convert.reader.document import Reading
from convert.reader.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.archive.tree import Tree
    from convert.model.image import Node
    from convert.reader.docker_archive import Item


#: How the file `version` of a `dir:` folder begins.
_DIR_VERSION: Final = b"Directory Transport Version: "
#: Bytes of `manifest.json` that usually show whether it is a list.
_HEAD: Final = 64


def read(tree: Tree, sink: Sink | None = None, *, empty: bool = False) -> ImageSet:
    """Read all that a source holds.

    `sink` takes its faults; without one, the first fault is raised. `empty` accepts a
    source without an image, as the layout that `--append` fills.

    Raises:
        UnknownFormatError: not an image archive or layout.
        NoImageError: it holds no image.
        InputError: damaged, hostile or unsupported.
    """
    reading = Reading(tree, tree.where, sink or Sink())
    return finish(reading, reader_of(tree)(reading), empty=empty)


def finish(reading: Reading, images: ImageSet, *, empty: bool = False) -> ImageSet:
    """Return what a reader returned, with all warnings about the source; a source without an image is a fault.

    Raises:
        NoImageError: the first fault ends the reading, and this is the one.
    """
    if not empty and not reading.sink.faults and not holds_something(images):
        reading.fault(no_image(images, reading.file))
    warnings = (*reading.tree.warnings, *reading.sink.warnings)
    return dataclasses.replace(images, warnings=warnings) if warnings else images


def is_dir_folder(tree: Tree) -> bool:
    """Return whether a source without `index.json` is a `dir:` folder, or an archive of one.

    `manifest.json` is an object in it, and a list in docker archives. A damaged folder that the user
    calls `dir:` is one too, so that its own reader states what is wrong.
    """
    try:
        manifest = tree.find("manifest.json")
        if tree.find("oci-layout") is not None:
            return False
    except InputError:
        return tree.is_spelled_dir
    version = _dir_version(tree)
    if manifest is None:
        return tree.is_spelled_dir and version is not None
    if version == _DIR_VERSION:
        return True
    # Before 2018 there was no `version`.
    try:
        # A list is not read to its end here.
        with manifest.open() as stream:
            if stream.read(_HEAD).lstrip().startswith(b"["):
                return False
        raw = tree.read("manifest.json").lstrip()
        if tree.is_spelled_dir:  # unless it is a list behind much white space
            return not raw.startswith(b"[")
        document = json.loads(raw) if raw.startswith(b"{") else None
    except InputError:
        return tree.is_spelled_dir
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and "schemaVersion" in document


def _dir_version(tree: Tree) -> bytes | None:
    """Return how the file `version` begins, None if there is none; b"" for one that cannot be read."""
    try:
        version = tree.find("version")
        if version is None:
            return None
        with version.open() as stream:
            return stream.read(len(_DIR_VERSION))
    except InputError:
        return b""


def holds_something(images: ImageSet) -> bool:
    """Return whether a manifest of an image or artifact is present (docs/contract.md#images-and-artifacts)."""
    return any(not isinstance(node, Index) for entry in images.entries for node in descend(entry.node))


def no_image(images: ImageSet, file: str) -> NoImageError:
    """Return the error for a source without a manifest that can be read."""
    if not images.entries:
        return NoImageError("the source holds no image: its list of images is empty", file=file)
    nodes = [node for entry in images.entries if isinstance(entry.node, Index) for node in descend(entry.node)]
    if all(isinstance(entry.node, Index) for entry in images.entries) and not _names_absent(nodes):
        return NoImageError("the source holds no image: its indexes list no manifest", file=file)
    return NoImageError("the source holds no image: every manifest that its index names is absent", file=file)


def _names_absent(nodes: list[Node]) -> bool:
    """Return whether an index names a manifest or index that is absent."""
    return any(child.node is None for node in nodes if isinstance(node, Index) for child in node.children)


def reader_of(tree: Tree) -> Callable[[Reading], ImageSet]:
    """Return the function that reads everything of a source.

    Raises:
        UnknownFormatError: not an image archive or layout.
        InputError: a link is damaged or hostile.
    """
    has_manifest = tree.find("manifest.json") is not None
    has_index = tree.find("index.json") is not None
    if has_manifest and has_index:
        return _read_both
    if (has_manifest or tree.is_spelled_dir) and not has_index and is_dir_folder(tree):
        from convert.reader.dir_layout import read_dir  # noqa: PLC0415

        return read_dir
    if has_manifest:
        return read_docker
    if has_index:
        from convert.reader.oci_layout import read_layout  # noqa: PLC0415 - start-up time: many archives have no layout

        return read_layout
    if tree.find("oci-layout") is not None:
        raise UnknownFormatError("an OCI layout without index.json", code="missing-index", file=tree.where)
    if tree.find("repositories") is not None or any(name.endswith("/layer.tar") for name in tree.names()):
        from convert.reader.docker_legacy import read_v1  # noqa: PLC0415 - start-up time: such archives are rare

        return read_v1
    from convert.reader.not_images import not_an_image  # noqa: PLC0415 - only for the error

    raise not_an_image(tree)


def _read_both(reading: Reading) -> ImageSet:
    """Read an archive that carries an OCI layout and a `manifest.json`.

    Docker 25 and later with a graph driver write manifests that no registry
    ever saw, and may leave untagged images out of `index.json`
    (moby/moby#51389): there `manifest.json` lists every image. With the containerd
    store the layout does, and `manifest.json` repeats it.
    """
    from convert.reader.archive_names import entries_of_docker_25, entries_of_docker_oci  # noqa: PLC0415
    from convert.reader.oci_layout import read_layout  # noqa: PLC0415

    items = read_items(reading)
    reading.count_anew()
    layout = read_layout(reading, listed={item.image.image_id: item for item in items})
    nodes = [entry.node for entry in layout.entries]
    if all(_generated(node) or _unread(node) for node in nodes) and (not nodes or any(map(_generated, nodes))):
        items = _with_generated(items, layout)
        entries, form = entries_of_docker_25(items, layout, reading.warn), SourceFormat.DOCKER_SAVE_25
        return ImageSet(entries, form, indexed=layout.indexed, listed=tuple(reading.listed))
    if any(map(_holds_generated, nodes)):
        # An index that also has manifests of its own keeps all its children.
        reading.count_anew()
        layout = read_layout(reading)
    entries = entries_of_docker_oci(items, layout, reading.warn)
    return dataclasses.replace(layout, entries=entries, format=SourceFormat.DOCKER_OCI, listed=tuple(reading.listed))


def _with_generated(items: list[Item], layout: ImageSet) -> list[Item]:
    """Return the items with the manifests made up for them, where `index.json` names those directly."""
    found = {entry.node.image_id: entry.node.manifest for entry in layout.entries if isinstance(entry.node, Image)}
    images: dict[Image, Image] = {}
    for item in items:
        image = item.image
        images[image] = dataclasses.replace(image, manifest=found.get(image.image_id))
    return [item._replace(image=images[item.image]) for item in items]


def _generated(node: Node | None) -> bool:
    """Return whether a node stands for nothing but manifests that were made up."""
    if isinstance(node, Image):
        return node.manifest is not None and node.manifest.generated
    return isinstance(node, Index) and bool(node.children) and all(_generated(child.node) for child in node.children)


def _holds_generated(node: Node | None) -> bool:
    """Return whether an index mixes made-up manifests with others."""
    if not isinstance(node, Index) or _generated(node):
        return False
    return any(_generated(child.node) or _holds_generated(child.node) for child in node.children)


def _unread(node: Node | None) -> bool:
    """Return whether a node is absent, or an image whose config could not be read."""
    if isinstance(node, Artifact):
        return node.config is None and not node.blobs and node.manifest.config.media_type in mediatype.IMAGE_CONFIGS
    return node is None
