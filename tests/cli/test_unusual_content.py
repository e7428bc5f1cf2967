"""Images and entries that imgconv carries without unpacking them, and what other tools refuse."""

from __future__ import annotations

import json

import pytest
from layouts import GZIP, Layout, digest_of, dumps, named, packed, piped, tar_of
from oracle.reading import files_of
from support import FORMATS, run

MANIFESTS = ["docker-oci", "oci", "oci-archive"]
BARE = [form for form in FORMATS if form not in MANIFESTS]
NAME = "example.com/app:1"
WASM = "application/vnd.wasm.content.layer.v1+wasm"
ENCRYPTED = GZIP + "+encrypted"


def opaque(folder, kind, *, with_image=False):
    """Write an image whose layers are of a type that is not unpacked; the DiffIDs are those of its creator."""
    layout = Layout(folder)
    data = b"\0asm\1\0\0\0" if kind == WASM else b"neither gzip nor tar"
    layers = [layout.blob(data, kind)] * (2 if kind == "application/x-count" else 1)
    os = "wasip1" if kind == WASM else "linux"
    config = layout.config([digest_of(b"plain")], os=os)
    manifest = layout.manifest(layers, [], config=config, described={"platform": {"os": os, "architecture": "amd64"}})
    if with_image:
        manifest = layout.index(
            layout.image("a", described={"platform": {"os": "linux", "architecture": "amd64"}}), manifest
        )
    return layout.write(named(manifest, NAME)), config["digest"], manifest["digest"]


@pytest.mark.parametrize("kind", [WASM, ENCRYPTED, "application/x-count"])
@pytest.mark.parametrize("form", FORMATS)
def test_layers_that_cannot_be_unpacked(imgconv, tmp_path, form, kind):
    source, image_id, manifest = opaque(tmp_path / "in", kind)
    assert imgconv("id", source).out == f"{image_id}  {NAME}\n"
    assert imgconv("id", source, NAME).out == f"{image_id}\n"
    out = tmp_path / "out"
    done = imgconv(source, "--to", form, out)
    assert kind in done.err
    if form in BARE:
        assert (done.status, done.out) == (2, "")
        assert done.err.count("\n") == 1
        assert not out.exists()
        return
    assert (done.status, done.out) == (0, f"{NAME}  {image_id}  {manifest}\n")
    before = {name for name in files_of(source) if name.startswith("blobs/")}
    assert {name for name in files_of(out) if name.startswith("blobs/")} == before
    assert imgconv("id", out).out == f"{image_id}  {NAME}\n"
    assert imgconv("validate", out).out == ""
    assert imgconv("inspect", out, "--verify").status == 0
    for selector in (image_id, manifest, image_id.removeprefix("sha256:")[:12], NAME):
        again = tmp_path / f"again-{selector.replace('/', '_')}"
        done = imgconv(out, "--image", selector, "--to", form, again, "--recompress", "--verify", "full")
        assert (done.status, done.out) == (0, f"{NAME}  {image_id}  {manifest}\n")
    document = json.loads(imgconv("inspect", out, "--json").out)
    assert [each["image_id"] for each in document["artifacts"]] == [image_id]


def test_layers_that_cannot_be_unpacked_from_a_pipe(tmp_path):
    source, image_id, _ = opaque(tmp_path / "in", WASM)
    assert run("-", "--to", "docker-save", tmp_path / "a", input=piped(source)).returncode == 2
    done = run("-", "--to", "docker-oci", tmp_path / "b", input=piped(source))
    assert image_id.encode() in done.stdout


@pytest.mark.parametrize("form", FORMATS)
def test_a_platform_that_cannot_be_unpacked_is_one_like_others(imgconv, tmp_path, form):
    source, image_id, _ = opaque(tmp_path / "in", WASM, with_image=True)
    done = imgconv(source, "--to", form, tmp_path / "all")
    assert done.status == (2 if form in BARE else 0)
    if form in BARE:
        assert "linux/amd64, wasip1/amd64" in done.err
    assert imgconv(source, "--platform", "linux/amd64", "--to", form, tmp_path / "one").status == 0
    done = imgconv(source, "--platform", "wasip1/amd64", "--to", form, tmp_path / "two")
    assert done.status == (2 if form in BARE else 0)
    assert WASM in done.err
    assert (image_id in done.out) is (form in MANIFESTS)


def test_signatures_and_attestations_are_no_images(imgconv, tmp_path):
    """They have an image config that names no platform."""
    layout = Layout(tmp_path / "in")
    entries = [named(layout.image("a"), NAME)]
    for platform in ({"os": "", "architecture": ""}, {"os": "unknown", "architecture": "unknown"}):
        blob = layout.blob(dumps(platform), "application/vnd.in-toto+json")
        entries.append(layout.manifest([blob], [], config=layout.config([blob["digest"]], **platform)))
    assert len(imgconv("id", layout.write(*entries)).out.splitlines()) == 1


