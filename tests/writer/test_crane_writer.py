"""crane: the bytes of crane's own tarball."""

from __future__ import annotations

import dataclasses
import json

import pytest

from convert.errors import UsageError
from convert.model import mediatype

LAYER = b"layer".ljust(1024, b"\0")
OTHER = b"other".ljust(1024, b"\0")


def test_the_tarball_of_crane_comes_back_byte_for_byte(bench, tools):
    path = tools.match / "crane-tarball.tar.gz"
    assert bench.write(bench.read(path), "crane") == tools.plain(path)


@pytest.mark.parametrize(
    ("media_type", "suffix"),
    [
        (mediatype.OCI_LAYER_GZIP, ".tar.gz"),
        (mediatype.DOCKER_LAYER_GZIP, ".tar.gz"),
        (mediatype.OCI_LAYER_ZSTD, ".tar.zst"),
        (mediatype.OCI_LAYER, ".tar"),
        (mediatype.DOCKER_LAYER, ".tar"),
    ],
)
def test_the_suffix_of_a_layer_follows_its_media_type(bench, media_type, suffix):
    """go-containerregistry pkg/v1/tarball/write.go, layerExtension."""
    image = bench.image(LAYER, kind=media_type)
    names = [item.name for item in bench.items(bench.named((image, "x:1")), "crane")]
    assert names == [str(image.image_id), image.layers[0].stored.digest.hex + suffix, "manifest.json"]


def test_each_layer_is_written_once_and_listed_where_it_occurs(bench):
    images = bench.named((bench.image(LAYER, OTHER, LAYER), "b:1"), (bench.image(OTHER), "a:1"))
    items = bench.items(images, "crane")
    layers = [item.name for item in items if item.name.endswith(".tar")]
    assert len(layers) == len(set(layers)) == 2
    listed = json.loads(items[-1].content)
    # Sorted by their joined names; in the tar they stay in order.
    assert [len(item["Layers"]) for item in listed] == [1, 3]


def test_an_untagged_image_has_null(bench):
    documents = bench.documents(bench.named((bench.image(LAYER), None)), "crane")
    assert b'"RepoTags":null' in documents["manifest.json"]


def test_sources_without_annotations_have_none(bench):
    image = bench.image(LAYER, kind=mediatype.OCI_NONDISTRIBUTABLE)
    (source,) = json.loads(bench.documents(bench.named((image, "x:1")), "crane")["manifest.json"])[0][
        "LayerSources"
    ].values()
    assert list(source) == ["mediaType", "size", "digest"]


def test_only_nondistributable_layers_have_sources(bench):
    image = bench.image(LAYER, OTHER, media_types={1: mediatype.DOCKER_FOREIGN + ".gzip"})
    foreign = dataclasses.replace(
        image.layers[1].stored, urls=("https://example.org/l",), annotations={"b": "2", "a": "1"}
    )
    image = dataclasses.replace(image, layers=(image.layers[0], dataclasses.replace(image.layers[1], stored=foreign)))
    documents = bench.documents(bench.named((image, "x:1")), "crane")
    diff_id = image.config.diff_ids[1]
    assert [str(diff_id) for diff_id in image.config.diff_ids[1:]] == list(
        json.loads(documents["manifest.json"])[0]["LayerSources"]
    )
    expected = (
        f'"LayerSources":{{"{diff_id}":{{"mediaType":"{foreign.media_type}","size":1024,"digest":"{foreign.digest}",'
        '"urls":["https://example.org/l"],"annotations":{"a":"1","b":"2"}}}'
    )
    assert expected.encode() in documents["manifest.json"]


def test_repositories_and_links_come_last_when_asked_for(bench):
    image = bench.image(LAYER, OTHER, kind=mediatype.OCI_LAYER_GZIP)
    items = bench.items(bench.named((image, "x:1")), "crane", add_repositories=True)
    names = [item.name for item in bench.items(bench.named((image, "x:1")), "crane")]
    assert [item.name for item in items[: len(names)]] == names
    added = items[len(names) :]
    assert [item.kind for item in added] == ["dir", "file", "file", "symlink"] * 2 + ["file"]
    assert [item.link for item in added if item.kind == "symlink"] == [
        f"../{layer.stored.digest.hex}.tar.gz" for layer in image.layers
    ]
    top = json.loads(added[-1].content)["x"]["1"]
    assert top == added[4].name


def test_repositories_without_a_name_are_refused(bench):
    images = bench.named((bench.image(LAYER), None))
    with pytest.raises(UsageError, match="nothing to put into repositories"):
        bench.items(images, "crane", add_repositories=True)


def test_the_chain_free_scheme_gives_ggcrs_directories(bench):
    """`crane pull --format=legacy` of the same image: there the layers lie uncompressed."""
    images = bench.match("crane-tarball")
    legacy = bench.match("ggcr-legacy")
    items = bench.items(images, "crane", add_repositories=True, v1_ids="chain-free")
    folders = [item.name for item in items if item.kind == "dir"]
    assert tuple(folders) == legacy.entries[0].node.v1_ids


def test_a_layer_without_a_descriptor_is_the_callers_mistake(bench):
    image = bench.image(LAYER)
    bare = dataclasses.replace(image, layers=(dataclasses.replace(image.layers[0], stored=None),))
    with pytest.raises(ValueError, match="was not given a descriptor"):
        bench.items(bench.named((bare, "x:1")), "crane")


def test_zstd_layers_are_reported(bench):
    """Seen: crane's push of such a tarball calls the layers gzip, and Docker 20.10.24 does not load it."""
    image = bench.image(LAYER, kind=mediatype.OCI_LAYER_ZSTD)
    bench.items(bench.named((image, "a:1")), "crane")
    (warning,) = bench.warnings
    assert "zstd" in warning
    assert "--recompress" in warning
