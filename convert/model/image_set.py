"""The contents of a source: images and other nodes with their names."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from convert.model.image import Artifact, Image, Other
from convert.model.walk import descend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from convert.diagnostics import Diagnostic
    from convert.model.blob import Blob
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.image import Layer, Node
    from convert.model.reference import Reference


class SourceFormat(StrEnum):
    """The format of a source as recognised by the reader. The value is the name in output and `--json`."""

    DOCKER_SAVE = "docker-save"
    DOCKER_SAVE_25 = "docker-save@25"
    DOCKER_OCI = "docker-oci"
    DOCKER_ARCHIVE = "docker-archive"
    DOCKER_V1 = "docker-v1"
    CRANE = "crane"
    OCI = "oci"
    OCI_ARCHIVE = "oci-archive"
    REGISTRY = "registry"
    DIR = "dir"


class Name(NamedTuple):
    """One name of an image as spelled in its source.

    `reference` is the normalised name if the text has a repository. `ref_name` is the annotation
    `org.opencontainers.image.ref.name` of a layout.
    """

    reference: Reference | None = None
    ref_name: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A top-level node of an archive under one name, or without a name.

    An image with three tags has three entries that share one node; an untagged image has one entry
    whose name is None. `node` is None if a layout lists a manifest that is absent (a sparse
    layout). `descriptor` is that of a layout's `index.json`, None for docker archives.
    """

    node: Node | None
    name: Name | None = None
    descriptor: Descriptor | None = None


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The contents of a source, in its order.

    `format` is the format of the source, `producer` the tool that probably wrote it, `warnings`
    are about what was accepted. `index_annotations`, `index_artifact_type` and `index_subject` are
    those of a layout's `index.json`. For skopeo's `@N`, `indexed` are the digests of the
    descriptors in `index.json` and `listed` the image IDs of `manifest.json`, in order; None for
    an entry that could not be read. `ref_names_final`: a layout gets exactly the ref.names of
    the entries, whatever the format they come from. `formats` are those of the sources where
    several were put together; `format` is then that of the first.
    """

    entries: tuple[Entry, ...]
    format: SourceFormat
    producer: str = ""
    warnings: tuple[Diagnostic, ...] = ()
    index_annotations: Mapping[str, str] = field(default_factory=dict)
    index_artifact_type: str | None = None
    index_subject: Descriptor | None = None
    indexed: tuple[Digest, ...] = ()
    listed: tuple[Digest | None, ...] = ()
    ref_names_final: bool = False
    formats: tuple[SourceFormat, ...] = ()

    def opaque_images(self) -> Iterator[Artifact]:
        """Yield each image whose layers cannot be unpacked once, including those inside indexes."""
        return (artifact for artifact in self.artifacts() if artifact.config is not None)

    def images(self) -> Iterator[Image]:
        """Yield each image once, including those inside indexes, in source order."""
        return (node for node in self.nodes() if isinstance(node, Image))

    def artifacts(self) -> Iterator[Artifact]:
        """Yield each artifact once, including those inside indexes, in source order."""
        return (node for node in self.nodes() if isinstance(node, Artifact))

    def layers(self) -> Iterator[tuple[Image, Layer]]:
        """Yield every layer of every image with its image."""
        return ((image, layer) for image in self.images() for layer in image.layers)

    def blobs(self) -> Iterator[Blob]:
        """Yield every blob that is present, besides manifests and configs; those that nodes share more than once."""
        for node in self.nodes():
            if isinstance(node, Image):
                yield from (layer.blob for layer in node.layers if layer.blob is not None)
            elif isinstance(node, Artifact):
                yield from node.blobs.values()
            elif isinstance(node, Other):
                yield node.blob
                yield from (blob for blob, _ in node.named.values())

    def nodes(self) -> Iterator[Node]:
        """Yield each node once, indexes before their children, in source order."""
        seen: set[Node] = set()
        for entry in self.entries:
            # An image may have 100,000 names.
            if entry.node not in seen:
                yield from descend(entry.node, seen)
