"""How the names of images depend on each other: names, index, manifests, configs, layers.

A graph is built from the document of `inspect` and drawn as SVG, Mermaid or Graphviz
text. The same document gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convert.errors import UsageError
from convert.report.graph.build import graph

if TYPE_CHECKING:
    from collections.abc import Callable


def renderer(path: str) -> Callable[[dict[str, Any]], str]:
    """Return what draws an inspect document into a file of this name.

    Raises:
        UsageError: the name ends in none of `.svg`, `.mmd`, `.dot`.
    """
    _, dot, suffix = path.lower().rpartition(".")
    suffix = suffix if dot else ""
    if suffix == "svg":
        from convert.report.graph.svg import svg  # noqa: PLC0415 - only where used

        return lambda document: svg(graph(document))
    if suffix in {"mmd", "dot"}:
        from convert.report.graph import text as graph_text  # noqa: PLC0415 - only where used

        draw = graph_text.mermaid if suffix == "mmd" else graph_text.dot
        return lambda document: draw(graph(document))
    raise UsageError(
        f"cannot draw a graph into {path!r}",
        code="unknown-graph-format",
        hint="the file's name must end in .svg, .mmd or .dot",
    )
