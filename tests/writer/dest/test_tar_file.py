"""A tar that is written to a file: right bytes whatever sizes are known beforehand, complete or not at all."""

import io
import os
import resource
import signal
import subprocess
import sys
import tarfile
import threading
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tar_contents import Data, InFile, expected, nothing_left, streamed, written

from convert.archive.tar_writer import END, Item, header
from convert.errors import DestinationExistsError, DigestMismatchError, InputError, StorageError, UsageError
from convert.layer.pool import Pool
from convert.writer.dest.tar_file import TarFile
from convert.writer.destination import open_tar


@pytest.fixture
def pool():
    with Pool(3) as executor:
        yield executor


KNOWLEDGE = st.sampled_from(["bytes", "size", "hint", "more", "less", "nothing"])


def item_of(number, length, knowledge):
    data = bytes([number]) * length
    known = {
        "bytes": lambda: data,
        "size": lambda: Data(data, size=length),
        "hint": lambda: Data(data, hint=length),
        "more": lambda: Data(data, hint=length + 700),
        "less": lambda: Data(data, hint=max(0, length - 700)),
        "nothing": lambda: Data(data),
    }
    return Item(f"m{number}", content=known[knowledge]())


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3000), KNOWLEDGE), max_size=6))
def test_the_bytes_do_not_depend_on_what_was_known(tmp_path, shape):
    """Known, guessed right, guessed wrong or unknown sizes, to a file or a stream: one archive."""
    items = [item_of(number, *each) for number, each in enumerate(shape)]
    items.append(Item("d", "dir", 0o755))
    wanted = expected(items)
    path = tmp_path / "t.tar"
    with Pool(2) as pool:
        assert written(path, items, pool) == wanted
        path.unlink()
        assert streamed(items, pool) == wanted


def test_python_reads_it(tmp_path, pool):
    items = [Item("a", content=b"x"), Item("l", "symlink", link="a"), Item("big", content=Data(bytes(3 << 20)))]
    with tarfile.open(fileobj=io.BytesIO(written(tmp_path / "t", items, pool))) as tar:
        assert [(m.name, m.size) for m in tar.getmembers()] == [("a", 1), ("l", 0), ("big", 3 << 20)]


def test_each_content_is_opened_once_for_a_file(tmp_path, pool):
    items = [
        Item("a", content=Data(b"1", size=1)),
        Item("b", content=Data(b"22", hint=2)),
        Item("c", content=Data(b"3")),
    ]
    written(tmp_path / "t", items, pool)
    assert [item.content.opened for item in items] == [1, 1, 1]


def test_proved_bytes_are_copied_in_the_kernel(tmp_path, pool):
    with (tmp_path / "source").open("wb+") as file:
        items = [Item("a", content=InFile(file, b"A" * 5000)), Item("b", content=InFile(file, b"B" * 70_000))]
        wanted = expected(items)
        progress = []
        assert written(tmp_path / "t", items, pool, progress.append) == wanted
        assert sum(progress) == 75_000
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as end, os.fdopen(writing, "wb") as out:
            got = []
            reader = threading.Thread(target=lambda: got.append(end.read()))
            reader.start()
            with open_tar("-", stdout=out) as tar:
                tar.write(items, pool)
            out.close()
            reader.join()
        assert got == [wanted]
        if hasattr(os, "copy_file_range"):
            assert [item.content.opened for item in items] == [0, 0]


@pytest.mark.parametrize("call", ["copy_file_range", "sendfile"])
def test_where_the_kernel_cannot_copy_bytes_are_read(tmp_path, pool, monkeypatch, call):
    monkeypatch.delattr(os, call, raising=False)
    with (tmp_path / "source").open("wb+") as file:
        items = [Item("a", content=InFile(file, b"A" * 5000))]
        assert written(tmp_path / "t", items, pool) == expected(items)
        with (tmp_path / "out").open("wb") as out, open_tar("-", stdout=out) as tar:
            tar.write(items, pool)
        assert (tmp_path / "out").read_bytes() == expected(items)


@pytest.mark.parametrize("errno_name", ["EXDEV", "EINVAL", "ENOSYS", "EOPNOTSUPP"])
def test_where_the_file_system_cannot_copy_bytes_are_read(tmp_path, pool, monkeypatch, errno_name):
    import errno

    def refuse(*_):
        raise OSError(getattr(errno, errno_name), "no")

    monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    with (tmp_path / "source").open("wb+") as file:
        items = [Item("a", content=InFile(file, b"A" * 5000))]
        assert written(tmp_path / "t", items, pool) == expected(items)


