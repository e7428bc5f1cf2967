"""What is at DEST is moved, replaced or changed during a run: only what was there at the start is replaced."""

from __future__ import annotations

import os
import stat
import threading

import pytest
from hostile.building import Docker, Layout

from convert.archive import folders
from convert.archive.atomic import AtomicFile
from convert.archive.output_file import OutputFile
from convert.cli.main import run
from convert.errors import DestinationExistsError, StorageError
from convert.model.digest import Digest
from convert.writer.dest.layout_dir import LayoutDir

CHANGES = ("vanishes", "another", "file", "folder", "layout", "link", "mode", "content")
KINDS = {"tar": "file", "document": "file", "tar over link": "link", "layout": "layout", "layout over link": "link"}


@pytest.fixture(params=["system", "fallback"])
def way(request, monkeypatch):
    """With the system's own renames, and as on a system without them."""
    if request.param == "fallback":
        monkeypatch.setattr(folders, "_rename_flags", lambda *_, **__: False)
    return request.param


def put(path, kind, mark):
    """Put something at a path that nothing else is like."""
    if kind == "file":
        path.write_text(mark)
        path.chmod(0o600)
    elif kind == "link":
        path.symlink_to(f"nowhere-{mark}")
    elif kind == "folder":
        path.mkdir()
        (path / mark).touch()
    else:
        path.mkdir()
        Layout(index={"annotations": {"mark": mark}}).write(path)


def state(path):
    """Return what is at a path, and below it: kind, mode, owner and content."""
    found = {}
    for each in [path, *sorted(path.rglob("*"))] if os.path.lexists(path) else []:
        status = each.lstat()
        content = os.readlink(each) if each.is_symlink() else each.read_bytes() if each.is_file() else None
        found[str(each.relative_to(path))] = (status.st_mode, status.st_uid, content)
    return found


def change(path, how, kind):
    """Change what is at a path, which is of a kind. What was there stays beside it, except if it is rewritten."""
    if how == "mode":
        path.chmod(0o711)
    elif how == "content" and kind == "layout":
        (path / "notes.txt").write_text("mine")
    elif how == "content":
        path.write_text("longer than before")
    else:
        path.rename(path.with_name("moved"))
        if how != "vanishes":
            put(path, kind if how == "another" else how, "second")


class Writing:
    """One of the writers, begun on a destination."""

    def __init__(self, writer, path, *, force=True):
        if writer == "document":
            self.out = OutputFile(str(path))
        elif writer.startswith("tar"):
            self.out = AtomicFile(str(path), replace=force)
        else:
            self.out = LayoutDir(str(path), force=force)

    def finish(self):
        if isinstance(self.out, OutputFile):
            self.out.write(b"new")
            return
        if isinstance(self.out, AtomicFile):
            os.write(self.out.fd, b"new")
        else:
            self.out.put(Digest.of(b"new"), b"new")
            self.out.add_document("index.json", b'{"new":1}')
            self.out.add_document("oci-layout", b"{}")
        self.out.commit()


def can(how, kind):
    return not (kind == "link" and how in {"mode", "content"}) and how != kind


CASES = [(writer, how) for writer, kind in KINDS.items() for how in CHANGES if can(how, kind)]


@pytest.mark.parametrize(("writer", "how"), CASES)
def test_what_changed_since_the_start_is_not_replaced(tmp_path, way, writer, how):
    path, kind = tmp_path / "out", KINDS[writer]
    put(path, kind, "first")
    writing = Writing(writer, path)
    change(path, how, kind)
    before = {name: state(tmp_path / name) for name in ("out", "moved")}
    refused = (StorageError, DestinationExistsError) if (how, kind) == ("content", "layout") else StorageError
    with writing.out, pytest.raises(refused) as caught:
        writing.finish()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {name: state(tmp_path / name) for name in before} == before
    assert set(os.listdir(tmp_path)) <= {"out", "moved"}


