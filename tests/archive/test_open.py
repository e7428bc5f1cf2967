"""SOURCE as the user spells it, and what it may be."""

import bz2
import gzip
import io
import lzma
import os
import sys
import threading
from pathlib import Path

import pytest
import zstandard

from convert.archive import streams
from convert.archive.blob import MemoryBlob
from convert.archive.open import open_source, open_whole_tar
from convert.errors import (
    FormatError,
    ImgconvError,
    StorageError,
    TruncatedError,
    UnknownFormatError,
    UnsafeInputError,
    UsageError,
)

sys.path.insert(0, str(Path(__file__).parent))
from tars import END, member

BIG = bytes(range(256)) * 1000
TAR = member(b"a", b"small") + member(b"b", BIG) + END
WRAPPERS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.fixture
def tar(tmp_path):
    path = tmp_path / "t.tar"
    path.write_bytes(TAR)
    return path


def check(source):
    assert source.tree.read("a") == b"small"
    assert source.tree.read("b") == BIG
    extent = source.tree.find("b").extent()
    assert os.pread(extent.fd, extent.size, extent.offset) == BIG
    source.tree.check_unchanged()


def test_a_file(tar):
    with open_source(str(tar)) as source:
        check(source)
        assert (source.spelling, source.reference_text, source.compression, source.path) == ("", "", "", str(tar))


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_compressed_file_whatever_its_name(tmp_path, wrapper):
    path = tmp_path / "image.tar"
    path.write_bytes(WRAPPERS[wrapper](TAR))
    with open_source(str(path), spool_folder=str(tmp_path)) as source:
        assert source.compression == wrapper
        check(source)
        assert os.listdir(tmp_path) == ["image.tar"]


def test_two_wrappers_are_peeled_and_three_refused(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(gzip.compress(lzma.compress(TAR)))
    with open_source(str(path)) as source:
        assert source.compression == "gzip+xz"
        check(source)
    path.write_bytes(gzip.compress(gzip.compress(gzip.compress(TAR))))
    with pytest.raises(UnsafeInputError, match="more than 2 times"):
        open_source(str(path))


def test_a_fifo_is_read_as_a_stream(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(TAR,))
    writer.start()
    with open_source(str(path)) as source:
        check(source)
    writer.join()


def test_standard_input_as_file_pipe_and_stream(tar):
    with tar.open("rb") as stdin:
        with open_source("-", stdin=stdin) as source:
            check(source)
        stdin.seek(0)  # what was opened was a duplicate
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stdin, os.fdopen(writing, "wb") as out:
        writer = threading.Thread(target=lambda: (out.write(TAR), out.close()))
        writer.start()
        with open_source("-", stdin=stdin) as source:
            check(source)
            assert source.path == "-"
        writer.join()
    with open_source("-", stdin=io.BytesIO(gzip.compress(TAR))) as source:
        check(source)


def test_standard_input_is_read_from_where_it_stands(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(b"#!prefix" + TAR)
    with path.open("rb", buffering=0) as stdin:
        stdin.seek(8)
        with open_source("-", stdin=stdin) as source:
            check(source)


def test_a_terminal_is_no_source():
    pty = pytest.importorskip("pty")
    main, terminal = pty.openpty()
    with os.fdopen(main), os.fdopen(terminal) as stdin, pytest.raises(UsageError, match="terminal"):
        open_source("-", stdin=stdin)


@pytest.mark.parametrize(
    ("spelling", "kind", "reference"),
    [
        ("docker-archive:{}", "docker-archive", ""),
        ("docker-archive:{}:busybox:1", "docker-archive", "busybox:1"),
        ("docker-archive:{}:docker.io/library/busybox:1", "docker-archive", "docker.io/library/busybox:1"),
        ("oci-archive:{}:tag", "oci-archive", "tag"),
        ("oci:{}:tag", "oci", "tag"),
    ],
)
def test_skopeo_spellings(tar, spelling, kind, reference):
    with open_source(spelling.format(tar)) as source:
        assert (source.spelling, source.reference_text, source.path) == (kind, reference, str(tar))
        check(source)


def test_a_path_that_exists_wins_over_a_spelling(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("oci:x").write_bytes(TAR)
    Path("y:tag").write_bytes(TAR)
    with open_source("oci:x") as source:
        assert (source.spelling, source.path) == ("", "oci:x")
    with open_source("oci:y:tag") as source:
        assert (source.spelling, source.path, source.reference_text) == ("oci", "y:tag", "")


def test_what_does_not_exist_is_said_with_a_hint_for_image_names(tmp_path):
    with pytest.raises(StorageError) as caught:
        open_source("busybox:1.36")
    assert str(caught.value) == (
        "busybox:1.36: no such file or folder "
        "(for an image of a local engine: docker save busybox:1.36 | imgconv - ...)"
    )
    for without in (str(tmp_path / "x.tar"), "oci:nothing:1", "docker-archive:nothing"):
        with pytest.raises(StorageError) as caught:
            open_source(without)
        assert caught.value.hint is None


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("docker://alpine:3", "registries are not read; fetch it first: crane pull alpine:3 image.tar"),
        ("docker-daemon:a:1", "for an image of a local engine: docker save a:1 | imgconv - ..."),
    ],
)
def test_skopeo_spellings_for_what_is_no_archive_get_the_way_to_one(text, hint):
    with pytest.raises(StorageError) as caught:
        open_source(text)
    assert caught.value.hint == hint


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_devices_are_refused(path):
    with pytest.raises(UnsafeInputError, match="device"):
        open_source(path)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", UsageError, "SOURCE is empty"),
        ("a\0b", StorageError, "no such file"),
        ("n" * 5000, StorageError, "opening"),
    ],
)
def test_impossible_paths(text, error, words):
    with pytest.raises(error, match=words):
        open_source(text)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"PK\3\4" + bytes(1000), b"{}", gzip.compress(b"hello", mtime=0), gzip.compress(b"", mtime=0)],
)
def test_what_is_no_archive_is_one_line(tmp_path, data):
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(UnknownFormatError) as caught:
        open_source(str(path))
    assert str(caught.value).startswith(f"{path}: this is ")


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("cut", [10, 0.5, -1])
def test_truncated_wrappers_are_said(tmp_path, wrapper, cut):
    data = WRAPPERS[wrapper](TAR)
    path = tmp_path / "x"
    path.write_bytes(data[: int(len(data) * cut) if isinstance(cut, float) else cut])
    with pytest.raises(TruncatedError, match="ends too early"):
        open_source(str(path))


