"""What `validate` finds as Markdown, for step summaries and pull requests.

It is bounded, because GitHub refuses a summary of more than 1 MiB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convert.report.helps import help_for, stopping_rules
from convert.report.markdown import cell, code, table
from convert.report.validate import affected_text, counts_text, refused_text

if TYPE_CHECKING:
    from collections.abc import Sequence

Document = dict[str, Any]

#: Rows of all tables, and characters of a text in a cell.
_ROWS: Final = 500
_LONGEST: Final = 300
_HEAD: Final = ("severity", "rule", "where", "what is wrong", "refused by", "what helps")


def markdown(document: Document, *, notes: bool) -> str:
    """Return one table of findings a source, from the document of `validate --json`; `notes` come last."""
    rows_left = _ROWS
    lines = ["### imgconv validate", ""]
    sources = document["sources"]
    if len(sources) > 1:
        found = [(cell(each["path"]), each["format"] or "no image", counts_text(each)) for each in sources[:_ROWS]]
        lines += [*table(("source", "format", "verdict"), found), ""]
    for source in sources:
        lines += [f"#### {code(source['path'])}: {counts_text(source)}", ""]
        if source["error"] is not None:
            lines += [code(source["error"]), ""]
        findings = [each for each in source["findings"] if notes or each["severity"] != "note"]
        findings.sort(key=lambda each: _ORDER[each["severity"]])
        shown = findings[:rows_left]
        rows_left -= len(shown)
        if shown:
            stops = stopping_rules(source["findings"])
            lines += [*table(_HEAD, [_row(each, source["path"], stops) for each in shown]), ""]
        if len(shown) < len(findings):
            lines += [f"{len(findings) - len(shown)} more findings; --format json has them all.", ""]
    return "\n".join(lines)


_ORDER: Final = {"error": 0, "warning": 1, "note": 2}


def _row(finding: Document, source: str, stops: frozenset[str]) -> Sequence[str]:
    place = ": ".join(part for part in (affected_text(finding), finding["member"], finding["place"]) if part)
    helps, command = help_for(finding["rule"], source, stops)
    return (
        finding["severity"],
        f"`{finding['rule']}`",
        cell(place, _LONGEST),
        cell(finding["message"], _LONGEST),
        refused_text(finding),
        helps + (f" {cell(command, _LONGEST)}" if command else ""),
    )
