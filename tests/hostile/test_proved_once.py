"""What a layout says was proved is believed only where this machine said so, of these very blobs.

In each test the list says of every layer that it is another layer's blob, so that
believing it makes a wrong image. `docs/trust.md`, "Proved once", has the reasons.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from support import MATCH, check, run

from convert import known
from convert.archive import settled
from convert.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOURCE = MATCH / "docker20-html.tar.gz"
PROFILE = "go1.26-1"

pytestmark = pytest.mark.skipif(
    not hasattr(os, "setxattr") or not known._key(), reason="no extended attributes, or no boot ID: nothing is believed"
)


def made(path: Path) -> Path:
    assert run(SOURCE, "--to", "oci", path).returncode == 0
    if not known.read(str(path)).marks:
        pytest.skip("this file system has no extended attributes")
    return path


def append(layout: Path) -> bytes:
    """Add the image under another name; return the index."""
    assert run(SOURCE, "--tag", "example.com/second:2", "--to", "oci", layout, "--append").returncode == 0
    return (layout / "index.json").read_bytes()


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the index where nothing was forged."""
    return append(made(tmp_path_factory.mktemp("honest") / "layout"))


def swap(layout: Path) -> known.KnownLayers:
    """Write a list that gives every layer the next one's blob, with all marks that were there."""
    listed = known.read(str(layout))
    names = sorted(listed.layers)
    blobs = [listed.layers[name] for name in names]
    listed.layers = dict(zip(names, blobs[1:] + blobs[:1], strict=True))
    assert len(set(blobs)) > 1, "the list would be true"
    write(layout, listed)
    return listed


def write(layout: Path, listed: known.KnownLayers) -> None:
    (layout / known.NAME).write_bytes(listed.document())
    os.setxattr(layout / known.NAME, known.ATTRIBUTE, listed.attribute())


def blob(layout: Path, digest: Digest) -> Path:
    return layout / "blobs" / digest.algorithm / digest.hex


def prove_all(layout: Path, listed: known.KnownLayers, change: Callable[[os.stat_result], os.stat_result]) -> None:
    """Mark every pair of the list as proved, of blobs whose status is as `change` makes it."""
    listed.marks.clear()
    for (profile, diff_id), (digest, _) in listed.layers.items():
        listed.prove(profile, diff_id, change(os.lstat(blob(layout, digest))))
    write(layout, listed)


def altered(field: str, more: int) -> Callable[[os.stat_result], os.stat_result]:
    """Return what adds to one field of a status."""

    def change(status: os.stat_result) -> Any:
        values = {name: getattr(status, name) for name in dir(status) if name.startswith("st_")}
        values[field] += more
        return Status(values)

    return change


class Status:
    """A status with any numbers in it."""

    def __init__(self, values: dict[str, int]) -> None:
        self.__dict__.update(values)


def test_who_runs_imgconv_is_believed_about_blobs_that_are_as_they_were(tmp_path: Path, honest: bytes) -> None:
    """So the tests below can fail: with marks that are right in all, the wrong list is taken."""
    layout = made(tmp_path / "layout")
    prove_all(layout, swap(layout), lambda status: status)
    assert append(layout) != honest


@pytest.mark.parametrize("field", ["st_dev", "st_ino", "st_size", "st_ctime_ns", "st_mtime_ns"])
@pytest.mark.parametrize("more", [1, -1, 1_000_000_000])
def test_a_mark_of_a_blob_with_another_status_is_not_believed(
    tmp_path: Path, honest: bytes, field: str, more: int
) -> None:
    layout = made(tmp_path / "layout")
    prove_all(layout, swap(layout), altered(field, more))
    assert append(layout) == honest
    check(layout, "oci")


def test_marks_of_other_pairs_are_not_believed(tmp_path: Path, honest: bytes) -> None:
    """The layout's own marks are of the true list; each names profile, DiffID and digest."""
    layout = made(tmp_path / "layout")
    marks = known.read(str(layout)).marks
    assert swap(layout).marks == marks
    assert append(layout) == honest


