"""docker-containerd: Docker's containerd store, and containerd with ctr or nerdctl.

`docker load` and `ctr images import` put the members of an archive into the content store, and a
push uploads them from there: nothing is compressed (containerd core/images/archive/importer.go).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convert.codec.compression import Compression
from convert.diagnostics import Diagnostic
from convert.errors import UsageError
from convert.identity import docker_structs
from convert.identity.manifest import containerd_import_manifest
from convert.identity.push.tool import Contents, PushTool, View, descriptor_of, schema2
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.form import Form
from convert.model.image import Image, Index
from convert.model.image_set import Entry, SourceFormat
from convert.model.walk import leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.jsonio.go_struct import Struct
    from convert.model.image import Layer, Manifest
    from convert.model.image_set import ImageSet


class Containerd(PushTool):
    """`docker load` and `docker push` with the containerd store; `ctr images import` and `ctr images push`."""

    name = "docker-containerd"
    sha256_only = True  # content is named by its sha256 when it is ingested

    def view(self, contents: Contents) -> View:
        """Read index.json if there is an oci-layout, else manifest.json."""
        if contents.layout_file and contents.layout:
            return View.LAYOUT
        if contents.listed:
            return View.LISTED
        raise UsageError(
            "docker-containerd reads only tars that contain oci-layout and index.json, or manifest.json",
            code="pusher-cannot-read",
            hint="convert it with --to docker-oci",
        )

    def conditions(self, contents: Contents, view: View) -> Iterator[Diagnostic]:
        """Yield what the layers depend on where the manifest is made for them."""
        del contents
        if view is View.LISTED:
            text = (
                "docker-containerd uploads layers as the archive holds them, unless its store has a compressed copy of "
                "one from an earlier pull"
            )
            yield Diagnostic(text, code="pusher-condition", pusher=self.name)

    def config_struct(self, image: Image) -> Struct:
        """Decode the platform of every config."""
        del image
        return docker_structs.PLATFORM

    def pushes_as_stored(self, source_format: SourceFormat) -> bool:
        """Push a layout unchanged."""
        return source_format in {SourceFormat.OCI, SourceFormat.OCI_ARCHIVE, SourceFormat.REGISTRY}

    def stored_images(self, images: ImageSet, warn: Callable[[Diagnostic], None]) -> ImageSet:
        """Replace an index that is not complete by its images that are.

        `docker push` then sends the manifest for the platform of the machine (moby
        daemon/containerd/image_push.go).
        """
        entries: list[Entry] = []
        for entry in images.entries:
            node = entry.node
            if not isinstance(node, Index) or all(child.node is not None for child in leaves(node)):
                entries.append(entry)
                continue
            present = [child.node for child in leaves(node) if isinstance(child.node, Image)]
            entries += [Entry(image, entry.name) for image in present]
            text = (
                f"manifests of index {node.digest} are not in the source: docker push sends the manifest for the "
                "platform of the machine, and ctr refuses"
            )
            warn(Diagnostic(text, code="pusher-condition", pusher=self.name))
        return dataclasses.replace(images, entries=tuple(entries))

    def ignores_descriptor(self, descriptor: Descriptor) -> bool:
        """Ignore every descriptor of manifest.json."""
        del descriptor
        return True

    def layer_forms(
        self, image: Image, compressions: Sequence[Compression], *, as_compressed: bool
    ) -> tuple[Form, ...]:
        """Upload every layer as it is stored.

        Raises:
            UsageError: an uncompressed layer's DiffID, which would be its digest, is not a sha256.
        """
        del as_compressed
        for layer, compression in zip(image.layers, compressions, strict=True):
            if not compression and layer.diff_id.algorithm != "sha256":
                raise UsageError(
                    f"{self.name} names content by its sha256, and {image.image_id} names layer {layer.diff_id}",
                    code="pusher-needs-sha256",
                )
        return (Form.STORED,) * len(image.layers)

    def mislabels(self, compression: Compression) -> bool:
        """Return whether this is zstd, the only other compression that containerd recognises."""
        return compression == Compression.ZSTD

    def describe(self, source: Layer, uploaded: Layer) -> Descriptor:
        """Return a descriptor of the type gzip for gzip and zstd, and uncompressed for all else."""
        del source
        stored = descriptor_of(uploaded)
        compressed = bool(mediatype.layer_compression(stored.media_type))
        media_type = mediatype.DOCKER_LAYER_GZIP if compressed else mediatype.DOCKER_LAYER
        return Descriptor(media_type, stored.digest, stored.size)

    def manifest(self, image: Image, layers: Sequence[Descriptor]) -> Manifest:
        """Return a schema 2 manifest as containerd encodes it."""
        return schema2(containerd_import_manifest(image.config, layers), image, layers)
