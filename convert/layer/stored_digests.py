"""Digests of stored layers, each computed at most once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from convert.layer.streams import drain
from convert.layer.verify import compression_of
from convert.model.digest import Digest

if TYPE_CHECKING:
    from convert.codec.compression import Compression
    from convert.model.blob import Blob
    from convert.model.image import Layer


class StoredDigests:
    """Digests and compressions of layers as they are stored. Each blob is read at most once."""

    def __init__(self, *, may_read: bool, file: str | None = None) -> None:
        """Read no more than the first bytes of a layer unless `may_read`."""
        self._may_read = may_read
        self._file = file
        self._digests: dict[Blob, Digest] = {}
        self._compressions: dict[Blob, Compression] = {}
        #: Bytes that were read to learn digests.
        self.bytes_read = 0

    def compression(self, blob: Blob) -> Compression:
        """Return how a layer's bytes are compressed, recognised by their magic."""
        compression = self._compressions.get(blob)
        if compression is None:
            compression = self._compressions[blob] = compression_of(blob)
        return compression

    def learn(self, blob: Blob, digest: Digest) -> None:
        """Record the digest of a blob that was read elsewhere."""
        self._digests[blob] = digest

    def digest(self, layer: Layer) -> Digest | None:
        """Return the digest of a layer's bytes as they are stored; None if they may not be read.

        For an uncompressed layer this is its DiffID; whether the bytes match, only reading shows
        (`examine_layer`).
        """
        blob = layer.blob
        if blob is None:
            return None
        if not self.compression(blob) and layer.diff_id.algorithm == "sha256":
            return layer.diff_id
        if blob not in self._digests and self._may_read:
            hasher = hashlib.sha256()
            with blob.open() as stream:
                self.bytes_read += drain(stream, hasher.update)
            self.learn(blob, Digest("sha256", hasher.hexdigest()))
        return self._digests.get(blob)
