"""Every published archive that an engine, containerd or crane wrote comes back byte for byte, or stands here.

The archives are fixtures outside the repository (fixtures.py).
"""

from __future__ import annotations

import dataclasses
import io
import tarfile

import fixtures
import pytest

# Written by an engine's own save: the group and user name that its build puts into headers.
EQUAL = {
    "docker-layer-symlink-attack.tar": "",
    "docker-layer-symlink-cycle.tar": "",
    "docker-save-3-level-jar.tar": "",
    "docker-save-almost-empty.tar": "",
    "docker-save-alpine-3.10.tar.gz": "root",
    "docker-save-alpine-3.11.tar.gz": "",
    "docker-save-busybox-jib.tar": "",
    "docker-save-helloscratch.tar": "",
    "docker-save-java-uberjar.tar": "",
    "docker-save-minitag.tar": "",
    "docker-save-openjdk-test.tar": "root",
    "docker-save-osless.tar": "",
    "docker-save-overwrite-file.tar": "",
    "docker-save-poetry.tar": "",
    "docker-save-registry-name.tar.xz": "",
    "docker-save-symlinks.tar": "",
    "docker-save-unnamed.tar.xz": "",
    "containerd-busybox-attestation.tar": "",
}

ZONE = "an engine outside UTC"
V1_RULES = "an engine of 1.10 to 17.03: other v1 rules"
V1_JSON = "an engine of 25 to 28: other v1 json, wall clocks"
OLD_EXPORTER = "containerd 1.6 leaves mediaType out of index.json"
CLOCK = "the wall clock of linked layers"
REPACKED = "packed again by hand"
DAMAGED = "damaged: layers cut down by hand"

NOT_EQUAL = {
    "containerd-alpine-3.14.tar": OLD_EXPORTER,
    "containerd-busybox-arm64.tar": OLD_EXPORTER,
    "containerd-hello-world-dot-prefix.tar": REPACKED,
    "containerd-hello-world-manifest-list.tar": OLD_EXPORTER,
    "docker-desktop-containerd-manifest-list.tar": DAMAGED,
    "docker-desktop-nested-index.tar": REPACKED,
    "docker-engine-test-info.tar": V1_JSON,
    "docker-pre110-dotdot-layer-id.tar": "hostile",
    "docker-save-dive-14-layers.tar": ZONE,
    "docker-save-dockergoof.tar": DAMAGED,
    "docker-save-hello-world-other-layer.tar": DAMAGED,
    "docker-save-jib-extraction.tar": ZONE,
    "docker-save-nginx-buildinfo-gutted-gzip.tar": DAMAGED,
    "docker-save-nginx-os-release-link-gutted.tar": DAMAGED,
    "docker-save-no-repositories-file.tar": REPACKED,
    "docker-save-operator-bundle.tar": ZONE,
    "docker-save-pause-2.0.tar": V1_RULES,
    "docker-save-three-images-links.tar": V1_RULES,
    "docker-save-two-images-layer-symlink.tar.xz": CLOCK,
    "docker-save-two-images.tar.gz": DAMAGED,
    "docker25-busybox-armv7.tar": V1_JSON,
    "docker25-untagged-npm-lock-gzip.tar": V1_JSON,
    "docker25-untagged-null-manifests.tar": V1_JSON,
}


def test_every_archive_of_these_tools_is_in_one_of_the_tables():
    names = {name for name in fixtures.names("images") if ".tar" in name}
    written = {name for name in names if name.startswith(("docker", "containerd"))}
    assert EQUAL.keys().isdisjoint(NOT_EQUAL)
    assert written == EQUAL.keys() | NOT_EQUAL.keys()


@pytest.mark.parametrize("name", EQUAL)
def test_published_archives_come_back_byte_for_byte(bench, tools, name):
    images = bench.read(fixtures.get(f"images/{name}"))
    assert bench.write(images, images.format, uname=EQUAL[name]) == tools.plain(fixtures.get(f"images/{name}"))


@pytest.mark.parametrize("name", [name for name, reason in NOT_EQUAL.items() if reason == OLD_EXPORTER])
def test_archives_of_containerd_1_6_differ_by_one_key_alone(bench, tools, name):
    items = [
        dataclasses.replace(
            item, content=item.content.replace(b'"mediaType":"application/vnd.oci.image.index.v1+json",', b"", 1)
        )
        if item.name == "index.json"
        else item
        for item in bench.items(bench.read(fixtures.get(f"images/{name}")), "docker-oci")
    ]
    assert tools.tar(items) == tools.plain(fixtures.get(f"images/{name}"))


@pytest.mark.parametrize("name", [name for name, reason in NOT_EQUAL.items() if reason == CLOCK])
def test_linked_layers_differ_by_the_clock_alone(bench, tools, name):
    real = tools.plain(fixtures.get(f"images/{name}"))
    with tarfile.open(fileobj=io.BytesIO(real)) as archive:
        times = {member.name: member.mtime for member in archive}
        linked = {member.name.partition("/")[0] for member in archive if member.issym()}
    items = [
        dataclasses.replace(item, mtime=times[item.name]) if item.name.partition("/")[0] in linked else item
        for item in bench.items(bench.read(fixtures.get(f"images/{name}")), "docker-save")
    ]
    assert linked
    assert tools.tar(items) == real


@pytest.mark.parametrize(
    ("name", "marks"),
    [
        ("docker-save-dive-14-layers.tar", b'"created":"1969-12-31T19:00:00-05:00"'),
        ("docker-save-jib-extraction.tar", b'"created":"1969-12-31T19:00:00-05:00"'),
        ("docker-save-operator-bundle.tar", b'"created":"1969-12-31T19:00:00-05:00"'),
        ("docker-save-pause-2.0.tar", b'"created":"0001-01-01T00:00:00Z"'),
    ],
)
def test_the_reason_can_be_seen_in_the_archive(tools, name, marks):
    assert marks in tools.plain(fixtures.get(f"images/{name}"))


def test_an_unpacked_archive_of_docker_25_is_generated(bench):
    images = bench.read(fixtures.get("images/docker25-graph-driver-unpacked"))
    assert images.format == "docker-save@25"
