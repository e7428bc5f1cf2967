"""Where the findings of `validate` belong: archive, index, image, manifest, config, layer; and which to mend first."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Document = dict[str, Any]

#: Kinds of parts in the order in which they are read, and so mended: what is wrong in one may be why others are.
KINDS: Final = ("archive", "index", "manifest", "config", "layer", "other")
#: Rules about the bytes of a part: where they are wrong, other findings about the part may only follow from that.
_BYTES: Final = frozenset({"not-an-image", "damaged", "missing", "unsafe", "ambiguous", "digest", "json"})
#: Content that is damaged or missing: it is mended before names and what else only documents state.
_DAMAGE: Final = _BYTES | {"diff-id", "size", "layer-damaged", "layer-tar", "layout-blobs"}
_SEVERITIES: Final = ("error", "warning", "note")
_TOP: Final = frozenset({"index.json", "oci-layout", "manifest.json", "repositories", ".imgconv-needs.json"})


@dataclass(slots=True)
class Blamed:
    """A finding of the document of `validate`, and its number in the order in which to mend."""

    number: int
    finding: Document


@dataclass(slots=True, eq=False)
class Part:
    """A part of a source: `kind` is one of `KINDS`, `identifier` its digest or member.

    `number` is that of a layer, from 1; `images` are the numbers of further images that have this layer or config.
    """

    kind: str
    identifier: str = ""
    number: int = 0
    findings: list[Blamed] = field(default_factory=list)
    images: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    """The parts of one image, or those that belong to none; `number` is 0 for them."""

    number: int = 0
    image: Document | None = None
    parts: list[Part] = field(default_factory=list)

    @property
    def blamed(self) -> list[Part]:
        """The parts with findings."""
        return [part for part in self.parts if part.findings]


def blame(findings: Sequence[Document], inspected: Document | None) -> tuple[list[Blamed], list[Group]]:
    """Return findings in the order in which to mend them, and the parts of the source that they belong to.

    Args:
        findings: those of one source, from the document of `validate`.
        inspected: the document of `inspect` for the source; None if no image could be read.
    """
    archive = Group(parts=[Part("archive")])
    groups = [archive, *_groups(inspected)] if inspected is not None else [archive]
    names = _Names(groups)
    placed: dict[int, Part] = {}
    others: dict[str, Part] = {}
    for place, finding in enumerate(findings):
        member = finding["member"]
        part = archive.parts[0]
        if member is not None and member not in _TOP:
            part = names.find(member) or others.setdefault(member, Part("other", member))
        placed[place] = part
    archive.parts += others.values()
    order = {part: number for number, part in enumerate(part for group in groups for part in group.parts)}

    def weight(place: int) -> tuple[int, int, int, int, int, int]:
        finding, part = findings[place], placed[place]
        severity, rule = _SEVERITIES.index(finding["severity"]), finding["rule"]
        return severity, rule not in _DAMAGE, KINDS.index(part.kind), order[part], rule not in _BYTES, place

    ordered: list[Blamed] = []
    for number, place in enumerate(sorted(placed, key=weight), 1):
        ordered.append(Blamed(number, findings[place]))
        placed[place].findings.append(ordered[-1])
    return ordered, groups


def _groups(inspected: Document) -> Iterator[Group]:
    """Yield the indexes of a source, and each image with those parts that no image before it has."""
    seen: dict[str, Part] = {}

    def part(kind: str, identifier: str, image: int, number: int = 0) -> Iterator[Part]:
        """Yield a part where it occurs first; later it only counts further images, which come in their order."""
        there = seen.get(identifier)
        if there is None:
            seen[identifier] = there = Part(kind, identifier, number)
            yield there
        elif there.images[-1:] != [image]:
            there.images.append(image)

    indexes = Group(parts=[Part("index", index["digest"]) for index in inspected["indexes"]])
    if indexes.parts:
        yield indexes
    for number, image in enumerate(inspected["images"], 1):
        group = Group(number, image)
        manifest = image["manifest"]
        if manifest is not None:
            group.parts += part("manifest", manifest["digest"], number)
        group.parts += part("config", image["config"]["digest"], number)
        for place, layer in enumerate(image["layers"], 1):
            group.parts += part("layer", layer["member"] or layer["digest"] or layer["diff_id"], number, place)
        yield group


class _Names:
    """Finds the part that a member is, by what groups have."""

    def __init__(self, groups: Iterable[Group]) -> None:
        self._parts: dict[str, Part] = {}
        for group in groups:
            layers: Mapping[str, Document] = defaultdict(dict)
            if group.image is not None:
                layers = {
                    layer["member"] or layer["digest"] or layer["diff_id"]: layer for layer in group.image["layers"]
                }
            for part in group.parts:
                self._add(part, part.identifier)
                for key in ("digest", "diff_id"):
                    self._add(part, layers[part.identifier].get(key) if part.kind == "layer" else None)

    def _add(self, part: Part, name: str | None) -> None:
        if name:
            self._parts.setdefault(name, part)
            self._parts.setdefault(name.rpartition(":")[2], part)
            # The other files of the v1 folder of a layer.
            folder, slash, last = name.rpartition("/")
            if part.kind == "layer" and slash and last == "layer.tar":
                self._parts.setdefault(f"{folder}/", part)

    def find(self, member: str) -> Part | None:
        """Return the part that a member is, None if it is none of them."""
        folder, _, last = member.rpartition("/")
        stem = last.removesuffix(".gz").removesuffix(".tar").removesuffix(".json")
        for name in (member, stem, f"{folder}/"):
            if found := self._parts.get(name):
                return found
        return None
