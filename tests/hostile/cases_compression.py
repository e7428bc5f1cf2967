"""Compressed layers and wrappers that are damaged, or unpack to more than is good."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib

import zstandard
from hostile.building import DIFF_ID, LAYER_GZIP, PLAIN, Docker, Layout, config, sha256, squeezed
from hostile.cases import accepted, refused


def _layer(data):
    return lambda: Docker(layers={"layer.tar": data() if callable(data) else data}).build()


def _zstd(data, **options):
    return zstandard.ZstdCompressor(**options).compress(data)


def _wrapped(pack):
    return lambda: pack(Docker().build())


def _flipped(data, where):
    result = bytearray(data)
    result[where] ^= 0x40
    return bytes(result)


_GZIP = squeezed(PLAIN)
_ZSTD = zstandard.ZstdCompressor(write_checksum=True).compress(PLAIN)
_XZ = lzma.compress(PLAIN)
_BZIP2 = bz2.compress(PLAIN)


def _huge_window():
    """A zstd frame that asks for a window of 2 GiB (RFC 8878, 3.1.1.1.2)."""
    return b"\x28\xb5\x2f\xfd" + b"\0" + bytes([(31 - 10) << 3]) + b"\1\0\0"


def _greedy_xz():
    """An .xz stream whose dictionary is 1.5 GiB, which a decoder must allocate."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(PLAIN, filters=filters))
    # Block header: size byte, flags, filter 0x21 with one property byte; then its CRC32.
    start = 12
    size = (data[start] + 1) * 4
    data[start + 4] = 39
    data[start + size - 4 : start + size] = struct.pack("<I", zlib.crc32(data[start : start + size - 4]))
    return bytes(data)


