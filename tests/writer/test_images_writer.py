"""Which images reach a target, and how what does not is named."""

from __future__ import annotations

import dataclasses

import pytest

from convert.archive.blob import MemoryBlob
from convert.diagnostics import Dropped
from convert.errors import NotRepresentableError
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Child, Other
from convert.model.image_set import Entry
from convert.writer import oci
from convert.writer.naming import check_names, describe, node_digest, representatives, single_images

LAYER = b"layer".ljust(1024, b"\0")
ABSENT = Descriptor(mediatype.OCI_MANIFEST, Digest.of(b"absent"), 99)


@pytest.fixture
def other():
    return Other(MemoryBlob(b"thing", "thing"), Descriptor("text/plain", Digest.of(b"thing"), 5))


def test_everything_has_words_for_a_warning(bench, other):
    image = bench.image(LAYER)
    artifact = bench.artifact("application/vnd.example.chart")
    typed = bench.artifact("application/vnd.oci.empty.v1+json", artifact_type="application/vnd.example.sbom")
    index = bench.index(image)
    attestation = Child(
        dataclasses.replace(ABSENT, annotations={"vnd.docker.reference.type": "attestation-manifest"}), None
    )
    assert describe(artifact) == f"artifact {artifact.manifest.digest} (application/vnd.example.chart)"
    assert describe(typed) == f"artifact {typed.manifest.digest} (application/vnd.example.sbom)"
    assert describe(index) == f"index {index.digest}"
    assert describe(other) == f"blob {other.descriptor.digest} (text/plain)"
    assert describe(image) == f"image {image.image_id}"
    assert describe(None) == "a manifest that is not in the source"
    assert describe(None, attestation) == f"attestation {ABSENT.digest}"


def test_every_entry_has_a_digest_to_tell_it_by(bench, other):
    image = bench.image(LAYER)
    bare = bench.image(LAYER, manifest=None)
    artifact, index = bench.artifact("application/vnd.example"), bench.index(image)
    digests = [image.manifest.digest, bare.image_id, artifact.manifest.digest, index.digest, other.descriptor.digest]
    nodes = [image, bare, artifact, index, other]
    assert [node_digest(Entry(node)) for node in nodes] == digests
    assert node_digest(Entry(None, None, ABSENT)) == ABSENT.digest
    assert node_digest(Entry(None)) is None


def test_an_index_without_images_is_dropped_with_a_line(bench):
    image = bench.image(LAYER)
    images = bench.named((bench.index(absent=[ABSENT]), "a:1"), (image, "b:1"))
    assert [one.image for one in single_images(images, "crane", bench.warnings.append)] == [image]
    (warning,) = bench.warnings
    assert isinstance(warning, Dropped)
    assert warning.what == "index"


def test_the_only_image_of_an_index_stands_for_it(bench):
    """Listed twice, and beside an absent platform, it still is the only one."""
    image = bench.image(LAYER)
    images = bench.named((bench.index(bench.index(image), image, absent=[ABSENT]), "a:1"))
    assert [one.image for one in single_images(images, "crane", bench.warnings.append)] == [image]
    assert bench.warnings == []


def test_an_unnamed_index_of_several_platforms_is_refused(bench):
    index = bench.index(bench.image(LAYER), bench.image(LAYER, architecture="arm64"))
    for name, shown in ((None, "an index"), (bench.name("", "v1"), "v1")):
        with pytest.raises(NotRepresentableError, match=f"^{shown} holds several platforms"):
            single_images(bench.named((index, name)), "crane", bench.warnings.append)


def test_what_has_no_name_needs_no_label(bench):
    images = bench.named((bench.artifact("application/vnd.example"), None), (bench.image(LAYER), "a:1"))
    single_images(images, "crane", bench.warnings.append)
    assert ", named" not in bench.warnings[0]


def test_two_manifests_of_one_config_are_one_image_with_all_names(bench):
    """Docker's image ID is the config's digest."""
    plain = bench.image(LAYER)
    gzip = bench.image(LAYER, kind=mediatype.OCI_LAYER_GZIP)
    assert plain.manifest.digest != gzip.manifest.digest
    found = single_images(bench.named((plain, "a:1"), (gzip, "b:1")), "docker-save", bench.warnings.append)
    assert [[reference.familiar for reference in one.references] for one in found] == [["a:1", "b:1"]]


def test_one_name_twice_on_one_image_is_no_conflict(bench):
    image = bench.image(LAYER)
    name = bench.name("a:1")
    check_names([(name, image.image_id), (name, image.image_id), (None, "x"), (bench.name("", "v1"), "y")], "crane")


@pytest.mark.parametrize("walk", ["blobs", "single", "representatives"])
def test_indexes_that_repeat_each_other_cost_no_more_than_their_number(bench, walk):
    """Eight levels of a hundred descriptors of one index each are 10^16 paths and eight documents."""
    node = bench.image(LAYER)
    for _ in range(8):
        index = bench.index(node)
        node = dataclasses.replace(index, children=index.children * 100)
    images = bench.named((node, "a:1"))
    if walk == "blobs":
        assert len(oci.all_blobs([node], bench.options())) == 8 + 3
    elif walk == "single":
        assert len(single_images(images, "crane", bench.warnings.append)) == 1
    else:
        assert len(representatives(images, "docker-oci", bench.warnings.append)) == 1
