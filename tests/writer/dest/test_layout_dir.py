"""Folder output: new, filled, replaced, appended to; never half there."""

import io
import json
import os
import resource
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from convert.archive import copy, folders
from convert.archive.blob import SliceBlob
from convert.archive.tar_writer import Item
from convert.errors import DestinationExistsError, DigestMismatchError, StorageError, UsageError
from convert.layer.context import ReadContext
from convert.layer.pool import Pool
from convert.model.digest import Digest
from convert.writer.dest.layout_dir import LayoutDir
from convert.writer.dest.staging import Staging


class Data:
    """A content in memory."""

    fixed = verified = False
    size_hint = None

    def __init__(self, data, *, wrong=False):
        self.size = len(data)
        self._data = data
        self._wrong = wrong

    def open(self):
        if self._wrong:
            raise DigestMismatchError("not what it should be")
        return io.BytesIO(self._data)

    def extent(self):
        return None


def fill(out, *blobs):
    for data in blobs:
        out.put(Digest.of(data), data)
    out.add_document("index.json", b'{"n":%d}' % len(blobs))
    out.add_document("oci-layout", b"{}")


def make(path, *blobs, **options):
    with LayoutDir(str(path), **options) as out:
        fill(out, *blobs)
        out.commit()


def tree(path):
    return {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}


def layout(*blobs):
    return {
        "oci-layout": b"{}",
        "index.json": b'{"n":%d}' % len(blobs),
        **{f"blobs/sha256/{Digest.of(data).hex}": data for data in blobs},
    }


@pytest.fixture(params=["system", "fallback"])
def way(request, monkeypatch):
    """With the system's own renames, and as on a system without them."""
    if request.param == "fallback":
        monkeypatch.setattr(folders, "_rename_flags", lambda *_, **__: False)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "layout"


def only(tmp_path):
    return sorted(os.listdir(tmp_path))


def test_a_new_folder_appears_whole(tmp_path, path, way):
    with LayoutDir(str(path)) as out:
        fill(out, b"one", b"two")
        assert not path.exists()
        out.commit()
    assert tree(path) == layout(b"one", b"two")
    assert only(tmp_path) == ["layout"]


def items(*blobs):
    """The members of a layout, as a writer yields them."""
    names = {f"blobs/sha256/{Digest.of(data).hex}": Data(data) for data in blobs}
    return [
        Item("blobs", "dir"),
        Item("blobs/sha256", "dir"),
        *(Item(name, content=content) for name, content in sorted(names.items())),
        Item("index.json", content=b'{"n":%d}' % len(blobs)),
        Item("oci-layout", content=b"{}"),
    ]


@pytest.mark.parametrize("before", ["nothing", "empty folder", "layout"])
def test_members_of_an_archive_become_files_and_other_staged_blobs_go(path, before):
    if before != "nothing":
        path.mkdir()
    if before == "layout":
        path.rmdir()
        make(path, b"old")
    with LayoutDir(str(path), force=True) as out, Pool(2) as pool:
        out.put(Digest.of(b"not wanted"), b"not wanted")
        checked = []
        out.write(items(b"one", b"two"), pool, before_end=lambda: checked.append(path.exists()))
        out.commit()
    assert checked == [before != "nothing"]
    assert tree(path) == layout(b"one", b"two")


def test_append_verifies_what_is_there_and_replaces_what_is_wrong(path):
    """A blob that is right is not written again; one with other bytes of that size is."""
    make(path, b"good", b"junk")
    good = (path / f"blobs/sha256/{Digest.of(b'good').hex}").stat().st_ino
    (path / f"blobs/sha256/{Digest.of(b'junk').hex}").write_bytes(b"JUNK")
    with LayoutDir(str(path), append=True) as out, Pool(2) as pool:
        assert out.open_existing(ReadContext()) is not None
        out.write(items(b"good", b"junk"), pool)
        assert list(out.staging.blobs) == [Digest.of(b"junk")]
        out.commit()
    assert tree(path) == layout(b"good", b"junk")
    inode = (path / f"blobs/sha256/{Digest.of(b'good').hex}").stat().st_ino
    assert inode == good


def test_append_reports_a_source_that_is_wrong_although_its_blob_is_there(path):
    make(path, b"good")
    wrong = Item(f"blobs/sha256/{Digest.of(b'good').hex}", content=Data(b"good", wrong=True))
    with LayoutDir(str(path), append=True) as out, Pool(2) as pool:
        out.open_existing(ReadContext())
        with pytest.raises(DigestMismatchError):
            out.write([wrong], pool)
    assert tree(path) == layout(b"good")


