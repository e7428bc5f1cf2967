"""The page of `diff`: two archives side by side, what differs first, the files, and what an update costs."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from convert.errors import names_text, shortened
from convert.report.diff_files import WHITEOUT, file_document, is_whiteout
from convert.report.graph.build import shorten
from convert.report.html.chart import MOST_IMAGES, layer_chart
from convert.report.html.diff_parts import LowerFiles, Parts, layer_numbers
from convert.report.html.page import Page, render
from convert.report.html.text import numbers_text, titles
from convert.report.html.values import value_text
from convert.report.identify import problem_part
from convert.report.inspect import size_text, step_text
from convert.report.sharing import find_sharing
from convert.report.update_cost import update_cost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.report.comparison import FileDifference
    from convert.report.diff_files import Compared, ComparedFiles, Side
    from convert.report.html.room import Room

Document = dict[str, Any]

#: Raised when a key of the data changes its meaning or goes away.
VERSION: Final = 1
_LONGEST_LABEL: Final = 60
_OPAQUE: Final = ".wh..wh..opq"
_FOLDER: Final = "folder: an entry of this layer; layers below may have it too"
#: The order of the sums of files; `diff` counts a whiteout as added.
_SUMS: Final = ("added", "deleted", "removed", "changed")
_BY: Final = {"id": "image IDs", "layers": "DiffIDs", "digest": "manifest digests"}


@dataclass(slots=True)
class _Layer:
    """A row of the table of layers."""

    ident: str
    number: int
    what: str
    kind: str
    a: Document | None
    b: Document | None
    step_a: str
    step_b: str


@dataclass(slots=True)
class _Files:
    """The files of one pair of layers."""

    title: str
    sums: dict[str, Document]
    files: Sequence[Document]
    total: int
    problem: Document | None


@dataclass(slots=True)
class _Pair:
    """Two images side by side."""

    ident: str
    title: str
    same: bool
    words: str
    why: str
    facts: Sequence[tuple[str, str, str, str]]
    pushes: Sequence[str] = ()
    update: str = ""
    cost: Document | None = None
    layers: Sequence[_Layer] = ()
    keys: list[tuple[str, Sequence[tuple[str, str, str]], int]] = field(default_factory=list)
    files: list[_Files] = field(default_factory=list)
    sums: dict[str, Document] = field(default_factory=dict)


def diff_page(compared: Compared) -> bytes:
    """Return the page of `diff --html` (docs/reports.md)."""
    parts = Parts(compared)
    return render(lambda room: _page(parts, room))


def _page(parts: Parts, room: Room) -> Page:
    compared = parts.compared
    a, b = compared.sides
    command = " ".join(["imgconv diff", shlex.quote(a.path), shlex.quote(b.path), *compared.options])
    document = compared.document
    costs: list[Document] = []
    pairs: list[_Pair] = []
    if document is not None:
        images = list(enumerate(document["images"]))
        # What differs comes first.
        images.sort(key=lambda each: each[1]["same"])
        pairs = [
            _pair(number, one, parts, costs, room, command) for number, one in room.first(images, "images", command)
        ]
    values = {
        "sides": [_side(side, room, command) for side in compared.sides],
        "document": document,
        "by": _BY[document["by"]] if document is not None else "",
        "different": sum(not one["same"] for one in document["images"]) if document is not None else 0,
        "pairs": pairs,
        "chart": _chart(parts, pairs),
        "others": _others(document, room, command),
        "inspect_command": f"imgconv inspect {shlex.quote(a.path)} {shlex.quote(b.path)} --html FILE",
    }
    sections = [("verdict", "Verdict"), ("layers", "Layers"), *((pair.ident, pair.title) for pair in pairs[:30])]
    data = {
        "report": "page-diff",
        "version": VERSION,
        "diff": document,
        "a": a.inspected,
        "b": b.inspected,
        "updates": costs,
        "files": parts.file_documents,
        "problems": [
            {"path": side.path} | problem_part(side.error) for side in compared.sides if side.error is not None
        ],
    }
    title = f"imgconv diff: {' and '.join(titles([a.path, b.path]))}"
    return Page("diff.html", title, command, data, values, sections)


def _side(side: Side, room: Room, command: str) -> Document:
    inspected = side.inspected
    return {
        "path": side.path,
        "inspected": inspected,
        "problems": [problem_part(side.error)] if side.error is not None else [],
        "warnings": room.first(inspected["warnings"], "warnings", command) if inspected is not None else (),
        "images": len(inspected["images"]) if inspected is not None else None,
    }


def _others(document: Document | None, room: Room, command: str) -> Sequence[tuple[str, str]]:
    """Return the artifacts and other things that only one archive has."""
    if document is None:
        return ()
    found = [(where, digest) for where, key in (("A", "only_a"), ("B", "only_b")) for digest in document["others"][key]]
    return room.first(found, "artifacts that only one archive has", command)


def _pair(number: int, one: Document, parts: Parts, costs: list[Document], room: Room, command: str) -> _Pair:
    compared = parts.compared
    a, b = parts.images(one)
    ident = f"pair-{number + 1}"
    pair = _Pair(
        ident,
        _title(number, one),
        one["same"],
        one["words"],
        _why(one),
        list(_facts(one, a, b)),
        _pushes(one, compared),
    )
    if a is not None and b is not None:
        pair.cost = update_cost(a, b)
        pair.update = parts.update(one)
        costs.append({"image": number, **pair.cost})
    pair.layers = room.first(list(_layers(ident, one, a, b)), f"layers of {pair.title}", command)
    for what in ("config", "manifest"):
        keys = [(each["path"] or "document", value_text(each, "a"), value_text(each, "b")) for each in one[what]]
        shown = room.first(keys, f"differences of the {what} of {pair.title}", command)
        if shown:
            pair.keys.append((what, shown, one["left_out"][what]))
    compared_files = parts.files(number)
    numbers = (layer_numbers(one, "a", a), layer_numbers(one, "b", b))
    lower = LowerFiles()
    for found in compared_files:
        pair.files.append(_files(found, numbers, lower, room, f"{command} --files"))
        lower.add(found)
    pair.sums = {
        change: {key: sum(files.sums[change][key] for files in pair.files) for key in ("files", "size_a", "size_b")}
        for change in _SUMS
    }
    return pair


def _title(number: int, one: Document) -> str:
    """Return a heading that names both images if their names differ."""
    a, b = one["a"], one["b"]
    if a is None or b is None or set(a["names"]) & set(b["names"]) or _name(a) == _name(b):
        return f"{number + 1}: {_side_title(a or b)}"
    if a["platform"] == b["platform"]:
        return f"{number + 1}: {_name(a)} (A) and {_name(b)} (B)" + (f" {a['platform']}" if a["platform"] else "")
    return f"{number + 1}: {_side_title(a)} (A) and {_side_title(b)} (B)"


def _side_title(side: Document) -> str:
    return shortened(_name(side) + (f" {side['platform']}" if side["platform"] else ""), _LONGEST_LABEL)


def _name(side: Document) -> str:
    return shortened(names_text(side["names"][:1]) if side["names"] else shorten(side["image_id"]), _LONGEST_LABEL)


def _why(one: Document) -> str:
    """Return why two image IDs differ: what differs in the layers and the config; "" if they do not differ."""
    if one["same"] or one["same_image_id"] or one["a"] is None or one["b"] is None:
        return ""
    layers = list(enumerate(one["layers"], 1))
    parts = []
    for numbers, has in (
        ([number for number, pair in layers if pair["a"] and pair["b"] and not pair["same_content"]], "other content"),
        ([number for number, pair in layers if pair["a"] is None], "new"),
        ([number for number, pair in layers if pair["b"] is None], "only in A"),
    ):
        if numbers:
            verb = ("has", "have") if has == "other content" else ("is", "are")
            parts.append(f"{numbers_text('layer', numbers)} {verb[len(numbers) > 1]} {has}")
    keys = len(one["config"]) + one["left_out"]["config"]
    if keys:
        parts.append(f"{keys} key{'s' if keys > 1 else ''} of the config differ{'' if keys > 1 else 's'}")
    what = ", ".join(parts) or "they have the same content in other bytes (spacing, order of keys)"
    return f"The image IDs differ because the configs differ (an image ID is the sha256 of the config): {what}."


def _facts(one: Document, a: Document | None, b: Document | None) -> Iterator[tuple[str, str, str, str]]:
    """Yield rows of a table: what, A's, B's, and the verdict."""
    for label, key in (
        ("names", "names"),
        ("platform", "platform"),
        ("image ID", "image_id"),
        ("manifest digest", "manifest_digest"),
        ("index digest", "index_digest"),
    ):
        values = [side[key] if side is not None else None for side in (one["a"], one["b"])]
        shown = [names_text(value[:50]) if isinstance(value, list) else value or "none" for value in values]
        same = set(values[0] or ()) == set(values[1] or ()) if key == "names" else values[0] == values[1]
        yield label, shown[0], shown[1], _verdict(same=same, absent=not any(values))
    counts = [str(len(image["layers"])) if image is not None else "none" for image in (a, b)]
    yield "layers", counts[0], counts[1], _verdict(same=counts[0] == counts[1])


def _verdict(*, same: bool, absent: bool = False) -> str:
    return "neither has one" if absent else "same" if same else "differs"


def _pushes(one: Document, compared: Compared) -> list[str]:
    """Return the commands for the digests that a push gives, where no archive tells why these differ."""
    a, b = one["a"], one["b"]
    if a is None or b is None or one["same_image_id"] or a["manifest_digest"] or b["manifest_digest"]:
        return []
    return [f"imgconv digest {shlex.quote(side.path)}" for side in compared.sides]


def _layers(ident: str, one: Document, a: Document | None, b: Document | None) -> Iterator[_Layer]:
    """Yield the layers of both images, the lowest first."""
    for place, pair in enumerate(one["layers"]):
        # An image that `inspect` does not have is known by what `diff` states of its layers.
        sides = [
            None
            if pair[key] is None
            else {"size": None, **(image["layers"][place] if image is not None else pair[key])}
            for image, key in ((a, "a"), (b, "b"))
        ]
        if sides[0] is None or sides[1] is None:
            what, kind = ("only in A", "removed") if sides[1] is None else ("only in B", "added")
        elif pair["same_bytes"]:
            what, kind = "same", ""
        elif pair["same_content"]:
            what, kind = f"same content, {_how(pair)}", "changed"
        else:
            what, kind = "differs", "changed"
        steps = [step_text(side.get("history")) if side is not None else "" for side in sides]
        yield _Layer(f"{ident}-layer-{place + 1}", place + 1, what, kind, sides[0], sides[1], steps[0], steps[1])


def _how(pair: Document) -> str:
    one, other = pair["a"]["compression"], pair["b"]["compression"]
    return f"{one or 'stored otherwise'} in A, {other or 'stored otherwise'} in B"


def _files(
    found: ComparedFiles,
    layers: tuple[dict[str, int], dict[str, int]],
    lower: LowerFiles,
    room: Room,
    command: str,
) -> _Files:
    numbers = [known.get(diff_id or "", 0) for known, diff_id in zip(layers, (found.a, found.b), strict=True)]
    sides = [
        f"layer {number} of {side}" if number else f"no layer of {side}"
        for number, side in zip(numbers, "AB", strict=True)
    ]
    title = f"Files: {sides[0]} and {sides[1]}"
    shown = room.first(found.files, f"files ({sides[0]}, {sides[1]})", command)
    document = found.document()
    return _Files(
        title=title,
        sums=_sums(document["sums"], found.whiteouts),
        files=[_file(each, lower) for each in shown],
        total=found.total,
        problem=document["problem"],
    )


def _sums(sums: dict[str, Document], whiteouts: int) -> dict[str, Document]:
    """Return the sums of files with whiteouts, which have no content, as deletions."""
    added = {**sums["added"], "files": sums["added"]["files"] - whiteouts}
    changes = {**sums, "added": added, "deleted": {"files": whiteouts, "size_a": 0, "size_b": 0}}
    return {change: changes[change] for change in _SUMS}


def _file(found: FileDifference, lower: LowerFiles) -> Document:
    """Return a row of a table of files; a whiteout is shown as the deletion that it is.

    `lower` are the files of the layers below, which may tell the size of what it deletes.
    """
    row = {**file_document(found), "shown": found.change, "kind": found.change, "note": ""}
    if not is_whiteout(found):
        is_folder = found.change != "changed" and any("dir" in values for _, *values in found.attributes)
        return {**row, "note": _FOLDER} if is_folder else row
    folder, slash, name = row["path"].rpartition("/")
    if name == _OPAQUE:
        return {**row, "note": f"whiteout: hides what lower layers have in /{folder}"}
    path = f"{folder}{slash}{name.removeprefix(WHITEOUT)}"
    size = lower.size(path, found.change)
    row["note"] = f"whiteout: deletes {path}" + (f" ({size_text(size)})" if size is not None else "")
    if found.change == "added":
        row |= {"path": path, "shown": "deleted", "kind": "removed", "size_b": None}
    return row


def _chart(parts: Parts, pairs: Sequence[_Pair]) -> Any:
    """Return the layer chart of the images of both archives, A's and B's side by side."""
    document = parts.compared.document
    if document is None:
        return ""
    numbers = {pair.ident: len(pair.layers) for pair in pairs}
    several = len(document["images"]) > 1
    images: list[Document] = []
    names: list[str] = []
    for number, one in enumerate(document["images"]):
        ident = f"pair-{number + 1}"
        if ident not in numbers or len(images) >= MOST_IMAGES:
            continue
        for image, key in zip(parts.images(one), "ab", strict=True):
            if image is not None:
                names.append(f"{key.upper()} {number + 1}" if several else key.upper())
                label = f"{names[-1]}: {_side_title(one[key])}"
                images.append({**image, "label": label, "ident": ident, "rows": numbers[ident]})
    images = images[:MOST_IMAGES]
    sharing = find_sharing(images)
    # Letters are the archives here.
    shared = {
        diff_id: dataclasses.replace(each, label=f"shared {each.number + 1}")
        for diff_id, each in sharing.shared.items()
    }
    return layer_chart(images, sharing._replace(shared=shared), names) if images else ""
