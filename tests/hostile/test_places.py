"""What SOURCE and DEST are in the file system: pipes, devices, links, one inside the other, names by case."""

from __future__ import annotations

import os
import shutil
import threading

import pytest
from hostile.building import DIFF_ID, PLAIN, Docker, Layout, config
from oracle import reading

from convert.archive import temporary
from convert.cli.main import run

BLOB = "blobs/" + DIFF_ID.replace(":", "/")


@pytest.fixture
def layout(tmp_path):
    folder = tmp_path / "layout"
    folder.mkdir()
    Layout().write(folder)
    return folder


def refused(capsys, status, says, *words):
    assert run([str(word) for word in words]) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert says in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize("form", ["oci", "docker-save"])
def test_a_fifo_as_source_is_read_as_a_pipe(tmp_path, form):
    source = tmp_path / "in"
    os.mkfifo(source)
    writing = threading.Thread(target=lambda: source.write_bytes(Docker().build()), daemon=True)
    writing.start()
    assert run([str(source), "--to", form, str(tmp_path / "out"), "-q"]) == 0
    writing.join()
    assert (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [("id",), ("inspect",), ("validate",), ("digest",), ()])
def test_a_device_as_source_is_refused(tmp_path, capsys, command):
    """/dev/zero would never end."""
    target = ["--to", "oci", str(tmp_path / "out")] if not command else []
    assert run([*command, "/dev/zero", *target]) == 3
    shown = capsys.readouterr()
    assert "device" in shown.err + shown.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "socket"])
