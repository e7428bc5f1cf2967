"""The result of a change of names, and its `--json` document (schemas/report-tag.json)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from convert.model.digest import Digest

#: Raised when a key of the document changes its meaning or goes away.
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class NamesReport:
    """What `tag` or `untag` changed.

    `before` and `names` are the names of the image before and now, `image_id` its ID (None for an
    index or artifact). `moved` is the name that another image had, and `moved_from` a digest of
    that image; None if none had it. `changed` are the documents that were written.
    """

    source: str
    before: tuple[str, ...]
    names: tuple[str, ...]
    image_id: Digest | None
    moved: str | None
    moved_from: Digest | None
    changed: tuple[str, ...]


def document(report: NamesReport) -> dict[str, Any]:
    """Return the document that `--json` prints."""
    return {
        "report": "tag",
        "version": VERSION,
        "source": report.source,
        "before": list(report.before),
        "names": list(report.names),
        "image_id": str(report.image_id) if report.image_id is not None else None,
        "moved_from": str(report.moved_from) if report.moved_from is not None else None,
        "changed": list(report.changed),
    }
