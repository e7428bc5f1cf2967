"""Compare the layers of two archives pair by pair, each pair once if what was found is short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.commands.diff.layer_files import alike, layer_files
from convert.layer.repeats import Repeats
from convert.limits import MAX_KEPT_DIFFERENCES_SIZE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from convert.layer.context import ReadContext
    from convert.model.blob import Blob
    from convert.model.digest import Digest
    from convert.model.image import Layer
    from convert.report.comparison import FileDifference

    _Pair = tuple[tuple[Blob | None, Digest] | None, ...]

#: Bytes that a difference which is found again counts as: the headers of a file in both layers.
_AGAIN: Final = 1024
#: Bytes of memory that a difference takes beside its texts.
_OWN: Final = 500


class LayerPairs:
    """The pairs of layers that were compared.

    Images share layers, so that one pair may stand in many of them. What is read again or found again is limited.
    """

    def __init__(self, contexts: tuple[ReadContext, ReadContext], ignore: Collection[str] = ()) -> None:
        """Nothing is compared yet; `contexts` are those of A's and B's archives, `ignore` the values of `--ignore`."""
        self._contexts = contexts
        self._ignore = ignore
        self._repeats = Repeats()
        self._found: dict[_Pair, list[FileDifference]] = {}
        self._alike: dict[_Pair, bool] = {}
        self._room = MAX_KEPT_DIFFERENCES_SIZE

    def files(self, a: Layer | None, b: Layer | None) -> Iterator[FileDifference]:
        """Yield the files that differ between two layers, as `layer_files`.

        Raises:
            InputError: a layer is damaged, or images repeat layers too many times.
            NotRepresentableError: a layer is not in its archive.
        """
        pair = _pair(a, b)
        known = self._found.get(pair)
        if known is not None:
            self._repeats.take(_AGAIN * len(known), self._contexts[0].file)
            yield from known
            return
        kept: list[FileDifference] = []
        size = _OWN
        for found in layer_files(a, b, self._contexts, self._ignore, self._repeats):
            if size <= self._room:
                kept.append(found)
                size += _size(found)
            else:
                kept.clear()
            yield found
        if size <= self._room:
            self._room -= size
            self._found[pair] = kept

    def alike(self, a: Layer, b: Layer) -> bool:
        """Return whether two layers have the same files but for what is ignored; errors as `files`."""
        pair = _pair(a, b)
        if pair not in self._alike:
            self._alike[pair] = alike(a, b, self._contexts, self._ignore, self._repeats)
        return self._alike[pair]


def _pair(*layers: Layer | None) -> _Pair:
    return tuple((layer.blob, layer.diff_id) if layer is not None else None for layer in layers)


def _size(found: FileDifference) -> int:
    return _OWN + len(found.path) + sum(len(a or "") + len(b or "") for _, a, b in found.attributes)
