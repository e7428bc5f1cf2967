"""Several SOURCEs in one result, and `--join`."""

from __future__ import annotations

import json
import os
import shutil

import jsonschema
import pytest
from layouts import GZIP, INDEX, NAME, REF_NAME, Layout, digest_of, named, packed, piped, tar_of
from named_archives import Made, archive
from oracle.reading import docker_images, files_of
from support import ROOT, run

import convert
from convert.codec import decompress

SCHEMA = json.loads((ROOT / "schemas" / "report-convert.json").read_text())
AMD64, ARM64 = {"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux"}


@pytest.fixture
def merged(imgconv, tmp_path):
    """Merge; gives the files of the result and the report."""

    def call(*arguments, to="docker-oci", status=0):
        out = tmp_path / "out"
        done = imgconv(*arguments, "--to", to, out, "--json")
        assert done.status == status, done.err
        if status:
            assert not out.exists()
            assert len(done.err.splitlines()) == 1, done.err
            return done.err
        jsonschema.validate(done.json, SCHEMA)
        return files_of(out), done.json

    return call


@pytest.fixture
def layouts(tmp_path):
    """Give a new layout for each name."""
    return lambda name: Layout(tmp_path / name)


def docker_tar(path, *pairs):
    """Write a docker archive of (image, tags)."""
    files = {name: data for image, _ in pairs for name, data in image.files.items()}
    path.write_bytes(archive(files, items=[image.item(*tags) for image, tags in pairs]))
    return path


def entries_of(files):
    return [
        (entry.get("annotations", {}).get(NAME), entry["digest"])
        for entry in json.loads(files["index.json"])["manifests"]
    ]


def test_images_of_three_formats_come_in_the_order_of_the_sources(merged, layouts, tmp_path):
    first = layouts("first")
    one = first.image("a")
    second = docker_tar(tmp_path / "second.tar", (Made("two"), ["two:1"]))
    third = layouts("third")
    three = third.image("c")
    (tmp_path / "third.tar").write_bytes(piped(third.write(named(three, "example.com/three:1"))))
    files, report = merged(first.write(named(one, "docker.io/library/one:1")), second, tmp_path / "third.tar")
    found = entries_of(files)
    assert [name for name, _ in found] == ["docker.io/library/one:1", "docker.io/library/two:1", "example.com/three:1"]
    assert (found[0][1], found[2][1]) == (one["digest"], three["digest"])
    assert [source["format"] for source in report["sources"]] == ["oci", "docker-archive", "oci-archive"]
    assert report["source"] == report["sources"][0]
    assert [image["names"] for image in report["images"]] == [["one:1"], ["two:1"], ["example.com/three:1"]]


@pytest.mark.parametrize("to", ["docker-save", "docker-save@25", "crane", "oci"])
def test_every_target_takes_several_sources(merged, layouts, tmp_path, to):
    one = layouts("one")
    source = one.write(named(one.image("a"), "docker.io/library/one:1"))
    two = Made("two")
    files, report = merged(source, docker_tar(tmp_path / "two.tar", (two, ["two:1"])), to=to)
    assert [image["names"] for image in report["images"]] == [["one:1"], ["two:1"]]
    assert report["images"][1]["image_id"] == two.image_id
    if "manifest.json" in files:
        assert len(docker_images(files)) == 2


def test_the_same_image_twice_is_one_image(merged, layouts, tmp_path):
    made = Made("same")
    one = docker_tar(tmp_path / "one.tar", (made, ["app:1"]))
    two = docker_tar(tmp_path / "two.tar", (made, ["app:1", "app:2"]))
    three = docker_tar(tmp_path / "three.tar", (made, []))
    files, report = merged(one, two, three)
    assert [image["names"] for image in report["images"]] == [["app:1", "app:2"]]
    assert len(json.loads(files["manifest.json"])) == 1


def test_an_image_without_manifest_is_the_one_that_another_source_has_with_it(merged, layouts, tmp_path):
    """Its digest stays, whichever SOURCE comes first."""
    made = Made("same")
    bare = docker_tar(tmp_path / "bare.tar", (made, ["app:1"]))
    full = tmp_path / "full.tar"
    full.write_bytes(archive(made.files, entries=[made.named("docker.io/library/app:1", "1")]))
    for sources in ([bare, full], [full, bare]):
        files, report = merged(*sources)
        assert entries_of(files) == [("docker.io/library/app:1", made.manifest["digest"])]
        assert report["made"] == []
        (tmp_path / "out").unlink()


