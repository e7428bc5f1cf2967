"""Recognising the encoder of a stream: every encoder is distinguished from the others."""

import gzip
import hashlib
import io
import zlib
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from convert.codec import identify
from convert.codec.comparison import Comparison, Window
from convert.codec.encoders import encoder_specs
from convert.codec.gzip_header import GzipHeader, klauspost
from convert.codec.identify import recognise

WORDS = [hashlib.sha256(bytes([number])).hexdigest()[: 2 + number % 9].encode() for number in range(200)]
DATA = b" ".join(WORDS[byte % 200] for number in range(12_000) for byte in hashlib.md5(b"%d" % number).digest()[:3])


def origin(stream):
    return recognise(lambda: io.BytesIO(stream))


def made_by(spec):
    encoder = spec.encoder()
    return encoder.write(DATA) + encoder.finish()


def _family(name):
    """Return the family; all generations of pgzip, and gzip with and without --rsyncable, are one on a short input."""
    return name.partition("-")[0].partition("1.")[0]


@pytest.mark.parametrize("spec", encoder_specs("gzip"), ids=lambda spec: spec.name)
def test_each_maker_of_gzip_is_told_from_the_others(spec):
    """Levels that make the same of this input are all named, and of other encoders none."""
    found = origin(made_by(spec))
    named = {found.name, *found.also}
    assert spec.name in named
    assert {_family(name) for name in named} == {_family(spec.name)}
    assert len(named) <= 9


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
        gzip.compress(DATA, mtime=0)[:-8] + bytes(8),
        b"\x1f\x8b\x08\x08" + bytes(6) + b"a name without end",
    ],
    ids=["empty", "plain", "cut", "more behind", "wrong trailer", "broken header"],
)
def test_a_stream_of_another_encoder_is_not_recognised(stream):
    assert origin(stream).name is None


def test_members_are_recognised_one_by_one():
    """An eStargz layer has one member for each file, and ends with an empty one with an extra field."""
    encoder = next(spec for spec in encoder_specs("gzip") if spec.name == "go1.26-9")
    members = []
    for part in (DATA[:5000], DATA[5000:90_000], DATA[90_000:]):
        stream = encoder.encoder()
        members.append(stream.write(part) + stream.finish())
    footer = GzipHeader(extra=b"SG\x16\x00" + b"0" * 16 + b"STARGZ").to_bytes() + b"\x01\0\0\xff\xff" + bytes(8)
    found = origin(b"".join(members) + footer)
    assert (found.name, found.others, found.members) == ("go1.26-9", (), 4)


def test_members_of_different_encoders_are_both_named():
    found = origin(gzip.compress(DATA, 6, mtime=0) + gzip.compress(DATA * 2, 1, mtime=0))
    assert (found.name, found.others, found.members) == ("zlib-1", ("zlib-6",), 2)


def test_one_member_that_is_unknown_is_named_by_its_header():
    unknown = zlib.compressobj(6, zlib.DEFLATED, -15, 1)
    body = unknown.compress(DATA) + unknown.flush()
    trailer = zlib.crc32(DATA).to_bytes(4, "little") + len(DATA).to_bytes(4, "little")
    found = origin(gzip.compress(DATA, 6, mtime=0) + klauspost(5).to_bytes() + body + trailer)
    assert found.name is None
    assert found.hint.startswith("pgzip, unknown generation")
    assert found.hint.endswith("member 2")


@pytest.mark.parametrize("size", [0, 1, (1 << 16) - 1, 1 << 16, (1 << 20) + (1 << 16), 3 << 20])
@pytest.mark.parametrize("executor", [False, True], ids=["one thread", "threads"])
def test_every_size_is_recognised(size, executor):
    data = (DATA * (size // len(DATA) + 1))[:size]
    with ThreadPoolExecutor(2) as pool:
        stream = gzip.compress(data, 9, mtime=0)
        found = recognise(lambda: io.BytesIO(stream), pool if executor else None, 2)
    assert "zlib-9" in {found.name, *found.also}


def test_a_likely_encoder_that_differs_late_does_not_hide_the_right_one():
    """Gzip -9 writes this header; what gzip -6 wrote behind it differs only after the first mebibyte."""
    spec = {spec.name: spec for spec in encoder_specs("gzip")}
    data = hashlib.shake_128(b"noise").digest((1 << 20) + (1 << 18)) + DATA * 2
    encoder = spec["gzip-6"].encoder()
    made = encoder.write(data) + encoder.finish()
    assert origin(spec["gzip-9"].headers[0].raw + made[10:]).name == "gzip-6"


def test_equal_short_members_are_compared_once(monkeypatch):
    runs = []
    run = Comparison.run
    monkeypatch.setattr(Comparison, "run", lambda self, specs, body: runs.append(1) or run(self, specs, body))
    stream = gzip.compress(b"", 6, mtime=0) * 500 + gzip.compress(b"a", 6, mtime=0) * 500
    found = recognise(lambda: io.BytesIO(stream))
    assert found.members == 1000
    assert len(runs) < 20


def test_members_that_were_compared_are_not_held(monkeypatch):
    held = []
    forget = Window.forget
    monkeypatch.setattr(Window, "forget", lambda self, before: forget(self, before) or held.append(len(self._held)))
    random = Random(0)
    stream = b"".join(gzip.compress(random.randbytes(50_000), 1, mtime=0) for _ in range(100))
    assert recognise(lambda: io.BytesIO(stream)).members == 100
    assert max(held) < len(stream) // 3


def test_many_different_members_end_the_search(monkeypatch):
    monkeypatch.setattr(identify, "MAX_ENCODER_RUNS", 50)
    stream = b"".join(gzip.compress(b"%d" % number, 6, mtime=0) for number in range(400))
    found = recognise(lambda: io.BytesIO(stream))
    assert found.name is None
    assert "too many" in found.hint
