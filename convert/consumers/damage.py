"""What has to be mended of an archive before another repair can work, whichever consumer reads it.

A rule states what one consumer refuses or loses. What helps against it is often a conversion, and that verifies all
that it writes: it fails where a digest is wrong or no image is complete. Then the damage stands first, and what
cannot work before it is mended is not offered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from convert.consumers.diagnose import Reason
from convert.consumers.rule import Repair, Verdict
from convert.errors import InputError
from convert.model.image import Artifact, Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.consumers.contents import Contents
    from convert.consumers.diagnose import Diagnosis
    from convert.errors import ImgconvError
    from convert.layer.blob_facts import BlobFacts
    from convert.model.blob import Blob
    from convert.model.digest import Digest
    from convert.model.image import Layer, Node

#: Repairs that are conversions.
_CONVERSIONS: Final = frozenset(Repair) - {Repair.SOURCE, Repair.BASE}


@dataclass(frozen=True, slots=True)
class Damage:
    """What has to be mended first: the text, what helps, and the repairs that cannot work before.

    `is_absence` is whether nothing is wrong but every image lacks something.
    """

    text: str
    helps: Repair
    prevents: frozenset[Repair]
    is_absence: bool = False


def mend_first(contents: Contents, diagnoses: Sequence[Diagnosis]) -> tuple[Diagnosis, ...]:
    """Return the diagnoses with the damage of the archive as the first reason where another repair is offered.

    Layers are read only if a repair is offered that damage can prevent.

    Raises:
        StorageError: the archive cannot be read.
    """
    if not any(_offers(each, _CONVERSIONS) for each in diagnoses):
        return tuple(diagnoses)
    damage = find_damage(contents)
    if damage is None:
        return tuple(diagnoses)
    return tuple(_mended(each, damage) if _offers(each, _CONVERSIONS) else each for each in diagnoses)


def find_damage(contents: Contents) -> Damage | None:
    """Return what has to be mended before a conversion of the whole archive can succeed, None if nothing is known.

    Raises:
        StorageError: the archive cannot be read.
    """
    try:
        images, sink = contents.reading
    except InputError as error:
        return Damage(_text(_line(error)), Repair.SOURCE, _CONVERSIONS | {Repair.BASE})
    damaged = [_line(fault.error) for fault in sink.faults if not fault.is_absence]
    lacks = bool(sink.absent) or len(damaged) < len(sink.faults) or any(each.node is None for each in images.entries)
    complete = 0
    for node in images.nodes():
        found = _fault_of(contents, node)
        if found:
            damaged.append(found)
        complete += not found and _is_complete(node)
    if damaged:
        # A platform that is whole can be selected, unless what is at fault concerns everything.
        selects = complete and all(fault.part is not None for fault in sink.faults)
        prevents = _CONVERSIONS | {Repair.BASE}
        return Damage(_text(damaged[0]), Repair.SOURCE, prevents - {Repair.PLATFORM} if selects else prevents)
    if complete or not lacks:
        return None
    if contents.left_out:
        return Damage(contents.left_out.text, Repair.FILL, _CONVERSIONS - {Repair.FILL}, is_absence=True)
    return Damage("no image in it is complete", Repair.SOURCE, _CONVERSIONS, is_absence=True)


def _text(fault: str) -> str:
    return f"the archive is damaged: {fault}"


def _line(error: ImgconvError) -> str:
    return f"{error.member}: {error.message}" if error.member else error.message


def _offers(diagnosis: Diagnosis, repairs: frozenset[Repair]) -> bool:
    return diagnosis.verdict is not Verdict.UNKNOWN and any(each.helps in repairs for each in diagnosis.reasons)


def _mended(diagnosis: Diagnosis, damage: Damage) -> Diagnosis:
    """Return a diagnosis that offers only what can work, after the damage."""
    stated = next((each for each in diagnosis.reasons if _states(each, damage)), None)
    first = Reason(damage.text, helps=damage.helps) if stated is None else replace(stated, helps=damage.helps)
    rest = (each for each in diagnosis.reasons if each is not stated)
    offered = (replace(each, helps=None) if each.helps in damage.prevents else each for each in rest)
    return replace(diagnosis, reasons=(first, *offered))


def _states(reason: Reason, damage: Damage) -> bool:
    """Return whether a reason states the damage already."""
    if damage.is_absence:
        return reason.helps is Repair.PRUNE  # which would leave nothing
    return damage.text.endswith(f": {reason.text}")


def _is_complete(node: Node) -> bool:
    """Return whether a node is an image of which nothing is absent."""
    if isinstance(node, Image):
        return not any(layer.is_missing for layer in node.layers)
    return isinstance(node, Artifact) and node.config is not None


def _fault_of(contents: Contents, node: Node) -> str:
    """Return what is wrong with the bytes of an image or artifact, "" for nothing."""
    if isinstance(node, Image):
        return next((found for layer in node.layers if (found := _fault_of_layer(contents, layer))), "")
    if isinstance(node, Artifact):
        return next((found for digest, blob in node.blobs.items() if (found := _wrong(contents, blob, digest))), "")
    return ""


def _fault_of_layer(contents: Contents, layer: Layer) -> str:
    blob, stored = layer.blob, layer.stored
    if blob is None:
        return ""
    if stored is not None and (found := _wrong(contents, blob, stored.digest, stored.size)):
        return found
    facts = contents.facts(blob)
    if facts.damage is not None:
        return f"{blob.where}: {facts.damage.message}"
    plain = facts.plain.get(layer.diff_id.algorithm, layer.diff_id)
    return "" if plain == layer.diff_id else f"{blob.where} unpacks to {plain}, the config states {layer.diff_id}"


def _wrong(contents: Contents, blob: Blob, digest: Digest, size: int | None = None) -> str:
    """Return what is wrong with the bytes that a digest and a size identify."""
    facts: BlobFacts = contents.facts(blob)
    label = f"blob {digest}" if size is None else f"layer {digest}"
    if facts.unread is not None:
        return f"{label}: {facts.unread.message}"
    if facts.stored.get(digest.algorithm, digest) != digest:
        return f"{label} is not what its digest identifies"
    return f"{label} has {facts.size} bytes, not {size}" if size not in {None, facts.size} else ""
