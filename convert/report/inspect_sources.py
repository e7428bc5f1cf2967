"""What `inspect` finds in one or several sources: its `--json` document for several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from convert.report.identify import problem_part
from convert.report.sharing import find_sharing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.errors import ImgconvError
    from convert.report.uploads import Upload

Document = dict[str, Any]

#: Raised when a key of the document changes its meaning or goes away.
VERSION: Final = 1


class Pushes(NamedTuple):
    """The digests that pushes of a source give.

    Attributes:
        document: the document of `digest --json`; None if they could not be computed.
        uploads: the layers that a registry gets (`convert.report.uploads`).
        error: why they could not.
    """

    document: Document | None = None
    uploads: Sequence[Upload] = ()
    error: ImgconvError | None = None


class PagePart(NamedTuple):
    """What a page shows of a source: its document with the contents of layers, and its pushes."""

    document: Document
    pushes: Pushes


class InspectedSource(NamedTuple):
    """What is known of one source.

    Attributes:
        source: the SOURCE as it was given.
        document: the document of `inspect --json` for it (`convert.report.inspect`); None if it could not be read.
        error: why it could not.
        page: what the page shows, None without one.
    """

    source: str
    document: Document | None
    error: ImgconvError | None = None
    page: PagePart | None = None

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
        "sources": [source_part(each) for each in sources],
        "sharing": find_sharing(images_of(sources)).document(),
    }


def source_part(each: InspectedSource) -> Document:
    """Return what a document states about one source."""
    return {
        "path": each.source,
        "error": problem_part(each.error) if each.error is not None else None,
        "inspect": each.document,
    }