@pytest.mark.parametrize("known", [{"size": 6000}, {"hint": 6000}, {"hint": 50}, {}])
def test_a_content_that_proves_wrong_leaves_nothing(tmp_path, pool, known):
    items = [Item("a", content=Data(b"x" * 5000, size=5000)), Item("b", content=Data(b"y" * 6000, wrong=True, **known))]
    with nothing_left(tmp_path), pytest.raises(DigestMismatchError):
        written(tmp_path / "t", items, pool)


def test_a_size_that_was_announced_wrong_is_an_error(tmp_path, pool):
    for size in (3, 5):
        items = [Item("a", content=Data(b"1234", size=size))]
        with nothing_left(tmp_path), pytest.raises(InputError, match=f"a: it has 4 bytes where {size}"):
            written(tmp_path / "t", items, pool)
        with pytest.raises(InputError, match=f"a: it has 4 bytes where {size}"):
            streamed(items, pool)


class Growing(Data):
    """A content that is longer each time it is read."""

    def open(self):
        self.data += b"x" * 100
        return super().open()


def test_a_content_that_keeps_changing_is_an_error(tmp_path, pool):
    with nothing_left(tmp_path), pytest.raises(InputError, match="a: it changed while it was read"):
        written(tmp_path / "t", [Item("a", content=Growing(b"", hint=3))], pool)
    for start in (b"1" * (2 << 20), b"1" * (3 << 20)):  # too large to be kept in memory
        with pytest.raises(InputError, match="a: it changed while it was read"):
            streamed([Item("a", content=Growing(start))], pool)


def test_an_error_of_the_items_themselves_leaves_nothing(tmp_path, pool):
    def items():
        yield Item("a", content=Data(b"x" * 100_000, size=100_000))
        raise KeyboardInterrupt

    with nothing_left(tmp_path), pytest.raises(KeyboardInterrupt):
        written(tmp_path / "t", items(), pool)


def test_leaving_without_commit_leaves_nothing(tmp_path, pool):
    with nothing_left(tmp_path), open_tar(str(tmp_path / "t")) as out:
        out.write([Item("a", content=b"x")], pool)
        out.staging.new_blob().write(bytes(1 << 17))


def test_members_of_eight_gib_get_their_longer_header(tmp_path, pool):
    """Header first or last, by size, hint or neither (a sparse file stands for the bytes)."""

    class Vast(Data):
        """8 GiB that take no time."""

        def __init__(self, **known):
            super().__init__(b"", **known)

        def open(self):
            return _Zeros(8 << 30)

    class _Zeros(io.RawIOBase):
        def __init__(self, left):
            self.left = left

        def readinto(self, buffer):
            count = min(len(buffer), self.left)
            self.left -= count
            return count

    jump = 8 << 30
    wanted = header(Item("v"), jump)
    assert len(wanted) == 1536
    for known in ({"hint": jump}, {}):
        path = tmp_path / "t"
        with open_tar(str(path)) as out:
            # Writing 8 GiB for a header would be a waste: only the end is looked at.
            out._sink = lambda offset, room: _Skip(offset)
            out.write([Item("v", content=Vast(**known)), Item("next", content=b"n")], pool)
            out.commit()
        with path.open("rb") as file:
            assert file.read(1536) == wanted
            file.seek(1536 + jump)
            assert file.read(513) == header(Item("next"), 1) + b"n"
        path.unlink()


class _Skip:
    """A sink that counts."""

    def __init__(self, offset):
        self.fd, self.offset, self.count = -1, offset, 0

    def write(self, data):
        self.count += len(data)


