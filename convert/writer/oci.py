"""Write an OCI image layout (image-spec 1.1, image-layout.md), as a folder or as one tar.

The documents are compact and the same whichever tool wrote the source, as far as
their content is (docs/contract.md#layouts-and-re-created-manifests). Members are
sorted, times and owners are 0. The two name annotations are those of Docker and
containerd (docs/formats-oci.md#names-in-a-layout). The other formats that are
layouts too (docker-oci, docker-save@25) use the functions of this module.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from convert.archive.tar_writer import Item
from convert.diagnostics import Diagnostic
from convert.errors import quoted
from convert.identity.manifest import oci_index
from convert.model.descriptor import Descriptor
from convert.model.image import Artifact, Image, Index, Other
from convert.model.image_set import SourceFormat
from convert.model.needs import NEEDS
from convert.writer.address import report_address, report_layout
from convert.writer.document_size import check_entry_count, check_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from convert.model.blob import Content
    from convert.model.digest import Digest
    from convert.model.image import Manifest, Node
    from convert.model.image_set import Entry, ImageSet, Name
    from convert.writer.options import WriteOptions

#: Annotation with the full name of an image, for containerd and Docker.
IMAGE_NAME: Final = "io.containerd.image.name"
#: Annotation with its tag, or whatever the tool that wrote the layout chose.
REF_NAME: Final = "org.opencontainers.image.ref.name"
OCI_LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_MEMBER: Final = "index.json"
LAYOUT_MEMBER: Final = "oci-layout"

#: Formats whose ref.names somebody chose; the Docker formats always hold the bare tag there.
_CHOSEN_REF_NAMES: Final = frozenset(
    {SourceFormat.OCI, SourceFormat.OCI_ARCHIVE, SourceFormat.CRANE, SourceFormat.REGISTRY}
)
_FOLDER_MODE: Final = 0o755
_FILE_MODE: Final = 0o644


@dataclass(frozen=True, slots=True)
class LayoutContent:
    """What an image layout holds: its two documents, and its blobs in order of discovery."""

    index: bytes
    oci_layout: bytes
    blobs: Mapping[Digest, bytes | Content]


def items(images: ImageSet, options: WriteOptions) -> Iterator[Item]:
    """Yield the members, sorted by name. Every image must have a manifest."""
    layout = layout_content(images, options)
    yield from blob_items(layout.blobs, _FILE_MODE, options)
    yield Item(INDEX_MEMBER, "file", _FILE_MODE, content=layout.index)
    yield Item(LAYOUT_MEMBER, "file", _FILE_MODE, content=layout.oci_layout)


def layout_content(images: ImageSet, options: WriteOptions) -> LayoutContent:
    """Return the documents of a layout and its blobs, each blob once.

    Every image must have a manifest. Nothing is dropped: artifacts, attestations and
    the children that an index names but the source lacks are carried as they are.

    `options.existing` are the images of a layout that these are added to. It stays as
    it is; but a name moves to the image that has it now, as with skopeo, and the image
    that had it keeps only its other names. An image that is added under a name that it
    has there already keeps its ref.name. Where a new image would get the ref.name of an
    existing one, it gets its full name instead.
    """
    existing = options.existing
    staying = _staying_entries(images, existing, options) if existing is not None else []
    kept = [node_descriptor(entry) for entry in staying]
    descriptors = named_descriptors(images, staying)
    there = {_identity(descriptor) for descriptor in kept}
    added = [descriptor for descriptor in descriptors if _identity(descriptor) not in there]
    _warn_of_shared_ref_names(kept, added, options)
    count = len(kept) + len(added)
    report_address(ref_names(descriptors), options, others=count - len(descriptors))
    report_layout([entry.node for entry in images.entries], options, count=count)
    like = images
    if existing is not None:
        like = dataclasses.replace(
            images,
            index_annotations={**existing.index_annotations, **images.index_annotations},
            index_artifact_type=existing.index_artifact_type or images.index_artifact_type,
            index_subject=existing.index_subject or images.index_subject,
        )
    index = index_json([*kept, *marked(added, options)], like)
    blobs = all_blobs((entry.node for entry in images.entries), options)
    return LayoutContent(index, OCI_LAYOUT, blobs)


def marked(descriptors: Iterable[Descriptor], options: WriteOptions) -> list[Descriptor]:
    """Return top-level descriptors with the mark of a thin archive, if something under them is left out.

    Of several descriptors of one digest, which differ by their names, the first has the mark.
    """
    marks = dict(options.left_out.marks)
    return [
        one if mark is None else dataclasses.replace(one, annotations={**one.annotations, NEEDS: mark})
        for one in descriptors
        for mark in (marks.pop(one.digest, None),)
    ]


def _staying_entries(images: ImageSet, existing: ImageSet, options: WriteOptions) -> list[Entry]:
    """Return the entries of an existing index that stay, and warn of each name that moves."""
    added: dict[object, list[Digest]] = {}
    for entry in images.entries:
        added.setdefault(_key(entry), []).append(node_descriptor(entry).digest)
    staying = []
    for entry in existing.entries:
        before, digests = node_descriptor(entry).digest, added.get(_key(entry))
        if digests is None or before in digests:
            staying.append(entry)
        elif entry.name is not None:
            now = digests[-1]
            text = entry.name.reference.familiar if entry.name.reference is not None else entry.name.ref_name or ""
            line = f"name {quoted(text)} moved from {before} to {now}"
            options.warn(Diagnostic(line, code="name-moved", name=text, before=str(before), now=str(now)))
    return staying


def _warn_of_shared_ref_names(kept: Iterable[Descriptor], added: Iterable[Descriptor], options: WriteOptions) -> None:
    """Warn of each ref.name that an existing image keeps and a new one has no other name for."""
    holders = _holders(kept)
    for name, digests in _holders(added).items():
        before, now = holders.get(name, {}), [digest for digest in digests if digest not in holders.get(name, {})]
        if before and now:
            first = next(iter(before))
            text = f"{quoted(name)} is the ref.name of both {first} and {now[0]}; skopeo takes the first"
            options.warn(Diagnostic(text, code="duplicate-name", name=name, before=str(first), now=str(now[0])))


def _holders(descriptors: Iterable[Descriptor]) -> dict[str, dict[Digest, None]]:
    """Return the digests that have each ref.name, in order."""
    holders: dict[str, dict[Digest, None]] = {}
    for descriptor in descriptors:
        name = descriptor.annotations.get(REF_NAME)
        if name is not None:
            holders.setdefault(name, {})[descriptor.digest] = None
    return holders


def _key(entry: Entry) -> object:
    """Return what two entries of a layout cannot share: the name, or the digest without a name."""
    if entry.name is not None and entry.name.reference is not None:
        return entry.name.reference.with_default_tag().full
    return entry.name.ref_name if entry.name is not None else node_descriptor(entry).digest


def keeps_ref_names(images: ImageSet) -> bool:
    """Return whether a layout gets the ref.names of the entries, because somebody chose them."""
    return images.ref_names_final or images.format in _CHOSEN_REF_NAMES


def blob_name(digest: Digest) -> str:
    """Return the member that holds a blob."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def index_json(descriptors: Sequence[Descriptor], like: ImageSet | None = None) -> bytes:
    """Return `index.json`: compact, no newline.

    Annotations, artifactType and subject are those of the `index.json` that `like` came from.

    Raises:
        NotRepresentableError: it is too large.
    """
    if like is None:
        return check_size(oci_index(descriptors), INDEX_MEMBER)
    raw = oci_index(
        descriptors,
        annotations=like.index_annotations,
        artifact_type=like.index_artifact_type,
        subject=like.index_subject,
    )
    return check_size(raw, INDEX_MEMBER)


