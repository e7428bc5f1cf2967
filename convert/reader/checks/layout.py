"""Check an OCI image layout: `oci-layout`, `index.json` and everything below (image-spec image-layout.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from convert.errors import InputError
from convert.identity.manifest import is_generated
from convert.jsonio import schema
from convert.limits import MAX_INDEX_DEPTH, MAX_NODES
from convert.model import dir_names, mediatype
from convert.model.config import Config
from convert.reader.checks.claims import Claim
from convert.reader.checks.config import read_config
from convert.reader.checks.descriptors import Described, Descriptors, check_folder, check_zstd
from convert.reader.checks.layout_names import LayoutNames
from convert.reader.checks.manifest import belongs_to_no_image, check_family, check_kind, check_platform, view_of
from convert.reader.dir_layout import check_version, describe_top, file_finder
from convert.reader.document import Reading
from convert.reader.findings import shown
from convert.reader.layer_count import LayerCount

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convert.model.blob import Blob
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.reference import Reference
    from convert.reader.checks.claims import Claims
    from convert.reader.checks.documents import Checked, View

MEMBER: Final = "index.json"


@dataclass(frozen=True, slots=True)
class LayoutImage:
    """One image manifest that is in the layout. `generated`: `docker save` made it, no registry has it."""

    member: str
    config: Config
    layers: tuple[str, ...]
    generated: bool


@dataclass(slots=True)
class Top:
    """One entry of `index.json`: its names, and the images it stands for that are there."""

    place: str
    names: tuple[Reference, ...]
    images: list[LayoutImage] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a layout holds, for the comparison with the `manifest.json` beside it.

    `tops` is None if `index.json` cannot be read. `absent_layers` are the members
    of layers that may be absent, each with the message of its note. `opaque` are
    the configs of images whose layers cannot be unpacked.
    """

    tops: list[Top] | None
    absent_layers: Mapping[str, str] = field(default_factory=dict)
    opaque: frozenset[Digest] = frozenset()


def check_layout(checked: Checked, claims: Claims) -> Layout:
    """Check a layout; return what `index.json` names."""
    layout = _Layout(checked, claims)
    tops = layout.check()
    return Layout(tops, layout.descriptors.absent_layers, frozenset(layout.opaque))


def check_dir(checked: Checked, claims: Claims) -> None:
    """Check a `dir:` folder, whose `manifest.json` is the only top-level manifest."""
    try:
        check_version(checked.tree, checked.findings.file)
    except InputError as error:
        checked.findings.add("layout-version", error.message, member=error.member)
    raw = checked.raw(dir_names.MANIFEST)
    value = checked.parse(raw, dir_names.MANIFEST) if raw is not None else None
    if raw is None or value is None:
        return
    try:
        described = describe_top(Reading(checked.tree, checked.findings.file), raw)
    except InputError:
        return  # the reader's own finding
    _Layout(checked, claims, file_finder(checked.tree, described.digest)).check_one(described)
    claims.add_own_names(is_dir=True)


