"""`docker-containerd`: what Docker with the containerd store, ctr and nerdctl push of an archive.

Recorded manifests of ctr are compared in tests/cli/test_digest.py, real ones in tests/peer/.
"""

from __future__ import annotations

import gzip
import json
import lzma
import tarfile

import pytest
import zstandard
from hostile.building import DIFF_ID, PLAIN, Docker, Layout, blob, config, dump, sha256
from support import MATCH

import convert
from convert.errors import UsageError

PUSHER = "docker-containerd"
GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
UNCOMPRESSED = "application/vnd.docker.image.rootfs.diff.tar"


def pushed(path, pusher=PUSHER):
    return convert.digest(path, pushers=[pusher]).pushed


def archive(tmp_path, layer):
    path = tmp_path / "in.tar"
    path.write_bytes(Docker(layers={"layer.tar": layer}).build())
    return path


@pytest.mark.parametrize(
    ("layer", "media_type"),
    [
        (PLAIN, UNCOMPRESSED),
        (gzip.compress(PLAIN, mtime=0), GZIP),
        (zstandard.ZstdCompressor().compress(PLAIN), GZIP),
        (lzma.compress(PLAIN), UNCOMPRESSED),
    ],
    ids=["plain", "gzip", "zstd", "xz"],
)
def test_layers_go_up_as_they_lie(tmp_path, layer, media_type):
    (row,) = pushed(archive(tmp_path, layer))
    described = {"mediaType": media_type, "digest": sha256(layer), "size": len(layer)}
    assert json.loads(row.raw)["layers"] == [described]
    # The order of keys is OCI's, the type of the manifest Docker's.
    assert row.raw.startswith(b'{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json"')
    assert b'"size"' in row.raw.split(b'"digest"')[-1]


def test_a_zstd_layer_that_is_called_gzip_is_reported(tmp_path):
    report = convert.digest(archive(tmp_path, zstandard.ZstdCompressor().compress(PLAIN)), pushers=[PUSHER])
    assert "layer-called-gzip" in {warning.code for warning in report.warnings}
    plain = convert.digest(archive(tmp_path, PLAIN), pushers=[PUSHER])
    assert "layer-called-gzip" not in {warning.code for warning in plain.warnings}


@pytest.mark.parametrize("alias", ["nerdctl", "ctr"])
def test_other_tools_push_the_same(tmp_path, alias):
    path = archive(tmp_path, PLAIN)
    assert pushed(path, alias)[0].raw == pushed(path)[0].raw


@pytest.mark.parametrize("name", ["docker25-hybrid-html", "containerd29-export"])
def test_a_layout_is_pushed_as_it_lies(name):
    """Docker 25 and later write an oci-layout; containerd then takes index.json, generated manifests too."""
    path = MATCH / f"{name}.tar.gz"
    with tarfile.open(path) as source:
        index = json.load(source.extractfile("index.json"))
    assert [str(row.digest) for row in pushed(path)] == list(
        dict.fromkeys(item["digest"] for item in index["manifests"])
    )


def test_without_oci_layout_manifest_json_counts(tmp_path):
    layout = Layout(leave_out=("oci-layout",))
    document = Docker(config_name="blobs/" + sha256(dump(layout.config)).replace(":", "/"))
    item = {
        "Config": document.config_name,
        "RepoTags": None,
        "Layers": ["blobs/" + DIFF_ID.replace(":", "/")],
    }
    path = tmp_path / "in.tar"
    path.write_bytes(Layout(leave_out=("oci-layout",), extra=(("manifest.json", dump([item])),)).build())
    (row,) = pushed(path)
    assert row.media_type == "application/vnd.docker.distribution.manifest.v2+json"


def test_a_layout_without_either_is_refused(tmp_path):
    path = tmp_path / "in.tar"
    path.write_bytes(Layout(leave_out=("oci-layout",)).build())
    with pytest.raises(UsageError) as caught:
        pushed(path)
    assert caught.value.code == "pusher-cannot-read"


def test_of_an_incomplete_index_the_images_that_are_there_are_pushed(tmp_path):
    """`docker push` sends one manifest then, because the registry would refuse the index."""
    parts = Layout().parts()
    (entry,) = json.loads(parts["index.json"])["manifests"]
    absent = {**entry, "digest": sha256(b"absent"), "platform": {"os": "linux", "architecture": "arm64"}}
    children = [{**entry, "platform": {"os": "linux", "architecture": "amd64"}}, absent]
    inner = dump({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": children})
    name, described = blob(inner)
    path = tmp_path / "in.tar"
    outer = {"mediaType": "application/vnd.oci.image.index.v1+json", **described}
    path.write_bytes(Layout(index={"manifests": [outer]}, blobs={name: inner}).build())
    report = convert.digest(path, pushers=[PUSHER])
    assert [str(row.digest) for row in report.pushed] == [entry["digest"]]
    assert "pusher-condition" in {warning.code for warning in report.warnings}


def test_convert_writes_what_is_pushed(tmp_path):
    source = MATCH / "docker20-html.tar.gz"
    convert.convert(source, tmp_path / "out", to="oci", pusher=PUSHER)
    # Each image stands in the index under each of its names.
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    rows = pushed(source)
    assert {item["digest"] for item in index["manifests"]} == {str(row.digest) for row in rows}
    for row in rows:
        for layer in json.loads(row.raw)["layers"]:
            data = (tmp_path / "out" / "blobs" / layer["digest"].replace(":", "/")).read_bytes()
            assert (sha256(data), len(data)) == (layer["digest"], layer["size"])


def test_a_sha512_diff_id_is_refused(tmp_path):
    """The store names content by its sha256, so the digest would be another than the one computed."""
    path = tmp_path / "in.tar"
    path.write_bytes(Docker(config=config("sha512:" + "0" * 128)).build())
    with pytest.raises(UsageError) as caught:
        pushed(path)
    assert caught.value.code == "pusher-needs-sha256"
