"""`validate` looks into layers: what engines cannot unpack, refuse, or read differently.

What dockerd 20.10 and 29 (graph driver), containerd 1.6, podman 4.3, umoci 0.4.7 and crane 0.21 made of
each of these layers was tried; the rules follow that.
"""

import gzip
import io
import json
import os
import tarfile
import threading

import pytest
from commands.test_validate import Docker, Layout, counted, noted, tar
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.reading import members, plain, sha256
from support import MATCH

from convert.commands.validate import validate
from convert.layer import tar_check


def member(name, content=b"", flag=b"0", link=""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = flag, len(content), link
    return info.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % 512)


END = bytes(1024)
ONE = member("a", b"x" * 700)
GLOBAL = member("pax_global_header", b"19 comment=abcdefg\n", b"g")
LONG = "d/" * 70 + "long"


def header(change, name="b"):
    """Return a header with a valid checksum after `change`."""
    raw = bytearray(member(name))
    change(raw)
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


def at(position, data):
    def change(raw):
        raw[position : position + len(data)] = data

    return change


#: Layers that no engine unpacks.
BROKEN = {
    "text": b"this is no tar\n" * 100,
    "a few bytes": b"hello",
    "fewer zeros than a block": bytes(100),
    "ends in a content": member("a", b"x" * 5000)[:3000],
    "ends where a content begins": member("a", b"x" * 5000)[:512],
    "ends in a header": ONE + member("b")[:200],
    "ends in an extended header": member(LONG, b"x")[:600],
    "data behind a lone block of zeros": ONE + bytes(512) + b"junk" * 300,
    "part of a second block of zeros": ONE + bytes(700),
    "data where a header should be": ONE + b"junk" * 512,
    "a header with another checksum": ONE + header(lambda _: None)[:-1] + b"x",
    "a size that is no number": ONE + header(at(124, b"abcdefghijkl")),
    "a negative size": ONE + header(at(124, b"\xff" * 12)),
    "a mode that is no number": ONE + header(at(100, b"rwxr-xr-")),
    "a damaged PAX header": ONE + member("x", b"99 path=a\n", b"x") + member("b"),
    "a huge PAX header": ONE
    + header(lambda raw: (at(124, b"00100000000\0")(raw), at(156, b"x")(raw)))
    + bytes(2 << 20),
    "a sparse map that does not end": ONE + header(lambda raw: (at(156, b"S")(raw), at(482, b"\1")(raw))),
}

#: Layers that every engine unpacks, however odd.
SOUND = {
    "nothing": b"",
    "zeros": END,
    "one block of zeros": bytes(512),
    "no end": ONE,
    "one block of zeros as end": ONE + bytes(512),
    "half of the last padding": ONE[:-100],
    "no padding at the end": ONE[: 512 + 700],
    "data behind the end": ONE + END + b"junk" * 300,
    "a name and the same with a slash in front": member("a") + member("/a") + END,
    "hidden files": member("a/.b") + member("a/..c") + member("b") + END,
    "a global header": GLOBAL + ONE + END,
    "a directory with a size": member("a/", b"", b"5")[:124] and header(at(156, b"5")) + ONE + END,
    "a long name": member(LONG, b"x") + ONE + END,
    "a name in two parts": header(at(345, b"pre/fix"), "b") + member("b") + END,
    "base-256": header(at(124, b"\x80" + bytes(10) + b"\x05")) + b"12345" + bytes(507) + END,
    "a sparse map": header(lambda raw: (at(156, b"S")(raw), at(482, b"\1")(raw))) + bytes(512) + ONE + END,
}

#: Layers that name a path twice, and that path; the names are compared as tar-split does.
TWICE = {
    "two files": (member("a") + member("b") + member("a"), "a"),
    "./": (member("q") + member("./q"), "q"),
    "//": (member("q/r") + member("q//r"), "q/r"),
    "..": (member("t") + member("u/../t"), "t"),
    "a directory and a file": (member("s/", flag=b"5") + member("s"), "s"),
    "two directories": (member("s/", flag=b"5") + member("s/", flag=b"5"), "s"),
    "the root": (member("./", flag=b"5") + member(".", flag=b"5"), "."),
    "a link and a file": (member("l", flag=b"2", link="x") + member("l"), "l"),
    "two global headers": (GLOBAL + GLOBAL + ONE, "pax_global_header"),
    "long names": (member(LONG, b"x") + member(LONG, b"y"), LONG),
    "a long name and a prefix": (
        header(at(345, b"pre/fix"), "b") + member("x", b"18 path=pre/fix/b\n", b"x") + member("c"),
        "pre/fix/b",
    ),
    "with no end": (member("a") + member("a"), "a"),
}


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


