"""What a registry makes of a manifest's bytes."""

from __future__ import annotations

from dataclasses import dataclass

from convert.model import mediatype


@dataclass(frozen=True, slots=True)
class ManifestHead:
    """What a manifest's own bytes state about it.

    `children` are the digests that an index lists, `subject` is the manifest that it refers to.
    """

    media_type: str
    children: tuple[str, ...]
    subject: str | None


def read_head(value: object) -> ManifestHead:
    """Return what the JSON value of a manifest states about it, as a registry reads it.

    A manifest without `mediaType` is an index if it lists manifests (distribution
    registry/storage/manifeststore.go, `Get`).
    """
    fields = value if isinstance(value, dict) else {}
    listed = fields.get("manifests")
    children = [each.get("digest") for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    media_type = fields.get("mediaType")
    if not isinstance(media_type, str) or not media_type:
        media_type = mediatype.OCI_INDEX if listed is not None else mediatype.OCI_MANIFEST
    subject = fields.get("subject")
    refers_to = subject.get("digest") if isinstance(subject, dict) else None
    return ManifestHead(
        media_type,
        tuple(each for each in children if isinstance(each, str)),
        refers_to if isinstance(refers_to, str) else None,
    )
