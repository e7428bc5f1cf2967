"""docker-oci: the bytes of containerd's exporter as Docker 29 runs it."""

from __future__ import annotations

import dataclasses
import json

import pytest

from convert.archive.blob import MemoryBlob
from convert.diagnostics import Dropped
from convert.errors import NotRepresentableError, UsageError
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Other

LAYER = b"layer".ljust(1024, b"\0")
OTHER = b"other".ljust(1024, b"\0")
ABSENT = Descriptor(mediatype.OCI_MANIFEST, Digest.of(b"absent"), 99, platform={"os": "linux", "architecture": "arm"})


@pytest.mark.parametrize("name", ["containerd29-export", "containerd29-export-multiplatform"])
def test_archives_of_the_exporter_come_back_byte_for_byte(bench, tools, name):
    path = tools.match / f"{name}.tar.gz"
    assert bench.write(bench.read(path), "docker-oci") == tools.plain(path)


def test_names_are_annotations_whatever_the_source_had(bench):
    """Docker always writes the tag as ref.name; other annotations stay."""
    image = bench.image(LAYER)
    source = {
        "containerd.io/distribution.source.docker.io": "library/x",
        "io.containerd.image.name": "docker.io/library/old:1",
        "org.opencontainers.image.ref.name": "docker.io/library/x:1",
    }
    descriptor = Descriptor(
        image.manifest.media_type, image.manifest.digest, len(image.manifest.raw), annotations=source
    )
    images = bench.named((image, bench.name("x:1", "docker.io/library/x:1"), descriptor))
    documents = bench.documents(images, "docker-oci")
    assert json.loads(documents["index.json"])["manifests"][0]["annotations"] == {
        "containerd.io/distribution.source.docker.io": "library/x",
        "io.containerd.image.name": "docker.io/library/x:1",
        "org.opencontainers.image.ref.name": "1",
    }


def test_equal_tags_of_two_images_stay_tags(bench):
    images = bench.named((bench.image(LAYER), "a:1"), (bench.image(OTHER), "b:1"))
    manifests = json.loads(bench.documents(images, "docker-oci")["index.json"])["manifests"]
    assert [item["annotations"]["org.opencontainers.image.ref.name"] for item in manifests] == ["1", "1"]


def test_a_ref_name_without_repository_stays_and_is_not_a_repo_tag(bench):
    images = bench.named((bench.image(LAYER), bench.name("", "v1")))
    documents = bench.documents(images, "docker-oci")
    annotations = json.loads(documents["index.json"])["manifests"][0]["annotations"]
    assert annotations == {"org.opencontainers.image.ref.name": "v1"}
    assert b'"RepoTags":null' in documents["manifest.json"]
    (warning,) = bench.warnings
    assert "name v1:" in warning
    assert not isinstance(warning, Dropped)


@pytest.mark.parametrize(
    ("architectures", "listed"), [(["arm64", "amd64", "ppc64le"], "amd64"), (["arm64", "ppc64le"], "arm64")]
)
def test_an_index_is_represented_by_amd64_or_the_first_that_is_there(bench, architectures, listed):
    nodes = {name: bench.image(LAYER, architecture=name) for name in architectures}
    index = bench.index(bench.artifact("application/vnd.example"), *nodes.values(), absent=[ABSENT])
    documents = bench.documents(bench.named((index, "x:1"), (index, "x:2")), "docker-oci")
    items = json.loads(documents["manifest.json"])
    assert [item["Config"] for item in items] == [f"blobs/sha256/{nodes[listed].image_id.hex}"]
    assert items[0]["RepoTags"] == ["x:1", "x:2"]
    # Every platform, the artifact and the index itself are there all the same.
    for node in (index, *(image.manifest for image in nodes.values())):
        assert documents[f"blobs/sha256/{node.digest.hex}"] == node.raw


def test_one_manifest_is_listed_once_with_all_its_names(bench):
    image = bench.image(LAYER)
    images = bench.named((image, "a:1"), (bench.index(image), "b:1"))
    items = json.loads(bench.documents(images, "docker-oci")["manifest.json"])
    assert [item["RepoTags"] for item in items] == [["a:1", "b:1"]]


