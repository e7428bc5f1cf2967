"""Tar headers that Go's archive/tar refuses: crane reads no further, docker reads nothing of the archive.

Each case is a member that no document names, and what Go makes of it (archive/tar, reader.go and
strconv.go); with IMGCONV_CRANE_GO126, IMGCONV_CRANE_GO127 or IMGCONV_DOCKER_HOST the tool itself is
asked too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile.building import END, PLAIN, config, dump, header, member, pax
from tools import engine  # noqa: F401 - a fixture

from convert.cli.main import run

BLOCK = 512
GNU, STAR = b"ustar  \0", b"tar\0"


def changed(start, data, **options):
    """Return a member's header with bytes replaced at `start`, its checksum corrected."""
    block = bytearray(header(b"stray", 0, **options))
    block[start : start + len(data)] = data
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def described(*records, **options):
    return pax(*records) + member(b"stray", b"", **options)


def padded():
    """Return a PAX header whose records are padded with NUL, as star writes them."""
    body = b"12 path=abc\n"
    return member(b"x", body + bytes(8), flag=b"x") + member(b"stray", b"")


def sparse(numbers, size, **options):
    """Return an old GNU sparse member with a map."""
    fields = b"".join(b"%011o\0" % each if isinstance(each, int) else each for each in numbers)
    return changed(386, fields.ljust(97, b"\0") + size, flag=b"S", magic=GNU, **options)


def sparse_records(text, count, size=b"9"):
    return [(b"GNU.sparse.map", text), (b"GNU.sparse.numblocks", count), (b"GNU.sparse.size", size)]


