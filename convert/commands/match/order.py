"""Decide which encoders run over a layer, and in which order, when only the size of the result is known.

Encoding a large layer with every encoder would take hours. Encoders differ in how well they compress, and the
ratio between two of them is nearly the same in a sample and in the whole layer. One run of a fast encoder over the
whole layer and samples of the others therefore predict what each would come to. How much the ratio varies between the
pieces of the sample says how far a prediction can be off. Only encoders that may come to the listed size run, and each
run makes the predictions for encoders like it better. The common encoders come first: often nothing else is sampled.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Final

from convert import cancel
from convert.codec.encoders import COMMON
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
#: Pieces of a sample, and places in the layer from which they are chosen.
_PIECES: Final = 16
_PLACES: Final = 256
#: The size of a piece: this share of the layer within these bounds; and what is read at each place to choose it.
_SHARE: Final = 1 / 256
_SMALL_PIECE: Final = 16 << 10
_LARGE_PIECE: Final = 128 << 10
#: An encoder that is much faster than most, so that a run over the whole layer costs little.
_REFERENCE: Final = "go1.26-1"
#: Encoders whose prediction from small pieces is within this deviation from the listed size are sampled again.
_NEAR: Final = 0.04
#: The errors of a prediction within which an encoder may be the right one.
_ERRORS: Final = 3.0
#: The errors, as fractions, that do not show in the variation of pieces: in any, and in bytes of each piece.
_LEAST_ERROR: Final = 0.0005
_ERROR_OF_PIECE: Final = 64


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
        self._chosen: list[int] = []
        #: The size of a piece that gives the best predictions for its cost.
        self.piece = int(min(max(size * _SHARE, _SMALL_PIECE), _LARGE_PIECE))

    def sizes(self, specs: Sequence[EncoderSpec], piece: int) -> dict[str, tuple[int, ...]]:
        """Return the sizes of what each encoder makes of each piece of a sample."""
        self._chosen = self._chosen or self._places()
        data = [self._read(piece, min(place, max(0, self._size - piece))) for place in self._chosen]

        def encode(spec: EncoderSpec) -> tuple[int, ...]:
            found = []
            for part in data:
                cancel.check()
                encoder = spec.encoder()
                found.append(len(encoder.write(part)) + len(encoder.finish()))
            return tuple(found)

        return dict(zip((spec.name for spec in specs), self._pool.map(encode, specs), strict=True))

    def _places(self) -> list[int]:
        """Return where the pieces are, so that as many as in the layer compress well, and badly."""
        from isal import isal_zlib  # noqa: PLC0415 - only where used

        step = self._size // _PLACES
        probed = sorted(
            (len(isal_zlib.compress(self._read(_SMALL_PIECE, place), 1)), place)
            for place in range(0, step * _PLACES, step)
        )
        each = _PLACES // _PIECES
        return sorted(place for _, place in probed[each // 2 :: each])


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
    common = [spec for spec in specs[:fitted] if spec.name not in known]
    common += [spec for spec in specs[fitted:] if spec.name in COMMON and spec.name not in known]
    left = common
    yield from _likely(left, specs, known, wanted, sampler)
    left = [spec for spec in specs if spec not in common and spec.name not in known]
    small = _Prediction(sampler.sizes([*_of(known, specs), *left], _SMALL_PIECE), known, wanted, _SMALL_PIECE)
    yield from _likely([spec for spec in left if small.of(spec)[0] <= _NEAR], specs, known, wanted, sampler)


def _of(known: dict[str, int], specs: Sequence[EncoderSpec]) -> list[EncoderSpec]:
    return [spec for spec in specs if spec.name in known]


def _likely(
    left: Sequence[EncoderSpec],
    specs: Sequence[EncoderSpec],
    known: dict[str, int],
    wanted: Sequence[int],
    sampler: Sampler,
) -> Groups:
    """Yield those of `left` that may come to a size wanted; `known` takes what those that ran came to."""
    sampled = sampler.sizes([*_of(known, specs), *left], sampler.piece)
    prediction = _Prediction(sampled, known, wanted, sampler.piece)
    left = list(left)
    while left:
        errors = {spec.name: deviation / error for spec in left for deviation, error in [prediction.of(spec)]}
        likely = [spec for spec in left if errors[spec.name] <= _ERRORS]
        if not likely:
            return
        # Of predictions that are as good as each other, the encoder that is not slow, then the more common one.
        spec = min(likely, key=lambda one: (int(errors[one.name]), _is_slow(one)))
        left.remove(spec)
        known.update((yield [spec]))


def _is_slow(spec: EncoderSpec) -> bool:
    return any(spec.name.endswith(f"-{level}") or f"-{level}-" in spec.name for level in (7, 8, 9))


class _Prediction:
    """What encoders would come to, from a sample and the size of what some made of the layer."""

    def __init__(
        self, sampled: dict[str, tuple[int, ...]], known: dict[str, int], wanted: Sequence[int], piece: int
    ) -> None:
        """Use the sizes of pieces by encoder, and `known`, which may grow by encoders that were sampled."""
        self._sampled = sampled
        self._known = known
        self._wanted = wanted
        self._least = _LEAST_ERROR + _ERROR_OF_PIECE / piece

    def of(self, spec: EncoderSpec) -> tuple[float, float]:
        """Return how far the predicted size is from the nearest size wanted, and the error of that, as fractions."""
        error, predicted = min(self._by(self._sampled[spec.name], name) for name in self._known)
        # A manifest may list any size, also 0.
        deviation = min(abs(predicted - size) / max(size, 1) for size in self._wanted)
        return deviation, max(error, self._least)

    def _by(self, mine: tuple[int, ...], name: str) -> tuple[float, float]:
        """Return the standard error of a prediction from another encoder, and the prediction."""
        its = self._sampled[name]
        ratio = sum(mine) / sum(its)
        squares = sum((one - ratio * other) ** 2 for one, other in zip(mine, its, strict=True))
        count = len(mine)
        error = (squares * count / max(1, count - 1)) ** 0.5 / sum(mine)
        return error, self._known[name] * ratio
