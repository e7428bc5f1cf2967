"""OCI layouts: documents, names, and what is carried along."""

from __future__ import annotations

import base64
import dataclasses
import json
import re

import pytest

from convert.archive.blob import MemoryBlob
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Other
from convert.model.image_set import Name
from convert.writer import oci

LAYER = b"layer".ljust(1024, b"\0")
OTHER = b"other".ljust(1024, b"\0")
IMAGE_NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"


def index_of(bench, images):
    return json.loads(oci.layout_content(images, bench.options()).index)


def names_of(bench, images):
    return [item.get("annotations", {}) for item in index_of(bench, images)["manifests"]]


def test_documents_are_compact_and_without_newline(bench):
    image = bench.image(LAYER)
    content = oci.layout_content(bench.named((image, "x:1"), form="docker-save"), bench.options())
    index, layout, blobs = content.index, content.oci_layout, content.blobs
    digest, size = image.manifest.digest, len(image.manifest.raw)
    assert layout == b'{"imageLayoutVersion":"1.0.0"}'
    assert (
        index
        == (
            '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":['
            f'{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{size},'
            '"annotations":{"io.containerd.image.name":"docker.io/library/x:1","org.opencontainers.image.ref.name":"1"}}]}'
        ).encode()
    )
    assert set(blobs) == {digest, image.image_id, image.config.diff_ids[0]}
    assert blobs[digest] == image.manifest.raw
    assert blobs[image.image_id] == image.config.raw


def test_equal_tags_of_two_manifests_give_full_names_to_both(bench):
    """For skopeo silently takes the first of two equal ref.names."""
    first, second, third = bench.image(LAYER), bench.image(OTHER), bench.image(LAYER, OTHER)
    images = bench.named((first, "a:1"), (second, "b:1"), (first, "a:2"), (third, "c:3"), form="docker-save")
    assert [names[REF_NAME] for names in names_of(bench, images)] == [
        "docker.io/library/a:1",
        "docker.io/library/b:1",
        "docker.io/library/a:2",
        "3",
    ]


def test_two_names_of_one_manifest_with_one_tag_stay_tags(bench):
    image = bench.image(LAYER)
    images = bench.named((image, "a:1"), (image, "b:1"), form="docker-save")
    assert [names[REF_NAME] for names in names_of(bench, images)] == ["1", "1"]


def test_ref_names_read_from_a_layout_stay(bench):
    images = bench.named(
        (bench.image(LAYER), bench.name("x:1", "docker.io/library/x:1")), (bench.image(OTHER), bench.name("", "v1"))
    )
    assert names_of(bench, images) == [
        {IMAGE_NAME: "docker.io/library/x:1", REF_NAME: "docker.io/library/x:1"},
        {REF_NAME: "v1"},
    ]


def test_one_name_on_two_images_is_kept_from_layout_to_layout(bench):
    images = bench.named((bench.image(LAYER), bench.name("", "latest")), (bench.image(OTHER), bench.name("", "latest")))
    assert [names[REF_NAME] for names in names_of(bench, images)] == ["latest", "latest"]


def test_the_bare_tags_of_dockers_own_layouts_give_way_to_full_names(bench):
    images = bench.named(
        (bench.image(LAYER), bench.name("a:1", "1")), (bench.image(OTHER), bench.name("b:1", "1")), form="docker-oci"
    )
    assert [names[REF_NAME] for names in names_of(bench, images)] == ["docker.io/library/a:1", "docker.io/library/b:1"]


def test_a_name_by_digest_is_full_in_both_annotations(bench):
    """As containerd's ociReferenceName makes it."""
    image = bench.image(LAYER)
    full = f"docker.io/library/x@{image.manifest.digest}"
    assert names_of(bench, bench.named((image, full), form="docker-save")) == [{IMAGE_NAME: full, REF_NAME: full}]


def test_untagged_images_have_a_descriptor_without_names(bench):
    assert names_of(bench, bench.named((bench.image(LAYER), "a:1"), (bench.image(OTHER), None)))[1] == {}


def test_the_descriptor_of_the_source_stays_with_its_manifest(bench):
    image = bench.image(LAYER)
    descriptor = Descriptor(
        image.manifest.media_type,
        image.manifest.digest,
        len(image.manifest.raw),
        annotations={"org.example.a": "<&>", REF_NAME: "old"},
        platform={"variant": "v8", "os": "linux", "architecture": "arm64"},
        urls=("https://example.org/",),
        data=image.manifest.raw,
        artifact_type="application/vnd.example",
        extra={"x-extra": [1]},
    )
    images = bench.named((image, bench.name("", "new"), descriptor))
    found = index_of(bench, images)["manifests"][0]
    assert found["annotations"] == {"org.example.a": "<&>", REF_NAME: "new"}
    assert list(found) == [
        *("mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType", "x-extra")
    ]
    assert base64.b64decode(found["data"]) == image.manifest.raw
    assert list(found["platform"]) == ["architecture", "os", "variant"]


