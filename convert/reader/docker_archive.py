"""Read archives that carry a `manifest.json` (docker image spec v1.2, and its kin).

One reader for docker save, crane, podman, skopeo, kaniko, jib, bazel, nix and
buildpacks: they differ in member names only, and those are labels.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from convert.archive.tree import names_nothing
from convert.diagnostics import Diagnostic, Diagnostics, Dropped
from convert.errors import AbsentBlobError, FormatError, InputError, NoImageError, UnsafeInputError, UsageError
from convert.limits import MAX_LAYERS, MAX_NODES
from convert.model import mediatype
from convert.model.digest import Digest
from convert.model.image import Image, Layer
from convert.model.image_set import Entry, ImageSet, Name, SourceFormat
from convert.model.reference import Reference
from convert.reader.document import absent_layers
from convert.reader.fields import Fields
from convert.reader.sink import Part
from convert.reader.v1_directories import V1Folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from convert.jsonio.go_struct import Struct
    from convert.model.blob import Blob
    from convert.model.descriptor import Descriptor
    from convert.reader.beside import Beside
    from convert.reader.crane_members import CraneMembers
    from convert.reader.document import Reading

_CONFIG: Final = re.compile(r"([0-9a-f]{64})(?:\.json)?\Z")
_V1_LAYER: Final = re.compile(r"(?:\./)?([0-9a-f]{64})/layer\.tar\Z")


class ManifestJsonRules(NamedTuple):
    """What one tool refuses in a `manifest.json` whose images can be read.

    `tool` is its name and `item` the struct into which it decodes an element. With
    `reads_whole_archive`, it refuses an archive with a tar header that Go refuses.
    """

    tool: str
    item: Struct
    reads_whole_archive: bool = False


class Item(NamedTuple):
    """One element of `manifest.json`, resolved to an image and its names."""

    image: Image
    names: tuple[Name, ...]


def read_docker(reading: Reading) -> ImageSet:
    """Read every image that `manifest.json` lists, in its order, as tools do that need every layer it names.

    Raises:
        NotRepresentableError: a layer is absent that an OCI layout in the same
            archive calls non-distributable.
        FormatError: a document is broken, a member is missing, or the numbers
            of layers and DiffIDs differ.
        DigestMismatchError: crane's `sha256:` config name is not its content's.
    """
    return _image_set(reading, read_items(reading, needs_layers=True))


def read_docker_as_crane(reading: Reading) -> ImageSet:
    """Read what `read_docker` reads as crane does, with the descriptors of `LayerSources`.

    Raises:
        UsageError: crane does not find a member, which another tool finds.
        Others: as `read_docker`.
    """
    return _image_set(reading, read_items(reading, as_crane=True, needs_layers=True))


def _image_set(reading: Reading, items: Sequence[Item]) -> ImageSet:
    """Return the images of all elements, each once with its names."""
    images: dict[object, Image] = {}
    named: dict[tuple[Image, Name | None], Entry] = {}
    for item in items:
        # An image that is listed twice is one image.
        paths = tuple(layer.blob.where if layer.blob is not None else "" for layer in item.image.layers)
        image = images.setdefault((item.image.image_id, paths), item.image)
        for name in item.names or (None,):
            named.setdefault((image, name), Entry(image, name))
    entries = tuple(named.values())
    for text, first, second in shared_names(entries):
        line = f"manifest.json: {text} is the name of two images, {first.image_id} and {second.image_id}"
        reading.warn(Diagnostic(line, code="duplicate-name", member="manifest.json", name=text))
    return ImageSet(entries=entries, format=_format(reading), listed=tuple(reading.listed))


def shared_names(entries: Iterable[Entry]) -> Iterator[tuple[str, Image, Image]]:
    """Yield each name that two images have, with the first image and a later one.

    crane and skopeo take the first, docker load moves the name to the last.
    """
    owners: dict[Reference, Image] = {}
    for entry in entries:
        if entry.name is None or entry.name.reference is None or not isinstance(entry.node, Image):
            continue
        owner = owners.setdefault(entry.name.reference, entry.node)
        if owner is not entry.node:
            yield entry.name.reference.familiar, owner, entry.node


def _check_found(reading: Reading, members: CraneMembers | None, name: str) -> None:
    """Report a name under which crane does not find the member that is there (nothing without `members`)."""
    blob = reading.tree.find(name) if members is not None else None
    if members is not None and blob is not None and not members.holds(name, blob):
        hint = "imgconv writes an archive that crane reads with --to crane"
        reading.fault(
            UsageError(
                f"crane does not find {name}: {members.why(name)}",
                code="pusher-cannot-read",
                file=reading.file,
                hint=hint,
            )
        )


def check_rules(reading: Reading, rules: ManifestJsonRules) -> None:
    """Report what one tool refuses in a `manifest.json` that was read: what is wrong for every tool comes first."""
    value = reading.parse_shared(reading.read("manifest.json"), "manifest.json")
    try:
        # It decodes all elements before it looks for an image.
        for number, element in enumerate(value):
            rules.item.check(element, f"[{number}]")
    except FormatError as error:
        text = f"{rules.tool} cannot read manifest.json: {error.message}"
        reading.fault(UsageError(text, code="pusher-cannot-read", file=reading.file))
    if rules.reads_whole_archive and reading.tree.refusal is not None:
        text = f"{rules.tool} does not read the archive to its end: {reading.tree.refusal}"
        reading.fault(UsageError(text, code="pusher-cannot-read", file=reading.file))


def read_items(reading: Reading, *, as_crane: bool = False, needs_layers: bool = False) -> list[Item]:
    """Return the elements of `manifest.json`; those that fail are reported.

    A layer may be absent if the OCI layout in the same archive calls it
    non-distributable, unless `needs_layers`. With `as_crane`, members are looked up by crane's
    rules (`crane_members.py`), and a layer has the descriptor of `LayerSources`, not only a
    foreign layer.
    """
    members = None
    if as_crane:
        from convert.reader import crane_members  # noqa: PLC0415 - only for digests of crane: start-up time

        members = crane_members.CraneMembers(reading.tree)
    _check_found(reading, members, "manifest.json")
    raw = reading.read("manifest.json")
    value = reading.parse_shared(raw, "manifest.json")
    document = reading.document("manifest.json", value, "docker-manifest")
    if value is None:
        kind = NoImageError if reading.tree.find("index.json") is None else FormatError
        raise kind("the source holds no image: this is null", file=reading.file, member="manifest.json")
    if not isinstance(value, list):
        document.fail("", "expected an array")
    if len(value) > MAX_NODES:
        msg = f"lists {len(value)} images, the limit is {MAX_NODES}"
        raise UnsafeInputError(msg, code="too-many-images", file=reading.file, member="manifest.json")
    items = []
    folders = V1Folders(reading)
    beside = _LayoutBeside(reading, needed=needs_layers)
    for number, element in enumerate(value):
        reading.listed.append(None)
        with reading.part(None):
            fields = Fields(element, document, f"[{number}]")
            config_name = fields.required_text("Config")
            if names_nothing(config_name):
                fields.fail("Config", "is empty")
            names = _names(reading, fields, number)
            with reading.part(Part(_labelled(config_name), names, item=True)):
                items.append(_item(reading, folders, fields, names, beside, members))
                reading.listed[-1] = items[-1].image.image_id
    return items


def _labelled(config_name: str) -> Digest | None:
    """Return the image ID that a config's member name suggests, None if it suggests none."""
    match = _CONFIG.search(config_name)
    return Digest.from_hex(match[1]) if match else None


