"""Graphs of names as SVG, laid out for reading: who names what, by which digest.

Columns from left to right: names, index, manifest, layers as stored, layers
unpacked, config. A manifest names layer digests, a config names DiffIDs; so each
layer stands between the two, and no line crosses another. Text widths are
estimated, because a file must look alike wherever it is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from convert.report.graph.text import COLOURS

if TYPE_CHECKING:
    from convert.report.graph.build import Box, Graph, ImageGraph, IndexGraph

_MARGIN: Final = 28
_BOX_WIDTH: Final = 190
_BOX_HEIGHT: Final = 62
_ROW: Final = 86
_GAP: Final = 74
_NARROW_GAP: Final = 46
_IMAGE_GAP: Final = 40
_HEAD: Final = 74
_NAME_HEIGHT: Final = 34
_NAME_STEP: Final = 44
#: Pixels that one character of a title takes at most on average.
_TITLE_CHAR: Final = 8
_NOTE_CHARS: Final = 30
_STEP_CHARS: Final = 62
_NAME_CHARS: Final = 44

_STYLE: Final = """
  text { font-family: system-ui, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #1f2328; }
  .digest { font-family: ui-monospace, "SF Mono", "DejaVu Sans Mono", Consolas, monospace; font-size: 12px; }
  .title { font-size: 13px; font-weight: 600; }
  .note, .step { font-size: 11px; fill: #59636e; }
  .column { font-size: 12px; fill: #59636e; text-anchor: middle; }
  .head { font-size: 15px; font-weight: 600; }
  .page { fill: #ffffff; }
  .line { fill: none; stroke: #8b949e; stroke-width: 1.4; }
  .tip { fill: #8b949e; }
"""

_DEFINITIONS: Final = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="tip" d="M0 0.6 L7.4 4 L0 7.4 z"/></marker></defs>'
)


@dataclass(frozen=True, slots=True)
class _Place:
    """A box on the page, by its upper left corner."""

    box: Box
    x: float
    y: float
    height: float = _BOX_HEIGHT
    width: float = _BOX_WIDTH

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        return self.x + self.width


def svg(graph: Graph) -> str:
    """Return an SVG document."""
    return _Page(graph).draw()


class _Page:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._body: list[str] = []
        self._lines: list[str] = []
        self._y: float = _MARGIN + _HEAD
        x: float = _MARGIN
        self._columns: list[tuple[float, str]] = []
        self._x_name = x
        named: list[IndexGraph | ImageGraph] = [*graph.indexes, *graph.images]
        names = [len(name.title) for item in named for name in item.names]
        self._name_width = max(_BOX_WIDTH - 40, 32 + _TITLE_CHAR * min(max(names, default=0), _NAME_CHARS))
        if names:
            self._columns.append((x + self._name_width / 2, "names"))
            x += self._name_width + _GAP
        self._x_index = x
        if graph.indexes:
            x = self._column(x, "index", _GAP)
        self._x_manifest = x
        x = self._column(x, "manifest", _GAP)
        self._x_stored = x
        x = self._column(x, "layers as stored", _NARROW_GAP)
        self._x_plain = x
        x = self._column(x, "layers unpacked", _GAP)
        self._x_config = x
        self._width = x + _BOX_WIDTH + _MARGIN
        self._columns.append((x + _BOX_WIDTH / 2, "config"))

    def _column(self, x: float, caption: str, gap: float) -> float:
        self._columns.append((x + _BOX_WIDTH / 2, caption))
        return x + _BOX_WIDTH + gap

    def draw(self) -> str:
        for item in self._graph.indexes:
            self._index(item)
        for image in self._graph.images:
            manifest = self._image(image)
            self._names(image.names, manifest, self._x_manifest)
        height = self._y - _IMAGE_GAP + _MARGIN
        captions = [
            f'<text class="column" x="{_n(x)}" y="{_n(_MARGIN + 48)}">{caption}</text>' for x, caption in self._columns
        ]
        title = escape(_cut(self._graph.source, 110))
        wide, high = _n(self._width), _n(height)
        size = f'width="{wide}" height="{high}"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {wide} {high}" role="img">',
                f"<title>{title}: names, digests and layers</title>",
                f"<style>{_STYLE}</style>",
                _DEFINITIONS,
                f'<rect class="page" {size} rx="10"/>',
                f'<text class="head" x="{_MARGIN}" y="{_MARGIN + 14}">{title}</text>',
                *captions,
                *self._lines,
                *self._body,
                "</svg>",
                "",
            ]
        )

    # -- parts ---------------------------------------------------------------------

    def _index(self, item: IndexGraph) -> None:
        top = self._y
        targets = [self._image(image) for image in item.images]
        for other in item.others:
            place = _Place(other, self._x_manifest, self._y)
            self._box(place)
            self._y += _BOX_HEIGHT + _IMAGE_GAP / 2
            targets.append(place)
        if item.others:
            self._y += _IMAGE_GAP / 2
        if not targets:
            self._y += _BOX_HEIGHT + _IMAGE_GAP
        bottom = self._y - _IMAGE_GAP
        index = _Place(item.index, self._x_index, (top + bottom - _BOX_HEIGHT) / 2)
        self._box(index)
        for place in targets:
            self._curve(index.right, index.middle, place.x, place.middle)
        self._names(item.names, index, self._x_index)

    def _names(self, names: tuple[Box, ...], target: _Place, x_target: float) -> None:
        """Draw names in front of what they stand for, centred on it."""
        y = max(_MARGIN + _HEAD, target.middle - _names_height(len(names)) / 2)
        for name in names:
            place = _Place(name, self._x_name, y, _NAME_HEIGHT, self._name_width)
            self._box(place)
            self._curve(place.right, place.middle, x_target, target.middle)
            y += _NAME_STEP
        if names:
            self._y = max(self._y, y - _NAME_STEP + _NAME_HEIGHT + _IMAGE_GAP)

    def _image(self, image: ImageGraph) -> _Place:
        """Draw manifest, layers and config, and move on below them."""
        top = self._y
        rows = max(1, len(image.layers))
        height = max(rows * _ROW - (_ROW - _BOX_HEIGHT), _names_height(len(image.names)))
        middle = top + height / 2
        manifest = _Place(image.manifest, self._x_manifest, middle - _BOX_HEIGHT / 2)
        config = _Place(image.config, self._x_config, middle - _BOX_HEIGHT / 2)
        self._box(manifest)
        self._box(config)
        first = middle - (rows * _ROW - (_ROW - _BOX_HEIGHT)) / 2
        for number, row in enumerate(image.layers):
            y = first + number * _ROW
            stored, plain = _Place(row.stored, self._x_stored, y), _Place(row.plain, self._x_plain, y)
            self._box(stored)
            self._box(plain)
            self._curve(manifest.right, manifest.middle, stored.x, stored.middle)
            self._curve(stored.right, stored.middle, plain.x, plain.middle)
            self._curve(config.x, config.middle, plain.right, plain.middle)
            if row.step:
                self._lines.append(
                    f'<text class="step" x="{_n(stored.x + 2)}" y="{_n(y + _BOX_HEIGHT + 14)}">'
                    f"{escape(_cut(row.step, _STEP_CHARS))}</text>"
                )
        self._over(manifest, config, first - 14 if image.layers else middle)
        self._y = top + height + _IMAGE_GAP + (16 if image.layers else 0)
        return manifest

    def _over(self, manifest: _Place, config: _Place, y: float) -> None:
        """Draw the line from a manifest over the layers to the config."""
        if y >= manifest.middle:
            self._curve(manifest.right, manifest.middle, config.x, config.middle)
            return
        start, end, radius = manifest.x + _BOX_WIDTH / 2, config.x + _BOX_WIDTH / 2, 10
        self._lines.append(
            f'<path class="line" marker-end="url(#tip)" d="M{_n(start)} {_n(manifest.y)} V{_n(y + radius)} '
            f"Q{_n(start)} {_n(y)} {_n(start + radius)} {_n(y)} H{_n(end - radius)} "
            f'Q{_n(end)} {_n(y)} {_n(end)} {_n(y + radius)} V{_n(config.y)}"/>'
        )

    def _curve(self, x1: float, y1: float, x2: float, y2: float) -> None:
        bend = (x2 - x1) / 2
        path = (
            f"M{_n(x1)} {_n(y1)} H{_n(x2)}"
            if abs(y1 - y2) < 0.5
            else f"M{_n(x1)} {_n(y1)} C{_n(x1 + bend)} {_n(y1)} {_n(x2 - bend)} {_n(y2)} {_n(x2)} {_n(y2)}"
        )
        self._lines.append(f'<path class="line" marker-end="url(#tip)" d="{path}"/>')

    def _box(self, place: _Place) -> None:
        box = place.box
        fill, border = COLOURS[box.kind]
        dashed = ' stroke-dasharray="5 3"' if box.kind in {"absent", "file", "list"} else ""
        radius = place.height / 2 if box.kind == "name" else 8
        full = " ".join(part for part in (box.title, box.digest, box.note) if part)
        where = f'x="{_n(place.x)}" y="{_n(place.y)}" width="{_n(place.width)}" height="{_n(place.height)}"'
        parts = [
            "<g>",
            f"<title>{escape(full)}</title>",
            f'<rect {where} rx="{_n(radius)}" fill="{fill}" stroke="{border}"{dashed}/>',
        ]
        most = int((place.width - 20) / _TITLE_CHAR)
        lines = [("title", _cut(box.title, most)), ("digest", box.short), ("note", _cut(box.note, _NOTE_CHARS))]
        shown = [(css, text) for css, text in lines if text]
        pitch = 17
        y = place.middle - (len(shown) - 1) * pitch / 2 + 4.5
        for css, text in shown:
            parts.append(
                f'<text class="{css}" x="{_n(place.x + place.width / 2)}" y="{_n(y)}" text-anchor="middle">'
                f"{escape(text)}</text>"
            )
            y += pitch
        self._body.append("".join([*parts, "</g>"]))


def _names_height(count: int) -> float:
    return count * _NAME_STEP - (_NAME_STEP - _NAME_HEIGHT)


def _n(value: float) -> str:
    """Write a coordinate shortly and the same everywhere."""
    return f"{value:.1f}".removesuffix(".0")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
