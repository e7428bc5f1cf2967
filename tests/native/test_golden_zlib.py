"""pigz, gzip --rsyncable and busybox against golden vectors that the tools made (golden/README.md)."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from convert.codec import profile as profiles

sys.path.insert(0, str(Path(__file__).parent))
import recipes
from vectors import read_vectors

GOLDEN = Path(__file__).parent / "golden"
RECIPES = json.loads((GOLDEN / "inputs-zlib.json").read_bytes())
#: Files of vectors, and the name of the profile at a level.
PROFILES = {"pigz": "pigz-{level}", "gzip-rsyncable": "gzip-{level}-rsyncable", "busybox": "busybox"}
HEADER, TRAILER = 10, 8


@functools.lru_cache(maxsize=20)
def made(name: str) -> bytes:
    return recipes.make(RECIPES[name])


VECTORS = {tool: read_vectors(f"{tool}.txt") for tool in PROFILES}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def encode(tool: str, level: int, data: bytes, cut: int, executor: ThreadPoolExecutor | None = None) -> bytes:
    encoder = profiles.get(PROFILES[tool].format(level=level)).encoder(executor, workers=3)
    out = [encoder.write(data[i : i + cut]) for i in range(0, len(data), cut)]
    return b"".join([*out, encoder.finish()])


def check(tool: str, level: int, name: str, out: bytes) -> None:
    assert zlib.decompress(out, 31) == made(name)
    body = out[HEADER:-TRAILER]
    assert (len(body), digest(body)) == VECTORS[tool][name][1][level], (tool, level, name)


def test_there_are_vectors_for_every_profile() -> None:
    for vectors in VECTORS.values():
        assert vectors.keys() == RECIPES.keys()
    offered = {profile.name for profile in profiles.all_profiles()}
    vectored = {
        PROFILES[tool].format(level=level) for tool, vectors in VECTORS.items() for level in vectors["empty"][1]
    }
    assert vectored <= offered
    assert {name for name in offered if name.startswith(("pigz", "gzip", "busybox"))} == vectored


def is_large(name: str) -> bool:
    """Whether an input takes long at all levels of all tools."""
    size = name.rpartition("-")[2]
    return not size.isdigit() or int(size) > 70000 or name.startswith(("noise-of", "reach", "fill", "cycle"))


#: All levels of the small inputs; of the large ones one level each, in turn.
EVERY = [
    pytest.param(name, levels, marks=marks)
    for number, name in enumerate(RECIPES)
    for levels, marks in (
        [([1 + number % 9], []), (range(1, 10), [pytest.mark.slow])] if is_large(name) else [(range(1, 10), [])]
    )
]


@pytest.mark.parametrize(("name", "levels"), EVERY)
def test_output_is_that_of_the_tool(name: str, levels: list[int]) -> None:
    for tool, vectors in VECTORS.items():
        assert digest(made(name)) == vectors[name][0], "the input itself"
        for level in levels:
            if level in vectors[name][1]:
                check(tool, level, name, encode(tool, level, made(name), 1 << 20))


@pytest.mark.parametrize("cut", [1, 7, 511, 32768, 65535, 131072, 131073])
def test_output_is_that_of_the_tool_however_the_input_is_cut(cut: int) -> None:
    for tool, vectors in VECTORS.items():
        for name in {1: ["text-4097"], 7: ["window-65300"]}.get(cut) or ("tar", "edited-163842", "zeros-262144"):
            for level in [level for level in (1, 6, 9) if level in vectors[name][1]]:
                check(tool, level, name, encode(tool, level, made(name), cut))


@pytest.mark.parametrize("name", ["empty", "few-3", "edited-131072", "edited-131073", "noise-1048576", "mixed-2m"])
def test_output_is_that_of_the_tool_on_many_cores(name: str) -> None:
    with ThreadPoolExecutor(3) as executor:
        for tool, vectors in VECTORS.items():
            for level in [level for level in (1, 6, 9) if level in vectors[name][1]]:
                check(tool, level, name, encode(tool, level, made(name), 300_000, executor))
