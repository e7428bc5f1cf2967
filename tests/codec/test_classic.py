"""What GNU gzip and zlib write: golden digests of both, and the tools themselves where they are."""

import hashlib
import json
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.codec.encoders import ClassicGzipEncoder

GOLDEN = json.loads((Path(__file__).parents[2] / "testdata" / "match" / "classic.json").read_text())
HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
LEVELS = range(1, 10)


def noise(size):
    return b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(size // 32 + 1))[:size]


def words(size):
    vocabulary = [hashlib.sha256(bytes([number])).hexdigest()[: 2 + number % 9].encode() for number in range(60)]
    return b" ".join(vocabulary[byte % 60] for byte in noise(size // 4))[:size]


#: Around the ends of windows, looks ahead and blocks; runs, repeats and what cannot be packed.
INPUTS = {
    "empty": b"",
    "one": b"x",
    "three": b"abc",
    "zeros": bytes(200_000),
    "noise": noise(150_000),
    "words": words(600_000),
    "a window less the look ahead": words(65_274),
    "one more": words(65_275),
    "a window": words(65_536),
    "a match to the end": words(40_000) + bytes(300),
    "ends in a repeat": words(70_000) + words(70_000)[-200:],
    "far repeats": noise(32_506) + words(100) + noise(32_506) + noise(32_700) * 2,
    "many literals": noise(3_000) + words(30_000) + noise(60_000) + bytes(50_000) + words(9_000),
}


def edge(size):
    """Return noise with a string at 65,274 that was 32,506 bytes before: the largest distance of a match.

    There it matters whether the window has moved already: no match begins at its first byte. Noise
    of even bytes has other hashes than the string.
    """
    data = bytes(byte & 0xFE for byte in noise(size))
    string = b"13579bdfhjln"
    for at in (32_768, 65_274):
        data = data[:at] + string + data[at + len(string) :]
    return data


def body(family, level, data, sizes=(1 << 20,)):
    """Return a stream without header and trailer, written in pieces of these sizes in turn."""
    encoder = ClassicGzipEncoder(family, level, HEADER)
    parts = []
    at = number = 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        parts.append(encoder.write(data[at : at + size]))
        at += size
        number += 1
    parts.append(encoder.finish())
    return b"".join(parts)[len(HEADER) : -8]


@pytest.mark.parametrize("family", ["gzip", "zlib"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", INPUTS)
def test_the_bytes_are_those_of_the_tool(family, level, name):
    made = body(family, level, INPUTS[name])
    assert hashlib.sha256(made).hexdigest() == GOLDEN[family][name][str(level)]


@pytest.mark.parametrize("family", ["gzip", "zlib"])
@pytest.mark.parametrize("level", [1, 6, 9])
@pytest.mark.parametrize("sizes", [(1, 4096), (65_536,), (261, 262, 263), (100_000, 7)])
def test_however_the_input_is_cut_the_bytes_are_the_same(family, level, sizes):
    data = INPUTS["many literals"]
    assert body(family, level, data, sizes) == body(family, level, data)


@pytest.mark.parametrize("family", ["gzip", "zlib"])
@pytest.mark.parametrize("sizes", [(65_535,), (65_274,), (65_400, 1), (1000,)])
def test_the_window_moves_at_the_same_byte_however_the_input_is_cut(family, sizes):
    data = edge(80_000)
    assert body(family, 9, data, sizes) == body(family, 9, data)


@given(data=st.binary(max_size=3000), level=st.sampled_from(LEVELS), repeat=st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_every_stream_unpacks_to_its_input(data, level, repeat):
    for family in ("gzip", "zlib"):
        assert zlib.decompress(body(family, level, data * repeat), -15) == data * repeat


CLASSIC_ZLIB = pytest.mark.skipif(
    zlib.ZLIB_RUNTIME_VERSION not in {"1.2.11", "1.2.12", "1.2.13", "1.3", "1.3.1"}, reason="no such zlib"
)


@CLASSIC_ZLIB
@pytest.mark.parametrize("size", [65_300, 65_400, 65_535, 65_536, 65_537, 80_000])
def test_the_window_moves_where_that_of_zlib_does(size):
    encoder = zlib.compressobj(9, zlib.DEFLATED, -15, 8)
    assert body("zlib", 9, edge(size)) == encoder.compress(edge(size)) + encoder.flush()


@CLASSIC_ZLIB
@given(data=st.binary(max_size=2000), level=st.sampled_from(LEVELS), repeat=st.integers(1, 90))
@settings(max_examples=150, deadline=None)
def test_zlib_itself_writes_the_same(data, level, repeat):
    encoder = zlib.compressobj(level, zlib.DEFLATED, -15, 8)
    assert body("zlib", level, data * repeat) == encoder.compress(data * repeat) + encoder.flush()


def gzip_is_gnu():
    if shutil.which("gzip") is None:
        return False
    said = subprocess.run(["gzip", "--version"], capture_output=True, text=True, check=False).stdout
    return said.startswith("gzip 1.")


GNU_GZIP = pytest.mark.skipif(not gzip_is_gnu(), reason="GNU gzip is not installed")


@GNU_GZIP
@pytest.mark.parametrize("size", [65_300, 65_400, 65_535, 65_536, 65_537, 80_000])
def test_the_window_moves_where_that_of_gzip_does(size, tmp_path):
    (tmp_path / "file").write_bytes(edge(size))
    made = subprocess.run(["gzip", "-9nc", tmp_path / "file"], capture_output=True, check=True).stdout
    assert body("gzip", 9, edge(size)) == made[10:-8]


@GNU_GZIP
@given(data=st.binary(max_size=2000), level=st.sampled_from(LEVELS), repeat=st.integers(1, 90))
@settings(max_examples=60, deadline=None)
def test_gzip_itself_writes_the_same(data, level, repeat):
    done = subprocess.run(["gzip", f"-{level}nc"], input=data * repeat, capture_output=True, check=True).stdout
    assert body("gzip", level, data * repeat) == done[10:-8]
