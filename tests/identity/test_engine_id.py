"""What engines call an image, and what reading its layers verifies."""

import bz2
import dataclasses
import gzip
import hashlib
import io
import json

import pytest

from convert.identity.engine_id import (
    LAYER_ABSENT,
    NOT_LISTED,
    NOT_LOADED,
    UNREAD,
    Engine,
    engine_id,
    image_id,
    import_manifest,
    list_images,
    manifest_digest,
)
from convert.layer.examine import examine_layers
from convert.layer.pool import Pool
from convert.layer.stored_digests import StoredDigests
from convert.model import mediatype
from convert.model.config import Config
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Artifact, Child, Image, Index, Layer, Manifest
from convert.model.image_set import Entry, ImageSet, Name, SourceFormat
from convert.model.reference import Reference

PLAIN = b"a layer" * 1000


class CountingBlob:
    """Counts how often it is read to its end."""

    where = "layer.tar"

    def __init__(self, raw):
        self.raw = raw
        self.size = len(raw)
        self.ends = 0

    def open(self):
        return CountingStream(self)

    def extent(self):
        return None


class CountingStream(io.BytesIO):
    def __init__(self, blob):
        super().__init__(blob.raw)
        self.blob = blob

    def readinto(self, buffer):
        count = super().readinto(buffer)
        self.blob.ends += not count
        return count

    def read(self, size=-1):
        data = super().read(size)
        self.blob.ends += not data
        return data


def image(*raws, plains=None, manifest=None, stored=None):
    plains = plains or [PLAIN] * len(raws)
    diff_ids = [Digest.of(plain) for plain in plains]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": list(map(str, diff_ids))},
    }
    layers = tuple(
        Layer(diff_id, CountingBlob(raw) if raw is not None else None, stored)
        for diff_id, raw in zip(diff_ids, raws, strict=True)
    )
    return Image(Config.parse(json.dumps(config).encode(), where="x.tar", member="config"), layers, manifest)


def manifest(raw=b"{}", **changes):
    config = Descriptor(mediatype.OCI_CONFIG, Digest.of(b"config"), 6)
    return Manifest(raw, mediatype.OCI_MANIFEST, Digest.of(raw), config, (), **changes)


def one(node, archive_format="docker-save", entry=None):
    images = ImageSet((entry or Entry(node),), archive_format)
    return list_images(images)[0]


def containerd(node, archive_format="docker-save", *, may_read=False, entry=None):
    return engine_id(
        one(node, archive_format, entry), Engine.CONTAINERD, archive_format, StoredDigests(may_read=may_read)
    )


def imported_layers(subject):
    return json.loads(import_manifest(subject, StoredDigests(may_read=True)))["layers"]


def test_plain_layers_are_named_by_their_diff_id_unread():
    subject = image(PLAIN)
    assert containerd(subject)[0] is not None
    assert subject.layers[0].blob.ends == 0


def test_compressed_layers_are_read_once_and_only_if_allowed():
    raw = gzip.compress(PLAIN)
    subject = image(raw, raw)
    subject = dataclasses.replace(subject, layers=(subject.layers[0],) * 2)
    assert containerd(subject) == (None, UNREAD)
    layers = StoredDigests(may_read=True)
    for _ in range(2):
        assert layers.digest(subject.layers[0]) == Digest("sha256", hashlib.sha256(raw).hexdigest())
    assert import_manifest(subject, layers) is not None
    assert (layers.bytes_read, subject.layers[0].blob.ends) == (len(raw), 1)


