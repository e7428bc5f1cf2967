"""Recognising the encoder of a stream: every encoder is distinguished from the others."""

import gzip
import hashlib
import io

import pytest

from convert.codec.encoders import encoder_specs
from convert.codec.identify import header_size, recognise

WORDS = [hashlib.sha256(bytes([number])).hexdigest()[: 2 + number % 9].encode() for number in range(200)]
DATA = b" ".join(WORDS[byte % 200] for number in range(12_000) for byte in hashlib.md5(b"%d" % number).digest()[:3])


def origin(stream):
    return recognise(lambda: io.BytesIO(stream))


def made_by(spec):
    encoder = spec.encoder()
    return encoder.write(DATA) + encoder.finish()


@pytest.mark.parametrize("spec", encoder_specs("gzip"), ids=lambda spec: spec.name)
def test_each_maker_of_gzip_is_told_from_the_others(spec):
    """Levels that make the same of this input are all named, and of other encoders none."""
    found = origin(made_by(spec))
    named = {found.name, *found.also}
    assert spec.name in named
    assert {name.partition("-")[0] for name in named} == {spec.name.partition("-")[0]}
    assert len(named) <= 4


@pytest.mark.parametrize("name", ["zstd-1", "zstd-3", "zstd-9"])
def test_zstd_levels_are_told(name):
    spec = next(spec for spec in encoder_specs("zstd") if spec.name == name)
    assert origin(made_by(spec)).name == name


def test_python_is_recognised_with_name_and_time_in_the_header():
    file = io.BytesIO()
    with gzip.GzipFile("layer.tar", "wb", 9, file, mtime=1_700_000_000) as stream:
        stream.write(DATA)
    found = origin(file.getvalue())
    assert found.name == "zlib-9"
    assert found.header.endswith(b"layer.tar\0")
    assert found.by == ""


def test_a_header_without_time_says_who_writes_it():
    assert "gzip.compress" in origin(gzip.compress(DATA, 6, mtime=0)).by


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"no gzip at all, but long enough for a header",
        gzip.compress(DATA)[:-1],
        gzip.compress(DATA) + b"\0",
        gzip.compress(DATA[:1000]) + gzip.compress(DATA[1000:]),
        gzip.compress(DATA, mtime=0)[:-8] + bytes(8),
        b"\x1f\x8b\x08\x08" + bytes(6) + b"a name without end",
    ],
    ids=["empty", "plain", "cut", "more behind", "two members", "wrong trailer", "broken header"],
)
def test_a_stream_of_another_encoder_is_not_recognised(stream):
    assert origin(stream) is None


def test_a_header_is_measured_with_all_its_parts():
    plain = b"\x1f\x8b\x08\x00" + bytes(6)
    assert header_size(plain) == 10
    full = b"\x1f\x8b\x08\x1e" + bytes(6) + b"\x03\x00abc" + b"name\0" + b"comment\0" + b"\x12\x34"
    assert header_size(full + b"body") == len(full)
    assert header_size(full[:-3]) is None
