"""The encoders against golden vectors that real Go made (golden/README.md)."""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from convert._native import Encoder

sys.path.insert(0, str(Path(__file__).parent))
import recipes
from vectors import read_vectors

from convert.codec.gzip import GoGzipEncoder

GOLDEN = Path(__file__).parent / "golden"
RECIPES = json.loads((GOLDEN / "inputs.json").read_bytes())
LEVELS = (-2, 0, *range(1, 10))


VECTORS = {126: read_vectors("go1.26.txt"), 127: read_vectors("go1.27.txt")}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def encode(generation: int, level: int, data: bytes, cut: int) -> bytes:
    encoder = Encoder(generation, level)
    out = [encoder.write(data[i : i + cut]) for i in range(0, len(data), cut)]
    return b"".join([*out, encoder.finish()])


def test_there_are_vectors_for_every_recipe_and_level() -> None:
    for vectors in VECTORS.values():
        assert vectors.keys() == RECIPES.keys()
        assert all(levels.keys() == set(LEVELS) for _, levels in vectors.values())


@pytest.mark.parametrize("name", RECIPES)
def test_output_is_that_of_go_at_every_level_of_both_generations(name: str) -> None:
    data = recipes.make(RECIPES[name])
    assert digest(data) == VECTORS[126][name][0] == VECTORS[127][name][0], "the input itself"
    for generation, vectors in VECTORS.items():
        for level in LEVELS:
            out = encode(generation, level, data, 1 << 20)
            assert (len(out), digest(out)) == vectors[name][1][level], (generation, level)
            assert zlib.decompress(out, -15) == data


@pytest.mark.parametrize("cut", [1, 7, 512, 4097, 32768, 65535, 65536])
def test_output_is_that_of_go_however_the_input_is_cut(cut: int) -> None:
    for name in ("text-65551", "zeros-65536", "reach-32768") if cut < 100 else ("code", "tar", "packed-in-tar"):
        data = recipes.make(RECIPES[name])
        for generation, vectors in VECTORS.items():
            for level in LEVELS:
                out = encode(generation, level, data, cut)
                assert (len(out), digest(out)) == vectors[name][1][level], (name, generation, level)


@pytest.mark.parametrize("name", ["mixed-2m", "zeros-4m", "cycle-9001", "repeats-far", "packed-in-tar", "empty"])
def test_output_is_that_of_go_on_many_cores(name: str) -> None:
    data = recipes.make(RECIPES[name])
    with ThreadPoolExecutor(4) as executor:
        for generation, vectors in VECTORS.items():
            for level in LEVELS:
                encoder = GoGzipEncoder(
                    f"go1.{generation - 100}",
                    {-2: "huffman", 0: "store"}.get(level, level),
                    executor,
                    workers=30,  # many make the segments small
                )
                out = encoder.write(data) + encoder.finish()
                assert (len(out) - 18, digest(out[10:-8])) == vectors[name][1][level], (generation, level)


@pytest.mark.slow
@pytest.mark.parametrize("generation", [126, 127])
def test_output_is_that_of_go_beyond_two_gibibytes(generation: int) -> None:
    mixed = recipes.make(RECIPES["mixed-2m"])
    for line in (GOLDEN / f"long-go1.{generation - 100}.txt").read_text().splitlines()[1:]:
        level, size, expected = line.split()
        encoder = Encoder(generation, int(level))
        count, out = 0, hashlib.sha256()
        for number in range(1100):
            for piece in (encoder.write(number.to_bytes(8, "little")), encoder.write(mixed)):
                count += len(piece)
                out.update(piece)
        rest = encoder.finish()
        out.update(rest)
        assert (count + len(rest), out.hexdigest()) == (int(size), expected), level
