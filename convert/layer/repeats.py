"""Layers that are read again because images list them again: how many bytes that may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.errors import UnsafeInputError
from convert.limits import LARGE_LAYER, MAX_LARGE_REPEATS, MAX_REPEATED_SIZE, MAX_REPEATS

if TYPE_CHECKING:
    from convert.model.digest import Digest
    from convert.model.image import Layer


class Repeats:
    """Counts the bytes of layers of one source as they are read, unpacked.

    A layer is known by its DiffID, which each reading verifies.
    """

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._sizes: dict[Digest, int] = {}
        self._left = MAX_REPEATED_SIZE

    def check(self, layer: Layer, file: str | None = None) -> None:
        """Return if a layer may be read; `file` names the source in the error.

        Raises:
            UnsafeInputError: it was read before, and reading it again exceeds the limit.
        """
        self.take(self._sizes.get(layer.diff_id, 0), file)

    def take(self, size: int, file: str | None = None) -> None:
        """Count bytes that are read again, or work like that of reading them.

        Raises:
            UnsafeInputError: the limit is exceeded.
        """
        if size > self._left:
            raise UnsafeInputError("images list the same layers too many times", code="too-many-layers", file=file)
        self._left -= size

    def learn(self, layer: Layer, size: int) -> None:
        """Record how many bytes of a layer were read."""
        if layer.diff_id not in self._sizes:
            self._sizes[layer.diff_id] = size
            self._left += (MAX_REPEATS if size < LARGE_LAYER else MAX_LARGE_REPEATS) * size
