"""One way to write a result for consumers: a format and edits, for `convert --for`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.model.form import Form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convert.commands.convert_options import ConvertOptions
    from convert.model.image import Layer

#: The edits that may be made, each an option of convert; they change digests only where they must.
EDITS: Final = ("prune", "no_attestations", "flatten")
#: Faults that unpacking a layer finds, whatever is made of it.
UNPACKING_FAULTS: Final = frozenset(
    {"damaged-compression", "decompression-memory", "too-many-compressed-parts", "layer-too-large"}
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A format and edits.

    Attributes:
        options: the options of convert.
        cost: what orders candidates: necessary edits that are missing, manifests that change, bytes of layers that
            are written anew, and the place of the format.
        effect: what it changes; candidates of one format with the same effect are tried once.
        unpacked: the members that hold the layers that it unpacks.
    """

    options: ConvertOptions
    cost: tuple[int, int, int, int]
    effect: object
    unpacked: frozenset[str]

    @property
    def edits(self) -> list[str]:
        """The edits, as they are given on a command line."""
        return [f"--{name.replace('_', '-')}" for name in EDITS if getattr(self.options, name)]


def unpacked_members(forms: Mapping[Layer, Form]) -> frozenset[str]:
    """Return the members that hold the layers that are unpacked: one without a descriptor is verified by its DiffID."""
    return frozenset(
        layer.blob.where
        for layer, form in forms.items()
        if layer.blob is not None and (form in {Form.PLAIN, Form.ENCODED} or layer.stored is None)
    )
