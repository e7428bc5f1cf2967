"""Types of the hand-written binding, `_lanes.c`."""

from collections.abc import Sequence
from typing import final

from typing_extensions import Buffer

#: How many streams `update` takes at once; 0 where the processor lacks the instructions.
LANES: int

@final
class Sha256:
    """The SHA-256 of one stream.

    A call while another thread is in one raises RuntimeError; where LANES is 0, making
    one raises OSError.
    """

    def __new__(cls) -> Sha256: ...
    def digest(self) -> bytes:
        """Return the 32 bytes for what was taken so far."""

def update(hashers: Sequence[Sha256], buffers: Sequence[Buffer], /) -> int:
    """Take as many bytes of each buffer as the shortest has, all at once; return how many.

    Raises:
        ValueError: not one buffer a stream, or not 1 to LANES streams.
        RuntimeError: a stream is named twice, or in use.
    """
