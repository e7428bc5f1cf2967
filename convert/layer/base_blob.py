"""Blobs that a thin archive takes from its base, which is another archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from convert.codec import decompress
from convert.layer.verify import compression_of

if TYPE_CHECKING:
    from convert.codec.compression import Compression
    from convert.model.blob import Blob, Extent


@dataclass(frozen=True, slots=True, eq=False)
class BaseBlob:
    """The stored bytes of a layer in a base; messages name the archive `file` too."""

    blob: Blob
    file: str

    @property
    def size(self) -> int | None:
        """Size in bytes, or None if it is known only after reading."""
        return self.blob.size

    @property
    def where(self) -> str:
        """The archive and the name of the member."""
        return f"{self.blob.where} of {self.file}"

    def open(self) -> BinaryIO:
        """Start reading at the first byte."""
        return self.blob.open()

    def extent(self) -> Extent | None:
        """Return where the bytes are in a regular file, or None."""
        return self.blob.extent()


@dataclass(frozen=True, slots=True, eq=False)
class UnpackedBlob:
    """The uncompressed tar of a layer that a base holds compressed."""

    blob: BaseBlob
    compression: Compression

    @property
    def size(self) -> int | None:
        """None: it is known only after reading."""
        return None

    @property
    def where(self) -> str:
        """The archive and the name of the member."""
        return self.blob.where

    def open(self) -> BinaryIO:
        """Start reading at the first byte of the tar."""
        return decompress.decompress(self.blob.open(), self.compression, where=self.where)

    def extent(self) -> Extent | None:
        """Return None: the bytes are in no file."""
        return None


def unpacked(blob: BaseBlob) -> Blob:
    """Return the uncompressed tar behind a blob of a base."""
    compression = compression_of(blob)
    return UnpackedBlob(blob, compression) if compression else blob