def test_a_manifest_made_anew_does_not_wear_the_old_descriptor(bench):
    image = bench.image(LAYER)
    stale = Descriptor(mediatype.DOCKER_MANIFEST, Digest.of(b"old"), 3, annotations={"org.example.a": "b"})
    found = index_of(bench, bench.named((image, "x:1", stale), form="docker-save"))["manifests"][0]
    assert found["digest"] == str(image.manifest.digest)
    assert set(found["annotations"]) == {IMAGE_NAME, REF_NAME}


def test_everything_an_index_reaches_is_carried(bench):
    image = bench.image(LAYER)
    artifact = bench.artifact("application/vnd.example", {"a": b"attached"})
    absent = Descriptor(mediatype.OCI_MANIFEST, Digest.of(b"absent"), 6)
    thing = Other(MemoryBlob(b"thing", "thing"), Descriptor("text/plain", Digest.of(b"thing"), 5))
    index = bench.index(bench.index(image), artifact, absent=[absent])
    images = bench.named((index, "x:1"), (thing, None), (None, None, absent))
    blobs = oci.layout_content(images, bench.options()).blobs
    assert list(blobs) == [
        index.digest,
        index.children[0].node.digest,
        image.manifest.digest,
        image.image_id,
        image.config.diff_ids[0],
        artifact.manifest.digest,
        artifact.manifest.config.digest,
        Digest.of(b"attached"),
        Digest.of(b"thing"),
    ]


def test_an_absent_layer_is_no_blob(bench):
    image = bench.image(LAYER, OTHER, media_types={0: mediatype.OCI_NONDISTRIBUTABLE})
    absent = dataclasses.replace(image.layers[0], blob=None)
    image = dataclasses.replace(image, layers=(absent, image.layers[1]))
    blobs = oci.layout_content(bench.named((image, "x:1")), bench.options()).blobs
    assert image.config.diff_ids[0] not in blobs
    assert image.config.diff_ids[1] in blobs


def test_an_artifact_may_lack_a_blob_that_lives_elsewhere(bench):
    artifact = bench.artifact("application/vnd.example", {"a": b"attached"})
    artifact = dataclasses.replace(artifact, blobs={})
    blobs = oci.layout_content(bench.named((artifact, "x:1")), bench.options()).blobs
    assert list(blobs) == [artifact.manifest.digest]


def test_annotations_of_the_index_itself_stay(bench):
    images = bench.named((bench.image(LAYER), "x:1"), index_annotations={"b": "2", "a": "1"})
    assert list(index_of(bench, images)["annotations"]) == ["a", "b"]


def test_the_archive_holds_the_layout_sorted_with_times_zero(bench):
    images = bench.named((bench.image(LAYER, created="2020-01-01T00:00:00Z"), "x:1"))
    content = oci.layout_content(images, bench.options())
    index, layout, blobs = content.index, content.oci_layout, content.blobs
    items = bench.items(images, "oci-archive")
    names = [item.name for item in items]
    assert names == sorted(names)
    assert {item.mtime for item in items} == {0}
    assert {(item.kind, item.mode) for item in items} == {("dir", 0o755), ("file", 0o644)}
    documents = {item.name: item.content for item in items}
    assert (documents["index.json"], documents["oci-layout"]) == (index, layout)
    assert set(names) - {"blobs", "blobs/sha256", "index.json", "oci-layout"} == {
        f"blobs/sha256/{digest.hex}" for digest in blobs
    }


def test_an_empty_layout_has_its_folder(bench):
    """image-layout.md: the blobs folder must be there, and may be empty."""
    names = [item.name for item in bench.items(bench.named(), "oci-archive")]
    assert names == ["blobs", "index.json", "oci-layout"]


def test_an_entry_of_nothing_is_the_callers_mistake(bench):
    with pytest.raises(ValueError, match="neither a manifest nor a descriptor"):
        oci.layout_content(bench.named((None, None)), bench.options())


def addresses(bench):
    return [line for line in bench.warnings if line.code == "result-address"]


def commands(bench):
    """Return the commands for crane and Docker."""
    (line,) = [line for line in bench.warnings if line.code == "result-commands"]
    return re.fullmatch(r"in crane: (.*); in docker: (.*)", line).groups()


