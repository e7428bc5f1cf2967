"""The bytes of blobs and layers, verified while they are read.

The end of a stream checks size and digest, so a caller who reads to the end cannot
miss a mismatch; the error reports what was expected and what was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final, cast

from convert.archive.blob import PrivateBlob
from convert.codec import decompress
from convert.codec.sniff import sniff
from convert.errors import DigestMismatchError, NotRepresentableError
from convert.layer.streams import HashingStream, drain
from convert.limits import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.codec.compression import Compression
    from convert.layer.context import ReadContext
    from convert.model.blob import Blob, Content, Extent
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.image import Layer

#: Compressed bytes from which on unpacking and hashing are worth a thread each.
_OVERLAP_SIZE: Final = CHUNK


def mismatch(
    where: str,
    file: str | None,
    wanted: Digest,
    got: Digest,
    size: int,
    what: str = "layer's DiffID",
    code: str = "diff-id-mismatch",
) -> DigestMismatchError:
    """Return the error for bytes that have another digest or size than their descriptor."""
    return DigestMismatchError(
        f"{what} is {got}, expected {wanted}",
        code=code,
        wanted=str(wanted),
        got=str(got),
        size=size,
        file=file,
        member=where,
    )


def compression_of(blob: Blob) -> Compression:
    """Return the compression of a blob, by its magic."""
    with blob.open() as stream:
        return sniff(stream.read(32))


def present(layer: Layer, file: str | None = None) -> Blob:
    """Return a layer's blob.

    Raises:
        NotRepresentableError: a non-distributable layer whose bytes are not in the source.
    """
    if layer.blob is None:
        urls = ", ".join(layer.stored.urls) if layer.stored else ""
        raise NotRepresentableError(
            f"layer {layer.diff_id} is not distributable and not in the source; its bytes are needed here",
            code="layer-not-distributable",
            file=file,
            hint=f"it lives at {urls}" if urls else None,
        )
    return layer.blob


class StoredContent:
    """A blob's bytes as stored, verified against its descriptor."""

    def __init__(self, blob: Blob, stored: Descriptor, context: ReadContext) -> None:
        """Nothing is read before `open`."""
        self._blob = blob
        self._stored = stored
        self._context = context

    @property
    def size(self) -> int:
        """The size in the descriptor, which reading verifies."""
        return self._stored.size

    @property
    def size_hint(self) -> int:
        """The size in the descriptor."""
        return self._stored.size

    @property
    def verified(self) -> bool:
        """Whether these bytes were read to their end and matched; they may have changed since."""
        return self._context.verified.blobs.has(self._blob, self._stored.digest, self._stored.size)

    @property
    def fixed(self) -> bool:
        """Whether they were verified and cannot have changed since."""
        return isinstance(self._blob, PrivateBlob) and self.verified

    def extent(self) -> Extent | None:
        """Where the bytes are in a regular file."""
        return self._blob.extent()

    def open(self) -> BinaryIO:
        """Start reading; the end of the stream verifies digest and size."""
        raw = self._context.open(self._blob, self._stored.digest)
        return raw if self.fixed else self._verifying(raw)

    def open_copy(self, copy: BinaryIO) -> BinaryIO:
        """Start reading a copy of the bytes, verified as by `open` in any case."""
        return self._verifying(self._context.counting(self._blob, self._stored.digest, copy))

    def _verifying(self, raw: BinaryIO) -> BinaryIO:
        return cast(
            "BinaryIO",
            HashingStream(
                raw,
                self._stored.digest.algorithm,
                self._check,
                limit=self._stored.size,
                where=self._blob.where,
                cancel=self._context.cancel,
                too_long=self._longer_error,
                file=self._context.file_of(self._blob),
            ),
        )

    def _longer_error(self) -> DigestMismatchError:
        """Return the error for a blob with more bytes than its descriptor states."""
        return DigestMismatchError(
            f"has more than the {self._stored.size} bytes that its descriptor states",
            code="blob-digest-mismatch",
            wanted=str(self._stored.digest),
            size=self._stored.size + 1,
            file=self._context.file_of(self._blob),
            member=self._blob.where,
        )

    def _check(self, got: Digest, size: int) -> None:
        if got != self._stored.digest or size != self._stored.size:
            raise mismatch(
                self._blob.where,
                self._context.file_of(self._blob),
                self._stored.digest,
                got,
                size,
                "content",
                code="blob-digest-mismatch",
            )
        self._context.verified.blobs.add(self._blob, got, size)


