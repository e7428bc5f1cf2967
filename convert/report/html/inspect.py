"""The page of `inspect`: the images of one or several sources side by side."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from convert.errors import names_text, shortened
from convert.report.graph.build import shorten
from convert.report.html.chart import MOST_IMAGES, layer_chart, swatch
from convert.report.html.identifiers import identifiers
from convert.report.html.page import Page, render
from convert.report.identify import problem_part
from convert.report.inspect import step_text
from convert.report.inspect_sources import images_of, sources_document
from convert.report.sharing import find_sharing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.report.html.room import Room
    from convert.report.inspect_sources import InspectedSource
    from convert.report.sharing import Place

Document = dict[str, Any]

#: Raised when a key of the data changes its meaning or goes away.
VERSION: Final = 1
#: Most images with a picture of their identifiers.
_MOST_PICTURES: Final = 20
_LONGEST_LABEL: Final = 60
_MOST_PLACES: Final = 20


@dataclass(slots=True)
class _Image:
    """One image, and how the page names it."""

    number: int
    label: str
    source: str
    document: Document
    rows: int = 0

    @property
    def ident(self) -> str:
        return f"image-{self.number}"

    @property
    def command(self) -> str:
        return f"imgconv inspect {shlex.quote(self.source)}"

    def for_drawing(self) -> Document:
        return {**self.document, "label": self.label, "ident": self.ident, "rows": self.rows}


@dataclass(slots=True)
class _View:
    """What the template shows of one image."""

    image: _Image
    layers: Sequence[Document]
    picture: Any = None
    steps: list[Document] = field(default_factory=list)


def inspect_page(sources: Sequence[InspectedSource]) -> bytes:
    """Return the page of `inspect --html` (docs/reports.md)."""
    return render(lambda room: _page(sources, room))


def _page(sources: Sequence[InspectedSource], room: Room) -> Page:
    images = _images(sources)
    sharing = find_sharing(images_of(sources))
    command = " ".join(["imgconv inspect", *(shlex.quote(each.source) for each in sources)])
    everything = f"{command} --json"
    shown = room.first(images, "images", everything)
    views = [_view(image, room, everything) for image in shown]
    charted = [view.image.for_drawing() for view in views[:MOST_IMAGES]]
    values = {
        "sources": [_source(each, room) for each in room.first(sources, "sources", everything)],
        "images": views,
        "sharing": sharing,
        "shared": [
            (each, swatch(each), ", ".join(_places(each.places)))
            for each in room.first(list(sharing.shared.values()), "shared layers", everything)
        ],
        "chart": layer_chart(charted, sharing) if charted else "",
        "charted": len(charted),
        "step_text": step_text,
        "command": command,
    }
    sections = [("sources", "Sources"), ("layers", "Layers"), ("images", "Images")]
    data = sources_document(sources) | {"report": "page-inspect", "version": VERSION}
    title = f"imgconv inspect: {', '.join(shortened(each.source, 200) for each in sources[:4])}"
    return Page("inspect.html", title, command, data, values, sections)


def _images(sources: Sequence[InspectedSource]) -> list[_Image]:
    """Return the images of all sources, numbered from 1."""
    found: list[_Image] = []
    for each in sources:
        for document in each.document["images"] if each.document is not None else ():
            number = len(found) + 1
            name = names_text(document["names"][:1]) if document["names"] else shorten(document["image_id"] or "")
            label = f"{number}: {shortened(name, _LONGEST_LABEL)}"
            found.append(_Image(number, label, each.source, document))
    return found


def _view(image: _Image, room: Room, command: str) -> _View:
    layers = room.first(image.document["layers"], f"layers of image {image.number}", command)
    image.rows = len(layers)
    picture = identifiers(image.for_drawing()) if image.number <= _MOST_PICTURES and room.rows else None
    return _View(image, layers, picture)


def _places(places: Sequence[Place]) -> list[str]:
    """Return where a shared layer occurs, for a cell."""
    found = [f"{place.image} (layer {place.layer})" for place in places[:_MOST_PLACES]]
    return found + ([f"{len(places) - _MOST_PLACES} more"] if len(places) > _MOST_PLACES else [])


def _source(each: InspectedSource, room: Room) -> Document:
    """Return what the template shows of a source besides its images."""
    document = each.document
    command = f"imgconv inspect {shlex.quote(each.source)} --json"
    faults = [problem_part(each.error)] if each.error is not None else []
    if document is not None:
        faults += document["problems"]
    return {
        "path": each.source,
        "document": document,
        "problems": room.first(faults, "problems", command),
        "warnings": room.first(document["warnings"], "warnings", command) if document is not None else (),
        "notes": room.first(document["notes"], "notes", command) if document is not None else (),
        "absent": room.first([name for name in document["names"] if not name["present"]], "absent names", command)
        if document is not None
        else (),
        "indexes": room.first(document["indexes"], "indexes", command) if document is not None else (),
        "artifacts": room.first(document["artifacts"], "artifacts", command) if document is not None else (),
    }
