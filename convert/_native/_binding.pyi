"""Types of the hand-written binding, `binding.c`."""

from typing import final

from typing_extensions import Buffer

FAMILY_GNU_GZIP: int
FAMILY_GNU_RSYNCABLE: int
FAMILY_ZLIB: int
FAMILY_PIGZ: int
FAMILY_BUSYBOX: int
FAMILY_GO16: int
FAMILY_GO126: int
FAMILY_GO127: int
FAMILY_PGZIP_1_18_2: int
FAMILY_PGZIP_1_15_10: int
FAMILY_PGZIP_1_15_0: int
FAMILY_PGZIP_1_14_0: int
FAMILY_PGZIP_1_12_3: int
FAMILY_PGZIP_1_12_2: int
FAMILY_PGZIP_1_11_13: int
FAMILY_PGZIP_1_10_2: int
FAMILY_PGZIP_1_10_2_256K: int
FAMILY_PGZIP_1_9_8_256K: int
LEVEL_HUFFMAN: int
LEVEL_STORE: int

def segment_geometry(family: int, level: int, /) -> tuple[int, int, int, int] | None:
    """Return (unit, before, after, history) in bytes, or None if the encoder is not parallel.

    The size of a segment is a multiple of `unit`, except for the last one. A segment needs
    `after` bytes of input behind it, except for the last one; `history` bytes before it to be
    joined, and `before` to be run, or as many as the stream has.
    Raises ValueError for an unknown encoder.
    """

def piece_geometry(family: int, level: int, /) -> tuple[int, int, bool] | None:
    """Return (size, before, empty_last), or None if the encoder does not write pieces.

    Every piece but the last one has `size` bytes and refers to the `before` bytes of input in
    front of it. Input of whole pieces ends with an empty piece if `empty_last`, else with a whole
    one. Raises ValueError for an unknown encoder.
    """

@final
class Encoder:
    """A raw DEFLATE stream, written in order.

    `family` is one of the FAMILY constants, `level` 1 to 9, LEVEL_HUFFMAN or LEVEL_STORE. A
    call while another thread is in one raises RuntimeError.
    """

    def __new__(cls, family: int, level: int) -> Encoder: ...
    def write(self, data: Buffer, /) -> bytes:
        """Take input; return the output that is complete."""

    def finish(self) -> bytes:
        """End the stream; return the rest of the output. Once."""

@final
class Segment:
    """A part of a stream, to be parsed independently of the rest. Made by `ParallelEncoder.segment`."""

    def run(self, previous: Segment | None = None, /) -> None:
        """Parse the segment, on any thread.

        `previous`, the segment directly before, has run: the guess is that the stream has the
        state here in which it ended, which needs no warming up. Encoders that do not cut their
        input ignore it. Raises ValueError if it is not that segment or has not run, or if there
        is neither it nor enough input before the segment.
        """

@final
class Batch:
    """Blocks of a stream whose tokens are known. Made by `ParallelEncoder.join`."""

    @property
    def planned(self) -> bool:
        """Whether nothing is left to plan."""

    def plan(self) -> None:
        """Do the work that needs no other batch, on any thread."""

    def run(self) -> None:
        """Write the bits, on any thread. Raises ValueError before the batch is decided."""

@final
class ParallelEncoder:
    """A raw DEFLATE stream made of segments, with the bytes of `Encoder`."""

    def __new__(cls, family: int, level: int) -> ParallelEncoder: ...
    def segment(self, data: Buffer, before: int, size: int, position: int, last: bool) -> Segment:
        """Make a part of the stream, to be run and joined.

        `data` contains `before` bytes of earlier input, `size` bytes of the segment, then what
        follows; it must not change while the segment, or a batch made of it, exists.
        """

    def join(self, segment: Segment, /) -> Batch:
        """Take the next segment; return a batch to be decided, run and appended.

        If the segment has run, its guess is checked and repaired; otherwise it is parsed here,
        from the state of the stream.
        """

    def decide(self, batch: Batch, /) -> None:
        """Decide how the next batch is written, in the order in which `join` made them.

        Blocks without a plan are planned here.
        """

    def append(self, batch: Batch, /) -> bytes:
        """Append the next batch, in the order in which `join` made them; it has run."""

    def write(self, data: Buffer, /) -> bytes:
        """Take input in order, as `Encoder` does; return the output that is complete.

        Raises ValueError for encoders that do not cut the input into blocks.
        """

    def finish(self) -> bytes:
        """End a stream in order; return the rest of the output. Once."""

    def hand_over(self) -> tuple[bytes, int]:
        """Stop writing in order: the stream continues with segments.

        Return the input that is not in the output yet, at most a unit, with the `history` before
        it in front, and the size of the latter.
        """

    def take_over(self, data: Buffer, before: int, /) -> None:
        """Continue in order, after every batch was appended.

        `data` contains `history` before the first byte that was in no segment, and then 1 to
        `unit` bytes.
        """

    @property
    def repaired(self) -> int:
        """Bytes of input that were parsed again because a guess was wrong."""

@final
class PieceEncoder:
    """Encodes pieces of a stream, each on its own, with the bytes of `Encoder`.

    A call while another thread is in one raises RuntimeError.
    """

    def __new__(cls, family: int, level: int) -> PieceEncoder: ...
    def encode(self, data: Buffer, before: int, size: int, last: bool) -> bytes:
        """Return the bytes of one or several pieces.

        `data` contains `before` bytes of earlier input, as piece_geometry() says, and then `size`
        bytes: whole pieces or, if `last`, all that is left of the stream.
        """
