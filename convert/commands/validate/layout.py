"""OCI image layouts: `oci-layout`, `index.json` and all that it reaches (image-spec image-layout.md)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from convert.commands.validate.configs import read_config
from convert.commands.validate.contents import Claim
from convert.commands.validate.descriptors import Described, check_empty_json, check_folder, check_zstd
from convert.errors import FormatError, InputError
from convert.identity.manifest import is_made_up
from convert.jsonio import schema
from convert.limits import MAX_INDEX_DEPTH, MAX_NODES
from convert.model import mediatype
from convert.model.config import Config
from convert.model.digest import Digest
from convert.model.reference import Reference
from convert.model.walk import platform_of
from convert.reader.findings import Severity, refused, shown
from convert.reader.manifest import NOT_IN_INDEX, NOT_IN_MANIFEST
from convert.reader.oci_layout import IMAGE_NAME, REF_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convert.commands.validate.contents import Contents
    from convert.commands.validate.documents import Checked, View
    from convert.model.blob import Blob

MEMBER: Final = "index.json"
#: Media type -> schema of such a manifest or index.
_SCHEMAS: Final = {
    mediatype.OCI_INDEX: schema.OCI_INDEX,
    mediatype.OCI_MANIFEST: schema.OCI_MANIFEST,
    mediatype.DOCKER_MANIFEST_LIST: schema.DOCKER_MANIFEST_LIST,
    mediatype.DOCKER_MANIFEST: schema.DOCKER_MANIFEST_V2,
}
_BLOB: Final = re.compile(r"blobs/([a-z0-9]+)/([0-9a-f]+)\Z")
_COMPONENT: Final = "[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*"
#: image-spec annotations.md, org.opencontainers.image.ref.name.
_REF_NAME: Final = re.compile(f"{_COMPONENT}(?:/{_COMPONENT})*")


@dataclass(frozen=True, slots=True)
class LayoutImage:
    """One image manifest that is in the layout. `made_up`: `docker save` made it, no registry has it."""

    member: str
    config: Config
    layers: tuple[str, ...]
    made_up: bool


@dataclass(slots=True)
class Top:
    """One entry of `index.json`: its names, and the images it stands for that are there."""

    place: str
    names: tuple[Reference, ...]
    images: list[LayoutImage] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a layout holds, as far as `manifest.json` beside it is held against it.

    `tops` is None if `index.json` cannot be read. `absent_layers` are the members
    of layers that may be absent, each with the message that says so. `opaque` are
    the configs of images whose layers are of types that nobody here can unpack.
    """

    tops: list[Top] | None
    absent_layers: Mapping[str, str] = field(default_factory=dict)
    opaque: frozenset[Digest] = frozenset()


def check_layout(checked: Checked, contents: Contents) -> Layout:
    """Check a layout; return what `index.json` names."""
    layout = _Layout(checked, contents)
    tops = layout.check()
    return Layout(tops, layout.absent_layers, frozenset(layout.opaque))


def check_strangers(checked: Checked, contents: Contents) -> None:
    """Hold blobs whose digest no document gives against their own names; report those that no document names.

    To be called once every document was looked at.
    """
    strangers = []
    for name in checked.tree.names():
        if not _BLOB.match(name.removeprefix("./")) or (blob := checked.find(name)) is None:
            continue
        if not contents.knows(blob):
            strangers.append(name)
        elif not contents.knows_digest(blob) and (found := _own_name(checked, name)) is not None:
            contents.claim(blob, name, found[1])
    contents.claim_each(strangers, partial(_own_name, checked))
    for name in strangers:
        checked.findings.add("unreferenced", "no document names it", member=name)


def _own_name(checked: Checked, name: str) -> tuple[Blob, Claim] | None:
    """Return a blob, and what its own name says of it."""
    match = _BLOB.match(name.removeprefix("./"))
    blob = checked.find(name)
    if match is None or blob is None:
        return None
    try:
        return blob, Claim("its name", digest=Digest(match[1], match[2]))
    except FormatError:
        return None


