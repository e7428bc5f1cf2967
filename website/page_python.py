"""The page about the Python API, from its docstrings and signatures."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import TYPE_CHECKING, Any

import convert

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Longest signature on one line.
WIDTH = 70
HEADING = re.compile(r"^(Args|Attributes|Raises|Returns|Yields|Warns):$")
ITEM = re.compile(r"^(\w[\w, ]*): (.*)$")
CITED = re.compile(r"(?:\bdocs/(?P<page>[\w/-]+\.md))?#(?P<section>[\w-]*\w)|\bdocs/(?P<whole>[\w/-]+\.md)")


def page() -> str:
    """Return the Markdown of the page."""
    values = {name: getattr(convert, name) for name in convert.__all__}
    functions = {name: value for name, value in values.items() if not isinstance(value, type)}
    errors = {name: value for name, value in values.items() if isinstance(value, type) and issubclass(value, Exception)}
    types = {name: value for name, value in values.items() if name not in functions and name not in errors}
    lines = ["# Python reference", "", "From the docstrings. The [guide](api.md) has examples.", ""]
    for title, group in (("Functions", functions), ("Classes", types), ("Errors and warnings", errors)):
        lines += [f"## {title}", ""]
        for name, value in sorted(group.items(), key=lambda item: item[0].lower()):
            lines += [f"### {name}", "", *described(name, value)]
    return "\n".join(lines)


def described(name: str, value: Any) -> Iterator[str]:
    """Yield the lines about a function or class."""
    if not isinstance(value, type):
        yield from ("```text", f"convert.{name}{_signature(value)}", "```", "")
    elif bases := [base.__name__ for base in value.__bases__ if base.__name__ in convert.__all__]:
        yield from (f"A `{', '.join(bases)}`.", "")
    yield from rendered(inspect.getdoc(value) or "")
    if not isinstance(value, type):
        return
    rows = [f"| `{one.name}` | `{one.type}` |".replace(" | None", " \\| None") for one in _fields(value)]
    if rows:
        yield from ("| field | type |", "|---|---|", *rows, "")
    for member, method in vars(value).items():
        function = method.fget if isinstance(method, property) else getattr(method, "__func__", method)
        if member.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
            continue
        call = "" if isinstance(method, property) else _signature(function)
        yield from (f"#### {name}.{member}", "", "```text", f"{member}{call}", "```", "")
        yield from rendered(inspect.getdoc(function) or "")


def _fields(value: type) -> tuple[Any, ...]:
    """Return the public fields of a dataclass."""
    return (
        tuple(one for one in dataclasses.fields(value) if not one.name.startswith("_"))
        if dataclasses.is_dataclass(value)
        else ()
    )


def _signature(function: Any) -> str:
    """Return a signature without the quotes of annotations that were not evaluated, and without `self`."""
    words = re.sub(r"'([^']*)'", r"\1", str(inspect.signature(function)))
    words = re.sub(r"<[^>]* at 0x[0-9a-f]+>", "...", words)
    words = re.sub(r"\((?:self|cls)(?:, )?", "(", words)
    if len(words) <= WIDTH:
        return words
    parameters, _, result = words[1:].rpartition(") ->")
    lines = ",\n".join(f"    {one}" for one in re.split(r", (?![^\[(]*[\])])", parameters))
    return f"(\n{lines},\n) ->{result}"


def rendered(docstring: str) -> Iterator[str]:
    """Yield the lines of a docstring as Markdown; sections such as Args become lists."""
    inside = False
    for line in docstring.splitlines():
        if heading := HEADING.match(line):
            inside = True
            yield from (f"**{heading[1]}**", "")
        elif inside and line.startswith("    "):
            body = line[4:]
            item = ITEM.match(body)
            yield f"- `{item[1]}`: {cited(item[2])}" if item else f"  {cited(body.strip())}"
        else:
            inside = inside and not line.strip()
            yield cited(line)
    yield ""


def cited(line: str) -> str:
    """Return a line whose citations of our pages are links."""

    def link(found: re.Match[str]) -> str:
        name = found["page"] or found["whole"] or "contract.md"
        words = (found["section"] or name.removesuffix(".md")).replace("-", " ").strip()
        return f"[{words}]({name}{'#' + found['section'] if found['section'] else ''})"

    return CITED.sub(link, line)
