"""State that all readers of one run share: options, what was verified, progress and cancellation.

A source can change between two readings, so every reading is hashed again, even after the bytes
were verified once. The only exception is a blob that no other process can write to
(`archive.blob.PrivateBlob`), which is hashed once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, cast

from convert.cancel import Cancel
from convert.layer.streams import CountingStream
from convert.limits import MAX_LAYER_SIZE
from convert.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.model.blob import Blob
    from convert.model.digest import Digest
    from convert.progress import Progress


class VerifiedBlobs:
    """Blobs that were read to their end and had a given digest and size, as stored."""

    def __init__(self) -> None:
        """Nothing is verified yet."""
        self._found: dict[tuple[Blob, Digest, int], None] = {}

    def add(self, blob: Blob, digest: Digest, size: int) -> None:
        """Record that the bytes of `blob` have this digest and size."""
        self._found[blob, digest, size] = None

    def has(self, blob: Blob, digest: Digest, size: int) -> bool:
        """Return whether that was recorded."""
        return (blob, digest, size) in self._found

    def __iter__(self) -> Iterator[tuple[Blob, Digest, int]]:
        """Yield what was recorded."""
        yield from list(self._found)


class VerifiedLayers:
    """Blobs that were unpacked to their end and gave the tar with a given DiffID.

    Deliberately not the same type as `VerifiedBlobs`: a gzip blob whose digest is D is
    not a layer with DiffID D, and one that unpacks to G is not the blob with digest G.
    """

    def __init__(self) -> None:
        """Nothing is verified yet."""
        self._found: set[tuple[Blob, Digest]] = set()

    def add(self, blob: Blob, diff_id: Digest) -> None:
        """Record that `blob`, unpacked if it is compressed, has this DiffID."""
        self._found.add((blob, diff_id))

    def has(self, blob: Blob, diff_id: Digest) -> bool:
        """Return whether that was recorded."""
        return (blob, diff_id) in self._found


@dataclass(frozen=True, slots=True)
class VerifiedMemo:
    """What a run has verified so far."""

    blobs: VerifiedBlobs = field(default_factory=VerifiedBlobs)
    layers: VerifiedLayers = field(default_factory=VerifiedLayers)


#: `ReadOptions.limit_hint` of the commands that have the option.
LIMIT_HINT: Final = "--max-layer-size raises the limit"


class ReadOptions(NamedTuple):
    """How layers are read.

    `max_layer_size` bounds one uncompressed layer, in bytes; `limit_hint` states how to raise
    it, where the user can; `file` names the source in errors; with `overlap`, a large
    compressed layer is unpacked in a thread of its own.
    """

    max_layer_size: int = MAX_LAYER_SIZE
    file: str | None = None
    overlap: bool = False
    limit_hint: str | None = None


class BlobProgress:
    """Reports the bytes of each blob to a `Progress` once, however often the blob is read."""

    def __init__(self, progress: Progress | None = None) -> None:
        """Report to `progress`, if it is given."""
        self.progress = progress or Silent()
        self._counted: set[Blob] = set()

    def counting(self, blob: Blob, name: Digest, raw: BinaryIO) -> BinaryIO:
        """Return `raw`, the bytes of `blob`; the first stream of each blob is counted under `name`."""
        if isinstance(self.progress, Silent) or blob in self._counted:
            return raw
        self._counted.add(blob)
        return cast("BinaryIO", CountingStream(raw, self.progress.begin(name.hex[:12], blob.size or 0)))


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What all reading of one run shares; safe to use from several threads."""

    options: ReadOptions = field(default_factory=ReadOptions)
    verified: VerifiedMemo = field(default_factory=VerifiedMemo)
    progress: BlobProgress = field(default_factory=BlobProgress)
    cancel: Cancel = field(default_factory=Cancel)
    #: The source that each blob is from, where there are several.
    origins: dict[Blob, str] = field(default_factory=dict)

    def without_overlap(self) -> ReadContext:
        """Return this with each layer unpacked in one thread, for layers that keep all cores busy side by side."""
        return replace(self, options=self.options._replace(overlap=False))

    @property
    def file(self) -> str | None:
        """The name of the source in errors; None where there are several."""
        return self.options.file

    def file_of(self, blob: Blob) -> str | None:
        """Return the name of a blob's source in errors."""
        return self.origins.get(blob, self.options.file)

    def open(self, blob: Blob, name: Digest) -> BinaryIO:
        """Start reading a blob as stored; the first reading of each is counted under `name`."""
        return self.counting(blob, name, blob.open())

    def counting(self, blob: Blob, name: Digest, raw: BinaryIO) -> BinaryIO:
        """Return a stream of the bytes of `blob` from elsewhere; counted as by `open`."""
        return self.progress.counting(blob, name, raw)
