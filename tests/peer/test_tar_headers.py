"""Archives with odd headers: what imgconv accepts, docker, skopeo and crane take for the same image.

Each tool may refuse an archive; one that accepts it must find the same image and the
same layers as imgconv. IMGCONV_TAR_HEADERS is `COUNT` or `FIRST-LAST`: which archives of
the generator are compared (default: 60).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tar_headers
from tools import each, engine  # noqa: F401 - a fixture

from convert.cli.main import run


def seeds():
    first, _, last = os.environ.get("IMGCONV_TAR_HEADERS", "60").rpartition("-")
    return range(int(first or 0), int(last))


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def plain(data):
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def called(*arguments, **environment):
    """Return what a tool printed, None if it refused."""
    done = subprocess.run(
        [str(one) for one in arguments],
        capture_output=True,
        check=False,
        timeout=300,
        env={**os.environ, "TZ": "UTC", **environment},
    )
    return done.stdout.decode() if done.returncode == 0 else None


def image_in_layout(folder):
    """Return image ID and DiffIDs of the one image in a layout folder, read without imgconv."""

    def blob(digest):
        return (folder / "blobs" / digest.replace(":", "/")).read_bytes()

    (digest,) = {entry["digest"] for entry in json.loads((folder / "index.json").read_text())["manifests"]}
    manifest = json.loads(blob(digest))
    assert sha256(blob(manifest["config"]["digest"])) == manifest["config"]["digest"]
    return manifest["config"]["digest"], [sha256(plain(blob(layer["digest"]))) for layer in manifest["layers"]]


def converted(path, folder):
    """Return what imgconv makes of an archive: image ID and DiffIDs; None if it refuses."""
    status = run([str(path), "--to", "oci", str(folder), "--jobs", "1"])
    assert status in {0, 2, 3}
    return None if status else image_in_layout(folder)


def accepted(tmp_path, kinds):
    """Yield seed, kind, path and image of each archive that imgconv accepts."""
    for seed in seeds():
        kind, data = tar_headers.made(seed)
        path = tmp_path / f"{seed}.tar"
        path.write_bytes(data)
        image = converted(path, tmp_path / f"{seed}.oci") if kind in kinds else None
        if image is not None:
            yield seed, kind, path, image
        path.unlink()


def test_archives_are_the_same_for_the_same_seed_and_of_both_sorts(tmp_path, capsys):
    """The generator is worth something only if imgconv accepts many and refuses many."""
    assert [tar_headers.made(seed) for seed in range(20)] == [tar_headers.made(seed) for seed in range(20)]
    found = {"docker": [], "oci": []}
    for seed in range(80):
        kind, data = tar_headers.made(seed)
        path = tmp_path / f"{seed}.tar"
        path.write_bytes(data)
        found[kind].append(converted(path, tmp_path / f"{seed}.oci"))
    capsys.readouterr()
    for images in found.values():
        assert len(images) > 5
        assert any(image is None for image in images)
        assert any(image is not None for image in images)


@pytest.mark.slow
@each("skopeo")
def test_skopeo_finds_the_same_image(skopeo, tmp_path, capsys):
    count = 0
    for seed, kind, path, image in accepted(tmp_path, {"docker", "oci"}):
        out = tmp_path / f"{seed}.dir"
        source = f"docker-archive:{path}" if kind == "docker" else f"oci-archive:{path}"
        if called(skopeo, "copy", "--insecure-policy", source, f"dir:{out}") is None:
            continue
        count += 1
        manifest = json.loads((out / "manifest.json").read_text())
        layers = [sha256(plain((out / layer["digest"][7:]).read_bytes())) for layer in manifest["layers"]]
        assert (manifest["config"]["digest"], layers) == image, seed
    capsys.readouterr()
    assert count


@pytest.mark.slow
@each("crane")
def test_crane_finds_the_same_image(crane, tmp_path, capsys):
    """Its digest covers config and layers; which generation of Go built it, is found out."""
    generations = {"crane@go1.26", "crane@go1.27"}
    count = 0
    for seed, _, path, _ in accepted(tmp_path, {"docker"}):
        got = called(crane, "digest", "--tarball", path)
        if got is None:
            continue
        count += 1
        capsys.readouterr()
        ours = {}
        for name in generations:
            assert run(["digest", str(path), "--as", name]) == 0, seed
            ours[name] = capsys.readouterr().out.split()
        generations = {name for name in generations if got.strip() in ours[name]}
        assert generations, (seed, got, ours)
    assert count


@pytest.mark.slow
def test_docker_finds_the_same_image(engine, tmp_path, capsys):  # noqa: F811
    count = 0
    for seed, _, path, (image_id, _) in accepted(tmp_path, {"docker"}):
        said = called(engine.client, "load", "--input", path, DOCKER_HOST=engine.host)
        names = [line.split(": ", 1)[1] for line in (said or "").splitlines() if line.startswith("Loaded image")]
        if names:
            count += 1
            assert engine("inspect", "--format", "{{.Id}}", names[0]).strip() == image_id, seed
            engine("image", "rm", "--force", names[0])
    capsys.readouterr()
    assert count
