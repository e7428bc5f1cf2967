"""The `repositories` document, and what `--add-repositories` adds to an archive.

Engines before 1.10 read only this: it names the top v1 directory of each tag,
and the `json` files there lead down through the layers (docs/contract.md#--add-repositories).
Since Docker 25 it names the DiffID of the top layer, which is in `blobs/`.
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

#: For each name the top v1 ID; since Docker 25 the hex of the top DiffID.
Tops = dict[Reference, str]


class Members(Protocol):
    """The members of v1 directories that an archive holds already."""

    def document(self, name: str) -> bytes | None:
        """Return the bytes of a member, None if it is not a readable file."""

    def is_layer(self, name: str, layer: Layer) -> bool:
        """Whether a member, links followed, unpacks to the layer; it is read unless it is the layer's own blob.

        Raises:
            StorageError: reading failed.
        """

    def needed_by(self, name: str) -> str:
        """Return what else in the archive needs a member, so that it cannot be replaced; "" if it can be."""


@dataclass(frozen=True, slots=True)
class Additions:
    """How an archive changes: members to `drop`, and members to `append` before its end blocks.

    All others stay as they are. Both are empty where nothing has to change.
    `replaced` is the reason why the existing `repositories` is dropped, `faults`
    the reason for each member of a v1 directory that is.
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
        # Every reference here was accepted by `naming.usable`.
        names.setdefault(reference.familiar_repository, {})[reference.tag or ""] = top
    return check_size(dumps(sorted_map({name: sorted_map(tags) for name, tags in names.items()})), MEMBER)


def repositories_item(tops: Tops) -> Item:
    """Return the member for an archive whose format does not require it.

    Raises:
        UsageError: it would be empty.
    """
    if not tops:
        raise UsageError(
            "no image in the archive has a name and a layer, so there is nothing to put into repositories",
            code="nothing-for-repositories",
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
    members: Members | None = None,
) -> Additions:
    """Return the changes after which engines that read `repositories` accept an archive that holds `images`.

    As `additions`, for an archive that was read.

    Raises:
        UsageError: no image has a name.
        NotRepresentableError: the archive holds no image, or one name stands for two.
        FormatError: the v1 IDs in the requested scheme cannot be computed from a config.
    """
    named = representatives(images, MEMBER, options.warn)
    return additions(named, options, names=names, existing=existing, member_of=member_of, members=members)


def additions(
    named: Collection[NamedImage],
    options: WriteOptions,
    *,
    names: Collection[str],
    existing: bytes | None,
    member_of: Callable[[Layer], str],
    members: Members | None = None,
) -> Additions:
    """Return the changes after which such engines accept an archive of these images.

    `names` are the archive's members, without `./` and closing slashes,
    `existing` is its `repositories` if it has one, and `member_of` returns the regular
    member that holds a layer. Existing members of v1 directories are read through
    `members`; correct ones are kept, wrong ones replaced. The caller passes `keep` as v1
    scheme unless the user chose one.

    Raises:
        UsageError: no image has a name.
        InputError: a member is wrong, and something else needs it as it is.
        FormatError: the v1 IDs in the requested scheme cannot be computed from a config.
    """
    tops: Tops = {}
    append: list[Item] = []
    faults: dict[str, str] = {}
    if any(name.startswith("blobs/") for name in names):
        tops = blob_tops(named)
    else:
        append.extend(_v1_members(named, options, tops, frozenset(names), member_of, members, faults))
    item = repositories_item(tops)
    wrong = _fault(existing, tops) if existing is not None else ""
    if existing is None or wrong:
        append.append(item)
    drop = frozenset({*faults, *({MEMBER} if wrong else ())})
    return Additions(drop, tuple(append), wrong, tuple(f"{name}: {fault}" for name, fault in faults.items()))


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
    members: Members | None,
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
                # The layer is not copied: old engines follow the link.
                Item(f"{folder}/layer.tar", "symlink", 0o777, link=f"../{member_of(layer)}"),
            )
            present = [item for item in wanted if item.name in names]
            if members is not None:
                wrong = _wrong(present, members, layer, entry, top=number == len(entries))
                faults.update(wrong)
                present = [item for item in present if item.name not in wrong]
            missing = [item for item in wanted if item not in present]
            if members is not None and missing and folder in names:
                _refuse_if_needed(folder, members)
            if len(missing) == len(wanted) and folder not in names:
                yield Item(folder, "dir", 0o755)
            yield from missing
        for reference in one.references:
            tops[reference] = entries[-1].v1_id


def _wrong(present: Sequence[Item], members: Members, layer: Layer, entry: V1Entry, *, top: bool) -> dict[str, str]:
    """Return the wrong members of a v1 directory, each with the reason.

    Raises:
        FormatError: one of them cannot be replaced.
    """
    faults: dict[str, str] = {}
    for item in present:
        if item.kind == "symlink":
            fault = "" if members.is_layer(item.name, layer) else f"holds other bytes than layer {layer.diff_id}"
        else:
            raw = members.document(item.name)
            if raw is None:
                fault = "cannot be read"
            elif item.name.endswith("/json"):
                fault = json_fault(raw, entry, top=top)
            else:
                fault = "" if raw.strip() == V1_VERSION else f"is {raw[:20]!r}, not {V1_VERSION.decode()}"
        if fault:
            _refuse_if_needed(item.name, members, f"{fault}, and ")
            faults[item.name] = fault
    return faults


def _refuse_if_needed(name: str, members: Members, fault: str = "") -> None:
    need = members.needed_by(name)
    if need:
        raise FormatError(
            f"{fault}{need}, so it cannot be replaced",
            code="repositories-not-replaceable",
            member=name,
            hint="--to docker-save writes a new archive with correct v1 directories",
        )


def _fault(existing: bytes, tops: Tops) -> str:
    """Return what is wrong with the existing `repositories`, "" if it is correct."""
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
            return f"{reference.familiar} is not an image of the archive"
    return ""


def _read(document: object) -> Tops:
    found: Tops = {}
    for name, tags in _object(document).items():
        for tag, top in _object(tags).items():
            if not isinstance(top, str):
                msg = f"{name}:{tag}: expected a v1 ID"
                raise FormatError(msg, code="wrong-json-type")
            found[Reference.parse(name).with_tag(tag)] = top
    return found


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        msg = "expected an object of objects"
        raise FormatError(msg, code="wrong-json-type")
    return value
