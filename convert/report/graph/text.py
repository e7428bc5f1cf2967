"""Graphs of names as text that other tools draw: Mermaid and Graphviz."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from convert.report.graph.build import Box, Graph, ImageGraph

#: Kind -> fill, border, of both outputs; the same hues as in the SVG.
COLOURS: Final = {
    "name": ("#fff7e0", "#b7791f"),
    "index": ("#f3e8ff", "#7e3fb5"),
    "manifest": ("#e3edff", "#2b62c0"),
    "list": ("#f4f4f5", "#71717a"),
    "config": ("#e0f5f4", "#14807a"),
    "stored": ("#fde8f1", "#b8336a"),
    "file": ("#f4f4f5", "#71717a"),
    "plain": ("#e7f6e4", "#3b8132"),
    "absent": ("#ffffff", "#a1a1aa"),
}

#: What does not stand for itself in a label of Mermaid.
_MERMAID_MARKUP: Final = re.compile(r"_(?!\w)|(?<!\w)_|[^\w .,:/@+…-]")
#: Where Mermaid, once it has decoded a label, finds a line break, an icon or a formula.
_MERMAID_LATE: Final = re.compile(r"(?<=\\)(?=n)|(?<=:)(?=fa-)|(?<=\$)(?=\$)")
_WORD_JOINER: Final = "\u2060"

_Edge = tuple["Box", "Box", str]


def edges(graph: Graph) -> list[_Edge]:
    """Return who names whom, and by which of the names."""
    found: list[_Edge] = []
    for item in graph.indexes:
        found += [(name, item.index, "") for name in item.names]
        for image in item.images:
            found.append((item.index, image.manifest, ""))
            found += _image_edges(image)
        found += [(item.index, other, "") for other in item.others]
    for image in graph.images:
        found += _image_edges(image)
    return found


def _image_edges(image: ImageGraph) -> Iterator[_Edge]:
    for name in image.names:
        yield name, image.manifest, ""
    yield image.manifest, image.config, ""
    for number, row in enumerate(image.layers, 1):
        yield image.manifest, row.stored, str(number)
        yield row.stored, row.plain, "unpacks to"
        yield image.config, row.plain, str(number)


def boxes(graph: Graph) -> list[Box]:
    """Return every box once, in the order in which edges reach it."""
    found: dict[str, Box] = {}
    for start, end, _ in edges(graph):
        found.setdefault(start.key, start)
        found.setdefault(end.key, end)
    for image in graph.images:
        found.setdefault(image.manifest.key, image.manifest)
    for item in graph.indexes:
        found.setdefault(item.index.key, item.index)
    return list(found.values())


def _lines(box: Box) -> Iterable[str]:
    return (text for text in (box.title, box.short, box.note) if text)


def mermaid(graph: Graph) -> str:
    """Return a Mermaid flowchart."""
    lines = ["flowchart LR"]
    for box in boxes(graph):
        left, right = ('(["', '"])') if box.kind == "name" else ('["', '"]')
        lines.append(
            f"    {box.key}{left}{'<br/>'.join(map(_mermaid_text, _lines(box)))}{right}:::{_mermaid_class(box)}"
        )
    for start, end, label in edges(graph):
        arrow = f"-->|{_mermaid_text(label)}|" if label else "-->"
        lines.append(f"    {start.key} {arrow} {end.key}")
    for kind in dict.fromkeys(box.kind for box in boxes(graph)):
        fill, border = COLOURS[kind]
        dash = ",stroke-dasharray:4 3" if kind in {"absent", "file", "list"} else ""
        lines.append(f"    classDef {kind}Box fill:{fill},stroke:{border},color:#1f2328{dash}")
    return "\n".join(lines) + "\n"


def _mermaid_class(box: Box) -> str:
    return f"{box.kind}Box"


def _mermaid_text(text: str) -> str:
    r"""Escape by Mermaid's entity codes whatever could end a label or start markup.

    Mermaid decodes them before it looks for `\n`, `fa:fa-NAME` and `$$`: an invisible character separates those.
    """
    separated = _MERMAID_LATE.sub(_WORD_JOINER, text)
    return _MERMAID_MARKUP.sub(lambda match: f"#{ord(match[0])};", separated)


def dot(graph: Graph) -> str:
    """Return a Graphviz digraph."""
    lines = [
        "digraph names {",
        "    rankdir=LR;",
        '    node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];',
        '    edge [color="#71717a", fontname="Helvetica", fontsize=9];',
    ]
    for box in boxes(graph):
        fill, border = COLOURS[box.kind]
        style = ', style="rounded,filled,dashed"' if box.kind in {"absent", "file", "list"} else ""
        label = "\\n".join(map(_dot_text, _lines(box)))
        lines.append(f'    {box.key} [label="{label}", fillcolor="{fill}", color="{border}"{style}];')
    for start, end, label in edges(graph):
        attributes = f' [label="{_dot_text(label)}"]' if label else ""
        lines.append(f"    {start.key} -> {end.key}{attributes};")
    return "\n".join([*lines, "}"]) + "\n"


def _dot_text(text: str) -> str:
    """Escape what ends a label, and what Graphviz takes for the name of a character (`&lt;`)."""
    return text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
