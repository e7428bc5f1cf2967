"""The page of `inspect`: the images of one or several sources side by side."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from convert.errors import names_text, shortened
from convert.identity.push import pushers
from convert.report.graph.build import shorten
from convert.report.html.chart import MOST_IMAGES, layer_chart, swatch
from convert.report.html.identifiers import identifiers
from convert.report.html.page import Page, render
from convert.report.html.text import numbers_text, titles
from convert.report.identify import problem_part
from convert.report.inspect import size_text, step_text
from convert.report.inspect_sources import images_of, source_part
from convert.report.sharing import find_sharing
from convert.report.uploads import PushedImage, find_updates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.report.html.room import Room
    from convert.report.inspect_sources import InspectedSource, Pushes
    from convert.report.sharing import Place
    from convert.report.uploads import Update, Upload

Document = dict[str, Any]

#: Raised when a key of the data changes its meaning or goes away.
VERSION: Final = 1
#: Most images with a picture of their identifiers.
_MOST_PICTURES: Final = 20
_LONGEST_LABEL: Final = 60
_MOST_PLACES: Final = 20
#: Most updates from one image to another, and largest files and folders of one layer.
_MOST_UPDATES: Final = 60
_MOST_PATHS: Final = 5
#: Most images of which the summary states what later layers hide.
_MOST_SUMMARY: Final = 20
#: The pushers whose bytes stand in the table of updates; the data has all.
_PUSHERS: Final = ("crane", "docker", "docker-containerd", "podman")
_SECTIONS: Final = (
    ("waste", "Waste"),
    ("sources", "Sources"),
    ("layers", "Layers"),
    ("updates", "Updates"),
    ("images", "Images"),
    ("pushes", "Digests of pushes"),
)


@dataclass(slots=True)
class _Image:
    """One image, and how the page names it."""

    number: int
    label: str
    source: str
    document: Document
    uploads: Sequence[Upload] = ()
    rows: int = 0

    @property
    def ident(self) -> str:
        return f"image-{self.number}"

    @property
    def command(self) -> str:
        return _command(self.source)

    def pushed(self) -> PushedImage:
        return PushedImage(self.number, self.document, self.uploads)

    def for_drawing(self) -> Document:
        return {**self.document, "label": self.label, "ident": self.ident, "rows": self.rows}


@dataclass(slots=True)
class _View:
    """What the template shows of one image."""

    image: _Image
    layers: Sequence[Document]
    empty_steps: int
    picture: Any = None
    inside: Document | None = None


def inspect_page(sources: Sequence[InspectedSource]) -> bytes:
    """Return the page of `inspect --html` (docs/reports.md)."""
    return render(lambda room: _page(sources, room))


def _page(sources: Sequence[InspectedSource], room: Room) -> Page:
    # The document with the contents of layers, where they were read.
    read = [each._replace(document=each.page.document) if each.page is not None else each for each in sources]
    images = _images(read)
    sharing = find_sharing(images_of(read))
    command = _command(*(each.source for each in sources))
    everything = f"{command} --json"
    # Every image and source has a part of the room, so that none takes all of it.
    shared = room.first(list(sharing.shared.values()), "shared layers", everything, most=room.rows // 8)
    shown_sources = [
        _source(each, room, len(read)) for each in room.first(read, "sources", everything, most=room.rows // 8)
    ]
    shown = room.first(images, "images", everything, most=room.rows // 4)
    views = [_view(image, room, len(shown) - place) for place, image in enumerate(shown)]
    charted = [view.image.for_drawing() for view in views[:MOST_IMAGES]]
    updates = list(islice(find_updates([view.image.pushed() for view in views[:MOST_IMAGES]]), _MOST_UPDATES + 1))
    values = {
        "sources": shown_sources,
        "images": views,
        "sharing": sharing,
        "waste": [each for each in views if each.inside and each.inside["contents"]["hidden_size"]],
        "most_waste": _MOST_SUMMARY,
        # Only of several sources the document has what they share.
        "sharing_command": everything if len(sources) > 1 else f"{command} --html FILE",
        "shared": [(each, swatch(each), "; ".join(_places(each.places))) for each in shared],
        "chart": layer_chart(charted, sharing) if charted else "",
        "charted": len(charted),
        "updates": [
            _update(each, images)
            for each in room.first(updates, "updates from one image to another", most=_MOST_UPDATES)
        ],
        "pushers": _PUSHERS,
        "step_text": step_text,
        "command": command,
    }
    sections = _SECTIONS if values["waste"] else _SECTIONS[1:]
    data = {
        "report": "page-inspect",
        "version": VERSION,
        "sources": [
            {**source_part(each), "pushes": _pushes_part(given.page.pushes) if given.page is not None else None}
            for each, given in zip(read, sources, strict=True)
        ],
        "sharing": sharing.document(),
        "updates": [each.document() for each in updates[:_MOST_UPDATES]],
    }
    title = f"imgconv inspect: {', '.join(titles([each.source for each in sources])[:4])}"
    return Page("inspect.html", title, command, data, values, sections)


def _command(*sources: str) -> str:
    """Return the command line that prints what the page shows of some sources."""
    return " ".join(["imgconv inspect", *map(shlex.quote, sources), "--files"])


def _update(update: Update, images: Sequence[_Image]) -> Document:
    """Return what the template shows of an update, with the bytes that the pushers of its columns upload."""
    sizes = {name: cost.size for cost in update.costs for name in cost.pushers}
    return {
        "a": images[update.a - 1],
        "b": images[update.b - 1],
        "new": update.new,
        "unpacked": update.unpacked,
        "sizes": [sizes.get(pushers.get(name).name) for name in _PUSHERS],
    }


def _pushes_part(pushes: Pushes) -> Document:
    """Return the part of the data about the pushes of a source."""
    return {
        "error": problem_part(pushes.error) if pushes.error is not None else None,
        "digest": pushes.document,
    }


def _images(sources: Sequence[InspectedSource]) -> list[_Image]:
    """Return the images of all sources, numbered from 1."""
    found: list[_Image] = []
    for each in sources:
        for document in each.document["images"] if each.document is not None else ():
            number = len(found) + 1
            name = names_text(document["names"][:1]) if document["names"] else shorten(document["image_id"] or "")
            label = f"{number}: {shortened(name, _LONGEST_LABEL)}"
            uploads = each.page.pushes.uploads if each.page is not None else ()
            found.append(_Image(number, label, each.source, document, uploads))
    return found


def _view(image: _Image, room: Room, waiting: int) -> _View:
    """Return what the template shows of an image; `waiting` images, this one included, share the room."""
    command = f"{image.command} --json"
    most = _part(room, 2 * waiting)
    layers = room.first(image.document["layers"], "layers", command, most=most)
    image.rows = len(layers)
    picture = identifiers(image.for_drawing()) if image.number <= _MOST_PICTURES and room.rows else None
    empty = sum(step["empty_layer"] for step in image.document["history"])
    return _View(image, layers, empty, picture, _inside(image, layers, room, waiting))


def _inside(image: _Image, layers: Sequence[Document], room: Room, waiting: int) -> Document | None:
    """Return what the template shows of the contents of an image; None if they are not known."""
    contents = image.document["contents"]
    if contents is None:
        return None
    command = f"{image.command} --json"
    largest: list[Document] = []
    for number, layer in enumerate(layers, 1):
        for kind in ("files", "folders"):
            found = layer["contents"][f"largest_{kind}"] if layer["contents"] is not None else ()
            for each in found[:_MOST_PATHS]:
                share = each["size"] / contents["size"] if contents["size"] else 0
                largest.append({"layer": number, "kind": kind[:-1], **each, "share": share})
    largest.sort(key=lambda each: -each["size"])
    most = _part(room, 2 * waiting)
    return {
        "contents": contents,
        "command": command,
        "layers": room.first([*enumerate(layers, 1)], "layers by contents", command, most=most),
        "largest": room.first(largest, "largest files and folders", command, most=most),
        "wasted": room.first(contents["wasted"], "wasted paths", command, most=most),
        "hidden": _hidden(contents),
        "dive": _dive(contents),
        "rows": len(layers),
    }


def _hidden(contents: Document) -> str:
    """Return how much of an image later layers hide, as a sentence."""
    if not contents["hidden_size"]:
        return "Nothing is deleted or overwritten by later layers."
    of = f"{size_text(contents['hidden_size'])} of {size_text(contents['size'])}"
    return f"{of} ({contents['hidden_percent']:.1f} %) is deleted or overwritten by later layers"


def _dive(contents: Document) -> str:
    """Return the figures of dive, for those who compare, and its rule (docs/layers.md)."""
    rule = "Its waste adds up all versions of each path that occurs in more than one layer."
    text = f"For comparison, dive shows an efficiency of {100 * contents['efficiency']:.1f} %"
    percent = contents["waste_percent"]
    if percent is None:
        return f"{text}. {rule}"
    waste = f"{percent / 100:.1f} times" if percent >= 100 else f"{percent:.1f} % of"
    return f"{text}, and a waste of {waste} the size of the layers above the base. {rule}"


def _places(places: Sequence[Place]) -> list[str]:
    """Return where a shared layer occurs, for a cell."""
    layers: dict[int, list[int]] = {}
    for place in places:
        layers.setdefault(place.image, []).append(place.layer)
    found = [f"image {image}: {numbers_text('layer', each)}" for image, each in islice(layers.items(), _MOST_PLACES)]
    return found + ([f"{len(layers) - _MOST_PLACES} more images"] if len(layers) > _MOST_PLACES else [])


def _source(each: InspectedSource, room: Room, waiting: int) -> Document:
    """Return what the template shows of a source besides its images; `waiting` sources share the room."""
    document: Document = each.document or dict.fromkeys(
        ("problems", "warnings", "notes", "names", "indexes", "artifacts"), ()
    )
    faults = [problem_part(each.error)] if each.error is not None else []
    command = f"{_command(each.source)} --json"
    found: dict[str, Sequence[Any]] = {
        "problems": [*faults, *document["problems"]],
        **{key: document[key] for key in ("warnings", "notes", "indexes", "artifacts")},
        "absent names": [name for name in document["names"] if not name["present"]],
    }
    return {
        "path": each.source,
        "command": command,
        "document": each.document,
        "pushes": _pushes(each, room, waiting),
        **{what: room.first(things, what, command, most=_part(room, 4 * waiting)) for what, things in found.items()},
    }


def _part(room: Room, parts: int) -> int:
    """Return one of so many parts of the room, but not nothing."""
    return -(-room.rows // parts)


def _pushes(each: InspectedSource, room: Room, waiting: int) -> Document | None:
    """Return what the template shows of the pushes of a source; None without any."""
    if each.page is None:
        return None
    pushes = each.page.pushes
    command = f"imgconv digest {shlex.quote(each.source)}"
    document = pushes.document or dict.fromkeys(("pushes", "refused", "warnings"), ())
    rows: dict[tuple[str, tuple[str, ...]], Document] = {}
    for row in document["pushes"]:
        found = rows.setdefault((row["digest"], tuple(row["names"])), {**row, "pushers": []})
        found["pushers"].append(row["pusher"])
    # All digests of one image together.
    order = {names: place for place, (_, names) in reversed([*enumerate(rows)])}
    in_order = [rows[key] for key in sorted(rows, key=lambda key: order[key[1]])]
    most = _part(room, 4 * waiting)
    return {
        "command": command,
        "error": problem_part(pushes.error) if pushes.error is not None else None,
        "rows": room.first(in_order, "digests of pushes", command, most=most),
        "refused": room.first(document["refused"], "pushers that cannot read the source", command, most=most),
        "notes": room.first(document["warnings"], "notes about pushes", command, most=most),
    }
