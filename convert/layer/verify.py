"""Streams of layer bytes that are verified while they are read.

One wrapper checks size and digest at the end of the stream and reports what was
expected and what was found, so a caller who reads to the end cannot miss a mismatch.

A source can change between two readings, so having verified it once says nothing
about the next reading: every reading is hashed again. The only exception is a blob
that no other process can write to (`archive.blobs.PrivateBlob`), which is hashed once.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from convert.archive.blob import PrivateBlob
from convert.cancel import Cancel
from convert.codec import decompress
from convert.errors import DigestMismatchError, NotRepresentableError, UnsafeInputError
from convert.limits import CHUNK, MAX_LAYER_SIZE
from convert.model.digest import Digest
from convert.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer

    from convert.model.blob import Blob, Extent
    from convert.model.descriptor import Descriptor
    from convert.model.image import Layer
    from convert.progress import Progress

#: Compressed bytes from which on unpacking and hashing are worth a thread each.
_OVERLAP_SIZE: Final = CHUNK


class VerifiedBlobs:
    """Blobs that were read to their end and had a given digest and size, as they lie."""

    def __init__(self) -> None:
        """Nothing is verified yet."""
        # An `id()` identifies a blob only while the blob lives, so the blobs are kept.
        self._found: dict[tuple[int, Digest, int], Blob] = {}

    def add(self, blob: Blob, digest: Digest, size: int) -> None:
        """Record that the bytes of `blob` have this digest and size."""
        self._found[id(blob), digest, size] = blob

    def has(self, blob: Blob, digest: Digest, size: int) -> bool:
        """Report whether that was recorded."""
        return (id(blob), digest, size) in self._found

    def __iter__(self) -> Iterator[tuple[Blob, Digest, int]]:
        """Yield what was recorded."""
        for (_, digest, size), blob in list(self._found.items()):
            yield blob, digest, size


class VerifiedLayers:
    """Blobs that were unpacked to their end and gave the tar with a given DiffID.

    Deliberately not the same type as `VerifiedBlobs`: a gzip blob whose digest is D is
    not a layer with DiffID D, and one that unpacks to G is not the blob with digest G.
    """

    def __init__(self) -> None:
        """Nothing is verified yet."""
        self._found: dict[tuple[int, Digest], Blob] = {}

    def add(self, blob: Blob, diff_id: Digest) -> None:
        """Record that `blob`, unpacked if it is compressed, has this DiffID."""
        self._found[id(blob), diff_id] = blob

    def has(self, blob: Blob, diff_id: Digest) -> bool:
        """Report whether that was recorded."""
        return (id(blob), diff_id) in self._found


@dataclass(slots=True)
class Proofs:
    """What this run has verified, and how it reads.

    How it reads: the limit of one layer, the name of the file, who is informed of each
    blob's bytes, and whether one layer may use several cores (`overlap`).
    """

    max_layer_size: int = MAX_LAYER_SIZE
    file: str | None = None
    progress: Progress = field(default_factory=Silent)
    overlap: bool = False
    cancel: Cancel = field(default_factory=Cancel)
    blobs: VerifiedBlobs = field(default_factory=VerifiedBlobs)
    layers: VerifiedLayers = field(default_factory=VerifiedLayers)
    _counted: set[int] = field(default_factory=set)
    # An `id()` identifies a blob only while the blob lives.
    _alive: list[Blob] = field(default_factory=list)

    def open(self, blob: Blob, name: Digest) -> BinaryIO:
        """Start reading a blob as it lies; the first reading of each is counted under `name`."""
        return self.counting(blob, name, blob.open())

    def counting(self, blob: Blob, name: Digest, raw: BinaryIO) -> BinaryIO:
        """Return a stream of the bytes of `blob` from elsewhere; counted as by `open`."""
        if isinstance(self.progress, Silent) or id(blob) in self._counted:
            return raw
        self._alive.append(blob)
        self._counted.add(id(blob))
        return cast("BinaryIO", CountingStream(raw, self.progress.begin(name.hex[:12], blob.size or 0)))


class CountingStream(decompress.Over):
    """A stream that tells how many bytes pass."""

    def __init__(self, below: BinaryIO, tell: Callable[[int], None]) -> None:
        """Read from `below`, which is closed with this stream."""
        super().__init__(below)
        self._tell = tell

    def _took(self, count: int) -> None:
        self._tell(count)


class CopyingStream(io.RawIOBase):
    """A stream that hands on what passes, so that it is read once and hashed and written alike."""

    def __init__(self, inner: BinaryIO, write: Callable[[bytes], object]) -> None:
        """Read from `inner`, which is closed with this stream; pass every byte that is read to `write`."""
        super().__init__()
        self._inner = inner
        self._write = write

    def readable(self) -> bool:
        """It reads."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer`; errors of `write` are raised too."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes; errors of `write` are raised too."""
        data = self._inner.read(-1 if size is None else size)
        self._write(data)
        return data

    def close(self) -> None:
        """Close the stream below too."""
        if not self.closed:
            self._inner.close()
        super().close()


class HashingStream(io.RawIOBase):
    """A stream that hashes what passes and calls `done` once at its end."""

    def __init__(
        self,
        inner: BinaryIO,
        algorithm: str,
        done: Callable[[Digest, int], None],
        *,
        limit: int | None = None,
        where: str = "",
        cancel: Cancel | None = None,
    ) -> None:
        """Read from `inner`, which is closed with this stream."""
        self._inner = inner
        self._cancel = cancel
        self._hasher = hashlib.new(algorithm)
        self._algorithm = algorithm
        self._done: Callable[[Digest, int], None] | None = done
        self._limit = limit
        self._where = where
        self._size = 0

    def readable(self) -> bool:
        """It reads."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer`; at the end, verify what was read.

        Raises:
            DigestMismatchError: the bytes are not what names them.
            UnsafeInputError: more bytes than the limit.
        """
        view = memoryview(buffer).cast("B")
        count = decompress.read_into(self._inner, view)
        self._passed(view[:count], asked=len(view))
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes, without a copy where the stream below makes none; as `readinto`."""
        if size is None or size < 0:
            return self.readall()
        data = self._inner.read(size)
        self._passed(data, asked=size)
        return data

    def _passed(self, data: bytes | memoryview, *, asked: int) -> None:
        if data:
            self._size += len(data)
            if self._limit is not None and self._size > self._limit:
                raise UnsafeInputError(
                    f"unpacks to more than {self._limit} bytes",
                    member=self._where,
                    hint="--max-layer-size raises the limit",
                )
            self._hasher.update(data)
            if self._cancel is not None:
                self._cancel.check()
        elif self._done is not None and asked:
            done, self._done = self._done, None
            done(Digest(self._algorithm, self._hasher.hexdigest()), self._size)

    def close(self) -> None:
        """Close the stream below too."""
        if not self.closed:
            self._inner.close()
        super().close()


