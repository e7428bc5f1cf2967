"""Read layers to their end: verify them, or find the encoder that compressed them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from convert.errors import InputError
from convert.layer.context import BlobProgress, ReadContext, ReadOptions
from convert.layer.layer_pass import LayerPass
from convert.layer.pool import stored_size
from convert.layer.streams import CountingStream
from convert.layer.verify import compression_of
from convert.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convert.codec.identify import Origin
    from convert.layer.pool import Pool
    from convert.layer.stored_digests import StoredDigests
    from convert.model.blob import Blob
    from convert.model.digest import Digest
    from convert.model.image import Layer
    from convert.progress import Progress


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """The facts that reading a layer gives. Sizes are in bytes.

    `digest` is that of the bytes as they are stored, None if they could not be read to
    their end; `problem` is what is wrong with them.
    """

    digest: Digest | None = None
    plain_size: int | None = None
    problem: InputError | None = None


def examine_layer(layer: Layer, context: ReadContext) -> LayerFacts:
    """Read a layer to its end and check it against its DiffID and its descriptor.

    Raises:
        StorageError: reading failed.
    """
    if layer.blob is None:
        return LayerFacts()
    try:
        read = LayerPass(layer, context)
        described = read.run()
    except InputError as error:
        if error.file is None:
            error.file = context.file
        return LayerFacts(problem=error)
    return LayerFacts(digest=described.digest, plain_size=read.plain_size)


def examine_layers(
    layers: Sequence[Layer], digests: StoredDigests, pool: Pool, *, file: str, progress: Progress | None = None
) -> dict[Layer, LayerFacts]:
    """Examine layers on the threads of `pool`; the result is by layer.

    Layers that are the same bytes under the same DiffID and descriptor are read once. `progress`
    takes counts of bytes as they are stored.
    """
    shown = BlobProgress(progress)
    shown.progress.expect(sum(blob.size or 0 for blob in {layer.blob for layer in layers} if blob is not None))
    context = ReadContext(ReadOptions(file=file), progress=shown, cancel=pool.cancel)
    work: dict[object, list[Layer]] = {}
    for layer in layers:
        stored = (layer.stored.digest, layer.stored.size) if layer.stored is not None else None
        work.setdefault((layer.blob, layer.diff_id, stored), []).append(layer)
    results = pool.map(
        lambda same: examine_layer(same[0], context),
        work.values(),
        size=lambda same: stored_size(same[0]),
    )
    facts = {layer: result for same, result in zip(work.values(), results, strict=True) for layer in same}
    for layer in layers:
        found = facts[layer]
        if layer.blob is not None and found.digest is not None:
            digests.learn(layer.blob, found.digest)
    return facts


def identify_encoders(layers: Sequence[Layer], pool: Pool, progress: Progress | None = None) -> dict[Layer, Origin]:
    """Return where the bytes of each compressed layer came from, by layer; every one of them is read.

    `progress` takes counts of bytes as they are stored.
    """
    from convert.codec.identify import recognise  # noqa: PLC0415 - imports encoders

    blobs = list(dict.fromkeys(layer.blob for layer in layers if layer.blob is not None and compression_of(layer.blob)))
    # The largest first, so that none runs alone at the end.
    blobs.sort(key=lambda blob: -(blob.size or 0))
    shown = progress or Silent()
    shown.expect(sum(blob.size or 0 for blob in blobs))

    def origin_of(blob: Blob) -> Origin:
        furthest = _Furthest(blob, shown.begin(blob.where, blob.size or 0))
        try:
            return recognise(furthest.open, pool.codec, pool.jobs)
        finally:
            furthest.end()

    origins = dict(zip(blobs, pool.map(origin_of, blobs, size=lambda blob: blob.size), strict=True))
    return {layer: origins[layer.blob] for layer in layers if layer.blob is not None and layer.blob in origins}


class _Furthest:
    """Reports how far into a blob any of its streams has come; encoders are compared on several streams."""

    def __init__(self, blob: Blob, report: Callable[[int], None]) -> None:
        self._blob = blob
        self._report = report
        self._reached = 0
        self._lock = threading.Lock()

    def open(self) -> BinaryIO:
        position = 0

        def took(count: int) -> None:
            nonlocal position
            position += count
            self._reach(position)

        return cast("BinaryIO", CountingStream(self._blob.open(), took))

    def end(self) -> None:
        """Count what nobody had to read."""
        self._reach(self._blob.size or 0)

    def _reach(self, position: int) -> None:
        with self._lock:
            new = position - self._reached
            if new > 0:
                self._reached = position
                self._report(new)