def test_one_name_on_two_images_is_refused_until_it_is_settled(merged, tmp_path):
    one, two = Made("one"), Made("two")
    first = docker_tar(tmp_path / "one.tar", (one, ["app:1", "x:1"]))
    second = docker_tar(tmp_path / "two.tar", (two, ["app:1"]))
    for to in ("docker-oci", "docker-save", "oci"):
        error = merged(first, second, to=to, status=2)
        assert "app:1" in error
        assert "@DIGEST" in error
    for edit in (
        ["--drop", f"app:1@{two.image_id}"],
        ["--untag", f"app:1@{two.image_id}"],
        ["--rename", f"app:1@{two.image_id}=app:2"],
    ):
        _, report = merged(first, second, *edit)
        assert report["images"][0]["names"] == ["app:1", "x:1"]
        assert [image["names"] for image in report["images"][1:]] == {
            "--drop": [],
            "--untag": [[]],
            "--rename": [["app:2"]],
        }[edit[0]]
        (tmp_path / "out").unlink()


def test_a_tag_without_repository_on_two_images_is_refused(merged, layouts):
    one, two = layouts("one"), layouts("two")
    first = one.write(one.image("a") | {"annotations": {REF_NAME: "latest"}})
    second = two.write(two.image("b") | {"annotations": {REF_NAME: "latest"}})
    digest = json.loads((two.folder / "index.json").read_text())["manifests"][0]["digest"]
    merged(first, second, to="oci", status=2)
    files, _ = merged(first, second, "--rename", f"latest@{digest}=example.com/b:1", to="oci")
    names = [entry["annotations"] for entry in json.loads(files["index.json"])["manifests"]]
    assert names == [{REF_NAME: "latest"}, {NAME: "example.com/b:1", REF_NAME: "1"}]


def test_names_that_one_layout_itself_gives_twice_stay(merged, layouts):
    one, two = layouts("one"), layouts("two")
    name = "docker.io/library/app:1"
    first = one.write(named(one.image("a"), name), named(one.image("b"), name))
    second = two.write(named(two.image("c"), "docker.io/library/other:1"))
    files, _ = merged(first, second, to="oci")
    assert [entry[0] for entry in entries_of(files)] == [name, name, "docker.io/library/other:1"]


def test_halves_of_one_index_make_the_whole(merged, layouts):
    """Two machines saved one multi-platform image, each with its own platform."""
    whole = layouts("whole")
    children = [whole.image("a", described={"platform": AMD64}), whole.image("b", described={"platform": ARM64})]
    index = whole.index(*children)
    source = whole.write(named(index, "docker.io/library/app:1"))
    halves = []
    for number, child in enumerate(children):
        half = shutil.copytree(source, f"{source}{number}")
        gone = json.loads(whole.path(child).read_bytes())
        for blob in (child, gone["config"], *gone["layers"]):
            os.unlink(os.path.join(half, "blobs", blob["digest"].replace(":", "/")))
        halves.append(half)
    files, report = merged(*halves, to="oci")
    assert entries_of(files) == [("docker.io/library/app:1", index["digest"])]
    assert {name for name in files_of(source) if name.startswith("blobs")} <= files.keys()
    assert report["changed"] == report["dropped"] == []


def test_selection_and_edits_count_for_all_sources(merged, tmp_path):
    one, two, three = Made("one"), Made("two"), Made("three")
    first = docker_tar(tmp_path / "one.tar", (one, ["one:1"]), (two, ["two:1"]))
    second = docker_tar(tmp_path / "two.tar", (three, ["three:1"]))
    _, report = merged(first, second, "--image", "two:1", "--image", "three:1", "--rename", "three:1=3:3")
    assert [image["names"] for image in report["images"]] == [["two:1"], ["3:3"]]


def test_a_spelled_source_gives_only_what_it_names(merged, tmp_path):
    first = docker_tar(tmp_path / "one.tar", (Made("one"), ["one:1"]), (Made("two"), ["two:1"]))
    second = docker_tar(tmp_path / "two.tar", (Made("three"), ["three:1"]), (Made("one"), ["one:1"]))
    _, report = merged(f"docker-archive:{first}:two:1", f"docker-archive:{second}:@0")
    assert [image["names"] for image in report["images"]] == [["two:1"], ["three:1"]]


