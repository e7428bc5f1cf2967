"""All edits of one run, in their order: drop, untag, rename, then the indexes (docs/contract.md#editing)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convert.plan.edit.attestations import remove_attestations
from convert.plan.edit.flatten import flatten
from convert.plan.edit.names import Renaming, drop, is_dropped, rename, untag
from convert.plan.edit.prune import prune
from convert.plan.find_errors import find_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.model.image_set import ImageSet
    from convert.plan.changes import Changes
    from convert.reader.sink import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """The edits of a run; the fields are the options of the same names.

    `changes` takes what changes and goes away.
    """

    changes: Changes
    drop: Sequence[str] = ()
    untag: Sequence[str] = ()
    rename: Sequence[str] = ()
    prune: bool = False
    no_attestations: bool = False
    flatten: bool = False

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.drop or self.untag or self.rename or self.rewrites_indexes)

    @property
    def rewrites_indexes(self) -> bool:
        """Whether an option is among them that rewrites indexes."""
        return self.prune or self.no_attestations or self.flatten

    def check(self) -> None:
        """Check what can be checked without the images.

        Raises:
            UsageError: a `rename` is malformed.
        """
        for text in self.rename:
            Renaming.parse(text)

    def counting(self, faults: Sequence[Fault]) -> list[Fault]:
        """Return the faults that no edit removes with the image that has them."""
        return [
            fault
            for fault in faults
            if not (self.prune and fault.is_absence) and not any(is_dropped([fault], text) for text in self.drop)
        ]


def apply_edits(images: ImageSet, edits: Edits, faults: Sequence[Fault] = ()) -> ImageSet:
    """Return the edited images. `faults` are those of the source.

    Raises:
        UsageError: an edit matches nothing, or gives one name to two images.
        InputError: an image that stays is damaged, or `prune` leaves no image.
    """
    changes = edits.changes
    images = drop(images, edits.drop, changes, faults)
    error = next(iter(find_errors(images, edits.counting(faults))), None)
    if error is not None:
        raise error
    images = untag(images, edits.untag)
    images = rename(images, edits.rename)
    if edits.prune:
        absences = [
            fault for fault in faults if fault.is_absence and not any(is_dropped([fault], text) for text in edits.drop)
        ]
        images = prune(images, absences, changes)
    if edits.no_attestations:
        images = remove_attestations(images, changes)
    if edits.flatten:
        images = flatten(images, changes)
    return images
