"""The encoders against the Go at hand, byte for byte, on inputs made for the purpose.

Uses the programs named by IMGCONV_GO126 and IMGCONV_GO127 and the `go` on PATH, each for the
generation it is of. IMGCONV_ENCODER_CASES says how many mutated inputs (default 2,000);
IMGCONV_ENCODER_FILES a folder all of whose files are compressed too. What was run by hand, and
how often, is recorded in docs/encoders.md.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert._native import Encoder

sys.path.insert(0, str(Path(__file__).parent))
import input_mutation as mutation

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVELS = (-2, 0, *range(1, 10))
CASES = int(os.environ.get("IMGCONV_ENCODER_CASES", "2000"))
FILES = os.environ.get("IMGCONV_ENCODER_FILES")


def go_programs() -> dict[int, str]:
    """Return a go program for each generation that there is one for."""
    found: dict[int, str] = {}
    for program in (os.environ.get("IMGCONV_GO126"), os.environ.get("IMGCONV_GO127"), shutil.which("go")):
        if program:
            version = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
            match = re.search(r"go1\.(\d+)", version)
            # 1.7 and 1.8 changed the encoder, so 1.9 is the oldest that could agree.
            if match and int(match[1]) >= 9:
                found.setdefault(127 if int(match[1]) >= 27 else 126, program)
    return found


GO = go_programs()


class Peer:
    """Go, asked many things at a time."""

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _pipe(self, pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe

    def encode(self, level: int, data: bytes) -> bytes:
        stdin, stdout = self._pipe(self._process.stdin), self._pipe(self._process.stdout)
        stdin.write(struct.pack("<iI", level, len(data)) + data)
        stdin.flush()
        (size,) = struct.unpack("<I", stdout.read(4))
        return stdout.read(size)

    def close(self) -> None:
        self._pipe(self._process.stdin).close()
        self._pipe(self._process.stdout).close()
        self._process.wait()


@pytest.fixture(scope="module", params=[126, 127])
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Peer]]:
    if request.param not in GO:
        pytest.skip(f"no Go of generation {request.param} at hand")
    folder = tmp_path_factory.mktemp("go")
    shutil.copy(Path(__file__).with_name("encoders") / "main.go", folder)
    (folder / "go.mod").write_text("module encoders\n")
    program = folder / "encoders"
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOCACHE": str(folder / "cache")}
    subprocess.run([GO[request.param], "build", "-o", str(program)], cwd=folder, env=environment, check=True)
    opened = Peer(str(program))
    yield request.param, opened
    opened.close()


def ours(generation: int, level: int, data: bytes, cut: int | None = None) -> bytes:
    encoder = Encoder(generation, level)
    cut = cut or max(1, len(data))
    out = [encoder.write(data[i : i + cut]) for i in range(0, len(data), cut)]
    return b"".join([*out, encoder.finish()])


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=5000), repeats=st.integers(1, 40), level=st.sampled_from(LEVELS))
def test_invented_inputs_give_the_bytes_of_go(peer: tuple[int, Peer], data: bytes, repeats: int, level: int) -> None:
    generation, go = peer
    assert ours(generation, level, data * repeats) == go.encode(level, data * repeats)


def test_mutated_inputs_give_the_bytes_of_go(peer: tuple[int, Peer]) -> None:
    generation, go = peer
    seed = int(os.environ.get("IMGCONV_ENCODER_SEED", "1"))
    chance = random.Random(seed)
    base = mutation.base()
    for number in range(CASES):
        data = mutation.mutated(base, chance)
        level = chance.choice(LEVELS)
        assert ours(generation, level, data) == go.encode(level, data), (seed, number, level)


@pytest.mark.skipif(FILES is None, reason="IMGCONV_ENCODER_FILES is not set")
def test_files_give_the_bytes_of_go(peer: tuple[int, Peer], capsys: pytest.CaptureFixture[str]) -> None:
    generation, go = peer
    levels = [int(x) for x in os.environ.get("IMGCONV_ENCODER_LEVELS", "1 6").split()]
    count = 0
    for path in sorted(Path(FILES or "").rglob("*")):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > 1 << 30:
            continue
        data = path.read_bytes()
        for level in levels:
            assert ours(generation, level, data, 1 << 20) == go.encode(level, data), (path, level)
        count += 1
    assert count
    with capsys.disabled():
        sys.stderr.write(f"{count} files at levels {levels}\n")
