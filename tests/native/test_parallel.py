"""One stream on several threads: whatever is guessed, the bytes are those of the serial encoder."""

from __future__ import annotations

import gc
import io
import itertools
import random
import sys
import threading
import weakref
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from convert._native import Batch, Encoder, ParallelEncoder, Segment, segment_geometry
from convert.codec import parallel, workers
from convert.codec.gzip import GoGzipEncoder

sys.path.insert(0, str(Path(__file__).parent))
import recipes

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

LEVELS = [-2, 0, *range(1, 10)]
PROFILES = [(family, level) for family in (126, 127) for level in LEVELS]
PARALLEL = [profile for profile in PROFILES if segment_geometry(*profile)]
CUTTING_INPUT = [(family, level) for family, level in PROFILES if level <= (1 if family == 126 else 6)]

STEPS = st.one_of(
    st.tuples(st.just("noise"), st.integers(0, 9), st.integers(0, 40000), st.sampled_from([2, 5, 256])),
    st.tuples(st.just("fill"), st.integers(0, 255), st.integers(0, 80000)),
    st.tuples(st.just("text"), st.integers(0, 9), st.integers(0, 60000)),
    st.tuples(st.just("code"), st.integers(0, 9), st.integers(0, 60000)),
    st.tuples(st.just("copy"), st.integers(1, 33000), st.integers(0, 100000)),
    st.tuples(st.just("edit"), st.integers(1, 33000), st.integers(0, 100000), st.integers(1, 5000)),
)
# The first step leaves enough for any copy.
RECIPES = st.tuples(
    st.sampled_from([("text", 3, 33001), ("noise", 3, 33001, 256), ("code", 3, 33001), ("fill", 0, 33001)]),
    st.lists(STEPS, max_size=7),
).map(lambda parts: [parts[0], *parts[1]])


def in_order(family: int, level: int, data: bytes) -> bytes:
    encoder = Encoder(family, level)
    return encoder.write(data) + encoder.finish()


#: Which segments are run, used in turn; the others are joined without a guess.
ALL = (True,)
TURNS = [ALL, (False,), (False, True), (True, False), (True, False, False, True, True)]


