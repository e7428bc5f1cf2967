"""`repositories`, and what --add-repositories adds to an archive."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile

import pytest

from convert.errors import NotRepresentableError, UsageError
from convert.identity import v1_id as v1_ids
from convert.model.reference import Reference
from convert.writer.repositories import Additions, additions_to, repositories_json

LAYER = b"layer".ljust(1024, b"\0")
OTHER = b"other".ljust(1024, b"\0")


@pytest.fixture
def add(bench, tools):
    """Ask for additions to an archive of testdata, or to images under member names of one's own."""

    def add(images, names, existing=None, member_of=None, **options):
        member_of = member_of or (lambda layer: layer.blob.where)
        return additions_to(
            images, bench.options(**({"v1_ids": "keep"} | options)), names=names, existing=existing, member_of=member_of
        )

    return add


def members_of(raw):
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return {member.name: archive.extractfile(member).read() if member.isreg() else b"" for member in archive}


def chain(found, top):
    """Follow the parents of a v1 ID, as Docker before 1.10 does."""
    while top:
        document = json.loads(found[f"{top}/json"])
        assert document["id"] == top
        yield top
        top = document.get("parent")


def test_the_document_is_that_of_docker(bench, tools):
    images = bench.match("docker20-multi")
    members = members_of(tools.plain(tools.match / "docker20-multi.tar.gz"))
    tops = {entry.name.reference: entry.node.v1_ids[-1] for entry in images.entries}
    assert repositories_json(tops) + b"\n" == members["repositories"]


@pytest.mark.parametrize(
    "name", ["docker20-html", "docker20-multi", "docker20-parents", "podman-docker-archive", "ggcr-legacy"]
)
def test_an_archive_that_is_right_stays_as_it_is(bench, tools, add, name):
    """The v1 IDs of podman and ggcr are right too: their directories are there."""
    path = tools.match / f"{name}.tar.gz"
    members = members_of(tools.plain(path))
    assert add(bench.read(path), members, members["repositories"]) == Additions()


@pytest.mark.parametrize("name", ["docker29-hybrid-html", "docker29-hybrid-duplayer"])
def test_docker_29s_own_repositories_are_right(bench, tools, add, name):
    path = tools.match / f"{name}.tar.gz"
    members = members_of(tools.plain(path))
    assert add(bench.read(path), members, members["repositories"]) == Additions()


def test_v1_directories_that_are_there_are_used(bench, tools, add):
    """docker20-html without its repositories gets those very bytes back."""
    path = tools.match / "docker20-html.tar.gz"
    members = members_of(tools.plain(path))
    expected = members.pop("repositories")
    found = add(bench.read(path), members)
    assert [(item.name, item.content) for item in found.append] == [("repositories", expected)]
    assert found.drop == frozenset()


def test_layers_without_v1_directories_get_them_as_links(bench, add):
    image = bench.image(LAYER, OTHER)
    images = bench.named((image, "x:1"), (image, "y/z:2"), form="docker-archive")
    names = {layer.blob.where for layer in image.layers} | {"config.json", "manifest.json"}
    found = add(images, names)
    expected = v1_ids.docker(image.config)
    assert [(item.name, item.kind, item.link) for item in found.append] == [
        (f"{entry.v1_id}{suffix}", kind, link)
        for number, entry in enumerate(expected)
        for suffix, kind, link in (
            ("", "dir", ""),
            ("/VERSION", "file", ""),
            ("/json", "file", ""),
            ("/layer.tar", "symlink", f"../layer-{number}"),
        )
    ] + [("repositories", "file", "")]
    documents = {item.name: item.content for item in found.append}
    top = expected[-1].v1_id
    assert json.loads(documents["repositories"]) == {"x": {"1": top}, "y/z": {"2": top}}
    assert list(chain(documents, top)) == [entry.v1_id for entry in reversed(expected)]


def test_only_missing_members_of_a_v1_directory_are_added(bench, add):
    image = bench.image(LAYER)
    v1_id = v1_ids.docker(image.config)[0].v1_id
    image = dataclasses.replace(image, v1_ids=(v1_id,))
    found = add(bench.named((image, "x:1"), form="docker-save"), {f"{v1_id}/layer.tar", "manifest.json"})
    assert [item.name for item in found.append] == [f"{v1_id}/VERSION", f"{v1_id}/json", "repositories"]


def test_a_layer_that_occurs_twice_is_linked_twice(bench, add):
    image = bench.image(LAYER, LAYER)
    found = add(bench.named((image, "x:1"), form="docker-archive"), {"layer.tar"}, member_of=lambda _: "layer.tar")
    links = [item for item in found.append if item.kind == "symlink"]
    assert [item.link for item in links] == ["../layer.tar"] * 2
    assert links[0].name != links[1].name


