"""Whole or not at all: renames, locks and what a killed run leaves behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from convert.archive import atomic
from convert.archive.atomic import AtomicFile, exchange, lock, make_locked, remove_stale, rename_new, temporary_name
from convert.errors import DestinationExistsError, StorageError


@pytest.fixture(params=["system", "fallback"])
def way(request, monkeypatch):
    """With the system's own renames, and as on a system without them."""
    if request.param == "fallback":
        monkeypatch.setattr(atomic, "_rename_flags", lambda *_: False)
    return request.param


def test_a_new_name_is_never_taken_from_another(tmp_path, way):
    for kind in ("file", "folder"):
        old, new, taken = tmp_path / f"{kind}-old", tmp_path / f"{kind}-new", tmp_path / f"{kind}-taken"
        for path in (old, taken):
            path.mkdir() if kind == "folder" else path.write_bytes(path.name.encode())
        with pytest.raises(FileExistsError):
            rename_new(str(old), str(taken))
        assert old.exists()
        rename_new(str(old), str(new))
        assert new.exists()
        assert not old.exists()


def test_a_file_system_without_hard_links_still_renames(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_rename_flags", lambda *_: False)

    def refuse(*_):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_bytes(b"a")
    rename_new(str(tmp_path / "a"), str(tmp_path / "b"))
    (tmp_path / "a").write_bytes(b"other")
    with pytest.raises(FileExistsError):
        rename_new(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == b"a"


def test_two_names_are_swapped_in_one_step(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "x").touch()
    if not exchange(str(tmp_path / "a"), str(tmp_path / "b")):
        pytest.skip("this file system cannot")
    assert (tmp_path / "b" / "x").exists()
    with pytest.raises(FileNotFoundError):
        exchange(str(tmp_path / "a"), str(tmp_path / "nope"))


def test_commit_puts_the_file_in_place(tmp_path, way):
    with AtomicFile(str(tmp_path / "f"), replace=False) as file:
        os.write(file.fd, b"data")
        assert not (tmp_path / "f").exists()
        file.commit()
    assert (tmp_path / "f").read_bytes() == b"data"
    assert os.listdir(tmp_path) == ["f"]


def test_two_runs_on_one_destination_never_mix(tmp_path, way):
    path = str(tmp_path / "f")
    with AtomicFile(path, replace=False) as one, AtomicFile(path, replace=False) as two:
        os.write(one.fd, b"one")
        os.write(two.fd, b"two")
        one.commit()
        with pytest.raises(DestinationExistsError):
            two.commit()
    assert Path(path).read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["f"]


def test_a_folder_that_came_meanwhile_is_not_replaced(tmp_path):
    with AtomicFile(str(tmp_path / "f"), replace=True) as file:
        (tmp_path / "f").mkdir()
        with pytest.raises(DestinationExistsError):
            file.commit()
    assert (tmp_path / "f").is_dir()


def test_a_failed_sync_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(5, "Input/output error")

    with AtomicFile(str(tmp_path / "f"), replace=False) as file:
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(StorageError, match="putting it in place: Input/output error"):
            file.commit()
    assert os.listdir(tmp_path) == []


def test_what_a_dead_run_left_is_removed_and_what_a_living_one_has_is_not(tmp_path):
    (tmp_path / temporary_name()).write_bytes(b"stale file")
    stale = tmp_path / temporary_name()
    (stale / "blobs").mkdir(parents=True)
    (stale / "blobs" / "x").touch()
    for name in (".imgconv-notes", "x.tmp", ".imgconv-1-2.tmp.tar"):
        (tmp_path / name).touch()
    (tmp_path / temporary_name()).symlink_to("x.tmp")
    with AtomicFile(str(tmp_path / "f"), replace=False) as living:
        remove_stale(str(tmp_path))
        names = os.listdir(tmp_path)
        assert len([name for name in names if atomic.is_temporary(name)]) == 2  # the living one, and a link left alone
        living.commit()
    assert {".imgconv-notes", "x.tmp", ".imgconv-1-2.tmp.tar", "f"} <= set(os.listdir(tmp_path))


KILLED = """
import os, sys, time
from convert.archive.atomic import AtomicFile
from convert.archive.layout_output import FolderOutput
file = AtomicFile(sys.argv[1] + "/f", replace=False)
os.write(file.fd, b"half")
folder = FolderOutput(sys.argv[1] + "/layout")
blob = folder.new_blob()
blob.write(b"half")
print("ready", flush=True)
time.sleep(60)
"""


def test_a_killed_run_is_cleaned_up_by_the_next(tmp_path):
    with subprocess.Popen([sys.executable, "-P", "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        remove_stale(str(tmp_path))
        left = os.listdir(tmp_path)
        assert len(left) == 2
        assert all(atomic.is_temporary(name) for name in left)
        process.send_signal(signal.SIGKILL)
    assert sorted(os.listdir(tmp_path)) == sorted(left)
    with AtomicFile(str(tmp_path / "f"), replace=False) as file:
        file.commit()
    assert os.listdir(tmp_path) == ["f"]


def test_a_temporary_file_taken_for_stale_at_birth_is_made_again(tmp_path):
    """Between its making and its lock a cleaner may remove it."""
    made = []

    def create(path):
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
        made.append(path)
        if len(made) == 1:
            os.unlink(path)
        return fd

    path, fd = make_locked(str(tmp_path), create)
    os.close(fd)
    assert len(made) == 2
    assert os.listdir(tmp_path) == [os.path.basename(path)]


def test_a_lock_is_held_until_it_is_closed(tmp_path):
    one, two = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    assert lock(one)
    assert not lock(two)
    os.close(one)
    assert lock(two)
    os.close(two)
