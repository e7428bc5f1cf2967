"""`imgconv export` against `umoci unpack` and `docker export`: the same file system, on real images.

umoci needs root to give files their owners. It leaves xattrs of hard links to the last one.
"""

from __future__ import annotations

import json
import os

import fixtures
import pytest
from peer.file_systems import differences, of_folder, of_tar
from peer.tools import call, each, engine  # noqa: F401 - a fixture
from support import READ, run

#: What an engine adds to a container, and mounts into it.
ADDED = {
    ".dockerenv",
    "dev",
    "dev/console",
    "dev/pts",
    "dev/shm",
    "etc",
    "etc/hostname",
    "etc/hosts",
    "etc/mtab",
    "etc/resolv.conf",
    "proc",
    "sys",
}


def images_of(source):
    """Yield the ID of each image in a source, each once."""
    done = run("inspect", source, "--json")
    if done.returncode == 0:
        yield from dict.fromkeys(image["image_id"] for image in json.loads(done.stdout)["images"] if image["image_id"])


def compare_with_umoci(umoci, source, tmp_path):
    """Compare each image that umoci unpacks; return how many."""
    count = 0
    for number, image_id in enumerate(images_of(source)):
        layout, tar, bundle = (tmp_path / f"{kind}{number}" for kind in ("layout", "tar", "bundle"))
        options = ["--recompress", "--manifest-type", "oci", "--tag", "x.example/x:t"]
        if run(source, "--image", image_id, *options, "--to", "oci", layout).returncode != 0:
            continue
        done = run("export", source, image_id, tar)
        assert done.returncode == 0, done.stderr
        # Not a bundle: for that umoci needs a config with an operating system that it knows.
        call(umoci, "raw", "unpack", "--image", f"{layout}:t", bundle)
        assert differences(of_tar(tar), of_folder(bundle)) == []
        count += 1
    return count


@pytest.mark.skipif(os.geteuid() != 0, reason="umoci needs root to give files their owners")
@each("umoci")
@pytest.mark.parametrize("name", ["docker-save-overwrite-file", "docker-layer-symlink-attack", "kaniko-busybox"])
def test_umoci_unpacks_the_same(umoci, tmp_path, name):
    assert compare_with_umoci(umoci, READ / f"{name}.tar.gz", tmp_path) >= 1


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="umoci needs root to give files their owners")
@each("umoci")
@pytest.mark.parametrize("source", [*sorted(READ.glob("*.tar.gz")), *fixtures.present("images")], ids=lambda p: p.name)
def test_umoci_unpacks_every_image_the_same(umoci, tmp_path, source):
    if not compare_with_umoci(umoci, source, tmp_path):
        pytest.skip("it holds no image that umoci unpacks")


@pytest.mark.parametrize(
    "name", ["docker-save-overwrite-file", "kaniko-busybox", "docker-save-two-images-layer-symlink"]
)
def test_docker_exports_the_same(engine, tmp_path, name):  # noqa: F811
    """An engine keeps only the extended attribute of capabilities, and adds files of its own."""
    source = READ / f"{name}.tar.gz"
    engine.empty()
    image_id = next(iter(images_of(source)))
    done = run(source, "--image", image_id, "--to", "docker-save", tmp_path / "a.tar", "--tag", "exported:1")
    assert done.returncode == 0, done.stderr
    engine.load(tmp_path / "a.tar")
    container = engine("create", "exported:1", "nothing").strip()
    try:
        engine("export", "--output", tmp_path / "theirs.tar", container)
    finally:
        engine("rm", container)
    assert run("export", source, image_id, tmp_path / "ours.tar").returncode == 0
    ours, theirs = of_tar(tmp_path / "ours.tar"), of_tar(tmp_path / "theirs.tar")
    for added in ADDED:
        ours[0].pop(added, None)
        theirs[0].pop(added, None)
    assert differences(ours, theirs, ignore={"xattrs"}) == []
