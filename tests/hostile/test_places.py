"""What SOURCE and DEST are in the file system: pipes, devices, links, one inside the other, names by case."""

from __future__ import annotations

import os
import shutil
import threading

import pytest
from hostile.building import DIFF_ID, PLAIN, Docker, Layout, config

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
    import support

    names = [name.lower() for name in support.files_of(out)]
    assert len(set(names)) == len(names)
    (image,) = support.check(out, form)
    assert image.diff_ids == [DIFF_ID, sha256(other)]
