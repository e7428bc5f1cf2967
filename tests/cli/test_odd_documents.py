"""Documents that ended in an internal error, or were read otherwise than Go reads them."""

from __future__ import annotations

import json

import pytest
from hostile.building import DIFF_ID, MANIFEST, PLAIN, Docker, Layout, blob, config, dump, sha256
from support import FORMATS

MANY = "1" * 5000
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar"
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("ports", [{f"{MANY}/tcp": {}}, {f"{'0' * 5000}80/tcp": {}}, {"65536/tcp": {}}])
def test_ports_of_any_length(imgconv, tmp_path, form, ports):
    (tmp_path / "in.tar").write_bytes(Docker(config=config(config={"ExposedPorts": ports})).build())
    assert imgconv(tmp_path / "in.tar", "--to", form, tmp_path / "out").status in {0, 3}


@pytest.mark.parametrize("size", [MANY, MANY + "G", "0"])
def test_sizes_of_any_length(imgconv, tmp_path, size):
    (tmp_path / "in.tar").write_bytes(Docker().build())
    done = imgconv(tmp_path / "in.tar", "--to", "oci", tmp_path / "out", "--max-layer-size", size)
    assert done.status == 2
    assert "--max-layer-size" in done.err


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("kind", [FOREIGN + ".lz4", NONDISTRIBUTABLE + "+lz4", FOREIGN + "x", FOREIGN])
@pytest.mark.parametrize("urls", [{}, {"urls": ["https://example.com/l"]}])
def test_foreign_types_that_nobody_knows(imgconv, tmp_path, kind, there, urls):
    """In `LayerSources` they say nothing of a layer that is there, and do not excuse one that is not."""
    source = {"mediaType": kind, "size": len(PLAIN), "digest": DIFF_ID, **urls}
    layers = {"layer.tar": PLAIN if there else None}
    path = tmp_path / "in.tar"
    path.write_bytes(Docker(layers=layers, item={"LayerSources": {DIFF_ID: source}}).build())
    for form in FORMATS:
        status = imgconv(path, "--to", form, tmp_path / form.replace("@", "")).status
        assert status == 0 if there else status in {0, 2, 3}
    for pusher in ("crane", "docker", "imgconv"):
        assert imgconv("digest", path, "--as", pusher).status in {0, 2, 3}
        assert imgconv(path, "--as", pusher, "--to", "oci", tmp_path / pusher).status in {0, 2, 3}
    for words in (["id"], ["inspect"], ["validate"], ["digest"]):
        assert imgconv(*words, path).status in {0, 1, 2, 3}


@pytest.mark.parametrize("keys", [("Architecture", "OS"), ("architecture", "o\u017f"), ("ARCHITECTURE", "os")])
def test_platforms_are_found_under_any_spelling(imgconv, tmp_path, keys):
    """The index says arm64, as do the keys only Go reads; they are written as image-spec spells them."""
    arm = config(architecture="arm64")
    entry = {"platform": {keys[0]: "arm64", keys[1]: "linux"}}
    inner = Layout(config=arm, entry=entry)
    index = inner.parts()["index.json"]
    name, described = blob(index)
    outer = {"schemaVersion": 2, "manifests": [{"mediaType": json.loads(index)["mediaType"], **described}]}
    folder = tmp_path / "in"
    Layout(config=arm, entry=entry, raw_index=dump(outer), blobs={name: index}).write(folder)
    assert imgconv(folder, "--platform", "linux/arm64", "--to", "oci", tmp_path / "one").status == 0
    assert imgconv(folder, "--platform", "linux/amd64", "--to", "oci", tmp_path / "none").status == 2
    Layout(config=arm, entry=entry).write(tmp_path / "flat")
    assert imgconv(tmp_path / "flat", "--to", "oci", tmp_path / "out").status == 0
    (kept,) = json.loads((tmp_path / "out" / "index.json").read_bytes())["manifests"]
    assert kept["platform"] == {"architecture": "arm64", "os": "linux"}


def test_a_layer_that_an_artifact_needs_is_written_with_the_image_that_leaves_it_out(imgconv, tmp_path):
    """docker-oci leaves out the bytes of a non-distributable layer, not those of the artifact."""
    raw = dump(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.example",
            "config": {"mediaType": "application/vnd.example.config", "digest": sha256(b"{}"), "size": 2},
            "layers": [{"mediaType": "application/vnd.example.file", "digest": DIFF_ID, "size": len(PLAIN)}],
        }
    )
    artifact, described = blob(raw)
    layout = Layout(layer_type=NONDISTRIBUTABLE)
    index = json.loads(layout.parts()["index.json"])
    index["manifests"].append({"mediaType": MANIFEST, **described})
    layout.raw_index = dump(index)
    layout.blobs = {artifact: raw, blob(b"{}")[0]: b"{}"}
    layout.write(tmp_path / "in")
    assert imgconv(tmp_path / "in", "--to", "docker-oci", tmp_path / "out.tar", "--verify-output").status == 0
    assert imgconv(tmp_path / "out.tar", "--to", "oci", tmp_path / "again").status == 0
    assert (tmp_path / "again" / blob(PLAIN)[0]).read_bytes() == PLAIN


def test_empty_data_is_no_data(imgconv, tmp_path):
    """Go writes no empty `data` and reads it as none."""
    Layout(layer_changes={"data": ""}, config_changes={"data": ""}).write(tmp_path / "in")
    assert imgconv(tmp_path / "in", "--to", "oci", tmp_path / "out").status == 0
