"""The staging area for finished layers: the interface of a destination, and an area that keeps nothing."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.model.blob import Blob
    from convert.model.digest import Digest


class BlobWriter(Protocol):
    """A blob that is written to the staging area."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Append bytes."""

    def clone(self, blob: Blob) -> BinaryIO | None:
        """Create it as a reflink of a file and return a stream to verify it; None if that is not possible."""

    def finish(self, digest: Digest) -> Blob:
        """Store the blob under its digest, and return it for reading."""

    def abort(self) -> None:
        """Discard the blob."""


class Staging(Protocol):
    """The area beside the destination that keeps finished blobs."""

    @property
    def final(self) -> bool:
        """Whether the blobs become part of the result in place; otherwise they are copied."""

    def new_blob(self) -> BlobWriter:
        """Start a blob; its digest names it when it is finished."""


@contextmanager
def staged_blob(staging: Staging) -> Iterator[BlobWriter]:
    """Start a blob, to be finished in the `with` block; an exception discards it."""
    out = staging.new_blob()
    try:
        yield out
    except BaseException:
        out.abort()
        raise


class EncodedBlobs(Protocol):
    """The layers encoded with a profile that the target already contains."""

    def is_listed(self, profile: str, diff_id: Digest) -> bool:
        """Whether the target lists the layer; nothing is read."""

    def find(self, profile: str, diff_id: Digest) -> tuple[Digest, int, Blob] | None:
        """Return digest, size and bytes of a blob that is verified to be that layer."""


class NoStaging:
    """Keeps nothing, for commands that only need digests."""

    final = False

    def new_blob(self) -> BlobWriter:
        """Start a blob that is not kept."""
        return _Discarding()


class _Discarding:
    def write(self, data: bytes | memoryview, /) -> object:
        return len(data)

    def clone(self, blob: Blob) -> None:
        del blob

    def finish(self, digest: Digest) -> Blob:
        return _Discarded(str(digest))

    def abort(self) -> None:
        return


@dataclass(frozen=True, slots=True, eq=False)
class _Discarded:
    """A blob of which only the digest was needed."""

    where: str
    size: int | None = None

    def open(self) -> BinaryIO:
        raise ValueError(f"{self.where} was not kept")

    def extent(self) -> None:
        return None
