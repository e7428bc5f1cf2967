"""Validate archives inside a workflow of GitHub: annotations, SARIF report, step summary.

Reads each source once. The environment has the inputs of action.yml (SOURCES, SARIF) and the
files that GitHub names (GITHUB_OUTPUT, GITHUB_STEP_SUMMARY).
"""

from __future__ import annotations

import glob
import html
import json
import os
import sys
from typing import TYPE_CHECKING

import convert
from convert.cli.validate import annotation
from convert.report.sarif import sarif

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: GitHub accepts 1 MiB of summary for a step; the report has the rest.
MOST_FINDINGS = 200
#: Longer messages are cut in the summary.
LONGEST = 400
USAGE_STATUS = convert.UsageError.exit_status


def expand(text: str) -> list[str]:
    """Return the sources that the lines of the input name. A line that matches nothing stays, and is reported."""
    found: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        names = [line] if os.path.lexists(line) else sorted(glob.glob(line, recursive=True))
        found += names or [line]
    return list(dict.fromkeys(found))


def check(source: str) -> convert.Verdict:
    """Validate one source; one that cannot be read does not hide the others."""
    try:
        return convert.validate(source)
    except convert.ImgconvError as error:
        return convert.Verdict(source, None, (), error.exit_status, str(error))


def commands(verdict: convert.Verdict) -> Iterator[str]:
    """Return the workflow commands for what counts in one source."""
    counted = [found for found in verdict.findings if found.counts]
    yield from map(annotation, counted)
    if verdict.status and not counted:
        text = (verdict.error or f"{verdict.file}: not valid").replace("%", "%25")
        yield "::error title=imgconv::" + text.replace("\r", "%0D").replace("\n", "%0A")


def summary(verdicts: Sequence[convert.Verdict]) -> str:
    """Return the step summary: a table of the sources, and one of their findings."""
    lines = ["### imgconv validate", "", "| source | format | result |", "|---|---|---|"]
    rows = []
    for verdict in verdicts:
        counted = [found for found in verdict.findings if found.counts]
        result = (
            "valid" if not verdict.status else f"{len(counted)} findings" if counted else verdict.error or "invalid"
        )
        lines.append(f"| {_cell(verdict.file)} | {_cell(str(verdict.format or '-'))} | {_cell(result)} |")
        for found in counted:
            inside = ": ".join(part for part in (found.file, found.member, found.place) if part)
            rows.append(f"| {found.severity.value} | {_cell(found.rule)} | {_cell(inside)} | {_cell(found.message)} |")
    if rows:
        lines += ["", "| severity | rule | where | finding |", "|---|---|---|---|", *rows[:MOST_FINDINGS]]
    if len(rows) > MOST_FINDINGS:
        lines += ["", f"{len(rows) - MOST_FINDINGS} more findings are not listed."]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Return a text of the archive as inert text of a Markdown table."""
    cut = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    plain = "".join(each if each.isprintable() else "�" for each in cut)
    return "<code>" + html.escape(plain).replace("|", "&#124;").replace("`", "&#96;") + "</code>"


def _append(variable: str, text: str) -> None:
    if path := os.environ.get(variable):
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)


def main() -> int:
    """Validate the sources, and return the exit status of `imgconv validate`."""
    sources = expand(os.environ.get("SOURCES", ""))
    if not sources:
        print("::error title=imgconv::the input 'sources' names no file or folder")
        return USAGE_STATUS
    verdicts = []
    for source in sources:
        verdicts.append(check(source))
        for line in commands(verdicts[-1]):
            print(line, flush=True)
    status = max(verdict.status for verdict in verdicts)
    if report := os.environ.get("SARIF"):
        with open(report, "w", encoding="utf-8") as file:
            json.dump(sarif(verdicts, convert.__version__), file, indent=2)
    _append("GITHUB_OUTPUT", f"status={status}\n")
    _append("GITHUB_STEP_SUMMARY", summary(verdicts))
    return status


if __name__ == "__main__":
    sys.exit(main())
