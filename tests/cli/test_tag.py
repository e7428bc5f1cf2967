"""`imgconv tag` and `imgconv untag`: names in place."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path

import jsonschema
import pytest
from layouts import NAME, REF_NAME, Layout, named
from named_archives import Made, archive, blob
from oracle.reading import files_of
from support import MATCH, ROOT

import convert

SCHEMA = json.loads((ROOT / "schemas" / "report-tag.json").read_text())


def put(tmp_path, name):
    path = tmp_path / "in.tar"
    path.write_bytes(gzip.decompress((MATCH / f"{name}.tar.gz").read_bytes()))
    return path


def names_of(path):
    with convert.open(path) as opened:
        return sorted(name for image in opened.images() for name in opened.names(image))


def others_of(path):
    """Return the members of a tar that list no names, in order."""
    with tarfile.open(path) as tar:
        return [
            (
                each.name,
                each.mode,
                each.mtime,
                each.size,
                tar.extractfile(each).read() if each.isreg() else each.linkname,
            )
            for each in tar
            if each.name not in {"index.json", "manifest.json", "repositories"}
        ]


ARCHIVES = [path.name.removesuffix(".tar.gz") for path in sorted(MATCH.glob("*.tar.gz"))]


def headers_of(path):
    with tarfile.open(path) as tar:
        return [(each.name, each.mode, each.mtime) for each in tar]


@pytest.mark.parametrize("name", ARCHIVES)
def test_documents_keep_their_place_mode_and_time(imgconv, tmp_path, name):
    path = put(tmp_path, name)
    before = headers_of(path)
    first = min(names_of(path), default=None)
    assert imgconv("tag", path, *([first] if first else []), "new.example/n:9").status in {0, 2}
    assert headers_of(path) == before


@pytest.mark.parametrize(
    "form", ["docker-save", "docker-save@25", "docker-save@29", "docker-oci", "crane", "oci-archive"]
)
def test_a_tagged_archive_is_the_one_that_a_conversion_writes(imgconv, tmp_path, form):
    path, other = tmp_path / "in.tar", tmp_path / "other.tar"
    convert.convert(MATCH / "docker20-html.tar.gz", path, to=form, add_repositories=form == "docker-oci")
    assert imgconv("tag", path, "new.example/n:9").status == 0
    convert.convert(path, other, to=form, add_repositories=form == "docker-oci")
    assert path.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_name_comes_and_goes(imgconv, tmp_path, name):
    """Every other member stays, in its order, and all lists of names agree."""
    path = put(tmp_path, name)
    os.chmod(path, 0o640)
    before, names = others_of(path), names_of(path)
    old = names[0] if names else None
    arguments = [old] if old else []
    done = imgconv("tag", path, *arguments, "example.com/new:7", "--json")
    if done.status == 2 and not old:
        assert "images" in done.err
        return
    assert done.status == 0, done.err
    jsonschema.validate(done.json, SCHEMA)
    assert "example.com/new:7" in done.json["names"]
    assert set(names_of(path)) == {*names, "example.com/new:7"}
    assert others_of(path) == before
    assert path.stat().st_mode & 0o777 == 0o640
    assert imgconv("validate", path).status == imgconv("validate", put(tmp_path / ".." / tmp_path.name, name)).status
    path = put(tmp_path, name)
    imgconv("tag", path, *arguments, "example.com/new:7")
    done = imgconv("untag", path, "example.com/new:7", "--json")
    assert done.status == 0, done.err
    assert names_of(path) == names
    assert others_of(path) == before


def test_a_layout_changes_in_its_index_only(imgconv, tmp_path):
    layout = Layout(tmp_path / "layout")
    one, two = layout.image("a"), layout.image("b")
    source = layout.write(named(one, "docker.io/library/app:1"), two, annotations={"k": "v"})
    before = files_of(source)
    assert imgconv("tag", source, two["digest"], "example.com/two:1").status == 0
    after = files_of(source)
    assert {name for name in after if after[name] != before.get(name)} == {"index.json"}
    index = json.loads(after["index.json"])
    assert index["annotations"] == {"k": "v"}
    # The ref.name of another image is not taken.
    assert index["manifests"][1]["annotations"] == {NAME: "example.com/two:1", REF_NAME: "example.com/two:1"}
    assert imgconv("untag", source, "example.com/two:1").status == 0
    assert files_of(source) == before


def test_a_name_of_another_image_moves(imgconv, tmp_path):
    one, two = Made("one"), Made("two")
    path = tmp_path / "in.tar"
    files = {**one.files, **two.files}
    entries = [one.named("docker.io/library/app:1", "1"), two.named("docker.io/library/b:1", "1")]
    path.write_bytes(archive(files, entries=entries, items=[one.item("app:1"), two.item("b:1")]))
    done = imgconv("tag", path, "b:1", "app:1")
    assert done.status == 0, done.err
    assert f"name app:1 moved from {one.image_id}" in done.err or one.manifest["digest"] in done.err
    items = json.loads(files_of(path)["manifest.json"])
    assert [item["RepoTags"] for item in items] == [None, ["b:1", "app:1"]]


def test_the_last_name_leaves_the_image(imgconv, tmp_path):
    made = Made("one")
    path = tmp_path / "in.tar"
    path.write_bytes(archive(made.files, items=[made.item("app:1")]))
    assert imgconv("untag", path, "app").status == 0
    assert json.loads(files_of(path)["manifest.json"])[0]["RepoTags"] is None
    assert imgconv("untag", path, "app").status == 2
    assert imgconv("tag", path, "app:2").status == 0
    assert names_of(path) == ["app:2"]


def test_nothing_is_written_where_nothing_changes(imgconv, tmp_path):
    made = Made("one")
    path = tmp_path / "in.tar"
    path.write_bytes(archive(made.files, items=[made.item("app:1")]))
    inode = path.stat().st_ino
    done = imgconv("tag", path, "app:1", "--json")
    assert (done.status, done.json["changed"]) == (0, [])
    assert path.stat().st_ino == inode


def test_a_link_is_resolved(imgconv, tmp_path):
    made = Made("one")
    (tmp_path / "in.tar").write_bytes(archive(made.files, items=[made.item("app:1")]))
    (tmp_path / "link").symlink_to("in.tar")
    assert imgconv("tag", tmp_path / "link", "app:2").status == 0
    assert (tmp_path / "link").is_symlink()
    assert names_of(tmp_path / "in.tar") == ["app:1", "app:2"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["tag", "two.tar", "new:1"], 2),
        (["tag", "two.tar", "other:1", "new:1"], 2),
        (["tag", "two.tar", "one:1", "NEW"], 2),
        (["tag", "two.tar", "one:1", "new@sha256:" + "0" * 64], 2),
        (["untag", "two.tar", "other:1"], 2),
        (["tag", "packed.tar.gz", "one:1", "new:1"], 2),
        (["tag", "-", "one:1", "new:1"], 2),
        (["untag", "-", "one:1"], 2),
        (["tag", "two.tar", "a", "b", "c"], 2),
        (["tag", "absent.tar", "new:1"], 4),
        (["tag", "text", "new:1"], 3),
    ],
)
def test_what_cannot_be_done(imgconv, tmp_path, monkeypatch, arguments, status):
    monkeypatch.chdir(tmp_path)
    one, two = Made("one"), Made("two")
    raw = archive({**one.files, **two.files}, items=[one.item("one:1"), two.item("two:1")])
    Path("two.tar").write_bytes(raw)
    Path("packed.tar.gz").write_bytes(gzip.compress(raw))
    Path("text").write_text("text")
    done = imgconv(*arguments)
    assert (done.status, len(done.err.splitlines())) == (status, 1), done.err
    assert Path("two.tar").read_bytes() == raw


DAMAGED = {
    "repositories": [
        b"{bad",
        b"",
        b'["x"]',
        b'{"app":"x"}',
        b'{"app":{"1":2}}',
        b"9" * 5000,
        b"1e400",
        b"[" * 100000,
        b"null",
        b'{"app":{"1":"a"},"app":{}}',
    ],
    "index.json": [
        b"{bad",
        b"",
        b"[]",
        b"{}",
        b'{"manifests":null}',
        b'{"manifests":["x"]}',
        b'{"manifests":[{"digest":1}]}',
        b'{"manifests":[{"annotations":[]}]}',
        b'{"manifests":[{"annotations":{"org.opencontainers.image.ref.name":1}}]}',
        b'{"manifests":[],"Manifests":[]}',
    ],
}


@pytest.mark.parametrize("command", [["tag", "app:2"], ["untag", "app:1"]])
@pytest.mark.parametrize(
    ("name", "raw", "form"),
    [
        (name, raw, form)
        for name, each in DAMAGED.items()
        for raw in each
        for form in ("blobs", "v1", "layout")
        if name != "index.json" or form != "layout"  # which has one
    ],
)
def test_damaged_documents_are_refused_though_readers_do_not_look_at_them(imgconv, tmp_path, name, raw, form, command):
    """Which documents the reader looks at depends on the paths in the archive."""
    made = Made("one", plain=True)
    config, layer = made.image_id, made.layer["digest"]
    names = {"v1": (config.removeprefix("sha256:") + ".json", "a" * 64 + "/layer.tar")}
    item = made.item("app:1")
    files = dict(made.files)
    if form in names:
        item |= {"Config": names[form][0], "Layers": [names[form][1]]}
        files = {names[form][0]: files[blob(config)], names[form][1]: files[blob(layer)]}
    entries = [made.named("docker.io/library/app:1", "1")] if form == "layout" else None
    path = tmp_path / "in.tar"
    path.write_bytes(archive(files, entries=entries, items=[item]))
    with tarfile.open(path, "a") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(raw)
        tar.addfile(member, io.BytesIO(raw))
    before = path.read_bytes()
    done = imgconv(command[0], path, *command[1:])
    assert done.status == 3, done.err
    assert f"{path}: {name}" in done.err.splitlines()[-1]
    assert path.read_bytes() == before


def test_fields_keep_their_spelling(imgconv, tmp_path):
    made = Made("one")
    item = made.item("app:1")
    item["repotags"] = item.pop("RepoTags")
    path = tmp_path / "in.tar"
    path.write_bytes(archive({**made.files, "repositories": b'{"app":null}'}, items=[item]))
    assert imgconv("tag", path, "app:2").status == 0
    found = json.loads(files_of(path)["manifest.json"])[0]
    assert (found["repotags"], "RepoTags" in found) == (["app:1", "app:2"], False)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    ("ref", "rest"),
    [("app:1", {REF_NAME: "docker.io/library/zzz:2"}), ("docker.io/library/zzz:2", {NAME: "docker.io/library/app:1"})],
)
def test_of_two_full_names_the_other_stays(imgconv, tmp_path, ref, rest, times):
    layout = Layout(tmp_path / "layout")
    one = layout.image("a")
    both = {**one, "annotations": {NAME: "docker.io/library/app:1", REF_NAME: "docker.io/library/zzz:2"}}
    source = layout.write(*[both] * times)
    done = imgconv("untag", source, ref)
    assert done.status == 0, done.err
    entries = json.loads(files_of(source)["index.json"])["manifests"]
    assert [each["annotations"] for each in entries] == [rest] * times


@pytest.mark.parametrize("command", [["tag", "app:1", "app:2"], ["untag", "app:1"]])
def test_a_document_that_is_a_link_is_not_replaced(imgconv, tmp_path, command):
    layout = Layout(tmp_path / "layout")
    source = Path(layout.write(named(layout.image("a"), "docker.io/library/app:1")))
    (source / "index.json").rename(source / "real.json")
    (source / "index.json").symlink_to("real.json")
    before = (source / "real.json").read_bytes()
    done = imgconv(command[0], source, *command[1:])
    assert (done.status, len(done.err.splitlines())) == (2, 1), done.err
    assert (source / "index.json").is_symlink()
    assert (source / "real.json").read_bytes() == before
