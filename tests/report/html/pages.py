"""Read pages as a browser does, without imgconv's code; and the schemas of their data."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
from referencing import Registry, Resource

ROOT = Path(__file__).parents[3]
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "schemas").glob("*.json")}
REGISTRY = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values() if "$id" in schema
)
#: Before the title of a table.
CAPTION = '<caption><div class="about">'
#: Elements without an end.
VOID = {"meta", "link", "input", "br"}
#: What a text of an archive must never become: each of these is a marker in `HOSTILE` below.
HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7*7 }}{% raw %}",
    "<!--<svg/onload=alert(1)>",
    "]]><b>bold</b>",
    "&lt;already&gt; &#60;",
    "a\u202ereversed\u2066\u200b\x1b[31m\x07\n\r\t",
    "javascript:alert(1)",
    "\u2028\u2029",
    "`code` ``two`` | pipe \\| @user #1 <b>",
    "\ud800",
)


class Page(HTMLParser):
    """A page: its elements, the texts in them, and that they nest."""

    def __init__(self, raw):
        super().__init__(convert_charrefs=True)
        self.raw = raw.decode() if isinstance(raw, bytes) else raw
        self.elements, self.texts, self.open = [], [], []
        self._script, self.scripts, self.styles = None, [], []
        self.feed(self.raw)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), (tag, names)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> without a start"
        assert self.open.pop() == tag, f"</{tag}> ends another element"

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append((self.elements[-1][1], data))
        elif self.open and self.open[-1] == "style":
            self.styles.append(data)
        elif data.strip():
            self.texts.append((self.open[-1], data))

    @property
    def text(self):
        return " ".join(" ".join(data for _, data in self.texts).split())

    @property
    def data(self):
        (found,) = (text for attributes, text in self.scripts if attributes.get("type") == "application/json")
        return json.loads(found)

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def check(raw):
    """Check what holds for every page, and return it: nothing is loaded, styled or run but by our own files."""
    page = Page(raw)
    assert len(raw) <= 5_000_000
    assert page.raw.startswith("<!doctype html>")
    policy = next(each["content"] for each in page.named("meta") if each.get("http-equiv") == "Content-Security-Policy")
    (style,) = page.styles
    (script,) = (text for attributes, text in page.scripts if "type" not in attributes)

    def digest(text):
        return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert policy == (
        f"default-src 'none'; style-src '{digest(style)}'; script-src '{digest(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    idents = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(idents)) == len(idents)
    for tag, attributes in page.elements:
        assert tag not in {"iframe", "object", "embed", "form", "base", "img", "foreignobject", "use", "image"}, tag
        for name, value in attributes.items():
            assert name != "style", tag
            assert not name.startswith("on"), (tag, name)
            if name in {"href", "xlink:href"} and tag == "link":
                assert value == "data:,"
            elif name in {"href", "xlink:href"} and not value.startswith("#"):
                assert value.startswith("https://"), value
                assert "noreferrer" in attributes["rel"]
            elif name in {"href", "xlink:href"}:
                assert value[1:] in idents, value
            if name in {"aria-labelledby", "aria-describedby"}:
                assert value in idents
            assert name not in {"src", "srcset", "action", "formaction", "data", "background"}
    for text in re.findall(r"url\(([^)]*)\)", style):
        raise AssertionError(f"the style sheet loads {text}")
    shown = "".join(data for _, data in page.texts) + "".join(
        value or "" for _, attributes in page.elements for value in attributes.values()
    )
    assert not [char for char in shown if char != "\n" and not char.isprintable()]
    validate(page.data)
    return page


def validate(document):
    """Check a document against the schema of its kind."""
    name = document["report"] if document["report"].startswith("page-") else f"report-{document['report']}"
    jsonschema.Draft202012Validator(SCHEMAS[name], registry=REGISTRY).validate(document)
