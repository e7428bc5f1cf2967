"""The page of `doctor`: where archives load, at a glance; and if not, why and what helps."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convert.consumers.rule import Repair, Verdict
from convert.errors import shortened
from convert.report.helps import FOR_REPAIR
from convert.report.html.page import Page, render
from convert.report.html.text import titles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.report.html.room import Room

Document = dict[str, Any]

#: Raised when a key of the data changes its meaning or goes away.
VERSION: Final = 1
_LONGEST_NAME: Final = 80
#: The repository in the citation of a rule: `moby/moby@29.7.2 …`.
_CITED: Final = re.compile(r"([\w.-]+/[\w.-]+)@")
#: Sign and class of each verdict; the word stands beside it.
_SIGNS: Final = {
    Verdict.LOADS.value: ("✓", "good"),
    Verdict.LOSS.value: ("!", "part"),
    Verdict.UNKNOWN.value: ("?", "part"),
    Verdict.REFUSES.value: ("✗", "bad"),
}


#: Consumers that show the digest of a manifest or index; others show the image ID, the digest of the config.
_BY_MANIFEST: Final = frozenset({"docker-containerd", "containerd", "nerdctl", "kind", "k3s", "umoci"})


#: Of a layout, crane pushes an index as it is.
_OTHER_IDENTIFIERS: Final = {("crane", "oci"): "image ID or index digest"}


@dataclass(slots=True)
class _Reason:
    """Why a consumer refuses a source or what it loses, and what helps."""

    reason: Document
    helps: str
    command: str
    link: str


@dataclass(slots=True)
class _Row:
    """One consumer and one source."""

    ident: str
    consumer: str
    call: str
    verdict: str
    sign: str
    kind: str
    identifier: str
    images: Sequence[Document]
    more_images: int
    reasons: list[_Reason]
    mends_first: bool
    is_lenient: bool


@dataclass(slots=True)
class _Source:
    ident: str
    title: str
    short: str
    document: Document
    wrong: list[_Reason]
    rows: Sequence[_Row]


def doctor_page(document: Document) -> bytes:
    """Return the page of `doctor --html` (docs/reports.md) from the document of `doctor --json`."""
    return render(lambda room: _page(document, room))


def _page(found: Document, room: Room) -> Page:
    sources = found["sources"]
    command = " ".join(["imgconv doctor", *(shlex.quote(each["path"]) for each in sources)])
    shown = room.first(sources, "sources", f"{command} --json")
    names = titles([each["path"] for each in sources])
    views = [
        _source(number, each, room, names[number - 1], several=len(sources) > 1) for number, each in enumerate(shown, 1)
    ]
    consumers = list(dict.fromkeys(row.consumer for view in views for row in view.rows))
    values = {
        "sources": views,
        "consumers": consumers,
        "glance": [
            (consumer, [next((row for row in view.rows if row.consumer == consumer), None) for view in views])
            for consumer in consumers
        ],
        "signs": [(word, sign, kind) for word, (sign, kind) in _SIGNS.items()],
    }
    sections = [("glance", "At a glance"), *((each.ident, each.short) for each in views)]
    data = {"report": "page-doctor", "version": VERSION, "doctor": found}
    title = f"imgconv doctor: {', '.join(names[:4])}"
    return Page("doctor.html", title, command, data, values, sections[:40])


def _short(path: str) -> str:
    return shortened(path, _LONGEST_NAME)


def _source(number: int, source: Document, room: Room, name: str, *, several: bool) -> _Source:
    """Return what the template shows of a source; `name` is the short form of its path."""
    ident = f"source-{number}"
    command = f"imgconv doctor {shlex.quote(source['path'])} --json"
    wrong = _wrong(source)
    rows = [
        _row(f"{ident}-consumer-{place}", each, source, wrong, room, command)
        for place, each in enumerate(
            room.first(source["consumers"], f"consumers of {_short(source['path'])}", command), 1
        )
    ]
    title, short = (f"{number}: {text}" if several else text for text in (source["path"], name))
    return _Source(ident, title, short, source, [_reason(*found, source["path"]) for found in wrong.values()], rows)


def _wrong(source: Document) -> dict[str, tuple[Document, Document]]:
    """Return what has to be mended of a source whichever consumer reads it, by its message.

    Each has its reason and the first of the consumers for which it stands; one that stands once is said there.
    """
    reasons = [
        (reason, each)
        for each in source["consumers"]
        if each["verdict"] != Verdict.UNKNOWN.value
        for reason in each["reasons"]
        if reason["rule"] is None and reason["helps"] is not None
    ]
    counts = Counter(reason["message"] for reason, _ in reasons)
    found: dict[str, tuple[Document, Document]] = {}
    for reason, each in reasons:
        if counts[reason["message"]] > 1:
            found.setdefault(reason["message"], (reason, each))
    return found


def _is_faulty(source: Document) -> bool:
    """Return whether a consumer finds a fault that only another archive mends."""
    return any(
        reason["helps"] == Repair.SOURCE.value
        for each in source["consumers"]
        if each["verdict"] == Verdict.REFUSES.value
        for reason in each["reasons"]
    )


def _row(
    ident: str,
    each: Document,
    source: Document,
    wrong: dict[str, tuple[Document, Document]],
    room: Room,
    command: str,
) -> _Row:
    name = f"{each['consumer']} {each['version']}"
    if each["inside"]:
        name += f" ({each['inside'].replace('@', ' ')})"
    sign, kind = _SIGNS[each["verdict"]]
    mends_first = any(reason["message"] in wrong for reason in each["reasons"])
    reasons = [_reason(reason, each, source["path"]) for reason in each["reasons"] if reason["message"] not in wrong]
    images = room.first(each["images"], f"names in {each['consumer']}", command)
    return _Row(
        ident=ident,
        consumer=name,
        call=f"{each['call']}{', ' + each['transport'] if each['transport'] else ''}",
        verdict=each["verdict"],
        sign=sign,
        kind=kind,
        identifier=_identifier(each, source),
        images=images,
        more_images=len(each["images"]) - len(images),
        reasons=reasons,
        mends_first=mends_first,
        is_lenient=each["verdict"] == Verdict.LOADS.value and _is_faulty(source),
    )


def _identifier(consumer: Document, source: Document) -> str:
    """Return what a consumer shows to identify an image."""
    if consumer["consumer"] in _BY_MANIFEST:
        return "manifest or index digest"
    return _OTHER_IDENTIFIERS.get((consumer["consumer"], source["format"]), "image ID")


def _reason(reason: Document, consumer: Document, source: str) -> _Reason:
    cited = _CITED.match(reason["source"] or "")
    link = f"https://github.com/{cited[1]}" if cited else ""
    if reason["helps"] is None or consumer["verdict"] == Verdict.UNKNOWN.value:
        return _Reason(reason, "", "", link)
    helps = FOR_REPAIR[Repair(reason["helps"])]
    wanted = f"{consumer['consumer']}@{consumer['version']}"
    return _Reason(reason, helps.text, helps.line(source, wanted), link)
