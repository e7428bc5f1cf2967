"""Copies: large ones in steps, stopped ones at once, failing ones with a reason."""

import errno
import io
import os

import pytest

from convert.archive import copy
from convert.archive.blob import PreadStream, SliceBlob
from convert.archive.copy import Sink, Stopped, copy_content, copy_extent
from convert.errors import InputError, StorageError

SIZE = 20 << 20


class Content:
    """Zeros."""

    verified = fixed = False
    size = size_hint = SIZE

    def open(self):
        return io.BytesIO(bytes(SIZE))

    def extent(self):
        return None


@pytest.fixture
def target(tmp_path):
    fd = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(bytes(range(256)) * 16)
    with path.open("rb") as file:
        yield file.fileno()


def test_writing_back_begins_while_a_large_copy_runs(target, monkeypatch):
    begun = []
    monkeypatch.setattr(copy, "start_writeback", lambda _, offset, size: begun.append((offset, size)))
    assert copy_content(Content(), Sink(target, 1000)) == SIZE
    assert begun == [(1000, 8 << 20), (1000 + (8 << 20), 8 << 20)]
    assert os.fstat(target).st_size == 1000 + SIZE


def test_writing_back_is_only_a_wish(target, monkeypatch):
    copy.start_writeback(target, 0, 0)
    copy.start_writeback(-1, 0, 0)
    monkeypatch.setattr(copy, "_calls", {"sync_file_range": None})
    copy.start_writeback(target, 0, 0)


def test_a_stop_is_obeyed_within_a_chunk(target):
    asked = iter([False, True])
    sink = Sink(target, stopped=lambda: next(asked))
    with pytest.raises(Stopped):
        copy_content(Content(), sink)
    assert sink.count == 2 << 20


def test_what_has_no_room_is_counted_and_not_written(target):
    sink = Sink(target, 10, limit=5)
    for part in (b"123", b"456", b"789"):
        sink.write(part)
    assert sink.count == 9
    assert os.pread(target, 100, 10) == b"12345"


@pytest.mark.skipif(not hasattr(os, "copy_file_range"), reason="Linux only")
class TestInKernel:
    def test_a_source_that_ends_early_is_noticed(self, source, target):
        extent = SliceBlob(source, 1000, 50_000, "m", "f").extent()
        with pytest.raises(InputError, match="became shorter"):
            copy_extent(extent, Sink(target))

    def test_where_nothing_is_copied_reading_decides(self, source, target):
        assert not copy_extent(SliceBlob(source, 9000, 10, "m", "f").extent(), Sink(target))

    def test_a_full_disk_is_not_taken_for_a_kernel_that_cannot(self, source, target, monkeypatch):
        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "copy_file_range", full)
        with pytest.raises(OSError, match="No space left"):
            copy_extent(SliceBlob(source, 0, 10, "m", "f").extent(), Sink(target))


def test_a_read_that_fails_names_file_and_member(source, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    stream = PreadStream(source, 0, 100, where="a.tar", member="layer.tar")
    monkeypatch.setattr(os, "pread", fail)
    monkeypatch.setattr(os, "preadv", fail, raising=False)
    for read in (stream.read, lambda: stream.readinto(bytearray(10))):
        with pytest.raises(StorageError, match=r"a\.tar: reading layer\.tar: Input/output error"):
            read()


def test_reading_into_a_buffer_without_preadv(source, monkeypatch):
    monkeypatch.setattr("convert.archive.blob._HAS_PREADV", False)
    stream = PreadStream(source, 1, 3, where="f", member="m")
    buffer = bytearray(10)
    assert stream.readinto(buffer) == 3
    assert buffer[:3] == bytes([1, 2, 3])
    assert stream.readinto(buffer) == 0
