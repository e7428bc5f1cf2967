"""The Python API: open an archive, list and name its images, read their layers, convert."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from convert.archive.source import open_source
from convert.content import PlainContent, Proofs, StoredContent, present
from convert.formats.read import read
from convert.limits import MAX_LAYER_SIZE
from convert.names import entry_text
from convert.select import by_image, descend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import BinaryIO, Self

    from convert.model import Image, ImageSet, Layer


class Archive:
    """An archive or layout that is open for reading; use it as a context manager.

    Documents are read and checked at once, layers only when asked for.
    """

    def __init__(self, source: str | os.PathLike[str], *, max_layer_size: int = MAX_LAYER_SIZE) -> None:
        """Open a file, a folder, `-`, or one of skopeo's spellings.

        Raises:
            InputError: damaged, hostile, unsupported, or no image.
            StorageError: it cannot be read.
        """
        self._source = open_source(os.fspath(source))
        try:
            #: Everything in the archive, in its own order.
            self.image_set: ImageSet = read(self._source.tree)
        except BaseException:
            self._source.close()
            raise
        self._proofs = Proofs(max_layer_size, file=self._source.path)

    @property
    def format(self) -> str:
        """What it is: "docker-save", "oci", ..."""
        return self.image_set.format

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was accepted with a remark, one line each."""
        return self.image_set.warnings

    def images(self) -> Iterator[Image]:
        """Yield each image once, those inside indexes too."""
        return self.image_set.images()

    def names(self, image: Image) -> tuple[str, ...]:
        """Return the names of an image, or of the index it is in, as Docker shows them."""
        return tuple(self._names.get(id(image), ()))

    @cached_property
    def _names(self) -> dict[int, dict[str, None]]:
        """The names that lead to each node, by its `id()`."""
        found: dict[int, dict[str, None]] = {}
        for entry in self.image_set.entries:
            text = entry_text(entry)
            for node in descend(entry.node) if text else ():
                found.setdefault(id(node), {})[text or ""] = None
        return found

    def image(self, selector: str) -> Image:
        """Return the one image that `--image SELECTOR` would pick.

        Raises:
            SelectionError: there is none, or more than one.
        """
        from convert.errors import SelectionError  # noqa: PLC0415

        found = list(by_image(self.image_set, [selector]).images())
        if len(found) != 1:
            raise SelectionError(f"{selector!r} is {len(found)} images", hint="name the image ID of one")
        return found[0]

    def open_plain(self, layer: Layer) -> BinaryIO:
        """Open a layer's uncompressed tar; reading to the end proves its DiffID.

        Raises:
            NotRepresentableError: the layer is not in the archive.
            DigestMismatchError: at the end, if the bytes are others.
        """
        return PlainContent(layer, self._proofs).open()

    def open_stored(self, layer: Layer) -> BinaryIO:
        """Open a layer's bytes as they lie; proved at the end where a descriptor names them."""
        if layer.stored is None:
            return present(layer).open()
        return StoredContent(present(layer), layer.stored, self._proofs).open()

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the source."""
        self.close()


def open(source: str | os.PathLike[str], *, max_layer_size: int = MAX_LAYER_SIZE) -> Archive:  # noqa: A001 - the API's name
    """Open an archive or layout for reading; see `Archive`."""
    return Archive(source, max_layer_size=max_layer_size)