def test_a_truncated_tar_in_a_pipe_is_said():
    with pytest.raises(TruncatedError, match="b: truncated: ends inside this member"):
        open_source("-", stdin=io.BytesIO(TAR[:5000]))


def test_a_wrapper_that_grows_beyond_measure_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "ARCHIVE_RATIO_FREE_SIZE", 1 << 20)
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(member(b"z", bytes(5 << 20)) + END, 9))
    with pytest.raises(UnsafeInputError, match="expands more than 200 times"):
        open_source(str(path))
    monkeypatch.setattr(streams, "ARCHIVE_RATIO_FREE_SIZE", 8 << 20)
    with open_source(str(path)) as source:
        assert source.tree.find("z").size == 5 << 20


def test_a_wrapper_of_bzip2_has_limits_of_its_own(tmp_path, monkeypatch):
    """5 MB of it took 27 seconds to unpack to a gigabyte."""
    monkeypatch.setattr(streams, "ARCHIVE_RATIO_FREE_SIZE", 1 << 40)
    monkeypatch.setattr(streams, "BZIP2_RATIO_FREE_SIZE", 1 << 20)
    path, noise = tmp_path / "in", os.urandom(40_000)
    path.write_bytes(bz2.compress(member(b"z", noise + bytes(1 << 20)) + END))
    open_source(str(path)).close()
    path.write_bytes(bz2.compress(member(b"z", noise + bytes(5 << 20)) + END))
    with pytest.raises(UnsafeInputError, match="expands more than 50 times"):
        open_source(str(path))
    path.write_bytes(gzip.compress(member(b"z", bytes(5 << 20)) + END))
    open_source(str(path)).close()


class Hoard:
    """A keeper that takes members as they come."""

    def __init__(self):
        self.kept = []
        self.settled = False
        self.closed = False

    def keep(self, member, stream):
        data = stream.read(2)
        self.kept.append((member.name, member.size, data))
        return MemoryBlob(data, member.name)

    def settle(self):
        self.settled = len(self.kept)

    def close(self):
        self.closed = True


def test_a_keeper_sees_regular_members_and_may_leave_them_unread():
    keeper = Hoard()
    data = member(b"d", flag=b"5") + member(b"../x", b"no") + member(b"l", flag=b"2", link=b"a") + TAR
    with open_source("-", stdin=io.BytesIO(data), new_keeper=lambda: keeper) as source:
        assert keeper.kept == [("a", 5, b"sm"), ("b", len(BIG), b"\0\1")]
        assert source.tree.read("l") == b"sm"
        assert keeper.settled == len(keeper.kept)
        assert not keeper.closed
    assert keeper.closed


def test_a_keeper_is_closed_when_the_stream_is_bad():
    keeper = Hoard()
    with pytest.raises(FormatError):
        open_source("-", stdin=io.BytesIO(TAR[:-1024] + b"x" * 512), new_keeper=lambda: keeper)
    assert keeper.closed


def test_a_spool_that_cannot_be_made_is_said(tmp_path):
    with pytest.raises(StorageError, match="spooling it to a temporary file"):
        open_source("-", stdin=io.BytesIO(TAR), spool_folder=str(tmp_path / "nowhere"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc here")
@pytest.mark.parametrize("folder", [".", "nowhere"])
@pytest.mark.parametrize("cut", [0, 20, -2])
def test_a_whole_tar_that_is_not_spooled_leaves_no_descriptor(tmp_path, cut, folder):
    path = tmp_path / "t.gz"
    raw = gzip.compress(TAR)
    path.write_bytes(raw[: len(raw) - cut] if cut >= 0 else raw[:2])
    before = os.listdir("/proc/self/fd")
    if cut or folder == "nowhere":
        with pytest.raises(ImgconvError) as caught:
            open_whole_tar(str(path), spool_folder=str(tmp_path / folder))
        assert str(path) in str(caught.value)
        if not cut:
            assert isinstance(caught.value, StorageError)
            assert caught.value.code == "not-found"
    else:
        open_whole_tar(str(path), spool_folder=str(tmp_path / folder))[0].close()
    assert os.listdir("/proc/self/fd") == before


def test_a_whole_tar_is_spooled_for_copying(tmp_path):
    path = tmp_path / "t.gz"
    path.write_bytes(gzip.compress(TAR))
    tree, wrapper = open_whole_tar(str(path), spool_folder=str(tmp_path))
    with tree:
        assert wrapper == "gzip"
        assert os.pread(tree.fd, len(TAR) + 1, 0) == TAR
    with pytest.raises(UsageError, match="this is a folder"):
        open_whole_tar(str(tmp_path))
