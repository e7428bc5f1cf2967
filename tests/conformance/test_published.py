"""Every published archive becomes every format, or is refused as a table here says.

They are fixtures outside the repository (fixtures.py); image IDs and manifest digests are those that their
INDEX.md lists, found by its authors with other tools.
"""

from __future__ import annotations

import functools
import re

import fixtures
import pytest
from oracle.reading import check
from support import FORMATS

import convert
from convert.errors import InputError, NoImageError, NotRepresentableError

OCI = ["oci", "oci-archive", "docker-oci"]
ONE_PLATFORM = [name for name in FORMATS if name not in OCI]
#: The image ID of an archive without manifest.json, as Docker 20.10.24 loads it.
LEGACY = {
    "bazel-repositories-only-no-manifest.tar": "sha256:a2673db3c3d86a802c915e140274aed9d62464681af1371c881d7f5821b05645"
}

#: Nothing there is an image: artifacts only (a helm chart, a cosign signature under an image's config type, ORAS
#: samples), which OCI layouts carry and the other targets refuse with 2.
ARTIFACTS = {
    "oci-ggcr-index-media-type",
    "oci-mirror-cosign-signature",
    "oci-oras-artifacts",
    "oci-oras-images",
    "oci-regclient-external",
}
#: index.json names images and not one of them is there: refused with 2 by every target.
#: Their configs name a platform and no DiffIDs: images whose layers cannot be unpacked.
OPAQUE = {"oci-oras-artifacts", "oci-oras-images"}
ABSENT = {"oci-buildpacks-multi-platform-no-blobs"}
#: Several platforms under one name: the targets without an index refuse with 2, and take each by `--platform`.
PLATFORMS = {
    "oci-oras-py-nested": ["linux/amd64", "linux/arm64"],
    "oci-sylabs-cosign-manifest-list": [
        *("linux/amd64", "linux/arm/v5", "linux/arm/v7", "linux/arm64", "linux/386"),
        *("linux/mips64le", "linux/ppc64le", "linux/riscv64", "linux/s390x"),
    ],
    "oci-sylabs-manifest-list": [
        *("linux/amd64", "linux/arm/v5", "linux/arm/v7", "linux/arm64", "linux/386"),
        *("linux/mips64le", "linux/ppc64le", "linux/riscv64", "linux/s390x"),
    ],
}
#: What INDEX.md counts as images: configs of an image's media type over layers that are none.
COSIGN = {
    "oci-slsa-v1.4.0-schema2-attestation": "sha256:10f07abc9fc714378445b0030ceed7ad5204e7fa9ac3ca72eca346037aa579da",
    "oci-slsa-v1.5.0-index-attestation": "sha256:c4d06d0fdbef12c975254b2dcc3ea51473c224c51c0b73425fd6bb383814f400",
    "oci-zarf-crane-layout": "sha256:cb03d9ef0fc8b4a5669cdcf652c23670f93bd1bd4f1431a57ad4917d894a90e2",
    "oci-zarf-oras-layout": "sha256:cb03d9ef0fc8b4a5669cdcf652c23670f93bd1bd4f1431a57ad4917d894a90e2",
}
#: What INDEX.md says is wrong with each, as the message names it (member, then fault).
DAMAGED = {
    "damaged-null-manifest.tar": ["manifest.json", "null", "holds no image"],
    "damaged-oci-config-blob-missing": ["93cd8b73a9da", "missing"],
    "damaged-oci-grootfs-size-too-big": ["c1755e6731ea", "holds 355 bytes", "gives 348"],
    "damaged-oci-grootfs-size-too-small": ["c1755e6731ea", "holds 344 bytes", "gives 348"],
    "damaged-oci-index-empty-object": ["index.json", "names no image"],
    "damaged-oci-index-not-json": ["index.json", "not valid JSON"],
    "damaged-oci-layer-blob-missing": ["26c668c40574", "missing"],
    "damaged-oci-mirror-rotten-config": ["3986c6e03969", "holds 483 bytes", "gives 1199"],
    "damaged-oci-mirror-rotten-layer": ["3986c6e03969", "holds 426 bytes", "gives 1199"],
    "damaged-oci-mirror-rotten-manifest": ["3986c6e03969", "holds 489 bytes", "gives 1199"],
    "damaged-oci-unknown-media-type-absent-manifest": ["bad744871f99", "missing", "application/badmedia+json"],
    "docker-desktop-containerd-manifest-list.tar": ["b2160a0f9037", "no such member"],
    "docker-pre110-dotdot-layer-id.tar": ["repositories", "../../../etc/", "not a v1 ID"],
    "docker-save-dockergoof.tar": ["1c13388e727d", "4 layers", "9 DiffIDs"],
    "docker-save-hello-world-other-layer.tar": ["c8f25f0787b1", "DiffID", "9c27e219663c"],
    "docker-save-nginx-buildinfo-gutted-gzip.tar": ["5a3221f0137b", "1 layers", "3 DiffIDs"],
    "docker-save-nginx-os-release-link-gutted.tar": ["5a3221f0137b", "1 layers", "3 DiffIDs"],
    "docker-save-two-images.tar.gz": ["layer.tar", "DiffID"],
    "not-an-image-plain.tar": ["no container image", "manifest.json"],
    "oci-buildpacks-previous-sparse": ["c5749a60e2bb", "missing"],
    "oci-containers-image-delete-multiple": ["913cf3a39d37", "holds 584 bytes"],
    "oci-containers-image-identical-refs": ["DiffID"],
    "oci-ggcr-unknown-media-type-no-blobs": ["325899857025", "missing", "application/vnd.oci.descriptor.v1+json"],
    "oci-grootfs-base-directory": ["2eddd77f5684", "holds 908 bytes", "gives 657"],
    "oci-grootfs-busybox": ["367cafd9f00d", "holds 808 bytes", "gives 807"],
    "oci-grootfs-hardlink": ["72538fcc3c17", "holds 579 bytes", "gives 501"],
    "oci-hub-alpine": ["d3470daaa19c", "holds 46 bytes"],
    "oci-mirror-hello-manifest-list": ["d0c9de6b9869", "holds 741 bytes", "gives 743"],
    "oci-skopeo-alpine-3.12.0-gzip.tar": ["df20fa9351a1", "holds 6165 bytes", "gives 2797541"],
    "oci-skopeo-nginx-gzip.tar": ["e26d615025f5", "holds 812 bytes", "gives 971"],
    "oci-with-docker-manifest-gzip.tar": ["1 layers", "4 DiffIDs"],
    "podman-cnb-builder-symlinks.tar": ["28a4819d69c7", "3 layers", "13 DiffIDs"],
    "skopeo-centos6-gzip.tar": ["af6bf1987c2e", "DiffID", "aced3c571e52"],
    "skopeo-nginx-second-gutted.tar": ["ab56bba91343", "1 layers", "3 DiffIDs"],
    "skopeo-windows-mini.tar.gz": ["e4e02f4caaa3", "DiffID", "9265ebea6c7c"],
}