def test_an_image_without_layers_has_null_as_the_exporter_writes_it(bench):
    documents = bench.documents(bench.named((bench.image(), "a:1")), "docker-oci")
    assert documents["manifest.json"].endswith(b'"RepoTags":["a:1"],"Layers":null}]')


def test_nondistributable_layers_stay_out_and_are_listed(bench):
    image = bench.image(LAYER, OTHER, media_types={0: mediatype.OCI_NONDISTRIBUTABLE})
    documents = bench.documents(bench.named((image, "a:1")), "docker-oci")
    left_out = f"blobs/sha256/{image.config.diff_ids[0].hex}"
    assert left_out not in documents
    assert left_out in json.loads(documents["manifest.json"])[0]["Layers"]
    assert len(bench.warnings) == 1


def test_artifacts_are_kept_and_not_listed_for_docker_load(bench):
    artifact = bench.artifact("application/vnd.example.chart", {"chart": b"chart"})
    images = bench.named((bench.image(LAYER), "a:1"), (artifact, "chart:1"))
    documents = bench.documents(images, "docker-oci")
    assert len(json.loads(documents["index.json"])["manifests"]) == 2
    assert len(json.loads(documents["manifest.json"])) == 1
    assert documents[f"blobs/sha256/{Digest.of(b'chart').hex}"] == b"chart"


def test_what_is_not_a_manifest_is_dropped_with_a_line(bench):
    blob = Other(MemoryBlob(b"thing", "thing"), Descriptor("text/plain", Digest.of(b"thing"), 5))
    images = bench.named((bench.image(LAYER), "a:1"), (blob, None), (None, None, ABSENT))
    documents = bench.documents(images, "docker-oci")
    assert len(json.loads(documents["index.json"])["manifests"]) == 1
    assert [type(line) for line in bench.warnings] == [Dropped] * 2


def test_one_name_for_two_images_is_refused(bench):
    images = bench.named((bench.image(LAYER), "a:1"), (bench.index(bench.image(OTHER)), "a:1"))
    with pytest.raises(NotRepresentableError, match="stands for two images"):
        bench.items(images, "docker-oci")


def test_only_artifacts_are_refused(bench):
    images = bench.named((bench.artifact("application/vnd.example.chart"), "chart:1"))
    with pytest.raises(NotRepresentableError, match="only other things"):
        bench.items(images, "docker-oci")


def test_repositories_are_those_of_docker_25(bench):
    image = bench.image(LAYER, OTHER)
    documents = bench.documents(bench.named((image, "a:1")), "docker-oci", add_repositories=True)
    top = image.config.diff_ids[-1].hex
    assert documents["repositories"] == f'{{"a":{{"1":"{top}"}}}}\n'.encode()
    untagged = bench.named((image, None))
    with pytest.raises(UsageError, match="nothing to put into repositories"):
        bench.items(untagged, "docker-oci", add_repositories=True)


def test_blobs_of_every_algorithm_have_their_folder(bench):
    """image-spec image-layout.md: blobs/<alg>/<encoded>."""
    import hashlib

    image = bench.image(LAYER)
    digest = Digest("sha512", hashlib.sha512(image.config.raw).hexdigest())
    config = dataclasses.replace(image.manifest.config, digest=digest)
    image = dataclasses.replace(image, manifest=dataclasses.replace(image.manifest, config=config))
    items = bench.items(bench.named((image, "a:1")), "docker-oci")
    names = [item.name for item in items]
    assert names == sorted(names)
    assert [item.name for item in items if item.kind == "dir"] == ["blobs", "blobs/sha256", "blobs/sha512"]
    assert f"blobs/sha512/{digest.hex}" in names


def test_an_image_without_manifest_is_the_callers_mistake(bench):
    images = bench.named((bench.image(LAYER, manifest=None), "a:1"))
    with pytest.raises(ValueError, match="was not given a manifest"):
        bench.items(images, "docker-oci")


def test_zstd_layers_are_said(bench):
    """Docker 20.10 does not read them (docs/formats-docker.md#docker-load)."""
    image = bench.image(LAYER, kind=mediatype.OCI_LAYER_ZSTD)
    bench.items(bench.named((image, "a:1")), "docker-oci")
    (warning,) = bench.warnings
    assert "zstd" in warning