@pytest.mark.parametrize(("writer", "how"), [case for case in CASES if case[1] not in {"vanishes", "mode", "content"}])
@pytest.mark.parametrize("way", ["exchange", "two renames"])
def test_what_came_after_the_last_check_is_given_back(tmp_path, monkeypatch, writer, how, way):
    """The other user moves it in the moment before the exchange, or before the first of two renames."""
    path, kind = tmp_path / "out", KINDS[writer]
    if way == "two renames" and not writer.startswith("layout"):
        pytest.skip("a file is replaced by one rename there: who can move it could remove it as well")
    put(path, kind, "first")
    before = []

    def meddling(call):
        def meddled(*arguments):
            if not before and (call is exchange or arguments[1] == "out"):
                change(path, how, kind)
                before.append({name: state(tmp_path / name) for name in ("out", "moved")})
            return call(*arguments)

        return meddled

    exchange, rename_new = folders.exchange, folders.rename_new
    if way == "exchange":
        monkeypatch.setattr(folders, "exchange", meddling(exchange))
    else:
        monkeypatch.setattr(folders, "_rename_flags", lambda *_, **__: False)
        monkeypatch.setattr(folders, "rename_new", meddling(rename_new))
    writing = Writing(writer, path)
    with writing.out, pytest.raises(StorageError, match="during the run"):
        writing.finish()
    assert [{name: state(tmp_path / name) for name in ("out", "moved")}] == before
    assert sorted(os.listdir(tmp_path)) == ["moved", "out"]


