"""One reading of a layer, for all code that needs its bytes.

`LayerPass` reads a layer to its end, verifies it, and passes each chunk of the
uncompressed tar to its sinks. A sink is any function that takes a chunk: `write` of an
`EncodeSink`, `update` of a hash, `write` of a staged blob, a progress counter.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from convert.codec.compression import Compression
from convert.layer.streams import drain
from convert.layer.verify import PlainContent
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convert.codec.compression import Encoder
    from convert.layer.context import ReadContext
    from convert.model.image import Layer


class LayerPass:
    """One reading of a layer to its end; the end verifies the DiffID, and the descriptor if there is one."""

    def __init__(self, layer: Layer, context: ReadContext) -> None:
        """Nothing is read before `run`.

        Raises:
            NotRepresentableError: the layer's bytes are not in the source.
        """
        self._layer = layer
        self._content = PlainContent(layer, context)
        #: Bytes of the uncompressed tar, once it was read.
        self.plain_size = 0

    def run(
        self,
        *sinks: Callable[[memoryview], object],
        copy: BinaryIO | None = None,
        described: Callable[[Digest, int], None] | None = None,
    ) -> Descriptor:
        """Read the layer once; return a descriptor of its bytes as stored.

        This is the layer's own descriptor, or else one with the digest of this reading. `copy` is
        a stream of the stored bytes to read instead of the layer's blob. `described` is
        called with sha256 and size of the stored bytes in any case.

        Raises:
            DigestMismatchError: the layer does not match its DiffID or its descriptor.
            InputError: damaged compression, or a layer over the limit.
        """
        content, layer = self._content, self._layer
        found: list[tuple[Digest, int]] = []

        def learn(digest: Digest, size: int) -> None:
            found.append((digest, size))
            if described is not None:
                described(digest, size)

        if described is not None or (content.compression and layer.stored is None):
            plain = content.open_described(learn, copy)
        else:
            plain = content.open() if copy is None else content.open_copy(copy)
        with plain:
            self.plain_size = drain(plain, *sinks)
        if layer.stored is not None:
            return layer.stored
        # Media types exist only for these compressions.
        named = content.compression if content.compression in mediatype.COMPRESSIONS else Compression.NONE
        digest, size = found[0] if content.compression else (layer.diff_id, self.plain_size)
        return Descriptor(mediatype.layer_type(named, docker=False), digest, size)


class EncodeSink:
    """Compresses its input, hashes and counts the output, and writes it to `out` if that is given.

    With `headers`, the first `skip` bytes of the encoder's output are replaced by each of
    these headers in turn: one run of the encoder gives the digest behind every header, which may
    differ in size. What is written has the first of them, and `size` counts it.
    """

    def __init__(
        self,
        encoder: Encoder,
        out: Callable[[bytes], object] | None = None,
        *,
        algorithm: str = "sha256",
        headers: Sequence[bytes] = (),
        skip: int = 0,
    ) -> None:
        """Feed `encoder`; the digests use `algorithm`."""
        self._encoder = encoder
        self._out = out
        self._algorithm = algorithm
        self._hashers = [hashlib.new(algorithm, header) for header in headers or (b"",)]
        self._skip = skip
        #: Bytes of output so far.
        self.size = 0
        if headers:
            self.size = len(headers[0])
            if out is not None:
                out(headers[0])

    def write(self, chunk: memoryview) -> None:
        """Compress a chunk."""
        self._put(self._encoder.write(chunk))

    def read_from(self, stream: BinaryIO) -> None:
        """Compress a stream to its end; it is read to where the encoder wants its input."""
        while (data := self._encoder.take(stream)) is not None:
            self._put(data)

    def finish(self) -> list[Digest]:
        """End the compressed stream; return its digest behind each of the headers."""
        self._put(self._encoder.finish())
        return [Digest(self._algorithm, hasher.hexdigest()) for hasher in self._hashers]

    def describe(self, compression: Compression) -> Descriptor:
        """End the compressed stream; return a descriptor of it."""
        digest = self.finish()[0]
        return Descriptor(mediatype.layer_type(compression, docker=False), digest, self.size)

    def _put(self, data: bytes) -> None:
        if self._skip:
            dropped = min(self._skip, len(data))
            self._skip -= dropped
            data = data[dropped:]
        if not data:
            return
        self.size += len(data)
        for hasher in self._hashers:
            hasher.update(data)
        if self._out is not None:
            self._out(data)
