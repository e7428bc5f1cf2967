"""`imgconv export`, `config` and `manifest`."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import jsonschema
import pytest
from layouts import GZIP, Layout, digest_of, named, packed
from named_archives import Made, archive
from peer.file_systems import of_tar
from support import ROOT, run

AMD64, ARM64 = {"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux"}


def layer(*members):
    """Return the tar of a layer: (name, content) pairs, or members with their content."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for each in members:
            member, content = each if isinstance(each, tuple) else (each, b"")
            if isinstance(member, str):
                member = tarfile.TarInfo(member)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def special(name, kind, **fields):
    member = tarfile.TarInfo(name)
    member.type = kind
    for key, value in fields.items():
        setattr(member, key, value)
    return member


def folder(name, **fields):
    return special(name, tarfile.DIRTYPE, **{"mode": 0o755, **fields})


def link(name, target):
    return special(name, tarfile.LNKTYPE, linkname=target)


def symlink(name, target):
    return special(name, tarfile.SYMTYPE, linkname=target)


@pytest.fixture
def image(tmp_path):
    """Write a layout with one image of these layers."""

    def write(*plain):
        layout = Layout(tmp_path / "layout")
        layers = [layout.blob(packed(each), GZIP) for each in plain]
        return layout.write(named(layout.manifest(layers, map(digest_of, plain)), "docker.io/library/app:1"))

    return write


@pytest.fixture
def exported(imgconv, tmp_path, image):
    """Export an image of these layers; gives its files and its groups of hard links."""

    def call(*plain, status=0):
        done = imgconv("export", image(*plain), tmp_path / "out.tar")
        assert done.status == status, done.err
        if status:
            assert not (tmp_path / "out.tar").exists()
            assert len(done.err.splitlines()) == 1
            return done.err
        return of_tar(tmp_path / "out.tar")

    return call


def contents(tar):
    """Return {name: content} of the regular files of a tar."""
    with tarfile.open(tar) as archived:
        return {member.name: archived.extractfile(member).read() for member in archived if not member.isdir()}


def test_whiteouts_hide_what_lower_layers_have(exported):
    files, _ = exported(
        layer(folder("d"), ("d/a", b"1"), ("d/b", b"1"), ("e/f/g", b"1"), ("stays", b"1")),
        layer(("d/.wh.a", b""), (".wh.e", b""), (".wh.nothing", b""), ("no/.wh.where", b"")),
    )
    assert sorted(files) == ["d", "d/b", "stays"]


def test_a_whiteout_spares_what_its_own_layer_has(exported):
    """Whatever the order of the members (layer.md, "Whiteouts")."""
    files, _ = exported(
        layer(("a", b"1"), ("d/old", b"1"), ("d/s/old", b"1")),
        layer(("a", b"2"), (".wh.a", b""), ("d/new", b"2"), ("d/s/new", b"2"), (".wh.d", b"")),
    )
    assert sorted(files) == ["a", "d", "d/new", "d/s", "d/s/new"]


@pytest.mark.parametrize("first", [True, False])
def test_an_opaque_folder_shows_only_its_own_layer(exported, first):
    opaque = ("d/.wh..wh..opq", b"")
    own = [folder("d"), ("d/new", b"2"), ("d/s/new", b"2")]
    files, _ = exported(
        layer(("d/old", b"1"), ("d/s/old", b"1"), ("d/t/old", b"1")),
        layer(*([opaque, *own] if first else [*own, opaque])),
    )
    assert sorted(files) == ["d", "d/new", "d/s", "d/s/new"]


def test_a_hard_link_outlives_its_first_name(exported, tmp_path):
    files, links = exported(
        layer(("a", b"content"), link("b", "a"), link("d/c", "a")),
        layer((".wh.a", b""), link("e", "b")),
        layer(("b", b"another")),
    )
    assert sorted(files) == ["b", "d", "d/c", "e"]
    assert links == [["d/c", "e"]]
    found = contents(tmp_path / "out.tar")
    assert found["b"] == b"another"
    assert b"content" in (found["d/c"], found["e"])


