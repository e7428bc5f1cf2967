"""An archive written again: what stays is the same bytes, what is new stands at its end."""

import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

from convert.archive import tar_rewrite
from convert.archive.open import open_whole_tar
from convert.archive.tar_writer import Item
from convert.errors import InputError
from convert.model.digest import Digest

sys.path.insert(0, str(Path(__file__).parent))
from tars import END, header, member, pax

A = member(b"a", b"1" * 700)
OLD = pax((b"path", b"repositories")) + member(b"r", b"old")
B = member(b"b", b"2")
COMMENT = pax((b"comment", b"x"), flag=b"g")
NEW = [Item("repositories", content=b"new"), Item("l", "symlink", link="a")]


def amended(tmp_path, data, drop=("repositories",)):
    """Amend `data`, to a file and to a stream, which agree; the members that stay are verified in the copy."""
    path = tmp_path / "t.tar"
    path.write_bytes(data)
    tree, _ = open_whole_tar(str(path))
    out = io.BytesIO()
    with tree, (tmp_path / "out").open("wb+") as file:
        stay = [member for member in tree.members if member.name not in drop]
        bodies = [data[member.offset : member.offset + member.size] for member in stay]
        expected = [
            tar_rewrite.Expected(member.offset, member.size, Digest.of(body), member.name)
            for member, body in zip(stay, bodies, strict=True)
        ]
        tar_rewrite.write_to_file(file.fileno(), tree, drop, NEW, expected)
        tar_rewrite.write_to_stream(out.write, tree, drop, NEW)
        assert file.read() == out.getvalue()
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "stays"),
    [
        (A + B + END, A + B),
        (A + OLD + B + END, A + B),
        (OLD + A + COMMENT + OLD + B + OLD + END + bytes(8192), A + COMMENT + B),
        (A + B, A + B),
        (OLD + END, b""),
    ],
)
def test_all_other_members_stay_byte_for_byte(tmp_path, data, stays):
    assert amended(tmp_path, data) == stays + tar_rewrite.encode_items(NEW)


def test_members_are_added_on_a_block_even_if_the_last_padding_is_missing(tmp_path):
    data = amended(tmp_path, A + header(b"b", 1) + b"2")
    assert data == A + B + tar_rewrite.encode_items(NEW)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["a", "b", "repositories", "l"]


def test_a_replaced_member_keeps_its_place_spelling_mode_and_time(tmp_path):
    old = bytearray(member(b"./doc", b"old" * 300, mode=b"0000444\0"))
    old[136:148], old[148:156] = b"00000000115\0", b" " * 8
    old[148:156] = b"%06o\0 " % sum(old[:512])
    data = A + bytes(old) + B + member(b"doc", b"old" * 300) + END
    path = tmp_path / "t.tar"
    path.write_bytes(data)
    tree, _ = open_whole_tar(str(path))
    with tree, (tmp_path / "out").open("wb+") as file:
        item = tar_rewrite.replacement(tree, "doc", b"new")
        tar_rewrite.write_to_file(file.fileno(), tree, (), (), [], {"doc": item})
    with tarfile.open(tmp_path / "out") as tar:
        assert [(each.name, each.size) for each in tar] == [("a", 700), ("./doc", 3), ("b", 1)]
        assert (tar.getmember("./doc").mode, tar.getmember("./doc").mtime) == (0o444, 77)
    written = (tmp_path / "out").read_bytes()
    assert written.startswith(A)
    assert written.endswith(B + END)


@pytest.mark.parametrize("field", [b"\x80" + b"\xff" * 11, b"not a number", bytes(12)])
def test_a_time_that_is_no_number_becomes_0(tmp_path, field):
    raw = bytearray(member(b"doc", b"old"))
    raw[136:148], raw[148:156] = field, b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    (tmp_path / "t.tar").write_bytes(bytes(raw) + END)
    tree, _ = open_whole_tar(str(tmp_path / "t.tar"))
    with tree:
        assert tar_rewrite.replacement(tree, "doc", b"").mtime == 0


def test_the_same_without_the_kernels_help(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "copy_file_range", raising=False)
    assert amended(tmp_path, A + OLD + B + END) == A + B + tar_rewrite.encode_items(NEW)


def test_bytes_that_are_not_what_is_expected_are_refused(tmp_path):
    path = tmp_path / "t.tar"
    path.write_bytes(A + B + END)
    tree, _ = open_whole_tar(str(path))
    with tree, (tmp_path / "out").open("wb+") as file:
        first = tree.members[0]
        wrong = tar_rewrite.Expected(first.offset, first.size, Digest.of(b"other"), "a")
        with pytest.raises(InputError):
            tar_rewrite.write_to_file(file.fileno(), tree, (), NEW, [wrong])
