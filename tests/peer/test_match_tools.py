"""`match` rebuilds, digest for digest, what real tools pushed or compressed, from uncompressed layers alone.

IMGCONV_SKOPEO, IMGCONV_PODMAN, IMGCONV_REGISTRY as in test_push_containers_image.py; pigz and GNU gzip from PATH.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "native"))
import recipes
from registry import Registry, Storage
from support import run, tar_of
from tools import call, found, sha256

from convert.codec.gzip import GoGzipEncoder

GZIP_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
#: Of several blocks, and long enough for sizes to be predicted.
STEPS = [
    ["tar", 3, 60],
    ["text", 1, 400000],
    ["noise", 2, 300000, 64],
    ["code", 5, 300000],
    ["edit", 1000000, 4000000, 700],
]


@pytest.fixture
def archive(tmp_path):
    """Return the name of an archive as `docker save` writes it, with a base layer and one above."""
    base = tar_of({"blob": recipes.make(STEPS)})
    layers = [base, tar_of({"etc/os-release": b"ID=test\n" * 200})]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
        }
    ).encode()
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    listed = [{"Config": "config.json", "RepoTags": ["base/test:1"], "Layers": names}]
    path = tmp_path / "saved.tar"
    members = {"config.json": config, **dict(zip(names, layers, strict=True))}
    path.write_bytes(tar_of({**members, "manifest.json": json.dumps(listed).encode()}))
    return path, config, layers


def check(archive, manifest, tmp_path, *encoders):
    """Rebuild an image; every blob that the manifest lists has its digest, and these encoders were found."""
    (tmp_path / "manifest.json").write_bytes(manifest)
    done = run("match", archive, tmp_path / "manifest.json", "--to", "oci", tmp_path / "layout", "--json")
    assert done.returncode == 0, done.stderr
    blobs = tmp_path / "layout" / "blobs" / "sha256"
    document = json.loads(manifest)
    for part in (document["config"], *document["layers"], {"digest": sha256(manifest), "size": len(manifest)}):
        raw = (blobs / part["digest"].removeprefix("sha256:")).read_bytes()
        assert (f"sha256:{hashlib.sha256(raw).hexdigest()}", len(raw)) == (part["digest"], part["size"])
    found = json.loads(done.stdout)["layers"]
    assert [layer["encoder"] for layer in found] == list(encoders)
    # Of more than a hundred encoders only those that are near were tried.
    assert max(layer["tried"] for layer in found) <= 12


def manifest_of(config, layers):
    def part(media_type, data):
        return {"mediaType": media_type, "size": len(data), "digest": sha256(data)}

    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": part("application/vnd.docker.container.image.v1+json", config),
            "layers": [part(GZIP_LAYER, data) for data in layers],
        }
    ).encode()


def go6(layer):
    encoder = GoGzipEncoder("go1.26", 6)
    return encoder.write(layer) + encoder.finish()


def test_a_base_of_pigz_as_debian_makes_it_is_rebuilt(archive, tmp_path):
    binary = shutil.which("pigz") or pytest.skip("pigz is not installed")
    path, config, (base, upper) = archive
    (tmp_path / "rootfs.tar").write_bytes(base)
    call(binary, "--processes", "2", "--best", "--no-time", "rootfs.tar", cwd=tmp_path)
    packed = (tmp_path / "rootfs.tar.gz").read_bytes()
    assert gzip.decompress(packed) == base
    check(path, manifest_of(config, [packed, go6(upper)]), tmp_path, "pigz-9", "go1.26-6")


@pytest.mark.slow
def test_a_base_of_gzip_as_ubuntu_makes_it_is_rebuilt(archive, tmp_path):
    binary = shutil.which("gzip") or pytest.skip("gzip is not installed")
    path, config, (base, upper) = archive
    done = subprocess.run([binary, "-9", "--rsyncable"], input=base, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this gzip has no --rsyncable")
    check(path, manifest_of(config, [done.stdout, go6(upper)]), tmp_path, "gzip-9-rsyncable", "go1.26-6")


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path / "registry")
    yield registry
    registry.stop()


def test_what_skopeo_pushed_is_rebuilt(archive, registry, tmp_path):
    binary = found("skopeo")[0] or pytest.skip("skopeo is not installed (IMGCONV_SKOPEO names it)")
    call(binary, "copy", "--dest-tls-verify=false", f"docker-archive:{archive[0]}", f"docker://{registry.host}/m:1")
    check(archive[0], registry.manifest("m")[0], tmp_path, "pgzip1.15.10-5", "pgzip1.15.10-5")


@pytest.mark.slow
def test_what_podman_pushed_is_rebuilt(archive, registry, tmp_path):
    binary = found("podman")[0] or pytest.skip("podman is not installed (IMGCONV_PODMAN names it)")
    with Storage() as storage:
        storage(binary, "load", "--input", archive[0])
        storage.push(binary, registry, next(iter(storage.image_ids(binary))), "m")
    check(archive[0], registry.manifest("m")[0], tmp_path, "pgzip1.15.10-5", "pgzip1.15.10-5")
