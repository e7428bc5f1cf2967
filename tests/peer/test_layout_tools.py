"""skopeo, umoci, podman and crane take what imgconv writes, and find the same images in it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from oracle.reading import check
from support import FORMATS, MATCH
from tools import call, each, sha256

import convert

DOCKER = ["docker-save", "docker-save@25", "docker-save@29", "docker-oci", "crane"]
#: One image with several names; seven images; podman's, containerd's and crane's own.
SOURCES = [
    "docker20-html",
    "docker20-duplayer",
    "docker20-multi",
    "docker29-hybrid-html",
    "containerd29-export",
    "crane-tarball",
    "podman-docker-archive",
    "legacy-repositories-only",
]
#: containers/image 5.x cannot follow a layer.tar that is a symlink into another image's folder; the engine's own
#: archives of these images fail as well.
LINKED = {("docker20-multi", "docker-save"), ("legacy-repositories-only", "docker-save")}


@pytest.fixture(params=SOURCES)
def made(request, tmp_path):
    """Return what writes a source in a format: path, and the images in it."""

    def write(form, **options):
        out = tmp_path / f"out-{form}"
        convert.convert(str(MATCH / f"{request.param}.tar.gz"), out, to=form, **options)
        return out, check(out, form)

    write.source = request.param
    return write


def copied(skopeo, source, folder):
    """Copy to skopeo's own `dir:` form, which keeps every byte; return the manifest's and config's digest."""
    call(skopeo, "--insecure-policy", "copy", "--quiet", "--all", source, f"dir:{folder}")
    manifest = (folder / "manifest.json").read_bytes()
    return sha256(manifest), json.loads(manifest)["config"]["digest"]


@each("skopeo")
@pytest.mark.parametrize("form", ["oci", "oci-archive"])
def test_skopeo_copies_every_name_of_a_layout_unchanged(made, tmp_path, skopeo, form):
    out, images = made(form)
    entries = json.loads((made("oci")[0] if form != "oci" else out).joinpath("index.json").read_bytes())["manifests"]
    by_digest = {image.manifest: image for image in images}
    for number, entry in enumerate(entries):
        name = entry["annotations"]["org.opencontainers.image.ref.name"]
        digest, config = copied(skopeo, f"{form}:{out}:{name}", tmp_path / f"dir{number}")
        assert (digest, config) == (entry["digest"], by_digest[entry["digest"]].image_id)


@each("skopeo")
def test_skopeo_finds_after_append_what_it_found_before(tmp_path, skopeo):
    out = tmp_path / "out"
    convert.convert(str(MATCH / "docker20-html.tar.gz"), out, to="oci")
    addresses = {}
    for source in ("docker20-html", "docker20-multi"):
        convert.convert(str(MATCH / f"{source}.tar.gz"), out, to="oci", append=True)
        for entry in json.loads((out / "index.json").read_bytes())["manifests"]:
            addresses.setdefault(entry["annotations"]["org.opencontainers.image.ref.name"], entry["digest"])
    assert len(addresses) == 9
    for name, digest in addresses.items():
        assert sha256(call(skopeo, "inspect", "--raw", f"oci:{out}:{name}").encode()) == digest


REF_NAMES = [
    "1",
    "v1.0--rc.1",
    "docker.io/library/a:1",
    "a_b@c+d",
    f"a@sha256:{'0' * 64}",
    f"@sha256:{'0' * 64}",
    "v1_",
    "_v1",
    "a__b",
    "a---b",
    "a//b",
    "a b",
    "ä",
]


@each("skopeo")
@pytest.mark.parametrize("form", ["oci", "oci-archive"])
def test_skopeo_takes_the_ref_names_that_are_reported_as_addresses_and_refuses_the_others(tmp_path, skopeo, form):
    source, out = tmp_path / "source", tmp_path / "out"
    convert.convert(str(MATCH / "docker20-multi.tar.gz"), source, to="oci")
    index = json.loads((source / "index.json").read_bytes())
    first, second = index["manifests"][:2]
    accepted = 0
    for name in REF_NAMES:
        named = [
            {**first, "annotations": {"org.opencontainers.image.ref.name": name}},
            {**second, "annotations": {"org.opencontainers.image.ref.name": "_"}},
        ]
        (source / "index.json").write_text(json.dumps({**index, "manifests": named}))
        warnings = []
        convert.convert(source, out, to=form, warn=warnings.append, force=True)
        reported = f"use {form}:{out}:" in "".join(map(str, warnings))
        done = subprocess.run(
            [skopeo, "inspect", "--raw", f"{form}:{out}:{name}"], capture_output=True, check=False, timeout=60
        )
        assert (name, reported) == (name, done.returncode == 0)
        accepted += reported
    assert accepted == 5


@each("skopeo")
@pytest.mark.parametrize("form", DOCKER)
def test_skopeo_reads_every_name_of_a_docker_archive(made, tmp_path, skopeo, form):
    if (made.source, form) in LINKED:
        pytest.skip("containers/image does not follow symlinks between images, the engine's own neither")
    out, images = made(form)
    for image in images:
        for number, name in enumerate(image.names):
            folder = tmp_path / f"{image.image_id[7:19]}-{number}"
            assert copied(skopeo, f"docker-archive:{out}:{name}", folder)[1] == image.image_id


@each("umoci")
def test_umoci_unpacks_every_image(made, tmp_path, umoci):
    """It takes OCI's media types alone, and finds images by a tag without `/` and `:`."""
    out, images = made("oci", recompress=True, manifest_type="oci")
    index = json.loads((out / "index.json").read_bytes())
    for number, image in enumerate(images):
        entry = next(each for each in index["manifests"] if each["digest"] == image.manifest)
        tag = f"t{number}"
        (out / "index.json").write_text(
            json.dumps({**index, "manifests": [{**entry, "annotations": {"org.opencontainers.image.ref.name": tag}}]})
        )
        call(umoci, "stat", "--json", "--image", f"{out}:{tag}")
        # Not `unpack`: that wants a config that can run, with users of the root file system.
        call(umoci, "raw", "unpack", "--rootless", "--image", f"{out}:{tag}", tmp_path / f"root{number}")


@each("podman")
@pytest.mark.parametrize("form", [*DOCKER, "oci-archive"])
def test_podman_loads_every_image(made, tmp_path, podman, form):
    out, images = made(form)
    if form == "oci-archive":
        if len(images) > 1:
            pytest.skip("podman load takes one image of an OCI archive")
        out, images = made(form, tags=["peer:1"], force=True)  # and one name
    short = tempfile.mkdtemp(prefix="p", dir="/tmp")  # podman takes no more than 50 characters
    place = ["--root", tmp_path / "root", "--runroot", short, "--storage-driver", "vfs"]
    try:
        call(podman, *place, "load", "--quiet", "--input", out)
        ids = set(call(podman, *place, "images", "--all", "--no-trunc", "--format", "{{.ID}}").split())
        assert {image.image_id for image in images} <= ids
    finally:
        call(podman, *place, "image", "rm", "--all", "--force")
        shutil.rmtree(short, ignore_errors=True)


@each("crane")
@pytest.mark.parametrize("form", DOCKER)
def test_crane_validates_and_digests_tarballs(made, crane, form):
    out, images = made(form)
    if len(images) > 1:
        pytest.skip("the crane command takes tarballs of one image")
    call(crane, "validate", "--tarball", out)
    assert call(crane, "digest", "--tarball", out).startswith("sha256:")


def test_every_format_has_a_peer_here():
    assert {*DOCKER, "oci", "oci-archive"} == set(FORMATS)
