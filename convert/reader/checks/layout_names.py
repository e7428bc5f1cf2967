"""Names in `index.json` (image-spec annotations.md)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from convert.errors import FormatError
from convert.model.reference import Reference
from convert.reader.findings import Severity, refused, shown
from convert.reader.oci_layout import IMAGE_NAME, REF_NAME

if TYPE_CHECKING:
    from convert.reader.checks.documents import View
    from convert.reader.findings import Findings

_COMPONENT: Final = "[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*"
#: image-spec annotations.md, org.opencontainers.image.ref.name.
_REF_NAME: Final = re.compile(f"{_COMPONENT}(?:/{_COMPONENT})*")


class LayoutNames:
    """Checks the names of the entries of one `index.json`."""

    def __init__(self, findings: Findings) -> None:
        """No entry was checked yet."""
        self._findings = findings
        self._owners: dict[str, View] = {}

    def check(self, entry: View) -> tuple[Reference, ...]:
        """Check the names of an entry; return those that are references."""
        annotations = entry.object("annotations")
        if annotations is None:
            return ()
        full, ref_name = annotations.value.get(IMAGE_NAME), annotations.value.get(REF_NAME)
        if isinstance(ref_name, str) and not _REF_NAME.fullmatch(ref_name):
            message = f"{shown(ref_name)} is not a valid ref.name; {refused('ref-name')}"
            # containerd writes this for a name with a digest, with the full name beside it.
            usual = ref_name.startswith("@") and isinstance(full, str)
            severity = Severity.NOTE if usual else None
            self._findings.add("ref-name", message, member=entry.member, place=entry.path, severity=severity)
        text = full if isinstance(full, str) else ref_name
        if isinstance(text, str):
            self._check_unique(text, entry)
        # A bare word is a tag without a repository (docs/formats-oci.md#names-in-a-layout).
        if not isinstance(text, str) or not any(mark in text for mark in "/:@"):
            return ()
        try:
            return (Reference.parse(text).with_default_tag(),)
        except FormatError:
            return ()

    def _check_unique(self, text: str, entry: View) -> None:
        first = self._owners.setdefault(text, entry)
        if first is entry or first.text("digest") == entry.text("digest"):
            return
        own, other = entry.object("platform"), first.object("platform")
        if own and other and own.value != other.value:
            return
        message = f"{shown(text)} is the name of {first.path} too, which is another image; skopeo takes the first"
        self._findings.add("duplicate-name", message, member=entry.member, place=entry.path)