class TestDestination:
    def test_what_exists_is_kept(self, tmp_path):
        path = tmp_path / "t"
        path.write_bytes(b"old")
        with nothing_left(tmp_path), pytest.raises(DestinationExistsError, match="exists already"):
            open_tar(str(path))

    def test_force_replaces_a_file_and_nothing_else(self, tmp_path, pool):
        path = tmp_path / "t"
        path.write_bytes(b"old")
        with open_tar(str(path), force=True) as out:
            out.write([], pool)
            assert path.read_bytes() == b"old"
            out.commit()
        assert path.read_bytes() == END
        with pytest.raises(DestinationExistsError, match="not a regular file"):
            open_tar(str(tmp_path), force=True)

    def test_a_failed_force_keeps_the_old(self, tmp_path, pool):
        path = tmp_path / "t"
        path.write_bytes(b"old")
        with nothing_left(tmp_path), pytest.raises(DigestMismatchError), open_tar(str(path), force=True) as out:
            out.write([Item("a", content=Data(b"x", size=1, wrong=True))], pool)
        assert path.read_bytes() == b"old"

    def test_what_came_meanwhile_is_not_replaced(self, tmp_path, pool):
        path = tmp_path / "t"
        with open_tar(str(path)) as out:
            out.write([], pool)
            path.write_bytes(b"other")
            with pytest.raises(DestinationExistsError):
                out.commit()
        assert path.read_bytes() == b"other"
        assert os.listdir(tmp_path) == ["t"]

    def test_a_symlink_is_replaced_with_force(self, tmp_path, pool):
        (tmp_path / "real").write_bytes(b"old")
        (tmp_path / "link").symlink_to("real")
        with open_tar(str(tmp_path / "link"), force=True) as out:
            out.write([], pool)
            out.commit()
        assert not (tmp_path / "link").is_symlink()
        assert (tmp_path / "link").read_bytes() == END
        assert (tmp_path / "real").read_bytes() == b"old"

    def test_the_mode_of_what_is_replaced_is_kept(self, tmp_path, pool):
        path = tmp_path / "t"
        path.write_bytes(b"old")
        path.chmod(0o640)
        with open_tar(str(path), force=True) as out:
            out.write([], pool)
            out.commit()
        assert path.stat().st_mode & 0o7777 == 0o640

    def test_a_new_file_has_the_usual_mode(self, tmp_path, pool):
        old = os.umask(0o027)
        try:
            written(tmp_path / "t", [], pool)
        finally:
            os.umask(old)
        assert (tmp_path / "t").stat().st_mode & 0o7777 == 0o640

    @pytest.mark.parametrize("where", ["src/t.tar", "src", "link/x"])
    def test_the_source_is_never_the_destination(self, tmp_path, where):
        (tmp_path / "src").mkdir()
        (tmp_path / "link").symlink_to("src")
        with pytest.raises(UsageError, match="is the source, or is inside it"):
            open_tar(str(tmp_path / where), sources=[str(tmp_path / "src")], force=True)

    def test_a_hard_link_to_the_source_is_the_source(self, tmp_path):
        (tmp_path / "a").write_bytes(b"x")
        (tmp_path / "b").hardlink_to(tmp_path / "a")
        with pytest.raises(UsageError, match="is the source"):
            open_tar(str(tmp_path / "b"), sources=[str(tmp_path / "a")], force=True)

    def test_a_missing_folder_is_said(self, tmp_path):
        with pytest.raises(StorageError, match="mkdir -p"):
            open_tar(str(tmp_path / "no" / "t"))
        with pytest.raises(UsageError, match="a file name is needed"):
            open_tar(str(tmp_path) + "/new/")

    def test_a_fifo_is_written_to_directly(self, tmp_path, pool):
        path = tmp_path / "fifo"
        os.mkfifo(path)
        got = []
        reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
        reader.start()
        with open_tar(str(path)) as out:
            out.write([Item("a", content=b"x")], pool)
            out.commit()
        reader.join()
        assert got == [expected([Item("a", content=b"x")])]

    def test_standard_output_by_its_path_stays_where_it_stands(self, tmp_path):
        """`>> file` with DEST /dev/stdout appends, as `-` does."""
        code = (
            "from convert.layer.pool import Pool as P\n"
            "from convert.writer.destination import open_tar\n"
            "with P(1) as p, open_tar({!r}) as out: out.write([], p); out.commit()\n"
        )
        for name in ("/dev/stdout", "/dev/fd/1", "-"):
            path = tmp_path / "x"
            path.write_bytes(b"begin")
            with path.open("ab") as stdout:
                subprocess.run([sys.executable, "-P", "-c", code.format(name)], stdout=stdout, check=True)
            assert path.read_bytes() == b"begin" + END

    def test_a_terminal_is_refused(self):
        pty = pytest.importorskip("pty")
        main, terminal = pty.openpty()
        with os.fdopen(main), os.fdopen(terminal), pytest.raises(UsageError, match="terminal"):
            open_tar(f"/dev/fd/{terminal}")


@contextmanager
def file_size_limit(size):
    """No file can grow beyond `size`: what a full disk is to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_is_full_at_any_byte_leaves_nothing(tmp_path, pool):
    items = [
        Item("a", content=b"x" * 600),
        Item("b", content=Data(b"y" * 900, size=900)),
        Item("c", content=Data(b"z" * 99)),
    ]
    whole = len(expected(items))
    path = tmp_path / "t"
    for limit in [*range(0, whole, 37), whole - 1]:
        with (
            file_size_limit(limit),
            nothing_left(tmp_path),
            pytest.raises(StorageError, match="writing: File too large"),
        ):
            written(path, items, pool)
    with file_size_limit(whole):
        assert written(path, items, pool) == expected(items)


def test_short_writes_are_carried_on(tmp_path, pool, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, bytes(data[:7]), offset))
    items = [Item("a", content=b"x" * 600), Item("b", content=Data(b"y" * 900, size=900))]
    assert written(tmp_path / "t", items, pool) == expected(items)


def test_a_file_tar_knows_its_kind(tmp_path):
    with open_tar(str(tmp_path / "t")) as out:
        assert isinstance(out, TarFile)
