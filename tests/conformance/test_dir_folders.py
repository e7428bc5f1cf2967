"""`dir:` folders of skopeo and podman: read by content, written as skopeo writes them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tarfile
from dataclasses import dataclass

import dir_folders
import pytest
from layouts import GZIP, Layout, digest_of, named, packed, piped, tar_of
from support import FORMATS, MATCH, READ
from support import run as run_process

import convert
from convert.cli.main import run as run_command
from convert.errors import FormatError, ImgconvError, NoImageError, UnsafeInputError, UnsupportedError

NAME = "example.com/app:1"


@dataclass
class Done:
    """What a command line returned and printed."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run(*arguments):
    """Run a command line in this process."""
    printed = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    with contextlib.redirect_stdout(printed[0]), contextlib.redirect_stderr(printed[1]):
        status = run_command([str(each) for each in arguments])
    return Done(status, *(each.buffer.getvalue() for each in printed))


ARM = {"architecture": "arm64", "os": "linux"}


def built(layout, *, docker=False):
    """Return the entry of an image in a layout."""
    if not docker:
        return layout.image("a", "b")
    plain = tar_of("a")
    kind = "application/vnd.docker."
    config = layout.config([digest_of(plain)], kind + "container.image.v1+json")
    layer = layout.blob(packed(plain), kind + "image.rootfs.diff.tar.gzip")
    media_type = kind + "distribution.manifest.v2+json"
    document = {"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer]}
    return layout.document(document, media_type)


def indexed(layout):
    """Return an index of two platforms and one that is absent."""
    host = layout.image("a", described={"platform": {"architecture": "amd64", "os": "linux"}})
    plain = tar_of("b")
    config = layout.config([digest_of(plain)], **ARM)
    arm = layout.manifest([layout.blob(packed(plain), GZIP)], [], config=config, described={"platform": ARM})
    absent = {"mediaType": arm["mediaType"], "digest": digest_of(b"absent"), "size": 6, "platform": {"os": "x"}}
    return layout.index(host, arm, absent)


KINDS = {"oci": built, "docker": lambda layout: built(layout, docker=True), "index": indexed}


@pytest.fixture(params=KINDS)
def pair(request, tmp_path):
    """Return a layout and the same as a `dir:` folder."""
    layout = Layout(tmp_path / "layout")
    entry = KINDS[request.param](layout)
    layout.write(entry)
    return layout.folder, dir_folders.from_layout(layout.folder, tmp_path / "in put", entry)


def images_of(command, source):
    """Return the images in the document of `id` or `inspect`."""
    return json.loads(run(command, source, "--json").stdout)["images"]


def identity(source):
    """Return all digests of a source."""
    return [
        {
            "image_id": image["image_id"],
            "manifest": image["manifest"],
            "platform": image["platform"],
            "layers": [(layer["diff_id"], layer["digest"], layer["size"]) for layer in image["layers"]],
        }
        for image in images_of("inspect", source)
    ]


def test_it_is_read_as_the_layout_is(pair):
    layout, folder = pair
    assert identity(folder) == identity(layout) != []
    assert identity(f"dir:{folder}") == identity(layout)
    with convert.open(folder) as archive:
        assert archive.format == "dir"


def test_it_is_written_as_it_was(pair, tmp_path):
    layout, folder = pair
    for source in (layout, folder):
        out = tmp_path / "out"
        convert.convert(source, out, to="dir", verify_output=True)
        assert {path.name: path.read_bytes() for path in out.iterdir()} == {
            path.name: path.read_bytes() for path in folder.iterdir()
        }
        dir_folders.check(out)
        shutil.rmtree(out)


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "crane"])
def test_every_target_gets_its_image_and_gives_it_back(tmp_path, form):
    layout = Layout(tmp_path / "layout")
    entry = layout.image("a", "b")
    folder = dir_folders.from_layout(layout.folder, tmp_path / "in", entry)
    image_id = images_of("id", folder)[0]["image_id"]
    convert.convert(folder, tmp_path / "made", to=form, tags=[NAME])
    convert.convert(tmp_path / "made", tmp_path / "back", to="dir")
    dir_folders.check(tmp_path / "back")
    assert images_of("id", tmp_path / "back")[0]["image_id"] == image_id