def test_what_is_replaced_loses_everything(exported):
    files, _ = exported(
        layer(("d/a", b"1"), symlink("l", "d"), ("f", b"1"), folder("g", mode=0o700), ("g/x", b"1")),
        layer(("d", b"now a file"), folder("l"), folder("f"), folder("g", mode=0o750)),
    )
    assert {name: facts["type"] for name, facts in files.items()} == {
        "d": "file",
        "l": "dir",
        "f": "dir",
        "g": "dir",
        "g/x": "file",
    }
    assert files["g"]["mode"] == 0o750


def test_folders_are_followed_through_links_inside_the_image(exported):
    files, links = exported(
        layer(folder("usr/lib"), symlink("lib", "usr/lib"), symlink("abs", "/usr"), symlink("up", "../../usr")),
        layer(("lib/a", b"1"), ("abs/b", b"1"), ("up/c", b"1"), link("lib/d", "abs/b")),
        layer(("lib/.wh.a", b"")),
    )
    assert sorted(name for name in files if name.startswith("usr/")) == ["usr/b", "usr/c", "usr/lib", "usr/lib/d"]
    assert links == [["usr/b", "usr/lib/d"]]
    assert files["lib"]["type"] == "symlink"


def test_attributes_come_along(exported, tmp_path):
    member = special(
        "f",
        tarfile.REGTYPE,
        mode=0o4755,
        uid=3000000,
        gid=7,
        mtime=1234567890.5,
        uname="builder",
        pax_headers={"SCHILY.xattr.security.capability": "\x01\x00\x00\x02", "SCHILY.xattr.user.k": "v"},
    )
    exported(
        layer(
            (member, b"x"),
            special("c", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
            special("b", tarfile.BLKTYPE, devmajor=8, devminor=1, mode=0o660),
            special("p", tarfile.FIFOTYPE, mode=0o600),
            folder("d", mode=0o1777, uid=5, mtime=77),
            ("d/" + "n" * 150, b""),
            ("ü", b""),
            symlink("s", "t" * 150),
        )
    )
    with tarfile.open(tmp_path / "out.tar") as tar:
        found = {each.name: each for each in tar}
    f = found["f"]
    assert (f.mode, f.uid, f.gid, f.mtime, f.uname) == (0o4755, 3000000, 7, 1234567890.5, "")
    assert f.pax_headers["SCHILY.xattr.security.capability"] == "\x01\x00\x00\x02"
    assert f.pax_headers["SCHILY.xattr.user.k"] == "v"
    assert (found["c"].type, found["c"].devmajor, found["c"].devminor) == (tarfile.CHRTYPE, 1, 3)
    assert (found["b"].type, found["b"].devmajor, found["b"].devminor) == (tarfile.BLKTYPE, 8, 1)
    assert found["p"].isfifo()
    assert (found["d"].mode, found["d"].uid, found["d"].mtime) == (0o1777, 5, 77)
    assert {"d/" + "n" * 150, "ü"} <= found.keys()
    assert found["s"].linkname == "t" * 150


@pytest.mark.parametrize("form", ["gnu", "0.0", "0.1", "1.0"])
def test_sparse_files_are_whole(exported, tmp_path, form):
    """The forms of GNU tar, which engines unpack."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        for place in range(60):
            file.seek(place * 65536)
            file.write(b"%d" % place)
        file.truncate(5_000_000)
    options = ["--format=gnu"] if form == "gnu" else ["--format=pax", f"--sparse-version={form}"]
    subprocess.run(["tar", "-S", *options, "-cf", tmp_path / "l.tar", "-C", tmp_path, "sparse"], check=True)
    raw = (tmp_path / "l.tar").read_bytes()
    assert len(raw) < 1_000_000
    exported(raw)
    assert contents(tmp_path / "out.tar") == {"sparse": path.read_bytes()}


def test_sparse_files_of_a_layer_together_stay_within_the_limit(imgconv, tmp_path, image):
    """Each file of 1 MB takes a header in the layer."""
    headers = {"GNU.sparse.numblocks": "1", "GNU.sparse.size": "1000000", "GNU.sparse.map": "0,0"}
    source = image(layer(*(special(f"{number}", tarfile.REGTYPE, pax_headers=headers) for number in range(3))))
    done = imgconv("export", source, tmp_path / "out.tar", "--max-layer-size", 3_000_000)
    assert done.status == 0, done.err
    assert {name: len(content) for name, content in contents(tmp_path / "out.tar").items()} == {
        "0": 1_000_000,
        "1": 1_000_000,
        "2": 1_000_000,
    }
    done = imgconv("export", source, tmp_path / "more.tar", "--max-layer-size", 2_999_999)
    assert (done.status, "2: with this file" in done.err) == (3, True), done.err


def test_an_old_folder_of_aufs_is_not_shown(exported):
    """Its files are targets of hard links only."""
    files, _ = exported(layer((".wh..wh.plnk/1.2", b"content"), link("a", ".wh..wh.plnk/1.2"), (".wh..wh.aufs", b"")))
    assert sorted(files) == ["a"]


def test_headers_about_which_tools_disagree_mean_what_engines_take_them_for(exported):
    """Docker extracts a layer whose global header names a path; an archive like that is refused."""
    glob = tarfile.TarInfo("pax_global_header")
    glob.type, body = b"g", b"12 path=abc\n"
    glob.size = len(body)
    raw = glob.tobuf(tarfile.USTAR_FORMAT) + body.ljust(512, b"\0") + layer(("a", b"1"))
    files, _ = exported(raw)
    assert sorted(files) == ["a"]


def test_empty_layers_and_spellings_of_names(exported):
    files, _ = exported(b"", layer(folder("./"), ("./a", b"1"), ("/b", b"1"), ("c//d/../e", b"1")), bytes(1024))
    assert sorted(files) == ["a", "b", "c", "c/e"]


@pytest.mark.parametrize(
    "members",
    [
        [("../a", b"1")],
        [("a/../../b", b"1")],
        [("a", b"1"), ("a/b", b"1")],
        [link("a", "b")],
        [folder("d"), link("a", "d")],
        [symlink("a", "b"), symlink("b", "a"), ("a/c", b"1")],
        [special("./", tarfile.REGTYPE)],
        [special("x", b"X")],
    ],
)
def test_what_engines_do_not_unpack_is_refused(exported, members):
    assert "layout" in exported(layer(*members), status=3)


@pytest.mark.parametrize("key", ["uid", "gid", "mtime", "atime"])
@pytest.mark.parametrize("value", ["9" * 5000, "9" * 40, str(1 << 63), "1_0", "\N{ARABIC-INDIC DIGIT ONE}", "x", "1.x"])
def test_numbers_that_engines_do_not_read_are_refused(exported, key, value):
    member = special("f", tarfile.REGTYPE, pax_headers={key: value})
    assert "layout" in exported(layer((member, b"x")), status=3)


@pytest.mark.parametrize(
    ("given", "written"), [("+5.5", 5.5), ("-0.5", -0.5), ("-3", -3), (str((1 << 63) - 1), (1 << 63) - 1), ("7.", 7)]
)
def test_numbers_are_read_as_engines_read_them(exported, tmp_path, given, written):
    exported(layer((special("f", tarfile.REGTYPE, pax_headers={"mtime": given, "uid": "+4"}), b"x")))
    with tarfile.open(tmp_path / "out.tar") as tar:
        (member,) = tar
        assert (member.mtime, member.uid) == (float(written), 4)


def test_a_link_of_too_many_parts_is_refused(exported):
    """However many links lead to the folder: `l` is one."""
    assert "l/f" in exported(layer(folder("d"), symlink("l", "d/../" * 200 + "d"), ("l/f", b"1")), status=3)


def test_a_layer_is_repeated_within_a_limit(imgconv, image, tmp_path, monkeypatch):
    """The bytes that are read once more count, without those of as many repetitions as each layer may have."""
    one, other = layer(("a", b"1")), layer(("b", b"2"))
    source = image(*[one, other] * 3, one)
    monkeypatch.setattr("convert.layer.repeats.MAX_REPEATS", 2)
    monkeypatch.setattr("convert.layer.repeats.MAX_REPEATED_SIZE", len(one))
    assert imgconv("export", source, tmp_path / "out.tar").status == 0
    monkeypatch.setattr("convert.layer.repeats.MAX_REPEATED_SIZE", len(one) - 1)
    done = imgconv("export", source, tmp_path / "more.tar")
    assert (done.status, "list the same layers too many times" in done.err) == (3, True), done.err
    assert not (tmp_path / "more.tar").exists()


def test_a_damaged_layer_is_refused(imgconv, image, tmp_path):
    source = image(layer(("a", b"1")))
    (path,) = [each for each in Path(source).glob("blobs/sha256/*") if each.read_bytes()[:2] == b"\x1f\x8b"]
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    path.write_bytes(raw)
    assert imgconv("export", source, tmp_path / "out.tar").status == 3
    assert sorted(each.name for each in tmp_path.iterdir()) == ["layout"]


def test_the_same_bytes_go_to_a_file_and_to_a_pipe(image, tmp_path, imgconv):
    source = image(layer(("a", b"1" * 3_000_000)), layer(("b", b"2")))
    assert imgconv("export", source, "app:1", tmp_path / "out.tar").status == 0
    done = run("export", source, "-")
    assert done.returncode == 0
    assert done.stdout == (tmp_path / "out.tar").read_bytes()
    assert b"app:1" in done.stderr


def test_the_report(image, imgconv, tmp_path):
    source = image(layer(("a", b"1"), folder("d")))
    done = imgconv("export", source, tmp_path / "out.tar", "--json")
    jsonschema.validate(done.json, json.loads((ROOT / "schemas" / "report-export.json").read_text()))
    assert (done.json["names"], done.json["members"]) == (["app:1"], 2)
    assert imgconv("export", source, tmp_path / "out.tar").status == 2
    assert imgconv("export", source, tmp_path / "out.tar", "--force").status == 0
    assert imgconv("export", source, tmp_path / "out.tar.gz").status == 2
    assert imgconv("export", source, Path(source) / "out.tar").status == 2
    assert imgconv("export", source, "app:1", "a", "b").status == 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_contents(image, tmp_path):
    source = image(layer(("a", bytes(300 << 20))))
    code = (
        "import re, sys; from convert.cli.main import run; assert run(sys.argv[1:]) == 0;"
        "print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "export", source, str(tmp_path / "out.tar"), "-q"], capture_output=True, check=True
    )
    assert int(done.stdout) < 100 << 10


# -- config and manifest ---------------------------------------------------------------


@pytest.fixture
def multi(tmp_path):
    layout = Layout(tmp_path / "multi")
    children = [
        layout.image("a", described={"platform": AMD64}),
        layout.image("b", described={"platform": ARM64}),
    ]
    index = layout.index(*children)
    source = layout.write(named(index, "docker.io/library/app:1"), named(children[0], "docker.io/library/one:1"))
    return source, index, children


def blob_of(source, descriptor):
    return (Path(source) / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()


def test_documents_are_printed_as_they_are(multi):
    source, index, children = multi
    expected = {
        ("manifest", "app:1"): blob_of(source, index),
        ("manifest", "one:1"): blob_of(source, children[0]),
        ("manifest", "app:1", "--platform", "linux/arm64"): blob_of(source, children[1]),
        ("config", "one:1"): blob_of(source, json.loads(blob_of(source, children[0]))["config"]),
        ("config", "app:1", "--platform", "linux/arm64"): blob_of(
            source, json.loads(blob_of(source, children[1]))["config"]
        ),
    }
    for (command, *arguments), data in expected.items():
        done = run(command, source, *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, data, b"")


def test_one_image_of_one_platform_is_needed(imgconv, multi, tmp_path):
    source, _, _ = multi
    for command in (["config", source], ["manifest", source], ["export", source, tmp_path / "x"]):
        done = imgconv(*command)
        assert done.status == 2
        assert "app:1, one:1" in done.err
    for command in (["config", source, "app:1"], ["export", source, "app:1", tmp_path / "x"]):
        done = imgconv(*command)
        assert done.status == 2
        assert "linux/amd64, linux/arm64" in done.err
    assert imgconv("config", source, "other").status == 2


def test_an_archive_without_manifests_has_a_config_only(imgconv, tmp_path):
    made = Made("a")
    path = tmp_path / "in.tar"
    path.write_bytes(archive(made.files, items=[made.item("app:1", "app:2")]))
    assert run("config", path).stdout == made.files["blobs/" + made.image_id.replace(":", "/")]
    done = imgconv("manifest", path)
    assert done.status == 2
    assert "digest --as PUSHER --manifest -" in done.err
