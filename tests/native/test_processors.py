"""The same bytes on other processors and with another C library: the core's own program under qemu-user.

Needs qemu-user and cross compilers (Debian: qemu-user musl-tools and gcc-ARCHITECTURE-linux-gnu for aarch64,
powerpc64le, powerpc64 and s390x).
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

from convert._native import FAMILY_BUSYBOX, FAMILY_GNU_RSYNCABLE, FAMILY_GO126, FAMILY_GO127, FAMILY_PIGZ
from convert.codec.gzip import PGZIP_FAMILIES

sys.path.insert(0, str(Path(__file__).parent))
import recipes
from vectors import read_vectors

HERE = Path(__file__).parent
CORE = HERE.parents[1] / "convert/_native"
RECIPES = json.loads((HERE / "golden/inputs.json").read_bytes())
# The longer and the most unusual inputs; test_golden encodes all of them in this process.
NAMES = [name for name in RECIPES if not name[-1].isdigit() or name.startswith(("reach", "literals", "cycle"))]
NAMES += ["text-16", "text-33", "noise-127", "few-128", "noise-263", "text-65275", "text-65536", "noise-131071"]
HERE_TOO = NAMES[::8]
PGZIP_RECIPES = json.loads((HERE / "golden/inputs-pgzip.json").read_bytes())
PGZIP_NAMES = [name for name in PGZIP_RECIPES if not name[-1].isdigit() or name.startswith("reach")]
PGZIP_NAMES += [
    "few-16",
    "text-33",
    "noise-127",
    "few-128",
    "text-250",
    "edited-262160",
    "edited-1048593",
    "zeros-262144",
]
ZLIB_FAMILIES = {"pigz": FAMILY_PIGZ, "gzip-rsyncable": FAMILY_GNU_RSYNCABLE, "busybox": FAMILY_BUSYBOX}
ZLIB_RECIPES = json.loads((HERE / "golden/inputs-zlib.json").read_bytes())
ZLIB_NAMES = [name for name in ZLIB_RECIPES if not name[-1].isdigit() or name.startswith(("reach", "window", "end"))]
ZLIB_NAMES += ["text-3", "few-259", "noise-4096", "edited-131073", "edited-262144", "zeros-262145", "fill-16"]
PROCESSORS = {
    "here": ("cc", []),
    "musl": ("musl-gcc", []),
    "nehalem": ("gcc", ["qemu-x86_64", "-cpu", "Nehalem"]),
    "haswell": ("gcc", ["qemu-x86_64", "-cpu", "Haswell"]),
    "arm64": ("aarch64-linux-gnu-gcc", ["qemu-aarch64"]),
    "ppc64le": ("powerpc64le-linux-gnu-gcc", ["qemu-ppc64le"]),
    "ppc64": ("powerpc64-linux-gnu-gcc", ["qemu-ppc64"]),  # big-endian
    "s390x": ("s390x-linux-gnu-gcc", ["qemu-s390x"]),  # big-endian
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


def run(command: list[str], family: int, level: int, data: bytes) -> tuple[int, str]:
    """Return size and sha256 of what the program writes."""
    out = subprocess.run([*command, str(level), str(family)], input=data, capture_output=True, check=True).stdout
    return len(out), hashlib.sha256(out).hexdigest()


@pytest.mark.parametrize("generation", ["1.26", "1.27"])
def test_output_is_that_of_go_on_every_processor(command: list[str], generation: str) -> None:
    expected = read_vectors(f"go{generation}.txt")
    family = {"1.26": FAMILY_GO126, "1.27": FAMILY_GO127}[generation]
    for name in NAMES if len(command) > 1 else HERE_TOO:
        data = recipes.make(RECIPES[name])
        for level, sums in expected[name][1].items():
            assert run(command, family, level, data) == sums, (name, level)


@pytest.mark.parametrize("generation", PGZIP_FAMILIES)
def test_output_is_that_of_pgzip_on_every_processor(command: list[str], generation: str) -> None:
    expected = read_vectors(f"{generation}.txt")
    for name in PGZIP_NAMES if len(command) > 1 else PGZIP_NAMES[::8]:
        data = recipes.make(PGZIP_RECIPES[name])
        for level, sums in expected[name][1].items():
            assert run(command, PGZIP_FAMILIES[generation], level, data) == sums, (name, level)


@pytest.mark.parametrize("tool", ZLIB_FAMILIES)
def test_output_is_that_of_pigz_gzip_and_busybox_on_every_processor(command: list[str], tool: str) -> None:
    expected = read_vectors(f"{tool}.txt")
    for name in ZLIB_NAMES if len(command) > 1 else ZLIB_NAMES[::8]:
        data = recipes.make(ZLIB_RECIPES[name])
        for level, sums in expected[name][1].items():
            assert run(command, ZLIB_FAMILIES[tool], level, data) == sums, (name, level)
