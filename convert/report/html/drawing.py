"""SVG as part of a page: elements whose attributes and texts are escaped, geometry as attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from convert.report.html.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: What an attribute or a text may be given as.
Value = str | int | float


class Drawing:
    """An `<svg>` with a title and a description for those who do not see it.

    `ident` is unique in the page. Texts may come from the archive: `text.shown` and escaping apply to all.
    """

    def __init__(self, ident: str, width: float, height: float, title: str, about: str) -> None:
        """`about` says in words what the drawing shows."""
        self._parts: list[Markup] = []
        self._attributes: dict[str, Value] = {
            "xmlns": "http://www.w3.org/2000/svg",
            "id": ident,
            "class": "drawing",
            "width": width,
            "height": height,
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "role": "group",
            "aria-labelledby": f"{ident}-title",
            "aria-describedby": f"{ident}-about",
        }
        self.add(element("title", {"id": f"{ident}-title"}, title), element("desc", {"id": f"{ident}-about"}, about))

    def add(self, *parts: Markup) -> None:
        """Draw elements on top of those that are there."""
        self._parts += parts

    def markup(self) -> Markup:
        """Return the `<svg>`."""
        return element("svg", self._attributes, *self._parts)


def element(name: str, attributes: Mapping[str, Value], *content: Value | Markup) -> Markup:
    """Return an element; `name` and the names of attributes are ours, everything else is escaped."""
    written = Markup("").join(
        Markup(' {}="{}"').format(Markup(key), number(value) if isinstance(value, float | int) else shown(value))  # noqa: S704 - our names
        for key, value in attributes.items()
    )
    inside = Markup("").join(each if isinstance(each, Markup) else escape(shown(each)) for each in content)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, inside)  # noqa: S704 - our names


def group(attributes: Mapping[str, Value], parts: Iterable[Markup]) -> Markup:
    """Return a `<g>`."""
    return element("g", attributes, *parts)


def path(start: tuple[float, float], *bends: tuple[float, float]) -> str:
    """Return the `d` of a path: a straight line through one more point, or a curve with two more before its end."""
    points = [f"{number(x)} {number(y)}" for x, y in (start, *bends)]
    return f"M{points[0]} {'L' if len(points) == 2 else 'C'}{' '.join(points[1:])}"


def number(value: float) -> str:
    """Return a coordinate shortly, and the same on every machine."""
    return f"{value:.1f}".removesuffix(".0")
