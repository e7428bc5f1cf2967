"""Re-created manifests are those of the tools, and the placeholders that docker save generates are recognised."""

from __future__ import annotations

import json

import pytest
from oracle.reading import plain
from support import MATCH

from convert.archive.open import open_source
from convert.errors import NotRepresentableError
from convert.identity import manifest
from convert.model import mediatype
from convert.model.config import Config
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.reader.detect import read

CONFIG = b'{"architecture":"amd64","os":"linux"}'
GZIP = Descriptor(mediatype.OCI_LAYER_GZIP, Digest.of(b"gzip"), 4)


@pytest.fixture(scope="module")
def golden():
    """testdata/match/manifests.json: what real tools made, and of what."""
    return json.loads((MATCH.parent / "manifests.json").read_bytes())


def first_image(source):
    """Return the first image of an archive in testdata/match."""
    return read(source.tree).entries[0].node


def layers_of(manifest):
    return [
        Descriptor(layer["mediaType"], Digest.parse(layer["digest"]), layer["size"])
        for layer in json.loads(manifest)["layers"]
    ]


@pytest.mark.parametrize("number", range(5))
def test_manifests_are_those_that_the_tools_made(golden, number):
    """crane, docker push, and containerd's import, each from its config and its layers' digests."""
    case = golden["made"][number]
    with open_source(str(MATCH / f"{case['archive']}.tar.gz")) as source:
        config = first_image(source).config.raw
    make = getattr(manifest, case["form"])
    assert make(config, layers_of(case["manifest"])) == case["manifest"].encode()


def test_there_are_five_manifests_of_tools(golden):
    assert len(golden["made"]) == 5


def test_the_manifest_of_docker_29_is_that_in_its_archive():
    path = MATCH / "docker29-hybrid-html.tar.gz"
    with open_source(str(path)) as source:
        image = first_image(source)
        made = manifest.docker_save_25_manifest(
            image.config.raw, [(layer.diff_id, layer.blob.size) for layer in image.layers]
        )
    assert Digest.of(made).hex == "150992ac5bb47888d35f1eb21b1190905dee8d38d6a187ffcee2518068f3e5ff"
    assert made in plain(path)


def test_the_oci_manifest_is_compact_in_the_contracts_order():
    digest = Digest.of(CONFIG)
    assert (
        manifest.oci_manifest(CONFIG, [GZIP])
        == (
            '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{'
            f'"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":{len(CONFIG)}}},"layers":[{{'
            f'"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{GZIP.digest}","size":4}}]}}'
        ).encode()
    )


FAMILIES = [
    (mediatype.OCI_LAYER, mediatype.DOCKER_LAYER),
    (mediatype.OCI_LAYER_GZIP, mediatype.DOCKER_LAYER_GZIP),
    (mediatype.OCI_NONDISTRIBUTABLE, mediatype.DOCKER_FOREIGN),
    (mediatype.OCI_NONDISTRIBUTABLE + "+gzip", mediatype.DOCKER_FOREIGN + ".gzip"),
]


@pytest.mark.parametrize(("oci", "docker"), FAMILIES)
def test_layer_types_have_a_twin_in_the_other_family(oci, docker):
    for media_type in (oci, docker):
        assert manifest.oci_layer_type(media_type) == oci
        assert manifest.docker_layer_type(media_type) == docker


def test_zstd_layers_have_no_type_in_schema_2():
    for media_type in (mediatype.OCI_LAYER_ZSTD, mediatype.DOCKER_LAYER_ZSTD):
        assert manifest.oci_layer_type(media_type) == mediatype.OCI_LAYER_ZSTD
        with pytest.raises(NotRepresentableError, match="zstd"):
            manifest.docker_manifest(CONFIG, [Descriptor(media_type, GZIP.digest, 4)])


def test_a_type_of_no_layer_is_the_callers_mistake():
    with pytest.raises(ValueError, match="not a layer type"):
        manifest.oci_layer_type("text/plain")


