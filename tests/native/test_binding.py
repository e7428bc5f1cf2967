"""The binding raises an exception for every call that it cannot execute."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

from convert._native import (
    FAMILY_PGZIP_1_18_2,
    Batch,
    Encoder,
    ParallelEncoder,
    PieceEncoder,
    Segment,
    piece_geometry,
    segment_geometry,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 65535


@pytest.mark.parametrize(("family", "level"), [(126, 10), (126, -1), (125, 1), (0, 0), (127, -3), (128, 6)])
def test_unknown_encoders_are_refused(family: int, level: int) -> None:
    for make in (Encoder, ParallelEncoder, PieceEncoder, piece_geometry, segment_geometry):
        with pytest.raises(ValueError, match="no encoder"):
            make(family, level)


def test_arguments_of_the_wrong_type_are_refused() -> None:
    with pytest.raises(TypeError):
        Encoder("go1.26", 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Encoder(126, 1).write("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ParallelEncoder(126, 1).join(b"")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ParallelEncoder(126, 6).append(b"")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ParallelEncoder(126, 1).segment("text", 0, 0, 0, last=True)  # type: ignore[arg-type]
    for kind in (Segment, Batch):
        with pytest.raises(TypeError):
            kind()


@pytest.mark.parametrize("level", [1, 6, -2, 0])
def test_a_finished_stream_takes_nothing_more(level: int) -> None:
    encoder = Encoder(126, level)
    encoder.write(b"data")
    encoder.finish()
    with pytest.raises(ValueError, match="after finish"):
        encoder.write(b"more")
    with pytest.raises(ValueError, match="twice"):
        encoder.finish()


def test_any_contiguous_buffer_is_taken() -> None:
    data = bytes(range(256)) * 300
    expected = Encoder(126, 1)
    bytes_ = expected.write(data) + expected.finish()
    for other in (bytearray(data), memoryview(data), memoryview(bytearray(data)).cast("I")):
        encoder = Encoder(126, 1)
        assert encoder.write(other) + encoder.finish() == bytes_
    with pytest.raises(BufferError):
        Encoder(126, 1).write(memoryview(data)[::2])


@pytest.mark.parametrize(
    ("before", "size", "position", "last"),
    [
        (-1, 10, 0, True),
        (0, -1, 0, True),
        (0, BLOCK + 1, 0, False),  # not whole blocks
        (0, 0, 0, False),
        (10, 2 * BLOCK, BLOCK, True),  # too little input before
        (0, 4 * BLOCK, 0, True),  # more than there is
        (20, 100, 10, True),  # more before than the stream had
        (10, 100, 10, True),  # not at a block
        (1 << 62, 1 << 62, 0, True),
    ],
)
def test_segments_that_do_not_fit_their_data_are_refused(before: int, size: int, position: int, last: bool) -> None:
    with pytest.raises(ValueError, match=r"segment|data"):
        ParallelEncoder(126, 1).segment(bytes(3 * BLOCK), before, size, position, last=last)


def test_segments_of_token_encoders_need_what_follows() -> None:
    geometry = segment_geometry(126, 6)
    assert geometry is not None
    with pytest.raises(ValueError, match="behind"):
        ParallelEncoder(126, 6).segment(bytes(5000 + geometry[2] - 1), 0, 5000, 0, last=False)
    with pytest.raises(ValueError, match="behind"):
        ParallelEncoder(126, 6).segment(bytes(5001), 0, 5000, 0, last=True)


def test_segments_are_joined_in_order_and_once() -> None:
    data = bytes(3 * BLOCK)
    stream = ParallelEncoder(126, 1)
    first = stream.segment(data, 0, BLOCK, 0, last=False)
    second = stream.segment(data, BLOCK, 2 * BLOCK, BLOCK, last=True)
    with pytest.raises(ValueError, match="next segment"):
        stream.join(second)
    with pytest.raises(ValueError, match="next segment"):
        ParallelEncoder(126, 1).join(first)
    batches = [stream.join(first)]
    with pytest.raises(ValueError, match="next segment"):
        stream.join(first)
    first.run()  # too late: nothing is done
    second.run()
    batches.append(stream.join(second))
    with pytest.raises(ValueError, match="next segment"):
        stream.join(second)
    with pytest.raises(ValueError, match="next batch"):
        stream.decide(batches[1])
    for batch in batches:
        stream.decide(batch)
        batch.run()
    with pytest.raises(ValueError, match="next batch"):
        stream.decide(batches[1])
    out = stream.append(batches[0]), stream.append(batches[1])
    encoder = Encoder(126, 1)
    assert out == (encoder.write(data[: BLOCK + 1]), encoder.write(data[BLOCK + 1 :]) + encoder.finish())


def test_a_segment_with_little_before_it_can_only_be_joined() -> None:
    unit, before, _, history = segment_geometry(127, 6) or (0, 0, 0, 0)
    data = bytes(range(256)) * 4000
    stream = ParallelEncoder(127, 6)
    encoder = Encoder(127, 6)
    assert history < before < 5 * unit
    batches = [stream.join(stream.segment(data, 0, 5 * unit, 0, last=False))]
    rest = stream.segment(data[5 * unit - history :], history, len(data) - 5 * unit, 5 * unit, last=True)
    with pytest.raises(ValueError, match="too little input before"):
        rest.run()
    batches.append(stream.join(rest))
    for batch in batches:
        stream.decide(batch)
        batch.run()
    assert b"".join(map(stream.append, batches)) == encoder.write(data) + encoder.finish()


def test_a_segment_runs_behind_the_one_before_it_and_no_other() -> None:
    data = bytes(4 * BLOCK)
    stream = ParallelEncoder(126, 1)
    first, second, third = (stream.segment(data, at * BLOCK, BLOCK, at * BLOCK, last=False) for at in range(3))
    with pytest.raises(ValueError, match="has not run"):
        second.run(first)
    first.run()
    with pytest.raises(ValueError, match="not the segment before"):
        third.run(first)
    with pytest.raises(ValueError, match="not the segment before"):
        ParallelEncoder(126, 1).segment(data, BLOCK, BLOCK, BLOCK, last=False).run(first)
    with pytest.raises(TypeError):
        second.run(data)  # type: ignore[arg-type]
    second.run(first)


def test_encoders_that_cut_tokens_write_nothing_in_order_between_segments() -> None:
    stream = ParallelEncoder(126, 6)
    with pytest.raises(ValueError, match="does not cut its input"):
        stream.write(bytes(3000))
    with pytest.raises(ValueError, match="does not cut its input"):
        stream.take_over(bytes(3000), 0)
    with pytest.raises(ValueError, match="does not cut its input"):
        stream.finish()
    with pytest.raises(ValueError, match="not written in order"):
        stream.hand_over()


def test_a_stream_is_written_in_segments_or_in_order() -> None:
    data = bytes(range(256)) * 1024
    stream = ParallelEncoder(127, 1)
    out = [stream.write(data[: 2 * BLOCK + 1])]
    with pytest.raises(ValueError, match="next segment"):
        stream.join(stream.segment(data, 2 * BLOCK, BLOCK, 2 * BLOCK, last=False))
    with pytest.raises(ValueError, match="already written in order"):
        stream.take_over(data, 0)
    held, before = stream.hand_over()
    assert held == data[2 * BLOCK - before : 2 * BLOCK + 1]
    with pytest.raises(ValueError, match="not written in order"):
        stream.hand_over()
    with pytest.raises(ValueError, match="take_over"):
        stream.write(data)
    with pytest.raises(ValueError, match="take_over"):
        stream.finish()
    batch = stream.join(stream.segment(data, 2 * BLOCK, BLOCK, 2 * BLOCK, last=False))
    with pytest.raises(ValueError, match="batches remain"):
        stream.take_over(data[2 * BLOCK : 3 * BLOCK + 1], BLOCK)
    stream.decide(batch)
    batch.run()
    out.append(stream.append(batch))
    for data_given, before_given in [
        (data[3 * BLOCK - 100 : 3 * BLOCK + 1], 100),  # too little input before
        (data[2 * BLOCK : 3 * BLOCK], BLOCK),  # nothing of what follows
        (data[: 3 * BLOCK], BLOCK),  # more than a block of it
        (data, -1),
        (data, 1 << 62),
    ]:
        with pytest.raises(ValueError, match="the input before"):
            stream.take_over(data_given, before_given)
    stream.take_over(data[2 * BLOCK : 3 * BLOCK + 1], BLOCK)
    out += [stream.write(data[3 * BLOCK + 1 :]), stream.write(b""), stream.finish()]
    for call in (stream.finish, stream.hand_over, lambda: stream.write(data), lambda: stream.take_over(data, 0)):
        with pytest.raises(ValueError, match=r"finished|in order"):
            call()
    encoder = Encoder(127, 1)
    assert b"".join(out) == encoder.write(data) + encoder.finish()


def test_an_encoder_in_use_refuses_a_second_thread() -> None:
    encoder = Encoder(126, 9)
    data = bytes(4 << 20)
    refused = []
    started = threading.Barrier(2)

    def write() -> None:
        started.wait()
        for _ in range(20):
            try:
                encoder.write(data)
            except RuntimeError:
                refused.append(1)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused, "two threads wrote at once without an error"
    encoder.finish()


def test_batches_are_run_before_they_are_appended() -> None:
    stream = ParallelEncoder(126, 6)
    segment = stream.segment(b"abc" * 1000, 0, 3000, 0, last=True)
    segment.run()
    batch = stream.join(segment)
    assert isinstance(batch, Batch)
    with pytest.raises(ValueError, match="not decided"):
        batch.run()
    for wrong in (b"", segment, None):
        with pytest.raises(TypeError, match="Batch"):
            stream.decide(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="next batch"):
        ParallelEncoder(126, 1).decide(batch)
    stream.decide(batch)
    with pytest.raises(ValueError, match="has not run"):
        stream.append(batch)
    batch.run()
    with pytest.raises(ValueError, match="next batch"):
        ParallelEncoder(126, 1).append(batch)
    encoder = Encoder(126, 6)
    assert stream.append(batch) == encoder.write(b"abc" * 1000) + encoder.finish()
    with pytest.raises(ValueError, match="next batch"):
        stream.append(batch)


@pytest.mark.parametrize(
    ("family", "level", "guessed", "planned"),
    [
        (126, 1, False, True),  # every block is coded for itself
        (126, 6, False, True),  # blocks are decided with the join
        (127, 6, True, True),  # a right guess was planned with the segment
        (127, 6, False, False),
        (127, 1, True, False),  # most first guesses are wrong, and are not planned
        (127, 1, False, False),
    ],
)
def test_a_batch_without_plan_reports_it_and_is_planned_on_any_thread(
    family: int, level: int, guessed: bool, planned: bool
) -> None:
    data = bytes(range(256)) * 1500
    for plan in (False, True):
        stream = ParallelEncoder(family, level)
        segment = stream.segment(data, 0, len(data), 0, last=True)
        if guessed:
            segment.run()
        batch = stream.join(segment)
        assert batch.planned == planned
        if plan:
            thread = threading.Thread(target=batch.plan)
            thread.start()
            thread.join()
            assert batch.planned
        stream.decide(batch)
        assert batch.planned
        batch.plan()  # too late: nothing is done
        batch.run()
        encoder = Encoder(family, level)
        assert stream.append(batch) == encoder.write(data) + encoder.finish()


def test_segments_and_batches_of_a_parallel_encoder_that_is_gone_fit_no_other() -> None:
    """Even if the other one has the same address."""
    data = b"abc" * 30000
    for _ in range(50):
        stream = ParallelEncoder(126, 6)
        segment, other = (stream.segment(data, 0, len(data), 0, last=True) for _ in range(2))
        segment.run()
        batch = stream.join(segment)
        stream.decide(batch)
        batch.run()
        other.run()
        del stream
        stream = ParallelEncoder(127, 1)
        with pytest.raises(ValueError, match="next segment"):
            stream.join(other)
        with pytest.raises(ValueError, match="next batch"):
            stream.append(batch)
        with pytest.raises(ValueError, match="not the segment before"):
            stream.segment(data, BLOCK, len(data) - BLOCK, BLOCK, last=True).run(segment)


def test_what_was_handed_over_has_to_be_taken_over() -> None:
    stream = ParallelEncoder(126, 1)
    assert stream.write(b"a") == b""
    assert stream.hand_over() == (b"a", 0)
    for call in (stream.finish, lambda: stream.write(b"b")):
        with pytest.raises(ValueError, match="take_over"):
            call()
    stream.take_over(b"a", 0)
    assert stream.hand_over() == (b"a", 0)
    stream.take_over(b"a", 0)
    encoder = Encoder(126, 1)
    assert stream.write(b"b") + stream.finish() == encoder.write(b"ab") + encoder.finish()


def test_positions_beyond_any_stream_are_refused() -> None:
    for position in (-BLOCK, (1 << 64) - 1):
        with pytest.raises(ValueError, match="data do not contain"):
            ParallelEncoder(126, 1).segment(bytes(BLOCK), 0, BLOCK, position, last=True)


def without_memory(call: Callable[[], bytes]) -> None:
    """Call where Python's allocations fail."""
    memory = pytest.importorskip("_testcapi", reason="CPython's own test module makes allocations fail")
    memory.set_nomemory(0, 0)
    try:
        call()
    finally:
        memory.remove_mem_hooks()


