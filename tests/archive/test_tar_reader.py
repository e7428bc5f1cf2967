"""The tar reader: legal archives of every dialect, and those that lie."""

import io
import os
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.archive import tar_reader
from convert.archive.cursor import StreamCursor
from convert.archive.tar_reader import TarReader, index
from convert.errors import FormatError, InputError, TruncatedError, UnknownFormatError, UnsafeInputError

sys.path.insert(0, str(Path(__file__).parent))
from tars import BLOCK, END, gnu_long, header, member, pad, pax, record


def read_file(data):
    """Index `data` as a file; return members and warnings."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        members, reader = index(file.fileno(), len(data), where="t.tar")
    return members, reader.warnings


def read_stream(data):
    """Read `data` as a stream; return members and warnings."""
    reader = TarReader(StreamCursor(io.BytesIO(data)), where="t.tar")
    members = list(reader)
    reader.finish()
    return members, reader.warnings


SPARSE = (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")


READERS = pytest.mark.parametrize("read", [read_file, read_stream])


@READERS
class TestLegal:
    def test_v7_headers(self, read):
        members, _ = read(member(b"a/", flag=b"\0", magic=b"") + member(b"a/b", b"x", flag=b"\0", magic=b"") + END)
        assert [(m.name, m.kind, m.size) for m in members] == [("a/", "dir", 0), ("a/b", "file", 1)]

    def test_a_signed_checksum_of_old_sun_tar(self, read):
        members, _ = read(member("ü".encode(), b"x", signed=True) + END)
        assert members[0].name == "ü"

    def test_prefix_and_name_are_joined(self, read):
        members, _ = read(member(b"name", prefix=b"some/prefix") + END)
        assert members[0].name == "some/prefix/name"

    def test_what_gnu_keeps_in_the_prefix_field_is_no_prefix(self, read):
        members, _ = read(member(b"name", prefix=b"14000000000", magic=b"ustar  \0") + END)
        assert members[0].name == "name"

    def test_the_prefix_of_star_is_131_bytes(self, read):
        field = b"p".ljust(131, b"\0") + b"15000000000 "
        members, _ = read(member(b"name", prefix=field, tail=bytes(8) + b"tar\0") + END)
        assert members[0].name == "p/name"

    def test_gnu_long_names_and_links(self, read):
        long_name, long_link = b"n" * 300, b"l" * 300
        data = gnu_long(b"K", long_link) + gnu_long(b"L", long_name) + member(b"n", flag=b"2", link=b"l") + END
        (found,), _ = read(data)
        assert (found.name, found.link, found.start) == ("n" * 300, "l" * 300, 0)

    def test_pax_path_size_and_link(self, read):
        data = pax((b"path", "ä/b".encode()), (b"size", b"3")) + header(b"x", 0) + pad(b"abc") + END
        (found,), _ = read(data)
        assert (found.name, found.size) == ("ä/b", 3)

    def test_an_empty_pax_value_takes_the_record_back(self, read):
        (found,), _ = read(pax((b"path", b"")) + member(b"x") + END)
        assert found.name == "x"

    def test_base_256_sizes(self, read):
        field = b"\x80" + (5).to_bytes(11, "big")
        (found,), _ = read(header(b"x", size_field=field) + pad(b"12345") + END)
        assert found.size == 5

    @pytest.mark.parametrize("field", [b"5\0", b"     5 \0", b"00000000005 ", b"5 ", b"5"])
    def test_the_spellings_of_an_octal_number(self, read, field):
        (found,), _ = read(header(b"x", size_field=field) + pad(b"12345") + END)
        assert found.size == 5

    def test_a_global_comment_as_git_archive_writes_it(self, read):
        data = pax((b"comment", b"commit"), flag=b"g") + member(b"a", b"1") + END
        (header, found), _ = read(data)
        assert (header.kind, header.start, header.end) == ("global", 0, 2 * BLOCK)
        assert (found.name, found.start) == ("a", 2 * BLOCK)

    def test_old_gnu_sparse_members_are_marked_and_passed_over(self, read):
        first = bytearray(header(b"s", 1, flag=b"S", magic=b"ustar  \0"))
        first[482] = 1
        total = sum(first[:148]) + 256 + sum(first[156:])
        first[148:156] = b"%06o\0 " % total
        members, _ = read(bytes(first) + bytes(BLOCK) + pad(b"x") + member(b"next") + END)
        assert [(m.name, m.sparse) for m in members] == [("s", True), ("next", False)]

    def test_pax_sparse_members_are_marked(self, read):
        (found,), _ = read(pax(*SPARSE) + member(b"s", b"1\n0\n") + END)
        assert found.sparse

    def test_the_name_of_a_pax_sparse_member_is_its_real_one(self, read):
        records = *SPARSE, (b"GNU.sparse.name", b"real"), (b"path", b"GNUSparseFile.1/real")
        (found,), _ = read(pax(*records) + member(b"s", b"1\n0\n") + END)
        assert (found.name, found.sparse) == ("real", True)

    @pytest.mark.parametrize(
        "records",
        [
            [],
            [(b"GNU.sparse.major", b"1")],
            [(b"GNU.sparse.major", b"2"), (b"GNU.sparse.minor", b"0")],
            [(b"GNU.sparse.minor", b"1"), (b"GNU.sparse.map", b"0,1")],
            [(b"GNU.sparse.map", b"")],
        ],
    )
    def test_sparse_records_that_go_does_not_know_say_nothing(self, read, records):
        (found,), _ = read(pax((b"GNU.sparse.name", b"real"), (b"path", b"p"), *records) + member(b"s", b"1") + END)
        assert (found.name, found.sparse) == ("p", False)

    def test_the_name_of_an_old_sparse_member_is_in_its_header(self, read):
        first = member(b"s", b"", flag=b"S", magic=b"ustar  \0")
        (found,), _ = read(pax(*SPARSE, (b"GNU.sparse.name", b"real")) + first + END)
        assert (found.name, found.sparse) == ("s", True)

    @pytest.mark.parametrize("extension", [pax((b"path", b"a")), gnu_long(b"L", b"a")])
    def test_a_global_header_ends_the_extended_headers_before_it(self, read, extension):
        members, _ = read(extension + pax((b"comment", b"c"), flag=b"g") + member(b"x", b"1") + END)
        assert [(m.name, m.kind) for m in members] == [("PaxHeaders.0/x", "global"), ("x", "file")]

    def test_an_empty_gnu_name_leaves_the_headers_own(self, read):
        (found,), _ = read(gnu_long(b"K", b"") + gnu_long(b"L", b"") + member(b"x", flag=b"2", link=b"l") + END)
        assert (found.name, found.link) == ("x", "l")

    @pytest.mark.parametrize("version", [b"00", b"\0\0", b"  ", b"1x"])
    def test_ustar_has_a_prefix_in_every_version(self, read, version):
        (found,), _ = read(member(b"x", prefix=b"p", magic=b"ustar\0" + version) + END)
        assert found.name == "p/x"

    @pytest.mark.parametrize(
        ("magic", "prefix", "name"),
        [
            (b"ustar  \0", b"no time here", "no time here/x"),
            (b"ustar  \0", b"1400000000 \0\0", "x"),
            (b"ustar  \0", b"\0\0\0no time, but the field is empty", "x"),
            (b"ustar  \0", b"\0" * 12 + b"second is none", "x"),
            (b"ustar  \0", b"\x80" + b"\1" * 11 + b"too large a time", "x"),
            (b"ustar  \0", "nö time".encode(), "x"),
            (b"ustar 00", b"p", "x"),
            (b"USTAR\x0000", b"p", "x"),
        ],
    )
    def test_the_prefix_field_of_other_magics(self, read, magic, prefix, name):
        (found,), _ = read(member(b"x", prefix=prefix, magic=magic) + END)
        assert found.name == name

    def test_where_a_member_begins_and_ends(self, read):
        data = member(b"a", b"1" * 600) + pax((b"path", b"bb")) + member(b"b", b"2") + END
        members, _ = read(data)
        assert [(m.start, m.offset, m.end) for m in members] == [(0, 512, 1536), (1536, 3072, 3584)]

    def test_an_archive_without_members(self, read):
        assert read(END) == ([], [])

    def test_device_fifo_and_unknown_kinds(self, read):
        data = b"".join(member(b"m", flag=flag) for flag in (b"3", b"4", b"6", b"V")) + END
        members, _ = read(data)
        assert [m.kind for m in members] == ["device", "device", "fifo", "other"]


WARNED = {
    "no end blocks": (member(b"a"), "no end-of-archive"),
    "a lone zero block": (member(b"a") + bytes(BLOCK), "lone zero block"),
    "a lone zero block before more": (member(b"a") + bytes(BLOCK) + member(b"b"), "is ignored"),
    "junk behind the end": (member(b"a") + END + b"junk", "is ignored"),
    "two archives in one": (member(b"a") + END + member(b"b") + END, "is ignored"),
    "last padding missing": (header(b"a", 5) + b"12345", "padding"),
    "a folder with a size": (header(b"a", 5, flag=b"5") + END, "size of 5"),
    "a link with a size": (header(b"a", 5, flag=b"2", link=b"b") + END, "size of 5"),
}


@READERS
@pytest.mark.parametrize("case", WARNED, ids=str)
def test_accepted_with_a_warning(read, case):
    data, text = WARNED[case]
    members, warnings = read(data)
    assert [m.name for m in members] == ["a"]
    assert text in " ".join(warnings)


GOOD = member(b"good", b"x")
REFUSED = {
    "nothing": (b"", UnknownFormatError, "empty"),
    "less than a block": (b"hello", UnknownFormatError, "not a tar archive"),
    "no tar": (b"hello" * 1000, UnknownFormatError, "not a tar archive"),
    "bad checksum": (
        GOOD + header(b"x", checksum=b"000001\0 ") + END,
        FormatError,
        "bad tar header checksum at byte 1024",
    ),
    "empty checksum": (GOOD + header(b"x", checksum=bytes(8)) + END, FormatError, "checksum"),
    "negative size": (header(b"x", size_field=b"\xff" * 12) + END, FormatError, "impossible size -1"),
    "huge size": (header(b"x", size_field=b"\x80" + b"\x7f" * 11) + END, FormatError, "impossible size"),
    "largest size": (
        header(b"x", size_field=b"\x80\0\0\0" + b"\x7f" + b"\xff" * 7) + END,
        FormatError,
        "impossible size",
    ),
    "exabytes": (
        header(b"x", size_field=b"\x80\0\0\0" + b"\x10" + bytes(7)) + END,
        TruncatedError,
        "ends inside this member",
    ),
    "size is text": (header(b"x", size_field=b"12345abc\0") + END, FormatError, "not a number"),
    "size is signed": (header(b"x", size_field=b"-0000000001\0") + END, FormatError, "not a number"),
    "truncated content": (header(b"x", 600) + bytes(100), TruncatedError, "600 bytes"),
    "truncated header": (GOOD + header(b"x")[:100], TruncatedError, "midst of a tar header"),
    "truncated pax": (header(b"x", 600, flag=b"x") + bytes(100), TruncatedError, "extended header"),
    "pax without member": (GOOD + pax((b"path", b"a")) + END, TruncatedError, "behind an extended header"),
    "pax size disagrees": (
        pax((b"size", b"3")) + member(b"x", b"12345") + END,
        FormatError,
        "has a size of 3 bytes, its tar header one of 5",
    ),
    "pax size negative": (pax((b"size", b"-3")) + member(b"x") + END, FormatError, "not a number"),
    "pax size huge": (pax((b"size", b"9" * 19)) + member(b"x") + END, FormatError, "impossible size"),
    "pax size endless": (pax((b"size", b"9" * 90)) + member(b"x") + END, FormatError, "not a number"),
    "pax size in other digits": (pax((b"size", "٣".encode())) + member(b"x") + END, FormatError, "not a number"),
    "NUL in pax path": (pax((b"path", b"a\0b")) + member(b"x") + END, UnsafeInputError, "NUL"),
    "NUL in pax linkpath": (pax((b"linkpath", b"a\0b")) + member(b"x", flag=b"2") + END, UnsafeInputError, "NUL"),
    "NUL in a GNU name": (gnu_long(b"L", b"a\0b") + member(b"x") + END, UnsafeInputError, "NUL"),
    "two pax headers": (pax((b"path", b"a")) * 2 + member(b"x") + END, FormatError, "two PAX headers"),
    "two GNU names": (gnu_long(b"L", b"a") * 2 + member(b"x") + END, FormatError, "two GNU long names"),
    "Solaris header": (pax((b"path", b"a"), flag=b"X") + member(b"x") + END, FormatError, "type X"),
    "pax and GNU disagree": (pax((b"path", b"a")) + gnu_long(b"L", b"b") + member(b"x") + END, FormatError, "disagree"),
    "global path": (pax((b"path", b"a"), flag=b"g") + member(b"x") + END, FormatError, "global PAX header sets 'path'"),
    "global size": (pax((b"size", b"0"), flag=b"g") + member(b"x") + END, FormatError, "global PAX header"),
    "pax record too long": (member(b"p", b"99 path=a\n", flag=b"x") + member(b"x") + END, FormatError, "damaged PAX"),
    "pax record too short": (member(b"p", b"3 path=a\n", flag=b"x") + member(b"x") + END, FormatError, "damaged PAX"),
    "pax record of length 0": (member(b"p", b"0 path=a\n", flag=b"x") + member(b"x") + END, FormatError, "damaged PAX"),
    "pax record without length": (
        member(b"p", b"path=a\n", flag=b"x") + member(b"x") + END,
        FormatError,
        "damaged PAX",
    ),
    "pax record without key": (
        member(b"p", record(b"", b"a"), flag=b"x") + member(b"x") + END,
        FormatError,
        "damaged PAX",
    ),
    "pax record without end": (member(b"p", b"9 path=aa", flag=b"x") + member(b"x") + END, FormatError, "damaged PAX"),
    "huge pax header": (header(b"p", 1 << 30, flag=b"x") + END, UnsafeInputError, "over the limit"),
    "huge GNU name": (header(b"p", 1 << 30, flag=b"L") + END, UnsafeInputError, "over the limit"),
    "name of 5000 bytes": (gnu_long(b"L", b"n" * 5000) + member(b"x") + END, UnsafeInputError, "more than 4096"),
}


@READERS
@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_refused_with_one_clear_line(read, case):
    data, error, text = REFUSED[case]
    with pytest.raises(error) as caught:
        read(data)
    line = str(caught.value)
    assert text in line
    assert line.startswith("t.tar: ")
    assert "\n" not in line


def test_a_sparse_map_that_does_not_end_is_left(monkeypatch):
    monkeypatch.setattr("convert.archive.tar_reader.MAX_PAX_SIZE", 10 * BLOCK)
    first = bytearray(header(b"s", 1, flag=b"S"))
    first[482] = 1
    first[148:156] = b"%06o\0 " % (sum(first[:148]) + 256 + sum(first[156:]))
    block = bytearray(BLOCK)
    block[504] = 1
    with pytest.raises(TruncatedError, match="does not end"):
        read_file(bytes(first) + bytes(block) * 50)


def test_members_are_counted(monkeypatch):
    monkeypatch.setattr("convert.archive.tar_reader.MAX_MEMBERS", 3)
    with pytest.raises(UnsafeInputError, match="more than 3 members"):
        read_file(member(b"a") * 4 + END)


def test_only_headers_are_read_of_a_huge_file():
    """A sparse terabyte is indexed at once, which reading it could not do."""
    with tempfile.TemporaryFile() as file:
        size = 1 << 40
        file.write(header(b"big", size_field=b"\x80" + size.to_bytes(11, "big")))
        try:
            file.seek(BLOCK + size)
            file.write(member(b"last", b"x") + END)
            file.flush()
        except OSError:
            pytest.skip("no sparse terabyte on this file system")
        members, reader = index(file.fileno(), os.fstat(file.fileno()).st_size, where="t")
    assert [m.name for m in members] == ["big", "last"]
    assert reader.warnings == []
    assert reader.end == BLOCK + size + 2 * BLOCK


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=130).filter(
    lambda part: part not in {".", ".."}
)
MEMBERS = st.lists(
    st.tuples(
        st.lists(NAMES, min_size=1, max_size=3).map("/".join),
        st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE]),
        st.binary(max_size=1500),
        NAMES,
    ),
    max_size=6,
)
KINDS = {tarfile.REGTYPE: "file", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink", tarfile.DIRTYPE: "dir"}


@settings(deadline=None)
@given(members=MEMBERS, dialect=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_what_python_writes_is_read_back(members, dialect):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=dialect) as tar:
        for name, kind, data, link in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.size = len(data) if kind == tarfile.REGTYPE else 0
            info.linkname = link if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else ""
            tar.addfile(info, io.BytesIO(data))
    raw = out.getvalue()
    wanted = [
        (name, KINDS[kind], len(data) if kind == tarfile.REGTYPE else 0,
         link if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else "")
        for name, kind, data, link in members
    ]  # fmt: skip
    for read in (read_file, read_stream):
        found, warnings = read(raw)
        assert [(m.name.rstrip("/"), m.kind, m.size, m.link) for m in found] == wanted
        assert warnings == []
    for (_, kind, data, _), each in zip(members, found, strict=True):
        if kind == tarfile.REGTYPE:
            assert raw[each.offset : each.offset + each.size] == data


SAMPLE = (
    pax((b"path", b"long/name"), (b"size", b"5")) + header(b"x", 0) + pad(b"12345")
    + gnu_long(b"L", b"n" * 120) + member(b"n", b"data" * 200) + member(b"l", flag=b"2", link=b"x") + END
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, len(SAMPLE)),
    st.booleans(),
)
def test_a_damaged_archive_is_read_or_refused_and_both_readers_agree(changes, cut, mend):
    data = bytearray(SAMPLE)
    for position, value in changes:
        data[position] = value
    data = data[:cut]
    if mend:  # checksums put right, so that the damage gets past them
        for start in range(0, len(data) - BLOCK + 1, BLOCK):
            if data[start + 257 : start + 262] == b"ustar":
                block = data[start : start + BLOCK]
                total = sum(block[:148]) + 256 + sum(block[156:])
                data[start + 148 : start + 156] = b"%06o\0 " % total
    answers = []
    for read in (read_file, read_stream):
        try:
            answers.append(read(bytes(data)))
        except InputError as error:
            answers.append(str(error))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("limit", "most", "body"),
    [
        ("MAX_PAX_RECORDS", 90, b"".join(b"11 a%03d=bc\n" % number for number in range(10))),
        ("MAX_ALL_EXTENSIONS", 9000, b"1000 comment=" + b"x" * 986 + b"\n"),
    ],
)
@pytest.mark.parametrize("read", [read_file, read_stream])
def test_extended_headers_are_bounded_over_the_whole_archive(monkeypatch, limit, most, body, read):
    monkeypatch.setattr(tar_reader, limit, most)
    one = member(b"x", body, flag=b"x") + member(b"a", b"")
    assert len(read(one * 9 + END)[0]) == 9
    with pytest.raises(UnsafeInputError, match="together"):
        read(one * 10 + END)


# -- attributes ------------------------------------------------------------------------


def attributes_of(data):
    reader = TarReader(StreamCursor(io.BytesIO(data)), where="t.tar", attributes=True)
    return [each.attributes for each in reader]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_attributes_are_those_that_another_writer_put_there(form):
    info = tarfile.TarInfo("dev")
    info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, 5, 1
    info.mode, info.uid, info.gid, info.uname, info.gname, info.mtime = 0o4755, 1000, 2_000_000, "anna", "users", 77
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        archive.addfile(info)
    (found,) = attributes_of(out.getvalue())
    assert (found.mode, found.uid, found.gid) == (0o4755, "1000", "2000000")
    assert (found.uname, found.gname, found.mtime, found.device) == ("anna", "users", "77", (5, 1))
    assert not found.xattrs


def test_attributes_of_a_pax_header_come_before_those_of_the_tar_header():
    records = (
        (b"mtime", b"1.25"),
        (b"uid", b"5000000000"),
        (b"uname", "ä".encode()),
        (b"SCHILY.xattr.user.a", b"\0b"),
        (b"comment", b"x"),
    )
    first, second = attributes_of(pax(*records) + member() + member(b"next") + END)
    assert (first.mtime, first.uid, first.uname) == ("1.25", "5000000000", "ä")
    assert first.xattrs == {b"SCHILY.xattr.user.a": b"\0b"}
    assert (second.mtime, second.uid, second.uname, second.xattrs) == ("0", "0", "", {})


def test_attributes_are_read_only_for_who_asks():
    assert [each.attributes for each in read_stream(member() + END)[0]] == [None]
