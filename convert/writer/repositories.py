"""The `repositories` document, and what `--add-repositories` adds to an archive.

Engines before 1.10 know nothing else: it names the top v1 directory of each tag,
and the `json` files there lead down through the layers (docs/contract.md#--add-repositories).
From Docker 25 on it names the top layer's DiffID, which lies in `blobs/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from convert.archive.tar_writer import Item
from convert.errors import FormatError, UsageError
from convert.identity.v1_id import json_fault
from convert.jsonio import strict
from convert.jsonio.go_encode import dumps, sorted_map
from convert.model.reference import Reference
from convert.writer.document_size import check_size
from convert.writer.naming import representatives
from convert.writer.v1_directories import V1_VERSION, v1_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from convert.identity.v1_id import V1Entry
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet
    from convert.writer.naming import NamedImage
    from convert.writer.options import WriteOptions

MEMBER = "repositories"

#: For each name the top v1 ID, or the top DiffID's hex from Docker 25 on.
Tops = dict[Reference, str]


class Members(Protocol):
    """The members that an archive holds already, as far as v1 directories are made of them."""

    def document(self, name: str) -> bytes | None:
        """Return the bytes of a member; None where it is not a file that can be read."""

    def is_layer(self, name: str, layer: Layer) -> bool:
        """Whether a member, links followed, unpacks to the layer; its bytes are read unless they are the layer's own.

        Raises:
            StorageError: reading failed.
        """

    def needed_by(self, name: str) -> str:
        """Return what else in the archive needs a member, so that it cannot be replaced; nothing if it can."""


@dataclass(frozen=True, slots=True)
class Additions:
    """How an archive changes: members to leave out, and members to put before its end blocks.

    All others stay as they are. Both are empty where nothing is to be done.
    `replaced` says why a `repositories` that was there is among the former, `faults`
    what was wrong with each member of a v1 directory that is.
    """

    drop: frozenset[str] = frozenset()
    append: tuple[Item, ...] = ()
    replaced: str = ""
    faults: tuple[str, ...] = ()


def repositories_json(tops: Tops) -> bytes:
    """Return the document, without the newline that Docker adds: familiar names and tags, sorted.

    Raises:
        NotRepresentableError: it is too large.
    """
    names: dict[str, dict[str, str]] = {}
    for reference, top in tops.items():
        # Every reference here went through `_images.usable`.
        names.setdefault(reference.familiar_repository, {})[reference.tag or ""] = top
    return check_size(dumps(sorted_map({name: sorted_map(tags) for name, tags in names.items()})), MEMBER)


def repositories_item(tops: Tops) -> Item:
    """Return the member as it is added to archives that could do without.

    Raises:
        UsageError: there is nothing to put into it.
    """
    if not tops:
        raise UsageError(
            "no image in the archive has a name and a layer, so there is nothing to put into repositories",
            hint="--to docker-save with --tag gives it one",
        )
    return Item(MEMBER, "file", 0o644, content=repositories_json(tops) + b"\n")


def additions_to(
    images: ImageSet,
    options: WriteOptions,
    *,
    names: Collection[str],
    existing: bytes | None,
    member_of: Callable[[Layer], str],
    held: Members | None = None,
) -> Additions:
    """Return what makes an archive that holds `images` readable for engines that follow `repositories`.

    As `additions`, for an archive that was read.

    Raises:
        UsageError: no image has a name.
        NotRepresentableError: there is no image, or one name stands for two.
        FormatError: a config does not give the v1 IDs that were asked for.
    """
    named = representatives(images, MEMBER, options.warn)
    return additions(named, options, names=names, existing=existing, member_of=member_of, held=held)


def additions(
    named: Collection[NamedImage],
    options: WriteOptions,
    *,
    names: Collection[str],
    existing: bytes | None,
    member_of: Callable[[Layer], str],
    held: Members | None = None,
) -> Additions:
    """Return what makes an archive of these images readable for such engines.

    `names` are the archive's members, without `./` and closing slashes,
    `existing` its `repositories` if there is one, and `member_of` the regular
    member in which a layer lies. Members of v1 directories that are there already are
    read through `held`, stay where they are right, and are replaced where not. The
    caller passes `keep` as v1 scheme unless the user chose one.

    Raises:
        UsageError: no image has a name.
        InputError: one is wrong, and something else needs it as it is.
        FormatError: a config does not give the v1 IDs that were asked for.
    """
    tops: Tops = {}
    members: list[Item] = []
    faults: dict[str, str] = {}
    if any(name.startswith("blobs/") for name in names):
        tops = blob_tops(named)
    else:
        members.extend(_v1_members(named, options, tops, frozenset(names), member_of, held, faults))
    item = repositories_item(tops)
    wrong = _fault(existing, tops) if existing is not None else ""
    if existing is None or wrong:
        members.append(item)
    drop = frozenset({*faults, *({MEMBER} if wrong else ())})
    return Additions(drop, tuple(members), wrong, tuple(f"{name}: {fault}" for name, fault in faults.items()))


def blob_tops(named: Collection[NamedImage]) -> Tops:
    """Return the form of Docker 25 and later: for each name the hex of the top DiffID."""
    return {
        reference: one.image.config.diff_ids[-1].hex
        for one in named
        for reference in one.references
        if one.image.config.diff_ids
    }


def _v1_members(
    named: Collection[NamedImage],
    options: WriteOptions,
    tops: Tops,
    names: frozenset[str],
    member_of: Callable[[Layer], str],
    held: Members | None,
    faults: dict[str, str],
) -> Iterator[Item]:
    """Yield the v1 members that are missing or wrong, and fill `tops` and `faults`."""
    seen: set[str] = set()
    for one in named:
        if not one.references or not one.image.layers:
            continue
        entries = v1_layers(one.image, options)
        for number, (layer, entry) in enumerate(zip(one.image.layers, entries, strict=True), 1):
            if entry.v1_id in seen:
                continue
            seen.add(entry.v1_id)
            folder = entry.v1_id
            wanted = (
                Item(f"{folder}/VERSION", "file", 0o644, content=V1_VERSION),
                Item(f"{folder}/json", "file", 0o644, content=entry.json),
                # No layer byte is copied: old readers follow the link.
                Item(f"{folder}/layer.tar", "symlink", 0o777, link=f"../{member_of(layer)}"),
            )
            there = [item for item in wanted if item.name in names]
            if held is not None:
                wrong = _wrong(there, held, layer, entry, top=number == len(entries))
                faults.update(wrong)
                there = [item for item in there if item.name not in wrong]
            missing = [item for item in wanted if item not in there]
            if held is not None and missing and folder in names:
                _refuse_if_needed(folder, held)
            if len(missing) == len(wanted) and folder not in names:
                yield Item(folder, "dir", 0o755)
            yield from missing
        for reference in one.references:
            tops[reference] = entries[-1].v1_id


def _wrong(there: Sequence[Item], held: Members, layer: Layer, entry: V1Entry, *, top: bool) -> dict[str, str]:
    """Return the members of a v1 directory that do not hold what they should, each with what is wrong.

    Raises:
        FormatError: one of them cannot be replaced.
    """
    faults: dict[str, str] = {}
    for item in there:
        if item.kind == "symlink":
            fault = "" if held.is_layer(item.name, layer) else f"holds other bytes than layer {layer.diff_id}"
        else:
            raw = held.document(item.name)
            if raw is None:
                fault = "cannot be read"
            elif item.name.endswith("/json"):
                fault = json_fault(raw, entry, top=top)
            else:
                fault = "" if raw.strip() == V1_VERSION else f"is {raw[:20]!r}, not {V1_VERSION.decode()}"
        if fault:
            _refuse_if_needed(item.name, held, f"{fault}, and ")
            faults[item.name] = fault
    return faults


def _refuse_if_needed(name: str, held: Members, fault: str = "") -> None:
    need = held.needed_by(name)
    if need:
        raise FormatError(
            f"{fault}{need}, so it cannot be replaced",
            member=name,
            hint="--to docker-save writes a new archive with right v1 directories",
        )


def _fault(existing: bytes, tops: Tops) -> str:
    """Return what is wrong with the `repositories` that is there; nothing if it is right."""
    try:
        found = _read(strict.parse(existing, where="", member=MEMBER))
    except FormatError as error:
        return error.message
    for reference, top in tops.items():
        if reference not in found:
            return f"{reference.familiar} was missing"
        if found[reference] != top:
            return f"{reference.familiar} named {found[reference]}, its top layer is {top}"
    for reference in found:
        if reference not in tops:
            return f"{reference.familiar} is no image of the archive"
    return ""


def _read(document: object) -> Tops:
    found: Tops = {}
    for name, tags in _object(document).items():
        for tag, top in _object(tags).items():
            if not isinstance(top, str):
                msg = f"{name}:{tag}: expected a v1 ID"
                raise FormatError(msg)
            found[Reference.parse(name).with_tag(tag)] = top
    return found


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        msg = "expected an object of objects"
        raise FormatError(msg)
    return value