class _LayoutBeside:
    """The OCI layout in the same archive, read only when `manifest.json` leaves a question open."""

    def __init__(self, reading: Reading, *, needed: bool) -> None:
        self._reading = reading
        self._needed = needed
        self._found: Beside | None = None

    def _read(self) -> Beside | None:
        tree = self._reading.tree
        if self._found is None and tree.find("index.json") is not None:
            from convert.reader.beside import beside  # noqa: PLC0415 - rarely needed

            self._found = beside(tree, self._reading.file)
        return self._found

    def foreign(self, member: str, diff_id: Digest) -> Descriptor | None:
        """Return the descriptor of the absent non-distributable layer that `member` would hold.

        Raises:
            NotRepresentableError: there is one, and its bytes are needed.
        """
        layout = self._read()
        found = layout.foreign.get(member.removeprefix("./")) if layout is not None else None
        if found is not None and self._needed:
            from convert.layer.verify import present  # noqa: PLC0415 - as above

            present(Layer(diff_id, None, found), self._reading.file)
        return found

    def is_opaque(self, config: Digest) -> bool:
        """Return whether this is the config of an image whose layers cannot be unpacked."""
        layout = self._read()
        return layout is not None and config in layout.opaque


def _item(
    reading: Reading,
    folders: V1Folders,
    fields: Fields,
    names: tuple[Name, ...],
    beside: _LayoutBeside,
    members: CraneMembers | None,
) -> Item:
    """Return the image of an element of `manifest.json`, with `members` as crane takes it."""
    all_sources = members is not None
    config_name = fields.required_text("Config")
    raw = reading.read(config_name)
    if config_name.startswith("sha256:"):
        # crane names the config by its digest and reads it by that name.
        reading.verify(raw, fields.as_digest("Config", config_name), None, config_name)
    config = reading.config(raw, config_name)
    paths = fields.strings("Layers") or []
    if len(paths) > MAX_LAYERS:
        fields.fail("Layers", f"names {len(paths)} layers, the limit is {MAX_LAYERS}")
    reading.count_image(paths, config.diff_ids)
    layers = absent_layers(config.diff_ids)
    with reading.part(Part(config.digest, names, item=True)):
        _check_found(reading, members, config_name)
        if len(paths) == len(config.diff_ids):
            sources = _layer_sources(reading, fields, all_sources=all_sources)
            layers = tuple(
                _layer(reading, path, diff_id, sources.get(diff_id), f"[{place}]", fields, beside, members)
                for place, (path, diff_id) in enumerate(zip(paths, config.diff_ids, strict=True))
            )
        else:
            counts = f"{len(paths)} layers in manifest.json, {len(config.diff_ids)} DiffIDs in the config"
            paths = []
            if not beside.is_opaque(config.digest):
                raise FormatError(counts, code="layer-count-mismatch", member=config_name)
    parent = fields.text("Parent")
    image = Image(
        config=config,
        layers=layers,
        v1_ids=folders.ids(paths, layers, fields.strings("RepoTags") or ()),
        parent=fields.digest("Parent") if parent else None,
    )
    return Item(image, names)