def mismatch(
    where: str, file: str | None, wanted: Digest, got: Digest, size: int, what: str = "layer's DiffID"
) -> DigestMismatchError:
    """Return the error for bytes that are not what names them."""
    return DigestMismatchError(
        f"{what} is {got}, expected {wanted}",
        wanted=str(wanted),
        got=str(got),
        size=size,
        file=file,
        member=where,
    )


def compression_of(blob: Blob) -> str:
    """Return "", "gzip", "zstd", "bzip2" or "xz" by the magic of a blob."""
    with blob.open() as stream:
        return decompress.sniff(stream.read(32))


def present(layer: Layer, file: str | None = None) -> Blob:
    """Return a layer's blob.

    Raises:
        NotRepresentableError: a non-distributable layer that lives elsewhere.
    """
    if layer.blob is None:
        urls = ", ".join(layer.stored.urls) if layer.stored else ""
        raise NotRepresentableError(
            f"layer {layer.diff_id} is not distributable and not in the source; its bytes are needed here",
            file=file,
            hint=f"it lives at {urls}" if urls else None,
        )
    return layer.blob


class StoredContent:
    """A blob's bytes as they lie, verified against the descriptor that names them."""

    def __init__(self, blob: Blob, stored: Descriptor, proofs: Proofs) -> None:
        """Nothing is read before `open`."""
        self._blob = blob
        self._stored = stored
        self._proofs = proofs

    @property
    def size(self) -> int:
        """Bytes, as the descriptor says and reading verifies."""
        return self._stored.size

    @property
    def size_hint(self) -> int:
        """The exact size is known."""
        return self._stored.size

    @property
    def verified(self) -> bool:
        """Whether these bytes were read to their end and matched; they may have changed since."""
        return self._proofs.blobs.has(self._blob, self._stored.digest, self._stored.size)

    @property
    def fixed(self) -> bool:
        """Whether they were verified and cannot have changed since."""
        return isinstance(self._blob, PrivateBlob) and self.verified

    def extent(self) -> Extent | None:
        """Where the bytes lie in a regular file."""
        return self._blob.extent()

    def open(self) -> BinaryIO:
        """Start reading; the end of the stream verifies digest and size."""
        raw = self._proofs.open(self._blob, self._stored.digest)
        return raw if self.fixed else self._verifying(raw)

    def open_copy(self, copy: BinaryIO) -> BinaryIO:
        """Start reading a copy of the bytes, verified as by `open`; nothing is taken on trust."""
        return self._verifying(self._proofs.counting(self._blob, self._stored.digest, copy))

    def _verifying(self, raw: BinaryIO) -> BinaryIO:
        return cast(
            "BinaryIO",
            HashingStream(
                raw,
                self._stored.digest.algorithm,
                self._check,
                limit=self._stored.size,
                where=self._blob.where,
                cancel=self._proofs.cancel,
            ),
        )

    def _check(self, got: Digest, size: int) -> None:
        if got != self._stored.digest or size != self._stored.size:
            raise mismatch(self._blob.where, self._proofs.file, self._stored.digest, got, size, "content")
        self._proofs.blobs.add(self._blob, got, size)