def test_images_that_share_layers_share_directories(bench, add):
    first, second = bench.image(LAYER, OTHER), bench.image(LAYER, OTHER, OTHER[::-1])
    found = add(bench.named((first, "a:1"), (second, "b:1"), form="docker-archive"), set())
    names = [item.name for item in found.append]
    assert len(names) == len(set(names)) == 4 * 4 + 1


def test_an_image_without_a_name_gets_no_directory(bench, add):
    named, unnamed = bench.image(LAYER), bench.image(OTHER)
    found = add(bench.named((named, "a:1"), (unnamed, None), form="docker-archive"), set())
    assert [item.kind for item in found.append].count("dir") == 1


def test_another_scheme_than_the_archives_replaces_it(bench, tools, add):
    path = tools.match / "podman-docker-archive.tar.gz"
    members = members_of(tools.plain(path))
    found = add(bench.read(path), members, members["repositories"], v1_ids="docker")
    assert found.drop == {"repositories"}
    assert "its top layer is" in found.replaced
    assert [item.kind for item in found.append].count("dir") == 3


WRONG = {
    "missing name": b'{"y":{"1":"%s"}}',
    "other top": b'{"x":{"1":"' + b"0" * 64 + b'"}}',
    "one name too many": b'{"x":{"1":"%s"},"y":{"1":"%s"}}',
    "no JSON": b"x",
    "no object": b"[]",
    "no object of objects": b'{"x":"1"}',
    "no text": b'{"x":{"1":2}}',
    "no name": b'{"X":{"1":"%s"}}',
    "no tag": b'{"x":{"-":"%s"}}',
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_document_is_replaced_and_said(bench, add, wrong):
    image = bench.image(LAYER)
    top = v1_ids.docker(image.config)[0].v1_id
    existing = WRONG[wrong].replace(b"%s", top.encode())
    found = add(bench.named((image, "x:1"), form="docker-archive"), {"repositories"}, existing)
    assert found.drop == {"repositories"}
    assert found.replaced
    assert json.loads(found.append[-1].content) == {"x": {"1": top}}


def test_other_spellings_of_the_same_names_are_right(bench, add):
    image = bench.image(LAYER)
    top = v1_ids.docker(image.config)[0].v1_id
    folder = {f"{top}/{name}" for name in ("VERSION", "json", "layer.tar")}
    existing = json.dumps({"docker.io/library/x": {"1": top}}, indent=2).encode()
    assert add(bench.named((image, "x:1"), form="docker-archive"), folder, existing) == Additions()


@pytest.mark.parametrize("name", ["containerd29-export", "containerd29-export-multiplatform"])
def test_an_archive_with_blobs_gets_what_docker_25_writes(bench, tools, add, name):
    path = tools.match / f"{name}.tar.gz"
    images = bench.read(path)
    found = add(images, members_of(tools.plain(path)))
    diff_id = "b289c5f7d62199c7d7126fc3a04b7865d34ce5383769f09b7872d35920af54b9"
    assert [item.name for item in found.append] == ["repositories"]
    document = json.loads(found.append[0].content)
    assert {top for tags in document.values() for top in tags.values()} == {diff_id}
    names = {f"{repository}:{tag}" for repository, tags in document.items() for tag in tags}
    assert names == {entry.name.reference.familiar for entry in images.entries}


@pytest.mark.parametrize("blobs", [True, False])
def test_an_archive_without_names_is_refused(bench, add, blobs):
    images = bench.named((bench.image(LAYER), None), form="docker-archive")
    with pytest.raises(UsageError, match="has a name and a layer"):
        add(images, {"blobs/sha256/x"} if blobs else set())


def test_an_image_without_layers_has_nothing_to_name(bench, add):
    images = bench.named((bench.image(), "x:1"), form="docker-archive")
    with pytest.raises(UsageError, match="has a name and a layer"):
        add(images, set())


def test_one_name_for_two_images_is_refused(bench, add):
    images = bench.named((bench.image(LAYER), "x:1"), (bench.image(OTHER), "x:1"), form="docker-archive")
    with pytest.raises(NotRepresentableError, match="stands for two images"):
        add(images, set())


def test_names_and_tags_are_sorted_by_their_bytes():
    tops = {Reference.parse(name): "0" for name in ("b:1", "a:2", "a:10", "localhost:5000/a:1")}
    assert repositories_json(tops) == b'{"a":{"10":"0","2":"0"},"b":{"1":"0"},"localhost:5000/a":{"1":"0"}}'