def test_standard_input_may_be_one_of_the_sources(tmp_path):
    first = docker_tar(tmp_path / "one.tar", (Made("one", plain=True), ["one:1"]))
    second = docker_tar(tmp_path / "two.tar", (Made("two", plain=True), ["two:1"]))
    done = run(first, "-", "--to", "docker-oci", tmp_path / "out.tar", input=second.read_bytes())
    assert done.returncode == 0, done.stderr
    assert [image["RepoTags"] for image in json.loads(files_of(tmp_path / "out.tar")["manifest.json"])] == [
        ["one:1"],
        ["two:1"],
    ]
    done = run("-", "-", "--to", "docker-oci", tmp_path / "out2.tar", input=b"")
    assert done.returncode == 2


def test_append_adds_all(imgconv, tmp_path):
    out = tmp_path / "layout"
    sources = [docker_tar(tmp_path / f"{n}.tar", (Made(n), [f"{n}:1"])) for n in ("one", "two", "three")]
    assert imgconv(sources[0], "--to", "oci", out).status == 0
    assert imgconv(*sources[1:], "--to", "oci", out, "--append").status == 0
    assert [name for name, _ in entries_of(files_of(out))] == [
        f"docker.io/library/{n}:1" for n in ("one", "two", "three")
    ]


def test_force_does_not_replace_an_archive(imgconv, tmp_path):
    """`imgconv *.tar --to docker-oci` without a DEST names the last archive."""
    one, two, three = (docker_tar(tmp_path / f"{n}.tar", (Made(n), [f"{n}:1"])) for n in ("one", "two", "three"))
    before = three.read_bytes()
    for options in ([], ["--force"]):
        done = imgconv(one, two, "--to", "docker-oci", three, *options)
        assert done.status == 2
        assert three.read_bytes() == before
    layout = tmp_path / "layout"
    assert imgconv(one, "--to", "oci", layout).status == 0
    assert imgconv(one, two, "--to", "oci", layout, "--force").status == 2
    (tmp_path / "text").write_text("not an archive")
    assert imgconv(one, two, "--to", "docker-oci", tmp_path / "text", "--force").status == 0
    assert imgconv(one, "--to", "docker-oci", tmp_path / "text", "--force").status == 0


def test_a_destination_may_be_none_of_the_sources(imgconv, tmp_path):
    one, two = (docker_tar(tmp_path / f"{n}.tar", (Made(n), [f"{n}:1"])) for n in ("one", "two"))
    assert imgconv(one, two, "--to", "docker-oci", tmp_path / "." / "two.tar", "--force").status == 2
    assert imgconv(one, two, "--add-repositories", "--to", "docker-oci", tmp_path / "out.tar").status == 0
    assert imgconv(one, two, tmp_path / "other", "--add-repositories").status == 2
    assert imgconv(one, two, "--as", "docker", "--to", "oci", tmp_path / "layout").status == 2


@pytest.mark.parametrize("to", ["docker-save", "docker-oci"])
def test_a_damaged_source_is_named(merged, tmp_path, to):
    one, two = Made("one"), Made("two", plain=True)
    first = docker_tar(tmp_path / "one.tar", (one, ["one:1"]))
    second = docker_tar(tmp_path / "two.tar", (two, ["two:1"]))
    second.write_bytes(second.read_bytes().replace(b"two", b"tw0", 1))
    error = merged(first, second, to=to, status=3)
    assert f"imgconv: {second}: " in error


def test_a_source_that_is_no_archive_is_named(merged, tmp_path):
    first = docker_tar(tmp_path / "one.tar", (Made("one"), ["one:1"]))
    (tmp_path / "text").write_bytes(b"text")
    assert f"imgconv: {tmp_path / 'text'}: " in merged(first, tmp_path / "text", status=3)


def test_a_shared_layer_is_read_once(tmp_path, monkeypatch):
    """Ten sources with one base: the base is decompressed once."""
    base = os.urandom(1 << 20)
    sources = []
    for number in range(10):
        layout = Layout(tmp_path / f"{number}")
        plain = [tar_of("base", base), tar_of(f"top{number}")]
        layers = [layout.blob(packed(each), GZIP) for each in plain]
        image = layout.manifest(layers, map(digest_of, plain))
        sources.append(layout.write(named(image, f"example.com/app{number}:1")))
    opened = []
    original = decompress.decompress

    def counting(stream, *arguments, **options):
        opened.append(1)
        return original(stream, *arguments, **options)

    monkeypatch.setattr(decompress, "decompress", counting)
    report = convert.convert(sources, tmp_path / "out.tar", to="docker-save")
    assert len(report.images) == 10
    # Each layer is looked into once more for compression in compression.
    assert len(opened) <= 2 * (10 + 1) + 2


# -- join -----------------------------------------------------------------------------


