"""Inputs for encoders: pieces of a few base inputs, cut, joined, repeated and changed at random."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "native"))
import recipes

if TYPE_CHECKING:
    import random


def base() -> list[bytes]:
    """Return text, code, a tar and a part of a program."""
    made = [recipes.make([step]) for step in (("text", 1, 60000), ("code", 2, 60000), ("tar", 3, 20))]
    return [*made, Path(sys.executable).read_bytes()[:200000]]


def mutated(base: list[bytes], chance: random.Random, largest: float = 18) -> bytes:
    """Cut, join, repeat and change pieces of the base inputs; mostly small, at times up to 2**largest bytes."""
    out = bytearray()
    goal = int(2 ** chance.uniform(0, 11 if chance.random() < 0.9 else largest))
    while len(out) < goal:
        kind = chance.randrange(6)
        n = int(2 ** chance.uniform(0, 10 if goal < 5000 else 15))
        if kind < 2:
            source = chance.choice(base)
            at = chance.randrange(len(source))
            out += source[at : at + n]
        elif kind == 2 and out:
            distance = min(len(out), int(2 ** chance.uniform(0, 15.3)))
            recipes._copy(out, distance, n)
        elif kind == 3:
            out += bytes([chance.randrange(256)]) * n
        elif kind == 4:
            out += chance.randbytes(n)
        elif out:
            for _ in range(chance.randrange(1, 8)):
                out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out[:goal])
