"""Whole or not at all: renames, locks and what a killed run leaves behind."""

import errno
import os
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from convert.archive import folders, temporary
from convert.archive.atomic import AtomicFile
from convert.archive.folders import Place, exchange, remove_contents, rename_new
from convert.archive.temporary import MARK, lock, make_file, make_folder, remove_stale, temporary_name
from convert.errors import DestinationExistsError, StorageError


@pytest.fixture(params=["system", "fallback"])
def way(request, monkeypatch):
    """With the system's own renames, and as on a system without them."""
    if request.param == "fallback":
        monkeypatch.setattr(folders, "_rename_flags", lambda *_, **__: False)
    return request.param


@contextmanager
def opened(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


@pytest.fixture
def here(tmp_path):
    """The open folder `tmp_path`."""
    with opened(tmp_path) as fd:
        yield fd


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_a_new_name_is_never_taken_from_another(tmp_path, here, way):
    for kind in ("file", "folder"):
        old, new, taken = tmp_path / f"{kind}-old", tmp_path / f"{kind}-new", tmp_path / f"{kind}-taken"
        for path in (old, taken):
            path.mkdir() if kind == "folder" else path.write_bytes(path.name.encode())
        with pytest.raises(FileExistsError):
            rename_new(here, old.name, here, taken.name)
        assert old.exists()
        rename_new(here, old.name, here, new.name)
        assert new.exists()
        assert not old.exists()


def test_a_file_system_without_hard_links_still_renames(tmp_path, here, monkeypatch):
    monkeypatch.setattr(folders, "_rename_flags", lambda *_, **__: False)

    def refuse(*_, **__):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_bytes(b"a")
    rename_new(here, "a", here, "b")
    (tmp_path / "a").write_bytes(b"other")
    with pytest.raises(FileExistsError):
        rename_new(here, "a", here, "b")
    assert (tmp_path / "b").read_bytes() == b"a"


def test_two_names_are_swapped_in_one_step(tmp_path, here):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "x").touch()
    if not exchange(here, "a", here, "b"):
        pytest.skip("this file system cannot")
    assert (tmp_path / "b" / "x").exists()
    with pytest.raises(FileNotFoundError):
        exchange(here, "a", here, "nope")


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
        with pytest.raises(StorageError, match="during the run"):
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


# -- links, modes, owners ------------------------------------------------------------


@pytest.mark.parametrize("leads", ["file", "folder", "nowhere"])
def test_a_link_is_refused_and_with_force_replaced_itself(tmp_path, leads):
    (tmp_path / "file").write_bytes(b"kept")
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to(leads)
    with pytest.raises(DestinationExistsError, match="symbolic link"):
        AtomicFile(str(link), replace=False)
    assert link.is_symlink()
    with AtomicFile(str(link), replace=True) as file:
        os.write(file.fd, b"new")
        file.commit()
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"
    assert (tmp_path / "file").read_bytes() == b"kept"
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "link"]
    assert os.listdir(tmp_path / "folder") == []


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o400, 0o4750])
def test_what_replaces_a_file_keeps_its_mode_and_owner(tmp_path, mode):
    path = tmp_path / "f"
    path.touch()
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 1234, 2345)
        path.chmod(mode)
    before = path.stat()
    with AtomicFile(str(path), replace=True) as file:
        assert stat.S_IMODE(os.fstat(file.fd).st_mode) & ~0o600 == 0
        file.commit()
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino


@pytest.mark.parametrize(("mode", "wanted"), [(0o4770, 0o700), (0o664, 0o644), (0o640, 0o600), (0o600, 0o600)])
def test_a_group_that_cannot_be_kept_gives_nobody_more(tmp_path, monkeypatch, mode, wanted):
    path = tmp_path / "f"
    path.touch()
    if os.geteuid() != 0:
        pytest.skip("only root can make a file of another group")
    os.chown(path, 1234, 2345)
    path.chmod(mode)

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    with AtomicFile(str(path), replace=True) as file:
        file.commit()
    assert mode_of(path) == wanted


ACL = "system.posix_acl_access"
#: Of acl(5): version 2; user::rw-, user:1234:r--, group::---, mask::r--, other::---.
SOMEBODY = bytes.fromhex(
    "02000000 0100 0600 ffffffff 0200 0400 d2040000 0400 0000 ffffffff 1000 0400 ffffffff 2000 0000 ffffffff"
)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes on this system")
def test_an_acl_is_kept_and_one_that_the_folder_gives_is_not(tmp_path):
    path = tmp_path / "f"
    path.touch()
    try:
        os.setxattr(path, ACL, SOMEBODY)
    except OSError as error:
        pytest.skip(f"no ACLs on this file system: {error}")
    with AtomicFile(str(path), replace=True) as file:
        file.commit()
    assert os.getxattr(path, ACL) == SOMEBODY
    os.removexattr(path, ACL)
    path.chmod(0o640)
    os.setxattr(tmp_path, "system.posix_acl_default", SOMEBODY)
    with AtomicFile(str(path), replace=True) as file:
        file.commit()
    with pytest.raises(OSError) as error:
        os.getxattr(path, ACL)
    assert error.value.errno == errno.ENODATA
    assert mode_of(path) == 0o640


