"""One DEFLATE stream whose pieces are encoded on many cores, each on its own.

Some programs cut their input themselves, so that no piece needs the output of another: nothing is guessed here and
nothing is joined (`docs/encoders.md`).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from convert._native import PieceEncoder
from convert.codec.compression import LOW_WORKER_COUNT
from convert.codec.workers import InputBuffer, Task, Workers

if TYPE_CHECKING:
    from concurrent.futures import Executor

# Input of one task, at least one piece: small pieces are encoded several at a time.
_TASK: Final = 512 << 10
# Every worker holds an encoder, with tables and the output of a task, and the input of a task is up to 1 MiB.
_MOST_WORKERS: Final = 8
# Tasks in flight beside those that workers run. Few workers wait for each other sooner.
_WAITING: Final = 1
_WAITING_FEW: Final = 2


class _Piece:
    """Input that is being encoded, or its output that waits for its turn."""

    def __init__(self, stream: Pieces, buffer: InputBuffer, before: int, size: int, last: bool) -> None:
        self._stream = stream
        self.buffer = buffer
        self._before = before
        self._size = size
        self._last = last
        self.output = b""
        self.task: Task

    def encode(self) -> None:
        """Encode the input, on any thread."""
        self.output = self._stream.encode(self.buffer.memory, self._before, self._size, self._last)


class Pieces:
    """A stream cut into pieces, which workers encode; the calling thread is one of them.

    The caller collects input. When enough is in flight it waits for the oldest piece, and encodes others meanwhile.
    """

    repaired: Final = 0

    def __init__(
        self, family: int, level: int, geometry: tuple[int, int, bool], executor: Executor, workers: int
    ) -> None:
        piece, self._context, empty_last = geometry
        self._full = max(1, _TASK // piece) * piece
        # Where a whole piece can be the last one, it has to be known that more follows.
        self._after = 0 if empty_last else 1
        workers = min(workers, _MOST_WORKERS)
        few = workers <= LOW_WORKER_COUNT
        self._most = workers + (_WAITING_FEW if few else _WAITING)
        self._family, self._level = family, level
        self._encoders: list[PieceEncoder] = []
        self._workers = Workers(executor, workers - 1 if few else workers, few=few)
        self._pieces: deque[_Piece] = deque()
        self._spare: list[InputBuffer] = []
        self._buffer = self._new_buffer()
        self._before = 0
        self._end = 0

    def encode(self, data: memoryview, before: int, size: int, last: bool) -> bytes:
        """Encode pieces with an encoder that is free; called on several threads."""
        try:
            encoder = self._encoders.pop()
        except IndexError:
            encoder = PieceEncoder(self._family, self._level)
        output = encoder.encode(data, before, size, last)
        self._encoders.append(encoder)
        return output

    def write(self, data: memoryview) -> bytes:
        """Take input, return the output that is complete."""
        out: list[bytes] = []
        while data:
            room = self.room()
            part = data[: len(room)]
            room[: len(part)] = part
            self._grow(len(part), out)
            data = data[len(part) :]
        return b"".join(out)

    def room(self) -> memoryview:
        """Return the memory for the next input, for `filled`."""
        return self._buffer.memory[self._end : self._before + self._full + self._after]

    def filled(self, count: int) -> bytes:
        """Take `count` bytes that were put into that memory; as `write`."""
        out: list[bytes] = []
        self._grow(count, out)
        return b"".join(out)

    def finish(self) -> bytes:
        """End the stream, return the rest of the output."""
        out: list[bytes] = []
        self._hand_out(self._end - self._before, last=True)
        while self._pieces:
            self._take_oldest(out)
        return b"".join(out)

    def _grow(self, count: int, out: list[bytes]) -> None:
        self._end += count
        if self._end < self._before + self._full + self._after:
            return
        old, following = self._buffer, self._before + self._full
        self._hand_out(self._full, last=False)
        while self._pieces and (len(self._pieces) >= self._most or self._pieces[0].task.done()):
            self._take_oldest(out)
        begin = max(0, following - self._context)
        self._buffer = self._spare.pop() if self._spare else self._new_buffer()
        # Of an old buffer that is used again, the bytes that are kept move down.
        self._buffer.memory[: self._end - begin] = bytes(old.memory[begin : self._end])
        self._before, self._end = following - begin, self._end - begin

    def _new_buffer(self) -> InputBuffer:
        return InputBuffer(self._context + self._full + self._after)

    def _hand_out(self, size: int, *, last: bool) -> None:
        """Have the collected input encoded."""
        piece = _Piece(self, self._buffer, self._before, size, last)
        piece.task = self._workers.encode(piece.encode)
        self._pieces.append(piece)

    def _take_oldest(self, out: list[bytes]) -> None:
        piece = self._pieces.popleft()
        self._workers.wait(piece.task)
        out.append(piece.output)
        self._spare.append(piece.buffer)
