"""What `diff` finds as Markdown, for step summaries and pull requests.

It is bounded, because GitHub refuses a summary of more than 1 MiB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convert.errors import names_text
from convert.report.comparison import shown
from convert.report.graph.build import shorten
from convert.report.inspect import size_text
from convert.report.markdown import cell, code, table

if TYPE_CHECKING:
    from collections.abc import Sequence

Document = dict[str, Any]

#: Rows of all tables, and characters of a text in a cell.
_ROWS: Final = 500
_LONGEST: Final = 200


def markdown(document: Document) -> str:
    """Return the document of `diff --json` as tables: what differs first, then what is the same."""
    writer = _Writer()
    same = "the same images" if document["same"] else "different images"
    writer.lines += [
        "### imgconv diff",
        "",
        *table(("", "source"), [("A", cell(document["a"])), ("B", cell(document["b"]))]),
        "",
        f"**{same}**, compared by {document['by']}"
        + (f", ignoring {', '.join(document['ignore'])}" if document["ignore"] else ""),
        "",
    ]
    images = sorted(document["images"], key=lambda one: one["same"])
    for one in writer.first(images, "images"):
        writer.image(one)
    others = [
        (where, digest) for where, key in (("A", "only_a"), ("B", "only_b")) for digest in document["others"][key]
    ]
    if others:
        rows = [(where, cell(digest)) for where, digest in writer.first(others, "artifacts")]
        writer.lines += [*table(("only in", "artifact, or image that is not in the source"), rows), ""]
    return "\n".join(writer.lines)


class _Writer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self._rows = _ROWS

    def first(self, things: Sequence[Any], what: str) -> Sequence[Any]:
        """Return as many things as there are rows left; a line states how many were left out."""
        found = things[: self._rows]
        self._rows -= len(found)
        if len(found) < len(things):
            self.lines += [f"{len(things) - len(found)} more {what}; --format json has them all.", ""]
        return found

    def image(self, one: Document) -> None:
        side = one["a"] or one["b"]
        name = names_text(side["names"][:3]) if side["names"] else shorten(side["image_id"])
        platform = f" {code(side['platform'])}" if side["platform"] else ""
        self.lines += [f"#### {code(name)}{platform}: {'same' if one['same'] else 'differs'}", ""]
        self.lines += [code(one["words"], _LONGEST * 2), ""]
        if one["a"] is not None and one["b"] is not None:
            self._sides(one)
        for what in ("config", "manifest"):
            self._keys(one, what)
        for found in one["files"] or ():
            self._files(found)

    def _sides(self, one: Document) -> None:
        a, b = one["a"], one["b"]
        rows = [
            (label, cell(_value(a[key]), _LONGEST), cell(_value(b[key]), _LONGEST))
            for label, key in (
                ("names", "names"),
                ("image ID", "image_id"),
                ("manifest digest", "manifest_digest"),
                ("index digest", "index_digest"),
            )
            if a[key] != b[key]
        ]
        for number, pair in enumerate(one["layers"], 1):
            if not pair["same_bytes"]:
                rows.append((f"layer {number}", _layer(pair["a"]), _layer(pair["b"])))
        rows = list(self.first(rows, "differences"))
        if rows:
            self.lines += [*table(("", "A", "B"), rows), ""]

    def _keys(self, one: Document, what: str) -> None:
        found = [
            (cell(each["path"] or "document"), *(cell(shown(each[key]) if key in each else "absent") for key in "ab"))
            for each in self.first(one[what], f"differences of the {what}")
        ]
        if found:
            self.lines += [*table((what, "A", "B"), found), ""]
        if one["left_out"][what]:
            self.lines += [f"{one['left_out'][what]} more differences of the {what}.", ""]

    def _files(self, found: Document) -> None:
        a, b = (code(shorten(found[key])) if found[key] else "none" for key in "ab")
        self.lines += [f"Files of layer {a} in A and {b} in B:", ""]
        rows = [
            (each["change"], cell(each["path"]), *(_size(each, key) for key in "ab"), _differs(each))
            for each in self.first(found["files"], "files")
        ]
        if rows:
            self.lines += [*table(("change", "path", "size in A", "size in B", "differs in"), rows, right=(2, 3)), ""]
        elif not found["files"]:
            self.lines += ["The same; the tars differ in order, padding or form of their headers.", ""]


def _value(value: Any) -> str:
    return names_text(value) if isinstance(value, list) else value or "none"


def _layer(side: Document | None) -> str:
    if side is None:
        return "none"
    compression = f" {side['compression']}" if side["compression"] else ""
    return cell(f"{shorten(side['diff_id'])}{compression}")


def _size(found: Document, key: str) -> str:
    """Return a size that differs, "" where it does not."""
    sizes = found["attributes"].get("size")
    return size_text(int(sizes[key])) if sizes is not None and sizes[key] is not None else ""


def _differs(found: Document) -> str:
    return ", ".join(found["attributes"]) if found["change"] == "changed" else ""
