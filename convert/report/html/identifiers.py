"""A picture of the identifiers of one image: which follows from what.

An arrow leads from bytes or identifiers to what is computed from them (docs/formats.md#identifiers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convert.report.graph.build import shorten
from convert.report.html.drawing import Drawing, element, group, path

if TYPE_CHECKING:
    from markupsafe import Markup

    from convert.report.html.drawing import Value

Document = dict[str, Any]

_WIDE: Final = 172
_HIGH: Final = 46
_GAP: Final = 58
_ROW: Final = 84
_MARGIN: Final = 12
_NONE: Final = "none in the source"
_ABSENT: Final = "not in the source"
_PLAIN: Final = "uncompressed"


@dataclass(frozen=True, slots=True)
class _Box:
    """A box at a column and row of the picture; an identifier has its value as `text`."""

    column: int
    row: int
    title: str
    text: str
    is_id: bool = False

    @property
    def x(self) -> float:
        return _MARGIN + self.column * (_WIDE + _GAP)

    @property
    def y(self) -> float:
        return _MARGIN + self.row * _ROW


def identifiers(image: Document) -> Markup:
    """Return the picture of one image of an inspect document with an `ident`; its layer is the topmost."""
    boxes = _boxes(image)
    columns = 1 + max(box.column for box in boxes.values())
    wide = 2 * _MARGIN + columns * _WIDE + (columns - 1) * _GAP
    drawing = Drawing(
        f"{image['ident']}-identifiers",
        wide,
        2 * _MARGIN + 2 * _ROW + _HIGH,
        "Which identifier follows from what",
        _about(image),
    )
    tip = f"{image['ident']}-tip"
    drawing.add(_tip(tip))
    for start, end, label in _ARROWS:
        if (start, end) == ("chain_id", "v1_id") and image["v1_ids"] != "docker":
            # What names the folders of a source need not follow from anything.
            continue
        if start in boxes and end in boxes:
            stored = boxes[end].text if end == "stored" else None
            drawing.add(_arrow(boxes[start], boxes[end], _STORED.get(stored, label), tip))
    for box in boxes.values():
        drawing.add(_drawn(box))
    return drawing.markup()


def _tip(ident: str) -> Markup:
    """Return the tip of arrows."""
    size: dict[str, Value] = {
        "viewBox": "0 0 8 8",
        "refX": 7,
        "refY": 4,
        "markerWidth": 7,
        "markerHeight": 7,
        "orient": "auto",
    }
    return element(
        "defs",
        {},
        element("marker", {"id": ident, **size}, element("path", {"class": "tip", "d": "M0 0.6 L7.4 4 L0 7.4 z"})),
    )


#: From what, to what, and how it is computed.
_ARROWS: Final = (
    ("tar", "diff_id", "sha256"),
    ("diff_id", "chain_id", "+ below"),
    ("chain_id", "v1_id", "sha256"),
    ("diff_id", "config", "listed"),
    ("config", "image_id", "sha256"),
    ("tar", "stored", "compressed"),
    ("stored", "digest", "sha256"),
    ("digest", "manifest", "listed"),
    ("image_id", "manifest", "listed"),
    ("manifest", "manifest_digest", "sha256"),
    ("manifest_digest", "index", "listed"),
    ("index", "index_digest", "sha256"),
)

#: How a layer became what is stored, where it is not compressed.
_STORED: Final[dict[str | None, str]] = {_PLAIN: "as it is", _ABSENT: ""}


def _boxes(image: Document) -> dict[str, _Box]:
    """Return the boxes of an image, with what is known of it."""
    layers = image["layers"]
    top = layers[-1] if layers else None
    manifest = image["manifest"] if image["manifest"] is not None and not image["manifest"]["made_up"] else None
    found: dict[str, _Box] = {}
    if top is not None:
        name = f"layer {len(layers)}"
        stored = top["compression"] or _ABSENT
        found |= {
            "tar": _Box(0, 0, f"{name}, unpacked", "a tar"),
            "diff_id": _Box(1, 0, "DiffID", shorten(top["diff_id"]), is_id=True),
            "chain_id": _Box(2, 0, "ChainID", shorten(top["chain_id"]), is_id=True),
            "stored": _Box(0, 2, f"{name}, as stored", _PLAIN if stored == "none" else stored),
            "digest": _Box(1, 2, "layer digest", shorten(top["digest"] or _NONE), is_id=True),
        }
        if top["v1_id"] and image["v1_ids"] == "docker":
            found["v1_id"] = _Box(3, 0, "v1 ID (Docker's)", _digits(top["v1_id"]), is_id=True)
        elif top["v1_id"]:
            found["v1_id"] = _Box(3, 0, "v1 ID (the source's)", _digits(top["v1_id"]), is_id=True)
    found |= {
        "config": _Box(2, 1, "config", f"{image['config']['size']} bytes"),
        "image_id": _Box(3, 1, "image ID", shorten(image["image_id"]), is_id=True),
        "manifest": _Box(2, 2, "manifest", f"{manifest['size']} bytes" if manifest else _NONE),
        "manifest_digest": _Box(
            3, 2, "manifest digest", shorten(manifest["digest"]) if manifest else _NONE, is_id=True
        ),
    }
    if image["indexes"]:
        found["index"] = _Box(4, 2, "index", "lists manifests")
        found["index_digest"] = _Box(5, 2, "index digest", shorten(image["indexes"][0]), is_id=True)
    return found


def _digits(v1_id: str) -> str:
    return v1_id[:12] + "…"


def _about(image: Document) -> str:
    """Return the picture in words."""
    parts = [
        "The DiffID is the sha256 of a layer's tar",
        "a ChainID follows from the DiffID of a layer and those below it",
        *(["a v1 ID follows from the ChainIDs and the config"] if image["v1_ids"] == "docker" else []),
        "the config lists all DiffIDs, and its sha256 is the image ID",
        "the layer digest is the sha256 of the layer as it is stored, usually compressed",
        "the manifest lists the image ID and all layer digests, and its sha256 is the manifest digest",
    ]
    if image["indexes"]:
        parts.append("the index lists manifest digests, and its sha256 is the index digest")
    return "; ".join(parts) + "."


def _drawn(box: _Box) -> Markup:
    middle = box.x + _WIDE / 2
    dashed = {"stroke-dasharray": "5 3"} if box.text in {_NONE, _ABSENT} else {}
    kind = {"class": "box id" if box.is_id else "box", "rx": 22 if box.is_id else 4, **dashed}
    return group(
        {},
        [
            element("rect", {**kind, "x": box.x, "y": box.y, "width": _WIDE, "height": _HIGH}),
            element("text", {"class": "strong centre", "x": middle, "y": box.y + 19}, box.title),
            element("text", {"class": "mono centre", "x": middle, "y": box.y + 36}, box.text),
        ],
    )


def _arrow(start: _Box, end: _Box, label: str, tip: str) -> Markup:
    """Return a line with its label: to the right, down, or down and to the right."""
    bottom = start.y + _HIGH
    if start.column == end.column:
        x = start.x + 30
        return _line(path((x, bottom), (x, end.y)), tip, label, x + 8, (bottom + end.y) / 2 + 4, centre=False)
    if start.column > end.column:
        x1, x2, middle = start.x + 30, end.x + _WIDE - 30, (bottom + end.y) / 2
        curve = path((x1, bottom), (x1, middle), (x2, middle), (x2, end.y))
        return _line(curve, tip, label, x1 + 8, bottom + 20, centre=False)
    x1, y1, x2, y2 = start.x + _WIDE, start.y + _HIGH / 2, end.x, end.y + _HIGH / 2
    if y1 == y2:
        return _line(path((x1, y1), (x2, y2)), tip, label, (x1 + x2) / 2, y1 - 6)
    middle = (x1 + x2) / 2
    return _line(path((x1, y1), (middle, y1), (middle, y2), (x2, y2)), tip, label, middle - 16, y2 + 4)


def _line(curve: str, tip: str, label: str, x: float, y: float, *, centre: bool = True) -> Markup:
    return group(
        {},
        [
            element("path", {"class": "line", "marker-end": f"url(#{tip})", "d": curve}),
            element("text", {"class": "small centre" if centre else "small", "x": x, "y": y}, label),
        ],
    )
