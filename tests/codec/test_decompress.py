"""Decompression: every library's own encoder as the peer, damage found, memory bounded."""

import bz2
import gzip
import io
import lzma
import struct
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.archive.blob import MemoryBlob, PreadStream
from convert.codec.decompress import (
    MAX_DECODER_MEMORY,
    ChunkStream,
    decompress,
    plain_chunks,
    read_chunks,
    read_into,
    size_hint,
)
from convert.codec.sniff import sniff
from convert.errors import FormatError, InputError, TruncatedError, UnsupportedError
from convert.limits import CHUNK


def zstd(data, **options):
    return zstandard.ZstdCompressor(**options).compress(data)


ENCODERS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: zstd(data, write_checksum=True),
}
NAMES = pytest.mark.parametrize("name", ENCODERS)
SKIPPABLE = struct.pack("<II", 0x184D2A53, 5) + b"hello"


def plain(raw, name):
    return b"".join(plain_chunks(iter([raw]), name, where="w"))


@NAMES
@settings(deadline=None, max_examples=40)
@given(data=st.binary(max_size=5000), cuts=st.lists(st.integers(1, 700), min_size=1), copies=st.integers(1, 3))
def test_what_a_library_packs_is_unpacked_however_it_is_cut(name, data, cuts, copies):
    raw = ENCODERS[name](data) * copies
    pieces = []
    rest = raw
    while rest:
        for cut in cuts:
            pieces.append(rest[:cut])
            rest = rest[cut:]
    chunks = plain_chunks((piece for piece in pieces if piece), name, where="w")
    assert b"".join(chunks) == data * copies


@NAMES
def test_the_magic_tells(name):
    assert sniff(ENCODERS[name](b"x")) == name


@pytest.mark.parametrize("head", [b"", b"\x1f\x8b", b"BZ", b"\xfd7zXZ", b"ustar", b"\x50\x2a\x4d\x18"])
def test_what_has_no_magic_is_plain(head):
    assert sniff(head) == ""


def test_a_skippable_frame_begins_zstd():
    assert sniff(SKIPPABLE) == "zstd"
    assert sniff(b"\x5f\x2a\x4d\x18" + bytes(4)) == "zstd"
    assert sniff(b"\x60\x2a\x4d\x18" + bytes(4)) == ""


@NAMES
def test_a_stream_that_ends_anywhere_is_truncated(name):
    raw = ENCODERS[name](bytes(range(256)) * 3)
    for cut in range(len(raw)):
        with pytest.raises(TruncatedError) as caught:
            plain(raw[:cut], name)
        assert caught.value.member == "w"


@NAMES
def test_every_flipped_bit_is_found_or_harmless(name):
    data = b"The quick brown fox jumps over the lazy dog. " * 20
    raw = ENCODERS[name](data)
    for position in range(len(raw)):
        for bit in range(8):
            bad = bytearray(raw)
            bad[position] ^= 1 << bit
            try:
                got = plain(bytes(bad), name)
            except InputError:
                continue
            # nothing protects gzip's mtime, XFL and OS bytes
            assert got == data


@NAMES
def test_reading_in_every_way_gives_the_same(name):
    data = bytes(range(256)) * 20_000
    raw = ENCODERS[name](data)
    with decompress(io.BytesIO(raw), name, where="w") as stream:
        assert stream.read() == data
        assert stream.read() == stream.read(5) == b""
    with decompress(io.BytesIO(raw), name, where="w") as stream:
        parts = [stream.read(3), stream.read(0), stream.read(100_000)]
        buffer = bytearray(7777)
        while count := read_into(stream, buffer):
            parts.append(bytes(buffer[:count]))
        assert read_into(stream, bytearray()) == 0
        assert b"".join(parts) == data


