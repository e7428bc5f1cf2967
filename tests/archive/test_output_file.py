"""A document that a command writes: its place is checked first, and what comes there meanwhile is not followed."""

from __future__ import annotations

import io
import os
import socket
import stat
import threading

import pytest

from convert import cancel
from convert.archive.output_file import OutputFile
from convert.errors import DestinationExistsError, StorageError, UsageError


def put(path, data, sources=()):
    with OutputFile(str(path), sources=sources) as output:
        output.write(data)


def test_a_document_is_written_or_replaces_one(tmp_path):
    path = tmp_path / "f"
    put(path, b"one")
    path.chmod(0o600)
    put(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["f"]


def test_without_write_nothing_stays(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"kept")
    for each in (path, tmp_path / "new"):
        with OutputFile(str(each)):
            assert len(os.listdir(tmp_path)) == 2  # the temporary file, beside it
    assert os.listdir(tmp_path) == ["f"]
    assert path.read_bytes() == b"kept"


def test_a_document_for_standard_output_goes_to_the_stream_that_stands_for_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = io.BytesIO()
    with OutputFile("-") as output:
        output.write(b"data", stdout=shown)
    assert shown.getvalue() == b"data"
    assert os.listdir() == []


# -- what is refused at once ---------------------------------------------------------------


@pytest.mark.parametrize("leads", ["file", "folder", "nowhere", "/dev/null"])
def test_a_document_is_not_written_through_a_link(tmp_path, leads):
    (tmp_path / "file").write_bytes(b"kept")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(leads)
    with pytest.raises(DestinationExistsError) as caught:
        OutputFile(str(tmp_path / "link"))
    assert caught.value.code == "destination-is-link"
    assert (tmp_path / "file").read_bytes() == b"kept"
    assert (tmp_path / "link").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "link"]


@pytest.mark.parametrize("kind", ["fifo", "link to a fifo", "device", "descriptor", "folder", "socket"])
def test_without_streams_only_a_regular_file_is_taken(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    path = tmp_path / "out"
    if kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("out")
    elif "fifo" in kind:
        os.mkfifo(tmp_path / "fifo")
        path = tmp_path / "fifo" if kind == "fifo" else path
        if kind != "fifo":
            path.symlink_to("fifo")
    elif kind == "device":
        path = "/dev/null"
    else:
        path = "/dev/fd/1"
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(DestinationExistsError) as caught:
        OutputFile(str(path), streams=False)
    assert caught.value.code == ("destination-is-link" if "link" in kind else "destination-not-regular")
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    ("path", "code", "status"),
    [
        ("absent/f", "destination-folder-missing", 4),
        ("file/f", "destination-folder-missing", 4),
        ("f/", "destination-is-folder", 2),
        ("", "empty-argument", 2),
        ("a\0b", "impossible-path", 4),
    ],
)
def test_a_path_where_no_file_can_be_is_refused(tmp_path, monkeypatch, path, code, status):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises((UsageError, StorageError)) as caught:
        OutputFile(path)
    assert (caught.value.code, caught.value.exit_status) == (code, status)
    assert os.listdir() == ["file"]


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root can write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError) as caught:
        OutputFile(str(tmp_path / "f"))
    assert caught.value.code == "permission-denied"


def test_the_source_is_not_overwritten_with_a_document(tmp_path):
    (tmp_path / "in").write_bytes(b"source")
    (tmp_path / "layout").mkdir()
    os.mkfifo(tmp_path / "pipe")
    os.link(tmp_path / "in", tmp_path / "other")
    pairs = [("in", "in"), ("other", "in"), ("layout/../in", "in"), ("layout/new", "layout"), ("pipe", "pipe")]
    for path, source in [*pairs, ("layout/new", "oci:{}")]:
        spelled = source.format(tmp_path / "layout") if "{" in source else str(tmp_path / source)
        with pytest.raises(UsageError) as caught:
            OutputFile(str(tmp_path / path), sources=["-", spelled])
        assert caught.value.code == "destination-overlaps-source"
    assert (tmp_path / "in").read_bytes() == b"source"
    assert sorted(os.listdir(tmp_path)) == ["in", "layout", "other", "pipe"]


@pytest.mark.parametrize("way", ["a new file", "a file", "a hard link", "another spelling"])
def test_two_documents_are_not_one_file(tmp_path, way):
    one, two = tmp_path / "one", tmp_path / "one"
    if way != "a new file":
        one.touch()
    if way == "a hard link":
        two = tmp_path / "two"
        os.link(one, two)
    elif way == "another spelling":
        (tmp_path / "folder").mkdir()
        two = f"{tmp_path}/folder/../one"
    with OutputFile(str(one)) as first, pytest.raises(UsageError) as caught:
        OutputFile(str(two), others=[first])
    assert caught.value.code == "destination-overlaps-output"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize("fd", [1, 2])