def ref_names(descriptors: Iterable[Descriptor]) -> Iterator[str | None]:
    """Yield the ref.name of each descriptor."""
    for descriptor in descriptors:
        yield descriptor.annotations.get(REF_NAME)


def blob_items(blobs: Mapping[Digest, bytes | Content], mode: int, options: WriteOptions) -> Iterator[Item]:
    """Yield the blobs as members of a tar, sorted by name, with the folders that they are in if the tar has these."""
    members = {blob_name(digest): content for digest, content in blobs.items()}
    folders = {"blobs", *(name.rpartition("/")[0] for name in members)} if options.has_folders else set()
    for name in sorted(folders | members.keys()):
        if name in folders:
            yield Item(name, "dir", _FOLDER_MODE)
        else:
            yield Item(name, "file", mode, content=members[name])


def named_descriptors(images: ImageSet, existing: Sequence[Entry] = ()) -> list[Descriptor]:
    """Return the descriptor of each entry, with the names that a layout gives it; equal ones once.

    A ref.name read from a layout stays. Otherwise it is the tag; but where two
    manifests would get the same, all names of both are full ones, because skopeo
    silently takes the first (docs/contract.md#layouts-and-re-created-manifests). The
    `existing` entries of the same index keep their names, so the new ones get others; an
    entry that is there already has the descriptors that it has there.
    """
    check_entry_count(len(images.entries))
    keep = keeps_ref_names(images)
    labels = [_label(entry.name, keep_ref_name=keep) for entry in images.entries]
    plain = [node_descriptor(entry) for entry in images.entries]
    holders: dict[str, set[Digest]] = {}
    for descriptor, label in zip(plain, labels, strict=True):
        if label.ref_name is not None:
            holders.setdefault(label.ref_name, set()).add(descriptor.digest)
    ambiguous = {digest for digests in holders.values() if len(digests) > 1 for digest in digests}
    there: dict[tuple[object, Digest], list[Descriptor]] = {}
    for entry in existing:
        descriptor = node_descriptor(entry)
        there.setdefault((_key(entry), descriptor.digest), []).append(descriptor)
    taken = _holders(node_descriptor(entry) for entry in existing)
    conflicting = {
        descriptor.digest
        for descriptor, label in zip(plain, labels, strict=True)
        if label.ref_name is not None and taken.get(label.ref_name, {}).keys() - {descriptor.digest}
    }

    def ref_name(descriptor: Descriptor, label: _Label) -> str | None:
        if descriptor.digest in conflicting and label.image_name is not None:
            return label.image_name
        return label.full_ref_name if descriptor.digest in ambiguous else label.ref_name

    def named(entry: Entry, descriptor: Descriptor, label: _Label) -> Iterator[Descriptor]:
        same = there.get((_key(entry), descriptor.digest), [])
        yield from same
        name = ref_name(descriptor, label)
        # A ref.name that somebody chose is an address of its own, beside the one that is there.
        if not same or (label.is_chosen and not {label.ref_name, name} & set(ref_names(same))):
            yield with_names(descriptor, label.image_name, name)

    return distinct(
        one
        for entry, descriptor, label in zip(images.entries, plain, labels, strict=True)
        for one in named(entry, descriptor, label)
    )


