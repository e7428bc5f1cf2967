"""SHA-256 of several streams at once is SHA-256: FIPS 180-4's own examples, and OpenSSL through hashlib."""

from __future__ import annotations

import hashlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert._native import _lanes

pytestmark = pytest.mark.skipif(_lanes.LANES == 0, reason="this processor has no SHA instructions")

#: NIST's example values for SHA-256.
EXAMPLES = {
    b"": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": (
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    b"a" * 1_000_000: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
}

#: Lengths round the ends of a block, where padding needs one more, and beyond.
SIZES = st.one_of(st.integers(0, 200), st.sampled_from([55, 56, 63, 64, 65, 119, 120, 127, 128, 4096, 5000]))


@pytest.mark.parametrize("lanes", range(1, _lanes.LANES + 1))
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(len(example)))
def test_published_examples_come_out_of_every_lane(example: bytes, lanes: int) -> None:
    hashers = [_lanes.Sha256() for _ in range(lanes)]
    assert _lanes.update(hashers, [example] * lanes) == len(example)
    assert [hasher.digest().hex() for hasher in hashers] == [EXAMPLES[example]] * lanes


@given(data=st.data(), lanes=st.integers(1, max(1, _lanes.LANES)))
def test_digests_are_those_of_hashlib_however_streams_are_cut_and_put_together(data: st.DataObject, lanes: int) -> None:
    """A digest that was asked for does not end its stream, and no lane sees another's bytes."""
    ours = [_lanes.Sha256() for _ in range(lanes)]
    theirs = [hashlib.sha256() for _ in range(lanes)]
    for step in range(data.draw(st.integers(0, 5))):
        chosen = data.draw(st.lists(st.integers(0, lanes - 1), min_size=1, max_size=lanes, unique=True))
        parts = [bytes((step * 7 + lane * 31 + at) % 256 for at in range(data.draw(SIZES))) for lane in chosen]
        taken = _lanes.update([ours[lane] for lane in chosen], parts)
        assert taken == min(len(part) for part in parts)
        for lane, part in zip(chosen, parts, strict=True):
            theirs[lane].update(part[:taken])
        assert [each.digest() for each in ours] == [each.digest() for each in theirs]


def test_what_cannot_be_done_is_refused_and_leaves_the_stream_as_it_was() -> None:
    one = _lanes.Sha256()
    _lanes.update([one], [b"abc"])
    with pytest.raises(ValueError, match="one buffer a stream"):
        _lanes.update([], [])
    with pytest.raises(ValueError, match="one buffer a stream"):
        _lanes.update([one], [])
    with pytest.raises(ValueError, match="one buffer a stream"):
        _lanes.update([_lanes.Sha256() for _ in range(_lanes.LANES + 1)], [b"x"] * (_lanes.LANES + 1))
    with pytest.raises(RuntimeError, match="in use"):
        _lanes.update([one, one], [b"x", b"y"])
    with pytest.raises(TypeError):
        _lanes.update([one, hashlib.sha256()], [b"x", b"y"])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        _lanes.update([one], ["text"])  # type: ignore[list-item]
    with pytest.raises(BufferError):
        _lanes.update([one], [memoryview(b"abcd")[::2]])
    assert one.digest().hex() == EXAMPLES[b"abc"]


def test_a_stream_used_by_two_threads_at_once_raises_and_nothing_else() -> None:
    shared = _lanes.Sha256()
    data = bytes(1 << 20)
    seen: list[str] = []
    taken: list[int] = []

    def work() -> None:
        for _ in range(20):
            try:
                taken.append(_lanes.update([shared], [data]))
            except RuntimeError as error:
                seen.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) <= {"the object is in use by another thread"}
    assert shared.digest() == hashlib.sha256(bytes(sum(taken))).digest()
