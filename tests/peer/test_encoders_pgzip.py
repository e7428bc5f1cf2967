"""pgzip against programs that contain it, byte for byte, on inputs made for the purpose.

IMGCONV_PGZIP names a folder with programs: encoders/pgzip/main.go, compiled with a release of klauspost/compress of a
generation and called by it (`pgzip1.18.2`, `pgzip1.10.2-256k`). IMGCONV_ENCODER_CASES says how many mutated inputs each
generation gets (default 500); most are small, and some are longer than a piece. What was run by hand, and how often, is
recorded in docs/encoders.md.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from convert._native import piece_geometry
from convert.codec.gzip import PGZIP_FAMILIES, PgzipEncoder

sys.path.insert(0, str(Path(__file__).parent))
import input_mutation as mutation

FOLDER = os.environ.get("IMGCONV_PGZIP")
CASES = int(os.environ.get("IMGCONV_ENCODER_CASES", "500"))
SEED = int(os.environ.get("IMGCONV_ENCODER_SEED", "1"))


@pytest.mark.parametrize("generation", PGZIP_FAMILIES)
def test_mutated_inputs_give_the_bytes_of_pgzip(generation: str) -> None:
    if FOLDER is None or not (program := Path(FOLDER) / generation).exists():
        pytest.skip(f"IMGCONV_PGZIP names no folder with {generation}")
    geometry = piece_geometry(PGZIP_FAMILIES[generation], 5)
    assert geometry is not None
    chance = random.Random(SEED)
    base = mutation.base()
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as peer:
        assert peer.stdin is not None
        assert peer.stdout is not None
        for number in range(CASES):
            data = mutation.mutated(base, chance, 18 if number % 50 else 22)
            level = chance.randrange(1, 7)
            peer.stdin.write(struct.pack("<iiI", level, geometry[0], len(data)) + data)
            peer.stdin.flush()
            expected = peer.stdout.read(*struct.unpack("<I", peer.stdout.read(4)))
            encoder = PgzipEncoder(generation, level)
            assert encoder.write(data) + encoder.finish() == expected, (SEED, number, level)
        peer.stdin.close()
