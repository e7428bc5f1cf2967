"""Write a `dir:` folder as skopeo does (containers/image directory/directory_dest.go).

It holds one image or index: its manifest as `manifest.json`, the manifests that an index lists as
`<hex>.manifest.json`, and every config and layer as `<hex>`. There are no names in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.archive.tar_writer import Item
from convert.diagnostics import Diagnostic
from convert.errors import quoted
from convert.model import dir_names
from convert.model.image import Artifact, Image, Index
from convert.model.walk import descend
from convert.writer.document_size import check_size
from convert.writer.oci import all_blobs, manifest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.model.digest import Digest
    from convert.model.image import Node
    from convert.model.image_set import ImageSet
    from convert.writer.options import WriteOptions


def items(images: ImageSet, options: WriteOptions) -> Iterator[Item]:
    """Yield the files. There is one entry, and its image has a manifest."""
    (entry,) = images.entries
    top, raw = _manifest(entry.node)
    blobs = all_blobs([entry.node], options)
    children = {digest for node in descend(entry.node) for digest, _ in _manifests(node)} - {top}
    sha256_only = all(digest.algorithm == "sha256" for digest in blobs)
    options.warn(_address(options.place))
    yield Item(dir_names.VERSION, content=dir_names.version_text(sha256_only=sha256_only))
    for digest, content in blobs.items():
        if digest in children:
            yield Item(dir_names.child_file(digest), content=content)
        elif digest != top:
            yield Item(dir_names.blob_file(digest), content=content)
    yield Item(dir_names.MANIFEST, content=check_size(raw, dir_names.MANIFEST))


def _manifest(node: Node | None) -> tuple[Digest, bytes]:
    """Return digest and bytes of the manifest or index of an entry.

    Raises:
        ValueError: it has none, which `plan/target.py` refuses.
    """
    for found in _manifests(node):
        return found
    msg = "a dir: folder needs a manifest or an index"
    raise ValueError(msg)


def _manifests(node: Node | None) -> Iterator[tuple[Digest, bytes]]:
    match node:
        case Index():
            yield node.digest, node.raw
        case Image():
            manifest = manifest_of(node)
            yield manifest.digest, manifest.raw
        case Artifact():
            yield node.manifest.digest, node.manifest.raw


def _address(place: str) -> Diagnostic:
    """Return how skopeo and podman address the folder; unlike other transports, it takes a path with a colon."""
    return Diagnostic(
        f"in skopeo and podman use {quoted(f'dir:{place}' if place else 'dir:FOLDER')}", code="result-address"
    )
