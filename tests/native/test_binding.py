"""The binding refuses what it cannot do, with an exception and not otherwise."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

from convert._native import Coding, Encoder, Joiner, Segment, segment_geometry

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 65535


@pytest.mark.parametrize(("generation", "level"), [(126, 10), (126, -1), (125, 1), (0, 0), (127, -3), (128, 6)])
def test_unknown_encoders_are_refused(generation: int, level: int) -> None:
    for make in (Encoder, Joiner, segment_geometry):
        with pytest.raises(ValueError, match="no encoder"):
            make(generation, level)


def test_arguments_of_the_wrong_type_are_refused() -> None:
    with pytest.raises(TypeError):
        Encoder("go1.26", 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Encoder(126, 1).write("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Joiner(126, 1).join(b"")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Joiner(126, 6).append(b"")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Joiner(126, 1).segment("text", 0, 0, 0, last=True)  # type: ignore[arg-type]
    for kind in (Segment, Coding):
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
        (10, 2 * BLOCK, BLOCK, True),  # too little before
        (0, 4 * BLOCK, 0, True),  # more than there is
        (20, 100, 10, True),  # more before than the stream had
        (10, 100, 10, True),  # not at a block
        (1 << 62, 1 << 62, 0, True),
    ],
)
def test_segments_that_do_not_fit_their_data_are_refused(before: int, size: int, position: int, last: bool) -> None:
    with pytest.raises(ValueError, match=r"segment|data"):
        Joiner(126, 1).segment(bytes(3 * BLOCK), before, size, position, last=last)


def test_segments_of_token_encoders_need_what_follows() -> None:
    geometry = segment_geometry(126, 6)
    assert geometry is not None
    with pytest.raises(ValueError, match="behind"):
        Joiner(126, 6).segment(bytes(5000 + geometry[2] - 1), 0, 5000, 0, last=False)
    with pytest.raises(ValueError, match="behind"):
        Joiner(126, 6).segment(bytes(5001), 0, 5000, 0, last=True)


def test_segments_are_joined_in_order_and_once() -> None:
    data = bytes(3 * BLOCK)
    joiner = Joiner(126, 1)
    first = joiner.segment(data, 0, BLOCK, 0, last=False)
    second = joiner.segment(data, BLOCK, 2 * BLOCK, BLOCK, last=True)
    with pytest.raises(ValueError, match="next segment"):
        joiner.join(second)
    with pytest.raises(ValueError, match="next segment"):
        Joiner(126, 1).join(first)
    codings = [joiner.join(first)]
    with pytest.raises(ValueError, match="next segment"):
        joiner.join(first)
    first.run()  # too late: nothing is done
    second.run()
    codings.append(joiner.join(second))
    with pytest.raises(ValueError, match="next segment"):
        joiner.join(second)
    with pytest.raises(ValueError, match="next coding"):
        joiner.settle(codings[1])
    for coding in codings:
        joiner.settle(coding)
        coding.run()
    with pytest.raises(ValueError, match="next coding"):
        joiner.settle(codings[1])
    out = joiner.append(codings[0]), joiner.append(codings[1])
    encoder = Encoder(126, 1)
    assert out == (encoder.write(data[: BLOCK + 1]), encoder.write(data[BLOCK + 1 :]) + encoder.finish())


def test_a_segment_with_little_before_it_can_only_be_joined() -> None:
    unit, before, _, history = segment_geometry(127, 6) or (0, 0, 0, 0)
    data = bytes(range(256)) * 4000
    joiner = Joiner(127, 6)
    encoder = Encoder(127, 6)
    assert history < before < 5 * unit
    codings = [joiner.join(joiner.segment(data, 0, 5 * unit, 0, last=False))]
    rest = joiner.segment(data[5 * unit - history :], history, len(data) - 5 * unit, 5 * unit, last=True)
    with pytest.raises(ValueError, match="too little before"):
        rest.run()
    codings.append(joiner.join(rest))
    for coding in codings:
        joiner.settle(coding)
        coding.run()
    assert b"".join(map(joiner.append, codings)) == encoder.write(data) + encoder.finish()


def test_a_segment_runs_behind_the_one_before_it_and_no_other() -> None:
    data = bytes(4 * BLOCK)
    joiner = Joiner(126, 1)
    first, second, third = (joiner.segment(data, at * BLOCK, BLOCK, at * BLOCK, last=False) for at in range(3))
    with pytest.raises(ValueError, match="has not run"):
        second.run(first)
    first.run()
    with pytest.raises(ValueError, match="not the segment before"):
        third.run(first)
    with pytest.raises(ValueError, match="not the segment before"):
        Joiner(126, 1).segment(data, BLOCK, BLOCK, BLOCK, last=False).run(first)
    with pytest.raises(TypeError):
        second.run(data)  # type: ignore[arg-type]
    second.run(first)


def test_encoders_that_cut_tokens_write_nothing_in_order_between_segments() -> None:
    joiner = Joiner(126, 6)
    with pytest.raises(ValueError, match="does not cut its input"):
        joiner.write(bytes(3000))
    with pytest.raises(ValueError, match="does not cut its input"):
        joiner.take_over(bytes(3000), 0)
    with pytest.raises(ValueError, match="does not cut its input"):
        joiner.finish()
    with pytest.raises(ValueError, match="not worked on in order"):
        joiner.hand_over()


def test_a_stream_is_in_segments_or_in_order_and_knows_which() -> None:
    data = bytes(range(256)) * 1024
    joiner = Joiner(127, 1)
    out = [joiner.write(data[: 2 * BLOCK + 1])]
    with pytest.raises(ValueError, match="next segment"):
        joiner.join(joiner.segment(data, 2 * BLOCK, BLOCK, 2 * BLOCK, last=False))
    with pytest.raises(ValueError, match="in order already"):
        joiner.take_over(data, 0)
    held, before = joiner.hand_over()
    assert held == data[2 * BLOCK - before : 2 * BLOCK + 1]
    with pytest.raises(ValueError, match="not worked on in order"):
        joiner.hand_over()
    with pytest.raises(ValueError, match="take_over"):
        joiner.write(data)
    with pytest.raises(ValueError, match="take_over"):
        joiner.finish()
    coding = joiner.join(joiner.segment(data, 2 * BLOCK, BLOCK, 2 * BLOCK, last=False))
    with pytest.raises(ValueError, match="codings to append"):
        joiner.take_over(data[2 * BLOCK : 3 * BLOCK + 1], BLOCK)
    joiner.settle(coding)
    coding.run()
    out.append(joiner.append(coding))
    for data_given, before_given in [
        (data[3 * BLOCK - 100 : 3 * BLOCK + 1], 100),  # too little before
        (data[2 * BLOCK : 3 * BLOCK], BLOCK),  # nothing of what follows
        (data[: 3 * BLOCK], BLOCK),  # more than a block of it
        (data, -1),
        (data, 1 << 62),
    ]:
        with pytest.raises(ValueError, match="what is before"):
            joiner.take_over(data_given, before_given)
    joiner.take_over(data[2 * BLOCK : 3 * BLOCK + 1], BLOCK)
    out += [joiner.write(data[3 * BLOCK + 1 :]), joiner.write(b""), joiner.finish()]
    for call in (joiner.finish, joiner.hand_over, lambda: joiner.write(data), lambda: joiner.take_over(data, 0)):
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
    assert refused, "two threads wrote at once and neither was told"
    encoder.finish()


def test_codings_are_run_before_they_are_appended() -> None:
    joiner = Joiner(126, 6)
    segment = joiner.segment(b"abc" * 1000, 0, 3000, 0, last=True)
    segment.run()
    coding = joiner.join(segment)
    assert isinstance(coding, Coding)
    with pytest.raises(ValueError, match="not settled"):
        coding.run()
    for wrong in (b"", segment, None):
        with pytest.raises(TypeError, match="Coding"):
            joiner.settle(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="next coding"):
        Joiner(126, 1).settle(coding)
    joiner.settle(coding)
    with pytest.raises(ValueError, match="has not run"):
        joiner.append(coding)
    coding.run()
    with pytest.raises(ValueError, match="next coding"):
        Joiner(126, 1).append(coding)
    encoder = Encoder(126, 6)
    assert joiner.append(coding) == encoder.write(b"abc" * 1000) + encoder.finish()
    with pytest.raises(ValueError, match="next coding"):
        joiner.append(coding)


@pytest.mark.parametrize(
    ("generation", "level", "guessed", "planned"),
    [
        (126, 1, False, True),  # every block is coded for itself
        (126, 6, False, True),  # blocks are settled with the join
        (127, 6, True, True),  # what was guessed and is right was planned then
        (127, 6, False, False),
        (127, 1, True, False),  # as a guess it would be wrong, and is not planned
        (127, 1, False, False),
    ],
)
def test_what_is_not_planned_says_so_and_is_planned_on_any_thread(
    generation: int, level: int, guessed: bool, planned: bool
) -> None:
    data = bytes(range(256)) * 1500
    for plan in (False, True):
        joiner = Joiner(generation, level)
        segment = joiner.segment(data, 0, len(data), 0, last=True)
        if guessed:
            segment.run()
        coding = joiner.join(segment)
        assert coding.planned == planned
        if plan:
            thread = threading.Thread(target=coding.plan)
            thread.start()
            thread.join()
            assert coding.planned
        joiner.settle(coding)
        assert coding.planned
        coding.plan()  # too late: nothing is done
        coding.run()
        encoder = Encoder(generation, level)
        assert joiner.append(coding) == encoder.write(data) + encoder.finish()


def test_segments_and_codings_of_a_joiner_that_is_gone_fit_no_other() -> None:
    """Even if the other one lies where it lay."""
    data = b"abc" * 30000
    for _ in range(50):
        joiner = Joiner(126, 6)
        segment, other = (joiner.segment(data, 0, len(data), 0, last=True) for _ in range(2))
        segment.run()
        coding = joiner.join(segment)
        joiner.settle(coding)
        coding.run()
        other.run()
        del joiner
        joiner = Joiner(127, 1)
        with pytest.raises(ValueError, match="next segment"):
            joiner.join(other)
        with pytest.raises(ValueError, match="next coding"):
            joiner.append(coding)
        with pytest.raises(ValueError, match="not the segment before"):
            joiner.segment(data, BLOCK, len(data) - BLOCK, BLOCK, last=True).run(segment)


def test_what_was_handed_over_has_to_be_taken_over() -> None:
    joiner = Joiner(126, 1)
    assert joiner.write(b"a") == b""
    assert joiner.hand_over() == (b"a", 0)
    for call in (joiner.finish, lambda: joiner.write(b"b")):
        with pytest.raises(ValueError, match="take_over"):
            call()
    joiner.take_over(b"a", 0)
    assert joiner.hand_over() == (b"a", 0)
    joiner.take_over(b"a", 0)
    encoder = Encoder(126, 1)
    assert joiner.write(b"b") + joiner.finish() == encoder.write(b"ab") + encoder.finish()


def test_positions_beyond_any_stream_are_refused() -> None:
    for position in (-BLOCK, (1 << 64) - 1):
        with pytest.raises(ValueError, match="data do not hold"):
            Joiner(126, 1).segment(bytes(BLOCK), 0, BLOCK, position, last=True)


def without_memory(call: Callable[[], bytes]) -> None:
    """Call where Python's allocations fail."""
    memory = pytest.importorskip("_testcapi", reason="CPython's own test module makes allocations fail")
    memory.set_nomemory(0, 0)
    try:
        call()
    finally:
        memory.remove_mem_hooks()


@pytest.mark.parametrize("kind", [Encoder, Joiner])
@pytest.mark.parametrize("ending", [False, True])
def test_where_output_is_lost_nothing_follows(kind: type[Encoder | Joiner], ending: bool) -> None:
    """Output that was made but for which there was no memory is missing: what came behind it would be wrong."""
    data = random.Random(1).randbytes(4 * BLOCK)
    stream = kind(126, 1)
    assert stream.write(data)
    with pytest.raises(MemoryError):
        without_memory(stream.finish if ending else lambda: stream.write(data))
    for call in (stream.finish, lambda: stream.write(data)):
        with pytest.raises(ValueError, match="lost"):
            call()


def test_the_last_coding_is_not_appended_twice_when_its_output_was_lost() -> None:
    joiner = Joiner(126, 1)
    coding = joiner.join(joiner.segment(b"abc" * 1000, 0, 3000, 0, last=True))
    joiner.settle(coding)
    coding.run()
    with pytest.raises(MemoryError):
        without_memory(lambda: joiner.append(coding))
    with pytest.raises(ValueError, match="lost"):
        joiner.append(coding)
