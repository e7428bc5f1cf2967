"""gzip as Go writes it: the C core's DEFLATE between Go's header and trailer.

One stream can be compressed on many cores and still has the bytes that Go makes in
order: see `docs/encoders.md`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

from isal import isal_zlib

from convert._native import FAMILY_GO126, FAMILY_GO127, LEVEL_HUFFMAN, LEVEL_STORE, segment_geometry
from convert._native import Encoder as NativeEncoder
from convert.codec.compression import Encoder
from convert.codec.decompress import read_into
from convert.codec.parallel import Parallel
from convert.limits import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

    from typing_extensions import Buffer

_FAMILIES: Final = {"go1.26": FAMILY_GO126, "go1.27": FAMILY_GO127}
_NAMED_LEVELS: Final = {"huffman": LEVEL_HUFFMAN, "store": LEVEL_STORE}


class GoGzipEncoder(Encoder):
    """One gzip stream with the bytes of Go's compress/gzip.

    The bytes depend on generation, level and input alone: not on how the input is cut,
    on `executor` or on `workers`. With an executor, up to `workers` calls are in it at
    a time, each for four tasks of 3 MiB of input at most, none of which waits for another;
    the calling thread is a worker too. Memory stays below 50 MB whatever the input and the
    workers. Not for use by two threads at once.

    Args:
        generation: "go1.26" (Go up to 1.26) or "go1.27".
        level: 1 to 9, "huffman" or "store".
        executor: where parts of the stream may be worked on, or None. Its threads may all
            be busy, or even be waiting for this encoder: what nobody has begun when it
            is needed is done by the caller.
        workers: how many threads to keep busy, the caller's included; from four on it has little
            to do and is not counted.

    Raises:
        ValueError: there is no such generation or level.
    """

    def __init__(
        self,
        generation: str,
        level: int | str,
        executor: Executor | None = None,
        workers: int = 1,
    ) -> None:
        family = _FAMILIES.get(generation)
        native = _NAMED_LEVELS.get(level) if isinstance(level, str) else level if 1 <= level <= 9 else None
        if family is None or native is None:
            raise ValueError(f"no encoder {generation}-{level}")
        geometry = segment_geometry(family, native)
        self._stream: _InOrder | Parallel
        if executor is None or workers < 2 or geometry is None:
            self._stream = _InOrder(family, native)
        else:
            self._stream = Parallel(family, native, geometry, executor, workers)
        self._header = _header(native)
        self._at_work = False
        self._crc = 0
        self._size = 0
        self._room = memoryview(b"")

    def write(self, data: Buffer, /) -> bytes:
        """Take input, return the bytes of the stream that are settled.

        Raises:
            ValueError: an earlier call was broken off, by an error or a signal: then nobody knows
                what of the stream was lost with it. So do the other calls.
        """
        with self._whole():
            view = memoryview(data).cast("B")
            self._count(view)
            return self._headed(self._stream.write(view))

    def take(self, stream: BinaryIO) -> bytes | None:
        """Take what one read of `stream` gives, return the bytes that are settled; None at its end.

        It reads to where the encoder wants the input.
        """
        if isinstance(self._stream, Parallel) and (room := self._stream.room()) is not None:
            with self._whole():
                count = read_into(stream, room)
                if not count:
                    return None
                self._count(room[:count])
                return self._headed(self._stream.filled(count))
        if not self._room:
            self._room = memoryview(bytearray(CHUNK))
        count = read_into(stream, self._room)
        return self.write(self._room[:count]) if count else None

    def finish(self) -> bytes:
        """End the stream, return the rest of its bytes. Nothing may be written after."""
        with self._whole():
            trailer = self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
            return self._headed(self._stream.finish()) + trailer

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Let nothing follow what does not come to its end."""
        if self._at_work:
            raise ValueError("an earlier call of this encoder was broken off")
        self._at_work = True
        yield
        self._at_work = False

    def _count(self, view: memoryview) -> None:
        self._crc = isal_zlib.crc32(view, self._crc)
        self._size += len(view)

    def _headed(self, made: bytes) -> bytes:
        """Return the first bytes behind the header, all others as they are."""
        header, self._header = self._header, b""
        return header + made if header else made

    @property
    def repaired(self) -> int:
        """Bytes of input that had to be parsed twice on many cores."""
        return self._stream.repaired


def _header(level: int) -> bytes:
    """Return the ten bytes Go writes (compress/gzip/gzip.go): no name, no time, OS 255."""
    extra_flags = {1: 4, 9: 2}.get(level, 0)
    return bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, extra_flags, 255))


class _InOrder:
    repaired: Literal[0] = 0

    def __init__(self, family: int, level: int) -> None:
        encoder = NativeEncoder(family, level)
        self.write: Callable[[memoryview], bytes] = encoder.write
        self.finish = encoder.finish
