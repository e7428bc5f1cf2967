"""docker-save: the bytes of Docker 20.10, from its own archives and from images made here."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile

import pytest

from convert.errors import NotRepresentableError
from convert.model.image import Child

LAYER = b"layer".ljust(1024, b"\0")
OTHER = b"other".ljust(1024, b"\0")


@pytest.mark.parametrize("name", ["html", "byid", "import", "oddconfig"])
def test_archives_of_docker_20_come_back_byte_for_byte(bench, tools, name):
    """Debian's build of the engine wrote them, which puts root where Docker's own leave names empty."""
    path = tools.match / f"docker20-{name}.tar.gz"
    assert bench.write(bench.read(path), "docker-save", uname="root") == tools.plain(path)


@pytest.mark.parametrize("name", ["duplayer", "multi", "parents"])
def test_only_the_wall_clock_of_linked_layers_is_not_the_engines(bench, tools, name):
    """A directory whose layer.tar is a link carries the time of the save; all else is equal."""
    path = tools.match / f"docker20-{name}.tar.gz"
    real = tools.plain(path)
    items = bench.items(bench.read(path), "docker-save", uname="root")
    with tarfile.open(fileobj=io.BytesIO(real)) as archive:
        members = {member.name: member for member in archive}
    linked = {name.partition("/")[0] for name, member in members.items() if member.issym()}
    assert linked
    clocked = [
        dataclasses.replace(item, mtime=members[item.name].mtime) if item.name.partition("/")[0] in linked else item
        for item in items
    ]
    assert tools.tar(clocked) == real


def test_a_linked_layer_has_the_created_time_of_its_image(bench):
    items = bench.items(bench.match("docker20-duplayer"), "docker-save")
    # 2021-05-06T07:08:09.1002003Z, rounded down.
    assert {item.mtime for item in items if item.name not in {"manifest.json", "repositories"}} == {1620284889}


def test_docker_24_differs_by_mode_bits_alone(bench, tools):
    path = tools.match / "docker24-html.tar.gz"
    items = bench.items(bench.read(path), "docker-save")
    assert tools.tar([dataclasses.replace(item, mode=item.mode & 0o7777) for item in items]) == tools.plain(path)


def test_docker_save_of_docker_29_gives_the_same_archive_as_20(bench, tools):
    """Configs, layers and names decide, not the form they came in."""
    images = bench.match("docker29-hybrid-html")
    expected = bench.match("docker24-html")
    assert bench.write(images, "docker-save") == bench.write(expected, "docker-save")


def test_user_and_group_names_are_empty_unless_asked_for(bench):
    images = bench.named((bench.image(LAYER), "x:1"))
    assert {(item.uname, item.gname) for item in bench.items(images, "docker-save")} == {("", "")}
    assert {(item.uname, item.gname) for item in bench.items(images, "docker-save", uname="root")} == {("root", "root")}


def test_names_are_familiar_and_stay_in_order(bench):
    image = bench.image(LAYER)
    images = bench.named((image, "b:2"), (image, "docker.io/library/a:1"), (image, "localhost/x/y"), (image, "b:2"))
    documents = bench.documents(images, "docker-save")
    assert json.loads(documents["manifest.json"])[0]["RepoTags"] == ["b:2", "a:1", "localhost/x/y:latest"]
    assert list(json.loads(documents["repositories"])) == ["a", "b", "localhost/x/y"]


def test_an_untagged_image_has_null_and_no_repositories(bench):
    documents = bench.documents(bench.named((bench.image(LAYER), None)), "docker-save")
    assert b'"RepoTags":null' in documents["manifest.json"]
    assert "repositories" not in documents


def test_an_image_without_layers_is_listed_and_not_in_repositories(bench):
    image = bench.image(created="2020-01-01T00:00:00Z")
    documents = bench.documents(bench.named((image, "scratch:1")), "docker-save")
    config = f"{image.image_id.hex}.json"
    assert documents == {
        config: image.config.raw,
        "manifest.json": f'[{{"Config":"{config}","RepoTags":["scratch:1"],"Layers":[]}}]\n'.encode(),
    }


def test_parent_is_written_when_it_is_in_the_same_output(bench):
    base = bench.image(LAYER)
    child = bench.image(LAYER, OTHER, config={"Image": str(base.image_id)})
    both = json.loads(bench.documents(bench.named((child, "c:1"), (base, None)), "docker-save")["manifest.json"])
    assert [item.get("Parent") for item in both] == [str(base.image_id), None]
    alone = json.loads(bench.documents(bench.named((child, "c:1")), "docker-save")["manifest.json"])
    assert "Parent" not in alone[0]


def test_shared_layers_are_written_once(bench):
    first = bench.image(LAYER, OTHER)
    second = bench.image(LAYER, OTHER, OTHER[::-1])
    items = bench.items(bench.named((first, "a:1"), (second, "b:1")), "docker-save")
    layers = [item for item in items if item.name.endswith("layer.tar")]
    # The top layer of one is a lower one of the other: another v1 ID, so a link.
    assert [item.kind for item in layers].count("file") == 3
    assert [item.kind for item in layers].count("symlink") == 1
    targets = {item.name for item in layers if item.kind == "file"}
    assert all(item.link.removeprefix("../") in targets for item in layers if item.kind == "symlink")


def test_keep_uses_the_v1_ids_of_the_source(bench):
    kept = ("a" * 64, "b" * 64)
    image = dataclasses.replace(bench.image(LAYER, OTHER), v1_ids=kept)
    documents = bench.documents(bench.named((image, "x:1")), "docker-save", v1_ids="keep")
    assert json.loads(documents["repositories"]) == {"x": {"1": kept[1]}}
    top = json.loads(documents[f"{kept[1]}/json"])
    assert (top["id"], top["parent"]) == (kept[1], kept[0])
    assert "parent" not in json.loads(documents[f"{kept[0]}/json"])


def test_keep_without_v1_ids_in_the_source_is_docker(bench):
    images = bench.named((bench.image(LAYER, OTHER), "x:1"))
    assert bench.write(images, "docker-save", v1_ids="keep") == bench.write(images, "docker-save")


def test_keep_refuses_one_v1_id_for_two_layers(bench):
    first = dataclasses.replace(bench.image(LAYER), v1_ids=("a" * 64,))
    second = dataclasses.replace(bench.image(OTHER), v1_ids=("a" * 64,))
    images = bench.named((first, "x:1"), (second, "y:1"))
    with pytest.raises(NotRepresentableError, match="would name two layers"):
        bench.items(images, "docker-save", v1_ids="keep")


def test_the_skopeo_scheme_gives_podmans_directories(bench, tools):
    path = tools.match / "podman-docker-archive.tar.gz"
    images = bench.read(path)
    documents = bench.documents(images, "docker-save", v1_ids="skopeo")
    with tarfile.open(fileobj=io.BytesIO(tools.plain(path))) as archive:
        real = {
            member.name: archive.extractfile(member).read()
            for member in archive
            if member.name.endswith(("/json", "/VERSION"))
        }
    assert len(real) == 6
    assert {name: documents[name] for name in real} == real


def test_one_name_for_two_images_is_refused(bench):
    images = bench.named((bench.image(LAYER), "x:1"), (bench.image(OTHER), "docker.io/library/x:1"))
    with pytest.raises(NotRepresentableError, match=r"name x:1 stands for two images"):
        bench.items(images, "docker-save")


def test_a_name_without_repository_leaves_the_image_untagged(bench):
    images = bench.named((bench.image(LAYER), bench.name("", "v1.0")))
    documents = bench.documents(images, "docker-save")
    assert b'"RepoTags":null' in documents["manifest.json"]
    (warning,) = bench.warnings
    assert "v1.0" in warning
    assert "--tag" in warning


def test_a_name_by_digest_leaves_the_image_untagged(bench):
    image = bench.image(LAYER)
    images = bench.named((image, f"busybox@{image.manifest.digest}"))
    assert "repositories" not in bench.documents(images, "docker-save")
    assert len(bench.warnings) == 1


def test_several_platforms_under_one_name_are_refused(bench):
    images = bench.named((bench.index(bench.image(LAYER), bench.image(LAYER, architecture="arm64")), "x:1"))
    with pytest.raises(NotRepresentableError, match=r"x:1 holds several platforms \(linux/amd64, linux/arm64\)"):
        bench.items(images, "docker-save")


def test_what_is_not_an_image_is_dropped_with_one_line_each(bench):
    image = bench.image(LAYER)
    artifact = bench.artifact("application/vnd.example.chart")
    attestation = bench.artifact("application/vnd.oci.image.config.v1+json")
    index = bench.index(image, attestation)
    marked = dataclasses.replace(
        index.children[1].descriptor, annotations={"vnd.docker.reference.type": "attestation-manifest"}
    )
    index = dataclasses.replace(index, children=(index.children[0], Child(marked, attestation)))
    images = bench.named((artifact, "chart:1"), (index, "x:1"))
    manifest = json.loads(bench.documents(images, "docker-save")["manifest.json"])
    assert [item["RepoTags"] for item in manifest] == [["x:1"]]
    assert [line.what for line in bench.warnings] == ["artifact", "attestation"]


@pytest.mark.parametrize("nodes", [0, 1])
def test_nothing_but_artifacts_is_refused(bench, nodes):
    images = bench.named(*[(bench.artifact("application/vnd.example.chart"), "chart:1")] * nodes)
    with pytest.raises(NotRepresentableError, match="the source holds no image"):
        bench.items(images, "docker-save")