def test_a_layout_without_blobs_still_has_their_folder(path):
    make(path)
    assert sorted(os.listdir(path)) == ["blobs", "index.json", "oci-layout"]


def test_without_commit_nothing_stays(tmp_path, path):
    with LayoutDir(str(path)) as out:
        fill(out, b"one")
        out.staging.new_blob().write(b"half")
        out.staging.new_blob().write(bytes(1 << 17))
    assert only(tmp_path) == []


def test_an_empty_folder_is_filled_index_last(path, monkeypatch, way):
    path.mkdir()
    path.chmod(0o750)
    inode = path.stat().st_ino
    moved = []
    real = folders.rename_new
    monkeypatch.setattr(folders, "rename_new", lambda *names: (moved.append(names[3]), real(*names)))
    make(path, b"one")
    assert moved == ["blobs", "oci-layout", "index.json"]
    assert tree(path) == layout(b"one")
    assert (path.stat().st_ino, path.stat().st_mode & 0o7777) == (inode, 0o750)


def test_an_empty_folder_stays_empty_on_failure(path):
    path.mkdir()
    with pytest.raises(DigestMismatchError), LayoutDir(str(path)) as out:
        out.put(Digest.of(b"x"), Data(b"x", wrong=True))
    assert os.listdir(path) == []


def test_what_exists_is_kept(tmp_path, path):
    make(path, b"old")
    with pytest.raises(DestinationExistsError, match="--force replaces a layout"):
        LayoutDir(str(path))
    (tmp_path / "file").touch()
    with pytest.raises(DestinationExistsError, match="not a folder"):
        LayoutDir(str(tmp_path / "file"), force=True)
    (tmp_path / "dangling").symlink_to("nowhere/at/all")
    with pytest.raises(DestinationExistsError, match="symbolic link"):
        LayoutDir(str(tmp_path / "dangling"))
    assert only(tmp_path) == ["dangling", "file", "layout"]
    assert tree(path) == layout(b"old")


@pytest.mark.parametrize("options", [{}, {"force": True}, {"append": True}])
def test_a_folder_that_is_no_layout_is_never_touched(tmp_path, path, options):
    path.mkdir()
    (path / "thesis.txt").touch()
    with pytest.raises(DestinationExistsError, match="something else than an image layout"):
        LayoutDir(str(path), **options)
    assert os.listdir(path) == ["thesis.txt"]


def test_force_replaces_a_layout_whole(tmp_path, path, way):
    make(path, b"old")
    make(path, b"new", force=True)
    assert tree(path) == layout(b"new")
    assert only(tmp_path) == ["layout"]


def test_a_failed_force_keeps_the_old(tmp_path, path):
    make(path, b"old")
    with pytest.raises(DigestMismatchError), LayoutDir(str(path), force=True) as out:
        out.put(Digest.of(b"x"), Data(b"x", wrong=True))
    assert tree(path) == layout(b"old")
    assert only(tmp_path) == ["layout"]


def test_a_rename_that_fails_brings_the_old_back(tmp_path, path, monkeypatch):
    monkeypatch.setattr(folders, "_rename_flags", lambda *_, **__: False)
    make(path, b"old")
    real = folders.rename_new
    calls = []

    def rename(*names):
        if not calls:
            calls.append(names)
            raise OSError(5, "Input/output error")
        real(*names)

    with LayoutDir(str(path), force=True) as out:
        fill(out, b"new")
        monkeypatch.setattr(folders, "rename_new", rename)
        with pytest.raises(StorageError, match="Input/output error"):
            out.commit()
    assert tree(path) == layout(b"old")
    assert only(tmp_path) == ["layout"]


def test_append_adds_blobs_before_the_index(path, monkeypatch):
    make(path, b"old")
    (path / "blobs" / "other-tool").touch()
    seen = []
    real = os.replace

    def replace(*names, **where):
        real(*names, **where)
        seen.append(tree(path).get("index.json"))

    monkeypatch.setattr(os, "replace", replace)
    with LayoutDir(str(path), append=True) as out:
        existing = out.open_existing(ReadContext())
        assert existing.has_blob(Digest.of(b"old"), 3)
        assert not existing.has_blob(Digest.of(b"old"), 4)
        assert not existing.has_blob(Digest.of(b"new"), 3)
        fill(out, b"new", b"newer")
        out.commit()
    one, two = b'{"n":1}', b'{"n":2}'
    assert seen == [one, one, one, two]  # two blobs and oci-layout under the old index
    assert tree(path) == {**layout(b"old"), **layout(b"new", b"newer"), "blobs/other-tool": b""}