@pytest.mark.parametrize("source", sorted(READ.glob("*.tar.gz")) + sorted(MATCH.glob("*.tar.gz")), ids=lambda p: p.stem)
def test_each_image_of_a_real_archive_makes_a_folder(tmp_path, source):
    """One folder for each image, all digests as in a layout of it."""
    images = images_of("id", source)
    for number, image in enumerate(images):
        layout, folder = tmp_path / f"layout{number}", tmp_path / f"dir{number}"
        try:
            convert.convert(source, layout, to="oci", images=[image["image_id"]])
        except ImgconvError:
            continue
        tops = {each["digest"] for each in json.loads((layout / "index.json").read_bytes())["manifests"]}
        if len(tops) > 1:
            with pytest.raises(convert.UsageError) as caught:
                convert.convert(layout, folder, to="dir")
            assert caught.value.code == "several-images"
            continue
        convert.convert(source, folder, to="dir", images=[image["image_id"]])
        manifests = dir_folders.check(folder)
        assert {digest[7:] for digest in tops} <= manifests.keys()
        convert.convert(folder, tmp_path / f"again{number}", to="oci")
        assert blobs(tmp_path / f"again{number}") == blobs(layout)


def blobs(layout):
    return {path.name for path in layout.glob("blobs/*/*")}


def test_a_pipe_of_it_is_read(pair, tmp_path):
    _, folder = pair
    done = run_process("-", "--to", "dir", tmp_path / "out", input=piped(folder))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in folder.iterdir()}


def test_all_that_is_left_out_is_reported(tmp_path):
    layout = Layout(tmp_path / "layout")
    entry = named(indexed(layout), NAME)
    entry["annotations"]["org.example"] = "x"
    layout.write(entry)
    report = convert.convert(layout.folder, tmp_path / "out", to="dir")
    assert {(each.what, each.number) for each in report.dropped} >= {("name", 1), ("annotations", 1)}


def test_an_image_entry_s_annotations_are_reported_once(tmp_path):
    layout = Layout(tmp_path / "layout")
    entry = layout.image("a") | {"annotations": {"org.example": "x"}}
    layout.write(entry)
    report = convert.convert(layout.folder, tmp_path / "out", to="dir")
    assert [(each.what, each.number) for each in report.dropped] == [("annotations", 1)]


def test_several_images_are_refused_unless_each_gets_a_folder(tmp_path, imgconv_status):
    layout = Layout(tmp_path / "layout")
    layout.write(named(layout.image("a"), "app:1"), named(layout.image("b"), "app:2"))
    assert imgconv_status(layout.folder, "--to", "dir", tmp_path / "out") == 2
    assert not (tmp_path / "out").exists()
    assert imgconv_status(layout.folder, "--to", "dir", tmp_path / "{tag}") == 0
    assert imgconv_status(layout.folder, "--to", "dir", tmp_path / "one", "--image", "app:2") == 0
    assert identity(tmp_path / "2") == identity(tmp_path / "one")