def test_a_new_file_has_the_mode_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        with AtomicFile(str(tmp_path / "f"), replace=False) as file:
            assert stat.S_IMODE(os.fstat(file.fd).st_mode) == 0o640
            file.commit()
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "f") == 0o640


# -- things that are moved during a run ------------------------------------------------


def test_only_the_file_that_was_opened_is_replaced(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    # Open, as the source is during a run: the inode is not used again.
    with path.open("rb") as held, AtomicFile(Place(str(path)), replace=True, same=os.fstat(held.fileno())) as file:
        path.unlink()
        path.write_bytes(b"another's")
        with pytest.raises(StorageError, match="moved, replaced or changed"):
            file.commit()
    assert path.read_bytes() == b"another's"
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("instead", ["nothing", "folder", "link"])
def test_a_folder_that_was_moved_away_is_refused(tmp_path, instead):
    (tmp_path / "place").mkdir()
    (tmp_path / "elsewhere").mkdir()
    with AtomicFile(str(tmp_path / "place" / "f"), replace=False) as file:
        (tmp_path / "place").rename(tmp_path / "moved")
        if instead == "folder":
            (tmp_path / "place").mkdir()
        elif instead == "link":
            (tmp_path / "place").symlink_to("elsewhere")
        with pytest.raises(StorageError, match="moved or replaced"):
            file.commit()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_temporary_file_that_another_replaced_is_refused(tmp_path):
    with AtomicFile(str(tmp_path / "f"), replace=False) as file:
        (name,) = os.listdir(tmp_path)
        (tmp_path / name).unlink()
        (tmp_path / name).write_bytes(b"another's")
        with pytest.raises(StorageError, match="temporary file beside it was moved or replaced"):
            file.commit()
    assert not (tmp_path / "f").exists()
    assert (tmp_path / name).read_bytes() == b"another's"


@pytest.mark.parametrize("spelling", ["{}/a/b", "{}/a/b/", "{}/a/b/.", "{}/a/b//", "{}/a/x/../b", "{}/a/b/c/.."])
def test_a_place_is_a_folder_and_a_name_in_it(tmp_path, spelling):
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "a" / "x").mkdir()
    with Place(spelling.format(tmp_path)) as place:
        assert place.name == "b"
        assert os.path.samestat(os.fstat(place.folder), os.stat(tmp_path / "a"))
        place.check_folder()


def test_a_place_without_a_folder_is_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for spelling, name in (("b", "b"), (".", tmp_path.name), ("/", ".")):
        with Place(spelling) as place:
            assert place.name == name
            assert place.status() is None or spelling != "b"


# -- what a killed run leaves ----------------------------------------------------------


def test_what_a_dead_run_left_is_removed_and_what_a_living_one_has_is_not(tmp_path, here):
    (tmp_path / temporary_name()).write_bytes(b"stale file")
    stale = tmp_path / temporary_name()
    (stale / "blobs").mkdir(parents=True)
    (stale / "blobs" / "x").touch()
    (stale / MARK).touch()
    (tmp_path / temporary_name()).mkdir()
    kept = {".imgconv-notes", "x.tmp", ".imgconv-1-2.tmp.tar", ".imgconv-x-0011223344556677.tmp", ".imgconv-1-2.tmp"}
    for name in kept:
        (tmp_path / name).touch()
    link = temporary_name()
    (tmp_path / link).symlink_to("x.tmp")
    with AtomicFile(str(tmp_path / "f"), replace=False) as living:
        other, fd = make_folder(here)
        remove_stale(here)
        left = {name for name in os.listdir(tmp_path) if temporary.is_temporary(name)}
        assert len(left) == 3
        assert {link, other} < left
        living.commit()
        os.close(fd)
    remove_stale(here)
    assert set(os.listdir(tmp_path)) == {*kept, link, "f"}


def test_a_folder_without_a_mark_is_kept_whatever_its_name(tmp_path, here):
    """Another user of the folder can rename a folder of ours to such a name."""
    taken = tmp_path / temporary_name()
    taken.mkdir()
    (taken / "thesis.txt").touch()
    linked = tmp_path / temporary_name()
    linked.mkdir()
    (linked / MARK).symlink_to("/etc/hostname")
    remove_stale(here)
    assert os.listdir(taken) == ["thesis.txt"]
    assert os.listdir(linked) == [MARK]


