"""From the images as the source has them to the images as the target gets them.

`ImageSet` in, `ImageSet` out; of the layers only the first bytes are read. Which bytes are kept and which are made
anew is decided here and nowhere else (docs/contract.md#rules-of-identity).
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from convert.codec.compression import Compression
from convert.diagnostics import Dropped
from convert.errors import NotRepresentableError
from convert.identity import index as indexes
from convert.identity import manifest
from convert.layer.verify import compression_of
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.form import Form
from convert.model.image import Artifact, Child, Image, Index, Layer, Manifest
from convert.model.image_set import Entry, Name
from convert.model.walk import node_digest
from convert.plan.select import entry_label
from convert.writer.naming import describe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convert.model.image import Node
    from convert.model.image_set import ImageSet

ManifestType = Literal["oci", "docker", "keep"]
# cosign's tag scheme: sha256-<hex of the manifest it speaks of>.<kind>
_REFERRER_TAG: Final = re.compile(r"(?:.*:)?sha256-([0-9a-f]{64})(?:\.[a-z]+)?\Z")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a target wants its images.

    `plain`: layers uncompressed (the docker-save forms). `manifests`: the
    target carries manifests (OCI, docker-oci). `sized`: it names the sizes of its
    layers before it holds them. `recompress` and `manifest_type`
    are the options of those names.
    """

    plain: bool
    manifests: bool
    sized: bool = False
    recompress: bool = False
    manifest_type: ManifestType = "keep"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the ledger: which digest changed, from what, to what, and why."""

    subject: str
    before: str
    after: str
    why: str


@dataclass(frozen=True, slots=True)
class Made:
    """A blob that the source did not have: a manifest of an image ID, a layer of a DiffID."""

    subject: str
    digest: str
    of: str


@dataclass(slots=True)
class Ledger:
    """What was kept, what was made anew, what was left out.

    `kept` and `made` speak of manifests and layers, `changes` of digests that
    named something before.
    `layers` are the changes of layer digests that follow from those of manifests,
    `hints` what the user may want to do next.
    """

    kept: list[str] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    layers: list[Change] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def real_manifest(image: Image) -> Manifest | None:
    """Return the manifest that carries an identity, None where there is none."""
    return image.manifest if image.manifest and not image.manifest.made_up else None


def layer_form(image: Image, layer: Layer, recipe: Recipe) -> Form:
    """Decide what becomes of one layer; its first bytes may be read.

    Rule 2: what came with a manifest stays as it is, plain layers too; where
    none came, plain layers go through the profile and compressed ones are kept.
    bzip2 and xz have no media type, so they never can be kept in a layout.
    """
    if recipe.plain:
        return Form.PLAIN
    if recipe.recompress:
        return Form.ENCODED
    if real_manifest(image) is not None:
        return Form.STORED
    stored = layer.blob is None or compression_of(layer.blob) in {Compression.GZIP, Compression.ZSTD}
    return Form.STORED if stored else Form.ENCODED


def layer_forms(images: ImageSet, recipe: Recipe) -> dict[Layer, Form]:
    """Decide what becomes of each layer."""
    return {layer: layer_form(image, layer, recipe) for image, layer in images.layers()}


def registry_forms(images: ImageSet) -> dict[Layer, Form]:
    """Return the forms in which a registry would store the layers of images without their manifests.

    Images inside an index do not count (docs/contract.md#v1-ids: chain-free).
    """
    recipe = Recipe(plain=False, manifests=False)
    found = [entry.node for entry in images.entries if isinstance(entry.node, Image)]
    bare = [dataclasses.replace(image, manifest=None) for image in dict.fromkeys(found)]
    return {layer: layer_form(image, layer, recipe) for image in bare for layer in image.layers}


# -- manifests ---------------------------------------------------------------------


def finished(images: ImageSet, done: Mapping[Layer, Layer], recipe: Recipe, ledger: Ledger) -> ImageSet:
    """Return the images with their finished layers, and the manifests that follow.

    `done` maps each source layer to the layer as it will be written.
    """
    return _Finisher(done, recipe, ledger).run(images)


class _Finisher:
    def __init__(self, done: Mapping[Layer, Layer], recipe: Recipe, ledger: Ledger) -> None:
        self._done = done
        self._recipe = recipe
        self._ledger = ledger
        self._nodes: dict[int, Node | None] = {}
        self._gone: dict[Digest, Digest] = {}

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
        entries = [entry for entry in entries if not self._names_gone(entry)]
        if self._recipe.recompress:
            # Rule 5: images and normalised names alone decide, not what the source wrote around them.
            found = {_identity(entry): entry for entry in reversed([_normalised(entry) for entry in entries])}
            entries = sorted(found.values(), key=_full_order)
            images = dataclasses.replace(images, index_annotations={}, index_artifact_type=None, index_subject=None)
        return dataclasses.replace(images, entries=tuple(entries))

    def _node(self, node: Node | None) -> Node | None:
        if node is None:
            return None
        if id(node) not in self._nodes:
            if isinstance(node, Image):
                self._nodes[id(node)] = self._image(node)
            elif isinstance(node, Index):
                self._nodes[id(node)] = self._index(node)
            else:
                self._nodes[id(node)] = node
        return self._nodes[id(node)]

    def _image(self, image: Image) -> Image:
        layers = tuple(self._done[layer] for layer in image.layers)
        if not self._recipe.manifests:
            return dataclasses.replace(image, layers=layers)
        old = real_manifest(image)
        if old is not None and not self._recipe.recompress and self._fits(old):
            self._ledger.kept.append(str(old.digest))
            plain = sum(mediatype.layer_compression(layer.media_type) == Compression.NONE for layer in old.layers)
            if plain:
                self._ledger.hints.append(
                    f"manifest {old.digest} keeps {counted(plain, 'uncompressed layer')}; --recompress would compress"
                )
            return dataclasses.replace(image, layers=layers)
        manifest = self._made(image, layers)
        if old is not None and old.digest != manifest.digest:
            why = "--recompress" if self._recipe.recompress else f"--manifest-type {self._recipe.manifest_type}"
            self._ledger.changes.append(Change("manifest", str(old.digest), str(manifest.digest), why))
            self._gone[old.digest] = manifest.digest
            self._changed(old, manifest, why)
        return dataclasses.replace(image, layers=layers, manifest=manifest)

    def _changed(self, old: Manifest, new: Manifest, why: str) -> None:
        """Note the layer digests that changed with the manifest."""
        for before, after in zip(old.layers, new.layers, strict=True):
            if before.digest != after.digest:
                self._ledger.layers.append(Change("layer", str(before.digest), str(after.digest), why))

    def _fits(self, manifest: Manifest) -> bool:
        """Tell whether a manifest, its config and its layers are all of the wanted family of types."""
        if self._recipe.manifest_type == "keep":
            return True
        docker = self._recipe.manifest_type == "docker"
        described = (manifest.media_type, manifest.config.media_type, *(layer.media_type for layer in manifest.layers))
        return all(mediatype.is_docker(media_type) == docker for media_type in described)

    def _made(self, image: Image, layers: tuple[Layer, ...]) -> Manifest:
        described = [self._true(source, layer) for source, layer in zip(image.layers, layers, strict=True)]
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

    def _true(self, source: Layer, layer: Layer) -> Descriptor:
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
                hint="--recompress compresses its layers again",
            )
        self._ledger.hints.append(f"{named}; the new manifest says so")
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
                self._leave_out(child)
        docker = self._recipe.manifest_type == "docker"
        media_type = mediatype.DOCKER_MANIFEST_LIST if docker else mediatype.OCI_INDEX
        if not kept and index.children:
            text = f"left out index {index.digest}: none of its images is in the source"
            self._ledger.left_out.append(Dropped(text, what="index", of=str(index.digest)))
            return None
        made = indexes.rebuilt(index, tuple(kept), media_type=media_type, bare=True)
        if made.digest != index.digest:
            why = "its manifests changed"
            self._ledger.changes.append(Change("index", str(index.digest), str(made.digest), why))
            self._gone[index.digest] = made.digest
        return made

    def _leave_out(self, child: Child) -> None:
        digest = child.descriptor.digest
        about = child.descriptor.annotations.get("vnd.docker.reference.digest")
        if about:
            text = f"left out attestation {digest}: it speaks of {about}, whose manifest was made anew"
        elif child.node is None:
            text = f"left out {digest}: the index was made anew and this child is not in the source"
        else:
            text = f"left out {digest}: {describe(child.node, child)} in an index that was made anew"
        what = "attestation" if about else "artifact"
        self._ledger.left_out.append(Dropped(text, what=what, of=about or str(digest)))

    def _names_gone(self, entry: Entry) -> bool:
        """Tell whether an artifact speaks of a manifest that was made anew."""
        node = entry.node
        about: Digest | None = None
        if isinstance(node, Artifact) and node.manifest.subject is not None:
            about = node.manifest.subject.digest
        elif entry.name and (match := _REFERRER_TAG.match(entry.name.ref_name or "")):
            about = Digest.from_hex(match.group(1))
        if about is None or about not in self._gone:
            return False
        text = f"left out {entry_label(entry)}: it speaks of {about}, which was made anew"
        self._ledger.left_out.append(Dropped(text, what="artifact", of=str(about)))
        return True


def counted(count: int, what: str) -> str:
    """Return `1 layer` or `2 layers`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _bare(child: Child) -> Descriptor:
    """Return a child's descriptor with its platform and nothing else to say."""
    return dataclasses.replace(child.descriptor, annotations={}, data=None, extra={}, artifact_type=None, urls=())


def _normalised(entry: Entry) -> Entry:
    """Return an entry with its normalised name alone, and an image without its old descriptor."""
    name = entry.name
    if name is not None and name.reference is not None:
        name = Name(name.reference)
    return Entry(entry.node, name, None if isinstance(entry.node, Image | Index) else entry.descriptor)


def _identity(entry: Entry) -> tuple[object, ...]:
    """Return what two entries share if one of them is enough."""
    digest = node_digest(entry.node) if entry.node is not None else None
    return (digest or id(entry), entry.name)


def _full_order(entry: Entry) -> tuple[str, str]:
    name = entry.name.reference.full if entry.name and entry.name.reference else (entry.name and entry.name.ref_name)
    node = entry.node
    identity = str(node.image_id) if isinstance(node, Image) else str(node_digest(node) if node else "")
    return (name or "", identity)
