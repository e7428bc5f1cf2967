"""Types of the hand-written binding, `binding.c`."""

from typing import final

from typing_extensions import Buffer

LEVEL_HUFFMAN: int
LEVEL_STORE: int

def segment_geometry(generation: int, level: int, /) -> tuple[int, int, int, int] | None:
    """Return (unit, before, after, history) in bytes, or None if the encoder works in order only.

    Segments are multiples of `unit`. They need `after` bytes after them, but for the last;
    `history` before them to be joined, and `before` to be run, as far as the stream has it.
    Raises ValueError for an unknown encoder.
    """

@final
class Encoder:
    """A raw DEFLATE stream, made in order.

    `generation` is 126 or 127, `level` 1 to 9, LEVEL_HUFFMAN or LEVEL_STORE. A call while
    another thread is in one raises RuntimeError.
    """

    def __new__(cls, generation: int, level: int) -> Encoder: ...
    def write(self, data: Buffer, /) -> bytes:
        """Take input; return the output that is complete."""

    def finish(self) -> bytes:
        """End the stream; return the rest of the output. Once."""

@final
class Segment:
    """Part of a stream, to be worked on apart from the rest. Made by `Joiner.segment`."""

    def run(self, previous: Segment | None = None, /) -> None:
        """Do the work, on whichever thread.

        `previous`, the segment right before, has run: the guess is that the stream's state here is
        the one that ended in, which needs no warming up. Encoders that do not cut their input do not
        look at it. Raises ValueError if it is not that segment or has not run, or if neither it nor
        enough of the input before is there.
        """

@final
class Coding:
    """Blocks of a stream whose tokens are known, to be coded. Made by `Joiner.join`."""

    @property
    def planned(self) -> bool:
        """Whether there is nothing left to plan."""

    def plan(self) -> None:
        """Do the part of the work that needs nothing settled, on whichever thread."""

    def run(self) -> None:
        """Do the rest of the work, on whichever thread. Raises ValueError before it is settled."""

@final
class Joiner:
    """Makes one stream of segments; the bytes are those of `Encoder`."""

    def __new__(cls, generation: int, level: int) -> Joiner: ...
    def segment(self, data: Buffer, before: int, size: int, position: int, last: bool) -> Segment:
        """Make a part of the stream, to be run and joined.

        `data` holds `before` bytes of earlier input, `size` bytes of the segment, then what
        follows; it must not change while the segment, or a coding made of it, exists.
        """

    def join(self, segment: Segment, /) -> Coding:
        """Take the next segment; what is returned is to be settled, run and appended.

        If it has run, what it guessed is checked and repaired; else it is parsed here and
        now, from the state in which the stream stands.
        """

    def settle(self, coding: Coding, /) -> None:
        """Settle how the next coding is written, in the order `join` made them.

        What nobody has planned is planned here and now.
        """

    def append(self, coding: Coding, /) -> bytes:
        """Take the next coding, in the order `join` made them, which has run."""

    def write(self, data: Buffer, /) -> bytes:
        """Take input in order, as `Encoder` does; return the output that is complete.

        For encoders that cut the input into blocks; for the others ValueError.
        """

    def finish(self) -> bytes:
        """End a stream in order; return the rest of the output. Once."""

    def hand_over(self) -> tuple[bytes, int]:
        """Leave off working in order: the stream goes on with segments.

        Return the input of which no output was made, at most a unit, behind the `history` before
        it, and the size of the latter.
        """

    def take_over(self, data: Buffer, before: int, /) -> None:
        """Go on in order, when every coding is appended.

        `data` holds `history` before the first byte that was in no segment, and then 1 to
        `unit` bytes.
        """

    @property
    def repaired(self) -> int:
        """Bytes of input that were parsed again because a guess was wrong."""
