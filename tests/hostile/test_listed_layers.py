"""A list of layers in a layout is a hint: no forged list, mark or blob gives an image that is not its digest.

In most tests the list names another layer's blob for every layer, so that believing
it makes a wrong image.
"""

from __future__ import annotations

import mmap
import os
import shutil
import stat
from typing import TYPE_CHECKING

import pytest
from oracle.reading import check
from support import MATCH, run

from convert.writer import layer_cache, user_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from convert.model.digest import Digest

SOURCE = MATCH / "docker20-html.tar.gz"


def made(path: Path) -> Path:
    assert run(SOURCE, "--to", "oci", path).returncode == 0
    return path


def read(layout: Path) -> layer_cache.LayerCache:
    folder = os.open(layout, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return layer_cache.read(folder, str(layout))
    finally:
        os.close(folder)


def append(layout: Path) -> bytes:
    """Add the image under another name; return the index."""
    assert run(SOURCE, "--tag", "example.com/second:2", "--to", "oci", layout, "--append").returncode == 0
    return (layout / "index.json").read_bytes()


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the index where nothing was forged."""
    return append(made(tmp_path_factory.mktemp("honest") / "layout"))


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give each test a user of its own; return where the key is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    user_key.user_key.cache_clear()
    yield tmp_path / "state/imgconv/layers.key"
    user_key.user_key.cache_clear()


def use_state(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    user_key.user_key.cache_clear()


def needs_marks(layout: Path) -> None:
    if not read(layout).marks:
        pytest.skip("this file system has no extended attributes")


def swap(layout: Path) -> layer_cache.LayerCache:
    """Write a list that gives every layer the next one's blob, with all marks that were there."""
    listed = read(layout)
    names = sorted(listed.layers)
    blobs = [listed.layers[name] for name in names]
    listed.layers = dict(zip(names, blobs[1:] + blobs[:1], strict=True))
    assert len(set(blobs)) > 1, "the list would be true"
    write(layout, listed)
    return listed


def write(layout: Path, listed: layer_cache.LayerCache) -> None:
    (layout / layer_cache.NAME).write_bytes(listed.document())
    if hasattr(os, "setxattr"):
        os.setxattr(layout / layer_cache.NAME, layer_cache.ATTRIBUTE, listed.attribute())


def mark_all(layout: Path, listed: layer_cache.LayerCache) -> None:
    """Mark every entry of the list as verified, with the key that is in use."""
    listed.marks.clear()
    for profile, diff_id in listed.layers:
        listed.mark(profile, diff_id)
    write(layout, listed)


def blob(layout: Path, digest: Digest) -> Path:
    return layout / "blobs" / digest.algorithm / digest.hex


def test_who_has_the_key_is_believed(tmp_path: Path, honest: bytes) -> None:
    """So the tests below can fail: with the user's own marks, the wrong list is taken."""
    layout = made(tmp_path / "layout")
    needs_marks(layout)
    mark_all(layout, swap(layout))
    assert append(layout) != honest


def test_marks_that_another_user_or_a_container_made_are_not_believed(
    tmp_path: Path, honest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = made(tmp_path / "layout")
    needs_marks(layout)
    use_state(monkeypatch, tmp_path / "container")
    mark_all(layout, swap(layout))
    use_state(monkeypatch, tmp_path / "state")
    assert append(layout) == honest
    check(layout, "oci")


def test_marks_of_other_pairs_are_not_believed(tmp_path: Path, honest: bytes) -> None:
    """The layout's own marks are of the true list; each names profile, DiffID, digest and size."""
    layout = made(tmp_path / "layout")
    marks = read(layout).marks
    assert swap(layout).marks == marks
    assert append(layout) == honest


@pytest.mark.parametrize("attribute", [b"", b"x", b"x" * 16, b"x" * 3999, bytes(4000)])
def test_an_attribute_that_is_no_marks_is_ignored(tmp_path: Path, honest: bytes, attribute: bytes) -> None:
    layout = made(tmp_path / "layout")
    needs_marks(layout)
    swap(layout)
    os.setxattr(layout / layer_cache.NAME, layer_cache.ATTRIBUTE, attribute)
    assert append(layout) == honest


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("how", ["in place", "by rename", "by mmap", "by a link"])
def test_a_blob_that_was_written_to_is_replaced(tmp_path: Path, honest: bytes, how: str, marked: bool) -> None:
    """Same name, same size, same modification time, other bytes."""
    layout = made(tmp_path / "layout")
    for digest, size in read(layout).layers.values():
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
    if not marked:
        write(layout, layer_cache.LayerCache(read(layout).layers))
    assert append(layout) == honest
    check(layout, "oci")


def test_a_source_is_verified_where_its_blobs_are_in_the_target_already(tmp_path: Path) -> None:
    layout, source = made(tmp_path / "layout"), made(tmp_path / "source")
    largest = max((source / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(bytes(largest.stat().st_size))
    before = (layout / "index.json").read_bytes()
    done = run(source, "--to", "oci", layout, "--append")
    assert (done.returncode, done.stdout) == (3, b"")
    assert largest.name in done.stderr.decode()
    assert (layout / "index.json").read_bytes() == before


def test_a_list_without_marks_is_verified_once_more_and_gets_them(tmp_path: Path) -> None:
    """As somebody else wrote it, or a copy without extended attributes."""
    layout = made(tmp_path / "layout")
    needs_marks(layout)
    os.removexattr(layout / layer_cache.NAME, layer_cache.ATTRIBUTE)
    append(layout)
    listed = read(layout)
    assert listed.layers
    assert all(listed.is_verified(*name) for name in listed.layers)


def test_the_bytes_of_a_result_say_nothing_about_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = made(tmp_path / "one")
    use_state(monkeypatch, tmp_path / "other user")
    other = made(tmp_path / "other")
    assert (one / layer_cache.NAME).read_bytes() == (other / layer_cache.NAME).read_bytes()


def test_the_key_is_created_once_and_for_its_owner_only(tmp_path: Path, own_key: Path) -> None:
    made(tmp_path / "one")
    status, key = own_key.stat(), own_key.read_bytes()
    assert (stat.S_IMODE(status.st_mode), len(key), len(set(key)) > 8) == (0o600, 32, True)
    made(tmp_path / "two")
    assert own_key.read_bytes() == key
    assert os.listdir(own_key.parent) == [own_key.name]


@pytest.mark.parametrize("fault", ["readable", "short", "link", "second name", "fifo", "foreign", "foreign folder"])
def test_a_key_that_others_may_know_is_not_used(own_key: Path, fault: str) -> None:
    assert len(user_key.user_key()) == 32
    user_key.user_key.cache_clear()
    aside = own_key.with_name("aside")
    if fault == "readable":
        own_key.chmod(0o640)
    elif fault == "short":
        own_key.write_bytes(b"x" * 31)
    elif fault == "link":
        own_key.rename(aside)
        own_key.symlink_to(aside)
    elif fault == "second name":
        os.link(own_key, aside)
    elif fault == "fifo":
        own_key.unlink()
        os.mkfifo(own_key, 0o600)
    elif os.geteuid() != 0:
        pytest.skip("only root can give files away")
    else:
        os.chown(own_key if fault == "foreign" else own_key.parent, 65534, 65534)
    assert user_key.user_key() == b""


@pytest.mark.parametrize("state", ["/dev/null/nowhere", "relative", "/proc/self"])
def test_without_a_place_for_the_key_every_blob_is_verified(
    tmp_path: Path, honest: bytes, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    use_state(monkeypatch, tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", state)
    monkeypatch.setenv("HOME", "/dev/null")
    layout = made(tmp_path / "layout")
    assert not read(layout).marks
    swap(layout)
    assert append(layout) == honest
    shutil.rmtree(layout)


def test_as_many_marks_are_kept_as_fit_the_latest_of_them() -> None:
    from convert.model.digest import Digest

    listed = layer_cache.LayerCache()
    for number in range(1000):
        diff_id = Digest.of(b"%d" % number)
        listed.add("go1.26-1", diff_id, diff_id, 1)
        listed.mark("go1.26-1", diff_id)
    assert len(listed.attribute()) <= 4000
    assert listed.attribute().endswith(list(listed.marks)[-1])


def test_a_list_that_is_a_link_or_a_fifo_is_no_list(tmp_path: Path) -> None:
    layout = made(tmp_path / "layout")
    (layout / layer_cache.NAME).rename(tmp_path / "elsewhere")
    (layout / layer_cache.NAME).symlink_to(tmp_path / "elsewhere")
    assert not read(layout).layers
    (layout / layer_cache.NAME).unlink()
    os.mkfifo(layout / layer_cache.NAME)
    assert not read(layout).layers