#: Name, member, whether Go reads it.
CASES = {
    "usual": (member(b"stray", b""), True),
    "mode in words": (changed(100, b"rw-r--r-"), False),
    "mode empty": (changed(100, bytes(8)), True),
    "mode of blanks": (changed(100, b" " * 8), True),
    "mode with junk behind NUL": (changed(100, b"644\0junk"), True),
    "mode with a blank inside": (changed(100, b"06 0644\0"), False),
    "mode base-256": (changed(100, b"\x80\0\0\0\0\0\1\xa4"), True),
    "owner in words": (changed(108, b"root\0\0\0\0"), False),
    "owner with a digit 8": (changed(108, b"0000008\0"), False),
    "group in words": (changed(116, b"root\0\0\0\0"), False),
    "group negative in base-256": (changed(116, b"\xff" * 8), True),
    "time in words": (changed(136, b"yesterday\0\0\0"), False),
    "time negative": (changed(136, b"-0000000001\0"), False),
    "time base-256, negative": (changed(136, b"\xff" * 12), True),
    "time base-256, too large": (changed(136, b"\x80\1" + b"\xff" * 10), False),
    "time with blanks": (changed(136, b"  1234567  \0"), True),
    "device in words": (changed(329, b"devmajor"), False),
    "minor device in words": (changed(337, b"devminor"), False),
    "device in words, GNU": (changed(329, b"devmajor", magic=GNU), False),
    "device in words, v7": (changed(329, b"devmajor", magic=bytes(8)), True),
    "time of star in words": (changed(476, b"yesterday\0\0\0" + bytes(20) + STAR), False),
    "second time of star in words": (changed(488, b"yesterday\0\0\0" + bytes(8) + STAR), False),
    "times of star": (changed(476, b"00000000001\0" * 2 + bytes(8) + STAR), True),
    "the same bytes without star's trailer": (changed(476, b"yesterday\0\0\0"), True),
    "mode of a global header": (changed(100, b"rw-r--r-", flag=b"g"), False),
    "mode of a PAX header": (
        changed(100, b"rw-r--r-", flag=b"x") + member(b"stray", b""),
        False,
    ),
    "record uid": (described((b"uid", b"5")), True),
    "record uid with sign": (described((b"uid", b"+5")), True),
    "record uid in words": (described((b"uid", b"root")), False),
    "record uid with a fraction": (described((b"uid", b"5.0")), False),
    "record uid empty": (described((b"uid", b"")), True),
    "record gid too large": (described((b"gid", b"9223372036854775808")), False),
    "record gid of 400 digits": (described((b"gid", b"0" * 398 + b"12")), True),
    "record mtime": (described((b"mtime", b"1.5")), True),
    "record mtime negative": (described((b"mtime", b"-1.5")), True),
    "record mtime ends in a dot": (described((b"mtime", b"1.")), True),
    "record mtime begins with a dot": (described((b"mtime", b".5")), False),
    "record mtime in words": (described((b"mtime", b"yesterday")), False),
    "record atime in words": (described((b"atime", b"1.5x")), False),
    "record ctime in words": (described((b"ctime", b"1 ")), False),
    "record of no number": (described((b"comment", b"yesterday")), True),
    "NUL in uname": (described((b"uname", b"a\0b")), False),
    "NUL in another value": (described((b"comment", b"a\0b")), True),
    "NUL in a key": (described((b"com\0ment", b"a")), False),
    "records padded with NUL": (padded(), False),
    "global record mtime in words": (pax((b"mtime", b"yesterday"), flag=b"g"), True),
    "global record with NUL in gname": (pax((b"gname", b"a\0b"), flag=b"g"), False),
    "sparse": (sparse([0, 0], b"00000000011\0"), True),
    "sparse in ustar's format": (changed(100, b"0000644\0", flag=b"S"), False),
    "sparse, size in words": (sparse([], b"large\0\0\0\0\0\0\0"), False),
    "sparse, offset in words": (sparse([b"nowhere\0\0\0\0\0", 0], b"00000000011\0"), False),
    "sparse, past its end": (sparse([8, 8], b"00000000011\0"), False),
    "sparse, out of order": (sparse([4, 0, 2, 0], b"00000000011\0"), False),
    "sparse records": (described(*sparse_records(b"0,0", b"1")), True),
    "sparse records without a count": (described((b"GNU.sparse.map", b"0,0"), (b"GNU.sparse.size", b"9")), False),
    "sparse records, wrong count": (described(*sparse_records(b"0,0", b"2")), False),
    "sparse records, odd map": (described(*sparse_records(b"0,0,1", b"1")), False),
    "sparse records, map in words": (described(*sparse_records(b"a,b", b"1")), False),
    "sparse records, size in words": (described(*sparse_records(b"0,0", b"1", b"large")), False),
    "sparse records of an unknown version": (
        described((b"GNU.sparse.major", b"2"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.size", b"large")),
        True,
    ),
    "sparse version 0.1 without a map": (
        described((b"GNU.sparse.major", b"0"), (b"GNU.sparse.minor", b"1"), (b"GNU.sparse.numblocks", b"0")),
        True,
    ),
    "sparse version 0.0 with nothing": (described((b"GNU.sparse.major", b"0"), (b"GNU.sparse.minor", b"0")), False),
}
MANIFEST = dump([{"Config": "config", "RepoTags": ["example.com/app:1"], "Layers": ["layer"]}])
PARTS = [member(b"manifest.json", MANIFEST), member(b"config", dump(config())), member(b"layer", PLAIN)]


def write(path, case, place):
    parts = list(PARTS)
    parts.insert(place, CASES[case][0])
    path.write_bytes(b"".join(parts) + END)


@pytest.mark.parametrize("place", [0, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_what_go_refuses_has_no_digest_behind_it(case, place, tmp_path, capsys):
    """From a file and from a pipe; docker unpacks all of the archive, crane looks no further than it must."""
    path = tmp_path / "in.tar"
    write(path, case, place)
    read = CASES[case][1]
    for pusher, refused in (("crane", not read and place < len(PARTS)), ("docker", not read)):
        status = run(["digest", str(path), "--as", f"{pusher}@go1.26"])
        printed = capsys.readouterr()
        assert (status, bool(printed.out)) == ((2, False) if refused else (0, True)), printed.err
    assert run(["digest", str(path), "--as", "imgconv"]) == 0


@pytest.mark.parametrize("tail", [b"junk" * 128, b"junk", b"junk" * 256])
def test_a_lone_zero_block_does_not_end_an_archive_for_docker(tail, tmp_path, capsys):
    path = tmp_path / "in.tar"
    path.write_bytes(b"".join(PARTS) + bytes(BLOCK) + tail)
    assert [run(["digest", str(path), "--as", pusher]) for pusher in ("crane", "docker")] == [0, 2]
    path.write_bytes(b"".join(PARTS) + bytes(BLOCK))
    assert [run(["digest", str(path), "--as", pusher]) for pusher in ("crane", "docker")] == [0, 0]


def test_a_pipe_tells_the_same(tmp_path):
    path = tmp_path / "in.tar"
    for case in ("usual", "mode in words"):
        write(path, case, 1)
        program = "import sys; from convert.cli.main import run; sys.exit(run(sys.argv[1:]))"
        command = [sys.executable, "-P", "-c", program, "digest", "-", "--as", "crane@go1.26"]
        done = subprocess.run(command, input=path.read_bytes(), capture_output=True, check=False)
        assert done.returncode == (0 if CASES[case][1] else 2), done.stderr


@pytest.mark.parametrize("variable", ["IMGCONV_CRANE_GO126", "IMGCONV_CRANE_GO127"])
@pytest.mark.parametrize("case", CASES)
def test_crane_refuses_the_same(variable, case, tmp_path):
    crane = os.environ.get(variable) or pytest.skip(f"{variable} names no crane")
    path = tmp_path / "in.tar"
    for place in (0, 2, 3):
        write(path, case, place)
        done = subprocess.run([crane, "digest", "--tarball", path], capture_output=True, check=False)
        assert (done.returncode == 0) == (CASES[case][1] or place == len(PARTS)), (place, done.stderr)


@pytest.mark.parametrize("case", CASES)
def test_docker_refuses_the_same(case, engine, tmp_path):  # noqa: F811
    path = tmp_path / "in.tar"
    environment = {**os.environ, "DOCKER_HOST": engine.host}
    for place in (0, 3):
        write(path, case, place)
        command = [engine.client, "load", "--input", path]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ("invalid tar header" in done.stderr) != CASES[case][1], (place, done.stderr)
