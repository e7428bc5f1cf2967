"""The C core: encoders whose bytes equal those of Go's compress/flate.

`encoder.h` says what an encoder is, `docs/encoders.md` how one stream is encoded on many
cores. `convert.codec` is the only user.
"""

from convert._native._binding import LEVEL_HUFFMAN, LEVEL_STORE, Coding, Encoder, Joiner, Segment, segment_geometry

__all__ = ["LEVEL_HUFFMAN", "LEVEL_STORE", "Coding", "Encoder", "Joiner", "Segment", "segment_geometry"]
