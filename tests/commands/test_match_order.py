"""The order in which `match` runs encoders over a large layer, by the sizes that samples predict."""

from __future__ import annotations

import pytest

from convert.codec.encoders import encoder_specs
from convert.commands.match.order import by_size

SPECS = encoder_specs("gzip")
#: What each encoder makes of a layer of 1,000,000: far apart for levels, near for encoders of one level.
LEVELS = {"1": 0.60, "2": 0.55, "3": 0.52, "4": 0.50, "5": 0.47, "6": 0.45, "7": 0.44, "8": 0.435, "9": 0.43}


def ratio(name):
    """Return a made-up ratio of an encoder."""
    parts = name.split("-")
    level = next((part for part in parts if part.isdigit()), "6")
    return LEVELS[level] + sum(name.encode()) % 97 / 60_000


class Sampler:
    """Samples that are off by up to a thousandth, in a way that depends on encoder and piece."""

    piece = 64 << 10

    def __init__(self):
        self.runs = 0

    def sizes(self, specs, piece):
        self.runs += len(specs) * piece
        return {spec.name: tuple(size_of_piece(spec.name, piece, number) for number in range(16)) for spec in specs}


def size_of_piece(name, piece, number):
    """Return what an encoder makes of one piece; some compress better than others."""
    off = ((len(name) * 7 + number * 5) % 9 - 4) / 4000
    return int(piece * (0.5 + number / 16) * ratio(name) * (1 + off))


def runs(wanted, specs=SPECS, fitted=0):
    """Return the names of the encoders that run until the wanted one has."""
    size = int(ratio(wanted) * 1_000_000)
    groups = by_size(specs, fitted, [size], Sampler())
    names = []
    group = next(groups)
    while True:
        (spec,) = group
        names.append(spec.name)
        if spec.name == wanted:
            return names
        try:
            group = groups.send({spec.name: int(ratio(spec.name) * 1_000_000)})
        except StopIteration:
            return [*names, None]


@pytest.mark.parametrize("wanted", ["go1.26-1", "go1.26-6", "pgzip1.15.10-5", "pigz-9", "gzip-9-rsyncable"])
def test_a_usual_encoder_is_found_after_few_runs(wanted):
    assert len(runs(wanted)) <= 4


@pytest.mark.parametrize(
    "wanted", [spec.name for spec in SPECS if any(part in LEVELS for part in spec.name.split("-"))]
)
def test_every_encoder_is_found(wanted):
    found = runs(wanted)
    assert found[-1] == wanted
    assert len(set(found)) == len(found)


def test_an_encoder_that_fitted_another_layer_runs_first():
    specs = sorted(SPECS, key=lambda spec: spec.name != "pigz-9")
    assert runs("pigz-9", specs, fitted=1) == ["pigz-9"]
    assert runs("go1.26-6", specs, fitted=1)[0] == "pigz-9"


def test_an_unknown_size_ends_the_search_early():
    """No encoder comes near a layer that is three times as large as what the slowest makes of it."""
    groups = by_size(SPECS, 0, [1_500_000], Sampler())
    (spec,) = next(groups)
    with pytest.raises(StopIteration):
        groups.send({spec.name: int(ratio(spec.name) * 1_000_000)})


def test_a_listed_size_of_0_is_a_size_like_others():
    groups = by_size(SPECS, 0, [0], Sampler())
    (spec,) = next(groups)
    with pytest.raises(StopIteration):
        groups.send({spec.name: int(ratio(spec.name) * 1_000_000)})


def test_every_listed_size_counts():
    size = int(ratio("pigz-9") * 1_000_000)
    groups = by_size(SPECS, 0, [0, size], Sampler())
    (spec,) = next(groups)
    (spec,) = groups.send({spec.name: int(ratio(spec.name) * 1_000_000)})
    assert abs(ratio(spec.name) * 1_000_000 - size) < 0.01 * size