def test_urls_of_foreign_layers_are_kept():
    foreign = Descriptor(mediatype.DOCKER_FOREIGN + ".gzip", GZIP.digest, 4, urls=("https://example.org/",))
    for make in (manifest.oci_manifest, manifest.docker_manifest):
        assert json.loads(make(CONFIG, [foreign]))["layers"][0]["urls"] == ["https://example.org/"]


def test_indexes_are_compact_and_keep_platforms():
    platform = {"variant": "v8", "os": "linux", "architecture": "arm64"}
    child = Descriptor(mediatype.OCI_MANIFEST, GZIP.digest, 4, platform=platform)
    tail = '"platform":{"architecture":"arm64","os":"linux","variant":"v8"}}]}'
    assert (
        manifest.oci_index([child])
        == (
            '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":['
            f'{{"mediaType":"{child.media_type}","digest":"{child.digest}","size":4,{tail}'
        ).encode()
    )
    assert (
        manifest.docker_manifest_list([child])
        == (
            '{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":['
            f'{{"mediaType":"{child.media_type}","size":4,"digest":"{child.digest}",{tail}'
        ).encode()
    )


# -- made up -----------------------------------------------------------------------


def config_of(raw):
    return Config.parse(raw, where="made.tar", member="config")


@pytest.mark.parametrize("number", range(6))
def test_manifests_that_docker_save_generated_are_recognised(golden, number):
    """From published archives of Docker 25 and 26, with and without a platform."""
    case = golden["made_up"][number]
    assert manifest.is_generated(case["manifest"].encode(), config_of(case["config"].encode()))


def test_there_are_six_generated_manifests_of_both_forms(golden):
    forms = [b"platform" in case["manifest"].encode() for case in golden["made_up"]]
    assert sorted(forms) == [False, False, True, True, True, True]


def test_the_manifest_of_docker_25_0_0_without_layers_is_recognised(golden):
    """moby/moby#47065, save.go of v25.0.0: `layers` stays empty."""
    for case in golden["made_up"]:
        if '"platform"' in case["manifest"]:
            document = json.loads(case["manifest"])
            document["layers"] = []
            raw = json.dumps(document, separators=(",", ":")).encode()
            assert manifest.is_generated(raw, config_of(case["config"].encode()))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw + b"\n",
        lambda raw: raw.replace(b'"schemaVersion":2', b'"schemaVersion": 2'),
        lambda raw: raw.replace(b"layer.v1.tar", b"layer.v1.tar+gzip"),
        lambda raw: raw[:-1] + b',"annotations":{"a":"b"}}',
        lambda raw: raw.replace(b'"size":6656', b'"size":-1'),
        lambda raw: raw.replace(b'"size":6656', b'"size":"6656"'),
        lambda raw: raw[: raw.index(b',"layers"')] + b',"layers":[]}',
        lambda raw: raw[: raw.index(b',"layers"')] + b',"layers":null}',
        lambda raw: raw[: raw.index(b',"layers"')] + b',"layers":[1]}',
        lambda _: b"[]",
    ],
)
def test_one_byte_of_another_makes_it_a_manifest_of_its_own(golden, change):
    case = golden["made_up"][3]
    raw = case["manifest"].encode()
    config = config_of(case["config"].encode())
    assert manifest.is_generated(raw, config)
    assert not manifest.is_generated(change(raw), config)


def test_a_manifest_of_another_config_is_not_generated(golden):
    first, second = golden["made_up"][3], golden["made_up"][5]
    assert not manifest.is_generated(first["manifest"].encode(), config_of(second["config"].encode()))


def test_windows_platforms_have_version_and_features(golden):
    """As Platform in image/image.go of moby v25.0.0 gives them."""
    raw = b'{"os":"windows","architecture":"amd64","os.version":"10.0.1","os.features":["win32k"],"rootfs":{}}'
    text = (
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{'
        f'"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{Digest.of(raw)}","size":{len(raw)},'
        '"platform":{"architecture":"amd64","os":"windows","os.version":"10.0.1","os.features":["win32k"]}},"layers":[]}'
    )
    assert manifest.is_generated(text.encode(), config_of(raw))