def distinct(descriptors: Iterable[Descriptor]) -> list[Descriptor]:
    """Return each descriptor once: an image that its source names twice is one entry."""
    kept: dict[object, Descriptor] = {}
    for one in descriptors:
        kept.setdefault(_identity(one), one)
    return list(kept.values())


def _identity(one: Descriptor) -> object:
    """Return what two descriptors have in common when they are equal."""
    rest = repr((one.urls, one.data, one.platform, one.artifact_type, one.extra))
    return one.media_type, one.digest, one.size, frozenset(one.annotations.items()), rest


class _Label(NamedTuple):
    """The names of one entry: for containerd, for skopeo, and for skopeo where tags collide."""

    image_name: str | None
    ref_name: str | None
    full_ref_name: str | None
    #: Whether somebody chose the ref.name.
    is_chosen: bool = False


def _label(name: Name | None, *, keep_ref_name: bool) -> _Label:
    if name is None:
        return _Label(None, None, None)
    if name.reference is None:
        return _Label(None, name.ref_name, name.ref_name)
    reference = name.reference.with_default_tag()
    if name.ref_name is not None and keep_ref_name:
        return _Label(reference.full, name.ref_name, name.ref_name, is_chosen=True)
    # containerd writes the full name for one that has a digest (ociReferenceName).
    short = reference.tag if reference.digest is None else reference.full
    return _Label(reference.full, short, reference.full)