def test_what_cannot_be_given_back_is_kept_beside_the_destination(tmp_path, monkeypatch):
    path = tmp_path / "out"
    put(path, "layout", "first")
    exchange, calls = folders.exchange, []

    def meddled(*arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise OSError(5, "Input/output error")
        change(path, "another", "layout")
        calls.append(state(path))
        return exchange(*arguments)

    monkeypatch.setattr(folders, "exchange", meddled)
    writing = Writing("layout", path)
    with writing.out, pytest.raises(StorageError, match=r"beside it now, as \.imgconv-.*\.old"):
        writing.finish()
    (kept,) = (name for name in os.listdir(tmp_path) if name.endswith(".old"))
    assert state(tmp_path / kept) == calls[1]


@pytest.mark.parametrize("kind", ["file", "folder", "layout", "link"])
@pytest.mark.parametrize("writer", ["tar", "document", "layout"])
def test_what_appears_where_nothing_was_is_not_replaced(tmp_path, way, writer, kind):
    for force in (True, False):
        path = tmp_path / f"out-{force}"
        writing = Writing(writer, path, force=force)
        put(path, kind, "second")
        before = state(path)
        with writing.out, pytest.raises(StorageError if force or writer == "document" else DestinationExistsError):
            writing.finish()
        assert state(path) == before
    assert sorted(os.listdir(tmp_path)) == ["out-False", "out-True"]


@pytest.mark.parametrize("writer", ["tar", "document", "layout", "tar over link", "layout over link"])
def test_the_later_of_two_at_once_fails(tmp_path, way, writer):
    path = tmp_path / "out"
    put(path, KINDS[writer], "first")
    one, two = Writing(writer, path), Writing(writer, path)
    with one.out:
        one.finish()
    before = state(path)
    with two.out, pytest.raises(StorageError, match="during the run"):
        two.finish()
    assert state(path) == before
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("form", ["docker-save", "oci"])
@pytest.mark.parametrize("how", ["another", "vanishes", "link"])
def test_the_command_ends_with_4_and_one_line(tmp_path, capsys, form, how):
    """The source is a FIFO, so the change comes after the destination was opened and before it is replaced."""
    path, kind = tmp_path / "out", "layout" if form == "oci" else "file"
    put(path, kind, "first")
    os.mkfifo(tmp_path / "fifo")
    begun = threading.Event()
    before = {}

    def feed():
        with open(tmp_path / "fifo", "wb") as file:  # opens when the command reads
            begun.set()
            change(path, how, kind)
            before.update({name: state(tmp_path / name) for name in ("out", "moved")})
            file.write(Docker().build())

    feeding = threading.Thread(target=feed, daemon=True)
    feeding.start()
    assert run([str(tmp_path / "fifo"), "--to", form, str(path), "--force"]) == 4
    feeding.join()
    assert begun.is_set()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "during the run" in printed.err.splitlines()[-1]
    assert {name: state(tmp_path / name) for name in before} == before
    assert sorted(os.listdir(tmp_path)) == sorted(["fifo", "moved", *(["out"] if how != "vanishes" else [])])


@pytest.mark.parametrize("command", ["manifest", "graph", "page"])
def test_a_document_is_bound_to_what_was_there_at_the_start(tmp_path, capsys, command):
    """Else another user's file, put there during the run, would give a secret document his owner and mode."""
    path = tmp_path / "out.svg"
    put(path, "file", "first")
    os.mkfifo(tmp_path / "fifo")

    def feed():
        with open(tmp_path / "fifo", "wb") as file:
            change(path, "another", "file")
            path.chmod(0o666)
            file.write(Docker().build())

    threading.Thread(target=feed, daemon=True).start()
    words = {
        "manifest": ["digest", "SOURCE", "--as", "crane@go1.26", "--manifest"],
        "graph": ["inspect", "SOURCE", "--graph"],
        "page": ["validate", "SOURCE", "--html"],
    }
    source = str(tmp_path / "fifo")
    assert run([source if word == "SOURCE" else word for word in words[command]] + [str(path)]) == 4
    assert "during the run" in capsys.readouterr().err
    assert path.read_text() == "second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


# -- what a layout that is replaced may hold -----------------------------------------------

HEX = "0" * 64


@pytest.mark.parametrize(
    "name",
    [
        "blobs/thesis/chapter1.txt",
        "blobs/thesis/chapter1",
        "blobs/notes.txt",
        "blobs/Thesis/" + HEX,
        "blobs/.hidden/" + HEX,
        "blobs/sha256/notes",
        "blobs/sha256/.hidden",
        f"blobs/sha256/{HEX}.txt",
        f"blobs/sha256/{HEX}/file",
        "blobs/sha256/" + "A" * 64,
        "blobs/sha512/" + HEX,
        "blobs/sha256/deep/er/file",
    ],
)
def test_force_keeps_what_is_not_a_blob(tmp_path, capsys, name):
    layout = tmp_path / "layout"
    put(layout, "layout", "first")
    path = layout / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    refused_with(tmp_path, capsys, layout, "/".join(name.split("/")[:2]))


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "folder link"])
def test_force_keeps_what_is_named_like_a_blob_and_is_none(tmp_path, capsys, kind):
    layout = tmp_path / "layout"
    put(layout, "layout", "first")
    path = layout / "blobs" / "sha256" / HEX
    if kind == "link":
        path.symlink_to("../../index.json")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path = layout / "blobs" / "sha512"
        path.symlink_to(tmp_path)
    refused_with(tmp_path, capsys, layout, str(path.relative_to(layout)))


def refused_with(tmp_path, capsys, layout, says):
    source = tmp_path / "in.tar"
    source.write_bytes(Docker().build())
    before = {path: path.lstat().st_ino for path in layout.rglob("*")}
    assert run([str(source), "--to", "oci", str(layout), "--force"]) == 2
    printed = capsys.readouterr().err
    assert says in printed
    assert len(printed.splitlines()) == 1
    assert {path: path.lstat().st_ino for path in layout.rglob("*")} == before


def test_force_replaces_blobs_of_every_algorithm_and_temporary_files(tmp_path):
    source, layout = tmp_path / "in.tar", tmp_path / "layout"
    source.write_bytes(Docker().build())
    put(layout, "layout", "first")
    names = ["sha512/" + HEX * 2, "blake3/" + HEX, "sha256+b64u/LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564"]
    for name in [*names, "sha256/.imgconv-1-0123456789abcdef.tmp"]:
        (layout / "blobs" / name).parent.mkdir(exist_ok=True)
        (layout / "blobs" / name).write_text("old")
    (layout / "blobs" / "empty").mkdir()
    assert run([str(source), "--to", "oci", str(layout), "--force", "-q"]) == 0
    assert os.listdir(layout / "blobs") == ["sha256"]
