"""The result of `doctor`, its `--json` document (schemas/report-doctor.json), and its table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convert.consumers.rule import Verdict
from convert.errors import printable, quoted, shortened
from convert.report.markdown import cell, code, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.consumers.diagnose import Diagnosis
    from convert.errors import ImgconvError
    from convert.model.image_set import SourceFormat
    from convert.model.platform import Platform

#: Raised when a key of the document changes its meaning or goes away.
VERSION: Final = 1
HEAD: Final = ("consumer", "verdict", "known there as, or why not", "what helps")
_DIGEST: Final = re.compile(r"(sha(?:256|512):[0-9a-f]{12})[0-9a-f]{52,}")
_NO: Final = 1
_SHOWN: Final = 4
_LONGEST: Final = 200
_LINE: Final = "\n"


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """Where an archive loads.

    `format` is that of the source, None if it is no image. `platform` is that of the
    consumers. `diagnoses` has one element for each consumer, in the order in which they were
    asked for. `problem` states why the source is no image, or cannot be read any further.
    """

    source: str
    format: SourceFormat | None
    platform: Platform
    diagnoses: tuple[Diagnosis, ...]
    problem: ImgconvError | None = None

    @property
    def status(self) -> int:
        """The exit status of the command (docs/contract.md#exit-status)."""
        if self.problem is not None:
            return self.problem.exit_status
        return 0 if all(each.verdict.fits for each in self.diagnoses) else _NO


def document(reports: Sequence[DoctorReport]) -> dict[str, Any]:
    """Return what was found of each source."""
    return {
        "report": "doctor",
        "version": VERSION,
        "status": max((report.status for report in reports), default=0),
        "sources": [
            {
                "path": report.source,
                "format": report.format,
                "platform": report.platform.full,
                "status": report.status,
                "error": _error(report),
                "consumers": [_consumer(each) for each in report.diagnoses],
            }
            for report in reports
        ],
    }


def _error(report: DoctorReport) -> dict[str, str | None] | None:
    problem = report.problem
    if problem is None:
        return None
    return {"code": problem.code, "member": problem.member, "message": problem.message, "hint": problem.hint}


def _consumer(diagnosis: Diagnosis) -> dict[str, Any]:
    inside, version = diagnosis.consumer.reads_as
    return {
        "consumer": diagnosis.consumer.name,
        "version": ".".join(map(str, diagnosis.consumer.version)),
        "inside": f"{inside}@{'.'.join(map(str, version))}" if inside != diagnosis.consumer.name else None,
        "call": diagnosis.consumer.program.call,
        "transport": diagnosis.way or None,
        "verdict": diagnosis.verdict.value,
        "images": [{"name": each.name or None, "id": str(each.id) if each.id else None} for each in diagnosis.known],
        "reasons": [
            {
                "rule": reason.rule.name if reason.rule is not None else None,
                "message": printable(reason.text),
                "helps": reason.helps.value if reason.helps is not None else None,
                "source": reason.rule.source if reason.rule is not None else None,
                "finding": (reason.rule.finding or None) if reason.rule is not None else None,
            }
            for reason in diagnosis.reasons
        ],
    }


def rows(report: DoctorReport) -> list[tuple[str, str, str, str]]:
    """Return the rows of the table for people, each name on a line; there are no other control characters."""
    return [(_who(each), each.verdict.value, _what(each), _helps(each)) for each in report.diagnoses]


def _who(diagnosis: Diagnosis) -> str:
    way = f" {diagnosis.way}" if diagnosis.way else ""
    name, version = diagnosis.consumer.reads_as
    inside = "" if name == diagnosis.consumer.name else f" ({name} {'.'.join(map(str, version))})"
    return f"{diagnosis.consumer.name} {'.'.join(map(str, diagnosis.consumer.version))}{inside}{way}"


def _what(diagnosis: Diagnosis) -> str:
    reasons = "; ".join(_short(reason.text) for reason in diagnosis.reasons)
    if not diagnosis.verdict.fits:
        return reasons
    known = [quoted(_short(each.name)) if each.name else _short(str(each.id or "")) for each in diagnosis.known]
    known = [text for text in dict.fromkeys(known) if text]
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    names = "\n".join(known[:_SHOWN]) + more
    return f"{names}\n{reasons}" if names and reasons else names or reasons


def _short(text: str) -> str:
    """Return a text for a table: digests with 12 digits, no control characters."""
    return shortened(_DIGEST.sub(r"\1", printable(text)), _LONGEST)


def _helps(diagnosis: Diagnosis) -> str:
    if diagnosis.verdict in {Verdict.LOADS, Verdict.UNKNOWN}:
        return ""
    return "; ".join(dict.fromkeys(reason.helps.value for reason in diagnosis.reasons if reason.helps is not None))


def markdown(reports: Sequence[DoctorReport]) -> str:
    """Return the tables as Markdown: texts from the archive stand in code spans."""
    lines: list[str] = []
    for report in reports:
        lines += [f"### {code(report.source)}", ""]
        if report.problem is not None:
            lines += [code(report.problem.message), ""]
            continue
        found = (
            (who, verdict, cell(what.replace(_LINE, ", ")), cell(helps)) for who, verdict, what, helps in rows(report)
        )
        lines += [*table(HEAD, found), ""]
    return "\n".join(lines)