@functools.cache
def rows():
    """Return what INDEX.md lists: name to facts."""
    text = fixtures.get("images/INDEX.md").read_text()
    table = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0].removeprefix("| ").rstrip("/"): row[1] + row[-1] for row in table if len(row) == 6}


NAMES = set(fixtures.names("images"))
HEALTHY = sorted(NAMES - DAMAGED.keys() - ARTIFACTS - ABSENT)


def test_the_index_lists_every_archive():
    assert rows().keys() - {"file"} == NAMES


def published(name):
    return fixtures.get(f"images/{name}")


def image_ids(name):
    if name in LEGACY:
        return {LEGACY[name]}
    found = set(re.findall(r"image ID (sha256:[0-9a-f]{64})", rows()[name]))
    assert found
    return found - {COSIGN.get(name)}


def manifests(name):
    """Return the digests of manifests that INDEX.md lists and that carry an identity: Docker 25 makes its up."""
    pairs = re.findall(r"manifest (sha256:[0-9a-f]{64}), image ID (sha256:[0-9a-f]{64})", rows()[name])
    generated = "docker save 25+" in rows()[name] or name.startswith("docker25-")
    return {manifest for manifest, image_id in pairs if image_id != COSIGN.get(name) and not generated}


def assert_listed(found, name):
    """INDEX.md lists the first four images of each layout and counts the others."""
    more = re.search(r"and (\d+) more images", rows()[name])
    assert image_ids(name) <= found
    # There, INDEX.md counts cosign's eleven signatures and attestations among the images.
    cosign = 11 if name == "oci-sylabs-cosign-manifest-list" else 0
    assert len(found) == len(image_ids(name)) + (int(more.group(1)) if more else 0) - cosign


