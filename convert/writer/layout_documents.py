"""What all OCI layouts share: blobs, `index.json` with its names, `oci-layout`.

image-spec image-layout.md; the two name annotations as Docker and containerd
write them (docs/formats-oci.md#names-in-a-layout).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.archive.tar_writer import Item
from convert.errors import quoted
from convert.identity.manifest import oci_index
from convert.model.descriptor import Descriptor
from convert.model.image import Artifact, Image, Index, Other
from convert.writer.bounds import bounded, check_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from convert.model.blob import Content
    from convert.model.digest import Digest
    from convert.model.image import Manifest, Node
    from convert.model.image_set import Entry, ImageSet, Name
    from convert.writer.options import WriteOptions

#: Full name of an image, for containerd and Docker.
IMAGE_NAME: Final = "io.containerd.image.name"
#: Its tag, or what the tool that wrote the layout liked.
REF_NAME: Final = "org.opencontainers.image.ref.name"
OCI_LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'
_FOLDER: Final = 0o755
#: Addresses listed in one line.
_MOST_ADDRESSES: Final = 8


def blob_name(digest: Digest) -> str:
    """Return the member that holds a blob."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def index_json(descriptors: Sequence[Descriptor], like: ImageSet | None = None) -> bytes:
    """Return `index.json`: compact, no newline.

    `like` gives its annotations, artifactType and subject.

    Raises:
        NotRepresentableError: it is too large.
    """
    if like is None:
        return bounded(oci_index(descriptors), "index.json")
    raw = oci_index(
        descriptors,
        annotations=like.index_annotations,
        artifact_type=like.index_artifact_type,
        subject=like.index_subject,
    )
    return bounded(raw, "index.json")


def documents(
    images: ImageSet,
    options: WriteOptions,
    spelling: str,
    there: Sequence[Descriptor] = (),
    existing: ImageSet | None = None,
) -> tuple[bytes, bytes, dict[Digest, bytes | Content]]:
    """Return `index.json`, `oci-layout` and the blobs of a layout, each blob once.

    `spelling` is skopeo's word for the form, to say how one of several names is
    addressed. `there` are the descriptors that the index has already, of the layout
    `existing`, whose index keeps what it says of itself.

    Every image must have a manifest. Artifacts, attestations and children that are
    absent are carried as they are.
    """
    descriptors = named_descriptors(images, there)
    tell_address(spelling, ref_names(descriptors), options)
    like = images
    if existing is not None:
        like = dataclasses.replace(
            images,
            index_annotations={**existing.index_annotations, **images.index_annotations},
            index_artifact_type=existing.index_artifact_type or images.index_artifact_type,
            index_subject=existing.index_subject or images.index_subject,
        )
    index = index_json([*there, *descriptors], like)
    return index, OCI_LAYOUT, all_blobs((entry.node for entry in images.entries), options)


def tell_address(spelling: str, names: Iterable[str | None], options: WriteOptions) -> None:
    """Report how skopeo and podman are given what was written.

    `spelling` is their word for the form; `names` what they take after the path. A tar that
    holds one image needs no name; of a layout each address is listed.
    """
    distinct = list(dict.fromkeys(name for name in names if name is not None))
    folder = spelling == "oci"
    if len(distinct) < 2 and not folder:
        return
    place = options.place or ("LAYOUT" if folder else "ARCHIVE")
    shown = distinct[:_MOST_ADDRESSES] if folder else distinct[:1]
    addresses = ", ".join(quoted(f"{spelling}:{place}:{name}") for name in shown) or quoted(f"{spelling}:{place}")
    more = f" and {len(distinct) - len(shown)} more" if folder and len(distinct) > len(shown) else ""
    count = f"wrote {len(distinct)} names; " if len(distinct) > 1 else ""
    options.warn(f"{count}in skopeo and podman use {addresses}{more}")


def ref_names(descriptors: Iterable[Descriptor]) -> Iterator[str | None]:
    """Yield the ref.name of each descriptor."""
    for descriptor in descriptors:
        yield descriptor.annotations.get(REF_NAME)


