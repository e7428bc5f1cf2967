"""Where the bytes of finished layers go: what the engine needs of a destination, and a staging area that keeps none."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.model.blob import Blob
    from convert.model.digest import Digest


class BlobWriter(Protocol):
    """A blob being made in the staging area."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Append bytes."""

    def clone(self, blob: Blob) -> BinaryIO | None:
        """Make it a reflink of a whole file, and return a stream to verify it by; None if that cannot be done."""

    def finish(self, digest: Digest) -> Blob:
        """Name what was written, and return it for reading."""

    def abort(self) -> None:
        """Throw it away."""


class Staging(Protocol):
    """The area beside the destination where finished blobs wait."""

    @property
    def final(self) -> bool:
        """Whether they become part of the result where they are; else they are copied once more."""

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
