"""Headers of gzip members: those of real tools, round trips, and hostile ones."""

import dataclasses
import gzip
import io
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.codec import gzip_header
from convert.codec.gzip_header import BAZEL_TIME, GzipHeader
from convert.limits import MAX_GZIP_HEADER

#: As tools write them: bytes, and what they mean.
TOOLS = {
    "go -1": ("1f8b08000000000004ff", gzip_header.go(1)),
    "go -6": ("1f8b08000000000000ff", gzip_header.go(6)),
    "pgzip -5": ("1f8b080000096e8800ff", gzip_header.klauspost(5)),
    "pgzip -9": ("1f8b080000096e8802ff", gzip_header.klauspost(9)),
    "gzip -9 --rsyncable": ("1f8b0800000000000203", gzip_header.gnu(9)),
    "pigz --best --no-time rootfs.tar": (
        "1f8b0808000000000203726f6f7466732e74617200",
        dataclasses.replace(gzip_header.gnu(9), name=b"rootfs.tar"),
    ),
    "pkg_tar, portable": (
        "1f8b080880436d3802ff6c617965722e74617200",
        GzipHeader(BAZEL_TIME, 2, 255, name=b"layer.tar"),
    ),
}

FIELD = st.none() | st.binary(max_size=60).map(lambda data: data.replace(b"\0", b"0"))
HEADERS = st.builds(
    GzipHeader,
    mtime=st.integers(0, 2**32 - 1),
    extra_flags=st.integers(0, 255),
    system=st.integers(0, 255),
    name=FIELD,
    comment=FIELD,
    extra=st.none() | st.binary(max_size=300),
    text=st.booleans(),
    checked=st.booleans(),
)


@pytest.mark.parametrize("tool", TOOLS)
def test_headers_of_tools_are_read_and_written(tool):
    raw, header = bytes.fromhex(TOOLS[tool][0]), TOOLS[tool][1]
    assert header.to_bytes() == raw
    assert GzipHeader.parse(raw + b"\x03\x00") == header
    assert header.size == len(raw)


@given(header=HEADERS, rest=st.binary(max_size=20))
def test_what_is_written_is_read_back_and_no_shorter_part_of_it(header, rest):
    raw = header.to_bytes()
    assert (len(raw), GzipHeader.parse(raw + rest)) == (header.size, header)
    assert not any(GzipHeader.parse(raw[:size]) for size in range(len(raw)))


@given(header=HEADERS)
def test_python_reads_every_header_that_is_written(header):
    body = gzip.compress(b"layer", mtime=0)[10:]
    assert gzip.decompress(header.to_bytes() + body) == b"layer"


@given(data=st.binary(max_size=200).map(lambda data: b"\x1f\x8b\x08" + data))
def test_any_header_that_is_read_is_written_with_the_same_bytes(data):
    header = GzipHeader.parse(data)
    assert header is None or data.startswith(header.to_bytes())


def test_python_writes_name_and_time_where_they_are_expected():
    out = io.BytesIO()
    with gzip.GzipFile("layer.tar", "wb", 9, out, mtime=BAZEL_TIME) as stream:
        stream.write(b"layer")
    header = GzipHeader.parse(out.getvalue())
    assert header == GzipHeader(BAZEL_TIME, 2, 255, name=b"layer.tar")


@pytest.mark.parametrize("program", ["gzip", "pigz"])
def test_gzip_and_pigz_write_name_and_time_where_they_are_expected(program, tmp_path):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    (tmp_path / "rootfs.tar").write_bytes(b"layer")
    made = subprocess.run([program, "-9c", "rootfs.tar"], cwd=tmp_path, capture_output=True, check=True).stdout
    header = GzipHeader.parse(made)
    assert header is not None
    mtime = int((tmp_path / "rootfs.tar").stat().st_mtime)
    assert header == dataclasses.replace(gzip_header.gnu(9), mtime=mtime, name=b"rootfs.tar")
    piped = subprocess.run([program, "-9n"], input=b"layer", capture_output=True, check=True).stdout
    assert GzipHeader.parse(piped) == gzip_header.gnu(9)


@pytest.mark.parametrize(
    "raw",
    [
        "1f8b0820000000000003" + "00" * 9,  # a reserved flag
        "1f8b0700000000000003" + "00" * 9,  # another method
        "1f8b0802000000000003" + "ffff",  # a wrong CRC
        "1f8b0804000000000003" + "ffff" + "00" * 9,  # an extra field that is not there
    ],
)
def test_damaged_headers_are_none(raw):
    assert GzipHeader.parse(bytes.fromhex(raw)) is None


def test_headers_are_bounded():
    start = bytes.fromhex("1f8b0808000000000003")
    fits = start + b"x" * (MAX_GZIP_HEADER - 11) + b"\0"
    assert GzipHeader.parse(fits) is not None
    assert GzipHeader.parse(start + b"x" + fits[10:]) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"mtime": -1},
        {"mtime": 1 << 32},
        {"extra_flags": 256},
        {"system": -1},
        {"name": b"a\0b"},
        {"comment": b"\0"},
        {"extra": bytes(1 << 16)},
        {"name": b"x" * MAX_GZIP_HEADER},
    ],
)
def test_headers_that_cannot_be_written_are_refused(fields):
    with pytest.raises(ValueError, match="gzip header"):
        GzipHeader(**fields)


def test_hostile_names_are_described_safely():
    header = GzipHeader(name=b"\x1b[31m\xadx##[group]\n" + b"y" * 10_000)
    text = header.describe()
    assert text.isprintable()
    assert "##" not in text
    assert len(text) < 250
    assert GzipHeader(name=b"rootfs.tar", system=3, extra_flags=2).describe() == "name=rootfs.tar, mtime 0, XFL 2, OS 3"
