"""An archive goes through an OCI layout and comes back byte for byte, each to its own format.

Against archives of the tools themselves (testdata/match/archives, and the published
ones beside the repository where they are).
"""

from __future__ import annotations

import fixtures
import pytest
from oracle.reading import nameless, plain
from support import MATCH

import convert

OWN = {
    "docker20-html": "docker-save",
    "docker20-byid": "docker-save",
    "docker20-import": "docker-save",
    "docker20-oddconfig": "docker-save",
    "docker29-hybrid-html": "docker-save@25",
    "docker29-hybrid-byid": "docker-save@25",
    "docker29-hybrid-duplayer": "docker-save@25",
    "containerd29-export": "docker-oci",
    "containerd29-export-multiplatform": "docker-oci",
    "crane-tarball": "crane",
}
# tests/writer/test_shared_images_writer.py lists those that cannot be equal, and why.
OWN_PUBLISHED = {
    "docker-layer-symlink-attack.tar": "docker-save",
    "docker-layer-symlink-cycle.tar": "docker-save",
    "docker-save-3-level-jar.tar": "docker-save",
    "docker-save-almost-empty.tar": "docker-save",
    "docker-save-alpine-3.10.tar.gz": "docker-save",
    "docker-save-alpine-3.11.tar.gz": "docker-save",
    "docker-save-busybox-jib.tar": "docker-save",
    "docker-save-helloscratch.tar": "docker-save",
    "docker-save-java-uberjar.tar": "docker-save",
    "docker-save-minitag.tar": "docker-save",
    "docker-save-openjdk-test.tar": "docker-save",
    "docker-save-osless.tar": "docker-save",
    "docker-save-overwrite-file.tar": "docker-save",
    "docker-save-poetry.tar": "docker-save",
    "docker-save-registry-name.tar.xz": "docker-save",
    "docker-save-symlinks.tar": "docker-save",
    "docker-save-unnamed.tar.xz": "docker-save",
    "containerd-busybox-attestation.tar": "docker-oci",
}


def there_and_back(source, tmp_path, form):
    convert.convert(str(source), str(tmp_path / "layout"), to="oci")
    convert.convert(str(tmp_path / "layout"), str(tmp_path / "back.tar"), to=form)
    return (tmp_path / "back.tar").read_bytes()


@pytest.mark.parametrize("name", OWN)
def test_archives_come_back_through_a_layout(tmp_path, name):
    source = MATCH / f"{name}.tar.gz"
    assert there_and_back(source, tmp_path, OWN[name]) == nameless(plain(source))


@pytest.mark.parametrize("name", OWN_PUBLISHED)
def test_published_archives_come_back_through_a_layout(tmp_path, name):
    source = fixtures.get(f"images/{name}")
    assert there_and_back(source, tmp_path, OWN_PUBLISHED[name]) == nameless(plain(source))


@pytest.mark.parametrize("name", ["docker20-duplayer", "docker20-multi", "docker20-parents"])
def test_what_the_engine_stamps_with_its_clock_comes_back_as_written_directly(tmp_path, name):
    source = MATCH / f"{name}.tar.gz"
    convert.convert(str(source), str(tmp_path / "direct.tar"), to="docker-save")
    assert there_and_back(source, tmp_path, "docker-save") == (tmp_path / "direct.tar").read_bytes()