@pytest.mark.parametrize("kind", [Encoder, ParallelEncoder])
@pytest.mark.parametrize("ending", [False, True])
def test_where_output_is_lost_nothing_follows(kind: type[Encoder | ParallelEncoder], ending: bool) -> None:
    """Output for which there was no memory is missing: what follows would be wrong."""
    data = random.Random(1).randbytes(4 * BLOCK)
    stream = kind(126, 1)
    assert stream.write(data)
    with pytest.raises(MemoryError):
        without_memory(stream.finish if ending else lambda: stream.write(data))
    for call in (stream.finish, lambda: stream.write(data)):
        with pytest.raises(ValueError, match="lost"):
            call()


def test_the_last_batch_is_not_appended_twice_when_its_output_was_lost() -> None:
    stream = ParallelEncoder(126, 1)
    batch = stream.join(stream.segment(b"abc" * 1000, 0, 3000, 0, last=True))
    stream.decide(batch)
    batch.run()
    with pytest.raises(MemoryError):
        without_memory(lambda: stream.append(batch))
    with pytest.raises(ValueError, match="lost"):
        stream.append(batch)


PIECE = 1 << 20
DICTIONARY = 1 << 14


def test_pieces_are_the_bytes_of_the_stream_however_they_are_grouped() -> None:
    data = random.Random(1).randbytes(1000) * (4 * PIECE // 1000)
    serial = Encoder(FAMILY_PGZIP_1_18_2, 5)
    expected = serial.write(data) + serial.finish()
    encoder = PieceEncoder(FAMILY_PGZIP_1_18_2, 5)
    assert piece_geometry(FAMILY_PGZIP_1_18_2, 5) == (PIECE, DICTIONARY, True)
    for step in (1, 2, 4):
        out = b""
        for begin in range(0, len(data), step * PIECE):
            before = min(begin, DICTIONARY)
            held = data[begin - before : begin + step * PIECE]
            out += encoder.encode(held, before, len(held) - before, last=begin + step * PIECE >= len(data))
        assert out == expected


@pytest.mark.parametrize(
    ("before", "size", "last"),
    [
        (-1, 10, True),
        (0, -1, True),
        (0, PIECE + 1, False),
        (DICTIONARY + 1, 10, True),  # more than a piece refers to
        (10, 2 * PIECE, True),  # more than there is
        (1 << 62, 1 << 62, True),
    ],
)
def test_pieces_that_do_not_fit_their_data_are_refused(before: int, size: int, last: bool) -> None:
    with pytest.raises(ValueError, match="piece"):
        PieceEncoder(FAMILY_PGZIP_1_18_2, 1).encode(bytes(2 * PIECE), before, size, last=last)


def test_encoders_are_either_parallel_or_write_pieces() -> None:
    assert piece_geometry(127, 5) is None
    assert segment_geometry(FAMILY_PGZIP_1_18_2, 5) is None
    with pytest.raises(ValueError, match="does not write pieces"):
        PieceEncoder(127, 5)
    with pytest.raises(ValueError, match="not parallel"):
        ParallelEncoder(FAMILY_PGZIP_1_18_2, 5)
