"""Read a stream in a thread of its own, so that unpacking and hashing use one core each."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from convert.codec.decompress import ChunkStream
from convert.limits import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Chunks in the queue between the two threads, so that neither waits for each single chunk.
_DEPTH: Final = 3


def read_ahead(stream: BinaryIO) -> BinaryIO:
    """Return the bytes of `stream`, which is read in another thread and closed with the result.

    At most four chunks are held. What reading raises is raised at its place in
    the stream; the thread ends with the stream or when the result is closed.
    """
    chunks: Iterator[bytes] = _ReaderThread(stream)
    return cast("BinaryIO", ChunkStream(chunks, close=stream.close))


class _ReaderThread:
    """An iterator over chunks that another thread reads."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._chunks: queue.Queue[bytes | BaseException] = queue.Queue(_DEPTH)
        self._stop = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                chunk = self._stream.read(CHUNK)
                self._chunks.put(chunk)
                if not chunk:
                    return
        except BaseException as error:  # noqa: BLE001 - raised in the thread that reads the chunks
            self._chunks.put(error)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._ended:
            raise StopIteration
        chunk = self._chunks.get()
        if isinstance(chunk, BaseException):
            self._ended = True
            raise chunk
        if not chunk:
            self._ended = True
            raise StopIteration
        return chunk

    def close(self) -> None:
        """End the thread, so that the stream is not read while it is closed."""
        self._ended = True
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._chunks.get(timeout=0.01)
            except queue.Empty:
                continue
        self._thread.join()
