"""What `inspect` finds in one or several sources: its `--json` document for several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convert.report.identify import problem_part
from convert.report.sharing import find_sharing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.errors import ImgconvError

Document = dict[str, Any]

#: Raised when a key of the document changes its meaning or goes away.
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class InspectedSource:
    """What is known of one source.

    Attributes:
        source: the SOURCE as it was given.
        document: the document of `inspect --json` for it (`convert.report.inspect`); None if it could not be read.
        error: why it could not.
    """

    source: str
    document: Document | None
    error: ImgconvError | None = None

    @property
    def status(self) -> int:
        """The exit status for this source: 3 if what is in it is damaged."""
        if self.error is not None:
            return self.error.exit_status
        return 3 if self.document is not None and self.document["problems"] else 0


def images_of(sources: Sequence[InspectedSource]) -> list[Document]:
    """Return the images of all sources, in order."""
    return [image for each in sources if each.document is not None for image in each.document["images"]]


def sources_document(sources: Sequence[InspectedSource]) -> Document:
    """Return what `imgconv inspect --json` prints for several sources (schemas/report-inspect-sources.json)."""
    return {
        "report": "inspect-sources",
        "version": VERSION,
        "status": max((each.status for each in sources), default=0),
        "sources": [
            {
                "path": each.source,
                "error": problem_part(each.error) if each.error is not None else None,
                "inspect": each.document,
            }
            for each in sources
        ],
        "sharing": find_sharing(images_of(sources)).document(),
    }
