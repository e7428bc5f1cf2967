"""What a real Docker engine saves: `digest` gives what the engine, crane and skopeo push of it.

Needs IMGCONV_DOCKER_HOST, an engine older than 25 that may be emptied, and docker-registry. IMGCONV_CRANE_GO126 and
IMGCONV_CRANE_GO127 name a crane built with that Go, IMGCONV_SKOPEO a skopeo. Each published archive that the engine
loads is saved by it and pushed by every tool at hand.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import fixtures
from oracle.reading import plain
from registry import Registry
from support import MATCH
from tools import call, engine, found  # noqa: F401 - engine is a fixture

import convert

NAMES = [f"match/{path.name}" for path in sorted(MATCH.glob("*.tar.gz"))]
NAMES += [name for name in (f"images/{name}" for name in fixtures.names("images")) if ".tar" in name]
CRANES = {"crane@go1.26": os.environ.get("IMGCONV_CRANE_GO126"), "crane@go1.27": os.environ.get("IMGCONV_CRANE_GO127")}


@pytest.fixture
def saved(request, tmp_path, engine):  # noqa: F811
    """Return the engine, and what it saves of each image that it loads from an archive: paths by image ID."""
    engine.empty()
    name = request.param
    path = MATCH / name.removeprefix("match/") if name.startswith("match/") else fixtures.get(name)
    archive = tmp_path / "in.tar"
    archive.write_bytes(plain(path))
    try:
        engine.load(archive)
    except AssertionError as error:
        pytest.skip(f"the engine does not load it: {str(error).strip().splitlines()[-1][:80]}")
    if not engine.images():
        pytest.skip("the engine loads no image from it")
    paths = {}
    for number, image_id in enumerate(sorted(engine.images())):
        paths[image_id] = tmp_path / f"saved{number}.tar"
        engine("save", "--output", paths[image_id], image_id)
    yield engine, paths
    engine.empty()


def computed(path, pusher):
    """Return the digest that `digest` gives for the one image of an archive."""
    (row,) = convert.digest(path, pushers=[pusher]).pushed
    return str(row.digest)


@pytest.mark.slow
@pytest.mark.parametrize("saved", NAMES, indirect=True)
def test_the_digests_are_what_docker_crane_and_skopeo_push(saved, tmp_path):
    engine, paths = saved  # noqa: F811
    registry = Registry(tmp_path / "registry")
    try:
        for number, (image_id, path) in enumerate(paths.items()):
            engine("tag", image_id, f"{registry.host}/docker{number}:1")
            engine("push", f"{registry.host}/docker{number}:1")
            assert computed(path, "docker") == registry.digest(f"docker{number}"), "docker"
            for pusher, crane in CRANES.items():
                if crane is not None:
                    assert computed(path, pusher) == call(crane, "digest", "--tarball", path).strip(), pusher
            if found("skopeo")[0] is not None:
                target = f"docker://{registry.host}/skopeo{number}:1"
                call(found("skopeo")[0], "copy", "--dest-tls-verify=false", f"docker-archive:{path}:@0", target)
                assert computed(path, "skopeo") == registry.digest(f"skopeo{number}"), "skopeo"
    finally:
        registry.stop()
