"""Names to bytes: links stay inside the archive, whatever they say."""

import os
import socket
import sys
from pathlib import Path

import pytest

from convert.archive.blob import Stamp
from convert.archive.folder_tree import FolderTree
from convert.archive.open import open_source
from convert.archive.tar_tree import TarTree
from convert.archive.tree import clean
from convert.errors import FormatError, InputError, StorageError, TruncatedError, UnsafeInputError, UnsupportedError

sys.path.insert(0, str(Path(__file__).parent))
from tars import END, member, pax


def file(name, data=b"data"):
    return member(name, data)


def symlink(name, target):
    return member(name, flag=b"2", link=target)


def hardlink(name, target):
    return member(name, flag=b"1", link=target)


def folder(name):
    return member(name, flag=b"5")


@pytest.fixture(params=["file", "pipe"])
def tree_of(request, tmp_path):
    """Return a function that gives the tree of a tar, from a file and from a pipe."""
    opened = []

    def make(*parts):
        path = tmp_path / "t.tar"
        path.write_bytes(b"".join(parts) + END)
        if request.param == "file":
            source = open_source(str(path))
        else:
            with path.open("rb") as stream:
                source = open_source("-", stdin=_Plain(stream.read()))
        opened.append(source)
        return source.tree

    yield make
    for source in opened:
        source.close()


class _Plain:
    """A stream without a file descriptor, as tests of commands hand in."""

    def __init__(self, data):
        self._data = data

    def read(self, size):
        part, self._data = self._data[:size], self._data[size:]
        return part

    def readinto(self, buffer):
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a/b", "a/b"), ("./a", "a"), ("a//b/", "a/b"), ("a/./b", "a/b"), ("sha256:ab", "sha256:ab"),
        ("/a", "a"), ("../a", None), ("a/../b", "b"), ("a/..", None), ("/../a", None),
        ("", None), (".", None), ("./", None),
        ("a\0b", None), ("..a", "..a"), ("a..", "a.."),
    ],
)  # fmt: skip
def test_clean_names(name, wanted):
    assert clean(name) == wanted


FOLLOWED = {
    "itself": ([file(b"x")], "x"),
    "with ./": ([file(b"./x")], "x"),
    "symlink beside": ([file(b"d/x"), symlink(b"d/l", b"x")], "d/l"),
    "symlink as docker writes it": ([file(b"a/layer.tar"), symlink(b"b/layer.tar", b"../a/layer.tar")], "b/layer.tar"),
    "symlink before its target": ([symlink(b"l", b"x"), file(b"x")], "l"),
    "symlink to symlink": ([file(b"x"), symlink(b"l", b"m"), symlink(b"m", b"./x")], "l"),
    "eight hops": ([symlink(b"l%d" % n, b"l%d" % (n + 1)) for n in range(8)] + [file(b"l8")], "l0"),
    "hard link by name": ([file(b"a/x"), hardlink(b"b/l", b"a/x")], "b/l"),
    "hard link from its own folder": ([file(b"b/x"), hardlink(b"b/l", b"x")], "b/l"),
    "hard link to symlink": ([file(b"x"), symlink(b"s", b"x"), hardlink(b"l", b"s")], "l"),
    "symlinked folder": ([file(b"real/x"), symlink(b"dir", b"real")], "dir/x"),
    "one .. too many": ([file(b"a/x"), symlink(b"b/l", b"../../a/x")], "b/l"),
}


@pytest.mark.parametrize("case", FOLLOWED, ids=str)
def test_links_that_stay_inside_are_followed(tree_of, case):
    parts, name = FOLLOWED[case]
    tree = tree_of(*parts)
    blob = tree.find(name)
    assert blob.size == 4
    with blob.open() as stream:
        assert stream.read() == b"data"
    assert tree.read(name) == b"data"
    assert tree.find(name) is blob


def test_a_link_gives_the_same_object_as_its_target(tree_of):
    tree = tree_of(file(b"x"), symlink(b"l", b"x"), hardlink(b"h", b"x"))
    assert tree.find("l") is tree.find("x") is tree.find("h")