# -- warnings -----------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("missing", [("os",), ("architecture",), ("os", "architecture")], ids=" ".join)
def test_a_config_that_oci_does_not_allow_is_reported(imgconv, tmp_path, form, missing):
    """Its bytes are the image ID, so it stays as it is."""
    folder = tmp_path / "in"
    folder.mkdir()
    layer = tar_of("a")
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]}}
    raw = dumps({key: value for key, value in config.items() if key not in missing})
    (folder / "config.json").write_bytes(raw)
    (folder / "layer.tar").write_bytes(layer)
    item = {"Config": "config.json", "RepoTags": [NAME], "Layers": ["layer.tar"]}
    (folder / "manifest.json").write_bytes(dumps([item]))
    done = imgconv(folder, "--to", form, tmp_path / "out")
    assert done.status == 0, done.err
    lines = [line for line in done.err.splitlines() if digest_of(raw) in line and "not a valid OCI image" in line]
    assert len(lines) == (1 if form in MANIFESTS else 0)
    for line in lines:
        assert [name in line for name in missing] == [True] * len(missing)
    if form in MANIFESTS:
        done = imgconv(folder, "--to", form, tmp_path / "docker", "--manifest-type", "docker")
        assert "not a valid OCI image" not in done.err


@pytest.mark.parametrize("count", [125, 126, 127])
def test_more_layers_than_docker_loads(imgconv, tmp_path, count):
    layout = Layout(tmp_path / "in")
    source = layout.write(named(layout.image(*map(str, range(count))), NAME))
    for form in FORMATS:
        done = imgconv(source, "--to", form, tmp_path / form)
        assert done.status == 0
        lines = [line for line in done.err.splitlines() if "max depth exceeded" in line]
        assert len(lines) == (1 if count > 125 and form not in {"oci", "oci-archive"} else 0)
        for line in lines:
            assert str(count) in line
            assert "125" in line


# -- entries of unknown media types -------------------------------------------------


@pytest.mark.parametrize("nested", [False, True], ids=["top", "nested"])
@pytest.mark.parametrize("form", ["oci", "oci-archive"])
def test_what_an_entry_of_unknown_type_names_is_kept(imgconv, tmp_path, form, nested):
    layout = Layout(tmp_path / "in")
    manifest = {"schemaVersion": 2, "config": layout.blob(b"{}", "application/x-config")}
    manifest["layers"] = [
        layout.blob(b"data", "application/x-data"),
        layout.blob(b"gone", "application/x", present=False),
    ]
    artifact = layout.document({"blobs": [layout.blob(b"old", "application/x-blob")]}, "application/x-artifact")
    child = layout.document(manifest, "application/x-manifest")
    index = {"schemaVersion": 2, "manifests": [child, layout.image("inside"), artifact]}
    unknown = layout.document(index, "application/x-index")
    entries = [named(layout.image("a"), NAME), layout.index(unknown) if nested else unknown]
    source = layout.write(*entries)
    done = imgconv(source, "--to", form, tmp_path / "out", "--json")
    assert done.status == 0, done.err
    assert done.json["dropped"] == []
    blobs = {name: data for name, data in files_of(source).items() if name.startswith("blobs/")}
    assert {name: data for name, data in files_of(tmp_path / "out").items() if name.startswith("blobs/")} == blobs


@pytest.mark.parametrize(
    "data", [b"\x1f\x8b\x08", b"[]", b"{", b'{"a":1}', b'{"manifests":[{"digest":"x"}]}', b'{"layers":7}'], ids=repr
)
def test_an_entry_that_is_not_understood_is_reported(imgconv, tmp_path, data):
    layout = Layout(tmp_path / "in")
    unknown = layout.blob(data, "application/x-unknown")
    source = layout.write(named(layout.image("a"), NAME), unknown)
    done = imgconv(source, "--to", "oci", tmp_path / "out", "--json")
    assert done.status == 0, done.err
    assert [(entry["what"], entry["of"]) for entry in done.json["dropped"]] == [("artifact", unknown["digest"])]
    assert done.err.count(unknown["digest"]) == 1
    assert f"blobs/{unknown['digest'].replace(':', '/')}" in files_of(tmp_path / "out")


def test_blobs_of_an_unknown_entry_are_verified(imgconv, tmp_path):
    layout = Layout(tmp_path / "in")
    part = layout.blob(b"data", "application/x-data")
    unknown = layout.document({"layers": [part]}, "application/x-manifest")
    source = layout.write(named(layout.image("a"), NAME), unknown)
    layout.path(part).write_bytes(b"lies")
    assert imgconv(source, "--to", "oci", tmp_path / "out").status == 3


def test_an_unknown_entry_that_names_itself_through_others_ends(imgconv, tmp_path):
    """Digests make real loops impossible; a long chain is cut."""
    layout = Layout(tmp_path / "in")
    entry = layout.blob(packed(b"end"), "application/x-end")
    for _ in range(30):
        entry = layout.document({"manifests": [entry]}, "application/x-index")
    source = layout.write(named(layout.image("a"), NAME), entry)
    done = imgconv(source, "--to", "oci", tmp_path / "out")
    assert done.status == 0
    assert done.err.count(entry["digest"]) == 1
