"""pgzip against golden vectors that klauspost's pgzip made (golden/README.md), in every generation."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fixtures
import pytest

from convert._native import Encoder
from convert.codec import profile as profiles
from convert.codec.gzip import PGZIP_FAMILIES, PgzipEncoder

sys.path.insert(0, str(Path(__file__).parent))
import recipes
from vectors import read_vectors

GOLDEN = Path(__file__).parent / "golden"
RECIPES = json.loads((GOLDEN / "inputs-pgzip.json").read_bytes())
LEVELS = range(1, 7)
#: Inputs across pieces, with a rest, stored and in blocks of all kinds.
SEVERAL_PIECES = ("edited-1048593", "edited-262177", "zeros-3m", "mixed-2m", "reach-16385", "noise-1048577")


@functools.lru_cache(maxsize=20)
def made(name: str) -> bytes:
    return recipes.make(RECIPES[name])


VECTORS = {generation: read_vectors(f"{generation}.txt") for generation in PGZIP_FAMILIES}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def encode(generation: str, level: int, data: bytes, cut: int) -> bytes:
    encoder = Encoder(PGZIP_FAMILIES[generation], level)
    out = [encoder.write(data[i : i + cut]) for i in range(0, len(data), cut)]
    return b"".join([*out, encoder.finish()])


def test_there_are_vectors_for_every_profile() -> None:
    for vectors in VECTORS.values():
        assert vectors.keys() == RECIPES.keys()
        assert all(levels.keys() == set(LEVELS) for _, levels in vectors.values())
    offered = {profile.name for profile in profiles.all_profiles() if profile.name.startswith("pgzip")}
    assert offered == {profiles.pgzip_name(generation, level) for generation in VECTORS for level in LEVELS}


def is_large(name: str) -> bool:
    """Whether an input takes long at all levels of all generations."""
    size = name.rpartition("-")[2]
    return not size.isdigit() or int(size) > 100000 or name.startswith("reach")


EVERY = [
    pytest.param(name, [5] if some else list(LEVELS), marks=[pytest.mark.slow] if large and not some else [])
    for name in RECIPES
    for large in [is_large(name)]
    for some in ([True, False] if large else [False])
]


@pytest.mark.parametrize(("name", "levels"), EVERY)
def test_output_is_that_of_pgzip_in_every_generation(name: str, levels: list[int]) -> None:
    data = made(name)
    for generation, vectors in VECTORS.items():
        assert digest(data) == vectors[name][0], "the input itself"
        for level in levels:
            out = encode(generation, level, data, 1 << 20)
            assert (len(out), digest(out)) == vectors[name][1][level], (generation, level)
            assert zlib.decompress(out, -15) == data


@pytest.mark.parametrize("cut", [1, 7, 512, 65535, 65536, 262144, 1 << 22])
def test_output_is_that_of_pgzip_however_the_input_is_cut(cut: int) -> None:
    for name in ("text-65568", "noise-65568", "few-33") if cut < 100 else SEVERAL_PIECES:
        for generation, vectors in VECTORS.items() if cut == 65536 else [*VECTORS.items()][:1]:
            for level in (4, 5):
                out = encode(generation, level, made(name), cut)
                assert (len(out), digest(out)) == vectors[name][1][level], (name, generation, level)


@pytest.mark.parametrize("name", [*SEVERAL_PIECES, "empty", "few-33", "zeros-262144", "zeros-1048576"])
def test_output_is_that_of_pgzip_on_many_cores(name: str) -> None:
    with ThreadPoolExecutor(3) as executor:
        for generation, vectors in VECTORS.items():
            for level in (1, 5):
                encoder = PgzipEncoder(generation, level, executor, workers=3)
                out = encoder.write(made(name)) + encoder.finish()
                assert (len(out) - 18, digest(out[10:-8])) == vectors[name][1][level], (generation, level)


@pytest.mark.slow
@pytest.mark.parametrize("generation", [each for each in VECTORS if each != "pgzip1.9.8-256k"])  # not in them
def test_the_shared_reference_streams_are_made(generation: str) -> None:
    """The inputs of the shared vectors that `make_pgzip_inputs.py` makes; its rules are repeated here."""
    document = json.loads(fixtures.get("vectors/pgzip.json").read_bytes())
    short = {text.split()[0]: name for name, text in document["generations"].items()}[
        generation.removeprefix("pgzip").removesuffix("-256k")
    ]
    piece = 1 << 18 if generation.endswith("-256k") else 1 << 20
    checked = 0
    for sha256, case in document["inputs"].items():
        data = shared_input(case["name"])
        if data is None or digest(data) != sha256:
            continue
        for level, spelling in ((1, "1"), (5, "-1"), (6, "6")):
            expected = case["sha256"][f"level {spelling}, block {piece}"]
            encoder = PgzipEncoder(generation, level)
            out = encoder.write(data) + encoder.finish()
            assert short in expected[digest(out)].split(), (case["name"], level)
            checked += 1
    assert checked == 3 * 33


def shared_input(name: str) -> bytes | None:
    def text(size: int, seed: bytes = b"") -> bytes:
        out, i = bytearray(), 0
        while len(out) < size:
            out += hashlib.sha256(seed + str(i // 3).encode()).hexdigest()[:40].encode() + b" "
            i += 1
        return bytes(out[:size])

    def noise(size: int) -> bytes:
        out = b"".join(hashlib.sha256(b"n" + str(i).encode()).digest() for i in range(size // 32 + 1))
        return out[:size]

    kind, _, size = name.partition("-")
    if kind == "mixed":
        return text(1 << 19) + noise(1 << 20) + bytes(1 << 19) + text(1 << 20, b"x")
    if kind == "text":
        return text(int(size))
    if kind == "noise":
        return noise(int(size))
    return bytes(int(size)) if kind == "zeros" else None