@NAMES
def test_no_chunk_is_larger_than_the_limit_however_high_the_ratio(name):
    raw = ENCODERS[name](bytes(30 * CHUNK))
    assert len(raw) < CHUNK
    sizes = [len(chunk) for chunk in plain_chunks(iter([raw]), name, where="w")]
    assert sum(sizes) == 30 * CHUNK
    assert max(sizes) <= CHUNK


def test_a_plain_stream_is_itself():
    stream = io.BytesIO(b"x")
    assert decompress(stream, "", where="w") is stream
    assert list(plain_chunks(iter([b"a", b"b"]), "", where="w")) == [b"a", b"b"]


@NAMES
def test_closing_closes_what_lies_below(name):
    below = io.BytesIO(ENCODERS[name](bytes(5 * CHUNK)))
    stream = decompress(below, name, where="w")
    stream.read(1)
    stream.close()
    stream.close()
    assert below.closed


class TestGzip:
    @pytest.mark.parametrize("junk", [b"\0", bytes(100_000), b"junk", b"\x1f", b"\x1e\x8b\x08"])
    def test_what_follows_a_member_and_is_none_is_ignored_but_read(self, junk):
        """As `docker load` does; a digest of the raw bytes must still see it."""
        raw = gzip.compress(b"data") + junk
        seen = []

        def pieces():
            for start in range(0, len(raw), 1000):
                seen.append(raw[start : start + 1000])
                yield seen[-1]

        assert b"".join(plain_chunks(pieces(), "gzip", where="w")) == b"data"
        assert b"".join(seen) == raw

    def test_a_second_member_that_is_cut_is_truncated(self):
        raw = gzip.compress(b"data")
        with pytest.raises(TruncatedError):
            plain(raw + raw[:9], "gzip")

    def test_headers_with_name_comment_and_extra_field(self):
        body = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = body.compress(b"data") + body.flush()
        head = b"\x1f\x8b\x08\x1c" + bytes(6) + struct.pack("<H", 4) + b"abcd" + b"name\0" + b"comment\0"
        raw = head + packed + struct.pack("<II", zlib.crc32(b"data"), 4)
        assert plain(raw, "gzip") == b"data"

    @pytest.mark.parametrize("position", range(-8, 0))
    def test_checksum_and_size_are_checked(self, position):
        raw = bytearray(gzip.compress(b"data"))
        raw[position] ^= 1
        with pytest.raises(FormatError, match="damaged gzip stream"):
            plain(bytes(raw), "gzip")


