"""Folders that stay open: no link is followed, whatever happens to the path, and no descriptor is lost."""

from __future__ import annotations

import os
import threading

import pytest

from convert.archive.open_folders import OpenFolders


@pytest.fixture
def folders(tmp_path):
    root = os.open(tmp_path, os.O_RDONLY)
    yield OpenFolders(root)
    os.close(root)


def content(found):
    fd, size = found
    try:
        return os.pread(fd, size, 0)
    finally:
        os.close(fd)


def test_files_below_a_folder(folders, tmp_path):
    """One after the other, in as many folders as there are."""
    for number in range(30):
        (tmp_path / f"a/{number}/b").mkdir(parents=True)
        (tmp_path / f"a/{number}/b/file").write_text(str(number))
    before = len(os.listdir("/proc/self/fd"))
    for number in (*range(30), *range(30)):
        assert content(folders.open(f"a/{number}", "b/file")) == str(number).encode()
    assert folders.size("a", "7/b/file") == 1
    folders.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("name", ["gone", "folder", "fifo", "link", "out/file", "b/gone", "no\0name", "x" * 300])
def test_what_is_no_file(folders, tmp_path, name):
    """None, and the next file is found all the same."""
    (tmp_path / "a/folder").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("secret")
    (tmp_path / "a/file").write_text("x")
    os.mkfifo(tmp_path / "a/fifo")
    (tmp_path / "a/link").symlink_to(tmp_path / "elsewhere/file")
    (tmp_path / "a/out").symlink_to(tmp_path / "elsewhere")
    assert folders.open("a", name) is None
    assert folders.open("gone", name) is None
    assert content(folders.open("a", "file")) == b"x"
    folders.close()


def test_a_folder_that_becomes_a_link_is_not_followed(folders, tmp_path):
    """What was open stays that folder; what is opened again is refused."""
    for name in ("a", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    assert content(folders.open("a", "file")) == b"a"
    (tmp_path / "a").rename(tmp_path / "moved")
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    assert content(folders.open("a", "file")) == b"a"
    folders.close()
    assert folders.open("a", "file") is None


def test_many_threads(folders, tmp_path):
    """A folder is not closed while another thread opens a file in it."""
    for number in range(20):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "file").write_text(str(number))
    wrong = []

    def work(start):
        for number in range(400):
            which = str((start + number) % 20)
            if content(folders.open(which, "file")) != which.encode():
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 20, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folders.close()
    assert not wrong