def test_a_blob_that_is_no_file_is_refused_and_not_opened(tmp_path, capsys, layout, kind):
    """Opening a FIFO would wait for ever; a device may do anything."""
    (layout / BLOB).unlink()
    if kind == "fifo":
        os.mkfifo(layout / BLOB)
    elif kind == "device":
        (layout / BLOB).symlink_to("/dev/zero")
    elif kind == "folder":
        (layout / BLOB).mkdir()
    else:
        import socket

        with socket.socket(socket.AF_UNIX) as made:
            here = os.getcwd()
            os.chdir((layout / BLOB).parent)
            try:
                made.bind((layout / BLOB).name)
            finally:
                os.chdir(here)
    refused(capsys, 3, DIFF_ID.removeprefix("sha256:"), layout, "--to", "oci", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("target", ["outside", "absolute", "folder"])
def test_a_blob_linked_out_of_the_layout_is_refused(tmp_path, capsys, layout, target):
    """Though it leads to the very bytes: the next time it may lead elsewhere."""
    (tmp_path / "secret").write_bytes(PLAIN)
    if target == "folder":
        shutil.move(layout / "blobs", tmp_path / "elsewhere")
        (layout / "blobs").symlink_to("../elsewhere")
    else:
        (layout / BLOB).unlink()
        (layout / BLOB).symlink_to("../../../secret" if target == "outside" else tmp_path / "secret")
    refused(capsys, 3, "leads out of the", layout, "--to", "oci", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_blob_linked_inside_the_layout_is_followed(tmp_path, layout):
    (layout / BLOB).rename(layout / "real")
    (layout / BLOB).symlink_to("../../real")
    assert run([str(layout), "--to", "oci", str(tmp_path / "out"), "-q"]) == 0
    copy = tmp_path / "out" / BLOB
    assert copy.read_bytes() == PLAIN
    assert not copy.is_symlink()


def test_a_circle_of_links_in_a_layout_ends(tmp_path, capsys, layout):
    (layout / BLOB).unlink()
    (layout / BLOB).symlink_to("other")
    (layout / BLOB).with_name("other").symlink_to(DIFF_ID.removeprefix("sha256:"))
    refused(capsys, 3, "circle", layout, "--to", "oci", tmp_path / "out")


@pytest.mark.parametrize("form", ["oci", "docker-save"])
@pytest.mark.parametrize("where", ["", "/", "/.", "/new", "/blobs/new", "/blobs/../new"])
def test_a_destination_inside_the_source_is_refused(capsys, layout, form, where):
    before = {path: path.read_bytes() for path in layout.rglob("*") if path.is_file()}
    assert run([str(layout), "--to", form, f"{layout}{where}", "--force"]) == 2
    assert capsys.readouterr().out == ""
    assert {path: path.read_bytes() for path in layout.rglob("*") if path.is_file()} == before


def test_a_destination_inside_the_source_by_another_name_is_refused(tmp_path, capsys, layout):
    (tmp_path / "link").symlink_to("layout")
    before = sorted(layout.rglob("*"))
    assert run([str(layout), "--to", "oci", str(tmp_path / "link" / "new")]) == 2
    assert sorted(layout.rglob("*")) == before
    assert capsys.readouterr().out == ""


def test_a_source_inside_the_destination_is_not_replaced_with_it(capsys, layout):
    source = layout / "in.tar"
    source.write_bytes(Docker().build())
    before = {path: path.read_bytes() for path in layout.rglob("*") if path.is_file()}
    assert run([str(source), "--to", "oci", str(layout), "--force"]) == 2
    assert capsys.readouterr().out == ""
    assert {path: path.read_bytes() for path in layout.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "form", ["docker-save", "docker-save@25", "docker-save@29", "docker-oci", "crane", "oci", "oci-archive"]
)
def test_names_that_differ_only_by_case_are_two_names(tmp_path, form):
    """In the source they are kept apart, and what is written has none that a file system could take for one."""
    other = PLAIN[:-512]  # a tar with one block of its end: another DiffID
    from hostile.building import sha256

    source = tmp_path / "in.tar"
    source.write_bytes(
        Docker(config=config(DIFF_ID, sha256(other)), layers={"A/Layer.tar": PLAIN, "a/layer.TAR": other}).build()
    )
    out = tmp_path / "out"
    assert run([str(source), "--to", form, str(out), "-q"]) == 0

    names = [name.lower() for name in reading.files_of(out)]
    assert len(set(names)) == len(names)
    (image,) = reading.check(out, form)
    assert image.diff_ids == [DIFF_ID, sha256(other)]


# -- what lies at DEST, and beside it ------------------------------------------------------


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.tar"
    path.write_bytes(Docker().build())
    return path


def everything(top):
    """Return what lies below a folder: files with their bytes, links with their targets, folders."""
    return {
        str(path.relative_to(top)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in top.rglob("*")
    }


WRITERS = {
    "tar": ["SOURCE", "--to", "docker-save", "DEST"],
    "layout": ["SOURCE", "--to", "oci", "DEST"],
    "append": ["SOURCE", "--to", "oci", "DEST", "--append"],
    "repositories": ["--add-repositories", "SOURCE", "DEST"],
    "manifest": ["digest", "SOURCE", "--as", "crane@go1.26", "--manifest", "DEST"],
    "graph": ["inspect", "SOURCE", "--graph", "DEST"],
}


def words(writer, source, dest):
    names = {"SOURCE": source, "DEST": dest}
    return [names.get(word, word) for word in WRITERS[writer]]


@pytest.mark.parametrize("leads", ["file", "layout", "empty", "nowhere"])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_link_at_the_destination_is_refused(tmp_path, capsys, source, layout, writer, leads):
    (tmp_path / "file").write_bytes(b"another's")
    (tmp_path / "empty").mkdir()
    link = tmp_path / "out.svg"
    link.symlink_to(leads)
    before = everything(tmp_path)
    refused(capsys, 2, "symbolic link", *words(writer, source, link))
    assert everything(tmp_path) == before


@pytest.mark.parametrize("leads", ["file", "layout", "empty", "nowhere"])
@pytest.mark.parametrize("writer", ["tar", "layout", "repositories"])
def test_with_force_the_link_is_replaced_and_not_what_it_leads_to(tmp_path, source, layout, writer, leads):
    (tmp_path / "file").write_bytes(b"another's")
    (tmp_path / "empty").mkdir()
    before = everything(tmp_path)
    link = tmp_path / "out"
    link.symlink_to(leads)
    assert run([*map(str, words(writer, source, link)), "--force", "-q"]) == 0
    assert not link.is_symlink()
    assert link.is_dir() == (writer == "layout")
    after = everything(tmp_path)
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0] for name in after.keys() - before.keys()} == {"out"}


@pytest.mark.parametrize("writer", ["tar", "repositories", "manifest", "graph"])
def test_a_link_to_a_fifo_is_written_through(tmp_path, source, writer):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "out.svg").symlink_to("fifo")
    got = []
    reading = threading.Thread(target=lambda: got.append((tmp_path / "fifo").read_bytes()), daemon=True)
    reading.start()
    assert run([str(word) for word in words(writer, source, tmp_path / "out.svg")]) == 0
    reading.join()
    assert run([str(word) for word in words(writer, source, tmp_path / "plain.svg")]) == 0
    assert got == [(tmp_path / "plain.svg").read_bytes()]
    assert (tmp_path / "out.svg").is_symlink()


@pytest.mark.parametrize("writer", ["manifest", "graph"])
@pytest.mark.parametrize("how", ["itself", "hard link", "in the layout"])
def test_a_document_never_replaces_the_source(tmp_path, capsys, layout, writer, how):
    source = tmp_path / "in.svg"
    source.write_bytes(Docker().build())
    dest = source
    if how == "hard link":
        dest = tmp_path / "other.svg"
        os.link(source, dest)
    elif how == "in the layout":
        source, dest = layout, layout / "new.svg"
    before = everything(tmp_path)
    refused(capsys, 2, "destination is the source", *words(writer, source, dest))
    assert everything(tmp_path) == before


