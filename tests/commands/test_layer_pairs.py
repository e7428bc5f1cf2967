"""`diff` compares each pair of layers once, and limits what it reads again."""

import dataclasses
import io
import tarfile
from hashlib import sha256

import pytest

from convert.archive.blob import MemoryBlob
from convert.commands.diff import layer_pairs
from convert.commands.diff.layer_pairs import LayerPairs
from convert.errors import InputError, UnsafeInputError
from convert.layer import repeats
from convert.layer.context import ReadContext
from convert.model.digest import Digest
from convert.model.image import Layer


@dataclasses.dataclass(frozen=True, eq=False)
class Counted(MemoryBlob):
    """Bytes that are read once more with each `open`."""

    opened: list[int] = dataclasses.field(default_factory=list)

    def open(self):
        self.opened.append(1)
        return super().open()


def layer(*names, digest=None):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    data = raw.getvalue()
    return Layer(Digest.parse(f"sha256:{digest or sha256(data).hexdigest()}"), Counted(data, "layer"))


@pytest.fixture
def pairs():
    return LayerPairs((ReadContext(), ReadContext()))


def readings(*layers):
    """Return how many times layers were read: each is opened twice, to find its compression and to read it."""
    return [len(each.blob.opened) / 2 for each in layers]


def test_a_pair_is_compared_once(pairs):
    a, b = layer("x", "y"), layer("y", "z")
    first = list(pairs.files(a, b))
    assert [found.path for found in first] == ["x", "z"]
    assert list(pairs.files(a, b)) == first
    assert not pairs.alike(a, b)
    assert not pairs.alike(a, b)
    assert readings(a, b) == [2, 2]


def test_a_long_result_is_found_again(pairs, monkeypatch):
    monkeypatch.setattr(layer_pairs, "MAX_KEPT_DIFFERENCES_SIZE", 0)
    again = LayerPairs((ReadContext(), ReadContext()))
    a, b = layer("x"), layer("y")
    assert list(again.files(a, b)) == list(again.files(a, b))
    assert readings(a, b) == [2, 2]


def test_what_is_read_again_is_limited(monkeypatch):
    """A layer that is compared with many others is read again for each, until the limit."""
    monkeypatch.setattr(repeats, "MAX_REPEATED_SIZE", 10240)
    monkeypatch.setattr(repeats, "MAX_REPEATS", 1)
    made = LayerPairs((ReadContext(), ReadContext()))
    a, *others = layer("x"), layer("y"), layer("z")
    # The limit and one repetition of each of three layers, all of 10,240 bytes.
    for b in others:
        list(made.files(a, b))
    wrong = layer("x", digest="0" * 64)
    with pytest.raises(InputError):
        list(made.files(None, wrong))
    for _ in range(5):
        with pytest.raises(InputError) as raised:
            list(made.files(None, wrong))
    assert isinstance(raised.value, UnsafeInputError)
    assert readings(a, wrong) == [2, 5]


def test_a_large_layer_may_be_shared_by_more_images(monkeypatch):
    """A base of fifty images in both archives; the layers here have 10,240 bytes."""
    monkeypatch.setattr(repeats, "MAX_REPEATED_SIZE", 0)
    monkeypatch.setattr(repeats, "MAX_REPEATS", 1)
    monkeypatch.setattr(repeats, "MAX_LARGE_REPEATS", 4)
    for least, times in ((10_241, 2), (10_240, 5)):
        monkeypatch.setattr(repeats, "LARGE_LAYER", least)
        made, a = LayerPairs((ReadContext(), ReadContext())), layer("x")
        monkeypatch.setattr(made, "_room", 0)  # so that nothing is kept
        for _ in range(times):
            list(made.files(None, a))
        with pytest.raises(UnsafeInputError):
            list(made.files(None, a))


def test_what_is_found_again_is_limited(monkeypatch):
    monkeypatch.setattr(repeats, "MAX_REPEATED_SIZE", 5000)
    monkeypatch.setattr(repeats, "MAX_REPEATS", 0)
    made = LayerPairs((ReadContext(), ReadContext()))
    a = layer("x", "y")
    for _ in range(3):
        assert len(list(made.files(a, None))) == 2
    with pytest.raises(UnsafeInputError):
        list(made.files(a, None))