def platform_tar(path, name, platform, tag):
    made = Made(name, platform=platform)
    return made, docker_tar(path / f"{name}.tar", (made, [tag]))


def test_joining_archives_of_docker(merged, tmp_path):
    amd, first = platform_tar(tmp_path, "amd", AMD64, "app:1")
    arm, second = platform_tar(tmp_path, "arm", ARM64, "app:1")
    for to in ("docker-oci", "oci"):
        files, report = merged(first, second, "--join", "example.com/app:2", to=to)
        ((name, digest),) = entries_of(files)
        assert name == "example.com/app:2"
        index = json.loads(files["blobs/" + digest.replace(":", "/")])
        assert index["mediaType"] == INDEX
        assert [child["platform"] for child in index["manifests"]] == [AMD64, ARM64]
        configs = [json.loads(files["blobs/" + c["digest"].replace(":", "/")])["config"] for c in index["manifests"]]
        assert [config["digest"] for config in configs] == [amd.image_id, arm.image_id]
        assert report["images"] == [
            {"names": ["example.com/app:2"], "image_id": None, "manifest_digest": digest},
        ]
        out = tmp_path / "out"
        shutil.rmtree(out) if out.is_dir() else out.unlink()


def test_joining_keeps_manifests_and_attestations(merged, layouts):
    one, two = layouts("one"), layouts("two")
    amd = one.image("a", described={"platform": AMD64 | {"variant": "v2"}})
    proof = one.image(
        "p",
        described={
            "platform": {"architecture": "unknown", "os": "unknown"},
            "annotations": {
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": amd["digest"],
            },
        },
    )
    first = one.write(named(one.index(amd, proof), "docker.io/library/app:1"))
    arm = two.image("b", config=two.config([digest_of(tar_of("b"))], architecture="arm64"))
    second = two.write(named(arm, "docker.io/library/app:1"))
    files, _ = merged(first, second, "--join", "app:1", to="oci")
    ((_, digest),) = entries_of(files)
    index = json.loads(files["blobs/" + digest.replace(":", "/")])
    assert index["manifests"] == [amd, proof, arm | {"platform": ARM64}]


def test_joined_names_can_be_replaced(merged, tmp_path):
    _, first = platform_tar(tmp_path, "amd", AMD64, "app:1")
    _, second = platform_tar(tmp_path, "arm", ARM64, "app:2")
    files, _ = merged(first, second, "--join", "app:1", "--tag", "x:1", "--tag", "x:2")
    assert [name for name, _ in entries_of(files)] == ["docker.io/library/x:1", "docker.io/library/x:2"]


@pytest.mark.parametrize("second", [AMD64, AMD64 | {"architecture": "x86_64"}, {"os": "linux", "architecture": ""}])
def test_two_images_of_one_platform_cannot_be_joined(merged, tmp_path, second):
    _, first = platform_tar(tmp_path, "one", AMD64, "app:1")
    _, other = platform_tar(tmp_path, "two", second, "app:2")
    merged(first, other, "--join", "app:1", status=2)


def test_joining_needs_a_target_with_indexes(merged, tmp_path):
    _, first = platform_tar(tmp_path, "one", AMD64, "app:1")
    _, other = platform_tar(tmp_path, "two", ARM64, "app:2")
    for to in ("docker-save", "crane"):
        merged(first, other, "--join", "app:1", to=to, status=2)
    merged(first, other, "--join", "APP:1", status=2)


def test_a_manifest_list_of_docker_can_be_made(merged, tmp_path):
    _, first = platform_tar(tmp_path, "amd", AMD64, "app:1")
    _, second = platform_tar(tmp_path, "arm", ARM64, "app:1")
    files, _ = merged(first, second, "--join", "app:1", "--manifest-type", "docker")
    ((_, digest),) = entries_of(files)
    index = json.loads(files["blobs/" + digest.replace(":", "/")])
    assert index["mediaType"] == "application/vnd.docker.distribution.manifest.list.v2+json"


def test_the_api_takes_several_sources(tmp_path):
    one, two = (docker_tar(tmp_path / f"{n}.tar", (Made(n), [f"{n}:1"])) for n in ("one", "two"))
    report = convert.convert([one, str(two)], tmp_path / "out.tar", to="docker-save")
    assert [source.path for source in report.sources] == [str(one), str(two)]
    assert report.source == str(one)
    assert [image.names for image in report.images] == [("one:1",), ("two:1",)]
    with pytest.raises(convert.UsageError):
        convert.convert([], tmp_path / "none.tar", to="docker-save")
