"""docker-save@25: the bytes of Docker 29.7.2's classic store."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile

import pytest

from convert.writer import docker_save_25

LAYER = b"layer".ljust(1024, b"\0")
OTHER = b"other".ljust(1024, b"\0")
TARGET = "docker-save@25"


@pytest.mark.parametrize("name", ["html", "byid", "duplayer"])
def test_archives_of_docker_29_come_back_byte_for_byte(bench, tools, name):
    path = tools.match / f"docker29-hybrid-{name}.tar.gz"
    assert bench.write(bench.read(path), TARGET) == tools.plain(path)


def test_the_archive_of_docker_20_becomes_that_of_docker_29(bench, tools):
    """One image saved by two engines, its names in another order each time."""
    images = bench.match("docker20-html")
    order = {"fmt-html:1": 0, "fmt-html:zz": 1, "example.com:5000/ns/html:v1": 2}
    entries = sorted(images.entries, key=lambda entry: order[entry.name.reference.familiar])
    images = dataclasses.replace(images, entries=tuple(entries))
    assert bench.write(images, TARGET) == tools.plain(tools.match / "docker29-hybrid-html.tar.gz")


def test_docker_25_differs_by_v1_json_and_wall_clocks_alone(bench, tools):
    path = tools.match / "docker25-hybrid-html.tar.gz"
    items = {item.name: item for item in bench.items(bench.read(path), TARGET)}
    with tarfile.open(fileobj=io.BytesIO(tools.plain(path))) as archive:
        real = {member.name: member for member in archive}
        # Referred to by nothing: 25 writes OnBuild and MacAddress in it, 29 does not.
        v1_json = [name for name in real if name not in items]
        assert len(v1_json) == len(items) - len(real.keys() & items.keys()) == 3
        assert all(b'"container_config"' in archive.extractfile(name).read() for name in v1_json)
        for name in real.keys() & items.keys():
            if not real[name].isdir():
                assert tools.content(items[name]) == archive.extractfile(name).read()
            if name not in {"blobs/sha256", "index.json"}:
                assert items[name].mtime == real[name].mtime


@pytest.mark.parametrize("name", ["html", "byid", "duplayer"])
def test_docker_29_6_differs_from_25_by_the_modes_of_layers_alone(bench, tools, name):
    """From 29.6 on the engine sets umask 0, so layers get the 0666 with which they are created."""
    path = tools.match / f"docker29-hybrid-{name}.tar.gz"
    images = bench.read(path)
    layers = {f"blobs/sha256/{layer.diff_id.hex}" for image in images.images() for layer in image.layers}
    made = bench.write(images, "docker-save@29")
    with (
        tarfile.open(fileobj=io.BytesIO(made)) as new,
        tarfile.open(fileobj=io.BytesIO(tools.plain(path))) as old,
    ):
        modes = {member.name: member.mode for member in old}
        assert {member.name: member.mode for member in new} == {
            name: 0o666 if name in layers else mode for name, mode in modes.items()
        }
    assert len(made) == len(tools.plain(path))
    assert _without_modes(made) == _without_modes(tools.plain(path))


def _without_modes(raw):
    """Return an archive with mode and checksum of every header blanked."""
    result = bytearray(raw)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive:
            result[member.offset + 100 : member.offset + 108] = bytes(8)
            result[member.offset + 148 : member.offset + 156] = bytes(8)
    return bytes(result)


def test_every_name_is_a_descriptor_with_full_name_and_tag(bench):
    image = bench.image(LAYER)
    other = bench.image(OTHER)
    documents = bench.documents(bench.named((image, "a:1"), (other, "b/c:1"), (image, "a:2")), TARGET)
    annotations = [item["annotations"] for item in json.loads(documents["index.json"])["manifests"]]
    assert annotations == [
        {"io.containerd.image.name": f"docker.io/{full}", "org.opencontainers.image.ref.name": tag}
        for full, tag in (("library/a:1", "1"), ("library/a:2", "2"), ("b/c:1", "1"))
    ]


def test_an_untagged_image_after_another_is_missing_from_the_index_as_in_docker(bench):
    """moby/moby#51389; manifest.json lists it."""
    images = bench.named((bench.image(LAYER), "a:1"), (bench.image(OTHER), None))
    documents = bench.documents(images, TARGET)
    assert len(json.loads(documents["index.json"])["manifests"]) == 1
    assert [item["RepoTags"] for item in json.loads(documents["manifest.json"])] == [["a:1"], None]


def test_repositories_name_the_top_diff_id(bench):
    image = bench.image(LAYER, OTHER)
    documents = bench.documents(bench.named((image, "a:1")), TARGET)
    assert json.loads(documents["repositories"]) == {"a": {"1": image.config.diff_ids[-1].hex}}


def test_the_folder_of_blobs_has_the_time_of_the_last_image(bench):
    first = bench.image(LAYER, created="2020-01-01T00:00:00Z")
    last = bench.image(LAYER, created="2021-01-01T00:00:00Z")
    items = {item.name: item.mtime for item in bench.items(bench.named((first, "a:1"), (last, "b:1")), TARGET)}
    assert items["blobs"] == 1609459200
    assert items["blobs/sha256"] == 0
    # The layer is shared: the first image wrote it.
    assert items[f"blobs/sha256/{first.config.diff_ids[0].hex}"] == 1577836800


def test_an_image_without_layers_is_written(bench):
    documents = bench.documents(bench.named((bench.image(), "a:1")), TARGET)
    assert json.loads(documents["manifest.json"])[0]["Layers"] == []
    assert "repositories" not in documents


def test_parent_is_written_when_it_is_in_the_same_output(bench):
    base = bench.image(LAYER)
    child = bench.image(LAYER, OTHER, config={"Image": str(base.image_id)})
    documents = bench.documents(bench.named((child, "c:1"), (base, "b:1")), TARGET)
    items = json.loads(documents["manifest.json"])
    assert [item.get("Parent") for item in items] == [str(base.image_id), None]


def test_a_layer_whose_size_is_unknown_is_the_callers_mistake(bench, tools):
    """The manifest needs every size before the first blob is placed."""
    unknown = tools.Content(LAYER)
    unknown.size = None
    options = dataclasses.replace(bench.options(TARGET), content=lambda _: unknown)
    images = bench.named((bench.image(LAYER), "a:1"))
    with pytest.raises(ValueError, match="size must be known"):
        list(docker_save_25.items(images, options))
