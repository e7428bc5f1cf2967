"""What Docker with the containerd store, and containerd with ctr, push of an archive is what `digest` computes.

IMGCONV_DOCKER_CONTAINERD_HOST: a Docker engine with the containerd store that may be filled and emptied (unix://...),
IMGCONV_DOCKER its client. IMGCONV_CTR: ctr with the address of a containerd, as in "ctr -a SOCKET"; each test uses a
namespace of its own. IMGCONV_REGISTRY: docker-registry.
"""

from __future__ import annotations

import gzip
import os
import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from registry import Registry
from support import MATCH
from tools import Engine, call

import convert
from convert.model.reference import Reference

FORMS = ["docker-save", "docker-save@25", "docker-save@29", "docker-oci", "crane"]
#: Archives of real tools, and the formats into which one is converted first.
SOURCES = [
    *("docker20-html", "docker20-duplayer", "docker20-multi", "docker25-hybrid-html", "docker29-hybrid-html"),
    *("containerd29-export", "containerd29-export-multiplatform", "crane-tarball", "skopeo-docker-archive"),
    *(f"docker20-html {form}" for form in FORMS),
    *(f"docker20-multi {form}" for form in FORMS),
]


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path / "registry")
    yield registry
    registry.stop()


@pytest.fixture(scope="module")
def docker():
    host = os.environ.get("IMGCONV_DOCKER_CONTAINERD_HOST")
    if not host:
        pytest.skip("IMGCONV_DOCKER_CONTAINERD_HOST names no engine with the containerd store")
    engine = Engine(host)
    if engine.images():
        pytest.skip("the engine of IMGCONV_DOCKER_CONTAINERD_HOST is not empty, and these tests empty it")
    yield engine
    engine.empty()


@pytest.fixture
def ctr():
    command = os.environ.get("IMGCONV_CTR")
    if not command:
        pytest.skip("IMGCONV_CTR names no ctr of a running containerd")
    start = [*command.split(), "-n", f"imgconv-{uuid.uuid4()}", "images"]
    return lambda *arguments: call(*start, *arguments)


@pytest.fixture
def archive(request, tmp_path):
    """Return a source as a plain tar."""
    name, _, form = request.param.partition(" ")
    source = MATCH / f"{name}.tar.gz"
    if not form:
        plain = tmp_path / "in.tar"
        plain.write_bytes(gzip.decompress(source.read_bytes()))
        return plain
    convert.convert(source, tmp_path / "converted.tar", to=form)
    return tmp_path / "converted.tar"


def expected(archive):
    """Return what is pushed under each name: the one manifest, or several of which the engine picks one."""
    found = {}
    for row in convert.digest(archive, pushers=["docker-containerd"]).pushed:
        for name in row.names:
            found.setdefault(name, []).append((row.raw, row.media_type))
    assert found
    return found


@pytest.mark.parametrize("archive", SOURCES, indirect=True)
def test_docker_pushes_what_is_computed(archive, docker, registry):
    docker.empty()
    docker.load(archive)
    try:
        for number, (name, rows) in enumerate(expected(archive).items()):
            pushed = f"{registry.host}/image{number}:1"
            docker("tag", name, pushed)
            docker("push", pushed)
            assert registry.manifest(f"image{number}") in rows
    finally:
        docker.empty()


@pytest.mark.parametrize("archive", SOURCES, indirect=True)
def test_ctr_pushes_what_is_computed(archive, ctr, registry):
    full = {Reference.parse(name).full: rows for name, rows in expected(archive).items()}
    if any(len(rows) > 1 for rows in full.values()):
        pytest.skip("ctr refuses an index that is not complete")
    ctr("import", "--no-unpack", "--all-platforms", archive)
    assert set(ctr("ls", "-q").split()) >= set(full)
    for number, (name, rows) in enumerate(full.items()):
        ctr("push", "--plain-http", f"{registry.host}/image{number}:1", name)
        assert registry.manifest(f"image{number}") == rows[0]
