"""skopeo and podman read the `dir:` folders that imgconv writes, and imgconv reads theirs."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import dir_folders
import fixtures
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from support import MATCH, READ, run
from tools import call, each, sha256

import convert

#: Archives with one entry, an index of several platforms, Docker's and OCI's types, zstd layers.
SOURCES = [
    *(MATCH / f"{name}.tar.gz" for name in ("docker20-html", "containerd29-export", "podman-oci-archive")),
    *(READ / f"{name}.tar.gz" for name in ("oci-sylabs-many-layers", "oci-zstd-layers", "kaniko-busybox")),
]


def files(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def images(source):
    done = run("id", source, "--json")
    return {(each["image_id"], each["manifest_digest"]) for each in json.loads(done.stdout)["images"]}


@each("skopeo")
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_skopeo_copies_the_same_folder_from_a_layout(tmp_path, skopeo, source):
    """Both write one layout as a `dir:` folder: not a byte differs."""
    layout = tmp_path / "layout"
    found = json.loads(run("id", source, "--json").stdout)["images"][0]
    convert.convert(source, layout, to="oci", images=[(found["names"] or [found["image_id"]])[0]])
    convert.convert(layout, tmp_path / "ours", to="dir")
    policy = (skopeo, "--insecure-policy", "copy", "--quiet", "--all")
    call(*policy, f"oci:{layout}", f"dir:{tmp_path / 'theirs'}")
    assert files(tmp_path / "ours") == files(tmp_path / "theirs")
    assert images(tmp_path / "theirs") == images(layout)


@each("skopeo")
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_skopeo_reads_what_imgconv_writes(tmp_path, skopeo, source):
    first = json.loads(run("id", source, "--json").stdout)["images"][0]["image_id"]
    convert.convert(source, tmp_path / "dir", to="dir", images=[first])
    manifests = dir_folders.check(tmp_path / "dir")
    call(skopeo, "--insecure-policy", "copy", "--quiet", "--all", f"dir:{tmp_path / 'dir'}", f"dir:{tmp_path / 'copy'}")
    assert files(tmp_path / "copy") == files(tmp_path / "dir")
    raw = call(skopeo, "inspect", "--raw", f"dir:{tmp_path / 'dir'}")
    assert sha256(raw.encode())[7:] in manifests
    # Back into a layout: skopeo and imgconv write the same blobs, where skopeo converts nothing.
    if "docker.distribution" not in raw:
        call(
            skopeo, "--insecure-policy", "copy", "--quiet", "--all", f"dir:{tmp_path / 'dir'}", f"oci:{tmp_path / 'a'}"
        )
        convert.convert(tmp_path / "dir", tmp_path / "b", to="oci")
        assert files(tmp_path / "a" / "blobs" / "sha256") == files(tmp_path / "b" / "blobs" / "sha256")


@each("skopeo")
@pytest.mark.parametrize("name", ["images/oci-sylabs-manifest-list", "images/oci-skopeo-busybox-1.31.1.tar"])
def test_an_index_with_all_its_platforms(tmp_path, skopeo, name):
    source = fixtures.get(name)
    transport = "oci" if source.is_dir() else "oci-archive"
    call(skopeo, "--insecure-policy", "copy", "--quiet", "--all", f"{transport}:{source}", f"dir:{tmp_path / 'dir'}")
    assert images(tmp_path / "dir") == images(source)
    convert.convert(source, tmp_path / "ours", to="dir")
    assert files(tmp_path / "ours") == files(tmp_path / "dir")


@pytest.fixture
def podman_run(request, tmp_path):
    """Run podman with a store of its own."""
    store = Path(tempfile.mkdtemp(prefix="pm-"))

    def podman(program, *arguments):
        own = ("--root", store / "r", "--runroot", store / "rr", "--storage-driver", "vfs")
        return call(program, *own, *arguments)

    yield podman
    import shutil

    shutil.rmtree(store, ignore_errors=True)


@each("podman")
@pytest.mark.parametrize("form", ["docker-dir", "oci-dir"])
def test_podman_saves_folders_that_imgconv_reads(tmp_path, podman, podman_run, form):
    source = tmp_path / "image.tar"
    convert.convert(MATCH / "docker20-html.tar.gz", source, to="docker-save", images=["fmt-html:1"])
    podman_run(podman, "load", "--quiet", "--input", source)
    image_id = "sha256:" + podman_run(podman, "images", "--quiet", "--no-trunc").strip().removeprefix("sha256:")
    name = podman_run(podman, "images", "--format", "{{.Repository}}:{{.Tag}}").strip()
    podman_run(podman, "save", "--quiet", "--format", form, "--output", tmp_path / "saved", name)
    with convert.open(tmp_path / "saved") as archive:
        assert archive.format == ("dir" if form == "docker-dir" else "oci")
    # podman 4.3 writes layers uncompressed and calls them gzip.
    assert {finding.rule for finding in convert.validate(tmp_path / "saved").findings} <= {"layer-type"}
    if form == "docker-dir":  # as OCI, podman writes another config
        assert {pair[0] for pair in images(tmp_path / "saved")} == {image_id}
    convert.convert(tmp_path / "saved", tmp_path / "back", to="dir")
    dir_folders.check(tmp_path / "back")


@each("podman")
@pytest.mark.parametrize("manifest_type", ["oci", "docker"])
def test_podman_loads_what_imgconv_writes(tmp_path, podman, podman_run, manifest_type):
    source = MATCH / "docker20-html.tar.gz"
    convert.convert(source, tmp_path / "dir", to="dir", images=["fmt-html:1"], manifest_type=manifest_type)
    podman_run(podman, "load", "--quiet", "--input", tmp_path / "dir")
    found = podman_run(podman, "images", "--quiet", "--no-trunc").strip().removeprefix("sha256:")
    assert {pair[0] for pair in images(tmp_path / "dir")} == {"sha256:" + found}