def test_marks_that_another_machine_made_are_not_believed(
    tmp_path: Path, honest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of a file system from elsewhere, whose maker chose every number in it, and from before a restart."""
    layout = made(tmp_path / "layout")
    elsewhere = tmp_path / "boot_id"
    elsewhere.write_text("00000000-0000-4000-8000-000000000000\n")
    with monkeypatch.context() as patch:
        patch.setattr(known, "_BOOT_ID", str(elsewhere))
        known._key.cache_clear()
        prove_all(layout, swap(layout), lambda status: status)
    known._key.cache_clear()
    assert append(layout) == honest


@pytest.mark.parametrize("attribute", [b"", b"x", b"x" * 16, b"x" * 3999, bytes(4000)])
def test_an_attribute_that_is_no_marks_is_passed_over(tmp_path: Path, honest: bytes, attribute: bytes) -> None:
    layout = made(tmp_path / "layout")
    swap(layout)
    os.setxattr(layout / known.NAME, known.ATTRIBUTE, attribute)
    assert append(layout) == honest


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("which", ["list", "blobs"])
def test_what_belongs_to_another_user_is_not_believed(tmp_path: Path, honest: bytes, which: str) -> None:
    """A folder that somebody else made here, and that was moved: he knows all that a mark is made of."""
    layout = made(tmp_path / "layout")
    listed = swap(layout)
    if which == "blobs":
        for digest, _ in listed.layers.values():
            os.chown(blob(layout, digest), 65534, 65534)
    prove_all(layout, listed, lambda status: status)
    if which == "list":
        os.chown(layout / known.NAME, 65534, 65534)
    assert append(layout) == honest


@pytest.mark.parametrize("how", ["cp -a", "cp -a over it", "archive", "copytree", "mv of each blob"])
def test_copies_and_restored_backups_are_proved_again(tmp_path: Path, honest: bytes, how: str) -> None:
    """Times can be brought along, attributes too; no tool can set a ctime."""
    layout, other = made(tmp_path / "layout"), tmp_path / "other"
    prove_all(layout, swap(layout), lambda status: status)
    if how == "cp -a":
        subprocess.run(["cp", "-a", layout, other], check=True)
    elif how == "copytree":
        shutil.copytree(layout, other)
    elif how == "archive":
        subprocess.run(["tar", "--xattrs", "-cf", tmp_path / "a.tar", "-C", layout, "."], check=True)
        other.mkdir()
        subprocess.run(["tar", "--xattrs", "-xpf", tmp_path / "a.tar", "-C", other], check=True)
    else:
        other = layout
        for path in (layout / "blobs/sha256").iterdir():
            aside = tmp_path / "aside"
            if how == "mv of each blob":
                path.rename(aside)
                aside.rename(path)
            else:
                subprocess.run(["cp", "-a", path, aside], check=True)
                subprocess.run(["cp", "-a", "--remove-destination", aside, path], check=True)
                aside.unlink()
    assert append(other) == honest


@pytest.mark.parametrize("how", ["in place", "by rename", "by mmap", "by a link"])
def test_a_blob_that_was_written_to_is_proved_again_and_made_anew(tmp_path: Path, honest: bytes, how: str) -> None:
    """Same name, same size, same modification time; its bytes are another layer's, as far as they go."""
    layout = made(tmp_path / "layout")
    for digest, size in known.read(str(layout)).layers.values():
        path = blob(layout, digest)
        before = path.stat()
        wrong = bytes(size)
        if how == "in place":
            path.write_bytes(wrong)
        elif how == "by mmap":
            with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
                view[:] = wrong
        else:
            (tmp_path / "wrong").write_bytes(wrong)
            if how == "by a link":
                path.unlink()
                os.link(tmp_path / "wrong", path)
                (tmp_path / "wrong").unlink()
            else:
                (tmp_path / "wrong").rename(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert append(layout) == honest
    check(layout, "oci")


def test_a_source_is_held_to_its_word_where_its_blobs_are_in_the_target_already(tmp_path: Path) -> None:
    layout, source = made(tmp_path / "layout"), made(tmp_path / "source")
    largest = max((source / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(bytes(largest.stat().st_size))
    before = (layout / "index.json").read_bytes()
    done = run(source, "--to", "oci", layout, "--append")
    assert (done.returncode, done.stdout) == (3, b"")
    assert largest.name in done.stderr.decode()
    assert (layout / "index.json").read_bytes() == before


def test_a_list_without_marks_is_proved_once_more_and_gets_them(tmp_path: Path) -> None:
    """As an earlier imgconv wrote it."""
    layout = made(tmp_path / "layout")
    os.removexattr(layout / known.NAME, known.ATTRIBUTE)
    time.sleep(0.05)  # so that the blobs are older than the clock's step
    append(layout)
    listed = known.read(str(layout))
    for (profile, diff_id), (digest, _) in listed.layers.items():
        assert listed.is_proved(profile, diff_id, os.lstat(blob(layout, digest)))


def test_a_result_is_marked_and_its_bytes_tell_nothing_of_the_machine(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one"), made(tmp_path / "other")
    listed = known.read(str(one))
    for (profile, diff_id), (digest, _) in listed.layers.items():
        assert listed.is_proved(profile, diff_id, os.lstat(blob(one, digest)))
    assert len(listed.marks) == len(listed.layers)
    assert (one / known.NAME).read_bytes() == (other / known.NAME).read_bytes()
    assert set(json.loads((one / known.NAME).read_bytes())) == {"version", "profiles"}


def test_without_the_secret_or_attributes_everything_is_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = made(tmp_path / "layout")
    listed = known.read(str(layout))
    monkeypatch.setattr(known, "_BOOT_ID", str(tmp_path / "absent"))
    known._key.cache_clear()
    try:
        for (profile, diff_id), (digest, _) in listed.layers.items():
            assert not listed.is_proved(profile, diff_id, os.lstat(blob(layout, digest)))
        fresh = known.KnownLayers(dict(listed.layers))
        for (profile, diff_id), (digest, _) in listed.layers.items():
            fresh.prove(profile, diff_id, os.lstat(blob(layout, digest)))
        assert not fresh.attribute()
    finally:
        known._key.cache_clear()


def test_as_many_marks_are_kept_as_fit_the_latest_of_them() -> None:
    listed = known.KnownLayers()
    status = os.stat(__file__)
    for number in range(1000):
        diff_id = Digest.of(b"%d" % number)
        listed.add(PROFILE, diff_id, diff_id, 1)
        listed.prove(PROFILE, diff_id, status)
    assert len(listed.attribute()) <= 4000
    assert listed.attribute().endswith(list(listed.marks)[-1])


def test_a_change_within_a_step_of_the_clock_is_not_overlooked(tmp_path: Path) -> None:
    """Git calls such files racy: they may have been written to after they were looked at, and show the same time."""
    path = tmp_path / "blob"
    for _ in range(200):
        path.write_bytes(b"right")
        since = settled.now(str(tmp_path))
        status = os.lstat(path)
        path.write_bytes(b"wrong")
        if settled.shows_changes(status, since):
            assert os.lstat(path).st_ctime_ns != status.st_ctime_ns


def test_whoever_waits_gets_a_status_that_shows_every_later_change(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(b"right")
    since = settled.wait(str(tmp_path), [os.lstat(path)])
    status = os.lstat(path)
    assert settled.shows_changes(status, since)
    path.write_bytes(b"wrong")
    assert os.lstat(path).st_ctime_ns != status.st_ctime_ns


def test_a_file_system_that_counts_in_seconds_needs_two() -> None:
    second = 1_000_000_000
    status: Any = Status({"st_ctime_ns": 1_700_000_000 * second})
    assert not settled.shows_changes(status, status.st_ctime_ns + second)
    assert not settled.shows_changes(status, status.st_ctime_ns + 2 * second)
    assert settled.shows_changes(status, status.st_ctime_ns + 2 * second + 1)


def test_a_list_that_is_a_link_or_a_fifo_is_no_list(tmp_path: Path) -> None:
    layout = made(tmp_path / "layout")
    (layout / known.NAME).rename(tmp_path / "elsewhere")
    (layout / known.NAME).symlink_to(tmp_path / "elsewhere")
    assert not known.read(str(layout)).layers
    (layout / known.NAME).unlink()
    os.mkfifo(layout / known.NAME)
    assert not known.read(str(layout)).layers
