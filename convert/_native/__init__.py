"""The C core: encoders with the bytes of Go's compress/flate, pgzip, pigz, GNU gzip, busybox and zlib.

`encoder.h` defines what an encoder is, `docs/encoders.md` describes how one stream is encoded
on many cores.
"""

from convert._native._binding import (
    FAMILY_BUSYBOX,
    FAMILY_GNU_GZIP,
    FAMILY_GNU_RSYNCABLE,
    FAMILY_GO126,
    FAMILY_GO127,
    FAMILY_PGZIP_1_10_2,
    FAMILY_PGZIP_1_10_2_256K,
    FAMILY_PGZIP_1_14_0,
    FAMILY_PGZIP_1_15_0,
    FAMILY_PGZIP_1_15_10,
    FAMILY_PGZIP_1_18_2,
    FAMILY_PIGZ,
    FAMILY_ZLIB,
    LEVEL_HUFFMAN,
    LEVEL_STORE,
    Batch,
    Encoder,
    ParallelEncoder,
    PieceEncoder,
    Segment,
    piece_geometry,
    segment_geometry,
)

__all__ = [
    "FAMILY_BUSYBOX",
    "FAMILY_GNU_GZIP",
    "FAMILY_GNU_RSYNCABLE",
    "FAMILY_GO126",
    "FAMILY_GO127",
    "FAMILY_PGZIP_1_10_2",
    "FAMILY_PGZIP_1_10_2_256K",
    "FAMILY_PGZIP_1_14_0",
    "FAMILY_PGZIP_1_15_0",
    "FAMILY_PGZIP_1_15_10",
    "FAMILY_PGZIP_1_18_2",
    "FAMILY_PIGZ",
    "FAMILY_ZLIB",
    "LEVEL_HUFFMAN",
    "LEVEL_STORE",
    "Batch",
    "Encoder",
    "ParallelEncoder",
    "PieceEncoder",
    "Segment",
    "piece_geometry",
    "segment_geometry",
]
