"""What a manifest, an index or a config has to be, wherever it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.jsonio import schema
from convert.model import mediatype
from convert.model.walk import platform_of
from convert.reader.findings import Severity
from convert.reader.manifest import NOT_IN_INDEX, NOT_IN_MANIFEST

if TYPE_CHECKING:
    from convert.model.platform import Platform
    from convert.reader.checks.documents import Checked, View

#: Media type -> schema of such a manifest or index.
_SCHEMAS: Final = {
    mediatype.OCI_INDEX: schema.OCI_INDEX,
    mediatype.OCI_MANIFEST: schema.OCI_MANIFEST,
    mediatype.DOCKER_MANIFEST_LIST: schema.DOCKER_MANIFEST_LIST,
    mediatype.DOCKER_MANIFEST: schema.DOCKER_MANIFEST_V2,
}


def view_of(checked: Checked, raw: bytes, member: str, media_type: str, kind: frozenset[str]) -> View | None:
    """Return a manifest or index, checked against the schema of its own `mediaType`; None if it is not an object.

    `media_type` is that of its descriptor, one of the types in `kind`.
    """
    value = checked.parse(raw, member)
    if value is None and checked.findings.blames(member):
        return None
    inside = value.get("mediaType") if isinstance(value, dict) else None
    own_type = inside if isinstance(inside, str) and inside in kind else media_type
    checked.check_schema(value, member, _SCHEMAS[own_type])
    return checked.fields(value, member) if isinstance(value, dict) else None


def check_kind(checked: Checked, view: View, media_type: str) -> None:
    """Check that a document has the media type of its descriptor, and no keys of another kind."""
    add = checked.findings.add
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


def check_family(checked: Checked, view: View) -> None:
    """Check that a manifest does not mix Docker's media types with OCI's."""
    if view.text("mediaType") not in {None, *mediatype.MANIFESTS}:
        return
    docker = view.text("mediaType") == mediatype.DOCKER_MANIFEST
    whose, other = ("OCI's", "a Docker") if docker else ("Docker's", "an OCI")
    parts = [part for part in (view.object("config"), *view.objects("layers")) if part is not None]
    for part in parts:
        media_type = part.text("mediaType")
        is_image_part = media_type in mediatype.IMAGE_CONFIGS or mediatype.is_layer(media_type or "")
        if media_type is not None and is_image_part and mediatype.is_docker(media_type) != docker:
            message = f"is {whose} type {media_type} in {other} manifest; skopeo and podman convert no such image"
            place = part.place("mediaType")
            checked.findings.add("docker-type", message, member=view.member, place=place, severity=Severity.WARNING)


def check_platform(checked: Checked, descriptor: View, actual: Platform) -> None:
    """Compare the platform in a descriptor with that of the config."""
    given = descriptor.object("platform")
    if given is None:
        return
    claimed = platform_of(dict(given.value))
    if actual.os and actual.architecture and claimed.normalised[:2] != actual.normalised[:2]:
        message = f"is {claimed}, the config states {actual}"
        checked.findings.add("platform", message, member=descriptor.member, place=given.path)


def belongs_to_no_image(checked: Checked, raw: bytes, member: str, *, artifact: bool) -> bool:
    """Return whether a config of the image type belongs to no image, as with signatures and artifacts of oras."""
    value = checked.parse(raw, member)
    if not isinstance(value, dict):
        return False
    view = checked.fields(value, member)
    rootfs = view.object("rootfs")
    if rootfs is not None and rootfs.array("diff_ids"):
        return False
    runs = not {view.text("os"), view.text("architecture")} & {None, "", "unknown"}
    if runs and not artifact and (view.object("config") or view.array("history")):
        # It states a platform and settings, so this is an image whose config is damaged.
        return False
    checked.findings.add("no-diff-ids", "has no rootfs.diff_ids, so this is not an image", member=member)
    return True
