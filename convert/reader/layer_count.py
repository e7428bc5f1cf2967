"""Count the layers of all images of a source, against the limits on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from convert.errors import UnsafeInputError
from convert.limits import MAX_ALL_LAYERS, MAX_DIFFERENT_LAYERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.model.digest import Digest


@dataclass(slots=True)
class LayerCount:
    """The layers of the images that were read so far; `file` is the source, for errors."""

    file: str | None = None
    _all: int = 0
    _different: set[tuple[str | Digest | None, Digest | None]] = field(default_factory=set)

    def add(self, names: Sequence[str | Digest | None], diff_ids: Sequence[Digest] = ()) -> None:
        """Count the layers of one image.

        A layer that several images have is the same if it has the same name and the same DiffID.

        Args:
            names: what names their bytes: members of an archive, digests or v1 IDs.
            diff_ids: their DiffIDs, as far as they are known.

        Raises:
            UnsafeInputError: more than a source may have.
        """
        self._all += max(len(names), len(diff_ids))
        if self._all > MAX_ALL_LAYERS:
            raise self._error(f"its images have more than {MAX_ALL_LAYERS} layers together")
        self._different.update(zip_longest(names, diff_ids))
        if len(self._different) > MAX_DIFFERENT_LAYERS:
            raise self._error(f"its images have more than {MAX_DIFFERENT_LAYERS} different layers together")

    def _error(self, message: str) -> UnsafeInputError:
        return UnsafeInputError(message, code="too-many-layers", file=self.file)