class _Layout:
    def __init__(self, checked: Checked, contents: Contents) -> None:
        self._checked = checked
        self._contents = contents
        self._seen: dict[tuple[str, Digest], list[LayoutImage]] = {}
        self._configs: dict[tuple[Digest, str, bool, bool], Config | None] = {}
        self._names: dict[str, View] = {}
        self._present = False
        self.absent_layers: dict[str, str] = {}
        self.opaque: set[Digest] = set()

    def check(self) -> list[Top] | None:
        self._version()
        check_folder(self._checked)
        raw = self._checked.raw(MEMBER)
        index = self._checked.view(raw, MEMBER, schema.OCI_INDEX) if raw is not None else None
        tops = []
        if index is not None:
            self._one_kind(index, mediatype.OCI_INDEX)
            if not index.has("manifests") and not self._checked.findings.blames(MEMBER):
                self._checked.findings.add("no-images", "has no list of manifests", member=MEMBER, place="manifests")
            for view in index.objects("manifests"):
                top = Top(view.path, self._name(view))
                described = self._described(view)
                if described is not None:
                    top.images = self._node(described, 1)
                tops.append(top)
            if tops and not self._present:
                self._checked.findings.add("no-images", "names only what is not in the source", member=MEMBER)
        return tops if index is not None else None

    def _version(self) -> None:
        raw = self._checked.raw("oci-layout")
        if raw is None:
            if not self._checked.exists("oci-layout"):
                self._checked.findings.add("layout-version", "is not there", member="oci-layout")
            return
        view = self._checked.view(raw, "oci-layout", schema.OCI_LAYOUT)
        version = view.text("imageLayoutVersion") if view is not None else None
        if version not in {None, "1.0.0"}:
            message = f"is {shown(version)}, only 1.0.0 is known"
            self._checked.findings.add("layout-version", message, member="oci-layout", place="imageLayoutVersion")

    # -- names ---------------------------------------------------------------------

    def _name(self, view: View) -> tuple[Reference, ...]:
        """Check the names of an entry; return those that are references."""
        annotations = view.object("annotations")
        if annotations is None:
            return ()
        full, ref_name = annotations.value.get(IMAGE_NAME), annotations.value.get(REF_NAME)
        add = self._checked.findings.add
        if isinstance(ref_name, str) and not _REF_NAME.fullmatch(ref_name):
            message = f"{shown(ref_name)} is not a valid ref.name; {refused('ref-name')}"
            # containerd writes so what has a name by digest; the whole name stands beside it.
            usual = ref_name.startswith("@") and isinstance(full, str)
            severity = Severity.NOTE if usual else None
            add("ref-name", message, member=MEMBER, place=view.path, severity=severity)
        text = full if isinstance(full, str) else ref_name
        if isinstance(text, str):
            self._unique(text, view)
        # A bare word is a tag without a repository (docs/formats-oci.md#names-in-a-layout).
        if not isinstance(text, str) or not any(mark in text for mark in "/:@"):
            return ()
        try:
            return (Reference.parse(text).with_default_tag(),)
        except FormatError:
            return ()

    def _unique(self, text: str, view: View) -> None:
        first = self._names.setdefault(text, view)
        if first is view or first.text("digest") == view.text("digest"):
            return
        if (mine := view.object("platform")) and (its := first.object("platform")) and mine.value != its.value:
            return
        message = f"{shown(text)} is the name of {first.path} too, which is another image; skopeo takes the first"
        self._checked.findings.add("duplicate-name", message, member=MEMBER, place=view.path)

    # -- descriptors ---------------------------------------------------------------

    def _described(self, view: View) -> Described | None:
        media_type, text = view.text("mediaType"), view.text("digest")
        if media_type is None or text is None:
            return None
        try:
            digest = Digest.parse(text)
        except FormatError as error:
            self._checked.findings.add("schema", error.message, member=view.member, place=view.place("digest"))
            return None
        return Described(view, media_type, digest, view.integer("size"), self._data(view, digest))

    def _data(self, view: View, digest: Digest) -> bytes | None:
        text = view.text("data")
        if text is None:
            return None
        add = self._checked.findings.add
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            add("schema", "expected base64", member=view.member, place=view.place("data"))
            return None
        if view.integer("size") != len(data):
            message = f"holds {len(data)} bytes, the descriptor says {view.integer('size')}"
            add("size", message, member=view.member, place=view.place("data"))
        if digest.algorithm == "sha256" and (got := Digest.of(data)) != digest:
            add("digest", f"content is {got}, not {digest}", member=view.member, place=view.place("data"))
        return data

    def _blob(self, described: Described) -> Blob | None:
        """Return what a descriptor names, its bytes to be checked; absent ones are said by the caller."""
        blob = self._checked.find(described.member, place=described.view.path)
        if blob is not None:
            self._contents.claim(blob, described.member, described.claim)
        return blob

    def _absent(self, described: Described) -> bool:
        return described.data is None and not self._checked.exists(described.member)

    def _missing(self, described: Described) -> None:
        message = f"is not there, {described.view.member} names it at {described.view.path} ({described.media_type})"
        self._checked.findings.add("missing", message, member=described.member)

    def _inline(self, described: Described) -> None:
        """Report content that only the descriptor holds; tools read blobs, not `data`."""
        if described.data is None or described.media_type == mediatype.OCI_EMPTY:
            return
        if not self._checked.exists(described.member):
            where = f"{described.view.member} at {described.view.path}"
            message = f"is not there, only {where} holds its content, in data; {refused('inline-only')}"
            self._checked.findings.add("inline-only", message, member=described.member)

    def _document(self, described: Described) -> bytes | None:
        if self._checked.exists(described.member):
            return self._checked.raw(described.member)
        return described.data

    # -- nodes ---------------------------------------------------------------------

    def _node(self, described: Described, depth: int) -> list[LayoutImage]:
        """Check what a descriptor of an index names, and what that names; return the images."""
        key = (described.media_type, described.digest)
        self._blob(described)
        if key in self._seen:
            return self._seen[key]
        if depth > MAX_INDEX_DEPTH or len(self._seen) >= MAX_NODES:
            # The reader's own limits; `unreadable` says so.
            return []
        found = self._seen[key] = []
        if self._absent(described):
            self._absent_child(described, depth)
            return found
        self._present = True
        self._inline(described)
        if described.media_type in mediatype.INDEXES:
            found += self._index(described, depth)
        elif described.media_type in mediatype.MANIFESTS:
            found += self._manifest(described)
        return found

    def _absent_child(self, described: Described, depth: int) -> None:
        if depth == 1 and described.view.object("platform") is None:
            self._missing(described)
            return
        where = f"{described.view.member} names it at {described.view.path}"
        self._checked.findings.add("absent-child", f"is not in the source, {where}", member=described.member)

    def _index(self, described: Described, depth: int) -> list[LayoutImage]:
        raw = self._document(described)
        view = self._view(raw, described, mediatype.INDEXES)
        if view is None:
            return []
        self._one_kind(view, described.media_type)
        images: dict[str, LayoutImage] = {}
        followed: set[Digest] = set()
        for child in view.objects("manifests"):
            below = self._described(child)
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
        """Return a manifest or index, held against the schema of the type that it calls itself."""
        value = self._checked.parse(raw, described.member) if raw is not None else None
        if raw is None or (value is None and self._checked.findings.blames(described.member)):
            return None
        inside = value.get("mediaType") if isinstance(value, dict) else None
        media_type = inside if isinstance(inside, str) and inside in kind else described.media_type
        self._checked.check_schema(value, described.member, _SCHEMAS[media_type])
        return self._checked.fields(value, described.member) if isinstance(value, dict) else None

    def _platform(self, view: View, images: list[LayoutImage]) -> None:
        """Hold the platform of a child's descriptor against the config's."""
        given = view.object("platform")
        if given is None or len(images) != 1:
            return
        claimed, actual = platform_of(dict(given.value)), images[0].config.platform
        if actual.os and actual.architecture and claimed.normalised[:2] != actual.normalised[:2]:
            message = f"is {claimed}, the config says {actual}"
            self._checked.findings.add("platform", message, member=view.member, place=given.path)

    def _one_kind(self, view: View, media_type: str) -> None:
        """Check that a document is what its descriptor says and nothing else besides."""
        add = self._checked.findings.add
        index = media_type in mediatype.INDEXES
        inside = view.text("mediaType")
        if inside is not None and inside != media_type:
            message = f"is {inside}, it is named as {media_type}"
            same_kind = mediatype.INDEXES if index else mediatype.MANIFESTS
            rule = "docker-type" if inside in same_kind else "media-type"
            add(rule, message, member=view.member, place="mediaType")
        kind, other = ("an index", "a manifest") if index else ("a manifest", "an index")
        for key in NOT_IN_INDEX if index else NOT_IN_MANIFEST:
            if view.has(key):
                message = f"a key of {other} in {kind}: some tools would take it for that"
                add("ambiguous", message, member=view.member, place=key)

    def _one_family(self, view: View) -> None:
        """Check that a manifest does not mix Docker's media types with OCI's."""
        if view.text("mediaType") not in {None, *mediatype.MANIFESTS}:
            return
        docker = view.text("mediaType") == mediatype.DOCKER_MANIFEST
        whose, other = ("OCI's", "a Docker") if docker else ("Docker's", "an OCI")
        parts = [part for part in (view.object("config"), *view.objects("layers")) if part is not None]
        for part in parts:
            media_type = part.text("mediaType")
            known = media_type in mediatype.IMAGE_CONFIGS or mediatype.is_layer(media_type or "")
            if media_type is not None and known and mediatype.is_docker(media_type) != docker:
                message = f"is {whose} type {media_type} in {other} manifest; skopeo and podman convert no such image"
                place = part.place("mediaType")
                add = self._checked.findings.add
                add("docker-type", message, member=view.member, place=place, severity=Severity.WARNING)

    def _manifest(self, described: Described) -> list[LayoutImage]:
        raw = self._document(described)
        view = self._view(raw, described, mediatype.MANIFESTS)
        config_view = view.object("config") if view is not None else None
        if raw is None or view is None or config_view is None:
            return []
        self._one_kind(view, described.media_type)
        self._one_family(view)
        layers = [self._described(layer) for layer in view.objects("layers")]
        self._checked.count_layers(len(layers))
        check_zstd(self._checked, view, described.media_type, layers)
        config = self._described(config_view)
        is_image = (
            config is not None
            and config.media_type in mediatype.IMAGE_CONFIGS
            and all(layer is None or mediatype.is_layer(layer.media_type) for layer in layers)
        )
        blobs = [self._part(layer) for layer in layers]
        if config is None:
            return []
        self._part(config)
        if not is_image:
            return self._opaque(described, config, layers, view)
        return self._image(described, raw, config, layers, blobs, artifact=bool(view.text("artifactType")))

    def _opaque(
        self, described: Described, config: Described, layers: list[Described | None], view: View
    ) -> list[LayoutImage]:
        """Return an image whose layers are of unknown types; nothing for what is no image."""
        if config.media_type not in mediatype.IMAGE_CONFIGS or view.text("artifactType"):
            return []
        raw = self._document(config)
        try:
            parsed = Config.parse(raw, where=self._checked.findings.file, member=config.member) if raw else None
        except InputError:
            return []
        # Signatures and attestations have a config that names no platform.
        if parsed is None or {parsed.platform.os, parsed.platform.architecture} & {"", "unknown"}:
            return []
        self.opaque.add(config.digest)
        names = tuple(layer.member for layer in layers if layer is not None)
        return [LayoutImage(described.member, parsed, names, made_up=False)]

    def _part(self, described: Described | None) -> Blob | None:
        """Check that a config or layer is there; a non-distributable one may be elsewhere."""
        if described is None:
            return None
        check_empty_json(self._checked, described)
        self._inline(described)
        blob = self._blob(described)
        if blob is None and self._absent(described):
            urls = described.view.strings("urls") or ()
            if mediatype.may_be_absent(described.media_type, urls):
                message = f"is not in the source, it lives at {urls[0]}" if urls else "is not in the source"
                self.absent_layers[described.member] = message
                self._checked.findings.add("absent-layer", message, member=described.member)
            else:
                self._missing(described)
        return blob

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
        made_up = is_made_up(raw, config)
        names = tuple(layer.member for layer in layers if layer is not None)
        image = LayoutImage(described.member, config, names, made_up)
        if len(layers) == len(config.diff_ids):
            for number, (diff_id, layer, blob) in enumerate(zip(config.diff_ids, layers, blobs, strict=True)):
                if layer is not None and blob is not None:
                    place = f"rootfs.diff_ids[{number}]"
                    self._contents.claim(
                        blob, layer.member, Claim(config.member, place, diff_ids=(diff_id,), layer=True)
                    )
        elif not (made_up and not layers):
            # Docker 25.0.0 made manifests without layers (moby/moby#47065).
            message = f"{len(layers)} layers here, {len(config.diff_ids)} DiffIDs in {config.member}"
            self._checked.findings.add("layer-count", message, member=described.member, place="layers")
            for layer, blob in zip(layers, blobs, strict=True):
                if layer is not None and blob is not None:
                    self._contents.claim(blob, layer.member, Claim(config.member, diff_ids=config.diff_ids, layer=True))
        return [image]

    def _config(self, described: Described, *, needs_diff_ids: bool, artifact: bool) -> Config | None:
        """Return a config; one that many manifests name is read and checked once."""
        key = (described.digest, described.media_type, needs_diff_ids, artifact)
        if key not in self._configs:
            config = None
            raw = self._document(described)
            if raw is not None and not (needs_diff_ids and self._no_config(raw, described.member, artifact=artifact)):
                config = read_config(self._checked, raw, described.member, described.media_type)
            self._configs[key] = config
        return self._configs[key]

    def _no_config(self, raw: bytes, member: str, *, artifact: bool) -> bool:
        """Tell whether this is a config of the image type that is none: signatures come so, and oras's artifacts."""
        value = self._checked.parse(raw, member)
        if not isinstance(value, dict):
            return False
        view = self._checked.fields(value, member)
        rootfs = view.object("rootfs")
        if rootfs is not None and rootfs.array("diff_ids"):
            return False
        runs = not {view.text("os"), view.text("architecture")} & {None, "", "unknown"}
        if runs and not artifact and (view.object("config") or view.array("history")):
            # It says on what to run and what, so this is an image whose config is damaged.
            return False
        self._checked.findings.add("no-diff-ids", "has no rootfs.diff_ids, so this is no image", member=member)
        return True
