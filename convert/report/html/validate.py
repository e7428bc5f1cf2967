"""The page of `validate`: findings where they belong, who refuses the source for them, and what helps."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convert.errors import names_text, shortened
from convert.reader.findings import RULES
from convert.report.blame import blame
from convert.report.graph.build import shorten
from convert.report.helps import help_for, stopping_rules
from convert.report.html.page import Page, render
from convert.report.html.text import numbers_text, titles
from convert.report.validate import affected_text, counts_text, refused_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.report.blame import Blamed, Group, Part
    from convert.report.html.room import Room

Document = dict[str, Any]

#: Raised when a key of the data changes its meaning or goes away.
VERSION: Final = 1
_LONGEST_NAME: Final = 80
#: Tags of the storage of a registry that the page names for a finding.
_MOST_NAMES: Final = 20
_VERBS: Final = tuple(f"{verb} " for verb in ("is", "are", "has", "lacks", "lists", "names", "states", "does"))
_TITLES: Final = {
    "archive": "Documents of the archive",
    "index": "Index",
    "manifest": "Manifest",
    "config": "Config",
    "other": "Other part",
}


@dataclass(slots=True)
class _Finding:
    """A finding as the page shows it."""

    ident: str
    number: int
    finding: Document
    message: str
    where: str
    refused: str
    requirement: str
    helps: str
    command: str
    affects: str


@dataclass(slots=True)
class _Part:
    title: str
    identifier: str
    also: str
    findings: list[_Finding]


@dataclass(slots=True)
class _Group:
    title: str
    ident: str
    parts: list[_Part]
    sound: str


@dataclass(slots=True)
class _Source:
    """A source as the page shows it: its verdict, its findings in order, and the groups that they belong to."""

    path: str
    title: str
    short: str
    ident: str
    document: Document
    command: str
    verdict: str
    stops: frozenset[str]
    findings: Sequence[_Finding]
    groups: list[_Group]


def validate_page(document: Document, inspected: Sequence[Document | None]) -> bytes:
    """Return the page of `validate --html` (docs/reports.md).

    Args:
        document: the document of `validate --json`.
        inspected: for each of its sources the document of `inspect`, None if no image could be read.
    """
    return render(lambda room: _page(document, inspected, room))


def _page(document: Document, inspected: Sequence[Document | None], room: Room) -> Page:
    sources = document["sources"]
    command = " ".join(["imgconv validate", *(shlex.quote(each["path"]) for each in sources)])
    shown = room.first(list(zip(sources, inspected, strict=True)), "sources", f"{command} --json")
    names = titles([each["path"] for each in sources])
    views = [
        _source(number, source, images, room, names[number - 1], several=len(sources) > 1)
        for number, (source, images) in enumerate(shown, 1)
    ]
    first = next((view for view in views if view.document["status"] and view.findings), None)
    values = {"sources": views, "first": first.findings[0] if first else None, "first_source": first}
    sections = [("verdict", "Verdict"), *((view.ident, view.short) for view in views)]
    data = {"report": "page-validate", "version": VERSION, "validate": document, "inspect": list(inspected)}
    title = f"imgconv validate: {', '.join(names[:4])}"
    return Page("validate.html", title, command, data, values, sections[:40])


def _source(
    number: int, source: Document, inspected: Document | None, room: Room, name: str, *, several: bool
) -> _Source:
    """Return what the template shows of a source; `name` is the short form of its path."""
    ordered, groups = blame(source["findings"], inspected)
    command = f"imgconv validate {shlex.quote(source['path'])}"
    kept = room.first(ordered, f"findings of {shortened(source['path'], _LONGEST_NAME)}", f"{command} --json")
    ident = f"source-{number}"
    found: dict[int, _Finding] = {}
    title, short = (f"{number}: {text}" if several else text for text in (source["path"], name))
    stops = stopping_rules(source["findings"])
    view = _Source(
        source["path"],
        title,
        short,
        ident,
        source,
        f"{command} --verbose",
        counts_text(source),
        stops,
        findings=[],
        groups=[],
    )
    several = sum(group.number > 0 for group in groups) > 1
    for group in groups:
        view.groups += _group(view, group, {each.number for each in kept}, found, several=several)
    view.findings = [found[each.number] for each in kept]
    return view


def _group(
    view: _Source, group: Group, kept: set[int], found: dict[int, _Finding], *, several: bool
) -> Sequence[_Group]:
    """Return a group with its parts that have findings; nothing for parts of no image that have none."""
    name = _name(group)
    parts = []
    for part in group.blamed:
        title = f"Layer {part.number}" if part.kind == "layer" else _TITLES[part.kind]
        where = f"{title} of {name}" if several and group.number else title
        if part.kind in {"index", "other"}:
            where = f"{title} {shortened(part.identifier, _LONGEST_NAME)}"
        findings = [_finding(view, each, where) for each in part.findings if each.number in kept]
        found.update((each.number, each) for each in findings)
        if findings:
            parts.append(_Part(title, part.identifier, _also(part), findings))
    if not parts and not group.number:
        return ()
    return [_Group(name, f"{view.ident}-{_ident(group)}", parts, _sound(group))]


def _ident(group: Group) -> str:
    return f"image-{group.number}" if group.number else group.parts[0].kind


def _name(group: Group) -> str:
    image = group.image
    if image is None:
        return "Indexes" if group.parts[0].kind == "index" else "The archive"
    names = names_text(image["names"][:2]) if image["names"] else shorten(image["image_id"] or "")
    return f"Image {group.number}: {shortened(names, _LONGEST_NAME)}"


def _also(part: Part) -> str:
    if not part.images:
        return ""
    more = f" and {len(part.images) - 10} more" if len(part.images) > 10 else ""
    return f"also in image {', '.join(map(str, part.images[:10]))}{more}"


def _sound(group: Group) -> str:
    """Return in words which parts of an image have no finding."""
    if not group.number:
        return ""
    sound = [part for part in group.parts if not part.findings]
    layers = [part.number for part in sound if part.kind == "layer"]
    words = [f"the {part.kind}" for part in sound if part.kind != "layer"]
    words += [numbers_text("layer", layers)] if layers else []
    return f"Nothing wrong with: {', '.join(words)}." if words else ""


def _message(finding: Document) -> str:
    """Return what is wrong as a sentence: a message that starts with its verb is about the member."""
    message: str = finding["message"]
    return f"{finding['member']} {message}" if finding["member"] and message.startswith(_VERBS) else message


def _finding(view: _Source, each: Blamed, where: str) -> _Finding:
    rule = RULES.get(each.finding["rule"])
    helps, command = help_for(each.finding["rule"], view.path, view.stops)
    return _Finding(
        ident=f"{view.ident}-finding-{each.number}",
        number=each.number,
        finding=each.finding,
        message=_message(each.finding),
        where=where,
        refused=refused_text(each.finding),
        requirement=rule.text.replace("`", "") if rule is not None else "",
        helps=helps,
        command=command,
        affects=affected_text(each.finding, _MOST_NAMES),
    )
