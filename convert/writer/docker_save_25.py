"""Write the format of `docker save` of Docker 25 and later with a graph driver.

An OCI layout with uncompressed layers and manifests that are generated from config
and DiffIDs, `manifest.json`, `repositories`, and the old v1 `json` files as blobs
that nothing refers to (moby daemon/internal/image/tarexport/save.go, 29.7.2;
docs/formats-docker.md#docker-25-and-later). Images are in source order, not in a random one.

The exporter creates layer blobs with mode 0666 less the umask of its process. That
is 022 up to dockerd 29.5 (docker-save@25) and 0 from 29.6 on (docker-save@29); the
two formats differ only by the mode bits of the layers (`WriteOptions.layer_mode`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.archive.tar_writer import Item
from convert.identity.descriptor_json import docker_fields
from convert.identity.docker_v1_struct import Engine
from convert.identity.manifest import docker_save_25_manifest
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.needs import NEEDS_MEMBER
from convert.writer.address import report_archive
from convert.writer.document_size import check_entry_count
from convert.writer.manifest_json import ManifestItem, manifest_json
from convert.writer.naming import parent_of, single_images
from convert.writer.oci import IMAGE_NAME, REF_NAME, blob_name, index_json
from convert.writer.repositories import blob_tops, repositories_json
from convert.writer.v1_directories import v1_layers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.model.blob import Content
    from convert.model.image_set import ImageSet
    from convert.writer.naming import NamedImage
    from convert.writer.options import WriteOptions

NAME: Final = "docker-save@25"

_FILE: Final = 0o644
_FOLDER: Final = 0o755
# A literal in the engine, with a space that its other documents do not have.
_OCI_LAYOUT: Final = b'{"imageLayoutVersion": "1.0.0"}'


def items(images: ImageSet, options: WriteOptions) -> Iterator[Item]:
    """Yield the members, sorted by name; the size of every layer must be known.

    Raises:
        NotRepresentableError: no image, several platforms under one name, or one
            name for two images.
    """
    named = single_images(images, NAME, options.warn)
    familiar = [reference.familiar for one in named for reference in one.references]
    report_archive(named, options)
    check_entry_count(len(familiar))
    archive = _Archive(options)
    ids = {one.image.image_id for one in named}
    listed = [archive.add(one, ids) for one in named]
    if options.has_folders:
        yield Item("blobs", "dir", _FOLDER, mtime=named[-1].image.config.created_seconds)
        yield Item("blobs/sha256", "dir", _FOLDER)
    for name in sorted(archive.blobs):
        yield archive.blobs[name]
    yield Item("index.json", "file", _FILE, content=index_json(archive.descriptors))
    yield Item("manifest.json", "file", _FILE, content=manifest_json(listed) + b"\n")
    yield Item("oci-layout", "file", _FILE, content=_OCI_LAYOUT)
    tops = blob_tops(named)
    if tops and options.has_v1_metadata:
        yield Item("repositories", "file", _FILE, content=repositories_json(tops) + b"\n")
    if options.left_out.document:
        yield Item(NEEDS_MEMBER, "file", _FILE, content=options.left_out.document)


class _Archive:
    """The blobs collected so far by name, and the descriptors of `index.json`."""

    def __init__(self, options: WriteOptions) -> None:
        self.blobs: dict[str, Item] = {}
        self.descriptors: list[Descriptor] = []
        self._options = options

    def add(self, named: NamedImage, ids: set[Digest]) -> ManifestItem:
        """Add one image's blobs and descriptors."""
        image = named.image
        created = image.config.created_seconds
        for entry in v1_layers(image, self._options, Engine.DOCKER_29):
            if self._options.has_v1_metadata:
                self._blob(Digest.of(entry.json), entry.json, created)
        self._blob(image.image_id, image.config.raw, created)
        layers: list[Descriptor] = []
        for layer in image.layers:
            content = self._options.content(layer)
            if content.size is None:
                msg = f"layer {layer.diff_id}: its size must be known before {NAME} is written"
                raise ValueError(msg)
            if layer.diff_id not in self._options.left_out.blobs:
                self._blob(layer.diff_id, content, created, self._options.layer_mode)
            layers.append(Descriptor(mediatype.OCI_LAYER, layer.diff_id, content.size))
        manifest = docker_save_25_manifest(image.config, [(layer.digest, layer.size) for layer in layers])
        digest = Digest.of(manifest)
        self._blob(digest, manifest, 0)
        self._describe(named, Descriptor(mediatype.OCI_MANIFEST, digest, len(manifest)))
        return ManifestItem(
            config=blob_name(image.image_id),
            repo_tags=[reference.familiar for reference in named.references] or None,
            layers=[blob_name(layer.digest) for layer in layers],
            parent=parent_of(image, ids),
            layer_sources={layer.digest: docker_fields(layer) for layer in layers},
        )

    def _blob(self, digest: Digest, content: bytes | Content, mtime: int, mode: int = _FILE) -> None:
        name = blob_name(digest)
        self.blobs.setdefault(name, Item(name, "file", mode, mtime=mtime, content=content))

    def _describe(self, named: NamedImage, manifest: Descriptor) -> None:
        for reference in named.references:
            annotations = {IMAGE_NAME: reference.full, REF_NAME: reference.tag or ""}
            self.descriptors.append(
                Descriptor(manifest.media_type, manifest.digest, manifest.size, annotations=annotations)
            )
        # The engine omits an untagged image that comes after another one
        # (moby/moby#51389); so does this, to write the same bytes.
        if not self.descriptors:
            self.descriptors.append(manifest)