@pytest.mark.parametrize(
    ("raw", "media_type"),
    [
        (PLAIN, "application/vnd.docker.image.rootfs.diff.tar"),
        (gzip.compress(PLAIN), "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        # containerd's importer knows gzip and zstd by their magic; all else is plain to it.
        (bz2.compress(PLAIN), "application/vnd.docker.image.rootfs.diff.tar"),
    ],
    ids=["plain", "gzip", "bzip2"],
)
def test_an_imported_layer_is_its_bytes_as_they_lie(raw, media_type):
    (layer,) = imported_layers(image(raw))
    assert layer == {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(raw).hexdigest()}", "size": len(raw)}


@pytest.mark.parametrize(
    ("archive_format", "reason"),
    [("docker-v1", NOT_LOADED), ("docker-save@25", NOT_LISTED), ("docker-oci", NOT_LISTED)],
)
def test_what_containerd_does_not_load_has_a_reason(archive_format, reason):
    assert containerd(image(PLAIN), SourceFormat(archive_format)) == (None, reason)


def test_an_absent_layer_leaves_no_manifest_to_make():
    assert containerd(image(None), may_read=True) == (None, LAYER_ABSENT)


def test_a_manifest_of_the_source_names_the_image_also_one_that_was_generated():
    for generated in (False, True):
        subject = image(PLAIN, manifest=manifest(generated=generated))
        assert containerd(subject, "docker-save@25") == (subject.manifest.digest, "")
        assert manifest_digest(subject) == (None if generated else subject.manifest.digest)


def test_under_an_index_containerd_shows_the_index_and_docker_each_config():
    inner = image(PLAIN, manifest=manifest())
    described = Descriptor(mediatype.OCI_MANIFEST, inner.manifest.digest, 2)
    nested = Index(b"inner", mediatype.OCI_INDEX, Digest.of(b"inner"), (Child(described, inner),))
    below = Descriptor(mediatype.OCI_INDEX, nested.digest, 5)
    index = Index(b"outer", mediatype.OCI_INDEX, Digest.of(b"outer"), (Child(below, nested),))
    item = one(index, "oci")
    layers = StoredDigests(may_read=False)
    assert item.node is inner
    assert engine_id(item, Engine.CONTAINERD, "oci", layers) == (index.digest, "")
    assert engine_id(item, Engine.DOCKER, "oci", layers) == (inner.image_id, "")


def test_an_absent_manifest_is_known_by_its_descriptor_alone():
    described = Descriptor(mediatype.OCI_MANIFEST, Digest.of(b"gone"), 4)
    item = one(None, "oci", Entry(None, None, described))
    assert image_id(item.node) is None
    assert engine_id(item, Engine.CONTAINERD, "oci", StoredDigests(may_read=True)) == (described.digest, "")


def test_a_manifest_without_its_config_still_tells_the_image_id():
    assert image_id(Artifact(manifest(), {})) == Digest.of(b"config")
    signature = Descriptor("application/vnd.dev.cosign.simplesigning.v1+json", Digest.of(b"s"), 1)
    assert image_id(Artifact(dataclasses.replace(manifest(), layers=(signature,)), {})) is None


def test_names_of_one_image_are_gathered_in_order():
    subject = image(PLAIN)
    other = image(PLAIN, PLAIN)
    entries = (
        Entry(subject, Name(Reference.parse("b:1"))),
        Entry(other, None),
        Entry(subject, Name(Reference.parse("a:1"))),
        Entry(subject, Name(None, "b:1")),
    )
    found = list_images(ImageSet(entries, "docker-save"))
    assert [item.texts for item in found] == [("b:1", "a:1"), ()]


# -- verifying -------------------------------------------------------------------------


def facts_of(subject, jobs=2):
    layers = StoredDigests(may_read=False)
    with Pool(jobs) as pool:
        facts = examine_layers(subject.layers, layers, pool, file="x.tar")
    return [facts[layer] for layer in subject.layers], layers


@pytest.mark.parametrize("jobs", [1, 4])
def test_examining_tells_sizes_and_digests_and_reads_each_blob_once(jobs):
    packed = gzip.compress(PLAIN)
    subject = image(PLAIN, packed)
    (plain, compressed), layers = facts_of(subject, jobs)
    assert (plain.digest, plain.plain_size, plain.problem) == (Digest.of(PLAIN), len(PLAIN), None)
    assert (compressed.digest, compressed.plain_size) == (Digest.of(packed), len(PLAIN))
    assert layers.digest(subject.layers[1]) == Digest.of(packed)
    assert layers.bytes_read == 0
    assert [layer.blob.ends for layer in subject.layers] == [1, 1]


def test_examining_finds_another_diff_id_another_digest_and_broken_streams():
    raw = gzip.compress(PLAIN)
    lying = Descriptor(mediatype.OCI_LAYER_GZIP, Digest.of(b"else"), len(raw))
    cases = [
        (image(b"other", plains=[PLAIN]), "DiffID is sha256:"),
        (image(raw, stored=lying), f"expected {Digest.of(b'else')}"),
        (image(raw[:-9]), ""),
    ]
    for subject, said in cases:
        (facts,), _ = facts_of(subject)
        assert facts.problem is not None
        assert facts.digest is None
        assert said in str(facts.problem)
        assert str(facts.problem).startswith("x.tar: ")


def test_an_absent_layer_is_neither_right_nor_wrong():
    (facts,), _ = facts_of(image(None))
    assert (facts.digest, facts.plain_size, facts.problem) == (None, None, None)
