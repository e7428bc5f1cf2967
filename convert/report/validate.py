"""The `--json` document of `imgconv validate` (schemas/report-validate.json)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convert.consumers.refusals import refusals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.reader.findings import Verdict

#: Raised when a key of the document changes its meaning or goes away.
VERSION: Final = 1


def document(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return what was found in each source, notes included."""
    return {
        "report": "validate",
        "version": VERSION,
        "status": max((verdict.status for verdict in verdicts), default=0),
        "sources": [
            {
                "path": verdict.file,
                "format": verdict.format,
                "status": verdict.status,
                "error": verdict.error,
                "findings": [
                    {
                        "rule": found.rule,
                        "severity": found.severity.value,
                        "member": found.member,
                        "place": found.place,
                        "message": found.message,
                        "refused_by": found.refused_by,
                        **({"names": list(found.names), "name_count": found.name_count} if found.names else {}),
                        "consumers": [
                            {"consumer": each.consumer, "versions": str(each.versions)} for each in refusals(found.rule)
                        ],
                    }
                    for found in verdict.findings
                ],
            }
            for verdict in verdicts
        ],
    }
