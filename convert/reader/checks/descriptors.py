"""Descriptors of a layout, and the blobs that they name."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.archive.tree import LINKS
from convert.codec.compression import Compression
from convert.errors import FormatError, InputError
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.reader.checks.claims import Claim
from convert.reader.findings import refused
from convert.reader.layout_blobs import blob_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from convert.model.blob import Blob
    from convert.reader.checks.claims import Claims
    from convert.reader.checks.documents import Checked, View

BLOBS: Final = "blobs"
#: image-spec manifest.md, "Guidance for an Empty Descriptor".
_EMPTY_JSON: Final = b"{}"


@dataclass(frozen=True, slots=True)
class Described:
    """A descriptor that can be followed.

    `data` is the content that it embeds, None without. `member` is the name of the blob.
    """

    view: View
    media_type: str
    digest: Digest
    size: int | None
    data: bytes | None
    member: str

    @property
    def named_by(self) -> str:
        """Which document has the descriptor, and where."""
        return f"{self.view.member} names it at {self.view.path}"


class Descriptors:
    """Follows the descriptors of a layout to their blobs.

    `absent_layers` are the members of layers that may be absent, each with the message
    of its note.
    """

    def __init__(self, checked: Checked, claims: Claims, member_of: Callable[[Descriptor], str] | None = None) -> None:
        """Nothing is read yet; `member_of` returns the name of a blob, which is that in a layout if it is None."""
        self._checked = checked
        self._claims = claims
        self._member_of = member_of or (lambda described: blob_name(described.digest))
        self.absent_layers: dict[str, str] = {}

    def read(self, view: View) -> Described | None:
        """Return a descriptor, None if it cannot be followed."""
        media_type, text = view.text("mediaType"), view.text("digest")
        if media_type is None or text is None:
            return None
        try:
            digest = Digest.parse(text)
        except FormatError as error:
            self._checked.findings.add("schema", error.message, member=view.member, place=view.place("digest"))
            return None
        size = view.integer("size")
        member = self._member_of(Descriptor(media_type, digest, size or 0))
        return Described(view, media_type, digest, size, self._data(view, digest), member)

    def _data(self, view: View, digest: Digest) -> bytes | None:
        text = view.text("data")
        if text is None:
            return None
        place = view.place("data")
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            self._checked.findings.add("schema", "expected base64", member=view.member, place=place)
            return None
        if view.integer("size") != len(data):
            message = f"holds {len(data)} bytes, the descriptor states {view.integer('size')}"
            self._checked.findings.add("size", message, member=view.member, place=place)
        if digest.algorithm == "sha256" and (got := Digest.of(data)) != digest:
            self._checked.findings.add("digest", f"content is {got}, not {digest}", member=view.member, place=place)
        return data

    def blob(self, described: Described) -> Blob | None:
        """Return the blob of a descriptor and claim what the descriptor states; the caller reports an absent one."""
        blob = self._checked.find(described.member, place=described.view.path)
        if blob is not None:
            view, media_type = described.view, described.media_type
            claim = Claim(view.member, view.path, digest=described.digest, size=described.size, media_type=media_type)
            self._claims.add(blob, described.member, claim)
        return blob

    def absent(self, described: Described) -> bool:
        """Return whether the content is neither in a blob nor embedded."""
        return described.data is None and not self._checked.exists(described.member)

    def report_missing(self, described: Described) -> None:
        """Report a blob that has to be there."""
        message = f"is not there, {described.named_by} ({described.media_type})"
        self._checked.findings.add("missing", message, member=described.member)

    def check_inline(self, described: Described) -> None:
        """Report content that only the descriptor has; tools read blobs, not `data`."""
        if described.data is None or described.media_type == mediatype.OCI_EMPTY:
            return
        if not self._checked.exists(described.member):
            where = f"{described.view.member} at {described.view.path}"
            message = f"is not there, only {where} has its content, in data; {refused('inline-only')}"
            self._checked.findings.add("inline-only", message, member=described.member)

    def document(self, described: Described) -> bytes | None:
        """Return the bytes of the document that a descriptor names, None if they cannot be read."""
        if self._checked.exists(described.member):
            return self._checked.raw(described.member)
        return described.data

    def part(self, described: Described) -> Blob | None:
        """Return the blob of a config or layer; a non-distributable layer may be elsewhere."""
        check_empty_json(self._checked, described)
        self.check_inline(described)
        blob = self.blob(described)
        if blob is None and self.absent(described):
            urls = described.view.strings("urls") or ()
            if mediatype.may_be_absent(described.media_type, urls):
                message = f"is not in the source, it lives at {urls[0]}" if urls else "is not in the source"
                self.absent_layers[described.member] = message
                self._checked.findings.add("absent-layer", message, member=described.member)
            else:
                self.report_missing(described)
        return blob


def check_folder(checked: Checked) -> None:
    """Check that there is a folder `blobs` (image-spec image-layout.md); a tar needs no member for it."""
    try:
        member = checked.tree.member(BLOBS)
    except InputError:
        return
    if member is None:
        if not any(name.removeprefix("./").startswith(f"{BLOBS}/") for name in checked.tree.names()):
            checked.findings.add("layout-blobs", f"is not there; {refused('layout-blobs')}", member=BLOBS)
    elif member.kind not in {"dir", *LINKS}:
        message = f"is a {member.kind}, not a folder; {refused('layout-blobs')}"
        checked.findings.add("layout-blobs", message, member=BLOBS)


def check_empty_json(checked: Checked, described: Described) -> None:
    """Check that a descriptor of the empty JSON type has the digest and size of `{}`."""
    if described.media_type != mediatype.OCI_EMPTY:
        return
    other = described.digest.algorithm == "sha256" and described.digest != Digest.of(_EMPTY_JSON)
    if other or described.size != len(_EMPTY_JSON):
        message = f"is not {{}}, though its type is {mediatype.OCI_EMPTY}"
        checked.findings.add("empty-json", message, member=described.view.member, place=described.view.path)


def check_zstd(checked: Checked, manifest: View, media_type: str, layers: Iterable[Described | None]) -> None:
    """Report zstd layers of Docker's types, and others in Docker's schema 2.

    `media_type` is that of the manifest's descriptor.
    """
    docker = (manifest.text("mediaType") or media_type) == mediatype.DOCKER_MANIFEST
    for layer in layers:
        if layer is None or mediatype.layer_compression(layer.media_type) != Compression.ZSTD:
            continue
        docker_type = mediatype.is_docker(layer.media_type)
        if not docker and not docker_type:
            continue
        # Tried with containerd 1.6 and skopeo 1.22, each of which accepts the other type.
        refused_by = "containerd" if docker_type else "podman, skopeo"
        where = " in Docker's schema 2" if docker else ""
        message = f"is {layer.media_type}{where}; refused by {refused_by}"
        checked.findings.add(
            "docker-zstd", message, member=manifest.member, place=layer.view.path, refused_by=refused_by
        )
