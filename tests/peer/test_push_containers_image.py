"""What real skopeo, podman and buildah push of an archive is what `digest` computes, byte for byte.

IMGCONV_SKOPEO, IMGCONV_PODMAN, IMGCONV_BUILDAH: tools built with klauspost/compress 1.15.10 to 1.18.0, as those of
Debian 12 and 13 on PATH are. IMGCONV_SKOPEO_NEW: a skopeo with 1.18.2 or later. IMGCONV_REGISTRY: docker-registry.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "native"))
import fixtures
import recipes
from registry import Registry, Storage
from support import MATCH
from tools import call, found

import convert
from convert.identity.push import pushers
from convert.identity.push.pushers import Pusher

#: Archives with a manifest.json, and those with an index.json too: 20 and more together with the published ones.
ARCHIVES = sorted(path.name.removesuffix(".tar.gz") for path in MATCH.glob("*.tar.gz"))
QUICK = ["docker20-html", "podman-oci-archive"]
PUBLISHED = [
    "images/docker-save-dive-14-layers.tar",
    "images/docker-save-alpine-3.11.tar.gz",
    "images/docker-save-busybox-jib.tar",
    "images/docker-save-java-uberjar.tar",
    "images/docker-save-pause-2.0.tar",
    "images/docker-save-three-images-links.tar",
    "images/docker-save-two-images.tar.gz",
    "images/docker25-busybox-armv7.tar",
    "images/kaniko-49-layers.tar",
    "images/bazel-small-linux.tar",
    "images/jib-busybox-lowercase-keys.tar",
    "images/podman-test-info.tar",
    "images/skopeo-busybox.tar",
    "images/containerd-alpine-3.14.tar",
    "images/containerd-busybox-attestation.tar",
    "images/oci-skopeo-busybox-1.31.1.tar",
    "images/oci-gzip-layers.tar",
    "images/oci-zstd-layers.tar",
]
SKOPEO = [("skopeo", found("skopeo")[0]), ("skopeo@main", os.environ.get("IMGCONV_SKOPEO_NEW"))]


SOURCES = [
    *(
        pytest.param(MATCH / f"{name}.tar.gz", id=name, marks=() if name in QUICK else pytest.mark.slow)
        for name in ARCHIVES
    ),
    *(pytest.param(name, id=Path(name).name, marks=pytest.mark.slow) for name in PUBLISHED),
]


@pytest.fixture
def new_registry(tmp_path):
    """Start a registry without a layer: these tools push a copy of a layer that they know to be there instead."""
    started = []

    def start():
        started.append(Registry(tmp_path / f"registry{len(started)}"))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def registry(new_registry):
    return new_registry()


@pytest.fixture(autouse=True)
def newer_skopeo(monkeypatch):
    """Name the skopeo that is not released yet: it reads as skopeo does and compresses as podman 6."""
    newer = Pusher("skopeo@main", pushers.SKOPEO, "", pushers.get("podman@6").profile, versions="main")
    monkeypatch.setattr(pushers, "PUSHERS", (*pushers.PUSHERS, newer))


@pytest.fixture
def archive(request, tmp_path):
    """Return a source as a plain tar."""
    path = request.param if isinstance(request.param, Path) else fixtures.get(request.param)
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    if not packed:
        return path
    plain = tmp_path / "in.tar"
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    return plain


def images_in(archive):
    """Yield each image of a tar as skopeo spells it: by its number, or its name in index.json."""
    with tarfile.open(archive) as members:
        found = {member.name.removeprefix("./"): member for member in members}
        if "manifest.json" in found:
            for number in range(len(json.load(members.extractfile(found["manifest.json"])))):
                yield f"docker-archive:{archive}:@{number}"
        if "index.json" in found:
            entries = json.load(members.extractfile(found["index.json"]))["manifests"]
            names = [entry.get("annotations", {}).get("org.opencontainers.image.ref.name") for entry in entries]
            for name in [None] if len(names) == 1 else dict.fromkeys(filter(None, names)):
                yield f"oci-archive:{archive}" + (f":{name}" if name else "")


def _names_an_index(archive):
    with tarfile.open(archive) as members:
        member = next((one for one in members if one.name.removeprefix("./") == "index.json"), None)
        return member is not None and any(
            "index" in entry["mediaType"] or "list" in entry["mediaType"]
            for entry in json.load(members.extractfile(member))["manifests"]
        )


def computed(source, pusher):
    """Return the images that `digest` shows, empty if it refuses the source."""
    try:
        return convert.digest(source, pushers=[pusher]).pushed
    except convert.ImgconvError:
        return []


@pytest.mark.parametrize(("pusher", "binary"), SKOPEO, ids=[pusher for pusher, _ in SKOPEO])
@pytest.mark.parametrize("archive", SOURCES, indirect=True)
def test_skopeo_copies_what_is_computed(archive, new_registry, pusher, binary):
    if binary is None:
        pytest.skip("there is no skopeo of this generation (IMGCONV_SKOPEO, IMGCONV_SKOPEO_NEW)")
    compared = 0
    for source in images_in(archive):
        for row in computed(source, pusher):
            platform = row.node.platform
            override = [f"--override-os={platform.os}", f"--override-arch={platform.architecture}"]
            override += [f"--override-variant={platform.variant}"] if platform.variant else []
            registry = new_registry()
            try:
                call(
                    *(binary, *override, "copy", "--dest-tls-verify=false", source),
                    f"docker://{registry.host}/image:1",
                )
            except AssertionError as error:
                # Older releases look a name up among OCI manifests only.
                if "no descriptor found" in str(error):
                    continue
                raise
            assert registry.manifest("image") == (row.raw, row.media_type)
            compared += 1
    if not compared:
        pytest.skip("nothing here that both can read")


@pytest.mark.parametrize(("pusher", "name"), [("podman", "podman"), ("buildah", "buildah")])
@pytest.mark.parametrize("archive", SOURCES, indirect=True)
def test_podman_and_buildah_push_what_is_computed(archive, new_registry, pusher, name):
    binary = found(name)[0] or pytest.skip(f"{name} is not installed (IMGCONV_{name.upper()} names it)")
    try:
        rows = convert.digest(archive, pushers=[pusher]).pushed
    except convert.ImgconvError as error:
        pytest.skip(f"imgconv does not compute it: {error}")
    if name == "podman" and _names_an_index(archive):
        pytest.skip("of an index podman loads the image for this machine only")
    expected = {}
    for row in rows:
        expected.setdefault(str(row.node.image_id).removeprefix("sha256:"), (row.raw, row.media_type))
    compared = 0
    with Storage() as storage:
        for source in images_in(archive) if name == "buildah" else [None]:
            if source is None:
                storage(binary, "load", "--input", archive)
            elif source.startswith("docker-archive"):
                storage(binary, "pull", "--quiet", source)
        for image_id in storage.image_ids(binary) & set(expected):
            registry = new_registry()
            storage.push(binary, registry, image_id, "image")
            assert registry.manifest("image") == expected[image_id]
            compared += 1
    if not compared:
        pytest.skip(f"{name} loads none of these images")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Return an archive whose only layer is a tar of 400 MB."""
    steps = (
        ["tar", 3, 60],
        ["text", 1, 900000],
        ["noise", 2, 400000, 64],
        ["code", 5, 900000],
        ["noise", 7, 300000, 256],
    )
    part = recipes.make(steps)
    folder = tmp_path_factory.mktemp("large")
    layer = folder / "layer.tar"
    with tarfile.open(layer, "w") as members:
        # What is further back than 32 KiB is not seen by an encoder: the parts begin at other places of its blocks.
        for number in range(400_000_000 // len(part)):
            member = tarfile.TarInfo(f"file-{number}")
            data = part[number * 4099 % len(part) :] + part[: number * 4099 % len(part)]
            member.size = len(data)
            members.addfile(member, io.BytesIO(data))
    with layer.open("rb") as stream:
        diff_id = "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    listed = [{"Config": "config.json", "RepoTags": ["large:1"], "Layers": ["layer.tar"]}]
    path = folder / "large.tar"
    with tarfile.open(path, "w") as members:
        members.add(layer, "layer.tar")
        for name, document in (("config.json", config), ("manifest.json", listed)):
            data = json.dumps(document).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            members.addfile(member, io.BytesIO(data))
    layer.unlink()
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["skopeo", "podman", "buildah"])
def test_a_layer_of_400_mb_is_pushed_as_computed(large, registry, name):
    binary = found(name)[0] or pytest.skip(f"{name} is not installed (IMGCONV_{name.upper()} names it)")
    (row,) = convert.digest(large, pushers=[name]).pushed
    if name == "skopeo":
        call(binary, "copy", "--dest-tls-verify=false", f"docker-archive:{large}", f"docker://{registry.host}/large:1")
    else:
        with Storage() as storage:
            storage(binary, *(["load", "--input"] if name == "podman" else ["pull", "--quiet"]), _source(large, name))
            storage.push(binary, registry, next(iter(storage.image_ids(binary))), "large")
    assert registry.manifest("large") == (row.raw, row.media_type)


def _source(path, name):
    return path if name == "podman" else f"docker-archive:{path}"
