"""Pieces on several threads: whoever encodes them and when, the bytes are those of the serial encoder."""

from __future__ import annotations

import functools
import gc
import io
import sys
import threading
import weakref
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert._native import Encoder, PieceEncoder
from convert.codec import pieces
from convert.codec.gzip import PGZIP_FAMILIES, PgzipEncoder

sys.path.insert(0, str(Path(__file__).parent))
import recipes

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

PIECE = 1 << 20
LONG = recipes.make([["text", 1, 30000], ["edit", 29000, 9 * PIECE + 50000, 61]])


class Stuck(Executor):
    """Accepts tasks and starts none, like a pool whose threads are all busy."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls.append(lambda: fn(*args, **kwargs))
        return Future()


class AtOnce(Executor):
    """Runs each task at once, in the calling thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Shy(io.BytesIO):
    """Returns up to a given number of bytes from each read."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self.most = most

    def readinto(self, buffer: Buffer, /) -> int:
        return super().readinto(memoryview(buffer)[: self.most])


@functools.cache
def expected(generation: str, size: int) -> bytes:
    encoder = Encoder(PGZIP_FAMILIES[generation], 1)
    return encoder.write(LONG[:size]) + encoder.finish()


def taken(encoder: PgzipEncoder, size: int, most: int) -> bytes:
    stream = Shy(LONG[:size], most)
    out = []
    while (part := encoder.take(stream)) is not None:
        out.append(part)
    return b"".join([*out, encoder.finish()])


@pytest.mark.parametrize("kind", [Stuck, AtOnce, lambda: ThreadPoolExecutor(3)])
@pytest.mark.parametrize("workers", [2, 5, 50])
@pytest.mark.parametrize("generation", ["pgzip1.18.2", "pgzip1.10.2-256k", "pgzip1.9.8-256k"])
def test_any_executor_gives_the_serial_bytes(kind: Callable[[], Executor], workers: int, generation: str) -> None:
    executor = kind()
    encoder = PgzipEncoder(generation, 1, executor, workers)
    out = encoder.write(LONG) + encoder.finish()
    assert out[10:-8] == expected(generation, len(LONG))
    if isinstance(executor, Stuck):
        assert 0 < len(executor.calls) <= workers


@settings(max_examples=25, deadline=None)
@given(
    size=st.one_of(
        st.integers(0, 3 * PIECE), st.sampled_from([0, 1, PIECE, PIECE + 16, 2 * PIECE - 1, 2 * PIECE, PIECE // 2])
    ),
    most=st.sampled_from([40000, 65536, PIECE // 4, PIECE, 5 * PIECE]),
    generation=st.sampled_from(["pgzip1.18.2", "pgzip1.10.2-256k", "pgzip1.9.8-256k"]),
)
def test_streams_are_read_into_pieces(size: int, most: int, generation: str) -> None:
    with ThreadPoolExecutor(2) as executor:
        assert taken(PgzipEncoder(generation, 1, executor, 2), size, most)[10:-8] == expected(generation, size)


def test_an_error_in_a_worker_is_raised_in_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __init__(self, family: int, level: int) -> None:
            raise MemoryError

    monkeypatch.setattr(pieces, "PieceEncoder", Failing)
    encoder = PgzipEncoder("pgzip1.18.2", 1, AtOnce(), 2)
    with pytest.raises(MemoryError):
        encoder.write(LONG)
    with pytest.raises(ValueError, match="interrupted"):
        encoder.finish()


def test_a_stream_that_is_gone_leaves_nothing_in_the_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[weakref.ref[Any]] = []

    class Piece(pieces._Piece):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            held.append(weakref.ref(self))

    monkeypatch.setattr(pieces, "_Piece", Piece)
    executor = Stuck()
    encoder = PgzipEncoder("pgzip1.18.2", 1, executor, 4)
    encoder.write(LONG)
    del encoder
    gc.collect()
    assert held
    assert not [piece for piece in held if piece() is not None]
    for call in executor.calls:
        call()


def test_an_encoder_in_use_refuses_a_second_thread() -> None:
    encoder = PieceEncoder(PGZIP_FAMILIES["pgzip1.18.2"], 6)
    refused = threading.Event()

    def work() -> None:
        while not refused.is_set():
            try:
                encoder.encode(LONG, 0, 9 * PIECE, last=False)
            except RuntimeError:
                refused.set()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert refused.wait(60)
    for thread in threads:
        thread.join()
