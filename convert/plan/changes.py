"""What a conversion keeps, creates, changes and drops, as its report lists it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convert.diagnostics import Diagnostic, Dropped
    from convert.model.digest import Digest
    from convert.model.image import Image, Layer


class Change(NamedTuple):
    """A manifest, index or layer that another one replaces: both digests, and the reason."""

    subject: str
    before: str
    after: str
    why: str


class CreatedBlob(NamedTuple):
    """A blob that the source does not have: a manifest for an image ID, or a layer for a DiffID."""

    subject: str
    digest: str
    of: str


class ImageNeeds(NamedTuple):
    """What the receiver of one image of a thin archive must have.

    `layers` are the finished layers that are left out, `chain_id` the ChainID that Docker must
    hold, None for a target whose readers look up blobs. `of` are names of images that have them.
    """

    image: Image
    layers: tuple[Layer, ...]
    chain_id: Digest | None = None
    of: tuple[str, ...] = ()


@dataclass(slots=True)
class Changes:
    """Collects what a conversion keeps, creates, changes and drops.

    `kept` are digests of manifests and layers, `created` new manifests and layers,
    `changed` the manifests and indexes that others replace, and `changed_layers` the
    layers that follow from them. `dropped` are lines about what the result does not
    hold, `hints` lines about what the user may want to do next. `needs` are the layers that
    a thin result leaves out, for each image.
    """

    kept: list[str] = field(default_factory=list)
    created: list[CreatedBlob] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    changed_layers: list[Change] = field(default_factory=list)
    hints: list[Diagnostic] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    needs: list[ImageNeeds] = field(default_factory=list)

    def copy(self) -> Changes:
        """Return a copy that collects on its own."""
        return Changes(**{each.name: list(getattr(self, each.name)) for each in fields(self)})

    @classmethod
    def together(cls, several: Iterable[Changes]) -> Changes:
        """Return the changes of several results, each once."""
        total = cls()
        for one in several:
            for each in fields(cls):
                known = getattr(total, each.name)
                known += [item for item in getattr(one, each.name) if item not in known]
        return total