class PlainContent:
    """A layer's uncompressed tar, verified against its DiffID.

    A descriptor that came with the layer is verified in the same pass, so each
    byte is read once and both results are about the same bytes.
    """

    def __init__(self, layer: Layer, proofs: Proofs) -> None:
        """Nothing is read before `open`."""
        self._layer = layer
        self._blob = present(layer, proofs.file)
        self._proofs = proofs
        self._compression: str | None = None

    @property
    def compression(self) -> str:
        """How the bytes lie, by their magic."""
        if self._compression is None:
            self._compression = compression_of(self._blob)
        return self._compression

    @property
    def size(self) -> int | None:
        """Bytes of a layer that lies uncompressed; None where only reading tells."""
        return self._blob.size if not self.compression else None

    @property
    def size_hint(self) -> int | None:
        """What the compressed form claims to unpack to; a hint, nothing more."""
        return self.size if not self.compression else decompress.size_hint(self._blob, self.compression)

    @property
    def verified(self) -> bool:
        """Whether this layer was read to its end and matched; it may have changed since."""
        stored = self._layer.stored
        return self._proofs.layers.has(self._blob, self._layer.diff_id) and (
            stored is None or self._proofs.blobs.has(self._blob, stored.digest, stored.size)
        )

    @property
    def fixed(self) -> bool:
        """Whether it was verified and cannot have changed since."""
        return isinstance(self._blob, PrivateBlob) and self.verified

    def extent(self) -> Extent | None:
        """Where the plain bytes lie, if they do."""
        return self._blob.extent() if not self.compression else None

    def open(self) -> BinaryIO:
        """Start reading; the end of the stream verifies the DiffID, and the descriptor if there is one."""
        raw = self._proofs.open(self._blob, self._layer.diff_id)
        if not self.fixed:
            return self._verifying(raw)
        try:
            return self._unpacked(raw)
        except BaseException:
            raw.close()
            raise

    def open_copy(self, copy: BinaryIO) -> BinaryIO:
        """Start reading a copy of the bytes as they lie, verified as by `open`; nothing is taken on trust."""
        return self._verifying(self._proofs.counting(self._blob, self._layer.diff_id, copy))

    def open_described(self, done: Callable[[Digest, int], None], copy: BinaryIO | None = None) -> BinaryIO:
        """As `open`, or as `open_copy` where `copy` is given.

        Before the end of the stream, `done` gets sha256 and size of the bytes as they lie.
        """
        name = self._layer.diff_id
        raw = self._proofs.open(self._blob, name) if copy is None else self._proofs.counting(self._blob, name, copy)
        return self._verifying(self._hashing(raw, "sha256", done))

    def _verifying(self, raw: BinaryIO) -> BinaryIO:
        try:
            stored = self._layer.stored
            if stored is not None and (self.compression or stored.digest.algorithm != self._layer.diff_id.algorithm):
                raw = self._hashing(raw, stored.digest.algorithm, self._check_stored)
            # The decompressor reads `raw` to its end, trailing bytes included.
            return self.proving(self._unpacked(raw))
        except BaseException:
            raw.close()
            raise

    def _hashing(self, raw: BinaryIO, algorithm: str, done: Callable[[Digest, int], None]) -> BinaryIO:
        return cast("BinaryIO", HashingStream(raw, algorithm, done, where=self._blob.where))

    def _unpacked(self, raw: BinaryIO) -> BinaryIO:
        plain = decompress.decompress(raw, self.compression, where=self._blob.where)
        if not self.compression or not self._proofs.overlap or (self._blob.size or 0) < _OVERLAP_SIZE:
            return plain
        from convert.codec.readahead import read_ahead  # noqa: PLC0415 - only where used

        return read_ahead(plain)

    def proving(self, plain: BinaryIO) -> BinaryIO:
        """Return a stream of plain bytes from elsewhere that verifies this layer's DiffID."""
        return cast(
            "BinaryIO",
            HashingStream(
                plain,
                self._layer.diff_id.algorithm,
                self._check_plain,
                limit=self._proofs.max_layer_size,
                where=self._blob.where,
                cancel=self._proofs.cancel,
            ),
        )

    def _check_plain(self, got: Digest, size: int) -> None:
        if got != self._layer.diff_id:
            raise mismatch(self._blob.where, self._proofs.file, self._layer.diff_id, got, size)
        stored = self._layer.stored
        if not self.compression:
            # Uncompressed bytes are named twice; one hash serves for both names.
            if stored is not None and stored.digest.algorithm == got.algorithm:
                self._check_stored(got, size)
            self._proofs.blobs.add(self._blob, got, size)
        self._proofs.layers.add(self._blob, got)

    def _check_stored(self, got: Digest, size: int) -> None:
        stored = self._layer.stored
        if stored is not None and (got != stored.digest or size != stored.size):
            raise mismatch(self._blob.where, self._proofs.file, stored.digest, got, size, "layer")
        self._proofs.blobs.add(self._blob, got, size)


def drain(stream: BinaryIO, sink: Callable[[memoryview], object] | None = None) -> int:
    """Read a stream to its end in chunks, hand each to `sink`, return the bytes read."""
    total = 0
    for chunk in decompress.read_chunks(stream, CHUNK):
        total += len(chunk)
        if sink is not None:
            sink(memoryview(chunk))
    return total
