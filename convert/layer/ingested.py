"""Layers that were transcoded while they were received (`stream_ingest.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from convert.archive.blob import PrivateBlob
from convert.codec import decompress
from convert.codec.sniff import SNIFF_SIZE, sniff

if TYPE_CHECKING:
    from concurrent.futures import Future

    from convert.model.blob import Blob, Extent
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest


class Transcoded(NamedTuple):
    """A layer after transcoding: the sha256 of its uncompressed bytes, and the compressed ones."""

    diff_id: Digest
    encoded: Descriptor
    blob: Blob


@dataclass(frozen=True, slots=True, eq=False)
class IngestedBlob(PrivateBlob):
    """An uncompressed layer that is kept compressed: reading unpacks it again.

    `result` is, once done, what `profile` gave.
    """

    where: str
    size: int
    profile: str
    result: Transcoded | Future[Transcoded]

    def transcoded(self, profile: str) -> Transcoded | None:
        """Return the layer as `profile` compresses it, None if another profile was used; waits until it is done.

        Raises:
            StorageError: the disk was full.
        """
        return self._wait() if profile == self.profile else None

    def _wait(self) -> Transcoded:
        return self.result if isinstance(self.result, Transcoded) else self.result.result()

    def open(self) -> BinaryIO:
        """Start reading the uncompressed bytes."""
        kept = self._wait().blob
        with kept.open() as stream:
            head = stream.read(SNIFF_SIZE)
        return decompress.decompress(kept.open(), sniff(head), where=self.where)

    def extent(self) -> Extent | None:
        """Return None: the uncompressed bytes are not stored."""
        return None


def was_ingested(blob: Blob | None) -> bool:
    """Return whether a blob was read, and its bytes counted, while it arrived."""
    return isinstance(blob, IngestedBlob)


def transcoded(blob: Blob | None, profile: str) -> Transcoded | None:
    """Return what `profile` made of a blob while it arrived, None if that did not happen; errors as `IngestedBlob`."""
    return blob.transcoded(profile) if isinstance(blob, IngestedBlob) else None
