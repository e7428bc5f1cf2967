"""What GNU tar and bsdtar write is read as they meant it; what imgconv writes they list."""

import os
import shutil
import subprocess

import pytest

from convert.archive.open import open_source
from convert.archive.tar_writer import END, Item, header, padding

LONG = "d" * 90 + "/" + "e" * 90


@pytest.fixture
def files(tmp_path):
    root = tmp_path / "root"
    (root / LONG).parent.mkdir(parents=True)
    (root / "a").write_bytes(b"alpha")
    (root / LONG).write_bytes(b"long")
    (root / ("ü" * 60)).write_bytes(b"umlauts")
    (root / "soft").symlink_to("a")
    (root / "far").symlink_to(LONG)
    os.link(root / "a", root / "hard")
    return root


@pytest.mark.parametrize(
    ("tool", "dialect"),
    [("tar", each) for each in ("v7", "oldgnu", "gnu", "ustar", "posix")]
    + [("bsdtar", each) for each in ("ustar", "pax", "gnutar", "v7")],
)
@pytest.mark.parametrize("sparse", [False, True])
def test_archives_of_other_tars(files, tmp_path, tool, dialect, sparse):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not here")
    # v7 has names of 100 bytes, ustar splits longer ones but has no long links.
    names = {"v7": ["a", "soft", "hard"], "ustar": ["a", "soft", "hard", LONG]}.get(dialect, ["."])
    if sparse:
        if tool == "bsdtar" or dialect in {"v7", "ustar"}:
            pytest.skip("only GNU tar, in its own formats, writes sparse members")
        with (files / "zz-sparse").open("wb") as file:
            file.truncate(1 << 20)
        names = ["--sparse", *names]
    path = tmp_path / "t.tar"
    command = [tool, f"--format={dialect}", "-C", str(files), "-cf", str(path), *names]
    subprocess.run(command, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    with open_source(str(path)) as source:
        tree = source.tree
        assert tree.read("a") == tree.read("soft") == tree.read("hard") == b"alpha"
        if dialect != "v7":
            assert tree.read(LONG) == b"long"
        if names == ["."] or sparse:
            assert tree.read("far") == b"long"
            assert tree.read("ü" * 60) == b"umlauts"
        if sparse:
            assert tree.member("zz-sparse").sparse
        assert tree.warnings == []


@pytest.mark.parametrize("tool", ["tar", "bsdtar"])
def test_other_tars_list_what_is_written(tmp_path, tool):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not here")
    items = [
        Item("blobs/", "dir", 0o755),
        Item("blobs/sha512/" + "c" * 128, content=b"data"),
        Item("sha256:" + "a" * 64, mtime=1 << 34, content=b"x" * 513),
        Item("l", "symlink", 0o120777, link="t" * 150),
    ]
    parts = [header(i, len(i.content)) + i.content + padding(len(i.content)) for i in items]
    path = tmp_path / "t.tar"
    path.write_bytes(b"".join(parts) + END)
    listed = subprocess.run([tool, "-tf", str(path)], check=True, capture_output=True, text=True)
    assert listed.stdout.splitlines() == [item.name for item in items]
    assert listed.stderr == ""
    content = subprocess.run([tool, "-xOf", str(path), items[2].name, items[1].name], check=True, capture_output=True)
    assert content.stdout == b"data" + b"x" * 513
