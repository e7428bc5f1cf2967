"""Streams that are hashed together have each its own digest."""

from __future__ import annotations

import hashlib
import io
import random
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert import hashing
from convert._native import _lanes
from convert.content import HashingStream
from convert.hashing import Hashing

if TYPE_CHECKING:
    from convert.digest import Digest
    from convert.hashing import Hasher


@pytest.fixture(params=["together", "alone"])
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "alone":
        monkeypatch.setattr(_lanes, "LANES", 0)
    elif not _lanes.LANES:
        pytest.skip("this processor has no SHA instructions")


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_streams_in_many_threads_have_the_digests_that_hashlib_gives(algorithm: str) -> None:
    """However they are cut: in pieces of no size, of a few bytes, and of more than is held."""
    together = Hashing()
    wrong: list[int] = []

    def stream(seed: int) -> None:
        chance = random.Random(seed)
        ours, theirs = together.begin(algorithm), hashlib.new(algorithm)
        for _ in range(chance.randrange(40)):
            data = chance.randbytes(chance.choice([0, 1, 63, 64, 1000, 65_536, 300_000, 1 << 20, 5 << 20]))
            if chance.random() < 0.2:
                changing = bytearray(data)
                ours.update_from(memoryview(changing))
                changing[:] = bytes(len(changing))
            else:
                ours.update(data)
            theirs.update(data)
        if ours.hexdigest() != theirs.hexdigest():
            wrong.append(seed)

    threads = [threading.Thread(target=stream, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@given(cuts=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3000)), max_size=60))
def test_pieces_that_are_held_keep_their_order(cuts: list[tuple[int, int]]) -> None:
    together = Hashing()
    ours: list[Hasher] = [together.begin("sha256") for _ in range(4)]
    theirs = [hashlib.sha256() for _ in range(4)]
    for number, (lane, size) in enumerate(cuts):
        data = bytes([number % 256]) * size
        ours[lane].update(data)
        theirs[lane].update(data)
    assert [each.hexdigest() for each in ours] == [each.hexdigest() for each in theirs]
    assert [each.hexdigest() for each in ours] == [each.hexdigest() for each in theirs], "asked twice"


def test_a_stream_that_is_given_up_holds_nothing_and_stops_nobody() -> None:
    together = Hashing()
    given_up, other = together.begin("sha256"), together.begin("sha256")
    given_up.update(bytes(1000))
    given_up.close()
    other.update(b"abc")
    assert other.hexdigest() == hashlib.sha256(b"abc").hexdigest()
    assert not together._together._streams
    given_up.close()


def test_what_is_held_of_a_stream_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes, less than the bound is held when `update` returns."""
    monkeypatch.setattr(hashing, "_HELD", 10_000)
    together = Hashing()
    one, other = together.begin("sha256"), together.begin("sha256")
    for number in range(200):
        one.update(bytes([number]) * 999)
        other.update(bytes([number]) * 5001)
        held = [each.size for each in together._together._streams.values()]
        assert all(size < 10_000 for size in held), held


def test_a_buffer_that_a_reader_uses_again_is_hashed_before() -> None:
    """`readinto` hands over bytes that change with the next call."""
    told: list[Digest] = []
    data = random.Random(1).randbytes(500_000)
    stream = HashingStream(io.BytesIO(data), "sha256", lambda digest, _: told.append(digest), hashing=Hashing())
    buffer = bytearray(10_000)
    assert len(stream.read(4000)) == 4000
    while stream.readinto(buffer):
        pass
    assert [each.hex for each in told] == [hashlib.sha256(data).hexdigest()]