LEADS_OUT = {
    "absolute symlink": ([symlink(b"l", b"/etc/passwd")], "l", "leads out"),
    "symlink out": ([symlink(b"l", b"../../etc/passwd")], "l", "leads out"),
    "symlink one out": ([symlink(b"l", b"../etc/passwd")], "l", "leads out"),
    "two .. too many, target there": ([file(b"x"), symlink(b"l", b"../../x")], "l", "leads out"),
    "symlink to the root": ([symlink(b"l", b".")], "l", "leads out"),
    "empty symlink": ([symlink(b"l", b"")], "l", "leads out"),
    "absolute hard link": ([hardlink(b"l", b"/etc/passwd")], "l", "leads out"),
    "hard link out": ([hardlink(b"l", b"../x")], "l", "leads out"),
    "symlink to itself": ([symlink(b"l", b"l")], "l", "circle"),
    "symlink loop": ([symlink(b"l", b"m"), symlink(b"m", b"l")], "l", "circle"),
    "hard link to itself": ([hardlink(b"l", b"l")], "l", "circle"),
    "folder loop": ([symlink(b"d", b"d/d")], "d/x", "circle"),
    "nine hops": ([symlink(b"l%d" % n, b"l%d" % (n + 1)) for n in range(9)] + [file(b"l9")], "l0", "circle"),
    "folder that leads out": ([symlink(b"d", b"/etc")], "d/passwd", "leads out"),
    "device": ([member(b"x", flag=b"3")], "x", "device"),
    "fifo": ([member(b"x", flag=b"6")], "x", "fifo"),
    "link to a device": ([member(b"x", flag=b"4"), symlink(b"l", b"x")], "l", "device"),
    "name with ..": ([file(b"x")], "a/../x", "names nothing"),
    "name out": ([file(b"x")], "../x", "names nothing"),
    "empty name": ([file(b"x")], "", "names nothing"),
    "NUL": ([file(b"x")], "x\0", "names nothing"),
}


@pytest.mark.parametrize("case", LEADS_OUT, ids=str)
def test_what_leads_out_is_refused(tree_of, case):
    parts, name, text = LEADS_OUT[case]
    tree = tree_of(*parts)
    with pytest.raises(UnsafeInputError, match=text):
        tree.find(name)


@pytest.mark.parametrize("written", [b"/d/x", b"./d/x", b"//d/./x", b"/./d//x", b"a/../d/x"])
@pytest.mark.parametrize("asked", ["d/x", "/d/x", "./d/x"])
def test_a_leading_slash_or_dot_does_not_count(tree_of, written, asked):
    assert tree_of(file(written)).read(asked) == b"data"


OTHER = file(b"y", b"other")
DISPUTED = {
    "absolute beside relative": ([file(b"x"), file(b"/x", b"other")], "x"),
    "resolved beside relative": ([file(b"x"), file(b"a/../x", b"other")], "x"),
    "leads out beside inside": ([file(b"x"), file(b"../x", b"other")], "x"),
    "leads out by a folder": ([file(b"a/../../x", b"other"), file(b"x")], "x"),
    "leads out of the root": ([file(b"/../d/x", b"other"), file(b"d/x")], "d/x"),
    "one .. too many, and such a member": (
        [file(b"a/x"), file(b"../a/x", b"other"), symlink(b"b/l", b"../../a/x")],
        "b/l",
    ),
    "global header of that name": ([pax((b"comment", b"c"), flag=b"g", name=b"x"), file(b"x")], "x"),
    "a file with the mode of a symlink": ([member(b"x", b"data", link=b"y", mode=b"0120777\0"), OTHER], "x"),
    "member below a link": ([symlink(b"d", b"e"), file(b"d/x"), file(b"e/x", b"other")], "d/x"),
    "member that others write through a link": ([symlink(b"d", b"e"), file(b"d/x"), file(b"e/x", b"other")], "e/x"),
    "the link comes later": ([file(b"d/x"), file(b"e/x", b"other"), symlink(b"d", b"e")], "d/x"),
    "link below a link": ([symlink(b"d", b"e"), symlink(b"d/x", b"y"), file(b"e/x/z"), OTHER], "e/x/z"),
    "below one of two": ([folder(b"d"), symlink(b"d", b"e"), file(b"d/x"), file(b"e/x", b"other")], "e/x"),
    "member below a hard link": ([hardlink(b"d", b"e"), file(b"d/x"), file(b"e/x", b"other")], "d/x"),
    "hard link to two": ([file(b"x"), file(b"b/x", b"other"), hardlink(b"b/l", b"x")], "b/l"),
    "hard link to two, one by a link": (
        [symlink(b"d", b"e"), file(b"e/x"), file(b"b/d/x", b"other"), hardlink(b"b/l", b"d/x")],
        "b/l",
    ),
    "hard link to a symlink elsewhere": (
        [file(b"a/x"), file(b"b/x", b"other"), symlink(b"a/s", b"x"), hardlink(b"b/l", b"a/s")],
        "b/l",
    ),
    ".. behind a linked folder": ([symlink(b"d", b"e/f"), file(b"x"), file(b"e/x"), symlink(b"l", b"d/../x")], "l"),
}


