"""Decide which encoders run over a layer, and in which order, when only the size of the result is known.

Encoding a large layer with every encoder would take hours. Encoders differ in how well they
compress, and the ratio between two of them is nearly the same in a sample and in the whole layer. One
run of a fast encoder over the whole layer and samples of all others therefore predict what each
would come to. Only those near the listed size run, and each run makes the prediction better.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Final

from convert.layer.verify import compression_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.codec.encoders import EncoderSpec
    from convert.layer.pool import Pool
    from convert.model.image import Layer

#: Encoders to run together; takes the sizes of what the last ones made, by name.
Groups = Generator[Sequence["EncoderSpec"], dict[str, int], None]

#: Encoders fed by one reading of a small layer, after the first few.
_ABREAST: Final = 8
#: From this size on, predicted sizes determine the order of attempts.
_LARGE: Final = 4 << 20
#: Pieces of a sample, spread over the layer: for all encoders, and for those that are near then.
_SAMPLES: Final = 16
_SMALL_PIECE: Final = 16 << 10
_LARGE_PIECE: Final = 128 << 10
#: An encoder that is much faster than most, so that a run over the whole layer costs little.
_REFERENCE: Final = "go1.26-1"
#: The deviation from the listed size within which encoders are sampled again, and within which they run.
_NEAR: Final = 0.04
_RUNS: Final = 0.012
#: The deviation below which two predictions are as good as each other, and the more common encoder runs first.
_EQUAL: Final = 0.002


def in_order(specs: Sequence[EncoderSpec], fitted: int) -> Groups:
    """Yield the encoders as they are given: one alone if it fitted before, a few, then many."""
    at = 0
    for size in (1 if fitted else 4, 4):
        if specs[at : at + size]:
            yield specs[at : at + size]
        at += size
    while at < len(specs):
        yield specs[at : at + _ABREAST]
        at += _ABREAST


class Sampler:
    """Samples of a large uncompressed layer, and what encoders make of them."""

    def __init__(self, read: Callable[[int, int], bytes], size: int, pool: Pool) -> None:
        """`read` returns bytes of the layer at an offset; `size` is that of the layer."""
        self._read = read
        self._size = size
        self._pool = pool

    def sizes(self, specs: Sequence[EncoderSpec], piece: int) -> dict[str, int]:
        """Return the size of what each encoder makes of a sample of pieces of this size."""
        step = max(1, (self._size - piece) // (_SAMPLES - 1))
        data = b"".join(self._read(piece, number * step) for number in range(_SAMPLES))

        def size(spec: EncoderSpec) -> int:
            encoder = spec.encoder()
            return len(encoder.write(data)) + len(encoder.finish())

        return dict(zip((spec.name for spec in specs), self._pool.map(size, specs), strict=True))


def sampler_of(layer: Layer, pool: Pool) -> Sampler | None:
    """Return the sampler of a layer, None for a small or compressed one, or one that is not in a file."""
    extent = layer.blob.extent() if layer.blob is not None else None
    if layer.blob is None or extent is None or extent.size < _LARGE or compression_of(layer.blob):
        return None
    return Sampler(lambda size, offset: os.pread(extent.fd, size, extent.offset + offset), extent.size, pool)


def by_size(specs: Sequence[EncoderSpec], fitted: int, wanted: Sequence[int], sampler: Sampler) -> Groups:
    """Yield one encoder at a time, those that come nearest to one of the sizes `wanted` first.

    The first `fitted` encoders were right for other layers; the others are in the order of how common they are.
    If the first of them is not right again, its size tells about the others, as that of the fast one does otherwise.
    """
    known: dict[str, int] = {}
    if fitted:
        known.update((yield specs[:1]))
    else:
        known.update((yield [spec for spec in specs if spec.name == _REFERENCE]))
    sampled = sampler.sizes(specs, _SMALL_PIECE)
    left = [spec for spec in specs if spec.name not in known]
    left = [spec for spec in left if _deviation(spec, sampled, known, wanted) <= _NEAR]
    references = [spec for spec in specs if spec.name in known]
    sampled = sampler.sizes([*references, *left], _LARGE_PIECE)
    while left:
        best = min(_deviation(spec, sampled, known, wanted) for spec in left)
        if best > _RUNS:
            return
        # `left` is in the order of how common the encoders are.
        spec = next(one for one in left if _deviation(one, sampled, known, wanted) <= best + _EQUAL)
        left.remove(spec)
        known.update((yield [spec]))


def _deviation(spec: EncoderSpec, sampled: dict[str, int], known: dict[str, int], wanted: Sequence[int]) -> float:
    """Return how far the size that is predicted for an encoder is from the nearest size wanted, as a fraction of it."""
    mine = sampled[spec.name]
    # The encoder that does most like this one on the sample is the best to compare with.
    nearest = min(known, key=lambda name: abs(sampled[name] - mine))
    predicted = known[nearest] * mine / sampled[nearest]
    # A manifest may list any size, also 0.
    return min(abs(predicted - size) / max(size, 1) for size in wanted)