@pytest.fixture
def imgconv_status():
    """Run a command line, and return its status; no traceback, one line of error."""

    def call(*arguments):
        done = run(*arguments)
        assert b"Traceback" not in done.stderr
        assert done.returncode in {0, 1} or done.stderr.strip()
        return done.returncode

    return call


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("id", "IN"), 0),
        (("inspect", "IN"), 0),
        (("validate", "IN"), 0),
        (("digest", "IN"), 0),
        (("digest", "IN", "--as", "skopeo"), 0),
        (("digest", "IN", "--as", "podman"), 0),
        (("digest", "IN", "--as", "imgconv"), 0),
        (("digest", "IN", "--as", "crane"), 2),
        (("digest", "IN", "--as", "docker-containerd"), 2),
        (("diff", "IN", "IN"), 0),
        (("match", "IN", "IN/manifest.json"), 0),
        (("config", "IN"), 0),
        (("manifest", "IN"), 0),
        (("export", "IN", "OUT"), 0),
        (("tag", "IN", "a:1"), 2),
        (("untag", "IN", "a:1"), 2),
        (("IN", "--to", "dir", "-"), 2),
        (("IN", "--to", "dir", "--append", "OUT"), 2),
        (("IN", "--to", "dir", "--without", "IN", "OUT"), 2),
        (("IN", "--to", "dir", "dir:OUT"), 2),
        (("IN", "--to", "dir", "--join", "a:1", "OUT"), 0),
        (("IN", "IN", "--to", "dir", "OUT"), 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_every_command_takes_it_or_says_why_not(tmp_path, imgconv_status, arguments, status):
    layout = Layout(tmp_path / "layout")
    folder = dir_folders.from_layout(layout.folder, tmp_path / "in", layout.image("a"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    places = {"IN": str(folder), "IN/manifest.json": f"{folder}/manifest.json", "OUT": str(tmp_path / "out")}
    assert imgconv_status(*(places.get(each, each) for each in arguments)) == status
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    if status:
        assert not (tmp_path / "out").exists()


#: What is wrong with a folder, and the file that the message names; None for one that is read all the same.
DAMAGES = {
    "version of something else": (lambda folder: (folder / "version").write_text("1.1\n"), "version"),
    "version in other letters": (
        lambda folder: (folder / "version").write_text("directory transport version: 1.1\n"),
        "version",
    ),
    "empty version": (lambda folder: (folder / "version").write_bytes(b""), "version"),
    "version that is a folder": (
        lambda folder: ((folder / "version").unlink(), (folder / "version").mkdir()),
        "version",
    ),
    "version that is a FIFO": (
        lambda folder: ((folder / "version").unlink(), os.mkfifo(folder / "version")),
        "version",
    ),
    "version that leads out": (
        lambda folder: ((folder / "version").unlink(), (folder / "version").symlink_to("/etc/hostname")),
        "version",
    ),
    "no version": (lambda folder: (folder / "version").unlink(), None),
    "no version, no manifest": (
        lambda folder: ((folder / "version").unlink(), (folder / "manifest.json").write_text("{")),
        "manifest.json",
    ),
    "a manifest that is cut": (lambda folder: os.truncate(folder / "manifest.json", 20), "manifest.json"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "manifest.json"),
}


@pytest.mark.parametrize(("damage", "named"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_an_error_about_such_a_folder(tmp_path, damage, named):
    """Whoever spells a source `dir:` is told what is wrong with it as such, not as an archive of Docker."""
    layout = Layout(tmp_path / "layout")
    folder = dir_folders.from_layout(layout.folder, tmp_path / "in", layout.image("a"))
    damage(folder)
    done = run("id", f"dir:{folder}")
    text = done.stderr.decode()
    if named is None:
        assert done.returncode == 0, text
        return
    assert (done.returncode, text.count("\n")) == (3, 1)
    assert f"{folder}: {named}: " in text
    assert "list" not in text
    done = run("validate", "--json", f"dir:{folder}")
    (verdict,) = json.loads(done.stdout)["sources"]
    assert done.returncode in {1, 3}
    assert {found["member"] for found in verdict["findings"] if found["severity"] == "error"} == {named}, verdict


@pytest.mark.parametrize("name", ["docker20-html", "crane-tarball", "docker29-hybrid-html", "podman-oci-archive"])
def test_any_other_archive_may_be_spelled_so(name):
    path = MATCH / f"{name}.tar.gz"
    assert run("id", f"dir:{path}").stdout == run("id", path).stdout != b""


@pytest.mark.parametrize("source", ["dir:", "oci:", "oci-archive:", "docker-archive:", "oci::app", "registry:"])
def test_a_spelling_without_a_path_is_one_clear_line(source):
    done = run("id", source)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert source.partition(":")[0].encode() in done.stderr


def test_the_manifest_and_config_are_printed_as_they_are(pair):
    _, folder = pair
    done = run("manifest", folder)
    assert done.stdout == (folder / "manifest.json").read_bytes()


def test_other_digests_than_sha256_are_found_under_both_names(tmp_path):
    """Skopeo up to 1.21 writes only the hex digits, later releases the algorithm before them."""
    import hashlib

    folder = tmp_path / "in"
    folder.mkdir()
    plain = tar_of("a")
    layer = packed(plain)
    long = hashlib.sha512(layer).hexdigest()
    config = json.dumps(
        {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [digest_of(plain)]}}
    ).encode()
    (folder / digest_of(config)[7:]).write_bytes(config)
    described = {"mediaType": GZIP, "digest": f"sha512:{long}", "size": len(layer)}
    kind = "application/vnd.oci.image.config.v1+json"
    config_described = {"mediaType": kind, "digest": digest_of(config), "size": len(config)}
    (folder / "manifest.json").write_text(
        json.dumps({"schemaVersion": 2, "config": config_described, "layers": [described]})
    )
    found = []
    for name in (long, f"sha512-{long}"):
        (folder / name).write_bytes(layer)
        found.append(identity(folder))
        convert.convert(folder, tmp_path / name[:9], to="dir")
        assert (tmp_path / name[:9] / f"sha512-{long}").read_bytes() == layer
        assert (tmp_path / name[:9] / "version").read_text() == "Directory Transport Version: 1.2\n"
        assert run("validate", folder).returncode == 0
        (folder / name).unlink()
    assert found[0] == found[1]


# -- damage ----------------------------------------------------------------------------


def first_blob(folder):
    return next(
        path for path in sorted(folder.iterdir()) if len(path.name) == 64 and path.read_bytes()[:2] == b"\x1f\x8b"
    )


def write(name, data):
    def change(folder):
        (folder / name).write_bytes(data)

    return change


def child(folder):
    return next(path for path in sorted(folder.iterdir()) if path.name.endswith(".manifest.json"))


DAMAGE = {
    "no layer": (built, lambda folder: first_blob(folder).unlink(), FormatError, "missing"),
    "short layer": (built, lambda folder: os.truncate(first_blob(folder), 9), FormatError, "size"),
    "other layer": (
        built,
        lambda folder: first_blob(folder).write_bytes(bytes(first_blob(folder).stat().st_size)),
        ImgconvError,
        "digest",
    ),
    "newer version": (
        built,
        write("version", b"Directory Transport Version: 1.3\n"),
        UnsupportedError,
        "layout-version",
    ),
    "odd version": (built, write("version", b"Directory Transport Version: x"), FormatError, "layout-version"),
    "no JSON": (built, write("manifest.json", b"{"), FormatError, "json"),
    "schema 1": (built, write("manifest.json", b'{"schemaVersion":1}'), UnsupportedError, "unreadable"),
    "neither": (built, write("manifest.json", b'{"schemaVersion":2}'), FormatError, "schema"),
    "no list": (built, write("manifest.json", b'{"schemaVersion":2,"manifests":[]}'), NoImageError, "no-images"),
    "both": (
        built,
        write("manifest.json", b'{"schemaVersion":2,"manifests":[],"config":{}}'),
        FormatError,
        "schema",
    ),
    "other child": (indexed, lambda folder: child(folder).write_bytes(b"{}"), ImgconvError, "digest"),
    "link out": (
        built,
        lambda folder: (first_blob(folder).unlink(), os.symlink("/etc/passwd", missing(folder))),
        UnsafeInputError,
        "unsafe",
    ),
    "a folder": (
        built,
        lambda folder: (first_blob(folder).unlink(), os.mkdir(missing(folder))),
        FormatError,
        "damaged",
    ),
}


def missing(folder):
    """Return the path of a layer that the manifest names and that is not there."""
    document = json.loads((folder / "manifest.json").read_bytes())
    return next(path for each in document["layers"] if not (path := folder / each["digest"][7:]).exists())


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_an_error_and_a_finding(tmp_path, name):
    make, change, error, rule = DAMAGE[name]
    layout = Layout(tmp_path / "layout")
    folder = dir_folders.from_layout(layout.folder, tmp_path / "in", make(layout))
    change(folder)
    with pytest.raises(error) as caught:
        convert.convert(folder, tmp_path / "out", to="oci-archive", verify="full")
    assert caught.value.exit_status == 3
    assert not (tmp_path / "out").exists()
    verdict = convert.validate(folder)
    assert rule in {finding.rule for finding in verdict.findings}
    assert verdict.status in {1, 3}
    for arguments in (("id", folder), ("inspect", folder), ("doctor", folder), ("digest", folder)):
        done = run(*arguments)
        assert b"Traceback" not in done.stderr
        assert done.returncode in {0, 1, 2, 3}


def test_signatures_are_reported(tmp_path):
    layout = Layout(tmp_path / "layout")
    folder = dir_folders.from_layout(layout.folder, tmp_path / "in", layout.image("a"))
    (folder / "signature-1").write_bytes(b"\0simple")
    report = convert.convert(folder, tmp_path / "out", to="dir")
    assert "signatures-not-read" in {line.code for line in report.warnings}


def test_a_blob_that_nothing_names_is_a_note(tmp_path):
    layout = Layout(tmp_path / "layout")
    folder = dir_folders.from_layout(layout.folder, tmp_path / "in", layout.image("a"))
    (folder / digest_of(b"x")[7:]).write_bytes(b"x")
    assert [each.rule for each in convert.validate(folder).findings if each.rule == "unreferenced"]
    (folder / digest_of(b"y")[7:]).write_bytes(b"x")
    assert "digest" in {each.rule for each in convert.validate(folder).findings}


# -- what is at the destination ----------------------------------------------------------


def state(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def sources(tmp_path):
    """Return two layouts of one image each."""
    found = []
    for name in "ab":
        layout = Layout(tmp_path / name)
        layout.write(layout.image(name))
        found.append(layout.folder)
    return found


def test_force_replaces_a_dir_folder_and_nothing_else(tmp_path, sources):
    one, two = sources
    out = tmp_path / "out"
    convert.convert(one, out, to="dir")
    old = state(out)
    with pytest.raises(convert.UsageError):
        convert.convert(two, out, to="dir")
    for form, exists in (("oci", out), ("dir", one)):
        before = state(exists)
        with pytest.raises(convert.UsageError) as caught:
            convert.convert(two, exists, to=form, force=True)
        assert caught.value.code == "destination-not-layout"
        assert state(exists) == before
    assert state(out) == old
    convert.convert(two, out, to="dir", force=True)
    assert identity(out) == identity(two)
    dir_folders.check(out)


@pytest.mark.parametrize("name", ["notes.txt", "oci-layout", "sub", "A" * 64])
def test_force_keeps_a_folder_that_holds_more(tmp_path, sources, name):
    out = tmp_path / "out"
    convert.convert(sources[0], out, to="dir")
    if name == "sub":
        (out / name).mkdir()
    else:
        (out / name).write_text("mine")
    before = state(out)
    with pytest.raises(convert.UsageError):
        convert.convert(sources[1], out, to="dir", force=True)
    assert state(out) == before
    assert (out / name).exists()


def test_an_empty_folder_is_filled(tmp_path, sources):
    out = tmp_path / "out"
    out.mkdir(mode=0o750)
    convert.convert(sources[0], out, to="dir")
    dir_folders.check(out)
    assert out.stat().st_mode & 0o777 == 0o750


def test_a_damaged_layer_leaves_nothing(tmp_path, sources):
    for path in sources[0].glob("blobs/sha256/*"):
        if path.read_bytes()[:2] == b"\x1f\x8b":
            path.write_bytes(bytes(path.stat().st_size))
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "out", tmp_path / "empty"):
        with pytest.raises(ImgconvError):
            convert.convert(sources[0], out, to="dir")
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "empty").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "empty"]


def test_a_tar_of_one_with_two_readings_of_a_file_is_refused(tmp_path):
    layout = Layout(tmp_path / "layout")
    folder = dir_folders.from_layout(layout.folder, tmp_path / "in", layout.image("a"))
    raw = io.BytesIO(piped(folder))
    with tarfile.open(fileobj=raw, mode="a") as archive:
        member = tarfile.TarInfo("manifest.json")
        member.size = 2
        archive.addfile(member, io.BytesIO(b"{}"))
    path = tmp_path / "twice.tar"
    path.write_bytes(raw.getvalue())
    assert run("id", path).returncode == 3