@pytest.mark.parametrize("case", DISPUTED, ids=str)
def test_what_tools_read_differently_is_refused_when_used(tree_of, case):
    parts, name = DISPUTED[case]
    tree = tree_of(*parts, file(b"unrelated"))
    assert tree.read("unrelated") == b"data"
    for _ in range(2):
        with pytest.raises(FormatError, match=r"readers disagree|and they differ"):
            tree.find(name)


def test_links_with_dots_that_every_reader_follows_alike(tree_of):
    tree = tree_of(file(b"a/x"), folder(b"b"), symlink(b"b/l", b"../a/../a/x"), symlink(b"b/m", b"gone/../../a/x"))
    assert tree.read("b/l") == tree.read("b/m") == b"data"


def test_many_nested_links_are_looked_at_once(tree_of):
    """Each link with all below it would be a hundred million names."""
    deep = [b"d/" * depth + b"d" for depth in range(500)]
    parts = [symlink(name[:90], b"x") for name in deep[:40]] + [file(b"d/f%d" % number, b"") for number in range(3000)]
    tree = tree_of(*parts, file(b"ok"))
    assert tree.read("ok") == b"data"
    with pytest.raises(FormatError, match="below a link"):
        tree.find("d/f7")


@pytest.mark.parametrize("kind", [symlink, hardlink])
def test_the_folders_of_all_long_names_are_limited(kind, tree_of, monkeypatch):
    """7,500 hard links, each through eight others in folders 250 deep, are 213 KB, and took `id` a minute."""
    deep = b"a/" * 20
    target = b"../" * 20 + b"x" if kind is symlink else b"x"
    links = [kind(deep + b"%d" % number, target) for number in range(100)]
    tree = tree_of(file(b"x"), *links)
    monkeypatch.setattr("convert.archive.tree.MAX_NAME_STEPS", 21 * 50)
    names = [(deep + b"%d" % number).decode() for number in range(100)]
    assert all(tree.read(name) == b"data" for name in names[:50])
    with pytest.raises(UnsafeInputError, match="more than 1050 folders together"):
        tree.read(names[50])
    # Names as they usually are cost nothing of it.
    assert all(tree.read("x") == b"data" for _ in range(2000))


def test_a_folder_is_no_file(tree_of):
    tree = tree_of(folder(b"d"), symlink(b"l", b"d"))
    for name in ("d", "l"):
        with pytest.raises(FormatError, match="this is a folder"):
            tree.find(name)


