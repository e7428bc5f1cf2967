"""Where the bytes of finished layers go: what the engine needs of a destination, and a place that keeps nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
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
        """Start a blob whose name its content will tell."""


class KnownBlobs(Protocol):
    """What the target holds of the layers that a profile makes."""

    def is_listed(self, profile: str, diff_id: Digest) -> bool:
        """Whether the target claims to hold it; nothing is read."""

    def find(self, profile: str, diff_id: Digest) -> tuple[Digest, int, Blob] | None:
        """Return digest, size and bytes of a blob that is verified to be that layer."""


class NoStaging:
    """For commands that only want digests: bytes are counted and thrown away."""

    final = False

    def new_blob(self) -> BlobWriter:
        """Start a blob that nobody keeps."""
        return _Nowhere()


class _Nowhere:
    def write(self, data: bytes | memoryview, /) -> object:
        return len(data)

    def clone(self, blob: Blob) -> None:
        del blob

    def finish(self, digest: Digest) -> Blob:
        return _Gone(str(digest))

    def abort(self) -> None:
        return


@dataclass(frozen=True, slots=True)
class _Gone:
    """A blob of which only the digest was wanted."""

    where: str
    size: int | None = None

    def open(self) -> BinaryIO:
        raise ValueError(f"{self.where} was not kept")

    def extent(self) -> None:
        return None