def test_a_document_is_not_written_to_where_the_command_prints(tmp_path, fd):
    kept = os.dup(fd)
    file = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    try:
        os.dup2(file, fd)
        with pytest.raises(UsageError) as caught:
            OutputFile(str(tmp_path / "log"))
        with OutputFile(str(tmp_path / "page")) as output:
            output.write(b"page")
    finally:
        os.dup2(kept, fd)
        os.close(file)
        os.close(kept)
    assert caught.value.code == "destination-overlaps-output"
    assert sorted(os.listdir(tmp_path)) == ["log", "page"]


# -- streams -----------------------------------------------------------------------------


@pytest.mark.parametrize("link", [False, True])
def test_a_document_is_written_through_a_link_to_a_fifo(tmp_path, link):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    put(tmp_path / ("link" if link else "fifo"), b"data")
    assert os.read(reader, 10) == b"data"
    os.close(reader)
    assert sorted(os.listdir(tmp_path)) == ["fifo", "link"]


@pytest.mark.parametrize("link", [False, True])
def test_a_document_is_written_to_a_terminal(tmp_path, link):
    ours, theirs = os.openpty()
    path = os.ttyname(theirs)
    (tmp_path / "link").symlink_to(path)
    put(tmp_path / "link" if link else path, b"data")
    assert os.read(ours, 10) == b"data"
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd"])
def test_a_document_is_written_to_an_open_descriptor(tmp_path, folder):
    if not os.path.isdir(folder):
        pytest.skip(f"no {folder} here")
    with open(tmp_path / "f", "wb") as file:
        file.write(b"before ")
        file.flush()
        put(f"{folder}/{file.fileno()}", b"data")
    assert (tmp_path / "f").read_bytes() == b"before data"


@pytest.mark.parametrize("digits", [4, 12, 5000])
def test_a_descriptor_that_is_not_open_is_refused_at_once(digits):
    with pytest.raises(StorageError, match="Bad file descriptor"):
        OutputFile("/dev/fd/" + "9" * digits)


# -- what comes meanwhile ------------------------------------------------------------------


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("kind", ["fifo", "link to a fifo", "folder", "link"])
def test_what_is_put_there_meanwhile_is_neither_followed_nor_replaced(tmp_path, there, kind):
    """A FIFO would be waited for, for ever."""
    path = tmp_path / "out"
    os.mkfifo(tmp_path / "fifo")
    if there:
        path.write_bytes(b"first")
    with OutputFile(str(path)) as output:
        if there:
            path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to("fifo" if kind == "link to a fifo" else "elsewhere")
        with pytest.raises(StorageError) as caught:
            output.write(b"data")
    assert caught.value.code == "destination-changed"
    assert sorted(os.listdir(tmp_path)) == ["fifo", "out"]
    assert not path.is_file()


@pytest.mark.parametrize("now", ["nothing", "file", "another fifo", "link"])
def test_another_thing_in_the_place_of_a_fifo_is_not_written_to(tmp_path, now):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    (tmp_path / "file").write_bytes(b"kept")
    with OutputFile(str(path)) as output:
        path.rename(tmp_path / "moved")
        if now == "file":
            path.write_bytes(b"kept")
        elif now == "another fifo":
            os.mkfifo(path)
        elif now == "link":
            path.symlink_to("file")
        with pytest.raises(StorageError) as caught:
            output.write(b"data")
    assert caught.value.code == "destination-changed"
    assert (tmp_path / "file").read_bytes() == b"kept"
    assert now != "file" or path.read_bytes() == b"kept"


def test_a_fifo_that_is_replaced_while_its_reader_is_waited_for_is_given_up(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)

    def replace():
        path.rename(tmp_path / "moved")
        os.mkfifo(path)

    with OutputFile(str(path)) as output:
        timer = threading.Timer(0.2, replace)
        timer.start()
        with pytest.raises(StorageError) as caught:
            output.write(b"data")
        timer.join()
    assert caught.value.code == "destination-changed"


def test_waiting_for_the_reader_of_a_fifo_can_be_cancelled(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo")
    calls = []

    def check():
        calls.append(1)
        if len(calls) > 2:
            raise cancel.Cancelled(15)

    with OutputFile(str(tmp_path / "fifo")) as output:
        monkeypatch.setattr(cancel, "check", check)
        with pytest.raises(cancel.Cancelled):
            output.write(b"data")
