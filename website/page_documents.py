"""A page about each JSON document that imgconv prints or checks, from its schema in `schemas/`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Schema = dict[str, Any]
#: Schemas of the documents that commands print, and what they have in common in their names.
REPORT = "report-"
SHARED = "urn:imgconv:schema:"
#: Schemas of the data in pages.
PAGE = "page-"
#: Commands whose documents are not those of `imgconv NAME --json`.
COMMANDS = {"report-inspect-sources": "imgconv inspect SOURCE SOURCE --json"}
#: A page of ours in the text of a schema.
CITED = re.compile(r"\bdocs/([\w/-]+)\.md")
#: Most levels of a document in one table.
DEEPEST = 12


def pages(root: Path) -> dict[str, str]:
    """Return the Markdown of each page by its file name; `root` is the repository."""
    documents = {path.stem: json.loads(path.read_text()) for path in sorted((root / "schemas").glob("*.json"))}
    found, rows = {}, {True: [], False: []}
    for name, schema in documents.items():
        if name == "defs":
            continue
        title = f"`{_title(name)}`"
        found[f"{name}.md"] = page(title, schema, documents)
        rows[name.startswith((REPORT, PAGE))].append(f"| [{title}]({name}.md) | {_about(schema)} |")
    head = ["| document | what it is |", "|---|---|"]
    found["index.md"] = "\n".join(
        [
            "# JSON documents",
            "",
            "Every command that prints a result has `--json`. A document has the keys `report` and `version`; the",
            "version is raised when a key changes its meaning or goes away. The schemas are in `schemas/` of the",
            "repository, and in the package `convert.schemas`.",
            "",
            *head,
            *rows[True],
            "",
            "## Documents in archives",
            "",
            "`imgconv validate` checks the documents of archives against these schemas.",
            "",
            *head,
            *rows[False],
            "",
        ]
    )
    return found


def _title(name: str) -> str:
    """Return the command that prints a document, or its name if it is one of an archive."""
    if name.startswith(PAGE):
        return f"imgconv {name.removeprefix(PAGE)} --html"
    if name.startswith(REPORT):
        return COMMANDS.get(name, f"imgconv {name.removeprefix(REPORT)} --json")
    return name


def page(title: str, schema: Schema, documents: dict[str, Schema]) -> str:
    """Return the page of one document."""
    rows = [f"| `{path}` | {kind} | {about} |" for path, kind, about in _rows(schema, "", schema, documents, ())]
    lines = [f"# {title}", "", _about(schema), "", "A key is required unless its type ends with `?`.", ""]
    return "\n".join([*lines, "| key | type | meaning |", "|---|---|---|", *rows, ""])


def _about(schema: Schema) -> str:
    return _cell(schema.get("description") or schema.get("$comment") or "")


def _cell(words: str) -> str:
    words = words.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
    return CITED.sub(r"[\1](../\1.md)", words)


def _resolved(node: Schema, top: Schema, documents: dict[str, Schema]) -> tuple[Schema, Schema]:
    """Return what a reference leads to, and the document that it is in."""
    while "$ref" in node:
        target = node["$ref"]
        if target.startswith(SHARED):
            name, _, place = target.removeprefix(SHARED).partition("#")
            top = documents[name]
        else:
            place = target.removeprefix("#")
        found: Any = top
        for part in filter(None, place.split("/")):
            found = found[part]
        node = {**found, **{key: value for key, value in node.items() if key != "$ref"}}
    return node, top


def _rows(
    node: Schema, path: str, top: Schema, documents: dict[str, Schema], above: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    """Yield path, type and meaning of each key below a node; a definition within itself is not followed again."""
    reference = node.get("$ref", "")
    if (reference and reference in above) or len(above) > DEEPEST:
        return
    node, top = _resolved(node, top, documents)
    above = (*above, reference)
    for part in node.get("anyOf", ()):
        yield from _rows(part, path, top, documents, above)
    if isinstance(others := node.get("additionalProperties"), dict):
        here = f"{path}.*" if path else "*"
        yield here, _type(others, top, documents), _about(_resolved(others, top, documents)[0])
        yield from _rows(others, here, top, documents, above)
    if "items" in node and isinstance(node["items"], dict):
        yield from _rows(node["items"], f"{path}[]", top, documents, above)
    required = set(node.get("required", ()))
    for name, child in node.get("properties", {}).items():
        if child is False:
            continue
        here = f"{path}.{name}" if path else name
        shown = child if isinstance(child, dict) else {}
        resolved, _ = _resolved(shown, top, documents)
        optional = "" if name in required else "?"
        yield here, f"{_type(shown, top, documents)}{optional}", _about(resolved)
        yield from _rows(shown, here, top, documents, above)


def _type(node: Schema, top: Schema, documents: dict[str, Schema]) -> str:
    """Return the type of a value in words."""
    node, top = _resolved(node, top, documents)
    if "const" in node:
        return f"`{json.dumps(node['const'])}`"
    if "enum" in node:
        return ", ".join("null" if value is None else f"`{value}`" for value in node["enum"])
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(_type(part, top, documents) for part in node["anyOf"]))
    kinds = node.get("type", "any value")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    items = node.get("items")
    words = []
    for kind in kinds:
        if kind == "array" and isinstance(items, dict):
            words.append(f"array of {_type(items, top, documents)}")
        else:
            words.append(kind)
    return " or ".join(words)
