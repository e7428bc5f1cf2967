"""Read a layout for what the `manifest.json` in the same archive leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convert.model import mediatype
from convert.reader.document import Reading
from convert.reader.layout_blobs import blob_name
from convert.reader.oci_layout import read_layout
from convert.reader.sink import CollectingSink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convert.archive.tree import Tree
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest


@dataclass(frozen=True, slots=True)
class Beside:
    """What a layout states about things that `manifest.json` in the same archive lists without an explanation.

    `foreign`: descriptors of non-distributable layers without a blob, by the member
    that would hold it. `opaque`: configs of images whose layers cannot be unpacked.
    """

    foreign: Mapping[str, Descriptor]
    opaque: frozenset[Digest]


def beside(tree: Tree, file: str) -> Beside:
    """Read a layout for what the reader of `manifest.json` needs of it."""
    found: dict[str, Descriptor] = {}
    images = read_layout(Reading(tree, file, CollectingSink()))
    for image in images.images():
        for layer in image.layers:
            if layer.blob is None and layer.stored is not None:
                stored = layer.stored
                if mediatype.may_be_absent(stored.media_type, stored.urls):
                    found[blob_name(stored.digest)] = stored
    return Beside(found, frozenset(each.manifest.config.digest for each in images.opaque_images()))
