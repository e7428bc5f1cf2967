"""gzip framing: Go's header and trailer around the core's bytes."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib

import fixtures
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.codec.gzip import GoGzipEncoder, PgzipEncoder

LEVELS = ["huffman", "store", *range(1, 10)]


def encode(generation: str, level: int | str, *pieces: bytes) -> bytes:
    encoder = GoGzipEncoder(generation, level)
    return b"".join([*map(encoder.write, pieces), encoder.finish()])


@pytest.mark.parametrize("generation", ["go1.26", "go1.27"])
@pytest.mark.parametrize(("level", "flags"), [("huffman", 0), ("store", 0), (1, 4), (2, 0), (6, 0), (8, 0), (9, 2)])
def test_the_header_has_no_name_no_time_and_an_unknown_system(generation: str, level: int | str, flags: int) -> None:
    assert encode(generation, level, b"x")[:10] == bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, flags, 255])


@settings(deadline=None)
@given(
    pieces=st.lists(st.binary(max_size=3000), max_size=5),
    generation=st.sampled_from(["go1.26", "go1.27"]),
    level=st.sampled_from(LEVELS),
)
def test_whatever_the_pieces_it_decompresses_and_the_bytes_are_those_of_one(
    pieces: list[bytes], generation: str, level: int | str
) -> None:
    out = encode(generation, level, *pieces)
    assert gzip.decompress(out) == b"".join(pieces)
    assert out == encode(generation, level, b"".join(pieces))


def test_the_trailer_counts_all_input() -> None:
    out = encode("go1.26", 1, b"abc", b"def")
    assert out[-8:] == zlib.crc32(b"abcdef").to_bytes(4, "little") + (6).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("generation", "level"),
    [("go1.25", 1), ("go1.26", 0), ("go1.26", 10), ("go1.26", -1), ("go1.26", "best"), ("", "")],
)
def test_unknown_profiles_are_refused(generation: str, level: int | str) -> None:
    with pytest.raises(ValueError, match="no encoder"):
        GoGzipEncoder(generation, level)


@pytest.mark.parametrize(("level", "flags"), [(1, 4), (2, 0), (5, 0), (6, 0)])
def test_the_header_of_pgzip_has_the_zero_time_of_go(level: int, flags: int) -> None:
    encoder = PgzipEncoder("pgzip1.18.2", level)
    expected = f"1f8b0800 00096e88 0{flags}ff 000000ffff 0300 00000000 00000000"
    assert encoder.finish() == bytes.fromhex(expected)


@pytest.mark.parametrize(("generation", "level"), [("pgzip", 5), ("pgzip1.18.2", 0), ("pgzip1.18.2", 7), ("go1.27", 5)])
def test_unknown_profiles_of_pgzip_are_refused(generation: str, level: int) -> None:
    with pytest.raises(ValueError, match="no encoder"):
        PgzipEncoder(generation, level)


def shared_input(name: str) -> bytes | None:
    def lcg(n: int) -> bytes:
        state, out = 1, bytearray()
        for _ in range(n):
            state = state * 1103515245 + 12345 & 0x7FFFFFFF
            out.append(state >> 16 & 255)
        return bytes(out)

    def lines(n: int) -> bytes:
        return b"".join(b"line %d %d\n" % (i, i * i % 97) for i in range(n))

    mixed = lines(9000) + lcg(70000) + bytes(5000) + b"abcdefgh" * 3000 + lcg(3)
    return {
        "empty": b"",
        "one": b"a",
        "aaaa": b"a" * 100000,
        "zeros1m": bytes(1 << 20),
        "lines": lines(20000),
        "lcg200k": lcg(200000),
        "mixed": mixed,
        "mixed3m": (mixed * 15)[:3000001],
    }.get(name)


def test_the_shared_reference_streams_are_made() -> None:
    checked = 0
    for case in json.loads(fixtures.get("vectors/go-gzip.json").read_bytes())["cases"]:
        data = shared_input(case["name"])
        if data is None or hashlib.sha256(data).hexdigest() != case["input_sha256"]:
            continue
        for encoder, expected in case["out"].items():
            release, _, level = encoder.split()
            out = encode(release[:6], 6 if level == "-1" else int(level), data)
            assert (len(out), hashlib.sha256(out).hexdigest()) == (expected["len"], expected["sha256"]), encoder
            checked += 1
    assert checked >= 42
