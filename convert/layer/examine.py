"""Read layers to their end: verify them, or find the encoder that compressed them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convert.errors import InputError
from convert.layer.context import ReadContext, ReadOptions
from convert.layer.layer_pass import LayerPass
from convert.layer.verify import compression_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.codec.identify import Origin
    from convert.layer.pool import Pool
    from convert.layer.stored_digests import StoredDigests
    from convert.model.digest import Digest
    from convert.model.image import Layer


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
    layers: Sequence[Layer], digests: StoredDigests, pool: Pool, *, file: str
) -> dict[Layer, LayerFacts]:
    """Examine layers on the threads of `pool`; the result is by layer.

    Layers that are the same bytes under the same DiffID and descriptor are read once.
    """
    context = ReadContext(ReadOptions(file=file), cancel=pool.cancel)
    work: dict[object, list[Layer]] = {}
    for layer in layers:
        stored = (layer.stored.digest, layer.stored.size) if layer.stored is not None else None
        work.setdefault((layer.blob, layer.diff_id, stored), []).append(layer)
    results = pool.map(lambda same: examine_layer(same[0], context), work.values())
    facts = {layer: result for same, result in zip(work.values(), results, strict=True) for layer in same}
    for layer in layers:
        found = facts[layer]
        if layer.blob is not None and found.digest is not None:
            digests.learn(layer.blob, found.digest)
    return facts


def identify_encoders(layers: Sequence[Layer], pool: Pool) -> dict[Layer, Origin]:
    """Return where the bytes of each compressed layer came from, by layer; every one of them is read."""
    from convert.codec.identify import recognise  # noqa: PLC0415 - imports encoders

    blobs = list(dict.fromkeys(layer.blob for layer in layers if layer.blob is not None and compression_of(layer.blob)))
    # The largest first, so that none runs alone at the end.
    blobs.sort(key=lambda blob: -(blob.size or 0))
    found = pool.map(lambda blob: recognise(blob.open, pool.codec, pool.jobs), blobs)
    origins = dict(zip(blobs, found, strict=True))
    return {layer: origins[layer.blob] for layer in layers if layer.blob is not None and layer.blob in origins}