def in_segments(
    family: int, level: int, data: bytes, step: int, guessed: tuple[bool, ...] = ALL, waiting: int = 0
) -> tuple[bytes, int]:
    """Encode in segments of about `step` bytes; return bytes and repairs.

    Those that are `guessed` are run, every second one from where the one before ended. Up to
    `waiting` batches are not yet appended when the next segment is joined. When there are none,
    and the encoder supports it, the other segments are written in order.
    """
    geometry = segment_geometry(family, level)
    assert geometry is not None
    unit, before, after, _ = geometry
    step = max(1, step // unit) * unit
    stream = ParallelEncoder(family, level)
    out = []
    batches: list[Batch] = []
    position = 0
    previous: Segment | None = None
    for number, turn in enumerate(itertools.cycle(guessed)):
        last = len(data) - position < step + after
        size = len(data) - position if last else step
        if not turn and not batches and (family, level) in CUTTING_INPUT:
            out.append(written_in_order(stream, data, position, size, geometry))
            previous = None
        else:
            start = max(0, position - before)
            held = data[start : position + size + (0 if last else after)]
            segment = stream.segment(held, position - start, size, position, last)
            if turn:
                segment.run(previous if number % 2 else None)
            previous = segment if turn else None
            batches.append(stream.join(segment))
            if number % 3:
                batches[-1].plan()
        if len(batches) > (0 if last else waiting):
            # Decided in order, run in any, appended in order.
            for batch in batches:
                stream.decide(batch)
            for batch in reversed(batches):
                batch.run()
            out.extend(map(stream.append, batches))
            batches.clear()
        position += size
        if last:
            break
    return b"".join(out), stream.repaired


def written_in_order(
    stream: ParallelEncoder, data: bytes, position: int, size: int, geometry: tuple[int, int, int, int]
) -> bytes:
    """Write so much between segments, or to the end."""
    _, _, after, history = geometry
    end = position + size
    taken = position
    if position:
        start = max(0, position - history)
        taken = position + 1
        stream.take_over(data[start:taken], position - start)
    if end == len(data):
        return stream.write(data[taken:]) + stream.finish()
    out = stream.write(data[taken : end + after])
    held, before = stream.hand_over()
    assert held == data[end - before : end + after]
    assert before == min(end, history)
    return out


@settings(max_examples=100, deadline=None)
@given(
    recipe=RECIPES,
    profile=st.sampled_from(PARALLEL),
    step=st.integers(1, 200000),
    guessed=st.sampled_from(TURNS),
    waiting=st.integers(0, 2),
)
def test_segments_join_to_the_bytes_in_order(
    recipe: list[list[str | int]], profile: tuple[int, int], step: int, guessed: tuple[bool, ...], waiting: int
) -> None:
    data = recipes.make(recipe)
    step = max(step, len(data) // 50)
    assert in_segments(*profile, data, step, guessed, waiting)[0] == in_order(*profile, data)


# In repeated noise, the entries of a sparse table depend on where matches ended long ago.
EDITED = [["noise", 1, 33000, 256], ["edit", 20000, 900000, 1000]]
CYCLED = [["noise", 1, 30011, 256], ["cycle", 900000]]


@pytest.mark.parametrize(
    ("family", "level", "recipe"), [(126, 1, EDITED), (126, 2, CYCLED), (126, 3, CYCLED), (127, 1, CYCLED)]
)
def test_wrong_guesses_are_repaired(family: int, level: int, recipe: list[list[str | int]]) -> None:
    data = recipes.make(recipe)
    out, repaired = in_segments(family, level, data, 65535)
    assert repaired > 0, "the input must make the guess wrong"
    assert out == in_order(family, level, data)


@pytest.mark.parametrize(("family", "level"), [(126, 1), (127, 1)])
def test_a_guess_that_becomes_right_is_taken_from_there_on(family: int, level: int) -> None:
    """One batch has blocks that were parsed again, then those of the segment."""
    data = recipes.make([["noise", 1, 33000, 256], ["edit", 20000, 900000, 300]])
    segment = 5 * 65535
    out, repaired = in_segments(family, level, data, segment)
    assert 0 < repaired < segment
    assert out == in_order(family, level, data)


@pytest.mark.parametrize(("family", "level", "recipe"), [(126, 1, EDITED), (127, 1, CYCLED)])
def test_a_guess_that_follows_a_replaced_segment_is_checked(
    family: int, level: int, recipe: list[list[str | int]]
) -> None:
    """It follows a segment that was not joined, and whose memory the joined one may have reused."""
    data = recipes.make(recipe)
    unit, before, after, _ = segment_geometry(family, level) or (0, 0, 0, 0)
    stream = ParallelEncoder(family, level)

    def segment(number: int) -> Segment:
        position = number * unit
        start = max(0, position - before)
        end = position + unit + after
        return stream.segment(data[start:end], position - start, unit, position, last=False)

    def coded(segment: Segment) -> bytes:
        batch = stream.join(segment)
        stream.decide(batch)
        batch.run()
        return stream.append(batch)

    out = b"".join(coded(segment(number)) for number in range(3))
    first = segment(3)
    first.run()
    wrong = segment(4)
    wrong.run()  # from nothing but what is right before it
    follower = segment(5)
    follower.run(wrong)
    del wrong
    out += coded(first)
    true = segment(4)
    true.run(first)
    out += coded(true)
    repaired = stream.repaired
    out += coded(follower)
    assert len(out) > 10000
    assert in_order(family, level, data).startswith(out)
    assert stream.repaired > repaired, "the input must make the guess wrong"


@pytest.mark.parametrize("profile", PARALLEL)
@pytest.mark.parametrize(
    "recipe",
    [
        EDITED,
        CYCLED,
        [["packed", 1, 65535], ["cycle", 600000]],
        [["fill", 0, 1000000]],
        [["noise", 1, 600000, 256]],
        [["noise", 2, 66000, 256], ["fill", 7, 66000], ["cycle", 700000]],
        [["text", 3, 32768], ["edit", 32768, 600000, 4001]],
        [["text", 4, 300], ["edit", 257, 500000, 259]],
    ],
    ids=str,
)
def test_inputs_that_make_guesses_wrong_change_nothing(profile: tuple[int, int], recipe: list[list[str | int]]) -> None:
    data = recipes.make(recipe)
    expected = in_order(*profile, data)
    for step in (5000, 65535, 140000):
        for guessed in (ALL, (False,), (False, True)):
            assert in_segments(*profile, data, max(step, len(data) // 60), guessed, 1)[0] == expected


@pytest.mark.parametrize("size_off", [-1, 0, 1])
@pytest.mark.parametrize("profile", PARALLEL)
def test_a_stream_may_end_anywhere_near_the_end_of_a_segment(profile: tuple[int, int], size_off: int) -> None:
    data = recipes.make([["code", 1, 3 * 65535 + size_off]])
    expected = in_order(*profile, data)
    for step in (65535, 2 * 65535, len(data), 40000):
        for guessed in TURNS:
            assert in_segments(*profile, data, step, guessed, 1)[0] == expected


class Stuck(Executor):
    """Accepts tasks and starts none, like a pool whose threads are all busy."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], Any]] = []

    @property
    def asked(self) -> int:
        return len(self.calls)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls.append(lambda: fn(*args, **kwargs))
        return Future()


class AtOnce(Executor):
    """Runs each task at once, in the calling thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_a_saturated_executor_cannot_stop_a_stream_nor_fill_up_with_it() -> None:
    data = recipes.make([["code", 1, 200000], ["cycle", 12000000]])
    for level in (1, 6):
        executor = Stuck()
        encoder = GoGzipEncoder("go1.26", level, executor, workers=4)
        alone = GoGzipEncoder("go1.26", level)
        assert encoder.write(data) + encoder.finish() == alone.write(data) + alone.finish()
        assert 0 < executor.asked <= 4


@pytest.mark.parametrize("level", [1, 6])
@pytest.mark.parametrize("finished", [True, False])
def test_a_stream_that_is_gone_leaves_nothing_in_the_executor(
    monkeypatch: pytest.MonkeyPatch, level: int, finished: bool
) -> None:
    held: list[weakref.ref[Any]] = []

    class Part(workers.Part):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            held.append(weakref.ref(self))

    monkeypatch.setattr(parallel, "Part", Part)
    executor = Stuck()
    encoder = GoGzipEncoder("go1.27", level, executor, workers=4)
    encoder.write(recipes.make([["code", 1, 200000], ["cycle", 9000000]]))
    if finished:
        encoder.finish()
    del encoder
    gc.collect()
    assert held
    assert not [part for part in held if part() is not None]
    for call in executor.calls:
        call()
    assert executor.asked <= 4


def test_an_executor_that_is_shut_down_is_not_needed() -> None:
    data = recipes.make([["code", 1, 200000], ["cycle", 9000000]])
    executor = ThreadPoolExecutor(2)
    encoder = GoGzipEncoder("go1.26", 6, executor, workers=2)
    out = encoder.write(data[:4000000])
    executor.shutdown()
    out += encoder.write(data[4000000:]) + encoder.finish()
    assert out[10:-8] == in_order(126, 6, data)


@pytest.mark.parametrize(
    ("family", "failing"),
    [("go1.26", "_run"), ("go1.26", "run"), ("go1.27", "_run"), ("go1.27", "plan"), ("go1.27", "run")],
)
def test_an_error_in_a_worker_is_raised_in_the_caller(
    monkeypatch: pytest.MonkeyPatch, family: str, failing: str
) -> None:
    """And the stream accepts no more. `_run` is a guess, the others are parts of a batch."""

    def out_of_memory() -> None:
        raise MemoryError

    def run(self: workers.Task) -> None:
        if getattr(self._work, "__name__", "") == failing:
            self._work = out_of_memory
        as_ever(self)

    as_ever = workers.Task.run
    monkeypatch.setattr(workers.Task, "run", run)
    encoder = GoGzipEncoder(family, 1, AtOnce(), workers=2)
    data = recipes.make([["code", 1, 200000], ["cycle", 20000000]])
    with pytest.raises(MemoryError):
        encoder.write(data)
    for call in (encoder.finish, lambda: encoder.write(data), lambda: encoder.take(io.BytesIO(data))):
        with pytest.raises(ValueError, match="interrupted"):
            call()


def test_an_interrupted_stream_accepts_no_more_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise input would be encoded twice here, and only the checksum would show it."""

    class Full:
        def __init__(self, size: int) -> None:
            raise MemoryError

    encoder = GoGzipEncoder("go1.27", 6, Stuck(), workers=2)
    data = recipes.make([["code", 1, 9000000]])
    encoder.write(data[:2000000])
    with monkeypatch.context() as patch:
        patch.setattr(parallel, "InputBuffer", Full)
        with pytest.raises(MemoryError):
            encoder.write(data[2000000:])
    for call in (encoder.finish, lambda: encoder.write(data)):
        with pytest.raises(ValueError, match="interrupted"):
            call()


@pytest.mark.parametrize("profile", ["go1.26-1", "go1.27-1", "go1.27-6", "go1.27-huffman", "go1.26-store"])
def test_incompressible_input_is_written_in_order(profile: str) -> None:
    family, level = profile.split("-")
    data = random.Random(1).randbytes(12000000)
    executor = Stuck()
    encoder = GoGzipEncoder(family, int(level) if level.isdigit() else level, executor, workers=4)
    alone = GoGzipEncoder(family, int(level) if level.isdigit() else level)
    out = [encoder.write(data[i : i + (1 << 20)]) for i in range(0, len(data), 1 << 20)]
    assert b"".join(out) + encoder.finish() == alone.write(data) + alone.finish()
    assert executor.asked == 0


BLOCK = 65535
PIECES = st.lists(
    st.tuples(
        st.sampled_from(["noise", "text", "zeros", "again"]), st.integers(0, 9), st.sampled_from([-1, 0, 1, 300])
    ),
    max_size=8,
)
TEXT = recipes.make([["text", 1, 9 * BLOCK + 300]])


class Shy(io.BytesIO):
    """Returns up to a given number of bytes from each read."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self.most = most

    def readinto(self, buffer: Buffer, /) -> int:
        return super().readinto(memoryview(buffer)[: self.most])


def mixed(pieces: list[tuple[str, int, int]]) -> bytes:
    """Blocks of noise, text, zeros and earlier input, some of them not quite whole."""
    out = bytearray()
    chance = random.Random(len(pieces))
    for kind, blocks, off in pieces:
        size = max(0, blocks * BLOCK + off)
        if kind == "noise":
            out += chance.randbytes(size)
        elif kind == "text":
            out += TEXT[:size]
        elif kind == "zeros":
            out += bytes(size)
        else:
            out += out[-size:]
    return bytes(out)


@pytest.mark.parametrize("executor", ["pool", "at once", "stuck"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=PIECES,
    profile=st.sampled_from([*PARALLEL, (126, 1), (127, 1), (127, 6)]),
    workers=st.sampled_from([2, 3, 5]),
    chunk=st.sampled_from([BLOCK, 100001, 1 << 22]),
    taken=st.booleans(),
)
@example(
    pieces=[("text", 9, 0), ("noise", 9, 0), ("noise", 9, 1), ("text", 9, 0), ("noise", 9, 0)],
    profile=(127, 1),
    workers=2,
    chunk=BLOCK,
    taken=False,
)
@example(
    pieces=[("text", 9, 1), ("noise", 9, -1), ("noise", 9, 0), ("text", 9, 0), ("noise", 9, 0)],
    profile=(126, 1),
    workers=3,
    chunk=100001,
    taken=True,
)
@example(
    pieces=[("noise", 9, 0), ("text", 1, 0), ("noise", 9, 0), ("noise", 9, 0), ("zeros", 9, 1)],
    profile=(127, 6),
    workers=2,
    chunk=1 << 22,
    taken=True,
)
def test_bytes_are_the_serial_ones_whatever_the_threads_do(
    monkeypatch: pytest.MonkeyPatch,
    executor: str,
    pieces: list[tuple[str, int, int]],
    profile: tuple[int, int],
    workers: int,
    chunk: int,
    taken: bool,
) -> None:
    """With segments of a block or two, so that little data covers every path."""
    for name in ("_IN_FLIGHT_BLOCKS", "_IN_FLIGHT_TOKENS", "_IN_FLIGHT_FEW_1", "_IN_FLIGHT_FEW_BLOCKS"):
        monkeypatch.setattr(parallel, name, 8 * BLOCK)
    monkeypatch.setattr(parallel, "_FEW_SEGMENT", BLOCK)
    monkeypatch.setattr(parallel, "_NOISE", 2 * BLOCK)
    monkeypatch.setattr(parallel, "_IN_ORDER", 2 * BLOCK)
    monkeypatch.setattr(parallel, "_PROBE", BLOCK)
    data = mixed(pieces)
    family, number = profile
    level: int | str = {-2: "huffman", 0: "store"}.get(number, number)
    with ThreadPoolExecutor(2) as pool:
        where = {"pool": pool, "at once": AtOnce(), "stuck": Stuck()}[executor]
        encoder = GoGzipEncoder(f"go1.{family - 100}", level, where, workers)
        if taken:
            stream = Shy(data, chunk)
            out = [made for made in iter(lambda: encoder.take(stream), None) if made is not None]
        else:
            out = [encoder.write(data[i : i + chunk]) for i in range(0, len(data), chunk)]
        out.append(encoder.finish())
    assert b"".join(out)[10:-8] == in_order(*profile, data)


def test_streams_inside_the_pool_they_use_all_end() -> None:
    data = recipes.make([["code", 1, 200000], ["cycle", 9000000]])
    alone = GoGzipEncoder("go1.26", 1)
    expected = alone.write(data) + alone.finish()
    with ThreadPoolExecutor(2) as executor:

        def layer() -> bytes:
            encoder = GoGzipEncoder("go1.26", 1, executor, workers=2)
            return encoder.write(data) + encoder.finish()

        assert all(future.result() == expected for future in [executor.submit(layer) for _ in range(4)])


@pytest.mark.parametrize("workers", [2, 3, 8, 64])
@pytest.mark.parametrize("profile", ["go1.26-1", "go1.26-6", "go1.27-1", "go1.27-6"])
def test_bytes_do_not_depend_on_workers_or_chunks(profile: str, workers: int) -> None:
    family, level = profile.split("-")
    data = recipes.make([["tar", 1, 60], ["packed", 2, 100000], ["cycle", 5000000]])
    alone = GoGzipEncoder(family, int(level))
    expected = alone.write(data) + alone.finish()
    with ThreadPoolExecutor(3) as executor:
        for chunk in (100001, 1 << 20, len(data)):
            encoder = GoGzipEncoder(family, int(level), executor, workers)
            out = [encoder.write(data[i : i + chunk]) for i in range(0, len(data), chunk)]
            assert b"".join([*out, encoder.finish()]) == expected


def test_the_interpreter_runs_on_while_a_segment_is_encoded() -> None:
    data = bytes(range(256)) * 65535
    stream = ParallelEncoder(126, 6)

    def seen_at_work() -> bool:
        segment = stream.segment(data, 0, len(data), 0, last=True)
        began, ended = threading.Event(), threading.Event()

        def work() -> None:
            began.set()
            segment.run()
            ended.set()

        worker = threading.Thread(target=work)
        worker.start()
        began.wait()
        seen = not ended.is_set()
        worker.join()
        return seen

    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # no other thread runs before the worker releases the GIL
    try:
        # A busy machine may give this thread no processor until the work is done.
        assert any(seen_at_work() for _ in range(50))
    finally:
        sys.setswitchinterval(before)
