"""The fuzz target with generated seeds, under AddressSanitizer and UBSan, without a fuzzer.

To fuzz (Debian: clang libclang-rt-dev zlib1g-dev), from this folder:

    clang -std=c11 -g -O2 -ffp-contract=off -fsanitize=fuzzer,address,undefined \
        -I../../../convert/_native fuzz_encoder.c \
        $(find ../../../convert/_native -name '*.c' ! -name binding.c) -lz -o fuzzer
    ./fuzzer corpus -max_len=2048 -timeout=1200
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CORE = HERE.parents[2] / "convert/_native"


def seed(number: int) -> bytes:
    """An input for fuzz_encoder.c: family and level, size of the parts, of segments, then steps."""
    chance = random.Random(number)
    out = bytes([number & 1 | (number >> 1) % 11 << 1, *(chance.randrange(256) for _ in range(3))])
    for _ in range(chance.randrange(1, 40)):
        step = chance.randrange(256)
        length = min(65535, int(2 ** chance.uniform(0, 16.2)))
        out += struct.pack("<BHH", step, length, chance.choice([chance.randrange(65536), chance.randrange(1, 300)]))
        if step % 6 == 0:
            out += bytes(chance.choice(b"abcdefg \n") for _ in range(length % 300))
    return out


def classic(number: int) -> bytes:
    """A seed for zlib, GNU gzip, pigz, busybox or old Go, which the first byte selects from 2 * 99 on."""
    return bytes([number & 1 | (99 + number // 2 % 9 + 1) << 1]) + seed(number)[1:]


def pgzip(number: int) -> bytes:
    """A seed for pgzip, which the first byte selects from 2 * 88 on."""
    return bytes([2 * 88 + number % 10]) + seed(number)[1:3] + bytes([number // 10]) + seed(number)[4:]


def broken_guess(number: int) -> bytes:
    """An input on which parsers reach the same state after some blocks: noise with changes."""
    chance = random.Random(number)
    cutting_input = [(0, 1), *((1, level) for level in range(1, 7))]
    generation, level = cutting_input[number % len(cutting_input)]
    out = bytes([generation | level << 1, 0, chance.choice([0b10111111, 0b10011111, 0b10101111]), 3 + number % 5])
    out += struct.pack("<BHH", 3, 33000, 255)
    for _ in range(3):
        out += struct.pack("<BHH", chance.choice([251, 245, 239]), 60000, chance.choice([20000, 32000, 5000]))
    return out


def test_seeds_leave_the_sanitizers_silent(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no cc on PATH")
    program = tmp_path / "replay"
    sources = [path for path in sorted(CORE.rglob("*.c")) if path.name != "binding.c"]
    flags = ["-std=c11", "-g", "-O1", "-ffp-contract=off", f"-I{CORE}", "-fsanitize=address,undefined"]
    command = [compiler, *flags, "-fno-sanitize-recover=all", HERE / "fuzz_encoder.c", HERE / "replay.c", *sources]
    built = subprocess.run([*command, "-lz", "-o", program], capture_output=True, text=True, check=False)
    if built.returncode != 0 and ("zlib.h" in built.stderr or "-lz" in built.stderr or "asan" in built.stderr):
        pytest.skip("needs zlib's header and the sanitizers' libraries")
    assert built.returncode == 0, built.stderr
    inputs = []
    kinds = ((seed, 110), (classic, 54), (broken_guess, 28), (pgzip, 60))
    for number, data in enumerate(data for kind, count in kinds for data in map(kind, range(count))):
        inputs.append(tmp_path / f"seed-{number}")
        inputs[-1].write_bytes(data)
    ran = subprocess.run([program, *inputs], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "252 inputs\n"), ran.stderr
