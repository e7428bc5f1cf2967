"""The check of a layer's tar: where it ends, which paths it names twice, and which headers tools read differently."""

import io
import os
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_tars import BROKEN, END, LONG, ONE, SOUND, TWICE, member

from convert.layer import tar_check


def pieces(raw, size):
    return iter([raw[start : start + size] for start in range(0, len(raw), size)])


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
@pytest.mark.parametrize("case", BROKEN)
def test_layers_that_no_engine_unpacks_are_broken(case, size):
    raw = BROKEN[case]
    assert tar_check.scan(pieces(raw, max(size, len(raw) // 5000))).broken


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
@pytest.mark.parametrize("case", SOUND)
def test_layers_that_every_engine_unpacks_are_sound(case, size):
    assert tar_check.scan(pieces(SOUND[case], size)) == tar_check.LayerFaults()


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
@pytest.mark.parametrize("case", TWICE)
def test_layers_that_name_a_path_twice(case, size):
    raw, path = TWICE[case]
    assert tar_check.scan(pieces(raw, size)) == tar_check.LayerFaults(repeated=(path,), repeats=1)


@pytest.mark.parametrize("end", [b"", END])
def test_an_extended_header_without_a_member_is_disputed(end):
    assert tar_check.scan(iter([ONE + member(LONG, b"x")[:1024] + end])).disputed


def test_an_unusual_header_is_disputed_and_what_follows_is_read():
    pax = member("x", b"10 path=p\n", b"x")
    found = tar_check.scan(iter([pax + pax + member("a") + member("b", b"x" * 600)[:700]]))
    assert found.disputed
    assert found.broken


PATHS = ["a", "b", "c", "./a", "a/", "/a", "a//b", "a/b", "a/../b", "..", "../a", ".b", "a/.c", "ä"]
names = st.lists(st.sampled_from(PATHS), max_size=8)


@settings(max_examples=80, deadline=None)
@given(names=names, size=st.integers(1, 3000), contents=st.integers(0, 1200))
def test_a_tar_of_pythons_own_is_read_as_python_reads_it(names, size, contents):
    """The independent reader: tarfile, and paths compared part by part."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = contents
            archive.addfile(info, io.BytesIO(bytes(contents)))
    found = tar_check.scan(pieces(output.getvalue(), size))
    with tarfile.open(fileobj=io.BytesIO(output.getvalue())) as archive:
        read = archive.getnames()
    # tarfile leaves the slash at the end of a name out.
    slow = [("/" if name.startswith("/") else "") + (os.path.normpath(name).lstrip("/") or ".") for name in read]
    assert found.repeats == len(slow) - len(set(slow))
    assert not found.broken


def test_names_beyond_the_limit_are_not_compared_and_it_is_reported(monkeypatch):
    monkeypatch.setattr(tar_check, "MAX_LAYER_NAMES", 5)
    raw = b"".join(member(f"f{number}") for number in range(9)) + member("f1") + END
    found = tar_check.scan(iter([raw]))
    assert (found.unchecked, found.repeats) == (True, 1)


def test_a_table_of_names_grows_and_keeps_them():
    table = tar_check._Names()
    assert not any(table.add(b"%d" % number) for number in range(5000))
    assert all(table.add(b"%d" % number) for number in range(5000))