class _Layout:
    def __init__(self, checked: Checked, claims: Claims, member_of: Callable[[Descriptor], str] | None = None) -> None:
        self._checked = checked
        self._claims = claims
        self._layers = LayerCount(checked.findings.file)
        self._seen: dict[tuple[str, Digest], list[LayoutImage]] = {}
        self._configs: dict[tuple[Digest, str, bool, bool], Config | None] = {}
        self.descriptors = Descriptors(checked, claims, member_of)
        self._present = False
        self.opaque: set[Digest] = set()

    def check(self) -> list[Top] | None:
        self._version()
        check_folder(self._checked)
        raw = self._checked.raw(MEMBER)
        index = self._checked.view(raw, MEMBER, schema.OCI_INDEX) if raw is not None else None
        tops = []
        if index is not None:
            check_kind(self._checked, index, mediatype.OCI_INDEX)
            if not index.has("manifests") and not self._checked.findings.blames(MEMBER):
                self._checked.findings.add("no-images", "has no list of manifests", member=MEMBER, place="manifests")
            names = LayoutNames(self._checked.findings)
            for view in index.objects("manifests"):
                top = Top(view.path, names.check(view))
                described = self.descriptors.read(view)
                if described is not None:
                    top.images = self._node(described, 1)
                tops.append(top)
            if tops and not self._present:
                self._checked.findings.add("no-images", "names only what is not in the source", member=MEMBER)
        return tops if index is not None else None

    def check_one(self, described: Descriptor) -> None:
        """Check what one descriptor names, and everything below; the document itself is in the place of it."""
        value = {"mediaType": described.media_type, "digest": str(described.digest), "size": described.size}
        found = self.descriptors.read(self._checked.fields(value, dir_names.MANIFEST))
        if found is not None:
            self._node(found, 1)

    def _version(self) -> None:
        raw = self._checked.raw("oci-layout")
        if raw is None:
            if not self._checked.exists("oci-layout"):
                self._checked.findings.add("layout-version", "is not there", member="oci-layout")
            return
        view = self._checked.view(raw, "oci-layout", schema.OCI_LAYOUT)
        version = view.text("imageLayoutVersion") if view is not None else None
        if version not in {None, "1.0.0"}:
            message = f"is {shown(version)}, only 1.0.0 is supported"
            self._checked.findings.add("layout-version", message, member="oci-layout", place="imageLayoutVersion")

    def _node(self, described: Described, depth: int) -> list[LayoutImage]:
        """Check what a descriptor of an index names, and what that names; return the images."""
        key = (described.media_type, described.digest)
        self.descriptors.blob(described)
        if key in self._seen:
            return self._seen[key]
        if depth > MAX_INDEX_DEPTH or len(self._seen) >= MAX_NODES:
            # The readers' own limits, which `unreadable` reports.
            return []
        found = self._seen[key] = []
        if self.descriptors.absent(described):
            self._absent_child(described, depth)
            return found
        self._present = True
        self.descriptors.check_inline(described)
        if described.media_type in mediatype.INDEXES:
            found += self._index(described, depth)
        elif described.media_type in mediatype.MANIFESTS:
            found += self._manifest(described)
        return found

    def _absent_child(self, described: Described, depth: int) -> None:
        if depth == 1 and described.view.object("platform") is None:
            self.descriptors.report_missing(described)
            return
        message = f"is not in the source, {described.named_by}"
        self._checked.findings.add("absent-child", message, member=described.member)

    def _index(self, described: Described, depth: int) -> list[LayoutImage]:
        raw = self.descriptors.document(described)
        view = self._view(raw, described, mediatype.INDEXES)
        if view is None:
            return []
        check_kind(self._checked, view, described.media_type)
        images: dict[str, LayoutImage] = {}
        followed: set[Digest] = set()
        for child in view.objects("manifests"):
            below = self.descriptors.read(child)
            if below is None:
                continue
            found = self._node(below, depth + 1)
            self._platform(child, found)
            # An index may name one child any number of times.
            if below.digest not in followed:
                followed.add(below.digest)
                images.update((image.member, image) for image in found)
        return list(images.values())

    def _view(self, raw: bytes | None, described: Described, kind: frozenset[str]) -> View | None:
        return view_of(self._checked, raw, described.member, described.media_type, kind) if raw is not None else None

    def _platform(self, view: View, images: list[LayoutImage]) -> None:
        """Compare the platform of a child's descriptor with the config's."""
        if len(images) == 1:
            check_platform(self._checked, view, images[0].config.platform)

    def _manifest(self, described: Described) -> list[LayoutImage]:
        raw = self.descriptors.document(described)
        view = self._view(raw, described, mediatype.MANIFESTS)
        config_view = view.object("config") if view is not None else None
        if raw is None or view is None or config_view is None:
            return []
        check_kind(self._checked, view, described.media_type)
        check_family(self._checked, view)
        layers = [self.descriptors.read(layer) for layer in view.objects("layers")]
        check_zstd(self._checked, view, described.media_type, layers)
        config = self.descriptors.read(config_view)
        is_image = (
            config is not None
            and config.media_type in mediatype.IMAGE_CONFIGS
            and all(layer is None or mediatype.is_layer(layer.media_type) for layer in layers)
        )
        blobs = [self.descriptors.part(layer) if layer is not None else None for layer in layers]
        if config is None:
            return []
        self.descriptors.part(config)
        if not is_image:
            return self._opaque(described, config, layers, view)
        return self._image(described, raw, config, layers, blobs, artifact=bool(view.text("artifactType")))

    def _opaque(
        self, described: Described, config: Described, layers: list[Described | None], view: View
    ) -> list[LayoutImage]:
        """Return an image whose layers are of unknown types; nothing for anything else."""
        if config.media_type not in mediatype.IMAGE_CONFIGS or view.text("artifactType"):
            return []
        raw = self.descriptors.document(config)
        try:
            parsed = Config.parse(raw, where=self._checked.findings.file, member=config.member) if raw else None
        except InputError:
            return []
        # Signatures and attestations have a config that names no platform.
        if parsed is None or {parsed.platform.os, parsed.platform.architecture} & {"", "unknown"}:
            return []
        self.opaque.add(config.digest)
        names = tuple(layer.member for layer in layers if layer is not None)
        return [LayoutImage(described.member, parsed, names, generated=False)]

    def _image(
        self,
        described: Described,
        raw: bytes,
        config_described: Described,
        layers: list[Described | None],
        blobs: list[Blob | None],
        *,
        artifact: bool,
    ) -> list[LayoutImage]:
        config = self._config(config_described, needs_diff_ids=bool(layers), artifact=artifact)
        if config is None:
            return []
        self._layers.add([layer.digest if layer is not None else None for layer in layers], config.diff_ids)
        generated = is_generated(raw, config)
        names = tuple(layer.member for layer in layers if layer is not None)
        image = LayoutImage(described.member, config, names, generated)
        if len(layers) == len(config.diff_ids):
            for number, (diff_id, layer, blob) in enumerate(zip(config.diff_ids, layers, blobs, strict=True)):
                if layer is not None and blob is not None:
                    place = f"rootfs.diff_ids[{number}]"
                    self._claims.add(blob, layer.member, Claim(config.member, place, diff_ids=(diff_id,), layer=True))
        elif not (generated and not layers):
            # Docker 25.0.0 made manifests without layers (moby/moby#47065).
            message = f"{len(layers)} layers here, {len(config.diff_ids)} DiffIDs in {config.member}"
            self._checked.findings.add("layer-count", message, member=described.member, place="layers")
            for layer, blob in zip(layers, blobs, strict=True):
                if layer is not None and blob is not None:
                    self._claims.add(blob, layer.member, Claim(config.member, diff_ids=config.diff_ids, layer=True))
        return [image]

    def _config(self, described: Described, *, needs_diff_ids: bool, artifact: bool) -> Config | None:
        """Return a config; one that many manifests name is read and checked once."""
        key = (described.digest, described.media_type, needs_diff_ids, artifact)
        if key not in self._configs:
            config = None
            raw = self.descriptors.document(described)
            if raw is not None and not (
                needs_diff_ids and belongs_to_no_image(self._checked, raw, described.member, artifact=artifact)
            ):
                config = read_config(self._checked, raw, described.member, described.media_type)
            self._configs[key] = config
        return self._configs[key]