def test_one_image_is_pushed_by_crane_and_piped_to_docker(bench):
    oci.layout_content(bench.named((bench.image(LAYER), "a:1")), bench.options("oci", place="a b"))
    assert commands(bench) == (
        "crane push 'a b' REPOSITORY:TAG",
        "imgconv 'a b' --to docker-save - | docker load",
    )


def test_of_several_entries_crane_needs_one(bench):
    one = bench.image(LAYER)
    oci.layout_content(bench.named((one, "a:1"), (one, "a:2")), bench.options("oci", place="all"))
    assert "imgconv all --image NAME --to oci DEST" in commands(bench)[0]


def test_an_entry_that_is_there_already_counts_for_crane(bench):
    there = bench.named((bench.image(LAYER), "a:1"))
    oci.layout_content(bench.named((bench.image(OTHER), "b:2")), bench.options("oci", existing=there))
    assert "crane push LAYOUT " not in commands(bench)[0]


def test_a_tar_has_no_commands(bench):
    bench.items(bench.named((bench.image(LAYER), "a:1")), "oci-archive")
    assert not [line for line in bench.warnings if line.code == "result-commands"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("oci-archive", "oci-archive:ARCHIVE:docker.io/library/a:1"),
        ("docker-oci", "docker-archive:ARCHIVE:a:1"),
        ("docker-save", "docker-archive:ARCHIVE:a:1"),
        ("docker-save@25", "docker-archive:ARCHIVE:a:1"),
        ("crane", "docker-archive:ARCHIVE:a:1"),
    ],
)
def test_several_names_are_told_how_to_be_addressed(bench, target, expected):
    """In skopeo's spelling, which takes ref.names for layouts and RepoTags for docker archives."""
    one = bench.named((bench.image(LAYER), "a:1"), form="docker-save")
    bench.items(one, target)
    assert bench.warnings == []
    bench.items(bench.named((bench.image(LAYER), "a:1"), (bench.image(OTHER), "b:1"), form="docker-save"), target)
    assert bench.warnings == [f"wrote 2 names; in skopeo and podman use {expected}"]


def test_a_layout_folder_is_addressed_as_one(bench):
    images = bench.named((bench.image(LAYER), "a:1"), (bench.image(OTHER), "b:2"))
    oci.layout_content(images, bench.options("oci"))
    assert addresses(bench) == ["wrote 2 names; in skopeo and podman use oci:LAYOUT:1, oci:LAYOUT:2"]


@pytest.mark.parametrize(
    ("names", "place", "expected"),
    [
        (["v1"], "", ["oci:LAYOUT:v1"]),
        (["@sha256:" + "0" * 64], "", ["oci:LAYOUT"]),
        (["v1_"], "", ["oci:LAYOUT"]),
        (["v1", "_v2", "v3"], "", ["oci:LAYOUT:v1", "oci:LAYOUT:v3"]),
        (["v1_", "v2_"], "", []),
        ([None, None], "", []),
        (["v1", "v2"], "a:b", []),
    ],
)
def test_only_names_that_containers_image_takes_are_addresses(bench, names, place, expected):
    """Two entries need a name each; the path alone addresses the only one."""
    layers = (LAYER, OTHER, LAYER + OTHER)
    named = [
        (bench.image(layer), None if name is None else Name(None, name))
        for layer, name in zip(layers, names, strict=False)
    ]
    oci.layout_content(bench.named(*named), bench.options("oci", place=place))
    said = " ".join(addresses(bench))
    assert re.findall(r"oci:[^ ,;]*", said) == expected
    assert bool(said) == any(names)


def test_an_unnamed_image_that_is_added_beside_another_has_no_address(bench):
    there = bench.named((bench.image(LAYER), "a:1"))
    oci.layout_content(bench.named((bench.image(OTHER), None)), bench.options("oci", existing=there))
    assert addresses(bench) == []


def test_names_that_are_added_are_addressed_as_they_stand_beside_those_that_are_there(bench):
    """`1` is the first image's there, and stays it."""
    first = bench.image(LAYER)
    (described,) = oci.named_descriptors(bench.named((first, "a:1"), form="docker-save"))
    there = bench.named((first, "a:1", described))
    new = bench.named((bench.image(OTHER), "b:1"), (bench.image(OTHER), "b:2"), form="docker-save")
    index = json.loads(oci.layout_content(new, bench.options("oci", existing=there)).index)
    assert [each["annotations"][REF_NAME] for each in index["manifests"]] == [
        "1",
        "docker.io/library/b:1",
        "docker.io/library/b:2",
    ]
    (warning,) = addresses(bench)
    assert "use oci:LAYOUT:docker.io/library/b:1, oci:LAYOUT:docker.io/library/b:2" in warning
