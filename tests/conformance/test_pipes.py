"""An archive means the same from a file, from a pipe and from inside a compressed stream."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile import cases_compression, cases_docker, cases_documents, cases_links, cases_oci, cases_tar
from hostile.building import END, PLAIN, Docker, Layout, blob, config, header, member, pad, pax, sha256, tar

from convert.cli.main import run

GROUPS = (cases_tar, cases_links, cases_documents, cases_docker, cases_oci, cases_compression)
HOSTILE = {f"{group.__name__.rpartition('_')[2]}: {case.name}": case for group in GROUPS for case in group.CASES}
SEEDS = sorted((Path(__file__).parents[2] / "testdata" / "fuzz" / "archives").iterdir())
#: A tar of 200 KB, and one that is worked on by another path (over 4 MiB).
LARGE = member(b"random", random.Random(1).randbytes(200_000)) + END
HUGE = member(b"random", random.Random(2).randbytes(5 << 20)) + END


def sha512(data):
    return "sha512:" + hashlib.sha512(data).hexdigest()


def ustar_in_gzip(data):
    """Compress so that the file name in the gzip header puts `ustar` where a tar has its magic."""
    raw = gzip.compress(data, mtime=0)
    name = (b"n" * 247 + b"ustar").ljust(600, b"n") + b"\0"
    return raw[:3] + b"\x08" + raw[4:10] + name + raw[10:]


def ustar_in_json():
    """Return a config of which the 257th byte begins the magic of a tar."""
    value = config(DIFF)
    value = {"author": "", **value}
    value["author"] = "a" * (257 - len('{"author":"')) + "ustar" + "b" * 300
    return value


DIFF = sha256(PLAIN)
ZIPPED = ustar_in_gzip(PLAIN)
assert ZIPPED[257:262] == b"ustar"
assert gzip.decompress(ZIPPED) == PLAIN


def named(data, name):
    """Return an image of one layer whose DiffID is `name`."""
    return Docker(config=config(name), layers={"layer.tar": data}).build()


ODD = {
    "gzip that looks like a tar": (named(ZIPPED, DIFF), ()),
    "gzip that looks like a tar, in a layout": (
        Layout(layer=ZIPPED, layer_type="application/vnd.oci.image.layer.v1.tar+gzip").build(),
        (),
    ),
    "gzip that looks like a tar, over the limit": (
        named(ustar_in_gzip(LARGE), sha256(LARGE)),
        ("--max-layer-size", "100000"),
    ),
    "gzip of another layer that looks like a tar": (named(ustar_in_gzip(LARGE), DIFF), ()),
    "a config that looks like a tar": (Docker(config=ustar_in_json()).build(), ()),
    "sha512 DiffID": (named(PLAIN, sha512(PLAIN)), ()),
    "sha512 DiffID of a large layer": (named(LARGE, sha512(LARGE)), ()),
    "sha512 DiffID of a layer over 4 MiB": (named(HUGE, sha512(HUGE)), ()),
    "sha512 DiffID of a compressed layer": (named(gzip.compress(PLAIN, mtime=0), sha512(PLAIN)), ()),
    "sha512 DiffID of another layer": (named(LARGE, sha512(PLAIN)), ()),
    "both algorithms for one layer": (
        Docker(config=config(DIFF, sha512(PLAIN)), layers={"a.tar": PLAIN, "b.tar": PLAIN}).build(),
        (),
    ),
    "sha512 DiffID over the limit": (named(LARGE, sha512(LARGE)), ("--max-layer-size", "100000")),
    "sha384 DiffID": (named(PLAIN, "sha384:" + hashlib.sha384(PLAIN).hexdigest()), ()),
    "layer over the limit": (named(LARGE, sha256(LARGE)), ("--max-layer-size", "100000")),
    "layer of 5 MiB over the limit": (named(HUGE, sha256(HUGE)), ("--max-layer-size", "100000")),
    "layer of just the limit": (named(LARGE, sha256(LARGE)), ("--max-layer-size", str(len(LARGE)))),
    "layer one byte over the limit": (named(LARGE, sha256(LARGE)), ("--max-layer-size", str(len(LARGE) - 1))),
    "a tar beside that is over the limit": (
        Docker(extra=(("beside.tar", LARGE),)).build(),
        ("--max-layer-size", "100000"),
    ),
    "a tar of 5 MiB beside that is over the limit": (
        Docker(first=(("beside.tar", HUGE),)).build(),
        ("--max-layer-size", "100000"),
    ),
    "documents over the limit": (Docker(config=ustar_in_json()).build(), ("--max-layer-size", "2048")),
    "no layer is within the limit": (Docker().build(), ("--max-layer-size", "1")),
    "a blob nobody names over the limit": (
        Layout(blobs={blob(LARGE)[0]: LARGE}).build(),
        ("--max-layer-size", "100000"),
    ),
    "a v7 layer": (
        named(member(b"x", b"1", magic=bytes(8)) + END, sha256(member(b"x", b"1", magic=bytes(8)) + END)),
        (),
    ),
    "an empty layer": (named(b"", sha256(b"")), ()),
    "a layer of two zero blocks": (named(END, sha256(END)), ()),
    "the wrong layer": (named(LARGE, DIFF), ()),
    "one layer under two names": (
        Docker(
            config=config(DIFF, DIFF),
            layers={"a.tar": PLAIN, "b.tar": None},
            extra=(header(b"b.tar", flag=b"2", link=b"a.tar"),),
        ).build(),
        (),
    ),
    "one layer twice in the archive": (Docker(extra=(("layer.tar", PLAIN),)).build(), ()),
    "two layers of one name": (Docker(extra=(("layer.tar", LARGE),)).build(), ()),
    "leading slashes": (
        Docker(layers={"/layer.tar": None}, first=(("/layer.tar", PLAIN),)).build(),
        (),
    ),
    "a layer without a name": (Docker(config=config(DIFF, DIFF), layers={"": None, "a.tar": PLAIN}).build(), ()),
    "a sparse layer": (
        Docker(
            layers={"layer.tar": None},
            first=(pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")) + member(b"layer.tar", PLAIN),),
        ).build(),
        (),
    ),
    "a layer cut short": (
        tar(*Docker(layers={}).members(), header(b"layer.tar", len(LARGE)) + pad(LARGE)[:9000])[: -len(END)],
        (),
    ),
}
TARGETS = (
    ("oci-archive",),
    ("docker-save",),
    ("docker-oci", "--recompress"),
    ("oci-archive", "--compress", "none"),
    ("crane", "--verify", "full"),
)


def piped(data, go):
    """Call `go` with a path that gives the bytes once."""
    reader, writer = os.pipe()

    def fill():
        with suppress(BrokenPipeError), os.fdopen(writer, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        return go(f"/dev/fd/{reader}")
    finally:
        os.close(reader)
        thread.join()


def outcome(source, target, options, out, capsys):
    """Return status, standard output and the written bytes."""
    out.unlink(missing_ok=True)
    status = run([str(source), "--to", target[0], str(out), "--jobs", "2", *target[1:], *options])
    printed = capsys.readouterr()
    assert status in {0, 2, 3}, printed.err
    return status, printed.out, out.read_bytes() if out.exists() else None


def ways(data, target, options, folder, capsys):
    """Return what comes of the bytes from a file and from a pipe."""
    source, out = folder / "in.tar", folder / "out.tar"
    source.write_bytes(data)
    direct = outcome(source, target, options, out, capsys)
    return direct, piped(data, lambda path: outcome(path, target, options, out, capsys))


@pytest.mark.parametrize("target", TARGETS, ids=" ".join)
@pytest.mark.parametrize("name", ODD)
def test_odd_archives(name, target, tmp_path, capsys):
    data, options = ODD[name]
    direct, once = ways(data, target, options, tmp_path, capsys)
    assert once == direct


@pytest.mark.parametrize("name", ODD)
def test_odd_archives_in_a_compressed_stream(name, tmp_path, capsys):
    data, options = ODD[name]
    direct, out = tmp_path / "in.tar", tmp_path / "out.tar"
    wrapped = tmp_path / "in.tar.gz"
    direct.write_bytes(data)
    wrapped.write_bytes(gzip.compress(data, 1))
    want = outcome(direct, TARGETS[0], options, out, capsys)
    assert outcome(wrapped, TARGETS[0], options, out, capsys) == want


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives(name, tmp_path, capsys):
    case = HOSTILE[name]
    direct, once = ways(case.build(), TARGETS[0], case.options, tmp_path, capsys)
    assert once == direct


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: path.name)
def test_fuzz_seeds(seed, tmp_path, capsys):
    direct, once = ways(seed.read_bytes(), TARGETS[0], (), tmp_path, capsys)
    assert once == direct


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("gzip that looks like a tar", 0),
        ("gzip of another layer that looks like a tar", 3),
        ("sha512 DiffID", 0),
        ("sha512 DiffID of a layer over 4 MiB", 0),
        ("sha512 DiffID of another layer", 3),
        ("layer over the limit", 3),
        ("layer of just the limit", 0),
        ("layer one byte over the limit", 3),
        ("a tar beside that is over the limit", 0),
        ("a tar of 5 MiB beside that is over the limit", 0),
        ("documents over the limit", 0),
        ("leading slashes", 0),
        ("a layer without a name", 3),
    ],
)
def test_what_is_right_from_a_pipe(name, status, tmp_path, capsys):
    data, options = ODD[name]
    assert piped(data, lambda path: outcome(path, TARGETS[0], options, tmp_path / "o", capsys))[0] == status
