"""`--drop`, `--untag`, `--rename`, `--prune`, `--no-attestations` and `--flatten`."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from layouts import INDEX, NAME, REF_NAME, Layout, named
from named_archives import Made, archive
from oracle.reading import files_of
from support import ROOT

SCHEMA = json.loads((ROOT / "schemas" / "report-convert.json").read_text())
AMD64, ARM64 = {"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux"}
UNKNOWN = {"architecture": "unknown", "os": "unknown"}


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "source")


@pytest.fixture
def edited(imgconv, tmp_path):
    """Convert with edits; gives the index.json of the result and the report."""

    def call(source, *options, to="oci"):
        done = imgconv(source, "--to", to, tmp_path / "out", "--json", *options)
        assert done.status == 0, done.err
        jsonschema.validate(done.json, SCHEMA)
        files = files_of(tmp_path / "out")
        return json.loads(files["index.json"]), done.json

    return call


@pytest.fixture
def refused(imgconv, tmp_path):
    """Convert with edits that cannot be done; gives the line, and nothing is written."""

    def call(source, *options, status=2, to="oci"):
        done = imgconv(source, "--to", to, tmp_path / "out", *options)
        assert done.status == status, done.err
        assert not (tmp_path / "out").exists()
        assert len(done.err.splitlines()) == 1
        return done.err

    return call


def names_of(index):
    """Return (full name, ref.name, digest) of each entry."""
    found = []
    for entry in index["manifests"]:
        annotations = entry.get("annotations", {})
        found.append((annotations.get(NAME), annotations.get(REF_NAME), entry["digest"]))
    return found


def blob_of(folder, digest):
    return (Path(folder) / "blobs" / digest.replace(":", "/")).read_bytes()


def document(folder, digest):
    return json.loads(blob_of(folder, digest))


def attestation(layout, about):
    described = {
        "platform": UNKNOWN,
        "annotations": {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": about},
    }
    return layout.image("provenance", described=described)


# -- names ---------------------------------------------------------------------------


def test_a_dropped_image_goes_with_all_its_names(layout, edited):
    one, two = layout.image("a"), layout.image("b")
    source = layout.write(
        named(one, "docker.io/library/app:1"), named(one, "docker.io/library/app:2"), named(two, "docker.io/x/y:1")
    )
    index, _ = edited(source, "--drop", "app:2")
    assert names_of(index) == [("docker.io/x/y:1", "1", two["digest"])]


@pytest.mark.parametrize("by", ["digest", "prefix", "image ID"])
def test_an_image_can_be_dropped_by_what_identifies_it(layout, edited, by):
    one, two = layout.image("a"), layout.image("b")
    source = layout.write(named(one, "docker.io/library/app:1"), two)
    config = document(source, two["digest"])["config"]["digest"]
    ref = {"digest": two["digest"], "prefix": two["digest"][7:23], "image ID": config}[by]
    index, _ = edited(source, "--drop", ref)
    assert [entry[2] for entry in names_of(index)] == [one["digest"]]


def test_a_dropped_child_changes_its_index_only(layout, edited, tmp_path):
    one, two = layout.image("a", described={"platform": AMD64}), layout.image("b", described={"platform": ARM64})
    both = layout.index(one, two)
    source = layout.write(named(both, "docker.io/library/app:1"))
    index, report = edited(source, "--drop", two["digest"])
    (entry,) = index["manifests"]
    assert document(tmp_path / "out", entry["digest"])["manifests"] == [one]
    assert report["changed"] == [{"what": "index", "from": both["digest"], "to": entry["digest"], "why": "--drop"}]


def test_an_untagged_image_stays(layout, edited):
    one = layout.image("a")
    source = layout.write(named(one, "docker.io/library/app:1"), named(one, "docker.io/library/app:2"))
    index, _ = edited(source, "--untag", "app:2")
    assert names_of(index) == [("docker.io/library/app:1", "1", one["digest"])]


def test_the_last_name_may_be_taken_away(layout, edited, tmp_path):
    one = layout.image("a")
    source = layout.write(named(one, "docker.io/library/app:1"), named(one, "docker.io/library/app:2"))
    index, report = edited(source, "--untag", "app:2", "--untag", "app:1", to="docker-oci")
    assert names_of(index) == [(None, None, one["digest"])]
    assert report["images"][0]["names"] == []
    (item,) = json.loads(files_of(tmp_path / "out")["manifest.json"])
    assert item["RepoTags"] is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("app:1", "example.com/app:7", "example.com/app:7"),
        ("docker.io/library/app:1", "app", "docker.io/library/app:latest"),
        ("app", "example.com/app", "example.com/app:1"),
        ("library/", "example.com/mirror/", "example.com/mirror/app:1"),
        ("docker.io/", "example.com/", "example.com/library/app:1"),
        ("docker.io/library/", "docker.io/", "docker.io/library/app:1"),
        ("docker.io/library/", "hold/", "docker.io/hold/app:1"),
    ],
)
def test_renaming(layout, edited, old, new, expected):
    one = layout.image("a")
    source = layout.write(named(one, "docker.io/library/app:1"))
    index, _ = edited(source, "--rename", f"{old}={new}")
    assert names_of(index) == [(expected, expected.rpartition(":")[2], one["digest"])]


def test_a_prefix_matches_whole_components(layout, edited):
    one, two = layout.image("a"), layout.image("b")
    source = layout.write(named(one, "docker.io/hold/app:1"), named(two, "docker.io/holder/app:1"))
    index, _ = edited(source, "--rename", "hold/=example.com/")
    assert {entry[0] for entry in names_of(index)} == {"example.com/app:1", "docker.io/holder/app:1"}


def test_twenty_names_move_with_their_prefix(layout, edited):
    images = [layout.image(f"layer{number}") for number in range(20)]
    source = layout.write(*(named(each, f"old.example/team/app{n}:1") for n, each in enumerate(images)))
    index, _ = edited(source, "--rename", "old.example/team/=new.example/a/b/", to="docker-oci")
    assert [entry[0] for entry in names_of(index)] == [f"new.example/a/b/app{n}:1" for n in range(20)]
    assert [entry[2] for entry in names_of(index)] == [each["digest"] for each in images]


def test_names_can_be_exchanged(layout, edited):
    one, two = layout.image("a"), layout.image("b")
    source = layout.write(named(one, "docker.io/library/app:1"), named(two, "docker.io/library/app:2"))
    index, _ = edited(source, "--rename", "app:1=app:2", "--rename", "app:2=app:1")
    assert {entry[0]: entry[2] for entry in names_of(index)} == {
        "docker.io/library/app:2": one["digest"],
        "docker.io/library/app:1": two["digest"],
    }


def test_a_full_name_goes_before_a_prefix(layout, edited):
    one, two = layout.image("a"), layout.image("b")
    source = layout.write(named(one, "docker.io/hold/a:1"), named(two, "docker.io/hold/b:1"))
    index, _ = edited(source, "--rename", "hold/=example.com/", "--rename", "hold/a:1=special:2")
    assert {entry[0] for entry in names_of(index)} == {"docker.io/library/special:2", "example.com/b:1"}


def test_a_tag_without_repository_gets_a_name(layout, edited):
    one = layout.image("a")
    source = layout.write(one | {"annotations": {REF_NAME: "v1"}})
    index, _ = edited(source, "--rename", "v1=example.com/app:v1")
    assert names_of(index) == [("example.com/app:v1", "v1", one["digest"])]


def test_a_ref_name_keeps_its_kind(layout, edited):
    one = layout.image("a")
    source = layout.write(one | {"annotations": {REF_NAME: "docker.io/library/app:1"}})
    index, _ = edited(source, "--rename", "app:1=example.com/b:2")
    assert names_of(index) == [("example.com/b:2", "example.com/b:2", one["digest"])]


def test_a_name_of_two_images_is_told_apart_by_digest(layout, edited, refused):
    one, two = layout.image("a"), layout.image("b")
    name = "docker.io/library/app:1"
    source = layout.write(named(one, name), named(two, name))
    assert "app:1@DIGEST" in refused(source, "--untag", "app:1")
    index, _ = edited(source, "--rename", f"app:1@{two['digest']}=app:2")
    assert {entry[0]: entry[2] for entry in names_of(index)} == {
        name: one["digest"],
        "docker.io/library/app:2": two["digest"],
    }


def test_edits_apply_in_their_order(layout, edited):
    """Select, drop, untag, rename, tag."""
    one, two, three = (layout.image(each) for each in "abc")
    source = layout.write(
        named(one, "docker.io/library/app:1"),
        named(one, "docker.io/library/app:2"),
        named(two, "docker.io/library/b:1"),
        named(three, "docker.io/library/c:1"),
    )
    options = ["--image", "app:1", "--image", "app:2", "--image", "b:1", "--drop", "b:1", "--untag", "app:2"]
    index, _ = edited(source, *options, "--rename", "app:1=app:3")
    assert names_of(index) == [("docker.io/library/app:3", "3", one["digest"])]


def test_tag_comes_last(layout, edited):
    one, two = layout.image("a"), layout.image("b")
    source = layout.write(named(one, "docker.io/library/app:1"), named(two, "docker.io/library/b:1"))
    index, _ = edited(source, "--drop", "b:1", "--rename", "app:1=app:3", "--tag", "app:4")
    assert names_of(index) == [("docker.io/library/app:4", "4", one["digest"])]


@pytest.mark.parametrize(
    "options",
    [
        ["--drop", "other:1"],
        ["--drop", "sha256:" + "0" * 64],
        ["--untag", "other:1"],
        ["--untag", "app:1", "--untag", "nothing"],
        ["--rename", "other:1=x:1"],
        ["--rename", "hold/=x/"],
        ["--rename", "app/=x/"],
        ["--drop", "app:1", "--rename", "app:1=x:1"],
        ["--rename", "app:1"],
        ["--rename", "=x:1"],
        ["--rename", "app:1="],
        ["--rename", "library/=x"],
        ["--rename", "app:1=x/"],
        ["--rename", "app:1=UPPER:1"],
        ["--rename", "/=x/"],
        ["--rename", "library/=x/UPPER/"],
        ["--rename", "app:1=x@sha256:" + "0" * 64],
        ["--rename", "app:1=x:1", "--rename", "app:1=x:2"],
        ["--rename", "app:1=b:1"],
        ["--drop", "app:1", "--drop", "b:1"],
        ["--prune", "--as", "docker"],
    ],
)
def test_what_cannot_be_done_is_refused(layout, refused, options):
    source = layout.write(
        named(layout.image("a"), "docker.io/library/app:1"), named(layout.image("b"), "docker.io/library/b:1")
    )
    assert refused(source, *options).startswith("imgconv: ")


# -- indexes --------------------------------------------------------------------------


def multi(layout, **more):
    """Return an index of one platform that is there, with its attestation, and one that is absent."""
    here = layout.image("a", described={"platform": AMD64})
    proof = attestation(layout, here["digest"])
    absent = layout.blob(b"{}", here["mediaType"], platform=ARM64, present=False)
    return layout.index(here, proof, absent, annotations={"k": "v"}, **more), (here, proof, absent)


def test_pruning_removes_absent_children(layout, edited, tmp_path):
    listed, (here, proof, absent) = multi(layout)
    source = layout.write(named(listed | {"annotations": {"own": "1"}}, "docker.io/library/app:1"))
    index, report = edited(source, "--prune")
    (entry,) = index["manifests"]
    assert entry["annotations"]["own"] == "1"
    made = document(tmp_path / "out", entry["digest"])
    assert made == {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [here, proof],
        "annotations": {"k": "v"},
    }
    assert report["changed"] == [{"what": "index", "from": listed["digest"], "to": entry["digest"], "why": "--prune"}]
    assert [(line["what"], line["of"]) for line in report["dropped"]] == [("image", absent["digest"])]


def test_pruning_a_complete_source_changes_nothing(layout, edited):
    listed = layout.index(layout.image("a", described={"platform": AMD64}))
    source = layout.write(named(listed, "docker.io/library/app:1"))
    index, report = edited(source, "--prune", "--no-attestations", "--flatten")
    assert names_of(index) == [("docker.io/library/app:1", "1", listed["digest"])]
    assert report["changed"] == report["dropped"] == []


@pytest.mark.parametrize("lost", ["layer", "config", "manifest"])
def test_pruning_leaves_out_an_image_that_lacks_a_blob(layout, edited, refused, tmp_path, lost):
    one, two = layout.image("a"), layout.image("b")
    source = layout.write(named(one, "docker.io/library/app:1"), named(two, "docker.io/library/b:1"))
    manifest = document(source, two["digest"])
    gone = {"layer": manifest["layers"][0], "config": manifest["config"], "manifest": two}[lost]
    layout.path(gone).unlink()
    refused(source, status=3)
    index, report = edited(source, "--prune")
    assert names_of(index) == [("docker.io/library/app:1", "1", one["digest"])]
    ((what, of, message),) = [(line["what"], line["of"], line["message"]) for line in report["dropped"]]
    assert (what, of) == ("image", "b:1")
    assert gone["digest"][7:] in message


def test_pruning_removes_a_child_that_lacks_a_layer(layout, edited, refused, tmp_path):
    one, two = layout.image("a", described={"platform": AMD64}), layout.image("b", described={"platform": ARM64})
    source = layout.write(named(layout.index(one, two), "docker.io/library/app:1"))
    layout.path(document(source, two["digest"])["layers"][0]).unlink()
    refused(source, status=3)
    index, _ = edited(source, "--prune")
    assert document(tmp_path / "out", index["manifests"][0]["digest"])["manifests"] == [one]


def test_pruning_everything_is_no_image(layout, refused):
    one = layout.image("a")
    source = layout.write(named(one, "docker.io/library/app:1"))
    layout.path(document(source, one["digest"])["layers"][0]).unlink()
    assert "leaves no image" in refused(source, "--prune", status=3)


def test_pruning_does_not_excuse_damage(layout, refused):
    one, two = layout.image("a"), layout.image("b")
    source = layout.write(named(one, "docker.io/library/app:1"), named(two, "docker.io/library/b:1"))
    path = layout.path(document(source, two["digest"])["config"])
    path.write_bytes(path.read_bytes().replace(b"amd64", b"arm64"))
    refused(source, "--prune", status=3)


def test_a_dropped_image_may_be_incomplete_or_damaged(layout, edited):
    one, two, three = (layout.image(each) for each in "abc")
    source = layout.write(
        named(one, "docker.io/library/app:1"),
        named(two, "docker.io/library/b:1"),
        named(three, "docker.io/library/c:1"),
    )
    layout.path(document(source, two["digest"])["layers"][0]).unlink()
    layout.path(three).write_bytes(layout.path(three).read_bytes().replace(b"2", b"3"))
    index, _ = edited(source, "--drop", "b:1", "--drop", "c:1")
    assert [entry[2] for entry in names_of(index)] == [one["digest"]]


def test_attestations_are_removed_from_their_index(layout, edited, tmp_path):
    listed, (here, proof, absent) = multi(layout)
    source = layout.write(named(listed, "docker.io/library/app:1"))
    index, report = edited(source, "--no-attestations")
    (entry,) = index["manifests"]
    assert document(tmp_path / "out", entry["digest"])["manifests"] == [here, absent]
    assert [(line["what"], line["of"]) for line in report["dropped"]] == [("attestation", here["digest"])]
    assert not (tmp_path / "out" / "blobs" / proof["digest"].replace(":", "/")).exists()


def test_a_signature_goes_with_the_index_that_it_signs(layout, edited):
    listed, _ = multi(layout)
    signature = layout.image("sig") | {
        "annotations": {REF_NAME: f"example.com/app:sha256-{listed['digest'][7:]}.sig"},
    }
    source = layout.write(named(listed, "example.com/app:1"), signature)
    index, report = edited(source, "--prune")
    assert [entry[0] for entry in names_of(index)] == ["example.com/app:1"]
    assert ("artifact", listed["digest"]) in [(line["what"], line["of"]) for line in report["dropped"]]


def test_nested_indexes_become_one_list(layout, edited, tmp_path):
    one, two = layout.image("a", described={"platform": AMD64}), layout.image("b", described={"platform": ARM64})
    inner = layout.index(two, annotations={"inner": "1"})
    deeper = layout.index(inner, one)
    source = layout.write(named(layout.index(one, deeper), "docker.io/library/app:1"))
    index, report = edited(source, "--flatten")
    (entry,) = index["manifests"]
    assert document(tmp_path / "out", entry["digest"])["manifests"] == [one, two]
    assert [(line["what"], line["of"]) for line in report["dropped"]] == [("annotations", f"index {inner['digest']}")]
    assert blob_of(tmp_path / "out", one["digest"]) == blob_of(source, one["digest"])


# -- archives of docker ---------------------------------------------------------------


@pytest.fixture
def two_images(tmp_path):
    """Return two images, and a function that writes them without some members as a docker archive."""
    one, two = Made("one"), Made("two")

    def write(*absent):
        files = {name: data for name, data in {**one.files, **two.files}.items() if name not in absent}
        source = tmp_path / "in.tar"
        source.write_bytes(archive(files, items=[one.item("app:1"), two.item("b:1", "b:2")]))
        return source

    return one, two, write


@pytest.mark.parametrize("lost", ["layer", "config"])
def test_pruning_an_archive_of_docker(imgconv, tmp_path, two_images, lost):
    one, two, write = two_images
    gone = two.layer["digest"] if lost == "layer" else two.image_id
    source = write("blobs/" + gone.replace(":", "/"))
    assert imgconv(source, "--to", "docker-save", tmp_path / "no").status == 3
    for options in (["--prune"], ["--drop", "b:2"]):
        out = tmp_path / f"out{len(options)}"
        done = imgconv(source, "--to", "docker-save", out, "--json", *options)
        assert done.status == 0, done.err
        assert [image["image_id"] for image in done.json["images"]] == [one.image_id]
        assert [line["what"] for line in done.json["dropped"]] == ["image"] * (options == ["--prune"])
    assert [line for line in done.json["dropped"] if gone[7:] not in line["message"]] == []


def test_a_dropped_image_of_docker_takes_its_names_along(imgconv, tmp_path, two_images):
    one, _, write = two_images
    done = imgconv(write(), "--to", "docker-save", tmp_path / "out", "--drop", "b:2", "--json")
    assert done.json["images"] == [{"names": ["app:1"], "image_id": one.image_id, "manifest_digest": None}]
