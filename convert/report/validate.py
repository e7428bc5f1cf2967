"""The `--json` document of `imgconv validate` (schemas/report-validate.json)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from convert.consumers.consumer import PROGRAMS, parse_consumer
from convert.consumers.refusals import refusals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.reader.findings import Verdict

#: Raised when a key of the document changes its meaning or goes away.
VERSION: Final = 1
_SEVERITIES: Final = ("error", "warning", "note")
#: What names every consumer; and tools as `refused_by` names them -> as `doctor` does.
_ALL: Final = frozenset({"every tool", "every tool that needs the content"})
_TOOLS: Final = {"dockerd": "docker"}


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


def affected_text(finding: dict[str, Any], most: int = 3) -> str:
    """Return the first names that a finding of the document affects, "" where it has none."""
    names = finding.get("names", [])[:most]
    more = finding.get("name_count", 0) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def refused_text(finding: dict[str, Any]) -> str:
    """Return who refuses a source for a finding of the document: by its rule, and who else by the rules of `doctor`."""
    known = finding["refused_by"] or ""
    if known in _ALL:
        return known
    inside = _inside(known, finding["consumers"])
    # "dockerd, containerd": all versions of a tool that is named alone.
    named = {_TOOLS.get(each, each) for each in known.split(", ")}
    others = [
        each["consumer"] if each["versions"] == "all" else f"{each['consumer']} {each['versions']}"
        for each in finding["consumers"]
        if each["consumer"].partition("/")[0] not in named
    ]
    text = known
    if others:
        text = f"{known}; also refused by " if known else ""
        text += f"(see imgconv doctor){':' if known else ''} {', '.join(others)}"
    return f"{text}; {inside}" if inside else text


def _inside(known: str, consumers: Sequence[dict[str, Any]]) -> str:
    """Return who refuses a source because the consumer inside does, "" if none of them refuses it."""
    refusing = {each["consumer"] for each in consumers} | set(known.split(", "))
    found: dict[str, list[str]] = {}
    for program in PROGRAMS.values():
        name = parse_consumer(program.name).reads_as[0]
        if name != program.name and name in refusing:
            found.setdefault(name, []).append(program.name)
    return "; ".join(f"{' and '.join(names)} as the {name} in them" for name, names in found.items())


def counts_text(source: dict[str, Any]) -> str:
    """Return the verdict on a source of the document in words: how many findings of each severity."""
    if source["error"] is not None:
        return "not read"
    counts = Counter(found["severity"] for found in source["findings"])
    words = [f"{counts[each]} {each}{'s' if counts[each] > 1 else ''}" for each in _SEVERITIES if counts[each]]
    if source["status"] == 0:
        return f"valid; {words[0]}" if words else "valid"
    return ", ".join(words) or "not valid"
