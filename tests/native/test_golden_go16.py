"""Go up to 1.6 against golden vectors, and layers that Docker made with it (golden/README.md)."""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from functools import partial
from pathlib import Path

import fixtures
import pytest

from convert._native import FAMILY_GO16, Encoder
from convert.codec.gzip import OldGoGzipEncoder
from convert.codec.identify import recognise

sys.path.insert(0, str(Path(__file__).parent))
import recipes
from vectors import read_vectors

GOLDEN = Path(__file__).parent / "golden"
RECIPES = json.loads((GOLDEN / "inputs-pgzip.json").read_bytes())
VECTORS = read_vectors("go1.6.txt")
LEVELS = range(1, 10)
LAYERS = (
    "47e3dd80d678c83c50cb133f4cf20e94d088f890679716c8b763418f55827a58",
    "7f2760e7451ce455121932b178501d60e651f000c3ab3bc12ae5d1f57614cc76",
)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def encode(level: int, data: bytes, cut: int) -> bytes:
    encoder = Encoder(FAMILY_GO16, level)
    out = [encoder.write(data[i : i + cut]) for i in range(0, len(data), cut)]
    return b"".join([*out, encoder.finish()])


def is_large(name: str) -> bool:
    size = name.rpartition("-")[2]
    return not size.isdigit() or int(size) > 100000


def test_there_are_vectors_for_every_input_and_level() -> None:
    assert VECTORS.keys() == RECIPES.keys()
    assert all(levels.keys() == set(LEVELS) for _, levels in VECTORS.values())


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if is_large(name) else []) for name in RECIPES]
)
def test_output_is_that_of_go(name: str) -> None:
    data = recipes.make(RECIPES[name])
    assert digest(data) == VECTORS[name][0], "the input itself"
    for level in LEVELS:
        out = encode(level, data, 1 << 20)
        assert (len(out), digest(out)) == VECTORS[name][1][level], level
        assert zlib.decompress(out, -15) == data


@pytest.mark.parametrize("name", ["code", "edited-262177", "text-65568"])
def test_large_inputs_give_the_bytes_of_go_however_they_are_cut(name: str) -> None:
    data = recipes.make(RECIPES[name])
    for level in (1, 3, 4, 6):
        for cut in (4097, 65536, 1 << 20):
            out = encode(level, data, cut)
            assert (len(out), digest(out)) == VECTORS[name][1][level], (level, cut)


def test_layers_that_docker_made_in_2016_are_recognised() -> None:
    folder = fixtures.get("images/oci-grootfs-empty") / "blobs/sha256"
    for name in LAYERS:
        origin = recognise(partial((folder / name).open, "rb"))
        assert origin.name == "go1.6-6"


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="10"):
        OldGoGzipEncoder(10)
