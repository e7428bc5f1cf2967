"""Descriptors of a layout, and the rules that need no more than one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.archive.tree import LINKS
from convert.commands.validate.contents import Claim
from convert.errors import InputError
from convert.model import mediatype
from convert.model.digest import Digest
from convert.reader.findings import refused
from convert.reader.oci_layout import blob_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convert.commands.validate.documents import Checked, View

BLOBS: Final = "blobs"
#: image-spec manifest.md, "Guidance for an Empty Descriptor".
_EMPTY_JSON: Final = b"{}"


@dataclass(frozen=True, slots=True)
class Described:
    """A descriptor that can be followed: where it stands, and what it says.

    `data` is the content it holds itself, None without.
    """

    view: View
    media_type: str
    digest: Digest
    size: int | None
    data: bytes | None

    @property
    def member(self) -> str:
        """The name of the blob."""
        return blob_name(self.digest)

    @property
    def claim(self) -> Claim:
        """What the descriptor says of its blob."""
        return Claim(self.view.member, self.view.path, digest=self.digest, size=self.size, media_type=self.media_type)


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
    """Check that what is called empty is `{}`, as far as its descriptor says."""
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
        if layer is None or mediatype.layer_compression(layer.media_type) != "zstd":
            continue
        docker_type = mediatype.is_docker(layer.media_type)
        if not docker and not docker_type:
            continue
        # Tried with containerd 1.6 and skopeo 1.22, which each take the other type.
        refused_by = "containerd" if docker_type else "podman, skopeo"
        where = " in Docker's schema 2" if docker else ""
        checked.findings.add(
            "docker-zstd",
            f"is {layer.media_type}{where}; refused by {refused_by}",
            member=manifest.member,
            place=layer.view.path,
            refused_by=refused_by,
        )
