"""What a result relies on is read to its end before the result is complete: what a thin archive leaves out."""

import io
import os

import pytest
from tar_contents import Data, nothing_left

from convert.archive.tar_writer import Item
from convert.errors import DigestMismatchError
from convert.layer.pool import Pool
from convert.writer.dest.layout_dir import LayoutDir
from convert.writer.destination import open_tar

LAYER = b"1" * 5000


def items():
    return [Item("blobs/sha256/" + "0" * 64, content=Data(LAYER, size=len(LAYER))), Item("index.json", content=b"{}")]


def right():
    return Data(b"2" * 3000, size=3000)


def wrong():
    return Data(b"2" * 3000, size=3000, wrong=True)


@pytest.fixture(params=[open_tar, LayoutDir], ids=["tar", "layout"])
def open_output(request, monkeypatch):
    # The items are not a layout: only the order of writing counts here.
    monkeypatch.setattr(LayoutDir, "put", lambda _self, _digest, content, _progress: content.open().read())
    return request.param


@pytest.mark.parametrize("jobs", [1, 3])
def test_it_is_read_once(tmp_path, open_output, jobs):
    relied_on = [right(), right()]
    with Pool(jobs) as pool, open_output(str(tmp_path / "out")) as out:
        out.write(items(), pool, relies_on=relied_on, before_end=lambda: None)
        assert [each.opened for each in relied_on] == [1, 1]
        out.commit()
    assert (tmp_path / "out").exists()


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("made", [[wrong], [right, wrong], [wrong, wrong, right]], ids=range(3))
def test_nothing_is_left_where_it_is_wrong(tmp_path, open_output, made, jobs):
    called = []
    relied_on = [each() for each in made]
    with (
        nothing_left(tmp_path),
        pytest.raises(DigestMismatchError),
        Pool(jobs) as pool,
        open_output(str(tmp_path / "out")) as out,
    ):
        out.write(items(), pool, relies_on=relied_on, before_end=lambda: called.append(1))
    assert called == []


def test_the_rest_is_not_read_where_it_is_wrong(tmp_path):
    """The error ends the reading of other layers, of which there may be gigabytes."""
    pool = Pool(1)
    endless = Endless(pool.cancel)
    with pytest.raises(DigestMismatchError), pool, open_tar(str(tmp_path / "out")) as out:
        out.write(items(), pool, relies_on=[wrong(), endless])
    with pytest.raises(DigestMismatchError), Pool(2) as pool, open_tar(str(tmp_path / "out")) as out:
        out.write(items(), pool, relies_on=[Endless(pool.cancel), wrong()])
    assert os.listdir(tmp_path) == []


class Endless(Data):
    """A content that ends only when the run is cancelled."""

    def __init__(self, cancel):
        super().__init__(b"", size=1)
        self._cancel = cancel

    def open(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read(self, _size):
        self._cancel.check()
        return b"x"


def test_a_stream_begins_when_it_is_right():
    sent = io.BytesIO()
    with pytest.raises(DigestMismatchError), Pool(2) as pool, open_tar("-", stdout=sent) as out:
        out.write(items(), pool, relies_on=[right(), wrong()])
    assert sent.getvalue() == b""
    relied_on = [right(), right()]
    sent = io.BytesIO()
    with Pool(2) as pool, open_tar("-", stdout=sent) as out:
        out.write(items(), pool, relies_on=relied_on)
        out.commit()
    assert [each.opened for each in relied_on] == [1, 1]
    assert sent.getvalue()
