"""Read OCI image layouts, as a folder or a tar (image-spec image-layout.md)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from convert.diagnostics import Diagnostic, Dropped
from convert.errors import FormatError, InputError, UnsafeInputError, UnsupportedError
from convert.identity import manifest
from convert.limits import MAX_DOCUMENT_SIZE, MAX_INDEX_DEPTH, MAX_LISTED, MAX_NODES
from convert.model import mediatype
from convert.model.image import Artifact, Child, Image, Index, Layer, Node, Other
from convert.model.image_set import Entry, ImageSet, Name, SourceFormat
from convert.model.reference import Reference
from convert.reader.document import Reading, absent_layers
from convert.reader.layout_blobs import LayoutBlobs
from convert.reader.manifest import index_fields, read_descriptor, read_manifest
from convert.reader.sink import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convert.archive.tree import Tree
    from convert.model.blob import Blob
    from convert.model.config import Config
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.image import Manifest

IMAGE_NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"


def read_layout(reading: Reading, *, listed: Mapping[Digest, object] | None = None) -> ImageSet:
    """Read every image, index and artifact that `index.json` reaches.

    `listed` holds the config digests that a `manifest.json` beside it names:
    only those can have manifests that `docker save` made up.

    Raises:
        FormatError: a document is broken or a blob is missing.
        DigestMismatchError: a document is not what its descriptor names.
        UnsupportedError: another layout version.
    """
    return _LayoutReader(reading, LayoutBlobs(reading), frozenset(listed or ())).read()


def read_single(reading: Reading, blobs: LayoutBlobs, described: Descriptor) -> ImageSet:
    """Read what one descriptor names, and everything below: a `dir:` folder has no `index.json`.

    Raises:
        Others: as `read_layout`.
    """
    return _LayoutReader(reading, blobs, frozenset()).read_single(described)


def _key(described: Descriptor) -> tuple[str, Digest]:
    """Return what makes two descriptors of an index name one thing, read in one way."""
    return described.media_type, described.digest


def _name_of(ref_name: str) -> Name:
    # A bare word is a tag without a repository (docs/formats-oci.md#names-in-a-layout).
    if any(mark in ref_name for mark in "/:@"):
        try:
            return Name(Reference.parse(ref_name).with_default_tag(), ref_name)
        except FormatError:
            pass
    return Name(None, ref_name)


def _format(tree: Tree) -> SourceFormat:
    if tree.is_registry:
        return SourceFormat.REGISTRY
    return SourceFormat.OCI if tree.is_folder else SourceFormat.OCI_ARCHIVE


class _LayoutReader:
    def __init__(self, reading: Reading, blobs: LayoutBlobs, listed: frozenset[Digest]) -> None:
        self._reading = reading
        self._blobs = blobs
        self._listed = listed
        #: What was read; None where it is damaged, which was reported then.
        self._nodes: dict[tuple[str, Digest], Node | None] = {}
        self._configs: dict[tuple[Digest, int], Config] = {}
        self._count = 0
        #: For each index, what walking through it meets, shared parts as often as it comes by.
        self._listed_by: dict[Index, int] = {}

    def read(self) -> ImageSet:
        reading = self._reading
        self._check_version()
        raw = reading.read("index.json")
        fields = index_fields(reading, raw, mediatype.OCI_INDEX, "index.json")
        if not fields.names("manifests"):
            reading.fault(
                FormatError(
                    "has no list of manifests, so it names no image",
                    code="index-without-manifests",
                    member="index.json",
                )
            )
        for unresolved, error in reading.tree.unresolved:
            with reading.part(Part(None, (_name_of(unresolved),))):
                raise error
        entries: list[Entry] = []
        listed = 0
        reading.count_names(len(fields.array("manifests") or ()))
        for item in fields.objects("manifests"):
            try:
                described = read_descriptor(item)
            except InputError as error:
                reading.fault(error)
                continue
            node, name = None, self._name(described)
            names = (name,) if name is not None else ()
            with reading.part(Part(described.digest, names)):
                found = self._node(described, 1, names)
                if found is None and _key(described) not in self._nodes:
                    self._require_platform(described)
                listed = self._bounded(listed + self._walk(found), "index.json")
                node = found
            entries.append(Entry(node, name, described))
        subject = fields.object("subject")
        described_subject = read_descriptor(subject) if subject else None
        with reading.part(None):
            self._blobs.check_subject(described_subject, "index.json")
        return ImageSet(
            entries=tuple(entries),
            format=_format(reading.tree),
            index_annotations=fields.string_map("annotations"),
            index_artifact_type=fields.text("artifactType"),
            index_subject=described_subject,
            indexed=tuple(entry.descriptor.digest for entry in entries if entry.descriptor is not None),
        )

    def read_single(self, described: Descriptor) -> ImageSet:
        node = None
        with self._reading.part(Part(described.digest, ())):
            node = self._node(described, 1)
        entry = Entry(node, None, described)
        return ImageSet((entry,), SourceFormat.DIR, indexed=(described.digest,))

    def _check_version(self) -> None:
        reading = self._reading
        if reading.tree.find("oci-layout") is None:
            # Written by tools that keep bare blobs; ggcr reads such folders.
            line = "oci-layout: is missing; read as an image layout because index.json and blobs are there"
            reading.warn(Diagnostic(line, code="missing-layout-file", member="oci-layout"))
            return
        fields = reading.fields(reading.read("oci-layout"), "oci-layout", "oci-layout")
        version = fields.required_text("imageLayoutVersion")
        if version != "1.0.0":
            raise UnsupportedError(
                f"imageLayoutVersion is '{version}', only 1.0.0 is supported",
                code="unsupported-layout-version",
                file=reading.file,
                member="oci-layout",
            )

    def _require_platform(self, described: Descriptor) -> None:
        """An absent platform is normal in an index; a missing blob is not."""
        if described.platform is None:
            raise FormatError(
                f"is missing, though {self._blobs.top} names it ({described.media_type})",
                code="missing-blob",
                file=self._reading.file,
                member=self._blobs.member(described),
            )

    def _name(self, described: Descriptor) -> Name | None:
        image_name = described.annotations.get(IMAGE_NAME)
        ref_name = described.annotations.get(REF_NAME)
        if image_name:
            try:
                return Name(Reference.parse(image_name).with_default_tag(), ref_name)
            except FormatError:
                line = f"index.json: {IMAGE_NAME} {image_name!r} is not a valid image name; dropped"
                self._reading.warn(Dropped(line, what="name", of=image_name))
        return _name_of(ref_name) if ref_name else None

    # -- nodes -----------------------------------------------------------------

    def _node(self, described: Descriptor, depth: int, names: tuple[Name, ...] = ()) -> Node | None:
        """Return what a descriptor of an index names, read once; None if it is absent or damaged.

        `names` are those that `index.json` gives it.
        """
        key = _key(described)
        if key in self._nodes:
            with self._reading.part(Part(described.digest, names)):
                self._blobs.compare(described, f"{self._blobs.top} or an index")
        else:
            node, absent = None, False
            with self._reading.part(Part(described.digest, names)):
                node = self._read_node(described, depth)
                absent = node is None
            if absent:
                return None
            self._nodes[key] = node
        return self._nodes[key]

    def _read_node(self, described: Descriptor, depth: int) -> Node | None:
        if depth > MAX_INDEX_DEPTH:
            raise UnsafeInputError(
                f"is nested deeper than {MAX_INDEX_DEPTH} indexes",
                code="index-too-deep",
                file=self._reading.file,
                member=self._blobs.member(described),
            )
        self._count += 1
        if self._count > MAX_NODES:
            raise UnsafeInputError(
                f"names more than {MAX_NODES} manifests", code="too-many-manifests", file=self._reading.file
            )
        blob = self._blobs.find(described)
        if blob is None:
            return None
        if described.media_type in mediatype.INDEXES:
            return self._index(described, depth)
        if described.media_type in mediatype.MANIFESTS:
            return self._manifest(described)
        return self._other(blob, described, depth)

    def _other(self, blob: Blob, described: Descriptor, depth: int) -> Other:
        """Return something of unknown media type, with what it names if it has the shape of a manifest or index."""
        named: dict[Digest, tuple[Blob, Descriptor]] = {}
        understood = self._follow(described, depth, named, set())
        return Other(blob, described, named, understood)

    def _follow(
        self,
        described: Descriptor,
        depth: int,
        named: dict[Digest, tuple[Blob, Descriptor]],
        followed: set[Digest],
    ) -> bool:
        """Collect what a document names into `named`; return whether all of it has such a shape.

        `followed` are the documents that were looked into already.
        """
        if depth > MAX_INDEX_DEPTH or described.size > MAX_DOCUMENT_SIZE:
            return False
        self._count += 1
        if self._count > MAX_NODES:
            raise UnsafeInputError(
                f"names more than {MAX_NODES} manifests", code="too-many-manifests", file=self._reading.file
            )
        try:
            raw, member = self._blobs.document(described)
            if not raw.lstrip().startswith(b"{"):
                return False
            fields = self._reading.fields(raw, member, "oci-index")
            children = [read_descriptor(item) for item in fields.objects("manifests")]
            config = fields.object("config")
            parts = [read_descriptor(item) for key in ("layers", "blobs") for item in fields.objects(key)]
            parts += [read_descriptor(config)] if config is not None else []
        except FormatError:
            return False
        refers_to = None
        with contextlib.suppress(FormatError):
            # A subject that is not a descriptor is data of an unknown type.
            subject = fields.object("subject")
            refers_to = read_descriptor(subject) if subject is not None else None
        self._blobs.check_subject(refers_to, member)
        has_shape = any(fields.has(key) for key in ("manifests", "layers", "blobs", "config"))
        for number, part in enumerate((*children, *parts)):
            blob = self._blobs.find(part)
            if blob is None:
                continue
            self._blobs.compare(part, member)
            named.setdefault(part.digest, (blob, part))
            if number < len(children) and part.digest not in followed:
                followed.add(part.digest)
                if not self._follow(part, depth + 1, named, followed):
                    has_shape = False
        return has_shape

    def _index(self, described: Descriptor, depth: int) -> Index:
        raw, member = self._blobs.document(described)
        fields = index_fields(self._reading, raw, described.media_type, member)
        described_children = [read_descriptor(item) for item in fields.objects("manifests")]
        children = [Child(child, self._node(child, depth + 1)) for child in described_children]
        walk = self._bounded(sum(self._walk(child.node) for child in children), member)
        subject = fields.object("subject")
        index = Index(
            raw=raw,
            media_type=described.media_type,
            digest=described.digest,
            children=tuple(children),
            annotations=fields.string_map("annotations"),
            subject=self._blobs.check_subject(read_descriptor(subject) if subject else None, member),
            artifact_type=fields.text("artifactType"),
        )
        self._listed_by[index] = walk
        return index

    def _walk(self, node: Node | None) -> int:
        return 1 + (self._listed_by.get(node, 0) if isinstance(node, Index) else 0)

    def _bounded(self, listed: int, member: str) -> int:
        """Refuse indexes that list each other so often that reading all of it has no end."""
        if listed > MAX_LISTED:
            msg = f"lists more than {MAX_LISTED} things, those in shared indexes counted each time"
            raise UnsafeInputError(msg, code="too-many-manifests", file=self._reading.file, member=member)
        return listed

    def _manifest(self, described: Descriptor) -> Image | Artifact:
        raw, member = self._blobs.document(described)
        parsed = read_manifest(self._reading, raw, described.media_type, described.digest, member)
        self._blobs.check_subject(parsed.subject, member)
        if parsed.config.media_type not in mediatype.IMAGE_CONFIGS or not all(
            mediatype.is_layer(layer.media_type) for layer in parsed.layers
        ):
            return self._artifact(parsed, member)
        try:
            config = self._config(parsed.config, member)
            self._reading.count_image([layer.digest for layer in parsed.layers], config.diff_ids)
        except InputError as error:
            self._reading.fault(error)
            return Artifact(parsed, {})
        if parsed.config.digest in self._listed and manifest.is_generated(raw, config):
            return manifest.made_up_image(parsed, config)
        if parsed.layers and not config.diff_ids:
            # Without DiffIDs nothing states what the layers unpack to: no docker
            # archive can hold it, an OCI layout carries it as it is.
            line = f"{config.member}: config has no rootfs.diff_ids; carried as an artifact, not an image"
            self._reading.warn(Diagnostic(line, code="config-without-diff-ids", member=config.member))
            return self._artifact(parsed, member)
        if len(parsed.layers) == len(config.diff_ids):
            layers = tuple(
                Layer(diff_id, self._blobs.layer(layer, member), layer)
                for diff_id, layer in zip(config.diff_ids, parsed.layers, strict=True)
            )
        else:
            counts = (
                f"{len(parsed.layers)} layers, its config {parsed.config.digest} has {len(config.diff_ids)} DiffIDs"
            )
            self._reading.fault(FormatError(f"names {counts}", code="layer-count-mismatch", member=member))
            layers = absent_layers(config.diff_ids)
        return Image(config=config, layers=layers, manifest=parsed)

    def _config(self, described: Descriptor, named_by: str) -> Config:
        """Return a config; one that several manifests name is parsed once."""
        key = (described.digest, described.size)
        if key not in self._configs:
            raw, member = self._blobs.document(described, named_by=named_by)
            self._configs[key] = self._reading.config(raw, member)
        else:
            self._blobs.compare(described, named_by)
        return self._configs[key]

    def _artifact(self, parsed: Manifest, member: str) -> Artifact:
        blobs: dict[Digest, Blob] = {}
        for part in (parsed.config, *parsed.layers):
            blob = self._blobs.required(part, member)
            if blob is not None:
                blobs[part.digest] = blob
        return Artifact(parsed, blobs, self._opaque_config(parsed, member) if parsed.config.digest in blobs else None)

    def _opaque_config(self, parsed: Manifest, member: str) -> Config | None:
        """Return the config of an image with layers of unknown types; None for anything else.

        Signatures and attestations have an image config too, but one that names no
        platform.
        """
        if parsed.config.media_type not in mediatype.IMAGE_CONFIGS or parsed.artifact_type:
            return None
        try:
            config = self._config(parsed.config, member)
        except InputError:
            # Its bytes are carried as they are, and verified then.
            return None
        platform = (config.platform.os, config.platform.architecture)
        return config if all(part not in {"", "unknown"} for part in platform) else None