def test_what_another_user_made_is_kept(tmp_path, here):
    if os.geteuid() != 0:
        pytest.skip("only root can make a file of another user")
    (tmp_path / temporary_name()).touch()
    folder = tmp_path / temporary_name()
    folder.mkdir()
    (folder / MARK).touch()
    for path in tmp_path.iterdir():
        os.chown(path, 1234, -1)
    os.chown(folder / MARK, 1234, -1)
    before = sorted(os.listdir(tmp_path))
    remove_stale(here)
    assert sorted(os.listdir(tmp_path)) == before
    os.chown(folder, 0, -1)  # the folder is ours, the mark is not
    remove_stale(here)
    assert sorted(os.listdir(tmp_path)) == before


def test_links_in_a_stale_folder_are_removed_and_not_followed(tmp_path, here):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ("0" * 64)).touch()
    stale = tmp_path / temporary_name()
    stale.mkdir()
    (stale / MARK).touch()
    (stale / "blobs").symlink_to("../outside")
    (stale / "layout").mkdir()
    (stale / "layout" / "blobs").symlink_to("../../outside")
    remove_stale(here)
    assert os.listdir(tmp_path) == ["outside"]
    assert os.listdir(outside) == ["0" * 64]


def test_a_stale_folder_of_any_depth_is_removed(tmp_path, here):
    depth = 1500
    stale = tmp_path / temporary_name()
    stale.mkdir()
    (stale / MARK).touch()
    fd = os.open(stale, os.O_RDONLY)
    for number in range(depth):
        os.mkdir("d", dir_fd=fd)
        os.close(os.open(f"f{number}", os.O_CREAT, dir_fd=fd))
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    remove_stale(here)
    assert os.listdir(tmp_path) == []


def test_contents_are_removed_but_for_one(tmp_path, here):
    for name in ("a", "b"):
        (tmp_path / name / "c" / "d").mkdir(parents=True)
        (tmp_path / name / "c" / "e").touch()
    (tmp_path / "keep").touch()
    remove_contents(here, keep="keep")
    assert os.listdir(tmp_path) == ["keep"]


def test_a_temporary_folder_is_closed_to_others(tmp_path, here):
    before = os.umask(0)
    try:
        name, fd = make_folder(here)
    finally:
        os.umask(before)
    os.close(fd)
    assert mode_of(tmp_path / name) == 0o700


KILLED = """
import os, sys, time
from convert.archive.atomic import AtomicFile
from convert.writer.dest.layout_dir import LayoutDir
file = AtomicFile(sys.argv[1] + "/f", replace=False)
os.write(file.fd, b"half")
folder = LayoutDir(sys.argv[1] + "/layout")
blob = folder.staging.new_blob()
blob.write(bytes(1 << 17))
print("ready", flush=True)
time.sleep(60)
"""


def test_a_killed_run_is_cleaned_up_by_the_next(tmp_path):
    with subprocess.Popen([sys.executable, "-P", "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        with opened(tmp_path) as here:
            remove_stale(here)
        left = os.listdir(tmp_path)
        assert len(left) == 2
        assert all(temporary.is_temporary(name) for name in left)
        process.send_signal(signal.SIGKILL)
    assert sorted(os.listdir(tmp_path)) == sorted(left)
    with AtomicFile(str(tmp_path / "f"), replace=False) as file:
        file.commit()
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("how", ["removed", "replaced", "locked"])
def test_a_temporary_file_taken_for_stale_at_birth_is_made_again(tmp_path, here, monkeypatch, how):
    """Between its making and its lock a cleaner may lock and remove it."""
    made = []
    real = folders.new_file
    cleaner = []

    def create(folder, name, mode=0o666):
        fd = real(folder, name, mode)
        made.append(name)
        if len(made) == 1 and how == "locked":
            cleaner.append(os.open(tmp_path / name, os.O_RDONLY))
            assert lock(cleaner[0])
        elif len(made) == 1:
            os.unlink(tmp_path / name)
            if how == "replaced":
                (tmp_path / name).touch()
        return fd

    monkeypatch.setattr(folders, "new_file", create)
    name, fd = make_file(here)
    os.close(fd)
    assert len(made) == 2
    assert name == made[1]
    assert name in os.listdir(tmp_path)
    for each in cleaner:
        os.close(each)


def test_a_lock_is_held_until_it_is_closed(tmp_path):
    one, two = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    assert lock(one)
    assert not lock(two)
    os.close(one)
    assert lock(two)
    os.close(two)
