"""The layer chart: images side by side, layers stacked from the base up, height by bytes.

A layer that occurs more than once has one colour, one pattern and one label wherever it is; all
others are grey, with their number. Layers too thin to be seen are drawn together where there are many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convert.report.html.drawing import Drawing, element, path
from convert.report.inspect import size_text, step_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markupsafe import Markup

    from convert.report.html.drawing import Value
    from convert.report.sharing import SharedLayer, Sharing

Document = dict[str, Any]

#: Colours in `page.css` and patterns below; together they tell forty shared layers apart, labels tell all.
COLOURS: Final = 10
_PATTERNS: Final = ("", "M-2 2 L2 -2 M0 8 L8 0 M6 10 L10 6", "M0 4 H8", "M4 0 V8 M0 4 H8")
#: Most images in the chart, and the height of the largest in pixels.
MOST_IMAGES: Final = 40
_HIGH: Final = 420.0
_WIDE: Final = 132
_GAP: Final = 104
_HEAD: Final = 10
_FOOT: Final = 58
#: A layer is at least so high, but all that are thinner together add no more than this to a stack.
_LEAST: Final = 3.0
_LEAST_TOGETHER: Final = 30.0
#: A layer with a text is at least so high; a text beside it takes so much.
_WITH_TEXT: Final = 15.0
_LINE: Final = 13.0
#: Most thin layers of one image that have a text beside them although they occur only once.
_MOST_BESIDE: Final = 8
#: Most blocks of one image: beyond, layers that follow each other and are thin are drawn together.
_MOST_BLOCKS: Final = 120
_LONGEST: Final = 30


@dataclass(frozen=True, slots=True)
class _Block:
    """Layers that are drawn as one: `first` is the number of the lowest, from 1."""

    first: int
    count: int
    size: int
    shared: SharedLayer | None
    about: str


def layer_chart(images: Sequence[Document], sharing: Sharing, names: Sequence[str] = ()) -> Markup:
    """Return the chart of some images as SVG.

    Args:
        images: those of inspect documents, each with a `label`, an `ident`, and in `rows` how many
            of its layers have a row in its table, to which the chart links.
        sharing: what the layers of all images have in common.
        names: what texts call the images; without, by their numbers.
    """
    most = max((_total(image) for image in images), default=0)
    stacks = [list(_blocks(image, sharing, names)) for image in images]
    scale = _HIGH / most if most else 0.0
    heights = [_heights(stack, scale) for stack in stacks]
    tall = max((sum(each) for each in heights), default=0.0)
    wide = _GAP + len(images) * (_WIDE + _GAP)
    about = (
        f"{len(images)} images side by side. Each is a stack of its layers, the base at the bottom; the height of a "
        "layer is its size in bytes as it is stored. A label and a colour mark each layer that occurs more than once; "
        "the others are grey. The tables below have the same figures."
    )
    drawing = Drawing("layer-chart", wide, _HEAD + tall + _FOOT, "Layers of the images", about)
    drawing.add(_patterns())
    for place, (image, stack, high) in enumerate(zip(images, stacks, heights, strict=True)):
        drawing.add(*_stack(place, image, stack, high, _HEAD + tall))
    return drawing.markup()


def _heights(stack: Sequence[_Block], scale: float) -> list[float]:
    """Return the height of each block in pixels."""
    thin = sum(block.size * scale < _LEAST for block in stack)
    least = min(_LEAST, _LEAST_TOGETHER / thin) if thin else 0.0
    return [max(least, block.size * scale) for block in stack]


def swatch(shared: SharedLayer) -> Markup:
    """Return a small rectangle in the colour and pattern of a shared layer, for the tables."""
    attributes: dict[str, Value] = {
        "class": "swatch",
        "width": 28,
        "height": 14,
        "viewBox": "0 0 28 14",
        "aria-hidden": "true",
    }
    return element("svg", attributes, *_filled(shared, 0, 0, 28, 14))


def _total(image: Document) -> int:
    return sum(layer["size"] or 0 for layer in image["layers"])


def _patterns() -> Markup:
    return element(
        "defs",
        {},
        *(
            element(
                "pattern",
                {"id": f"hatch-{place}", "width": 8, "height": 8, "patternUnits": "userSpaceOnUse"},
                element("path", {"class": "hatch", "d": lines}),
            )
            for place, lines in enumerate(_PATTERNS)
            if lines
        ),
    )


def _filled(shared: SharedLayer | None, x: float, y: float, wide: float, high: float) -> Iterator[Markup]:
    """Yield the rectangles of a block: colour, and pattern on top of it."""
    where = {"x": x, "y": y, "width": wide, "height": high}
    colour = f"c{shared.number % COLOURS}" if shared is not None else "own"
    yield element("rect", {**where, "class": f"block {colour}" if high >= _LEAST else f"block thin {colour}"})
    pattern = (shared.number // COLOURS) % len(_PATTERNS) if shared is not None else 0
    if pattern:
        yield element("rect", {**where, "fill": f"url(#hatch-{pattern})"})


def _blocks(image: Document, sharing: Sharing, names: Sequence[str]) -> Iterator[_Block]:
    """Yield what is drawn of an image, lowest first."""
    layers = image["layers"]
    thin = _total(image) / _HIGH if len(layers) > _MOST_BLOCKS else -1
    together: list[tuple[int, Document]] = []
    for place, layer in enumerate(layers, 1):
        shared = sharing.shared.get(layer["diff_id"])
        size = layer["size"] or 0
        if thin >= 0 and size < thin * len(layers) / _MOST_BLOCKS:
            together.append((place, layer))
            continue
        yield from _joined(together, sharing)
        together = []
        yield _Block(place, 1, size, shared, _about(place, layer, shared, names))
    yield from _joined(together, sharing)


def _joined(together: Sequence[tuple[int, Document]], sharing: Sharing) -> Iterator[_Block]:
    """Yield a block for layers that are drawn together."""
    if not together:
        return
    size = sum(layer["size"] or 0 for _, layer in together)
    shared = sum(layer["diff_id"] in sharing.shared for _, layer in together)
    first = together[0][0]
    about = f"layers {first} to {together[-1][0]}: {len(together)} layers, {size_text(size)}, {shared} of them shared"
    yield _Block(first, len(together), size, None, about)


def _about(place: int, layer: Document, shared: SharedLayer | None, names: Sequence[str]) -> str:
    """Return one layer in words."""
    size = size_text(layer["size"]) if layer["size"] is not None else "unknown size"
    where = ""
    if shared is not None and names:
        where = f", {shared.label}: in {' and '.join(names[number - 1] for number in shared.images)}"
    elif shared is not None:
        where = f", shared {shared.label}: images {', '.join(map(str, shared.images))}"
    absent = "" if layer["present"] else ", not in the source"
    step = step_text(layer["history"])
    return f"layer {place}: {size}{where}{absent}, DiffID {layer['diff_id']}" + (f", {step}" if step else "")


def _stack(
    place: int, image: Document, stack: Sequence[_Block], high: Sequence[float], base: float
) -> Iterator[Markup]:
    """Yield the blocks of an image, its label and its size."""
    left = _GAP / 2 + place * (_WIDE + _GAP)
    y = base
    beside = base + _LINE
    before: SharedLayer | None = None
    few = sum(height < _WITH_TEXT and block.shared is None for block, height in zip(stack, high, strict=True))
    for block, height in zip(stack, high, strict=True):
        y -= height
        middle = y + height / 2
        parts = [element("title", {}, block.about), *_filled(block.shared, left, y, _WIDE, height)]
        text = _text(block)
        if height >= _WITH_TEXT:
            parts.append(_label(text, left + _WIDE / 2, middle + 4, centre=True))
        elif beside - _LINE > _LINE and (few <= _MOST_BESIDE if block.shared is None else block.shared != before):
            # A thin layer has its label beside it, above that of the one before; equal ones that follow have one.
            beside = min(middle + 4, beside - _LINE)
            right = left + _WIDE
            parts.append(element("path", {"class": "line", "d": path((right, middle), (right + 6, beside - 4))}))
            parts.append(_label(_beside(block), right + 9, beside))
        before = block.shared
        if block.first <= image["rows"]:
            yield element("a", {"href": f"#{image['ident']}-layer-{block.first}", "aria-label": block.about}, *parts)
        else:
            yield element("g", {"role": "img", "aria-label": block.about}, *parts)
    yield element("path", {"class": "line", "d": path((left, base), (left + _WIDE, base))})
    lines = (
        (image["label"], "strong"),
        (_layers(len(image["layers"])), "small"),
        (size_text(_total(image)), "small"),
    )
    for row, (text, kind) in enumerate(lines):
        shown = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
        yield element("text", {"class": f"{kind} centre", "x": left + _WIDE / 2, "y": base + 17 + 15 * row}, shown)


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def _text(block: _Block) -> str:
    size = size_text(block.size)
    if block.count > 1:
        return f"{block.count} layers, {size}"
    return f"{block.shared.label} · {size}" if block.shared is not None else f"layer {block.first}: {size}"


def _beside(block: _Block) -> str:
    if block.shared is not None:
        return block.shared.label
    return _text(block)


def _label(text: str, x: float, y: float, *, centre: bool = False) -> Markup:
    return element("text", {"class": "strong centre" if centre else "small", "x": x, "y": y}, text)
