"""Read a source as a pusher reads it.

The classes of `identity/push/` decide what a tool does with what it reads. This module
opens the members that the tool opens, and the first bytes of layers that it looks at.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.codec.compression import Compression
from convert.diagnostics import Diagnostic, Dropped
from convert.errors import InputError, NoImageError, SelectionError, UsageError
from convert.identity import containers_image_structs, docker_structs, ggcr_structs
from convert.identity.push import pushers
from convert.identity.push.tool import DICTATED, Contents, View, taken_image
from convert.layer.verify import compression_of, present
from convert.model import mediatype
from convert.model.form import Form
from convert.model.image import Artifact, Image, Index
from convert.model.image_set import Entry
from convert.model.walk import leaves
from convert.plan.labels import counted, entry_label
from convert.reader.detect import holds_something, is_dir_folder, read
from convert.reader.docker_archive import ManifestJsonRules, read_docker, shared_names
from convert.reader.document import Reading
from convert.reader.manifest import index_fields
from convert.reader.oci_layout import read_layout
from convert.reader.sink import CollectingSink
from convert.writer.naming import describe, is_attestation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.archive.open import Source
    from convert.archive.tree import Tree
    from convert.identity.push.pushers import Pusher
    from convert.identity.push.tool import PushTool
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet
    from convert.reader.sink import Sink


#: How each tool that reads manifest.json reads it.
_MANIFEST_JSON_RULES: Final[dict[PushTool, ManifestJsonRules]] = {
    pushers.CRANE: ManifestJsonRules("crane", ggcr_structs.MANIFEST_ITEM, finds_own_members=True),
    pushers.DOCKER: ManifestJsonRules("docker", docker_structs.MANIFEST_ITEM, reads_whole_archive=True),
    pushers.CONTAINERD: ManifestJsonRules("containerd", docker_structs.CONTAINERD_ITEM, reads_whole_archive=True),
    **{
        tool: ManifestJsonRules(tool.name, containers_image_structs.MANIFEST_ITEM, reads_whole_archive=True)
        for tool in (pushers.PODMAN, pushers.SKOPEO, pushers.BUILDAH)
    },
}


def _contents(opened: Source) -> Contents:
    """Return what decides which part of a source a pusher reads."""
    tree = opened.tree
    has_index = tree.find("index.json") is not None
    is_dir = not has_index and is_dir_folder(tree)
    return Contents(
        listed=not is_dir and tree.find("manifest.json") is not None,
        layout=has_index,
        layout_file=tree.find("oci-layout") is not None,
        folder=tree.is_folder,
        dir_folder=is_dir and tree.is_folder,
        transport=opened.spelling,
        count_indexed=lambda: _count_indexed(tree),
    )


def _count_indexed(tree: Tree) -> int:
    """Return the number of descriptors in index.json; 0 if it is damaged, which its reader reports."""
    reading = Reading(tree, tree.where, CollectingSink())
    try:
        fields = index_fields(reading, reading.read("index.json"), mediatype.OCI_INDEX, "index.json")
        return len(fields.array("manifests") or ())
    except InputError:
        return 0


def _view(pusher: Pusher, tree: Tree, contents: Contents) -> View:
    """Return what a pusher looks at in a source.

    Raises:
        UsageError: the tool cannot read such a source.
    """
    if not contents.listed and not contents.layout:
        read(tree)  # reports a source that is not an image archive
    try:
        return pusher.tool.view(contents)
    except UsageError as error:
        error.file = tree.where
        try:
            read(tree)
        except NoImageError:
            raise  # that comes first, whichever tool is asked for
        except InputError:
            pass
        raise


def read_as(
    pusher: Pusher, opened: Source, warn: Callable[[Diagnostic], None], *, sink: Sink | None = None
) -> ImageSet:
    """Read what a pusher looks at; `warn` takes the conditions under which the digests hold.

    `sink` takes the faults; without one, the first fault is raised.

    Raises:
        UsageError: the tool cannot read such a source, or finds no image in it.
        NoImageError: the source holds no image.
        UnknownFormatError: no image archive or layout.
        InputError: damaged, hostile or unsupported.
    """
    tree = opened.tree
    contents = _contents(opened)
    view = _view(pusher, tree, contents)
    tool = pusher.tool
    if opened.compression and not tool.unpacks_archives:
        text = f"{tool.name} itself does not unpack {opened.compression}; this is about the tar inside"
        warn(Diagnostic(text, code="pusher-needs-tar", compression=opened.compression))
    for condition in tool.conditions(contents, view):
        warn(condition)
    if view is View.ALL:
        return read(tree, sink=sink)
    reading = Reading(tree, tree.where, sink) if sink is not None else Reading(tree, tree.where)
    found = read_docker(reading, _MANIFEST_JSON_RULES[tool]) if view is View.LISTED else read_layout(reading)
    if not reading.sink.faults and not holds_something(found):
        read(tree)
        member = "manifest.json" if view is View.LISTED else "index.json"
        raise UsageError(
            f"{tool.name} reads only {member}, which names no image that is present",
            code="pusher-cannot-read",
            file=tree.where,
        )
    if tool.finds_by_name and view is View.LISTED:
        for name, first, second in shared_names(found.entries):
            raise UsageError(
                f"manifest.json gives the name {name} to {first.image_id} and {second.image_id}; "
                f"{tool.name} takes the first and never finds the other",
                code="name-on-two-images",
                file=tree.where,
                hint="give each image a name of its own",
            )
    return dataclasses.replace(found, warnings=(*tree.warnings, *reading.sink.warnings))


@dataclass(frozen=True, slots=True)
class Load:
    """Images as a pusher takes them, and what becomes of each layer.

    `forms` is None where the pusher follows imgconv's own rules: everything that
    has a manifest is pushed as it is.
    """

    pusher: Pusher
    images: ImageSet
    forms: dict[Layer, Form] | None = None


def load(pusher: Pusher, images: ImageSet, warn: Callable[[Diagnostic], None]) -> Load:
    """Return images as the pusher takes them.

    Raises:
        SelectionError: they contain no image.
        UsageError: the tool cannot read one of them.
    """
    tool = pusher.tool
    if tool.sha256_only:
        _check_digests(tool, images)
    if tool.pushes_as_stored(images.format):
        return Load(pusher, tool.stored_images(images, warn))
    entries: list[Entry] = []
    forms: dict[Layer, Form] = {}
    made: dict[Image, Image] = {}
    opened: set[Index] = set()
    for entry in images.entries:
        for image in _images_of(entry):
            if image not in made:
                _check_present(tool, image)
                _check_config(tool, image)
                as_compressed = _treats_as_compressed(tool, image)
                taken = taken_image(tool, image, as_compressed=as_compressed)
                kinds = _compressions(taken)
                taken = made[image] = tool.with_types(taken, kinds)
                found = tool.layer_forms(taken, kinds, as_compressed=as_compressed)
                forms.update(zip(taken.layers, found, strict=True))
                for warning in _descriptor_warnings(tool, image, found, kinds):
                    warn(warning)
            entries.append(Entry(made[image], entry.name))
        for line in _not_pushed(tool, entry, opened):
            warn(line)
    if images.entries and not entries:
        raise SelectionError(f"no image is in the source, so {tool.name} has nothing to push", code="nothing-to-push")
    return Load(pusher, dataclasses.replace(images, entries=tuple(entries)), forms)


def _descriptor_warnings(
    tool: PushTool, image: Image, forms: Sequence[Form], kinds: Sequence[Compression]
) -> Iterator[Diagnostic]:
    """Yield a warning for descriptors of layers that do not describe what the tool uploads."""
    called = sum(form is Form.STORED and tool.mislabels(kind) for form, kind in zip(forms, kinds, strict=True))
    if called:
        text = f"{tool.name} calls {counted(called, 'layer')} of {image.image_id} gzip, and the bytes are not"
        yield Diagnostic(text, code="layer-called-gzip", image_id=str(image.image_id), layers=called)
    dictated = sum(form in DICTATED for form in forms)
    if dictated:
        text = (
            f"{tool.name} pushes {counted(dictated, 'descriptor')} of LayerSources in "
            f"{image.image_id} as given; a registry refuses one that does not fit what {tool.name} uploads"
        )
        yield Diagnostic(text, code="layer-sources-as-given", image_id=str(image.image_id))


def _not_pushed(tool: PushTool, entry: Entry, opened: set[Index]) -> Iterator[Dropped]:
    """Yield what of an entry the tool does not push; the children of an index once, which `opened` remembers."""
    if next(_images_of(entry), None) is None:
        why = "pushes only images that are there"
        if isinstance(entry.node, Artifact) and entry.node.config is not None:
            why = f"cannot unpack its layers ({', '.join(entry.node.opaque_types)})"
        text = f"dropped {entry_label(entry)}: {tool.name} {why}"
        yield Dropped(text, what="artifact", of=entry_label(entry))
    elif isinstance(entry.node, Index) and entry.node not in opened:
        opened.add(entry.node)
        for child in leaves(entry.node):
            if child.node is not None and not isinstance(child.node, Image):
                what = "attestation" if is_attestation(child) else "artifact"
                text = f"dropped {describe(child.node, child)}: {tool.name} pushes only images"
                yield Dropped(text, what=what, of=str(child.descriptor.digest))


def _check_present(tool: PushTool, image: Image) -> None:
    """Refuse an image without a layer whose bytes the tool reads."""
    needed = tool.needed_layers(image)
    for layer in needed:
        if layer.blob is None and len(needed) < len(image.layers):
            raise SelectionError(
                f"{tool.name} wants the bytes of the first layer of {image.image_id}, and they are not in the source",
                code="layer-not-present",
            )
        present(layer)


def _check_digests(tool: PushTool, images: ImageSet) -> None:
    """Refuse digests other than sha256.

    Raises:
        UsageError: there is one.
    """
    for image in images.images():
        named = [layer.stored for layer in image.layers if layer.stored is not None]
        if image.manifest is not None:
            named.append(image.manifest.config)
        for descriptor in named:
            if descriptor.digest.algorithm != "sha256":
                raise UsageError(
                    f"{tool.name} knows only sha256, and {image.image_id} names {descriptor.digest}",
                    code="pusher-needs-sha256",
                )


def _check_config(tool: PushTool, image: Image) -> None:
    """Refuse a config that the tool cannot decode.

    Raises:
        UsageError: it cannot.
    """
    struct = tool.config_struct(image)
    error = image.config.decode_error(struct) if struct is not None else ""
    if error:
        raise UsageError(f"{tool.name} cannot read the config {image.image_id}: {error}", code="pusher-cannot-read")


def _treats_as_compressed(tool: PushTool, image: Image) -> bool:
    """Return whether the tool takes the layers of an image for compressed ones."""
    if not image.layers:
        return False
    with present(image.layers[0]).open() as stream:
        return tool.treats_as_compressed(stream.read(4))


def _images_of(entry: Entry) -> Iterator[Image]:
    """Yield the images behind a name: one, or those of an index that are there."""
    if isinstance(entry.node, Image):
        yield entry.node
    elif isinstance(entry.node, Index):
        yield from (child.node for child in leaves(entry.node) if isinstance(child.node, Image))


def _compressions(image: Image) -> tuple[Compression, ...]:
    """Return how each layer is compressed; `NONE` for absent ones."""
    blobs = (layer.blob for layer in image.layers)
    return tuple(compression_of(blob) if blob is not None else Compression.NONE for blob in blobs)
