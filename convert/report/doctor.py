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
    from convert.consumers.names import Known
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

    `format` is that of the source, None if it is not an image. `platform` is that of the
    consumers. `diagnoses` has one element for each consumer, in the order in which they were
    asked for. `problem` states why the source is not an image, or cannot be read any further.
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
    """Return what was found of each source; consumers that know the same images share the list of them."""
    images: dict[tuple[Known, ...], list[dict[str, str | None]]] = {}
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
                "consumers": [_consumer(each, images) for each in report.diagnoses],
            }
            for report in reports
        ],
    }


def _error(report: DoctorReport) -> dict[str, str | None] | None:
    problem = report.problem
    if problem is None:
        return None
    return {"code": problem.code, "member": problem.member, "message": problem.message, "hint": problem.hint}


def _consumer(diagnosis: Diagnosis, images: dict[tuple[Known, ...], list[dict[str, str | None]]]) -> dict[str, Any]:
    known = diagnosis.known
    if known not in images:
        images[known] = [{"name": each.name or None, "id": str(each.id) if each.id else None} for each in known]
    inside, version = diagnosis.consumer.reads_as
    return {
        "consumer": diagnosis.consumer.name,
        "version": ".".join(map(str, diagnosis.consumer.version)),
        "inside": f"{inside}@{'.'.join(map(str, version))}" if inside != diagnosis.consumer.name else None,
        "call": diagnosis.consumer.program.call,
        "transport": diagnosis.way or None,
        "verdict": diagnosis.verdict.value,
        "images": images[known],
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
    shown: dict[tuple[Known, ...], str] = {}
    return [(_who(each), each.verdict.value, _what(each, shown), _helps(each)) for each in report.diagnoses]


def _who(diagnosis: Diagnosis) -> str:
    way = f" {diagnosis.way}" if diagnosis.way else ""
    name, version = diagnosis.consumer.reads_as
    inside = "" if name == diagnosis.consumer.name else f" ({name} {'.'.join(map(str, version))})"
    return f"{diagnosis.consumer.name} {'.'.join(map(str, diagnosis.consumer.version))}{inside}{way}"


def _what(diagnosis: Diagnosis, shown: dict[tuple[Known, ...], str]) -> str:
    """Return why an archive does not load, or what it is known as; `shown` keeps that for further consumers."""
    reasons = "; ".join(_short(reason.text) for reason in diagnosis.reasons)
    if not diagnosis.verdict.fits:
        return reasons
    if diagnosis.known not in shown:
        shown[diagnosis.known] = _known(diagnosis.known)
    names = shown[diagnosis.known]
    return f"{names}\n{reasons}" if names and reasons else names or reasons


def _known(images: Sequence[Known]) -> str:
    known = [quoted(_short(each.name)) if each.name else _short(str(each.id or "")) for each in images]
    known = [text for text in dict.fromkeys(known) if text]
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return "\n".join(known[:_SHOWN]) + more


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
