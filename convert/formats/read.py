"""Recognise a source by content and read it into the canonical model."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convert.errors import UnknownFormatError
from convert.formats.dir_transport import refuse_dir_transport
from convert.formats.read_docker import read_docker, read_items
from convert.formats.read_layout import read_layout
from convert.formats.reading import Reading
from convert.model import Entry, Image, ImageSet, Index

if TYPE_CHECKING:
    from convert.archive.tree import Tree
    from convert.errors import InputError
    from convert.formats.read_docker import Item
    from convert.model import Node


def read(tree: Tree, *, problems: list[InputError] | None = None) -> ImageSet:
    """Read all that a source holds.

    With `problems`, faults of single images are collected there and the rest is
    returned; without, the first one is raised.

    Raises:
        UnknownFormatError: no image archive or layout.
        InputError: damaged, hostile or unsupported.
    """
    reading = Reading(tree, tree.where, problems=problems)
    images = _read(reading)
    warnings = (*tree.warnings, *reading.warnings)
    return dataclasses.replace(images, warnings=warnings) if warnings else images


def _read(reading: Reading) -> ImageSet:
    tree = reading.tree
    has_manifest = tree.find("manifest.json") is not None
    has_index = tree.find("index.json") is not None
    if has_manifest and has_index:
        return _read_both(reading)
    if has_manifest:
        refuse_dir_transport(tree)
        return read_docker(reading)
    if has_index:
        return read_layout(reading)
    if tree.find("oci-layout") is not None:
        raise UnknownFormatError("an OCI layout without index.json", file=reading.file)
    if tree.find("repositories") is not None or any(name.endswith("/layer.tar") for name in tree.names()):
        from convert.formats.read_v1 import read_v1  # noqa: PLC0415 - start-up time: such archives are rare

        return read_v1(reading)
    what = "folder" if tree.is_folder else "archive"
    raise UnknownFormatError(
        f"no container image: this {what} has no manifest.json, index.json or repositories", file=reading.file
    )


def _read_both(reading: Reading) -> ImageSet:
    """Read an archive that carries an OCI layout and a `manifest.json`.

    Docker 25 and later with a graph driver write manifests that no registry
    ever saw, and may leave untagged images out of `index.json`
    (moby/moby#51389): there `manifest.json` tells all. With the containerd
    store the layout does, and `manifest.json` repeats it.
    """
    items = read_items(reading)
    by_config = {item.image.image_id: item for item in items}
    layout = read_layout(reading, listed=by_config)
    if all(_made_up(entry.node) for entry in layout.entries):
        return ImageSet(tuple(_entries(_with_made_up(items, layout))), "docker-save@25")
    if any(_holds_made_up(entry.node) for entry in layout.entries):
        # An index that also has manifests of its own keeps all its children.
        layout = read_layout(reading)
    reached = {image.image_id for image in layout.images()}
    reached |= {image.manifest.config.digest for image in layout.opaque_images()}
    entries: list[Entry] = []
    for entry in layout.entries:
        node = entry.node
        if isinstance(node, Image) and _made_up(node):
            entries.append(Entry(by_config[node.image_id].image, entry.name))
        else:
            entries.append(entry)
    entries.extend(_entries([item for item in items if item.image.image_id not in reached]))
    return dataclasses.replace(layout, entries=tuple(entries), format="docker-oci")


def _entries(items: list[Item]) -> list[Entry]:
    return [Entry(item.image, name) for item in items for name in item.names or (None,)]


def _with_made_up(items: list[Item], layout: ImageSet) -> list[Item]:
    """Return the items with the manifests made up for them, where `index.json` names those directly."""
    found = {entry.node.image_id: entry.node.manifest for entry in layout.entries if isinstance(entry.node, Image)}
    images: dict[int, Image] = {}
    for item in items:
        image = item.image
        images[id(image)] = dataclasses.replace(image, manifest=found.get(image.image_id))
    return [dataclasses.replace(item, image=images[id(item.image)]) for item in items]


def _made_up(node: Node | None) -> bool:
    """Tell whether a node stands for nothing but manifests that were made up."""
    if isinstance(node, Image):
        return node.manifest is not None and node.manifest.made_up
    return isinstance(node, Index) and bool(node.children) and all(_made_up(child.node) for child in node.children)


def _holds_made_up(node: Node | None) -> bool:
    """Tell whether an index mixes made-up manifests with others."""
    if not isinstance(node, Index) or _made_up(node):
        return False
    return any(_made_up(child.node) or _holds_made_up(child.node) for child in node.children)
