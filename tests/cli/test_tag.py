"""`imgconv tag` and `imgconv untag`: names in place."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from pathlib import Path

import jsonschema
import pytest
from layouts import NAME, REF_NAME, Layout, named
from named_archives import Made, archive
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
