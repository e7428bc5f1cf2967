"""Layer bytes that prove themselves while they are read.

One wrapper checks size and digest at the end of the stream and names what was
wanted and what was there, so nobody who reads to the end can miss a lie. What
was proved once in a run is not proved again.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from convert.archive.copying import Stopped
from convert.compression import streams
from convert.digest import Digest
from convert.errors import DigestMismatchError, NotRepresentableError, UnsafeInputError
from convert.limits import CHUNK, MAX_LAYER_SIZE
from convert.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from convert.model import Blob, Descriptor, Extent, Layer
    from convert.progress import Progress

#: Compressed bytes from which on unpacking and hashing are worth a thread each.
_OVERLAP_SIZE: Final = CHUNK


@dataclass(slots=True)
class Proofs:
    """What this run has proved: blobs (by identity) and the digest each matched.

    It also holds how the run reads: the limit of one layer, the name of the file,
    who is told of each blob's bytes, and whether one layer may use several cores
    (`overlap`).
    """

    max_layer_size: int = MAX_LAYER_SIZE
    file: str | None = None
    progress: Progress = field(default_factory=Silent)
    overlap: bool = False
    stopped: bool = False
    _proved: set[tuple[int, Digest]] = field(default_factory=set)
    _counted: set[int] = field(default_factory=set)
    # Identity is only a key while the object lives.
    _alive: list[Blob] = field(default_factory=list)

    def stop(self) -> None:
        """End all reading at its next chunk: the run is over, and nobody waits for a large layer."""
        self.stopped = True

    def check_stopped(self) -> None:
        """Say whether the run goes on.

        Raises:
            Stopped: it does not.
        """
        if self.stopped:
            raise Stopped

    def add(self, blob: Blob, digest: Digest) -> None:
        """Remember that `blob`, or what it unpacks to, is `digest`."""
        self._alive.append(blob)
        self._proved.add((id(blob), digest))

    def has(self, blob: Blob, digest: Digest) -> bool:
        """Tell whether that was proved already."""
        return (id(blob), digest) in self._proved

    def open(self, blob: Blob, name: Digest) -> BinaryIO:
        """Start reading a blob as it lies; the first reading of each is counted under `name`."""
        raw = blob.open()
        if isinstance(self.progress, Silent) or id(blob) in self._counted:
            return raw
        self._alive.append(blob)
        self._counted.add(id(blob))
        return cast("BinaryIO", CountingStream(raw, self.progress.begin(name.hex[:12], blob.size or 0)))


class CountingStream(streams.Over):
    """A stream that tells how many bytes pass."""

    def __init__(self, below: BinaryIO, tell: Callable[[int], None]) -> None:
        """Read from `below`, which is closed with this stream."""
        super().__init__(below)
        self._tell = tell

    def _took(self, count: int) -> None:
        self._tell(count)


class HashingStream(io.RawIOBase):
    """A stream that hashes what passes and calls `done` at its end."""

    def __init__(
        self,
        inner: BinaryIO,
        algorithm: str,
        done: Callable[[Digest, int], None],
        *,
        limit: int | None = None,
        where: str = "",
        check_stopped: Callable[[], None] | None = None,
    ) -> None:
        """Read from `inner`, which is closed with this stream."""
        self._inner = inner
        self._check_stopped = check_stopped
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
        """Fill `buffer`; at the end, prove what was read.

        Raises:
            DigestMismatchError: the bytes are not what names them.
            UnsafeInputError: more bytes than the limit.
        """
        view = memoryview(buffer).cast("B")
        count = streams.read_into(self._inner, view)
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
            if self._check_stopped is not None:
                self._check_stopped()
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
        return streams.sniff(stream.read(32))


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
    """A blob's bytes as they lie, proved against the descriptor that names them."""

    def __init__(self, blob: Blob, stored: Descriptor, proofs: Proofs) -> None:
        """Nothing is read before `open`."""
        self._blob = blob
        self._stored = stored
        self._proofs = proofs

    @property
    def size(self) -> int:
        """Bytes, as the descriptor says and the stream proves."""
        return self._stored.size

    @property
    def size_hint(self) -> int:
        """The exact size is known."""
        return self._stored.size

    @property
    def proved(self) -> bool:
        """Whether these bytes were read to their end and matched."""
        return self._proofs.has(self._blob, self._stored.digest)

    def extent(self) -> Extent | None:
        """Where the bytes lie in a regular file."""
        return self._blob.extent()

    def open(self) -> BinaryIO:
        """Start reading; the end of the stream proves digest and size."""
        raw = self._proofs.open(self._blob, self._stored.digest)
        if self.proved:
            return raw
        return cast(
            "BinaryIO",
            HashingStream(
                raw,
                self._stored.digest.algorithm,
                self._prove,
                limit=self._stored.size,
                where=self._blob.where,
                check_stopped=self._proofs.check_stopped,
            ),
        )

    def _prove(self, got: Digest, size: int) -> None:
        if got != self._stored.digest or size != self._stored.size:
            raise mismatch(self._blob.where, self._proofs.file, self._stored.digest, got, size, "content")
        self._proofs.add(self._blob, got)


