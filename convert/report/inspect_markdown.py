"""What `inspect` finds as Markdown, for step summaries and pull requests.

It is bounded, because GitHub refuses a summary of more than 1 MiB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convert.errors import names_text
from convert.report.graph.build import shorten
from convert.report.inspect import size_text, step_text
from convert.report.inspect_sources import images_of
from convert.report.markdown import cell, code, mermaid, table
from convert.report.sharing import find_sharing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.report.inspect_sources import InspectedSource
    from convert.report.sharing import Sharing

Document = dict[str, Any]

#: Rows of all tables, and characters of a text in a cell.
_ROWS: Final = 500
_LONGEST: Final = 160
#: Bytes of the text, below the 1 MiB of a step summary, which other steps may share.
_MOST_BYTES: Final = 900_000
#: Most layers in the diagram.
_DRAWN: Final = 60
_UNKNOWN: Final = "unknown"


def markdown(sources: Sequence[InspectedSource]) -> str:
    """Return the tables of all sources, and a diagram of what they share."""
    sharing = find_sharing(images_of(sources))
    rows = _ROWS
    while True:
        writer = _Writer(sharing, rows)
        for each in sources:
            writer.source(each)
        writer.layers(images_of(sources))
        text = "\n".join(writer.lines)
        if len(text.encode()) <= _MOST_BYTES or not rows:
            return text
        rows //= 2


class _Writer:
    def __init__(self, sharing: Sharing, rows: int) -> None:
        self.lines: list[str] = []
        self._sharing = sharing
        self._rows = rows
        self._number = 0

    def source(self, each: InspectedSource) -> None:
        self.lines += [f"### {code(each.source)}", ""]
        if each.document is None:
            self.lines += [code(each.error.message) if each.error is not None else "", ""]
            return
        document = each.document
        self.lines += [f"{document['source']['format']}, {len(document['images'])} images", ""]
        found = [("error", each) for each in document["problems"]] + [
            ("warning", each) for each in document["warnings"]
        ]
        for severity, problem in self._first(found, "problems and warnings"):
            self.lines.append(f"- {severity} `{problem['code']}`: {code(problem['message'])}")
        self.lines += [""] if found else []
        for image in self._first(document["images"], "images"):
            self._image(image)

    def layers(self, images: Sequence[Document]) -> None:
        """Write what the images share, and a diagram if it is small enough to be read."""
        sharing = self._sharing
        if len(images) < 2:
            return
        unknown = f"; {sharing.unknown} layers of unknown size count as nothing" if sharing.unknown else ""
        total, once = size_text(sharing.bytes_all), size_text(sharing.bytes_once)
        text = f"{sharing.layers} layers, {sharing.different} different; {total} in all, {once} with each stored once"
        self.lines += ["### Shared layers", "", f"{text}{unknown}.", ""]
        rows = [
            (each.label, _size(each.size), _numbers(each.images), cell(shorten(each.diff_id)))
            for each in self._first(list(sharing.shared.values()), "shared layers")
        ]
        if rows:
            self.lines += [*table(("shared", "stored", "images", "DiffID"), rows, right=[1]), ""]
        if sharing.layers <= _DRAWN:
            self.lines += [*mermaid(_diagram(images, sharing)), ""]

    def _image(self, image: Document) -> None:
        self._number += 1
        manifest = image["manifest"]
        has_manifest = manifest is not None and not manifest["made_up"]
        self.lines += [
            f"#### Image {self._number}: {code(names_text(image['names'][:20]), 500)}",
            "",
            *table(
                ("platform", "image ID", "manifest digest"),
                [
                    (
                        cell(image["platform"] or _UNKNOWN),
                        cell(image["image_id"] or _UNKNOWN),
                        cell(manifest["digest"]) if has_manifest else "none in the source",
                    )
                ],
            ),
            "",
        ]
        rows = [self._layer(place, layer) for place, layer in self._first([*enumerate(image["layers"], 1)], "layers")]
        if rows:
            self.lines += [
                *table(
                    ("layer", "shared", "stored", "stored as", "DiffID", "layer digest", "made by"), rows, right=(0, 2)
                ),
                "",
            ]

    def _layer(self, place: int, layer: Document) -> tuple[str, ...]:
        shared = self._sharing.shared.get(layer["diff_id"])
        return (
            str(place),
            shared.label if shared is not None else "",
            _size(layer["size"]),
            layer["compression"] or "not in the source",
            cell(shorten(layer["diff_id"])),
            cell(shorten(layer["digest"] or "")),
            cell(step_text(layer["history"]), _LONGEST),
        )

    def _first(self, things: Sequence[Any], what: str) -> Sequence[Any]:
        """Return as many things as there are rows left; a line states how many were left out."""
        shown = things[: self._rows]
        self._rows -= len(shown)
        if len(shown) < len(things):
            self.lines += ["", f"{len(things) - len(shown)} more {what}; --format json has them all.", ""]
        return shown


def _size(count: int | None) -> str:
    return size_text(count) if count is not None else _UNKNOWN


def _numbers(images: Sequence[int]) -> str:
    return ", ".join(map(str, images[:20])) + (f" and {len(images) - 20} more" if len(images) > 20 else "")


def _diagram(images: Sequence[Document], sharing: Sharing) -> str:
    """Return the stacks of layers as a Mermaid flowchart: a shared layer is one box.

    All texts in it are ours: numbers, sizes and labels.
    """
    boxes: dict[str, str] = {}
    edges: dict[str, None] = {}
    for number, image in enumerate(images, 1):
        above = f"i{number}"
        boxes[above] = f'{above}(["image {number}"])'
        for place, layer in reversed([*enumerate(image["layers"], 1)]):
            shared = sharing.shared.get(layer["diff_id"])
            box = f"s{shared.label}" if shared is not None else f"i{number}l{place}"
            size = _size(layer["size"])
            boxes[box] = f'{box}["shared {shared.label}, {size}"]:::shared' if shared else f'{box}["{size}"]'
            edges[f"{above} --> {box}"] = None
            above = box
    lines = ["flowchart TD", *(f"    {text}" for text in (*boxes.values(), *edges))]
    return "\n".join([*lines, "    classDef shared stroke-width:3px"])