class PlainContent:
    """A layer's uncompressed tar, verified against its DiffID.

    A descriptor that came with the layer is verified in the same reading, so both
    results are about the same bytes.
    """

    def __init__(self, layer: Layer, context: ReadContext) -> None:
        """Nothing is read before `open`."""
        self._layer = layer
        self._blob = present(layer, context.file)
        self._context = context
        self._compression: Compression | None = None

    @property
    def compression(self) -> Compression:
        """How the bytes are stored, by their magic."""
        if self._compression is None:
            self._compression = compression_of(self._blob)
        return self._compression

    @property
    def size(self) -> int | None:
        """Size of a layer that is stored uncompressed; otherwise None, as it is known only after reading."""
        return self._blob.size if not self.compression else None

    @property
    def size_hint(self) -> int | None:
        """The size that the compressed form claims to unpack to; it may be wrong."""
        return self.size if not self.compression else decompress.size_hint(self._blob, self.compression)

    @property
    def verified(self) -> bool:
        """Whether this layer was read to its end and matched; it may have changed since."""
        stored, memo = self._layer.stored, self._context.verified
        return memo.layers.has(self._blob, self._layer.diff_id) and (
            stored is None or memo.blobs.has(self._blob, stored.digest, stored.size)
        )

    @property
    def fixed(self) -> bool:
        """Whether it was verified and cannot have changed since."""
        return isinstance(self._blob, PrivateBlob) and self.verified

    def extent(self) -> Extent | None:
        """Where the uncompressed bytes are, if they are stored so."""
        return self._blob.extent() if not self.compression else None

    def open(self) -> BinaryIO:
        """Start reading; the end of the stream verifies the DiffID, and the descriptor if there is one."""
        raw = self._context.open(self._blob, self._layer.diff_id)
        if not self.fixed:
            return self._verifying(raw)
        try:
            return self._unpacked(raw)
        except BaseException:
            raw.close()
            raise

    def open_copy(self, copy: BinaryIO) -> BinaryIO:
        """Start reading a copy of the stored bytes, verified as by `open` in any case."""
        return self._verifying(self._context.counting(self._blob, self._layer.diff_id, copy))

    def open_described(self, done: Callable[[Digest, int], None], copy: BinaryIO | None = None) -> BinaryIO:
        """As `open`, or as `open_copy` where `copy` is given; verified in any case.

        Before the end of the stream, `done` gets sha256 and size of the stored bytes.
        """
        name = self._layer.diff_id
        raw = self._context.open(self._blob, name) if copy is None else self._context.counting(self._blob, name, copy)
        return self._verifying(self._hashing(raw, "sha256", done))

    def _verifying(self, raw: BinaryIO) -> BinaryIO:
        try:
            stored = self._layer.stored
            if stored is not None and (self.compression or stored.digest.algorithm != self._layer.diff_id.algorithm):
                raw = self._hashing(raw, stored.digest.algorithm, self._check_stored)
            # The decompressor reads `raw` to its end, trailing bytes included.
            plain = self._unpacked(raw)
        except BaseException:
            raw.close()
            raise
        return cast(
            "BinaryIO",
            HashingStream(
                plain,
                self._layer.diff_id.algorithm,
                self._check_plain,
                limit=self._context.options.max_layer_size,
                where=self._blob.where,
                cancel=self._context.cancel,
                limit_hint=self._context.options.limit_hint,
                file=self._context.file_of(self._blob),
            ),
        )

    def _hashing(self, raw: BinaryIO, algorithm: str, done: Callable[[Digest, int], None]) -> BinaryIO:
        return cast("BinaryIO", HashingStream(raw, algorithm, done, where=self._blob.where))

    def _unpacked(self, raw: BinaryIO) -> BinaryIO:
        plain = decompress.decompress(raw, self.compression, where=self._blob.where)
        if not self.compression or not self._context.options.overlap or (self._blob.size or 0) < _OVERLAP_SIZE:
            return plain
        from convert.codec.readahead import read_ahead  # noqa: PLC0415 - only where used

        return read_ahead(plain)

    def _check_plain(self, got: Digest, size: int) -> None:
        if got != self._layer.diff_id:
            raise mismatch(self._blob.where, self._context.file_of(self._blob), self._layer.diff_id, got, size)
        stored, memo = self._layer.stored, self._context.verified
        if not self.compression:
            # Uncompressed bytes have two names, DiffID and descriptor; one hash serves for both.
            if stored is not None and stored.digest.algorithm == got.algorithm:
                self._check_stored(got, size)
            memo.blobs.add(self._blob, got, size)
        memo.layers.add(self._blob, got)

    def _check_stored(self, got: Digest, size: int) -> None:
        stored = self._layer.stored
        if stored is not None and (got != stored.digest or size != stored.size):
            raise mismatch(
                self._blob.where,
                self._context.file_of(self._blob),
                stored.digest,
                got,
                size,
                "layer",
                code="blob-digest-mismatch",
            )
        self._context.verified.blobs.add(self._blob, got, size)


def read_to_end(content: Content) -> None:
    """Read content to its end, which verifies it.

    Raises:
        InputError: it is damaged, or not what describes it.
    """
    with content.open() as stream:
        drain(stream)
