"""The Python API: open an archive, list and name its images, read their layers, convert."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from functools import cached_property
from typing import TYPE_CHECKING, cast

from convert.archive.open import open_source
from convert.codec import decompress
from convert.identity.engine_id import entry_name
from convert.layer.context import ReadContext, ReadOptions
from convert.layer.verify import PlainContent, StoredContent, present
from convert.limits import CHUNK, MAX_LAYER_SIZE
from convert.model.walk import descend
from convert.plan.select_image import select_by_image
from convert.reader.detect import read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import BinaryIO, Self

    from typing_extensions import Buffer

    from convert.model.image import Image, Layer, Node
    from convert.model.image_set import ImageSet, SourceFormat


class UnverifiedWarning(UserWarning):
    """A layer was closed before its end, so its digest was not checked."""


class LayerReader(io.BufferedReader):
    """A layer's bytes. `read(n)` gives n bytes unless the stream ends.

    At the end the digest is checked. A reader that is closed before proves nothing about
    what was read, and warns of it; `verified` tells.
    """

    def __init__(self, raw: BinaryIO, where: str) -> None:
        """Read `raw`, which checks itself at its end and is closed with this reader."""
        super().__init__(_ToTheEnd(raw), CHUNK)
        self._where = where

    @property
    def verified(self) -> bool:
        """Whether the layer was read to its end and its digest matched."""
        return cast("_ToTheEnd", self.raw).ended

    def close(self) -> None:
        """Close the layer.

        Warns:
            UnverifiedWarning: it was not read to its end, and no exception is the reason.
        """
        if self.closed:
            return
        raw = cast("_ToTheEnd", self.raw)
        unverified = not raw.ended and not raw.failed and sys.exc_info()[0] is None
        super().close()
        if unverified:
            warnings.warn(f"{self._where} was closed before its end: not verified", UnverifiedWarning, stacklevel=2)


class _ToTheEnd(decompress.Over):
    """Notices how a stream ends."""

    ended = False
    failed = False

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer` with one read."""
        with self._noticing():
            return super().readinto(buffer)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return what one read gives."""
        with self._noticing():
            return super().read(size)

    @contextlib.contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.failed = True
            raise

    def _took(self, count: int) -> None:
        # Nobody asks for no bytes, so none are the end.
        self.ended = self.ended or not count


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
        self._context = ReadContext(ReadOptions(max_layer_size, file=self._source.path))

    @property
    def format(self) -> SourceFormat:
        """The format that the reader recognised."""
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
        return tuple(self._names.get(image, ()))

    @cached_property
    def _names(self) -> dict[Node, dict[str, None]]:
        """The names that lead to each node."""
        found: dict[Node, dict[str, None]] = {}
        for entry in self.image_set.entries:
            text = entry_name(entry)
            for node in descend(entry.node) if text else ():
                found.setdefault(node, {})[text or ""] = None
        return found

    def image(self, selector: str) -> Image:
        """Return the one image that `--image SELECTOR` would pick.

        Raises:
            SelectionError: there is none, or more than one.
        """
        from convert.errors import SelectionError  # noqa: PLC0415

        found = list(select_by_image(self.image_set, [selector]).images())
        if len(found) != 1:
            raise SelectionError(f"{selector!r} is {len(found)} images", hint="name the image ID of one")
        return found[0]

    def open_plain(self, layer: Layer) -> LayerReader:
        """Open a layer's uncompressed tar; reading to the end verifies its DiffID.

        Raises:
            NotRepresentableError: the layer is not in the archive.
            DigestMismatchError: at the end, if the bytes are others.
        """
        return LayerReader(PlainContent(layer, self._context).open(), f"layer {layer.diff_id}")

    def open_stored(self, layer: Layer) -> BinaryIO:
        """Open a layer's bytes as they are stored; verified at the end where a descriptor names them."""
        if layer.stored is None:
            return io.BufferedReader(cast("io.RawIOBase", present(layer).open()), CHUNK)
        content = StoredContent(present(layer), layer.stored, self._context)
        return LayerReader(content.open(), f"layer {layer.stored.digest}")

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
