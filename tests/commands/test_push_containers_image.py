"""`podman`, `skopeo` and `buildah`: manifests as real tools pushed them, recorded by tests/peer/record_pushes.py."""

from __future__ import annotations

import json

import pytest
import zstandard
from hostile.building import DIFF_ID, PLAIN, Docker, Layout, config, dump, sha256, squeezed
from support import MATCH

import convert
from convert.errors import UsageError

PUSHED = json.loads((MATCH.parent / "pushed.json").read_text())
CASES = [
    (archive, tool, key, manifest)
    for archive, tools in PUSHED.items()
    for tool, manifests in tools.items()
    for key, manifest in manifests.items()
]
FAMILY = ["podman", "skopeo", "buildah"]


def pushed(path, pusher):
    return convert.digest(path, pushers=[pusher]).pushed


@pytest.mark.parametrize(
    ("archive", "tool", "key", "manifest"), CASES, ids=[f"{a}-{t}-{k[:24]}" for a, t, k, _ in CASES]
)
def test_the_manifest_is_the_one_that_the_tool_pushed(archive, tool, key, manifest):
    path = str(MATCH / f"{archive}.tar.gz")
    if tool == "skopeo":
        rows = pushed(key.replace("ARCHIVE", path), tool)
    elif tool == "buildah":
        rows = [row for row in pushed(f"docker-archive:{path}", tool) if str(row.node.image_id) == key]
    else:
        rows = [row for row in pushed(path, tool) if str(row.node.image_id) == key]
    assert [row.raw.decode() for row in rows if row.raw.decode() == manifest] == [manifest]
    assert len({row.raw for row in rows}) == 1 or archive == "containerd29-export-multiplatform"


@pytest.mark.parametrize(("newer", "older"), [("podman@6", "podman"), ("buildah@1.44", "buildah")])
def test_releases_differ_in_the_profile_only(tmp_path, newer, older):
    words = b" ".join(b"%x" % (number * number) for number in range(20_000))
    path = tmp_path / "in.tar"
    path.write_bytes(Docker(config=config(sha256(words)), layers={"layer.tar": words}).build())
    new, old = pushed(path, newer)[0], pushed(path, older)[0]
    assert new.digest != old.digest
    for row, profile in ((new, "pgzip1.18.2-5"), (old, "pgzip1.15.10-5")):
        convert.convert(path, tmp_path / profile, to="oci", compress=profile)
        (layer,) = json.loads(row.raw)["layers"]
        assert (tmp_path / profile / "blobs" / layer["digest"].replace(":", "/")).stat().st_size == layer["size"]


@pytest.fixture
def annotated(tmp_path):
    """A layout of three layers, of which one is gzip; what is behind it was pushed by skopeo and podman."""
    zipped = squeezed(PLAIN)
    layers = []
    for number, data in enumerate((PLAIN, zipped)):
        described = {"digest": sha256(data), "size": len(data), "annotations": {"n": f"<{number}>"}, "foo": 1}
        # The media type of the second one is wrong.
        layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar", **described})
    layout = Layout(
        config=config(DIFF_ID, DIFF_ID),
        manifest={"layers": layers, "annotations": {"z": "<&>", "a": "1"}, "unknown": {}},
        config_changes={"annotations": {"c": "d"}, "unknown": 3},
        blobs={"blobs/" + sha256(zipped).replace(":", "/"): zipped},
    )
    path = tmp_path / "in.tar"
    path.write_bytes(layout.build())
    return path


def test_skopeo_compresses_what_is_uncompressed_and_keeps_the_rest(annotated):
    """Seen with skopeo 1.9.3 and 1.20: a compressed layer loses its annotations, a kept one gets the right type."""
    (row,) = pushed(annotated, "skopeo")
    document = json.loads(row.raw)
    assert list(document) == ["schemaVersion", "mediaType", "config", "layers", "annotations"]
    assert document["config"]["annotations"] == {"c": "d"}
    assert "unknown" not in document["config"]
    first, second = document["layers"]
    assert list(first) == ["mediaType", "digest", "size"]
    assert (second["digest"], second["annotations"]) == (sha256(squeezed(PLAIN)), {"n": "<1>"})
    assert {layer["mediaType"] for layer in document["layers"]} == {"application/vnd.oci.image.layer.v1.tar+gzip"}
    assert b'{"a":"1","z":"\\u003c\\u0026\\u003e"}}' in row.raw


