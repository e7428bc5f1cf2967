"""Write the format of `docker save` with the containerd store: a layout that also has `manifest.json`.

Manifests, indexes and compressed layers are kept as they are, and every Docker since
1.10 reads it (containerd core/images/archive/exporter.go with the options of
moby daemon/containerd/image_exporter.go, 29.7.2; docs/formats-docker.md#docker-with-the-containerd-store).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.archive.tar_writer import Item
from convert.codec.compression import Compression
from convert.diagnostics import Diagnostic, Dropped
from convert.model import mediatype
from convert.model.image import Index, Other
from convert.model.walk import child_platform, leaves
from convert.writer import oci
from convert.writer.address import report_archive
from convert.writer.document_size import check_entry_count
from convert.writer.manifest_json import ManifestItem, manifest_json
from convert.writer.naming import describe, name_label, representatives
from convert.writer.oci import blob_name
from convert.writer.repositories import blob_tops, repositories_item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.image_set import Entry, ImageSet
    from convert.writer.naming import NamedImage
    from convert.writer.options import WriteOptions

NAME: Final = "docker-oci"

_FILE: Final = 0o644
_READ_ONLY: Final = 0o444
#: Platforms that one message lists.
_SHOWN: Final = 8


def items(images: ImageSet, options: WriteOptions) -> Iterator[Item]:
    """Yield the members, sorted by name. Every image must have a manifest.

    Raises:
        NotRepresentableError: no image, or one name for two things.
        UsageError: `repositories` is requested and no image has a name.
    """
    entries = [entry for entry in images.entries if _can_stay(entry, options.warn)]
    check_entry_count(len(entries))
    named = representatives(images, NAME, options.warn)
    report_archive(named, options)
    _warn_of_zstd(images, options.warn)
    _warn_of_absent(entries, options.warn)
    blobs = oci.all_blobs((entry.node for entry in entries), options)
    for digest in _nondistributable(images, options.warn):
        blobs.pop(digest, None)
    yield from oci.blob_items(blobs, _READ_ONLY, options)
    yield Item(
        "index.json",
        "file",
        _FILE,
        content=oci.index_json(oci.marked(oci.distinct(map(_descriptor, entries)), options)),
    )
    yield Item("manifest.json", "file", _FILE, content=manifest_json([_listed(one) for one in named]))
    yield Item("oci-layout", "file", _READ_ONLY, content=oci.OCI_LAYOUT)
    if options.add_repositories:
        yield repositories_item(blob_tops(named))


def _listed(one: NamedImage) -> ManifestItem:
    manifest = oci.manifest_of(one.image)
    # The exporter appends to nil slices: an image without names or layers has null there.
    return ManifestItem(
        config=blob_name(manifest.config.digest),
        repo_tags=[reference.familiar for reference in one.references] or None,
        layers=[blob_name(layer.digest) for layer in manifest.layers] or None,
    )


def _descriptor(entry: Entry) -> Descriptor:
    """Return an entry's descriptor with the tag as ref.name, as Docker always has it.

    A name by digest keeps its ref.name, else gets the full name as containerd writes it; a
    ref.name without a repository is kept.
    """
    descriptor = oci.node_descriptor(entry)
    if entry.name is None or entry.name.reference is None:
        return oci.with_names(descriptor, None, entry.name.ref_name if entry.name is not None else None)
    reference = entry.name.reference.with_default_tag()
    if reference.digest is None:
        return oci.with_names(descriptor, reference.full, reference.tag)
    return oci.with_names(descriptor, reference.full, entry.name.ref_name or reference.full)


def _can_stay(entry: Entry, warn: Callable[[Diagnostic], None]) -> bool:
    """Whether the exporter takes a top-level entry: a manifest or an index that is present."""
    if entry.node is not None and not isinstance(entry.node, Other):
        return True
    text = f"dropped {describe(entry.node)}: {NAME} holds only manifests and indexes"
    warn(Dropped(text, what="artifact", of=str(entry.descriptor.digest) if entry.descriptor is not None else ""))
    return False


def _nondistributable(images: ImageSet, warn: Callable[[Diagnostic], None]) -> Iterator[Digest]:
    """Yield the non-distributable layers, which the exporter never writes.

    The exporter decides by descriptor: a blob that another image calls distributable,
    or that an artifact names, is written.
    """
    described = [layer for image in images.images() for layer in oci.manifest_of(image).layers]
    kept = {layer.digest for layer in described if not mediatype.is_nondistributable(layer.media_type)}
    kept |= {digest for artifact in images.artifacts() for digest in artifact.blobs}
    for layer in described:
        if mediatype.is_nondistributable(layer.media_type) and layer.digest not in kept:
            text = f"dropped the bytes of layer {layer.digest}: it is not distributable, and Docker omits those too"
            warn(Dropped(text, what="layer", of=str(layer.digest)))
            yield layer.digest


def _warn_of_absent(entries: list[Entry], warn: Callable[[Diagnostic], None]) -> None:
    """Warn of each index that names absent children: kind imports all platforms, which then fails."""
    seen: set[Index] = set()
    for entry in entries:
        if not isinstance(entry.node, Index) or entry.node in seen:
            continue
        seen.add(entry.node)
        children = [child for child in leaves(entry.node) if not isinstance(child.node, Index)]
        absent = [child for child in children if child.node is None]
        if absent:
            platforms = list(dict.fromkeys(str(child_platform(child) or child.descriptor.digest) for child in absent))
            more = f" and {len(platforms) - _SHOWN} more" if len(platforms) > _SHOWN else ""
            text = (
                f"{name_label(entry.name)}: {len(absent)} of {len(children)} manifests of its index are absent"
                f" ({', '.join(platforms[:_SHOWN])}{more}); kind and ctr images import --all-platforms refuse that"
                " (--platform selects those that are present)"
            )
            warn(Diagnostic(text, code="absent-platforms", name=name_label(entry.name), absent=len(absent)))


def _warn_of_zstd(images: ImageSet, warn: Callable[[Diagnostic], None]) -> None:
    layers = (layer for image in images.images() for layer in oci.manifest_of(image).layers)
    if any(mediatype.layer_compression(layer.media_type) == Compression.ZSTD for layer in layers):
        warn(Diagnostic("the result has zstd layers, which Docker reads since 23", code="zstd-layers"))
