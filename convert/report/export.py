"""The result of an export, and its `--json` document (schemas/report-export.json)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from convert.model.digest import Digest

#: Raised when a key of the document changes its meaning or goes away.
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote.

    `source` and `destination` are the paths as given, `names` those of the image, and
    `members` how many files, folders, links and devices the tar has.
    """

    source: str
    destination: str
    names: tuple[str, ...]
    image_id: Digest
    members: int


def document(report: ExportReport) -> dict[str, Any]:
    """Return the document that `--json` prints."""
    return {
        "report": "export",
        "version": VERSION,
        "source": report.source,
        "destination": report.destination,
        "names": list(report.names),
        "image_id": str(report.image_id),
        "members": report.members,
    }
