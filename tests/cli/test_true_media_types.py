"""A manifest that imgconv makes says of each layer how its bytes really lie."""

from __future__ import annotations

import bz2
import gzip
import json

import pytest
import zstandard
from hostile.building import DOCKER_MANIFEST, LAYER, MANIFEST, PLAIN, Layout

PACKED = {
    "": PLAIN,
    "gzip": gzip.compress(PLAIN, mtime=0),
    "zstd": zstandard.ZstdCompressor().compress(PLAIN),
    "bzip2": bz2.compress(PLAIN),
}
DOCKER = "application/vnd.docker.image.rootfs.diff.tar"
FOREIGN = {False: (LAYER, DOCKER), True: (
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
)}  # fmt: skip


def named(base, compression, joint):
    return base + (joint + compression if compression else "")


def layout(folder, bytes_, claim, *, docker=False, foreign=False):
    base = FOREIGN[foreign][docker]
    kind = DOCKER_MANIFEST if docker else MANIFEST
    Layout(
        layer=PACKED[bytes_],
        layer_type=named(base, claim, "." if docker else "+"),
        manifest_type=kind,
        config_type="application/vnd.docker.container.image.v1+json" if docker else Layout.config_type,
    ).write(folder)


def layers(folder):
    (entry,) = json.loads((folder / "index.json").read_bytes())["manifests"]
    manifest = json.loads((folder / "blobs" / entry["digest"].replace(":", "/")).read_bytes())
    return manifest["mediaType"], [layer["mediaType"] for layer in manifest["layers"]]


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("claim", ["", "gzip", "zstd"])
@pytest.mark.parametrize("bytes_", PACKED)
@pytest.mark.parametrize("to", ["docker", "oci"])
def test_a_new_manifest_names_the_bytes_that_are_there(imgconv, tmp_path, to, bytes_, claim, foreign):
    docker = to == "docker"
    layout(tmp_path / "in", bytes_, claim, docker=not docker, foreign=foreign)
    done = imgconv(tmp_path / "in", "--to", "oci", tmp_path / "out", "--manifest-type", to)
    if bytes_ == "bzip2" or (docker and bytes_ == "zstd"):
        assert done.status == 2, done.err
        assert not (tmp_path / "out").exists()
        return
    assert done.status == 0, done.err
    joint = "." if docker else "+"
    kind = DOCKER_MANIFEST if docker else MANIFEST
    assert layers(tmp_path / "out") == (kind, [named(FOREIGN[foreign][docker], bytes_, joint)])
    assert ("the new manifest states that" in done.err) == (claim != bytes_)


@pytest.mark.parametrize("claim", ["", "gzip", "zstd"])
@pytest.mark.parametrize("bytes_", PACKED)
def test_a_manifest_that_is_kept_keeps_its_claim(imgconv, tmp_path, bytes_, claim):
    layout(tmp_path / "in", bytes_, claim)
    done = imgconv(tmp_path / "in", "--to", "oci", tmp_path / "out")
    assert done.status == 0, done.err
    assert layers(tmp_path / "out") == layers(tmp_path / "in")


@pytest.mark.parametrize("bytes_", PACKED)
def test_compressed_again_it_is_what_it_is_called(imgconv, tmp_path, bytes_):
    layout(tmp_path / "in", bytes_, "gzip")
    done = imgconv(tmp_path / "in", "--to", "oci", tmp_path / "out", "--recompress", "--manifest-type", "docker")
    assert done.status == 0, done.err
    assert layers(tmp_path / "out") == (DOCKER_MANIFEST, [DOCKER + ".gzip"])
