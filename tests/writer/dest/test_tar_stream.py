"""A tar that goes to a stream: each member is verified before its header is sent."""

import errno
import io
import os
from pathlib import Path

import pytest
from tar_contents import Data, InFile, Lying, expected, streamed

from convert.archive.tar_writer import Item, header
from convert.errors import DigestMismatchError, StorageError
from convert.layer.pool import Pool
from convert.model.digest import Digest
from convert.writer.dest.tar_stream import TarStream
from convert.writer.destination import open_tar


@pytest.fixture
def pool():
    with Pool(3) as pool:
        yield pool


def test_each_member_is_verified_before_its_header(pool):
    """On failure the stream stops: no manifest.json, no end of the archive."""
    good = Item("layer1", content=Data(b"1" * 1000, size=1000))
    bad = Item("layer2", content=Data(b"2" * 1000, size=1000, wrong=True))
    out = io.BytesIO()
    with pytest.raises(DigestMismatchError), open_tar("-", stdout=out) as tar:
        tar.write([good, bad, Item("manifest.json", content=b"[]")], pool)
    assert out.getvalue() == expected([good])[:-1024]


def test_small_members_are_read_once_and_large_ones_before_and_while_they_are_sent(pool):
    large = bytes(3 << 20)
    items = [
        Item("small", content=Data(b"1")),
        Item("large", content=Data(large, size=len(large))),
        Item("verified before", content=Data(large, size=len(large), verified=True)),
        Item("cannot change", content=Data(large, size=len(large), fixed=True)),
    ]
    assert streamed(items, pool) == expected(items)
    assert [item.content.opened for item in items] == [1, 2, 1, 1]


@pytest.mark.parametrize("size", [5, 3 << 20])
def test_a_member_that_changes_after_it_was_verified_ends_the_stream(pool, size):
    """What is sent is verified while it is sent; only what was kept in memory cannot change."""

    class Changing(Data):
        def open(self):
            self.opened += 1
            return io.BytesIO(self.data) if self.opened == 1 else Lying(bytes(len(self.data)))

    items = [Item("layer", content=Changing(b"1" * size, size=size)), Item("manifest.json", content=b"[]")]
    out = io.BytesIO()
    if size == 5:
        assert streamed(items, pool) == expected(items)
        return
    with pytest.raises(DigestMismatchError), open_tar("-", stdout=out) as tar:
        tar.write(items, pool)
    assert out.getvalue() == header(items[0], size) + bytes(size)


def test_a_closed_pipe_is_passed_on(pool):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as out, pytest.raises(BrokenPipeError), open_tar("-", stdout=out) as tar:
        tar.write([Item("a", content=Data(b"1" * 100_000, size=100_000))] * 20, pool)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_device_is_said(pool):
    with pytest.raises(StorageError, match="No space left"), open_tar("/dev/full") as out:
        out.write([], pool)


@pytest.mark.parametrize("opening", [1, 2])
def test_an_error_of_reading_does_not_name_the_destination(pool, opening):
    """The first reading verifies a member, the second one sends it."""

    class Unreadable(Data):
        def open(self):
            if self.opened + 1 == opening:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().open()

    large = Unreadable(bytes(3 << 20), size=3 << 20)
    with pytest.raises(StorageError) as caught, open_tar("-", stdout=io.BytesIO()) as tar:
        tar.write([Item("layer", content=large)], pool)
    assert "reading layer" in str(caught.value)
    assert "writing" not in str(caught.value)
    assert caught.value.code == "too-many-open-files"


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="no sendfile here")
@pytest.mark.parametrize(("number", "words"), [(errno.EIO, "reading layer"), (errno.ENOSPC, "writing")])
def test_an_error_of_sendfile_names_its_side(pool, tmp_path, monkeypatch, number, words):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "sendfile", refuse)
    reading, writing = os.pipe()
    with (
        os.fdopen(reading, "rb"),
        os.fdopen(writing, "wb") as out,
        (tmp_path / "f").open("w+b") as file,
        pytest.raises(StorageError, match=words),
        open_tar("-", stdout=out) as tar,
    ):
        tar.write([Item("layer", content=InFile(file, b"1" * 5000))], pool)


@pytest.mark.parametrize("allowed", [0, 1, 2, 3])
def test_an_error_of_the_output_names_the_destination(pool, allowed):
    class Full(io.BytesIO):
        count = 0

        def write(self, data):
            if self.count == allowed:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.count += 1
            return super().write(data)

    with pytest.raises(StorageError, match="writing: ") as caught, open_tar("-", stdout=Full()) as tar:
        tar.write([Item("layer", content=Data(b"1" * 1000))], pool)
    assert caught.value.code == "disk-full"


def test_blobs_are_staged_out_of_the_way(pool, tmp_path):
    with open_tar("-", stdout=io.BytesIO(), spool_folder=str(tmp_path)) as tar:
        writer = tar.staging.new_blob()
        writer.write(b"blob")
        with writer.finish(Digest.of(b"blob")).open() as stream:
            assert stream.read() == b"blob"
    assert os.listdir(tmp_path) == []
    assert isinstance(tar, TarStream)
