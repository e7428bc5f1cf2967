"""The same bytes on other processors and with another C library: the core's own program under qemu-user.

Needs qemu-user and cross compilers (Debian: qemu-user gcc-aarch64-linux-gnu gcc-powerpc64-linux-gnu musl-tools).
Without them, a few inputs go through the program for this machine.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import recipes

HERE = Path(__file__).parent
CORE = HERE.parents[1] / "convert/_native"
RECIPES = json.loads((HERE / "golden/inputs.json").read_bytes())
# The longer and the most unusual inputs; test_golden encodes all of them in this process.
NAMES = [name for name in RECIPES if not name[-1].isdigit() or name.startswith(("reach", "literals", "cycle"))]
NAMES += ["text-16", "text-33", "noise-127", "few-128", "noise-263", "text-65275", "text-65536", "noise-131071"]
HERE_TOO = NAMES[::8]
PROCESSORS = {
    "here": ("cc", []),
    "musl": ("musl-gcc", []),
    "nehalem": ("gcc", ["qemu-x86_64", "-cpu", "Nehalem"]),
    "haswell": ("gcc", ["qemu-x86_64", "-cpu", "Haswell"]),
    "arm64": ("aarch64-linux-gnu-gcc", ["qemu-aarch64"]),
    "ppc64": ("powerpc64-linux-gnu-gcc", ["qemu-ppc64"]),  # big-endian
}


@pytest.fixture(
    scope="module",
    params=["here", *(pytest.param(name, marks=pytest.mark.slow) for name in PROCESSORS if name != "here")],
)
def command(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    compiler, emulator = PROCESSORS[request.param]
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    if emulator:
        # Debian's qemu-user-static has the same programs under longer names.
        found = shutil.which(emulator[0]) or shutil.which(f"{emulator[0]}-static")
        if found is None:
            pytest.skip(f"needs {emulator[0]}")
        emulator = [found, *emulator[1:]]
    program = tmp_path_factory.mktemp(request.param) / "encode"
    sources = [str(path) for path in sorted(CORE.rglob("*.c")) if path.name != "binding.c"]
    flags = ["-std=c11", "-O3", "-ffp-contract=off", f"-I{CORE}", *(["-static"] if emulator else [])]
    subprocess.run([compiler, *flags, str(HERE / "encode.c"), *sources, "-o", str(program)], check=True)
    return [*emulator, str(program)]


@pytest.mark.parametrize("generation", ["1.26", "1.27"])
def test_output_is_that_of_go_on_every_processor(command: list[str], generation: str) -> None:
    expected: dict[str, dict[str, list[str]]] = {}
    for line in (HERE / f"golden/go{generation}.txt").read_text().splitlines()[1:]:
        first, *rest = line.split()
        if len(rest) == 1:
            levels = expected.setdefault(first, {})
        else:
            levels[first] = rest
    for name in NAMES if len(command) > 1 else HERE_TOO:
        data = recipes.make(RECIPES[name])
        for level, (size, digest) in expected[name].items():
            spelling = {"-2": "huffman", "0": "store"}.get(level, level)
            out = subprocess.run([*command, spelling, generation], input=data, capture_output=True, check=True).stdout
            assert (str(len(out)), hashlib.sha256(out).hexdigest()) == (size, digest), (name, level)
