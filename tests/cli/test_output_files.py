"""Every option and argument that names a file to write: it is checked before the sources are read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from support import COMMAND, MATCH

from convert.cli.main import run

PAGES = {
    "inspect --html": ["inspect", "SRC", "--html", "OUT"],
    "diff --html": ["diff", "SRC", "SRC", "--html", "OUT"],
    "validate --html": ["validate", "SRC", "--html", "OUT"],
    "doctor --html": ["doctor", "SRC", "--html", "OUT"],
}
DOCUMENTS = {
    "--graph": ["inspect", "SRC", "--graph", "OUT"],
    "--manifest": ["digest", "SRC", "--as", "crane@go1.26", "--manifest", "OUT"],
}
BATCH = {"batch --out": ["batch", "inspect", "SRC", "--out", "OUT"]}
JOURNAL = {"--journal": ["batch", "inspect", "SRC", "--journal", "OUT"]}
ARCHIVES = {
    "convert": ["SRC", "--to", "docker-save", "OUT"],
    "export": ["export", "SRC", "OUT"],
    "match": ["match", "SRC", "manifest.json", "--to", "oci-archive", "OUT"],
    "--add-repositories": ["--add-repositories", "SRC", "OUT"],
}
ALL = PAGES | DOCUMENTS | BATCH | JOURNAL | ARCHIVES


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with an archive, a manifest of it and another archive; its names fit graphs."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(MATCH / "docker20-html.tar.gz", "image.svg")
    shutil.copy(MATCH / "docker20-multi.tar.gz", "base.svg")
    Path("manifest.json").write_text("{}")
    return tmp_path


def words(name, out, source="image.svg"):
    return [{"SRC": source, "OUT": out}.get(word, word) for word in ALL[name]]


def state():
    return {name: Path(name).read_bytes() for name in os.listdir() if Path(name).is_file()}


def refused(capsys, command, status, out):
    """Run a command that is refused for its output: the source is not read, and nothing changes."""
    before = state()
    assert run(command) == status
    assert out in capsys.readouterr().err
    assert state() == before
    assert not [name for name in os.listdir() if name.startswith(".imgconv")]


@pytest.mark.parametrize("kind", ["folder", "link"])
@pytest.mark.parametrize("name", ALL)
def test_a_folder_and_a_link_are_refused_before_the_source_is_read(capsys, name, kind):
    if kind == "folder":
        Path("out.svg").mkdir()
        Path("out.svg/kept").touch()
    else:
        Path("kept").write_bytes(b"kept")
        Path("out.svg").symlink_to("kept")
    refused(capsys, words(name, "out.svg", source="absent.svg"), 2, "out.svg")
    assert Path("out.svg").is_dir() == (kind == "folder")


@pytest.mark.parametrize("name", [name for name in ALL if name not in BATCH])
def test_a_folder_that_does_not_exist_is_reported_before_the_source_is_read(capsys, name):
    refused(capsys, words(name, "absent/out.svg", source="absent.svg"), 4, "absent/out.svg")


@pytest.mark.parametrize("name", [*PAGES, *JOURNAL])
@pytest.mark.parametrize("kind", ["fifo", "link to a fifo", "device"])
def test_what_takes_only_a_regular_file_refuses_a_fifo_at_once(capsys, name, kind):
    """Else it waits for a reader when the work is done."""
    os.mkfifo("fifo")
    if kind == "link to a fifo":
        Path("out.svg").symlink_to("fifo")
    out = {"fifo": "fifo", "device": "/dev/null"}.get(kind, "out.svg")
    refused(capsys, words(name, out, source="absent.svg"), 2, out)


@pytest.mark.parametrize("name", [*DOCUMENTS, "convert", "export", "--add-repositories"])
def test_a_fifo_is_written_to_where_a_stream_is_taken(name):
    os.mkfifo("out.svg")
    found = []

    def read():
        with open("out.svg", "rb") as pipe:
            found.append(pipe.read())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    assert run([*words(name, "out.svg"), "-q"]) == 0
    reader.join()
    assert run([*words(name, "file.svg"), "-q"]) == 0
    assert found == [Path("file.svg").read_bytes()]


@pytest.mark.parametrize("name", ALL)
def test_the_source_is_not_written_to(capsys, name):
    # --add-repositories --force changes its source in place.
    force = ["--force"] if name in ARCHIVES and name != "--add-repositories" else []
    refused(capsys, [*words(name, "image.svg"), *force], 2, "image.svg")


@pytest.mark.parametrize(
    "command",
    [
        ["diff", "image.svg", "image.svg", "--with", "base.svg", "--html", "base.svg"],
        ["validate", "image.svg", "--with", "base.svg", "--html", "base.svg"],
        ["digest", "image.svg", "--with", "base.svg", "--as", "crane@go1.26", "--manifest", "base.svg"],
        ["export", "image.svg", "base.svg", "--with", "base.svg", "--force"],
        ["match", "image.svg", "base.svg", "--to", "oci-archive", "base.svg", "--force"],
        ["match", "image.svg", "manifest.json", "--to", "oci-archive", "base.svg", "--with", "base.svg", "--force"],
        ["batch", "digest", "image.svg", "--out", "base.svg", "--", "--with", "base.svg"],
        ["image.svg", "--to", "docker-save", "base.svg", "--with", "base.svg", "--force"],
    ],
    ids=lambda command: command[0],
)
def test_another_input_is_not_written_to(capsys, command):
    refused(capsys, command, 2, "base.svg")


def test_a_page_is_not_written_over_a_graph(capsys):
    refused(capsys, ["inspect", "image.svg", "--graph", "out.svg", "--html", "./out.svg"], 2, "out.svg")


@pytest.mark.parametrize("name", [*PAGES, *DOCUMENTS, "export", "convert"])
def test_what_is_printed_is_not_lost_in_an_output(name):
    """A file that standard output goes to would be replaced by the result."""
    command = [*words(name, "out.svg"), *(["--force"] if name in ARCHIVES else []), "--json"]
    with open("out.svg", "wb") as printed:
        done = subprocess.run([*COMMAND, *command], stdout=printed, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert b"out.svg" in done.stderr
    assert Path("out.svg").stat().st_size == 0


def test_a_batch_writes_nothing_for_a_source_that_fails(capsys):
    """Its output is begun before the source is read."""
    Path("made").mkdir()
    assert run(["batch", "inspect", "image.svg", "absent.svg", "--out", "made/{stem}/x.json"]) == 4
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["exit"] for row in rows] == [0, 4]
    assert sorted(map(str, Path("made").rglob("*"))) == ["made/image.svg", "made/image.svg/x.json"]
