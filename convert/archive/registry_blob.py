"""A blob in the storage of a registry that may be running."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, TypeVar

from convert.errors import InputError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.archive.tree import Tree
    from convert.model.blob import Blob, Extent

_T = TypeVar("_T")


class StoredBlob:
    """A blob of a storage. If it vanishes or is replaced while the registry runs, it is looked at once more."""

    __slots__ = ("_blob", "_path", "_tree", "size", "where")

    def __init__(self, tree: Tree, path: str, where: str, blob: Blob) -> None:
        """`blob` is what was found at `path`; `where` names it in errors."""
        self._tree = tree
        self._path = path
        self._blob = blob
        self.where = where
        #: Bytes.
        self.size = blob.size

    def open(self) -> BinaryIO:
        """Start reading at the first byte.

        Raises:
            InputError, StorageError: it is gone, or another one.
        """
        return self._twice(lambda blob: blob.open())

    def extent(self) -> Extent | None:
        """Return where the bytes are; errors as `open`."""
        return self._twice(lambda blob: blob.extent())

    def _twice(self, function: Callable[[Blob], _T]) -> _T:
        try:
            return function(self._blob)
        except (InputError, StorageError):
            self._tree.forget(self._path)
            again = self._tree.find(self._path)
            if again is None or again.size != self.size:
                raise
            self._blob = again
            return function(again)