class PlainContent:
    """A layer's uncompressed tar, proved against its DiffID.

    A descriptor that came with the layer is proved in the same pass, so each
    byte is read once.
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
        return self.size if not self.compression else streams.size_hint(self._blob, self.compression)

    @property
    def proved(self) -> bool:
        """Whether this layer was read to its end and matched."""
        return self._proofs.has(self._blob, self._layer.diff_id)

    def extent(self) -> Extent | None:
        """Where the plain bytes lie, if they do."""
        return self._blob.extent() if not self.compression else None

    def open(self) -> BinaryIO:
        """Start reading; the end of the stream proves the DiffID."""
        raw = self._proofs.open(self._blob, self._layer.diff_id)
        try:
            stored = self._layer.stored
            if self.compression and stored is not None and not self._proofs.has(self._blob, stored.digest):
                raw = self._hashing(raw, stored.digest.algorithm, self._prove_stored)
            # The decompressor reads `raw` to its end, trailing bytes included.
            plain = self._unpacked(raw)
            return plain if self.proved else self.proving(plain)
        except BaseException:
            raw.close()
            raise

    def open_described(self, done: Callable[[Digest, int], None]) -> BinaryIO:
        """As `open`; before the end of the stream, `done` is told digest and size of the bytes as they lie."""
        raw = self._hashing(self._proofs.open(self._blob, self._layer.diff_id), "sha256", done)
        try:
            return self.proving(self._unpacked(raw))
        except BaseException:
            raw.close()
            raise

    def _hashing(self, raw: BinaryIO, algorithm: str, done: Callable[[Digest, int], None]) -> BinaryIO:
        return cast("BinaryIO", HashingStream(raw, algorithm, done, where=self._blob.where))

    def _unpacked(self, raw: BinaryIO) -> BinaryIO:
        plain = streams.decompress(raw, self.compression, where=self._blob.where)
        if not self.compression or not self._proofs.overlap or (self._blob.size or 0) < _OVERLAP_SIZE:
            return plain
        from convert.compression.ahead import read_ahead  # noqa: PLC0415 - only where used

        return read_ahead(plain)

    def proving(self, plain: BinaryIO) -> BinaryIO:
        """Return a stream of plain bytes from elsewhere that proves this layer's DiffID."""
        return cast(
            "BinaryIO",
            HashingStream(
                plain,
                self._layer.diff_id.algorithm,
                self._prove_plain,
                limit=self._proofs.max_layer_size,
                where=self._blob.where,
                check_stopped=self._proofs.check_stopped,
            ),
        )

    def _prove_plain(self, got: Digest, size: int) -> None:
        if got != self._layer.diff_id:
            raise mismatch(self._blob.where, self._proofs.file, self._layer.diff_id, got, size)
        stored = self._layer.stored
        if stored is not None and not self.compression:
            # Plain bytes are named twice; one hash serves where it can.
            if stored.digest.algorithm != got.algorithm:
                with StoredContent(self._blob, stored, self._proofs).open() as again:
                    drain(again)
            elif stored.digest != got or stored.size != size:
                raise mismatch(self._blob.where, self._proofs.file, stored.digest, got, size, "layer")
            self._proofs.add(self._blob, stored.digest)
        self._proofs.add(self._blob, got)

    def _prove_stored(self, got: Digest, size: int) -> None:
        stored = self._layer.stored
        if stored is not None and (got != stored.digest or size != stored.size):
            raise mismatch(self._blob.where, self._proofs.file, stored.digest, got, size, "layer")
        self._proofs.add(self._blob, got)


def drain(stream: BinaryIO, sink: Callable[[memoryview], object] | None = None) -> int:
    """Read a stream to its end in chunks, hand each to `sink`, return the bytes read."""
    total = 0
    for chunk in streams.read_chunks(stream, CHUNK):
        total += len(chunk)
        if sink is not None:
            sink(memoryview(chunk))
    return total
