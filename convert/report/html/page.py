"""Render a page: templates, the Content-Security-Policy, the data, and the bound on the size."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from convert.limits import MAX_PAGE_SIZE
from convert.report.html.room import Room, cut_data
from convert.report.html.text import pieces, shown
from convert.report.inspect import size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TEMPLATES: Final = "templates"
#: The policy; only the style sheet and the script of the page itself are allowed, by their digests.
_POLICY: Final = (
    "default-src 'none'; style-src '{style}'; script-src '{script}'; img-src data:; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, slots=True)
class Page:
    """What a page shows.

    Attributes:
        template: the file in `templates/`.
        title: the title, a text.
        command: the command line that prints the same for a terminal.
        data: the document in the page (`schemas/page-NAME.json`); `left_out` is added to it.
        values: the variables of the template.
        sections: the links at the top, each the id of a section and its title.
    """

    template: str
    title: str
    command: str
    data: dict[str, Any]
    values: Mapping[str, Any] = field(default_factory=dict)
    sections: Sequence[tuple[str, str]] = ()


def render(build: Callable[[Room], Page]) -> bytes:
    """Return a page within `MAX_PAGE_SIZE`, always the same bytes for the same page.

    `build` is called with less and less room until the page fits.
    """
    room = Room()
    while True:
        rows = room.rows
        page = build(room)
        data, data_cut = cut_data(page.data, room)
        values = {
            **page.values,
            "page": page,
            "left_out": room.left_out,
            "data_cut": data_cut,
            "data": Markup(data),  # noqa: S704 - escaped by `in_script`
            **_fixed(),
        }
        with contextlib.suppress(_TooLargeError):
            # The last attempt is the smallest page that there is.
            printer = _Printer(room.text, MAX_PAGE_SIZE if rows else None)
            raw = printer.render(page.template, values).encode()
            if len(raw) <= MAX_PAGE_SIZE or not rows:
                return raw
        room = room.smaller(rows)


class _TooLargeError(Exception):
    """A page is larger than it may be."""


class _Printer:
    """Prints the values of one page, and stops as soon as it is certain to be too large."""

    def __init__(self, text: int, most: int | None) -> None:
        """`text` is the most characters of one text, `most` those of the page."""
        self._text = text
        self._most = self._left = most

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        """Return what a template prints.

        Raises:
            _TooLargeError: it is too large.
        """
        before = _PRINTER.set(self)
        parts: list[str] = []
        size = 0
        try:
            for part in _environment().get_template(template).generate(values):
                size += len(part)
                if self._most is not None and size > self._most:
                    raise _TooLargeError
                parts.append(part)
        finally:
            _PRINTER.reset(before)
        return "".join(parts)

    def take(self, value: object) -> object:
        """Return what stands for a value, which is escaped then."""
        if isinstance(value, Markup):
            return value
        text = shown(value, self._text)
        if self._left is not None:
            self._left -= len(text)
            if self._left < 0:
                raise _TooLargeError
        return text


#: What prints the values of the page that is being rendered.
_PRINTER: ContextVar[_Printer] = ContextVar("_PRINTER")


@cache
def _environment() -> Environment:
    """Return what renders templates, which are compiled once.

    Everything they print is escaped, and goes through `shown` before.
    """
    environment = Environment(
        loader=PackageLoader("convert.report.html", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: _PRINTER.get().take(value),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"size": size_text, "count": "{:,}".format, "pieces": pieces}
    return environment


@cache
def _fixed() -> dict[str, Any]:
    """Return style sheet, script, and the policy that allows them."""
    folder = resources.files("convert.report.html").joinpath(_TEMPLATES)
    style, script = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = _POLICY.format(style=_digest(style), script=_digest(script))
    # Both are files of ours, and neither may be escaped.
    return {"style": Markup(style), "script": Markup(script), "policy": Markup(policy)}  # noqa: S704


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