def test_append_begins_a_layout_where_none_is(path):
    make(path, b"one", append=True)
    assert tree(path) == layout(b"one")
    with LayoutDir(str(path) + "2", append=True) as out:
        assert out.open_existing(ReadContext()) is None


def test_two_appends_at_once_never_mix(path):
    make(path, b"old")
    with LayoutDir(str(path), append=True), pytest.raises(UsageError, match="another imgconv is writing"):
        LayoutDir(str(path), append=True)
    make(path, b"new", append=True)


def test_two_runs_for_one_new_folder_never_mix(tmp_path, path, way):
    with LayoutDir(str(path)) as one, LayoutDir(str(path)) as two:
        fill(one, b"one")
        fill(two, b"two")
        one.commit()
        with pytest.raises(DestinationExistsError):
            two.commit()
    assert tree(path) == layout(b"one")
    assert only(tmp_path) == ["layout"]


def test_source_and_destination_are_apart(tmp_path, path):
    make(path, b"old")
    (path / "x.tar").touch()
    with pytest.raises(UsageError, match="is the source, or is inside it"):
        LayoutDir(str(path / "new"), sources=[str(path)])
    with pytest.raises(UsageError, match="source is inside the destination"):
        LayoutDir(str(path), sources=[str(path / "x.tar")], force=True)
    with LayoutDir(str(path) + "-2", sources=[str(path)]):
        pass


def test_the_same_blob_from_many_threads_is_kept_once(path):
    with LayoutDir(str(path)) as out:
        with ThreadPoolExecutor(4) as pool:
            for data in [b"one", b"two"] * 20:
                pool.submit(out.put, Digest.of(data), Data(data))
        fill(out)
        out.commit()
    assert tree(path) == {**layout(b"one", b"two"), "index.json": b'{"n":0}'}


@pytest.mark.parametrize("sizes", [[], [65536], [65537], [65535, 1], [65535, 2, 1], [1, 200_000, 1]])
def test_a_blob_of_any_size_is_written_whole(path, sizes):
    """Small ones are kept in memory until they are finished."""
    data = [bytes([number]) * size for number, size in enumerate(sizes)]
    with LayoutDir(str(path)) as out:
        writer = out.staging.new_blob()
        for part in data:
            writer.write(part)
        blob = writer.finish(Digest.of(b"".join(data)))
        with blob.open() as stream:
            assert stream.read() == b"".join(data)


def test_a_small_blob_that_is_there_gets_no_file(path, monkeypatch):
    made = []
    real = Staging.new_file
    monkeypatch.setattr(Staging, "new_file", lambda staging: made.append(real(staging)) or made[-1])
    with LayoutDir(str(path)) as out:
        for _ in range(3):
            writer = out.staging.new_blob()
            writer.write(b"one")
            assert writer.finish(Digest.of(b"one")) is out.staging.blobs[Digest.of(b"one")]
    assert len(made) == 1


def test_blobs_are_named_when_their_digest_is_known(path):
    with LayoutDir(str(path)) as out:
        writer = out.staging.new_blob()
        for part in (b"on", memoryview(b"e")):
            writer.write(part)
        blob = writer.finish(Digest.of(b"one"))
        writer.abort()
        with blob.open() as stream:
            assert stream.read() == b"one"
        assert blob.size == 3
        fill(out)
        out.commit()
    assert f"blobs/sha256/{Digest.of(b'one').hex}" in tree(path)


@pytest.mark.parametrize("fixed", [True, False])
def test_a_whole_file_is_cloned_where_the_file_system_can(tmp_path, path, monkeypatch, fixed):
    """It is the clone that is read and verified: the source may have changed before it was cloned."""
    source = tmp_path / "source"
    source.write_bytes(b"data" * 1000)

    copies = []

    class Whole(Data):
        def open_copy(self, copy):
            with copy:
                copies.append(copy.read())
            return super().open()

        def extent(self):
            return SliceBlob(file.fileno(), 0, 4000, "m", "f").extent()

    def clone(extent, fd):  # what FICLONE does, on a file system that cannot
        os.pwrite(fd, os.pread(extent.fd, extent.size, 0), 0)
        return True

    monkeypatch.setattr("convert.writer.dest.staging.clone", clone)
    with source.open("rb") as file, LayoutDir(str(path)) as out:
        content = Whole(b"data" * 1000)
        content.fixed = fixed
        progress = []
        out.put(Digest.of(b"data" * 1000), content, progress.append)
        fill(out)
        out.commit()
    assert copies == ([] if fixed else [b"data" * 1000])
    assert progress == [4000]
    assert tree(path)[f"blobs/sha256/{Digest.of(b'data' * 1000).hex}"] == b"data" * 1000