def blob_items(blobs: Mapping[Digest, bytes | Content], mode: int) -> Iterator[Item]:
    """Yield the blobs as members of a tar with their folders, sorted by name."""
    members = {blob_name(digest): content for digest, content in blobs.items()}
    folders = {"blobs", *(name.rpartition("/")[0] for name in members)}
    for name in sorted(folders | members.keys()):
        if name in folders:
            yield Item(name, "dir", _FOLDER)
        else:
            yield Item(name, "file", mode, content=members[name])


def named_descriptors(images: ImageSet, there: Iterable[Descriptor] = ()) -> list[Descriptor]:
    """Return the descriptor of each entry, named as a layout names it; equal ones once.

    A ref.name read from a layout stays. Otherwise it is the tag; but where two
    manifests would get the same, all names of both are full ones, because skopeo
    silently takes the first (docs/contract.md#layouts-and-re-created-manifests). `there` are descriptors beside
    which these will stand: they keep their names, so these give way.
    """
    check_count(len(images.entries))
    labels = [_label(entry.name, images.format) for entry in images.entries]
    plain = [node_descriptor(entry) for entry in images.entries]
    holders: dict[str, set[Digest]] = {}
    for descriptor, label in zip(plain, labels, strict=True):
        if label.ref_name is not None:
            holders.setdefault(label.ref_name, set()).add(descriptor.digest)
    crowded = {digest for digests in holders.values() if len(digests) > 1 for digest in digests}
    taken = {descriptor.annotations.get(REF_NAME): descriptor.digest for descriptor in there}
    late = {
        descriptor.digest
        for descriptor, label in zip(plain, labels, strict=True)
        if label.ref_name is not None and taken.get(label.ref_name, descriptor.digest) != descriptor.digest
    }

    def ref_name(descriptor: Descriptor, label: _Label) -> str | None:
        if descriptor.digest in late and label.image_name is not None:
            return label.image_name
        return label.full_ref_name if descriptor.digest in crowded else label.ref_name

    return distinct(
        with_names(descriptor, label.image_name, ref_name(descriptor, label))
        for descriptor, label in zip(plain, labels, strict=True)
    )


def distinct(descriptors: Iterable[Descriptor]) -> list[Descriptor]:
    """Return each descriptor once: an image that its source names twice is one entry."""
    kept: dict[object, Descriptor] = {}
    for one in descriptors:
        rest = repr((one.urls, one.data, one.platform, one.artifact_type, one.extra))
        kept.setdefault((one.media_type, one.digest, one.size, frozenset(one.annotations.items()), rest), one)
    return list(kept.values())


@dataclass(frozen=True, slots=True)
class _Label:
    """The names of one entry: for containerd, for skopeo, and for skopeo where tags collide."""

    image_name: str | None
    ref_name: str | None
    full_ref_name: str | None


def _label(name: Name | None, source: str) -> _Label:
    if name is None:
        return _Label(None, None, None)
    if name.reference is None:
        return _Label(None, name.ref_name, name.ref_name)
    reference = name.reference.with_default_tag()
    # The Docker forms always have the bare tag there: nobody chose it.
    if name.ref_name is not None and not source.startswith("docker"):
        return _Label(reference.full, name.ref_name, name.ref_name)
    # containerd writes the full name for one that has a digest (ociReferenceName).
    short = reference.tag if reference.digest is None else reference.full
    return _Label(reference.full, short, reference.full)


def node_descriptor(entry: Entry) -> Descriptor:
    """Return the descriptor of what an entry names.

    The one it came with, as long as it still names these bytes; a fresh one for a
    manifest made anew.
    """
    fresh = _fresh_descriptor(entry.node)
    if entry.descriptor is not None and (fresh is None or fresh.digest == entry.descriptor.digest):
        return entry.descriptor
    if fresh is None:
        msg = "an entry has neither a manifest nor a descriptor"
        raise ValueError(msg)
    return fresh


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
    seen: set[int] = set()
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


def _node_blobs(node: Node | None, options: WriteOptions, seen: set[int]) -> Iterator[tuple[Digest, bytes | Content]]:
    # Nodes are shared: indexes that name each other many times over would take for ever.
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
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
                if layer.blob is not None:
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


def _fresh_descriptor(node: Node | None) -> Descriptor | None:
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