def test_names_beyond_the_limit_are_not_compared_and_it_is_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(tar_check, "MAX_LAYER_NAMES", 5)
    raw = b"".join(member(f"f{number}") for number in range(9)) + member("f1") + END
    found = tar_check.scan(iter([raw]))
    assert (found.unchecked, found.repeats) == (True, 1)
    assert noted(validate_layer(raw, tmp_path)) == {"layer-not-compared"}


def test_a_table_of_names_grows_and_keeps_them():
    table = tar_check._Names()
    assert not any(table.add(b"%d" % number) for number in range(5000))
    assert all(table.add(b"%d" % number) for number in range(5000))


# -- whole sources ---------------------------------------------------------------------


def layout_of(raw, stored=None, kind="layer.v1.tar+gzip"):
    built = Layout()
    built.config["rootfs"]["diff_ids"] = [sha256(raw)]
    built.blobs.clear()
    built.layers = [built.put(stored if stored is not None else gzip.compress(raw, mtime=0), kind)]
    built.finish()
    return tar(built.files())


def docker_of(raw):
    archive = Docker()
    archive.files[archive.layers[0]] = raw
    archive.config["rootfs"]["diff_ids"][0] = sha256(raw)
    archive.edit_config()
    return archive.bytes()


def legacy_of(raw):
    files = members(plain(MATCH / "legacy-repositories-only.tar.gz"))
    files[next(name for name in files if name.endswith("/layer.tar"))] = raw
    return tar(files)


def from_file_and_pipe(raw, folder):
    """Validate an archive as a file and from a pipe, which must agree."""
    (folder / "x.tar").write_bytes(raw)
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=lambda: (folder / "pipe").write_bytes(raw))
    writer.start()
    piped = validate(str(folder / "pipe"))
    writer.join()
    verdict = validate(str(folder / "x.tar"))
    assert [(one.rule, one.message) for one in piped.findings] == [(one.rule, one.message) for one in verdict.findings]
    assert piped.status == verdict.status
    return verdict


def validate_layer(raw, folder, **options):
    return from_file_and_pipe(layout_of(raw, **options), folder)


@pytest.mark.parametrize("make", [layout_of, docker_of, legacy_of])
@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (BROKEN["text"], "layer-tar"),
        (BROKEN["ends in a content"], "layer-tar"),
        (TWICE["./"][0], "layer-path-twice"),
        (member("x", b"10 path=p\n", b"x") * 2 + ONE, "layer-header"),
    ],
    ids=["no tar", "cut", "twice", "disputed"],
)
def test_every_form_of_archive_has_its_layers_looked_into(make, raw, rule, tmp_path):
    verdict = from_file_and_pipe(make(raw), tmp_path)
    # Another layer gives Docker's v1 IDs to others.
    assert counted(verdict) - {"v1-id"} == {rule}
    assert verdict.status == 1


def zstd(raw):
    import zstandard

    return zstandard.compress(raw)


@pytest.mark.parametrize(
    ("stored", "kind", "rules"),
    [
        (gzip.compress(ONE + END) + b"garbage", "layer.v1.tar+gzip", {"layer-trailing"}),
        (gzip.compress(ONE + END) + b"g", "layer.v1.tar+gzip", {"layer-trailing"}),
        (gzip.compress(ONE + END) + bytes(512), "layer.v1.tar+gzip", {"layer-trailing"}),
        (gzip.compress(ONE + END) + os.urandom(8) * 300_000, "layer.v1.tar+gzip", {"layer-trailing"}),
        (gzip.compress(ONE) + gzip.compress(END), "layer.v1.tar+gzip", set()),
        (zstd(ONE + END) + b"garbage", "layer.v1.tar+zstd", {"layer-damaged"}),
        (zstd(ONE) + zstd(END), "layer.v1.tar+zstd", set()),
    ],
    ids=["garbage", "one byte", "zeros", "megabytes", "two gzip members", "zstd and garbage", "two frames"],
)
def test_what_follows_a_compressed_layer(stored, kind, rules, tmp_path):
    assert counted(validate_layer(ONE + END, tmp_path, stored=stored, kind=kind)) == rules


def test_a_layer_is_reported_once_however_many_images_name_it(tmp_path):
    archive = Docker()
    archive.bytes()
    files = dict(archive.files)
    files[archive.layers[0]] = TWICE["two files"][0]
    files["manifest.json"] = json.dumps(archive.manifest * 50).encode()
    (tmp_path / "x.tar").write_bytes(tar(files))
    found = [one for one in validate(str(tmp_path / "x.tar")).findings if one.rule == "layer-path-twice"]
    assert len(found) == 1
    assert found[0].refused_by