def test_clone_says_no_to_a_part_of_a_file_and_to_file_systems_that_cannot(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 8192)
    with path.open("rb") as file, (tmp_path / "b").open("wb+") as target:
        assert not copy.clone(SliceBlob(file.fileno(), 4096, 4096, "m", "f").extent(), target.fileno())
        assert not copy.clone(SliceBlob(file.fileno(), 0, 4096, "m", "f").extent(), target.fileno())
        if copy.clone(SliceBlob(file.fileno(), 0, 8192, "m", "f").extent(), target.fileno()):
            assert target.read() == b"x" * 8192  # btrfs, xfs
        else:
            assert target.read() == b""


@contextmanager
def file_size_limit(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("limit", range(0, 100, 9))
@pytest.mark.parametrize("options", [{}, {"force": True}, {"append": True}])
def test_a_full_disk_leaves_what_was(tmp_path, path, options, limit):
    if options:
        make(path, b"old")
    before = tree(path)
    with file_size_limit(limit), pytest.raises(StorageError, match="writing: File too large"):
        make(path, b"x" * 100, b"y", **options)
    assert tree(path) == before
    assert only(tmp_path) == (["layout"] if options else [])


def test_a_failed_sync_leaves_what_was(tmp_path, path, monkeypatch):
    def fail(_):
        raise OSError(5, "Input/output error")

    with LayoutDir(str(path)) as out:
        fill(out, b"one")
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(StorageError, match="Input/output error"):
            out.commit()
    assert only(tmp_path) == []


@pytest.mark.parametrize("release", ["6.18.44-x", "5.7.0", "odd"])
def test_many_blobs_are_synced_together_where_errors_would_be_seen(path, monkeypatch, release):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_size), real(fd)))
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release=release))
    blobs = [b"%d" % number * 77 for number in range(20)]
    make(path, *blobs)
    together = sys.platform == "linux" and release.startswith("6")
    assert (synced.count(77) + synced.count(154) == 20) != together
    assert tree(path) == layout(*blobs)


def test_a_kill_between_two_renames_leaves_the_old_layout_and_no_later_run_removes_it(tmp_path, path, monkeypatch):
    """On a system without an exchange of names."""
    make(path, b"old")
    monkeypatch.setattr(folders, "_rename_flags", lambda *_, **__: False)
    rename_new = folders.rename_new

    def dying(*arguments):
        if not path.exists():
            os._exit(9)
        rename_new(*arguments)

    child = os.fork()
    if not child:  # dies where the new layout would get its name
        try:
            monkeypatch.setattr(folders, "rename_new", dying)
            make(path, b"new", force=True)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert not path.exists()
    make(path, b"newer")
    (left,) = (name for name in only(tmp_path) if name != "layout")
    assert tree(tmp_path / left) == layout(b"old")


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
def test_a_document_that_cannot_be_read_is_not_called_damaged(path, name, monkeypatch):
    make(path, b"old")
    real = os.open

    def failing(opened, *arguments, **options):
        if opened == name:
            raise OSError(5, "Input/output error")
        return real(opened, *arguments, **options)

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(StorageError, match="Input/output error"):
        LayoutDir(str(path), force=True)


@pytest.mark.parametrize("name", ["../precious", "precious", ".", "blobs/../../precious"])
def test_a_forged_journal_moves_nothing_but_parts_of_a_layout(tmp_path, path, name):
    """Somebody else wrote the temporary folder that is found in an empty destination."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    stale = path / ".imgconv-1-0123456789abcdef.tmp"
    stale.mkdir(parents=True)
    (stale / ".imgconv-temporary").touch()
    status = precious.stat()
    (stale / "journal.json").write_text(json.dumps([[name, status.st_dev, status.st_ino], ["none", 1, 1]]))
    make(path, b"one")
    assert (precious / "file").exists()
    assert tree(path) == layout(b"one")