CASES = [
    accepted("a gzip layer", _layer(_GZIP), ""),
    accepted("a zstd layer", _layer(_ZSTD), ""),
    accepted("an xz layer", _layer(_XZ), ""),
    accepted("a bzip2 layer", _layer(_BZIP2), ""),
    refused(
        "a gzip layer cut short", _layer(_GZIP[:-12]), "layer.tar: the gzip stream ends too early", code="truncated"
    ),
    refused(
        "a gzip layer without its trailer",
        _layer(_GZIP[:-8]),
        "layer.tar: the gzip stream ends too early",
        code="truncated",
    ),
    refused(
        "a gzip layer with a wrong CRC",
        _layer(_flipped(_GZIP, -6)),
        "layer.tar: damaged gzip stream",
        code="damaged-compression",
    ),
    refused(
        "a gzip layer with a wrong length",
        _layer(_flipped(_GZIP, -2)),
        "layer.tar: damaged gzip stream",
        code="damaged-compression",
    ),
    refused("a gzip layer with a flipped bit", _layer(_flipped(_GZIP, 20)), "layer.tar: ", code="damaged-compression"),
    refused(
        "a gzip layer that is only a header",
        _layer(_GZIP[:10]),
        "layer.tar: the gzip stream ends too early",
        code="truncated",
    ),
    accepted("a gzip layer in two members", _layer(squeezed(PLAIN[:700]) + squeezed(PLAIN[700:])), ""),
    accepted("a gzip layer with zeros behind", _layer(_GZIP + bytes(100_000)), ""),
    accepted("a gzip layer with junk behind", _layer(_GZIP + b"junk"), ""),
    refused(
        "a gzip layer with a second member of lies",
        _layer(_GZIP + squeezed(b"more")),
        "layer's DiffID is",
        code="diff-id-mismatch",
    ),
    refused(
        "a zstd layer cut short", _layer(_ZSTD[:-6]), "layer.tar: the zstd stream ends too early", code="truncated"
    ),
    refused(
        "a zstd layer with a wrong checksum",
        _layer(_flipped(_ZSTD, -1)),
        "layer.tar: damaged zstd stream",
        code="damaged-compression",
    ),
    refused(
        "a zstd layer with junk behind",
        _layer(_ZSTD + b"junk!"),
        "layer.tar: damaged zstd stream",
        code="damaged-compression",
    ),
    refused(
        "a zstd layer with a window of 2 GiB",
        _layer(_huge_window),
        "the zstd window is larger than 128 MiB",
        code="decompression-memory",
    ),
    refused(
        "a zstd layer that is only a skippable frame",
        _layer(b"\x50\x2a\x4d\x18" + struct.pack("<I", 8) + bytes(8)),
        "layer.tar: ",
        code="diff-id-mismatch",
    ),
    refused("an xz layer cut short", _layer(_XZ[:-6]), "layer.tar: the xz stream ends too early", code="truncated"),
    refused(
        "an xz layer with a flipped bit",
        _layer(_flipped(_XZ, 40)),
        "layer.tar: damaged xz stream",
        code="damaged-compression",
    ),
    refused(
        "an xz layer that wants 1.5 GiB",
        _layer(_greedy_xz),
        "layer.tar: the xz stream needs more than 128 MiB of memory",
        code="decompression-memory",
    ),
    refused(
        "a bzip2 layer cut short", _layer(_BZIP2[:-6]), "layer.tar: the bzip2 stream ends too early", code="truncated"
    ),
    refused(
        "a bzip2 layer with a flipped bit",
        _layer(_flipped(_BZIP2, 30)),
        "layer.tar: damaged bzip2 stream",
        code="damaged-compression",
    ),
    refused(
        "a layer over --max-layer-size",
        _layer(PLAIN),
        "layer.tar: unpacks to more than 1000 bytes (--max-layer-size raises the limit)",
        "--max-layer-size",
        "1000",
        code="layer-too-large",
    ),
    refused(
        "a compressed layer over --max-layer-size",
        _layer(_GZIP),
        "layer.tar: unpacks to more than 1000 bytes (--max-layer-size raises the limit)",
        "--max-layer-size",
        "1000",
        code="layer-too-large",
    ),
    refused(
        "a layout's layer over --max-layer-size",
        lambda: Layout(layer=_GZIP, layer_type=LAYER_GZIP).build(),
        "unpacks to more than 1000 bytes",
        "--max-layer-size",
        "1000",
        "--recompress",
        code="layer-too-large",
    ),
    refused(
        "a layer compressed twice",
        _layer(squeezed(_GZIP)),
        f"layer's DiffID is {sha256(_GZIP)}, expected {DIFF_ID}",
        code="diff-id-mismatch",
    ),
    refused(
        "a layer with the gzip magic and other data",
        lambda: Layout(config=config(), layer=b"\x1f\x8b\x08" + bytes(50), layer_type=LAYER_GZIP).build(),
        "damaged gzip stream",
        "--verify",
        "full",
        code="damaged-compression",
    ),
    # -- whole-archive compression ------------------------------------------------------------
    accepted("a whole archive in gzip", _wrapped(squeezed), ""),
    accepted("a whole archive in zstd and gzip", _wrapped(lambda data: squeezed(_zstd(data))), ""),
    refused(
        "a whole archive in gzip three times",
        _wrapped(lambda data: squeezed(squeezed(squeezed(data)))),
        "compressed more than 2 times over",
        code="compressed-too-often",
    ),
    refused(
        "a whole archive in gzip cut short", _wrapped(lambda data: squeezed(data)[:-20]), "in.tar", code="truncated"
    ),
    refused(
        "a whole archive in gzip with a wrong CRC",
        _wrapped(lambda data: _flipped(squeezed(data), -6)),
        "damaged gzip stream",
        code="damaged-compression",
    ),
    refused("a whole archive in zstd cut short", _wrapped(lambda data: _zstd(data)[:-20]), "in.tar", code="truncated"),
    refused(
        "a whole archive in xz cut short", _wrapped(lambda data: lzma.compress(data)[:-20]), "in.tar", code="truncated"
    ),
    refused(
        "a whole archive in bzip2 cut short",
        _wrapped(lambda data: bz2.compress(data)[:-20]),
        "in.tar",
        code="truncated",
    ),
    refused("nothing in gzip", lambda: squeezed(b""), "this is not an archive: it is empty", code="empty-archive"),
    refused("text in gzip", lambda: squeezed(b"hello\n" * 200), "this is not a tar archive", code="not-an-archive"),
    refused("a gzip header and nothing else", lambda: _GZIP[:10], "in.tar", code="truncated"),
    refused("a gzip magic and nothing else", lambda: b"\x1f\x8b\x08", "in.tar", code="truncated"),
    refused("a zstd magic and nothing else", lambda: b"\x28\xb5\x2f\xfd", "in.tar", code="truncated"),
    refused("an xz magic and nothing else", lambda: b"\xfd7zXZ\0", "in.tar", code="truncated"),
    refused("a bzip2 magic and nothing else", lambda: b"BZh9", "in.tar", code="truncated"),
    refused(
        "a wrapper that wants 2 GiB",
        _huge_window,
        "the zstd window is larger than 128 MiB",
        code="decompression-memory",
    ),
]