def test_the_tables_speak_of_archives_that_are_there():
    assert DAMAGED.keys() | ARTIFACTS | ABSENT | PLATFORMS.keys() <= NAMES
    assert len(HEALTHY) > 70


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_archives_become_every_format(tmp_path, name, form):
    out = tmp_path / "out"
    if form in ONE_PLATFORM and name in PLATFORMS:
        with pytest.raises(NotRepresentableError, match=r"several platforms \(linux/amd64, .*--platform"):
            convert.convert(str(published(name)), str(out), to=form)
        assert not out.exists()
        return
    printed = convert.convert(str(published(name)), str(out), to=form, verify="full")
    found = check(out, form)
    assert_listed({image.image_id for image in found}, name)
    shown = {str(image.image_id) for image in printed.images if image.image_id}
    assert shown <= {image.image_id for image in found}
    if form in OCI:
        assert manifests(name) <= {image.manifest for image in found}


@pytest.mark.parametrize("form", ONE_PLATFORM)
@pytest.mark.parametrize(("name", "platform"), [(name, one) for name, each in PLATFORMS.items() for one in each])
def test_each_platform_of_an_index_can_be_taken_alone(tmp_path, name, platform, form):
    out = tmp_path / "out"
    convert.convert(str(published(name)), str(out), to=form, platforms=[platform])
    (image,) = check(out, form)
    with convert.open(str(published(name))) as archive:
        of_platform = {str(one.image_id): str(one.platform) for one in archive.images()}
    assert of_platform[image.image_id].removesuffix("/v8") == platform
    assert len(of_platform) == len(PLATFORMS[name])


@pytest.mark.parametrize("name", sorted(ARTIFACTS))
def test_artifacts_stay_in_layouts_and_are_no_images(tmp_path, name):
    for form in ("oci", "oci-archive"):
        convert.convert(str(published(name)), str(tmp_path / form), to=form)
        check(tmp_path / form, form)
    whole = ["oci", "oci-archive"]
    if name in OPAQUE:
        convert.convert(str(published(name)), str(tmp_path / "docker-oci"), to="docker-oci")
        whole.insert(0, "docker-oci")
    for form in [*ONE_PLATFORM, *({"docker-oci"} - set(whole))]:
        words = r"the source holds no image|cannot be unpacked|several platforms"
        with pytest.raises(NotRepresentableError, match=words):
            convert.convert(str(published(name)), str(tmp_path / "out"), to=form)
    assert sorted(path.name for path in tmp_path.iterdir()) == whole


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", sorted(ABSENT))
def test_a_layout_that_only_names_absent_images_is_refused(tmp_path, name, form):
    with pytest.raises(NoImageError, match="every manifest that its index names is absent"):
        convert.convert(str(published(name)), str(tmp_path / "out"), to=form)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", sorted(DAMAGED))
def test_damaged_archives_are_refused_in_words_that_name_the_damage(tmp_path, name, form):
    with pytest.raises(InputError) as error:
        convert.convert(str(published(name)), str(tmp_path / "out"), to=form, verify="full")
    text = str(error.value)
    assert text.startswith(str(published(name)))
    assert [part for part in DAMAGED[name] if part not in text] == []
    assert "\n" not in text
    assert not list(tmp_path.iterdir())