class TestZstd:
    def test_skippable_frames_are_left_out_wherever_they_stand(self):
        raw = SKIPPABLE + zstd(b"one") + SKIPPABLE + SKIPPABLE + zstd(b"two") + SKIPPABLE
        assert plain(raw, "zstd") == b"onetwo"

    def test_frames_of_every_header_form(self):
        data = bytes(range(256)) * 300
        for options in (
            {"write_content_size": False},
            {"write_checksum": True},
            {"write_checksum": True, "write_content_size": False},
        ):
            for size in (0, 1, 255, 256, 257, 65536, len(data)):
                raw = zstd(data[:size], **options)
                assert plain(raw, "zstd") == data[:size]
                for cut in {1, 5, len(raw) // 2, len(raw) - 1} - {0}:
                    if cut < len(raw):
                        with pytest.raises(TruncatedError):
                            plain(raw[:cut], "zstd")

    def test_a_window_over_the_limit_is_refused(self):
        raw = b"\x28\xb5\x2f\xfd\x00" + bytes([(31 - 10) << 3]) + b"\x01\0\0"
        with pytest.raises(UnsupportedError, match="larger than 128 MiB"):
            plain(raw, "zstd")

    def test_a_window_of_27_bits_is_read(self):
        params = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
        encoder = zstandard.ZstdCompressor(compression_params=params).compressobj()
        raw = encoder.compress(b"data") + encoder.flush()
        assert zstandard.get_frame_parameters(raw).window_size == 1 << 27
        assert plain(raw, "zstd") == b"data"

    @pytest.mark.parametrize("junk", [b"junk!!", bytes(10), gzip.compress(b"x", mtime=0)])
    def test_junk_behind_a_frame_is_refused(self, junk):
        with pytest.raises(FormatError, match="damaged zstd stream"):
            plain(zstd(b"data") + junk, "zstd")


class TestXz:
    def test_padding_in_fours_is_legal(self):
        raw = lzma.compress(b"one") + bytes(8) + lzma.compress(b"two") + bytes(4)
        assert plain(raw, "xz") == b"onetwo"

    def test_other_padding_is_not(self):
        with pytest.raises(FormatError, match="multiple of 4"):
            plain(lzma.compress(b"one") + bytes(3), "xz")

    @pytest.mark.parametrize("name", ["xz", "bzip2"])
    def test_junk_is_refused(self, name):
        with pytest.raises(FormatError, match="damaged"):
            plain(ENCODERS[name](b"one") + b"junk of some length", name)

    def test_a_dictionary_over_the_limit_is_refused(self):
        raw = bytearray(lzma.compress(b"data", check=lzma.CHECK_CRC32))
        size = (raw[12] + 1) * 4
        assert raw[14:16] == b"\x21\x01"  # LZMA2 with one byte of properties
        raw[16] = 40  # 4 GiB - 1
        raw[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(raw[12 : 12 + size - 4]))
        with pytest.raises(UnsupportedError, match=f"more than {MAX_DECODER_MEMORY >> 20} MiB"):
            plain(bytes(raw), "xz")

    def test_the_strongest_preset_is_read(self):
        assert plain(lzma.compress(b"data", preset=9 | lzma.PRESET_EXTREME), "xz") == b"data"


class TestSizeHint:
    @given(data=st.binary(max_size=70_000))
    def test_gzip_and_zstd_say_what_they_hold(self, data):
        assert size_hint(MemoryBlob(gzip.compress(data), "w"), "gzip") == len(data)
        assert size_hint(MemoryBlob(zstd(data), "w"), "zstd") == len(data)

    def test_a_last_member_that_is_empty_says_nothing(self):
        """As eStargz has it: the sum would be 0."""
        raw = gzip.compress(bytes(range(256)) * 1000, 0) + gzip.compress(b"")
        assert size_hint(MemoryBlob(raw, "w"), "gzip") is None

    def test_what_cannot_tell_says_nothing(self):
        assert size_hint(MemoryBlob(zstd(b"x", write_content_size=False), "w"), "zstd") is None
        assert size_hint(MemoryBlob(SKIPPABLE, "w"), "zstd") is None
        assert size_hint(MemoryBlob(b"\x28\xb5\x2f\xfd\xc0", "w"), "zstd") is None
        assert size_hint(MemoryBlob(b"", "w"), "zstd") is None
        assert size_hint(MemoryBlob(bz2.compress(b"x"), "w"), "bzip2") is None
        assert size_hint(MemoryBlob(lzma.compress(b"x"), "w"), "xz") is None

    def test_a_plain_blob_knows(self):
        assert size_hint(MemoryBlob(b"12345", "w"), "") == 5


def test_chunks_are_handed_on_uncopied():
    chunk = bytes(1000)
    stream = ChunkStream(iter([b"", chunk, b"xy"]))
    assert stream.readable()
    assert stream.read(5000) is chunk
    assert stream.read(None) == b"xy"
    assert list(read_chunks(io.BytesIO(b"abc"), 2)) == [b"ab", b"c"]
    stream.close()


def test_a_slice_of_a_file_gives_its_hint(tmp_path):
    path = tmp_path / "x"
    raw = gzip.compress(b"data" * 100)
    path.write_bytes(b"before" + raw + b"after")
    with path.open("rb") as file:
        stream = PreadStream(file.fileno(), 6, len(raw), where="x", member="m")

        class Blob:
            size = len(raw)

            def open(self):
                return stream

        assert size_hint(Blob(), "gzip") == 400