def test_a_sparse_member_is_refused_only_when_it_is_used(tree_of):
    tree = tree_of(pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")), file(b"s"), file(b"x"))
    assert tree.read("x") == b"data"
    with pytest.raises(UnsupportedError, match="sparse"):
        tree.find("s")


def test_absent_names_are_none(tree_of):
    tree = tree_of(file(b"x"), symlink(b"l", b"nowhere"), folder(b"d"))
    for name in ("y", "l", "d/y", "x/y"):
        assert tree.find(name) is None
    with pytest.raises(FormatError, match="y: no such member"):
        tree.read("y")


def test_members_whose_names_lead_out_are_ignored_with_a_warning(tree_of):
    tree = tree_of(file(b"../x"), file(b"y/../../y"), folder(b"./"), file(b"z"))
    assert list(tree.names()) == ["z"]
    assert len(tree.warnings) == 2
    assert all("is ignored" in warning for warning in tree.warnings)


def test_repeated_members_that_are_alike_are_accepted_with_a_warning(tree_of):
    tree = tree_of(file(b"x"), file(b"./x"), symlink(b"l", b"x"), symlink(b"l", b"x"), folder(b"d"), folder(b"d"))
    assert tree.read("l") == b"data"
    assert tree.find("d/x") is None
    assert [warning.partition(":")[0] for warning in tree.warnings] == ["l", "x"]


@pytest.mark.parametrize(
    "second", [file(b"x", b"atad"), file(b"x", b"longer"), symlink(b"x", b"y"), folder(b"x"), hardlink(b"x", b"y")]
)
def test_repeated_members_that_differ_are_refused_when_used(tree_of, second):
    """Docker takes the last, skopeo and crane the first: no reading is right."""
    tree = tree_of(file(b"x"), second, file(b"y"))
    assert tree.read("y") == b"data"
    for _ in range(2):
        with pytest.raises(FormatError, match="2 members of this name, and they differ"):
            tree.find("x")


def test_names_that_differ_by_case_are_two_names(tree_of):
    tree = tree_of(file(b"x", b"1"), file(b"X", b"2"))
    assert (tree.read("x"), tree.read("X")) == (b"1", b"2")


def test_large_documents_are_not_read(tree_of):
    tree = tree_of(file(b"x", b"12345"))
    assert tree.read("x", limit=5) == b"12345"
    with pytest.raises(UnsafeInputError, match="more than 4 bytes"):
        tree.read("x", limit=4)


def test_names_that_are_no_utf_8_are_found_and_printed_safely(tree_of):
    tree = tree_of(file(b"\xff\x1b[31m"))
    (name,) = tree.names()
    assert tree.read(name) == b"data"
    with pytest.raises(UnsafeInputError) as caught:
        tree.read(name, limit=1)
    assert str(caught.value).isprintable()


class TestBlobs:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "t.tar"
        path.write_bytes(file(b"a", b"0123456789") + file(b"b", b"x" * 5000) + END)
        return path

    def test_streams_are_independent(self, path):
        with open_source(str(path)) as source:
            blob = source.tree.find("a")
            with blob.open() as one, blob.open() as two:
                assert one.read(4) == b"0123"
                assert two.read(2) == b"01"
                assert one.read(100) == b"456789"
                assert (one.read(1), one.read()) == (b"", b"")
                buffer = bytearray(100)
                assert two.readinto(buffer) == 8
                assert two.readinto(buffer) == 0
                assert buffer[:8] == b"23456789"

    def test_seeking_stays_in_the_slice(self, path):
        with open_source(str(path)) as source, source.tree.find("a").open() as stream:
            assert stream.seekable()
            assert stream.seek(-3, os.SEEK_END) == 7
            assert stream.read() == b"789"
            assert (stream.seek(-100, os.SEEK_CUR), stream.tell()) == (0, 0)
            assert stream.seek(1000) == 10

    def test_extents_lie_in_the_file(self, path):
        with open_source(str(path)) as source:
            extent = source.tree.find("a").extent()
            assert os.pread(extent.fd, extent.size, extent.offset) == b"0123456789"

    def test_a_file_that_shrinks_is_noticed(self, path):
        with open_source(str(path)) as source:
            blob = source.tree.find("b")
            os.truncate(path, 1700)
            with blob.open() as stream, pytest.raises(InputError, match="changed while it was read"):
                stream.read()
            with blob.open() as stream:
                assert stream.readinto(bytearray(1000)) < 1000
                with pytest.raises(InputError, match="changed while it was read"):
                    stream.readinto(bytearray(1000))

    def test_a_file_that_is_written_to_is_noticed(self, path):
        with open_source(str(path)) as source:
            source.tree.check_unchanged()
            with path.open("r+b") as again:
                again.write(b"x")
            os.utime(path, ns=(1, 1))
            with pytest.raises(InputError, match="changed"):
                source.tree.check_unchanged()


class TestFolder:
    @pytest.fixture
    def root(self, tmp_path):
        root = tmp_path / "layout"
        (root / "blobs" / "sha256").mkdir(parents=True)
        (root / "index.json").write_bytes(b"{}")
        (root / "blobs" / "sha256" / "aa").write_bytes(b"blob")
        (tmp_path / "secret").write_bytes(b"secret")
        return root

    @pytest.fixture
    def tree(self, root):
        with open_source(str(root)) as source:
            yield source.tree

    def test_files_are_read(self, tree):
        assert tree.is_folder
        assert tree.read("index.json") == b"{}"
        assert tree.read("./blobs//sha256/aa") == b"blob"
        assert tree.find("blobs/sha256/aa") is tree.find("blobs/sha256/aa")
        extent = tree.find("blobs/sha256/aa").extent()
        assert os.pread(extent.fd, 10, 0) == b"blob"

    def test_names_are_sorted(self, tree):
        assert list(tree.names()) == ["blobs", "blobs/sha256", "blobs/sha256/aa", "index.json"]

    @pytest.mark.parametrize("name", ["nope", "blobs/nope", "index.json/x", "n" * 300, "\ud800"])
    def test_absent_names_are_none(self, tree, name):
        assert tree.find(name) is None

    def test_links_inside_are_followed(self, root, tree):
        (root / "blobs" / "sha256" / "bb").symlink_to("aa")
        (root / "short").symlink_to("blobs/sha256")
        assert tree.find("blobs/sha256/bb") is tree.find("blobs/sha256/aa") is tree.find("short/bb")

    @pytest.mark.parametrize("target", ["../../../secret", "/etc/passwd", "../../.."])
    def test_links_in_blobs_that_leave_the_folder_are_refused(self, root, tree, target):
        (root / "blobs" / "sha256" / "bb").symlink_to(target)
        with pytest.raises(UnsafeInputError, match="leads out") as caught:
            tree.find("blobs/sha256/bb")
        assert "tar chf - -C " in caught.value.hint
        assert str(root) in caught.value.hint

    def test_a_folder_that_leads_out_is_refused(self, root, tree):
        (root / "more").symlink_to("..")
        with pytest.raises(UnsafeInputError, match="leads out"):
            tree.find("more/secret")
        assert "more" in tree.names()
        assert "more/secret" not in tree.names()

    def test_fifos_and_sockets_are_never_opened(self, root, tree, monkeypatch):
        os.mkfifo(root / "fifo")
        monkeypatch.chdir(root)
        with socket.socket(socket.AF_UNIX) as there:
            there.bind("socket")
            for name in ("fifo", "socket"):
                with pytest.raises(UnsafeInputError, match="a file is needed here"):
                    tree.find(name)

    def test_a_file_that_becomes_a_link_is_not_followed(self, root, tree):
        blob = tree.find("blobs/sha256/aa")
        (root / "blobs" / "sha256" / "aa").unlink()
        (root / "blobs" / "sha256" / "aa").symlink_to("../../../secret")
        with pytest.raises(UnsafeInputError, match="not a regular file"):
            blob.open()

    def test_a_folder_that_becomes_a_link_is_not_followed(self, root, tree):
        blob = tree.find("blobs/sha256/aa")
        (root / "blobs").rename(root / "old")
        (root / "blobs").symlink_to("old")
        with pytest.raises(StorageError, match="opening"):
            blob.open()

    def test_a_file_that_changes_is_noticed(self, root, tree):
        blob = tree.find("blobs/sha256/aa")
        tree.check_unchanged()
        (root / "blobs" / "sha256" / "aa").write_bytes(b"other!")
        for act in (blob.open, blob.extent, tree.check_unchanged):
            with pytest.raises(InputError, match="changed while it was read"):
                act()

    def test_a_file_that_goes_is_noticed(self, root, tree):
        blob = tree.find("blobs/sha256/aa")
        (root / "blobs" / "sha256" / "aa").unlink()
        with pytest.raises(StorageError, match="opening blobs/sha256/aa"):
            blob.open()
        with pytest.raises(InputError, match="changed"):
            tree.check_unchanged()

    def test_names_are_counted(self, tree, monkeypatch):
        monkeypatch.setattr("convert.archive.folder_tree.MAX_MEMBERS", 3)
        with pytest.raises(UnsafeInputError, match="too many files"):
            tree.names()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_what_may_not_be_read_is_said(self, root, tree):
        (root / "blobs" / "sha256").chmod(0)
        with pytest.raises(StorageError, match="Permission denied"):
            tree.find("blobs/sha256/aa")


def test_a_closed_tree_can_be_closed_again(tmp_path):
    path = tmp_path / "t.tar"
    path.write_bytes(file(b"a") + END)
    for tree in (
        TarTree(os.open(path, os.O_RDONLY), "t"),
        FolderTree(os.open(tmp_path, os.O_RDONLY), "t"),
    ):
        tree.close()
        tree.close()


def test_a_damaged_tar_leaves_no_open_file(tmp_path):
    path = tmp_path / "t.tar"
    path.write_bytes(file(b"a", b"x" * 1000)[:700])
    fd = os.open(path, os.O_RDONLY)
    with pytest.raises(TruncatedError):
        TarTree(fd, "t")
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


def test_stamps_tell_files_apart(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"1")
    assert Stamp.of((tmp_path / "a").stat()) != Stamp.of((tmp_path / "b").stat())
