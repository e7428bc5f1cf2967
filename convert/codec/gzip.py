"""gzip as Go, pgzip, pigz, GNU gzip and busybox write it: the C core's DEFLATE between header and trailer.

One stream can be compressed on many cores with the bytes of the serial encoder: see
`docs/encoders.md`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

from isal import isal_zlib

from convert._native import (
    FAMILY_BUSYBOX,
    FAMILY_GNU_RSYNCABLE,
    FAMILY_GO16,
    FAMILY_GO126,
    FAMILY_GO127,
    FAMILY_PGZIP_1_9_8_256K,
    FAMILY_PGZIP_1_10_2,
    FAMILY_PGZIP_1_10_2_256K,
    FAMILY_PGZIP_1_11_13,
    FAMILY_PGZIP_1_12_2,
    FAMILY_PGZIP_1_12_3,
    FAMILY_PGZIP_1_14_0,
    FAMILY_PGZIP_1_15_0,
    FAMILY_PGZIP_1_15_10,
    FAMILY_PGZIP_1_18_2,
    FAMILY_PIGZ,
    LEVEL_HUFFMAN,
    LEVEL_STORE,
    piece_geometry,
    segment_geometry,
)
from convert._native import Encoder as NativeEncoder
from convert.codec.compression import Encoder
from convert.codec.decompress import read_into
from convert.codec.gzip_header import GzipHeader, gnu, go, klauspost
from convert.codec.parallel import Parallel
from convert.codec.pieces import Pieces
from convert.limits import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

    from typing_extensions import Buffer

_FAMILIES: Final = {"go1.26": FAMILY_GO126, "go1.27": FAMILY_GO127}
#: Bytes of the first read of a stream; if there are more, the next reads have `CHUNK`.
_FIRST_ROOM: Final = 64 << 10
_NAMED_LEVELS: Final = {"huffman": LEVEL_HUFFMAN, "store": LEVEL_STORE}
#: Generations of pgzip, by the release of klauspost/compress with which one begins; "-256k": in smaller pieces.
PGZIP_FAMILIES: Final = {
    "pgzip1.18.2": FAMILY_PGZIP_1_18_2,
    "pgzip1.15.10": FAMILY_PGZIP_1_15_10,
    "pgzip1.15.0": FAMILY_PGZIP_1_15_0,
    "pgzip1.14.0": FAMILY_PGZIP_1_14_0,
    "pgzip1.12.3": FAMILY_PGZIP_1_12_3,
    "pgzip1.12.2": FAMILY_PGZIP_1_12_2,
    "pgzip1.11.13": FAMILY_PGZIP_1_11_13,
    "pgzip1.10.2": FAMILY_PGZIP_1_10_2,
    "pgzip1.10.2-256k": FAMILY_PGZIP_1_10_2_256K,
    "pgzip1.9.8-256k": FAMILY_PGZIP_1_9_8_256K,
}


class GzipEncoder(Encoder):
    """One gzip stream of the C core.

    The bytes depend only on the encoder and the input, not on how the input is cut, on
    `executor` or on `workers`. The calling thread is one of the workers. At most `workers` calls
    are in the executor at a time, each for up to four tasks of at most 3 MiB of input; no task
    waits for another. Memory stays below 50 MB. An encoder must not be used by two threads at
    once.

    Args:
        family, level: the encoder's, as `convert._native` has them.
        header: the bytes before the stream.
        executor: runs parts of the work, or None. Its threads may all be busy, or even wait for
            this encoder: the caller does what has not started when it is needed.
        workers: number of threads to keep busy, the calling thread included. From four on the
            caller has little to do and is not counted.
    """

    def __init__(
        self, family: int, level: int, header: GzipHeader, executor: Executor | None = None, workers: int = 1
    ) -> None:
        self._stream: _Serial | Parallel | Pieces
        if executor is None or workers < 2:
            self._stream = _Serial(family, level)
        elif (segments := segment_geometry(family, level)) is not None:
            self._stream = Parallel(family, level, segments, executor, workers)
        elif (pieces := piece_geometry(family, level)) is not None:
            self._stream = Pieces(family, level, pieces, executor, workers)
        else:
            self._stream = _Serial(family, level)
        self._header = header.to_bytes()
        self._in_call = False
        self._crc = 0
        self._size = 0
        self._room = memoryview(b"")

    def write(self, data: Buffer, /) -> bytes:
        """Take input; return the bytes of the stream that are complete.

        Raises:
            ValueError: an earlier call was interrupted by an error or a signal, so output may be
                missing. `take` and `finish` raise it too.
        """
        with self._uninterrupted():
            view = memoryview(data).cast("B")
            self._count(view)
            return self._headed(self._stream.write(view))

    def take(self, stream: BinaryIO) -> bytes | None:
        """Read once from `stream`; return the bytes that are complete, or None at its end.

        The input is read directly into the encoder's memory.
        """
        if not isinstance(self._stream, _Serial) and (room := self._stream.room()) is not None:
            with self._uninterrupted():
                count = read_into(stream, room)
                if not count:
                    return None
                self._count(room[:count])
                return self._headed(self._stream.filled(count))
        if not self._room:
            # An archive may have very many small layers, and to clear a large buffer for each takes long.
            self._room = memoryview(bytearray(_FIRST_ROOM))
        count = read_into(stream, self._room)
        if not count:
            return None
        made = self.write(self._room[:count])
        if count == len(self._room) < CHUNK:
            self._room = memoryview(bytearray(CHUNK))
        return made

    def finish(self) -> bytes:
        """End the stream; return the rest of its bytes. No calls may follow."""
        with self._uninterrupted():
            trailer = self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
            return self._headed(self._stream.finish()) + trailer

    @contextmanager
    def _uninterrupted(self) -> Iterator[None]:
        """Refuse further calls after an interrupted one."""
        if self._in_call:
            raise ValueError("an earlier call of this encoder was interrupted")
        self._in_call = True
        yield
        self._in_call = False

    def _count(self, view: memoryview) -> None:
        self._crc = isal_zlib.crc32(view, self._crc)
        self._size += len(view)

    def _headed(self, made: bytes) -> bytes:
        """Put the header before the first bytes; return all others unchanged."""
        header, self._header = self._header, b""
        return header + made if header else made

    @property
    def repaired(self) -> int:
        """Bytes of input that were parsed twice, which happens only on many cores."""
        return self._stream.repaired


class GoGzipEncoder(GzipEncoder):
    """One gzip stream with the bytes of Go's compress/gzip; see `GzipEncoder`.

    Args:
        generation: "go1.26" (Go up to 1.26) or "go1.27".
        level: 1 to 9, "huffman" or "store".

    Raises:
        ValueError: unknown generation or level.
    """

    def __init__(self, generation: str, level: int | str, executor: Executor | None = None, workers: int = 1) -> None:
        family = _FAMILIES.get(generation)
        native = _NAMED_LEVELS.get(level) if isinstance(level, str) else level if 1 <= level <= 9 else None
        if family is None or native is None:
            raise ValueError(f"no encoder {generation}-{level}")
        super().__init__(family, native, go(native), executor, workers)


class OldGoGzipEncoder(GzipEncoder):
    """One gzip stream with the bytes of compress/gzip of Go up to 1.6, in order only; see `GzipEncoder`.

    Args:
        level: 1 to 9.

    Raises:
        ValueError: unknown level.
    """

    def __init__(self, level: int) -> None:
        # Go before 1.8 wrote its zero time.
        super().__init__(FAMILY_GO16, level, klauspost(level))


class PgzipEncoder(GzipEncoder):
    """One gzip stream with the bytes of klauspost's pgzip; see `GzipEncoder`.

    Args:
        generation: "pgzip" and the release of klauspost/compress with which it begins.
        level: 1 to 6.

    Raises:
        ValueError: unknown generation or level.
    """

    def __init__(self, generation: str, level: int, executor: Executor | None = None, workers: int = 1) -> None:
        family = PGZIP_FAMILIES.get(generation)
        if family is None or not 1 <= level <= 6:
            raise ValueError(f"no encoder {generation}-{level}")
        super().__init__(family, level, klauspost(level), executor, workers)


class PigzEncoder(GzipEncoder):
    """One gzip stream with the bytes of `pigz -n` from a pipe, with more than one thread; see `GzipEncoder`.

    Args:
        level: 1 to 9.

    Raises:
        ValueError: unknown level.
    """

    def __init__(self, level: int, executor: Executor | None = None, workers: int = 1) -> None:
        super().__init__(FAMILY_PIGZ, level, gnu(level), executor, workers)


class RsyncableEncoder(GzipEncoder):
    """One gzip stream with the bytes of GNU gzip's `gzip -n --rsyncable`, in order only; see `GzipEncoder`.

    Args:
        level: 1 to 9.

    Raises:
        ValueError: unknown level.
    """

    def __init__(self, level: int) -> None:
        super().__init__(FAMILY_GNU_RSYNCABLE, level, gnu(level))


class BusyboxEncoder(GzipEncoder):
    """One gzip stream with the bytes of busybox's gzip as Docker's image has it, in order only; see `GzipEncoder`."""

    def __init__(self) -> None:
        super().__init__(FAMILY_BUSYBOX, 6, gnu(6))


class _Serial:
    repaired: Literal[0] = 0

    def __init__(self, family: int, level: int) -> None:
        encoder = NativeEncoder(family, level)
        self.write: Callable[[memoryview], bytes] = encoder.write
        self.finish = encoder.finish