def node_descriptor(entry: Entry) -> Descriptor:
    """Return the descriptor of what an entry names.

    That is the source's own, as long as it still names these bytes; a new one for a
    re-created manifest.
    """
    fresh = _new_descriptor(entry.node)
    if entry.descriptor is not None and (fresh is None or fresh.digest == entry.descriptor.digest):
        return _without_mark(entry.descriptor)
    if fresh is None:
        msg = "an entry has neither a manifest nor a descriptor"
        raise ValueError(msg)
    return fresh


def _without_mark(descriptor: Descriptor) -> Descriptor:
    """Return a descriptor without the mark of a thin archive, which holds for one archive only."""
    if NEEDS not in descriptor.annotations:
        return descriptor
    annotations = {key: value for key, value in descriptor.annotations.items() if key != NEEDS}
    return dataclasses.replace(descriptor, annotations=annotations)


def with_names(descriptor: Descriptor, image_name: str | None, ref_name: str | None) -> Descriptor:
    """Return a descriptor with these two names in place of its own, other annotations kept."""
    annotations = {key: value for key, value in descriptor.annotations.items() if key not in {IMAGE_NAME, REF_NAME}}
    if image_name is not None:
        annotations[IMAGE_NAME] = image_name
    if ref_name is not None:
        annotations[REF_NAME] = ref_name
    return dataclasses.replace(descriptor, annotations=annotations)


def all_blobs(nodes: Iterable[Node | None], options: WriteOptions) -> dict[Digest, bytes | Content]:
    """Return every blob that is present and reached from `nodes`, by digest, in order of discovery."""
    found: dict[Digest, bytes | Content] = {}
    seen: set[Node] = set()
    for node in nodes:
        for digest, content in _node_blobs(node, options, seen):
            found.setdefault(digest, content)
    return found


def manifest_of(image: Image) -> Manifest:
    """Return the manifest that the caller gave an image before it is written to a layout.

    Raises:
        ValueError: it did not.
    """
    if image.manifest is None:
        msg = f"image {image.image_id} was not given a manifest before it was written"
        raise ValueError(msg)
    return image.manifest


def _node_blobs(node: Node | None, options: WriteOptions, seen: set[Node]) -> Iterator[tuple[Digest, bytes | Content]]:
    # Indexes that name each other many times share their nodes; each is visited once.
    if node is None or node in seen:
        return
    seen.add(node)
    match node:
        case Index():
            yield node.digest, node.raw
            for child in node.children:
                yield from _node_blobs(child.node, options, seen)
        case Image():
            manifest = manifest_of(node)
            yield manifest.digest, manifest.raw
            yield manifest.config.digest, node.config.raw
            for descriptor, layer in zip(manifest.layers, node.layers, strict=True):
                if layer.blob is not None and descriptor.digest not in options.left_out.blobs:
                    yield descriptor.digest, options.content(layer)
        case Artifact():
            yield node.manifest.digest, node.manifest.raw
            for descriptor in (node.manifest.config, *node.manifest.layers):
                blob = node.blobs.get(descriptor.digest)
                if blob is not None:
                    yield descriptor.digest, options.blob(blob, descriptor)
        case _:
            yield node.descriptor.digest, options.blob(node.blob, node.descriptor)
            for digest, (blob, descriptor) in node.named.items():
                yield digest, options.blob(blob, descriptor)


def _new_descriptor(node: Node | None) -> Descriptor | None:
    match node:
        case Image():
            manifest = manifest_of(node)
            return Descriptor(manifest.media_type, manifest.digest, len(manifest.raw))
        case Artifact():
            manifest = node.manifest
            return Descriptor(
                manifest.media_type, manifest.digest, len(manifest.raw), artifact_type=manifest.artifact_type
            )
        case Index():
            return Descriptor(node.media_type, node.digest, len(node.raw))
        case Other():
            return node.descriptor
        case _:
            return None
