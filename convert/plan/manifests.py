"""Decide which manifests and indexes are kept, and create the others from the finished layers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convert.codec.compression import Compression
from convert.diagnostics import Diagnostic, Dropped
from convert.errors import NotRepresentableError
from convert.identity import index as indexes
from convert.identity import manifest
from convert.layer.verify import compression_of
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Child, Image, Index, Manifest
from convert.model.image_set import Entry, Name
from convert.model.walk import node_digest
from convert.plan.changes import Change
from convert.plan.forms import real_manifest
from convert.plan.labels import counted
from convert.plan.referrers import drop_referrers
from convert.writer.naming import describe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convert.model.image import Layer, Node
    from convert.model.image_set import ImageSet
    from convert.plan.changes import Changes
    from convert.plan.forms import Recipe


def finish_manifests(images: ImageSet, done: Mapping[Layer, Layer], recipe: Recipe, changes: Changes) -> ImageSet:
    """Return the images with their finished layers, and the manifests that follow.

    `done` maps each source layer to the layer as it will be written.
    """
    return _Finisher(done, recipe, changes).run(images)


class _Finisher:
    def __init__(self, done: Mapping[Layer, Layer], recipe: Recipe, changes: Changes) -> None:
        self._done = done
        self._recipe = recipe
        self._changes = changes
        self._nodes: dict[Node, Node | None] = {}
        self._replaced: dict[Digest, Digest] = {}

    def run(self, images: ImageSet) -> ImageSet:
        entries = []
        for entry in images.entries:
            node = self._node(entry.node)
            if entry.node is not None and node is None:
                continue
            descriptor = entry.descriptor
            if node is not entry.node and node is not None and node_digest(node) != (descriptor and descriptor.digest):
                descriptor = None
            entries.append(Entry(node, entry.name, descriptor))
        entries = drop_referrers(entries, self._replaced, self._changes)
        if self._recipe.recompress:
            # Rule 5: images and normalised names alone decide, not what the source wrote around them.
            found = {_identity(entry): entry for entry in reversed([_normalised(entry) for entry in entries])}
            entries = sorted(found.values(), key=_full_order)
            images = dataclasses.replace(images, index_annotations={}, index_artifact_type=None, index_subject=None)
        return dataclasses.replace(images, entries=tuple(entries))

    def _node(self, node: Node | None) -> Node | None:
        if node is None:
            return None
        if node not in self._nodes:
            if isinstance(node, Image):
                self._nodes[node] = self._image(node)
            elif isinstance(node, Index):
                self._nodes[node] = self._index(node)
            else:
                self._nodes[node] = node
        return self._nodes[node]

    def _image(self, image: Image) -> Image:
        layers = tuple(self._done[layer] for layer in image.layers)
        if not self._recipe.manifests:
            return dataclasses.replace(image, layers=layers)
        old = real_manifest(image)
        if old is not None and not self._recipe.recompress and self._fits(old):
            self._changes.kept.append(str(old.digest))
            plain = sum(mediatype.layer_compression(layer.media_type) == Compression.NONE for layer in old.layers)
            if plain:
                many = counted(plain, "uncompressed layer")
                text = f"manifest {old.digest} keeps {many}; --recompress would compress"
                self._changes.hints.append(
                    Diagnostic(text, code="layers-kept-uncompressed", digest=str(old.digest), layers=plain)
                )
            return dataclasses.replace(image, layers=layers)
        manifest = self._create(image, layers)
        if old is not None and old.digest != manifest.digest:
            why = "--recompress" if self._recipe.recompress else f"--manifest-type {self._recipe.manifest_type}"
            self._changes.changed.append(Change("manifest", str(old.digest), str(manifest.digest), why))
            self._replaced[old.digest] = manifest.digest
            self._record_layers(old, manifest, why)
        return dataclasses.replace(image, layers=layers, manifest=manifest)

    def _record_layers(self, old: Manifest, new: Manifest, why: str) -> None:
        """Record the layer digests that changed with the manifest."""
        for before, after in zip(old.layers, new.layers, strict=True):
            if before.digest != after.digest:
                self._changes.changed_layers.append(Change("layer", str(before.digest), str(after.digest), why))

    def _fits(self, manifest: Manifest) -> bool:
        """Return whether a manifest, its config and its layers are all of the wanted family of types."""
        if self._recipe.manifest_type == "keep":
            return True
        docker = self._recipe.manifest_type == "docker"
        described = (manifest.media_type, manifest.config.media_type, *(layer.media_type for layer in manifest.layers))
        return all(mediatype.is_docker(media_type) == docker for media_type in described)

    def _create(self, image: Image, layers: tuple[Layer, ...]) -> Manifest:
        described = [self._true_descriptor(source, layer) for source, layer in zip(image.layers, layers, strict=True)]
        docker = self._recipe.manifest_type == "docker"
        make = manifest.docker_manifest if docker else manifest.oci_manifest
        raw = make(image.config, described)
        kind = manifest.docker_layer_type if docker else manifest.oci_layer_type
        return Manifest(
            raw=raw,
            media_type=mediatype.DOCKER_MANIFEST if docker else mediatype.OCI_MANIFEST,
            digest=Digest.of(raw),
            config=Descriptor(
                mediatype.DOCKER_CONFIG if docker else mediatype.OCI_CONFIG, image.image_id, len(image.config.raw)
            ),
            layers=tuple(
                Descriptor(kind(layer.media_type), layer.digest, layer.size, urls=layer.urls) for layer in described
            ),
        )

    def _true_descriptor(self, source: Layer, layer: Layer) -> Descriptor:
        """Return a finished layer's descriptor with the media type of its bytes.

        A manifest that is kept may call zstd gzip; a new one never repeats that. A
        descriptor that imgconv made is true.

        Raises:
            NotRepresentableError: the compression has no media type.
        """
        described = layer.stored
        if described is None:
            raise ValueError("a finished layer has no descriptor")
        if source.blob is None or described is not source.stored:
            return described
        claimed, actual = mediatype.layer_compression(described.media_type), compression_of(source.blob)
        if actual == claimed:
            return described
        named = f"layer {described.digest} is called {claimed or 'uncompressed'} and is {actual or 'uncompressed'}"
        if actual not in mediatype.COMPRESSIONS:
            raise NotRepresentableError(
                f"{named}, which no media type names; a new manifest cannot describe it",
                code="unknown-layer-compression",
                hint="--recompress compresses its layers again",
            )
        hint = Diagnostic(
            f"{named}; the new manifest states that", code="layer-type-corrected", digest=str(described.digest)
        )
        self._changes.hints.append(hint)
        foreign = mediatype.is_nondistributable(described.media_type)
        media_type = mediatype.layer_type(actual, docker=False, foreign=foreign)
        return dataclasses.replace(described, media_type=media_type)

    def _index(self, index: Index) -> Index | None:
        children = tuple(Child(child.descriptor, self._node(child.node)) for child in index.children)
        if (
            all(
                new.node is old.node or (new.node is not None and node_digest(new.node) == old.descriptor.digest)
                for new, old in zip(children, index.children, strict=True)
            )
            and not self._recipe.recompress
        ):
            return dataclasses.replace(index, children=children)
        kept = []
        for child in children:
            if isinstance(child.node, Image | Index):
                kept.append(Child(_bare(child), child.node))
            else:
                self._drop(child)
        docker = self._recipe.manifest_type == "docker"
        media_type = mediatype.DOCKER_MANIFEST_LIST if docker else mediatype.OCI_INDEX
        if not kept and index.children:
            text = f"dropped index {index.digest}: none of its images is in the source"
            self._changes.dropped.append(Dropped(text, what="index", of=str(index.digest)))
            return None
        made = indexes.rebuilt(index, tuple(kept), media_type=media_type, bare=True)
        if made.digest != index.digest:
            why = "its manifests changed"
            self._changes.changed.append(Change("index", str(index.digest), str(made.digest), why))
            self._replaced[index.digest] = made.digest
        return made

    def _drop(self, child: Child) -> None:
        digest = child.descriptor.digest
        about = child.descriptor.annotations.get("vnd.docker.reference.digest")
        if about:
            text = f"dropped attestation {digest}: it refers to {about}, whose manifest was re-created"
        elif child.node is None:
            text = f"dropped {digest}: the index was re-created and this child is not in the source"
        else:
            text = f"dropped {digest}: {describe(child.node, child)} in an index that was re-created"
        what = "attestation" if about else "artifact"
        self._changes.dropped.append(Dropped(text, what=what, of=about or str(digest)))


def _bare(child: Child) -> Descriptor:
    """Return a child's descriptor with nothing but type, digest, size and platform."""
    return dataclasses.replace(child.descriptor, annotations={}, data=None, extra={}, artifact_type=None, urls=())


def _normalised(entry: Entry) -> Entry:
    """Return an entry with its normalised name alone, and an image without its old descriptor."""
    name = entry.name
    if name is not None and name.reference is not None:
        name = Name(name.reference)
    return Entry(entry.node, name, None if isinstance(entry.node, Image | Index) else entry.descriptor)


def _identity(entry: Entry) -> tuple[object, ...]:
    """Return the key of an entry; entries with equal keys are written once."""
    digest = node_digest(entry.node) if entry.node is not None else None
    return (digest or entry, entry.name)


def _full_order(entry: Entry) -> tuple[str, str]:
    name = entry.name.reference.full if entry.name and entry.name.reference else (entry.name and entry.name.ref_name)
    node = entry.node
    identity = str(node.image_id) if isinstance(node, Image) else str(node_digest(node) if node else "")
    return (name or "", identity)
