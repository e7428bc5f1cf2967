"""Mermaid diagrams, drawn by the real Mermaid in a browser: every label is the text that it stands for.

`npm install --prefix build/mermaid mermaid`, or IMGCONV_MERMAID names its `mermaid.min.js`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from report.html.pages import HOSTILE, ROOT
from report.html.samples import model
from report.html.test_browser import CHROMIUM, browser, playwright  # noqa: F401 - a fixture

from convert.errors import printable
from convert.report.graph.build import graph
from convert.report.graph.text import boxes, mermaid
from convert.report.inspect_markdown import markdown
from convert.report.inspect_sources import InspectedSource

MERMAID = Path(
    os.environ.get("IMGCONV_MERMAID")
    or ROOT / "build" / "mermaid" / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(
        not MERMAID.is_file(), reason="Mermaid is not installed; IMGCONV_MERMAID names its mermaid.min.js"
    ),
]

#: Names that Mermaid, or the Markdown in its labels, takes for something else.
NAMES = [
    *HOSTILE,
    "end", "subgraph x", "click n1 call alert(1)", "%%{init: {'theme':'dark'}}%%", "%% comment", "---", "===",
    "style n1 fill:red", "=== line",
    'a"]:::x<b>&\'\\ "; evil --> n1', "1. one", "12) two", "- dash", "+ plus", "* star", "# head", "> quote",
    "__init__", "_emphasis_", "**bold**", "*em*", "~~gone~~", "`code`", "[text](https://example.com)", "![x](y)",
    "https://example.com/x", "www.example.com", "me@example.com", "example.com/app@1.2", "<https://example.com>",
    "&amp; &#60; #35; #lt;", "#quot;", "a<br/>b", "$$\\frac{1}{2}$$", "fa:fa-ban", "a;b", "a|b", "{a}", "((a))",
    "    four blanks", "|a|b|", "[ ] task", "- [x] done", "\\n", "a  b", "x" * 300, "Ünïcode 日本 ½ ²",
    "@{ shape: rect }", "C:\\new\\fa:fa-ban", "my_app_name", "_a_ b_", "$a$ $$x$$",
]  # fmt: skip
#: Draws with the settings of GitHub: strict, and HTML in labels.
DRAW = """async ([text, html]) => {
  mermaid.initialize({startOnLoad: false, securityLevel: "strict", maxTextSize: 1e6, flowchart: {htmlLabels: html}});
  const {svg} = await mermaid.render("drawn", text);
  document.getElementById("here").innerHTML = svg;
  return [...document.querySelectorAll("#here .node")].map((node) => [
    node.id.replace(/^.*flowchart-/, "").replace(/-[0-9]+$/, ""),
    [...node.querySelectorAll("*")].map((each) => each.tagName.toLowerCase()),
    node.textContent,
  ]);
}"""


@pytest.fixture(scope="module")
def drawn(browser):  # noqa: F811 - the fixture
    """Draw a diagram; gives the kinds of elements in each node, and its text."""
    page = browser.new_page()
    wrong = []
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: wrong.append(request.url))
    page.set_content("<div id=here></div>")
    page.add_script_tag(content=MERMAID.read_text())

    def call(text, *, html=True):
        found = page.evaluate(DRAW, [text, html])
        assert not wrong
        return {ident: (kinds, shown) for ident, kinds, shown in found}

    yield call
    page.close()


def document(name):
    """Return a document of `inspect` whose names are hostile."""
    found = model(1, 1, text="x")
    found["images"][0]["names"] = [name]
    found["images"][0]["platform"] = name
    return found


def squeezed(text):
    """Return a text without blanks, which HTML joins, and without what separates characters for Mermaid."""
    return "".join(text.replace("\u2060", "").split())


@pytest.mark.parametrize("html", [True, False], ids=["html labels", "svg labels"])
@pytest.mark.parametrize("name", NAMES)
def test_a_label_is_the_text_that_it_stands_for(drawn, name, html):
    found = graph(document(name))
    nodes = drawn(mermaid(found), html=html)
    assert set(nodes) == {box.key for box in boxes(found)}
    for box in boxes(found):
        kinds, shown = nodes[box.key]
        assert squeezed(shown) == squeezed("".join(filter(None, (box.title, box.short, box.note)))), box
        assert not {"script", "img", "a", "iframe", "strong", "em", "del", "code", "i", "math"} & set(kinds)
    title = next(box.title for box in boxes(found) if box.kind == "name")
    assert title == printable(name)


def test_the_diagram_of_shared_layers_is_drawn(drawn):
    text = markdown([InspectedSource("x", model(3, 4, text="<b>`|"))])
    diagram = text.split("```mermaid\n")[1].split("```")[0]
    nodes = drawn(diagram)
    assert {ident: shown for ident, (_, shown) in nodes.items()}["i1"] == "image 1"
    assert len(nodes) == 3 + 3 + 3