def test_podman_and_buildah_compress_every_layer(annotated):
    document = json.loads(pushed(annotated, "podman")[0].raw)
    first, second = document["layers"]
    assert first == second
    assert document["annotations"] == {"a": "1", "z": "<&>"}
    assert pushed(annotated, "buildah")[0].raw == pushed(annotated, "podman")[0].raw


def test_a_layout_whose_layers_are_compressed_is_copied_byte_for_byte(tmp_path):
    packed = zstandard.ZstdCompressor().compress(PLAIN)
    path = tmp_path / "in.tar"
    path.write_bytes(
        Layout(layer=packed, layer_type="application/vnd.oci.image.layer.v1.tar+zstd", manifest={"odd": 1}).build()
    )
    (row,) = pushed(path, "skopeo")
    assert json.loads(row.raw)["odd"] == 1
    assert "odd" not in json.loads(pushed(path, "podman")[0].raw)


def hybrid(tmp_path, entries):
    """A tar with both manifest.json and index.json, whose index.json has a number of descriptors."""
    name = "blobs/" + DIFF_ID.replace(":", "/")
    item = {"Config": "blobs/" + sha256(dump(config())).replace(":", "/"), "RepoTags": ["a:1"], "Layers": [name]}
    layout = Layout()
    (entry,) = json.loads(layout.parts()["index.json"])["manifests"]
    path = tmp_path / "in.tar"
    path.write_bytes(Layout(index={"manifests": [entry] * entries}, extra=(("manifest.json", dump([item])),)).build())
    return path


@pytest.mark.parametrize(
    ("pusher", "entries", "listed"),
    [("podman", 1, False), ("podman", 2, True), ("skopeo", 1, True), ("buildah", 1, True)],
)
def test_which_of_two_lists_is_read(tmp_path, pusher, entries, listed):
    """Podman takes a tar for an OCI archive if that has one image; for the others the spelling decides."""
    path = hybrid(tmp_path, entries)
    docker = "application/vnd.docker.distribution.manifest.v2+json"
    assert (pushed(path, pusher)[0].media_type == docker) is listed
    assert pushed(f"docker-archive:{path}", pusher)[0].media_type == docker
    assert pushed(f"oci-archive:{path}", pusher)[0].media_type != docker


@pytest.mark.parametrize("pusher", FAMILY)
def test_a_condition_is_stated_once(tmp_path, pusher):
    report = convert.digest(MATCH / "docker20-html.tar.gz")
    texts = [str(warning) for warning in report.warnings if warning.code == "pusher-condition"]
    assert len([text for text in texts if "podman, skopeo and buildah" in text]) == 1
    assert pusher in {row.pusher.name for row in report.pushed}


@pytest.mark.parametrize("pusher", FAMILY)
def test_layers_with_urls_are_refused(tmp_path, pusher):
    path = tmp_path / "in.tar"
    path.write_bytes(Layout(layer_changes={"urls": ["https://example.com/layer"]}).build())
    with pytest.raises(UsageError) as caught:
        pushed(path, pusher)
    assert caught.value.code == "pusher-cannot-read"


@pytest.mark.parametrize(("pusher", "refuses"), [("podman", True), ("buildah", True), ("skopeo", False)])
def test_a_config_that_go_cannot_decode_is_refused(tmp_path, pusher, refuses):
    """Docker reads a string for Cmd; image-spec's struct, into which a loaded config is decoded, does not."""
    path = tmp_path / "in.tar"
    path.write_bytes(Docker(config=config(config={"Cmd": "sh"})).build())
    if not refuses:
        assert pushed(path, pusher)
        return
    with pytest.raises(UsageError) as caught:
        pushed(path, pusher)
    assert caught.value.code == "pusher-cannot-read"


def test_convert_writes_what_skopeo_pushes(tmp_path):
    source = MATCH / "docker20-html.tar.gz"
    convert.convert(source, tmp_path / "out", to="oci", pusher="skopeo")
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    rows = pushed(source, "skopeo")
    assert {item["digest"] for item in index["manifests"]} == {str(row.digest) for row in rows}
    for row in rows:
        for layer in json.loads(row.raw)["layers"]:
            data = (tmp_path / "out" / "blobs" / layer["digest"].replace(":", "/")).read_bytes()
            assert (sha256(data), len(data)) == (layer["digest"], layer["size"])
