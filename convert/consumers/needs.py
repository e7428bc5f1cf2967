"""What the receiver of a thin archive must hold, where a consumer misses a layer that the archive leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.archive.tree import clean
from convert.errors import ImgconvError
from convert.reader.layout_blobs import blob_name
from convert.reader.needs import Marks, named_bases

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.archive.tree import Tree
    from convert.model.digest import Digest
    from convert.model.image_set import ImageSet
    from convert.reader.sink import Sink


class NeedsText(str):
    """Why a thin archive does not load where the layers are absent that it leaves out."""

    __slots__ = ()


class NeedsAllText(NeedsText):
    """The same for a consumer that reads every layer from the archive, whatever it holds."""

    __slots__ = ()


class LeftOutLayers:
    """The layers that a source leaves out by its mark, which is compared with what it lacks."""

    def __init__(self, tree: Tree, read: Callable[[], tuple[ImageSet, Sink]]) -> None:
        """Read the marks; a source that cannot be read leaves nothing out."""
        self._members: set[str | None] = set()
        self.text = NeedsText()
        try:
            images, sink = read()
            covered = Marks(tree, images, sink.absent).covered
        except ImgconvError:
            return
        self._members = set(map(clean, covered))
        names = ", ".join(named_bases(tree))
        count = f"{len(covered)} layers" if len(covered) > 1 else "a layer"
        self.text = NeedsText(f"needs {count}{f' of {names}' if names else ''} that this thin archive leaves out")

    def __bool__(self) -> bool:
        """Whether the source leaves out anything."""
        return bool(self._members)

    def __contains__(self, member: str) -> bool:
        """Return whether the member of a layer is left out."""
        return clean(member) in self._members


def absent_layer(left_out: LeftOutLayers, layer: str | Digest, text: str, *, reads_all: bool = False) -> str:
    """Return `text` about an absent layer, or what the receiver needs if the archive leaves it out on purpose.

    `layer` is its member, or its digest in a layout. With `reads_all`, the consumer does not look for the layer
    in what it holds (docs/recipes/thin.md).
    """
    member = layer if isinstance(layer, str) else blob_name(layer)
    if member not in left_out:
        return text
    return NeedsAllText(left_out.text) if reads_all else left_out.text