@pytest.mark.parametrize("writer", ["tar", "layout", "manifest", "graph", "in place"])
def test_what_is_replaced_keeps_its_mode(tmp_path, source, layout, writer):
    dest = tmp_path / "out.svg"
    if writer == "layout":
        layout.rename(dest)
        for path in dest.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
        dest.chmod(0o700)
    else:
        dest.write_bytes(source.read_bytes())
        dest.chmod(0o600)
    before = dest.stat()
    force = ["--force"] if writer in {"tar", "layout"} else []
    arguments = ["--add-repositories", dest] if writer == "in place" else words(writer, source, dest)
    assert run([str(word) for word in [*arguments, *force]]) == 0
    after = dest.stat()
    assert after.st_mode == before.st_mode
    assert after.st_ino != before.st_ino
    for path in dest.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize(
    "extra", ["thesis.txt", "ingest/file", "blobs", ".git", "index.json.lock/file", "manifest.json/"]
)
def test_a_layout_with_anything_else_in_it_is_not_replaced(tmp_path, capsys, source, layout, extra):
    if extra == "blobs":
        shutil.rmtree(layout / "blobs")
        (layout / "blobs").symlink_to("/tmp")
    elif extra.endswith("/"):
        (layout / extra).mkdir()
    else:
        (layout / extra).parent.mkdir(exist_ok=True)
        (layout / extra).write_bytes(b"mine")
    before = everything(tmp_path)
    refused(capsys, 2, "is not replaced", source, "--to", "oci", layout, "--force")
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"{", b'{"a":1,"a":2}'])
def test_a_folder_without_sound_layout_documents_is_not_replaced(tmp_path, capsys, source, layout, name, content):
    (layout / name).unlink()
    if content is not None:
        (layout / name).write_bytes(content)
    before = everything(tmp_path)
    refused(capsys, 2, "image layout", source, "--to", "oci", layout, "--force")
    assert everything(tmp_path) == before


def test_what_tools_leave_in_a_layout_is_replaced_with_it(tmp_path, source, layout):
    (layout / "ingest").mkdir()
    for name in ("index.json.lock", "manifest.json", "repositories", ".imgconv-layers.json"):
        (layout / name).write_bytes(b"{}")
    assert run([str(source), "--to", "oci", str(layout), "--force", "-q"]) == 0
    assert set(os.listdir(layout)) <= {".imgconv-layers.json", "blobs", "index.json", "oci-layout"}
    assert b"{}" not in everything(layout).values()


@pytest.mark.parametrize("options", [[], ["--append"], ["--force"]])
@pytest.mark.parametrize("kind", ["file", "unmarked", "marked", "linked", "link"])
def test_a_folder_of_blobs_beside_a_stale_temporary_file_loses_nothing(tmp_path, capsys, source, options, kind):
    """Blobs are only those of a killed run if its journal says so."""
    dest, outside = tmp_path / "out", tmp_path / "outside"
    for folder in (dest, outside):
        (folder / "blobs" / "sha256").mkdir(parents=True)
        (folder / "blobs" / "sha256" / ("0" * 64)).write_bytes(b"mine")
    stale = dest / temporary.temporary_name()
    if kind == "file":
        stale.touch()
    elif kind == "link":
        stale.symlink_to("../outside")
    else:
        stale.mkdir()
        if kind != "unmarked":
            (stale / temporary.MARK).touch()
        if kind == "linked":
            (stale / "blobs").symlink_to("../../outside/blobs")
            (stale / "layout").symlink_to("../../outside")
    refused(capsys, 2, "out", source, "--to", "oci", dest, *options)
    for folder in (dest, outside):
        assert (folder / "blobs" / "sha256" / ("0" * 64)).read_bytes() == b"mine"


@pytest.mark.parametrize("depth", [3, 1500])
@pytest.mark.parametrize("writer", ["tar", "layout", "manifest"])
def test_a_stale_temporary_folder_of_any_depth_is_removed(tmp_path, source, writer, depth):
    stale = tmp_path / temporary.temporary_name()
    stale.mkdir()
    (stale / temporary.MARK).touch()
    fd = os.open(stale, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    assert run([str(word) for word in words(writer, source, tmp_path / "out")]) == 0
    assert sorted(os.listdir(tmp_path)) == ["in.tar", "out"]


def test_a_layout_whose_blobs_are_a_link_is_not_added_to(tmp_path, capsys, source, layout):
    (layout / "blobs").rename(tmp_path / "elsewhere")
    (layout / "blobs").symlink_to("../elsewhere")
    before = everything(tmp_path)
    refused(capsys, 2, "blobs is a link", source, "--to", "oci", layout, "--append")
    assert everything(tmp_path) == before
