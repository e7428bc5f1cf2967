"""An output appears whole or not at all, for every format.

Rule 6 of docs/contract.md#rules-of-identity.
"""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import tarfile
import time

import pytest
from oracle.reading import contents, plain
from support import COMMAND, FORMATS, MATCH, TARS, run

import convert
from convert.errors import DestinationExistsError, DigestMismatchError, StorageError

SOURCE = MATCH / "docker20-multi.tar.gz"


def rotten(raw, wanted="layer.tar"):
    """Flip one byte inside the last member of that name that holds any."""
    result = bytearray(raw)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        member = [each for each in archive if each.isfile() and each.name.endswith(wanted) and each.size > 600][-1]
    result[member.offset_data + 520] ^= 1
    return bytes(result)


@pytest.fixture
def damaged(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / "rotten.tar"
    path.write_bytes(rotten(plain(SOURCE)))
    return path


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("jobs", [1, 4])
def test_a_damaged_source_leaves_nothing(damaged, place, form, jobs):
    with pytest.raises(DigestMismatchError, match=r"rotten\.tar: [0-9a-f]{64}/layer\.tar: layer's DiffID is sha256:"):
        convert.convert(str(damaged), str(place / "out"), to=form, jobs=jobs)
    assert not list(place.iterdir())


@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_pipe_leaves_nothing(damaged, place, form):
    done = run("-", "--to", form, place / "out", input=damaged.read_bytes())
    assert (done.returncode, done.stdout) == (3, b"")
    assert b"layer.tar: layer's DiffID is sha256:" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert not list(place.iterdir())


@pytest.mark.parametrize("form", FORMATS)
def test_a_source_that_ends_early_leaves_nothing(place, form):
    data = plain(SOURCE)
    done = run("-", "--to", form, place / "out", input=data[: len(data) // 2])
    assert done.returncode == 3
    assert done.stderr.count(b"\n") == 1
    assert not list(place.iterdir())


@pytest.mark.parametrize("form", FORMATS)
def test_a_failed_force_leaves_what_was_there(damaged, place, form):
    convert.convert(str(SOURCE), str(place / "out"), to=form, images=["fmt-scr:1"])
    before = contents(place / "out")
    with pytest.raises(DestinationExistsError):
        convert.convert(str(SOURCE), str(place / "out"), to=form)
    with pytest.raises(DigestMismatchError):
        convert.convert(str(damaged), str(place / "out"), to=form, force=True)
    assert contents(place / "out") == before
    assert [path.name for path in place.iterdir()] == ["out"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_forced_result_takes_the_place_of_the_old_one(place, form):
    convert.convert(str(SOURCE), str(place / "new"), to=form)
    convert.convert(str(SOURCE), str(place / "out"), to=form, images=["fmt-scr:1"])
    convert.convert(str(SOURCE), str(place / "out"), to=form, force=True)
    assert contents(place / "out") == contents(place / "new")
    assert sorted(path.name for path in place.iterdir()) == ["new", "out"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("limit", [300, 3000])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, place, form, limit):
    """A limit on the size of any file stands for the disk."""

    def narrow():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    source = tmp_path / "in.tar"
    source.write_bytes(plain(SOURCE))
    done = run(source, "--to", form, place / "out", preexec_fn=narrow)
    assert (done.returncode, done.stdout) == (4, b""), done.stderr
    assert b"File too large" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert not list(place.iterdir())


@pytest.mark.parametrize("form", TARS)
def test_a_stream_that_fails_has_no_end_and_no_manifest(damaged, form):
    """Each member is verified before its header is written (docs/contract.md#destinations)."""
    done = run(damaged, "--to", form, "-")
    assert done.returncode == 3
    assert not done.stdout.endswith(bytes(1024))
    names = []
    with tarfile.open(fileobj=io.BytesIO(done.stdout + bytes(1024))) as archive:
        names = archive.getnames()
    assert "manifest.json" not in names
    good = run(SOURCE, "--to", form, "-").stdout
    assert good.startswith(done.stdout)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(place, form, number):
    """It waits for the rest of a pipe, with layers already at work, when the signal comes."""
    data = plain(SOURCE)
    process = subprocess.Popen(
        [*COMMAND, "-", "--to", form, str(place / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdin.write(data[: len(data) * 3 // 4])
    process.stdin.flush()
    deadline = time.monotonic() + 20
    while not list(place.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    status = process.wait(timeout=30)  # the pipe stays open: it may not wait for its end
    out, err = process.communicate()
    assert status == 128 + number
    assert (out, err.strip()) == (b"", b"")
    assert not list(place.iterdir())


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_killed_run_left_is_recognised_and_removed_by_the_next(place, form):
    data = plain(SOURCE)
    process = subprocess.Popen(
        [*COMMAND, "-", "--to", form, str(place / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    process.stdin.write(data[: len(data) * 3 // 4])
    process.stdin.flush()
    deadline = time.monotonic() + 20
    while not list(place.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=30)
    left = [path.name for path in place.iterdir()]
    assert left
    assert all(name.startswith(".imgconv-") and name.endswith(".tmp") for name in left)
    convert.convert(str(SOURCE), str(place / "out"), to=form)
    assert [path.name for path in place.iterdir()] == ["out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("form", FORMATS)
def test_a_folder_that_may_not_be_written_to_is_said(place, form):
    place.chmod(0o555)
    with pytest.raises(StorageError, match="Permission denied"):
        convert.convert(str(SOURCE), str(place / "out"), to=form)


@pytest.mark.parametrize("form", FORMATS)
def test_a_folder_that_is_not_there_is_said(tmp_path, form):
    with pytest.raises(StorageError, match="its folder does not exist"):
        convert.convert(str(SOURCE), str(tmp_path / "not" / "there"), to=form)