def _layer(
    reading: Reading,
    path: str,
    diff_id: Digest,
    source: Descriptor | None,
    number: str,
    fields: Fields,
    beside: _LayoutBeside,
    members: CraneMembers | None,
) -> Layer:
    """Return a layer; with `members`, as for crane, its descriptor stays, whatever bytes are stored."""
    dictated = members is not None
    if names_nothing(path):
        # Tools that send a layer only to a daemon without it (buildpacks) leave its name empty.
        text = f"{fields.place('Layers')}{number} has no name, so layer {diff_id} is not in the archive"
        reading.absent(AbsentBlobError(text, code="missing-layer", member="manifest.json"))
        return Layer(diff_id, None)
    blob = None
    try:
        blob = reading.tree.find(path)
        if blob is None and not (source and (dictated or source.urls)):
            source = beside.foreign(path, diff_id)
        if blob is not None:
            _check_found(reading, members, path)
    except InputError as error:
        reading.fault(error)
        return Layer(diff_id, None, source)
    if blob is None and source is None:
        text = f"is missing, though manifest.json names it as {fields.place('Layers')}{number}"
        reading.absent(AbsentBlobError(text, code="missing-layer", member=path))
    if source is not None and blob is not None and not dictated and _is_unpacked(blob, source):
        # Windows engines save a foreign layer unpacked beside its registry descriptor:
        # that describes other bytes, and the DiffID describes these.
        source = None
    return Layer(diff_id, blob, source)


def _is_unpacked(blob: Blob, source: Descriptor) -> bool:
    """Return whether a blob is uncompressed where its descriptor describes a compressed one."""
    from convert.layer.verify import compression_of  # noqa: PLC0415 - foreign layers are rare

    return bool(mediatype.layer_compression(source.media_type)) and not compression_of(blob)


def _layer_sources(reading: Reading, fields: Fields, *, all_sources: bool) -> dict[Digest, Descriptor]:
    """Return the descriptors of foreign layers; others state only what the bytes show."""
    sources = fields.object("LayerSources")
    if sources is None:
        return {}
    from convert.reader.manifest import check_data, read_descriptor  # noqa: PLC0415 - only Docker 25 and later

    found = {}
    for key, entry in sources.all_objects():
        if not all_sources and not mediatype.is_nondistributable(entry.text("mediaType") or ""):
            continue
        described = read_descriptor(entry)
        check_data(described, file=reading.file, member="manifest.json")
        diff_id = sources.as_digest(key, key)
        found[diff_id] = described
    if all_sources and any(entry is None for _, entry in sources.items()):
        fields.fail("LayerSources", "has null for a layer, which crane takes for a descriptor of nothing")
    return found


def _names(reading: Reading, fields: Fields, number: int) -> tuple[Name, ...]:
    """Return the names of the element with this number; those that were parsed in another reading are shared."""
    texts = fields.strings("RepoTags") or ()
    reading.count_names(len(texts))
    known = reading.documents.names
    if number not in known:
        warnings = Diagnostics()
        known[number] = (tuple(_parse_names(texts, warnings)), warnings)
    names, warnings = known[number]
    for warning in warnings:
        reading.warn(warning)
    return names


def _parse_names(texts: Iterable[str], warnings: Diagnostics) -> Iterator[Name]:
    """Yield the valid RepoTags, each name once however it is spelled."""
    seen: set[Reference] = set()
    for text in texts:
        try:
            reference = Reference.parse(text)
        except FormatError:
            line = f"manifest.json: RepoTag '{text}' is not a valid image name; dropped"
            warnings.append(Dropped(line, what="name", of=text))
            continue
        if reference.tag is None and reference.digest is None:
            line = f"manifest.json: RepoTag '{text}' has no tag; read as {text}:latest"
            warnings.append(Diagnostic(line, code="repo-tag-without-tag", member="manifest.json", name=text))
        reference = reference.with_default_tag()
        if reference not in seen:
            seen.add(reference)
            yield Name(reference, None)


def _format(reading: Reading) -> SourceFormat:
    """Name the form of the archive by its members."""
    names = reading.tree.names()
    if any(name.startswith("sha256:") for name in names):
        return SourceFormat.CRANE
    beside = any(name.endswith(".tar") and "/" not in name for name in names)
    v1_layers = any(_V1_LAYER.match(name) for name in names)
    return SourceFormat.DOCKER_SAVE if v1_layers and not beside else SourceFormat.DOCKER_ARCHIVE
