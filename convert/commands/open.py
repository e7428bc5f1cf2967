"""The Python API: open an archive, list and name its images, read their layers, convert."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

from convert.archive.open import open_source
from convert.codec import decompress
from convert.commands.common import Options, ignore, options_of
from convert.identity.engine_id import entry_name
from convert.layer.context import ReadContext, ReadOptions
from convert.layer.verify import PlainContent, StoredContent, present
from convert.limits import CHUNK, MAX_LAYER_SIZE
from convert.model.walk import descend
from convert.plan.read_selection import read_selection
from convert.plan.select_image import select_by_image
from convert.reader.detect import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import BinaryIO, Self, Unpack

    from typing_extensions import Buffer

    from convert.commands.common import Path, Warn
    from convert.commands.keywords import OpenFields
    from convert.model.image import Image, Layer, Node
    from convert.model.image_set import ImageSet, SourceFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOptions(Options):
    """The options of `open`.

    Attributes:
        images: select images by name, image ID, manifest digest, or a hex prefix of one
            with at least 4 digits; all images without one (docs/contract.md#selecting).
        platforms: select platforms, each `OS/ARCH[/VARIANT]` (docs/contract.md#selecting).
        max_layer_size: the most bytes that a layer may unpack to (docs/contract.md#limits).
    """

    images: Sequence[str] = ()
    platforms: Sequence[str] = ()
    max_layer_size: int = MAX_LAYER_SIZE


class UnverifiedWarning(UserWarning):
    """A layer was closed before its end, so its digest was not checked."""


class LayerReader(io.BufferedReader):
    """A layer's bytes. `read(n)` gives n bytes unless the stream ends.

    At the end the digest is checked. A reader that is closed before warns that what was
    read is not verified; `verified` is whether it is.
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
        # Reads are never for 0 bytes, so 0 bytes are the end.
        self.ended = self.ended or not count


class Archive:
    """An archive or layout that is open for reading; use it as a context manager.

    Documents are read and checked at once, layers only when asked for.
    """

    def __init__(self, source: Path, options: OpenOptions | None = None, *, warn: Warn = ignore) -> None:
        """Open a source; see `open` for the arguments and errors."""
        options = options or OpenOptions()
        self._source = open_source(os.fspath(source))
        try:
            #: What was selected of the archive, in its own order.
            self.image_set: ImageSet = self._read(options, warn)
        except BaseException:
            self._source.close()
            raise
        self._context = ReadContext(ReadOptions(options.max_layer_size, file=self._source.path))

    def _read(self, options: OpenOptions, warn: Warn) -> ImageSet:
        if options.images or options.platforms or self._source.reference_text:
            return read_selection(self._source, options.images, options.platforms, warn=warn)
        images = read(self._source.tree)
        for warning in images.warnings:
            warn(warning)
        return images

    @property
    def format(self) -> SourceFormat:
        """The format of the source; a string such as "docker-save" or "oci"."""
        return self.image_set.format

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines about what was accepted although it is unusual."""
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
            raise SelectionError(
                f"{selector!r} is {len(found)} images", code="ambiguous-image", hint="name the image ID of one"
            )
        return found[0]

    def open_plain(self, layer: Layer) -> LayerReader:
        """Open a layer's uncompressed tar; reading to the end verifies its DiffID.

        Raises:
            UsageError: the archive is closed.
            NotRepresentableError: the layer is not in the archive.
            DigestMismatchError: at the end, if the bytes are others.
        """
        self._source.check_open()
        return LayerReader(PlainContent(layer, self._context).open(), f"layer {layer.diff_id}")

    def open_stored(self, layer: Layer) -> BinaryIO:
        """Open a layer's bytes as they are stored; verified at the end where a descriptor names them.

        Raises:
            UsageError: the archive is closed.
            NotRepresentableError: the layer is not in the archive.
            DigestMismatchError: at the end, if a descriptor names other bytes.
        """
        self._source.check_open()
        if layer.stored is None:
            return io.BufferedReader(cast("io.RawIOBase", present(layer).open()), CHUNK)
        content = StoredContent(present(layer), layer.stored, self._context)
        return LayerReader(content.open(), f"layer {layer.stored.digest}")

    def close(self) -> None:
        """Close the source; layers that are still open can no longer be read."""
        self._source.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the source."""
        self.close()


def open(  # noqa: A001 - the API's name
    source: Path, options: OpenOptions | None = None, *, warn: Warn = ignore, **fields: Unpack[OpenFields]
) -> Archive:
    """Open an archive or layout for reading.

    Args:
        source: a file, a folder, `-` for standard input, or one of skopeo's spellings
            such as `oci:layout:app`.
        options: what to select; see `OpenOptions`.
        warn: called with one line for each thing that was accepted or dropped.
        fields: the fields of `OpenOptions`, instead of `options`.

    Raises:
        SelectionError: the selection fits nothing, or more than it may.
        InputError: the source is damaged, hostile, unsupported or not an image archive.
        StorageError: the source cannot be read.
    """
    return Archive(source, options_of(OpenOptions, options, dict(fields)), warn=warn)
