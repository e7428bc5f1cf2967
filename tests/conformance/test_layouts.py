"""Layouts keep their digests, grow by `--append`, and are verified by `--verify-output`."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import fixtures
import pytest
from oracle.reading import check, contents, files_of, layout, plain
from support import FORMATS, MATCH, run

import convert
from convert.commands import verify_output
from convert.errors import StorageError, UsageError

LAYOUTS = ["containerd29-export", "containerd29-export-multiplatform", "podman-oci-archive"]
PUBLISHED_LAYOUTS = [
    "oci-apko-golden",
    "oci-buildpacks-busybox",
    "oci-fanal-tagged",
    "oci-ggcr-gc-index",
    "oci-ggcr-index-media-type",
    "oci-grootfs-empty",
    "oci-mirror-cosign-signature",
    "oci-mirror-image",
    "oci-mirror-schema2-single",
    "oci-name-not-docker.tar.gz",
    "oci-oras-artifacts",
    "oci-oras-images",
    "oci-oras-py-nested",
    "oci-regclient-external",
    "oci-rules-oci-empty-image",
    "oci-slsa-v1.4.0-schema2-attestation",
    "oci-slsa-v1.5.0-index-attestation",
    "oci-stereoscope-two-refs",
    "oci-sylabs-cosign-manifest-list",
    "oci-sylabs-many-layers",
    "oci-zarf-crane-layout",
    "oci-zarf-oras-layout",
    "oci-zstd-layers.tar",
    "containerd-alpine-3.14.tar",
    "containerd-busybox-attestation.tar",
]
NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")


def entries(path):
    """Return digest and names of each entry of index.json, in order."""
    found = json.loads(files_of(path)["index.json"])["manifests"]
    return [(one["digest"], *[(one.get("annotations") or {}).get(name) for name in NAMES]) for one in found]


def convert_to(source, out, form="oci", **options):
    return convert.convert(str(source), str(out), to=form, **options)


# -- OCI to OCI ---------------------------------------------------------------------


def assert_kept(source, tmp_path):
    convert_to(source, tmp_path / "oci")
    convert_to(tmp_path / "oci", tmp_path / "archive", "oci-archive")
    convert_to(tmp_path / "archive", tmp_path / "back")
    first = files_of(tmp_path / "oci")
    assert contents(tmp_path / "back") == contents(tmp_path / "oci")
    assert files_of(tmp_path / "archive") == first
    return layout(first)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_keeps_its_digests(tmp_path, name):
    found = assert_kept(MATCH / f"{name}.tar.gz", tmp_path)
    original = MATCH / f"{name}.tar.gz"
    (tmp_path / "plain.tar").write_bytes(plain(original))
    assert [one[0] for one in entries(tmp_path / "oci")] == [one[0] for one in entries(tmp_path / "plain.tar")]
    assert not found.strays


@pytest.mark.parametrize("name", PUBLISHED_LAYOUTS)
def test_every_published_layout_keeps_its_digests_and_ref_names(tmp_path, name):
    source = fixtures.get(f"images/{name}")
    assert_kept(source, tmp_path)
    if not source.is_dir():
        (tmp_path / "plain.tar").write_bytes(plain(source))
        source = tmp_path / "plain.tar"
    old, new = entries(source), entries(tmp_path / "oci")
    assert [(digest, ref) for digest, ref, _ in new] == [(digest, ref) for digest, ref, _ in old]


# -- --append -------------------------------------------------------------------------


def blobs(path):
    return {name: (path / name).stat().st_ino for name in contents(path) if name.startswith("blobs/")}


def test_append_adds_images_and_shares_blobs(tmp_path):
    source = MATCH / "docker20-multi.tar.gz"
    out = tmp_path / "out"
    convert_to(source, out, images=["fmt-html:1"])
    before = blobs(out)
    convert_to(source, out, append=True, images=["fmt-html:1", "fmt-imp:1"])
    after = blobs(out)
    assert {name: after[name] for name in before} == before
    # The address that the first image had stays, though the two tags are the same.
    assert [(ref, name) for _, ref, name in entries(out)] == [
        ("1", "docker.io/library/fmt-html:1"),
        ("docker.io/library/fmt-imp:1", "docker.io/library/fmt-imp:1"),
    ]
    assert len(check(out, "oci")) == 2
    convert_to(source, tmp_path / "whole", images=["fmt-html:1", "fmt-imp:1"])
    assert [(one, name) for one, _, name in entries(tmp_path / "whole")] == [
        (one, name) for one, _, name in entries(out)
    ]


def test_append_of_the_same_changes_nothing(tmp_path):
    out = tmp_path / "out"
    convert_to(MATCH / "docker20-html.tar.gz", out)
    before = contents(out)
    convert_to(MATCH / "docker20-html.tar.gz", out, append=True)
    assert contents(out) == before


def test_append_moves_a_name_to_the_new_image(tmp_path):
    source = MATCH / "docker20-multi.tar.gz"
    out = tmp_path / "out"
    convert_to(source, out, images=["fmt-html:1"], tags=["app:1", "app:old"])
    (old,) = {digest for digest, _, _ in entries(out)}
    convert_to(source, out, append=True, images=["fmt-imp:1"], tags=["app:1"])
    new = {name: digest for digest, _, name in entries(out)}
    assert new["docker.io/library/app:old"] == old
    assert new["docker.io/library/app:1"] != old
    assert len(entries(out)) == 2


def test_append_leaves_what_is_there_as_it_is(tmp_path):
    """Another tool's ref.name, annotations and order of keys are not ours to touch."""
    out = tmp_path / "out"
    convert_to(MATCH / "podman-oci-archive.tar.gz", out)
    index = json.loads((out / "index.json").read_bytes())
    index["manifests"][0]["annotations"] = dict(zip(NAMES, ["mine", "docker.io/library/x:1"], strict=True), more="yes")
    (out / "index.json").write_text(json.dumps(index))
    convert_to(MATCH / "docker20-html.tar.gz", out, append=True)
    assert json.loads((out / "index.json").read_bytes())["manifests"][0] == index["manifests"][0]


@pytest.mark.parametrize("between", ["docker-save", "oci"])
def test_append_gives_a_new_image_its_full_name_where_its_tag_is_taken(tmp_path, between):
    """Otherwise skopeo would silently take the first."""
    out = tmp_path / "out"
    source = MATCH / "docker20-multi.tar.gz"
    convert_to(source, out, images=["fmt-html:1"], tags=["a:1"])
    convert_to(source, tmp_path / "new", between, images=["fmt-imp:1"], tags=["b:1"])
    assert [ref for _, ref, _ in entries(out)] == ["1"]
    convert_to(tmp_path / "new", out, append=True)
    assert [(ref, name) for _, ref, name in entries(out)] == [
        ("1", "docker.io/library/a:1"),
        ("docker.io/library/b:1", "docker.io/library/b:1"),
    ]


@pytest.mark.parametrize("between", [None, "oci", "oci-archive", "docker-oci"])
def test_append_leaves_every_entry_that_is_there_and_every_ref_name_one_image(tmp_path, between):
    """The added images include one that is there, and two whose tag it has."""
    out = tmp_path / "out"
    source = MATCH / "docker20-multi.tar.gz"
    convert_to(MATCH / "docker20-html.tar.gz", out)
    before = json.loads((out / "index.json").read_bytes())["manifests"]
    if between is not None:
        convert_to(source, tmp_path / "new", between)
        source = tmp_path / "new"
    warnings = []
    for _ in range(2):
        convert_to(source, out, append=True, warn=warnings.append)
        after = json.loads((out / "index.json").read_bytes())["manifests"]
        assert after[: len(before)] == before
        holders = {}
        for digest, ref, _ in entries(out):
            holders.setdefault(ref, set()).add(digest)
        assert all(len(digests) == 1 for digests in holders.values())
        # The second time there is nothing to add.
        before = after
    assert len({digest for digest, _, _ in entries(out)}) == 7
    assert {warning.code for warning in warnings} <= {"result-address", "result-commands", "layers-kept-uncompressed"}
    assert f"oci:{out}:1" in "".join(map(str, warnings)) or between in {"oci", "oci-archive"}


def test_append_warns_of_a_ref_name_that_two_images_have(tmp_path):
    """An image that has a ref.name only has no other name to take."""
    out, new = tmp_path / "out", tmp_path / "new"
    source = MATCH / "docker20-multi.tar.gz"
    convert_to(source, out, images=["fmt-html:1"])
    convert_to(source, new, images=["fmt-imp:1"])
    index = json.loads((new / "index.json").read_bytes())
    del index["manifests"][0]["annotations"]["io.containerd.image.name"]
    (new / "index.json").write_text(json.dumps(index))
    warnings = []
    convert_to(new, out, append=True, warn=warnings.append)
    assert [ref for _, ref, _ in entries(out)] == ["1", "1"]
    (warning,) = [one for one in warnings if one.code == "duplicate-name"]
    assert all(digest in str(warning) for digest, _, _ in entries(out))


def test_append_needs_a_layout(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("mine")
    done = run(MATCH / "docker20-html.tar.gz", "--to", "oci", tmp_path / "folder", "--append")
    assert done.returncode == 2
    for form in FORMATS:
        if form != "oci":
            done = run(MATCH / "docker20-html.tar.gz", "--to", form, tmp_path / "x", "--append")
            assert (done.returncode, done.stdout) == (2, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_append_makes_a_layout_where_there_is_none_or_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    convert_to(MATCH / "docker20-html.tar.gz", tmp_path / "plain")
    for name in ("new", "empty"):
        convert_to(MATCH / "docker20-html.tar.gz", tmp_path / name, append=True)
        assert contents(tmp_path / name) == contents(tmp_path / "plain")


def test_a_failed_append_leaves_the_layout_as_it_was(tmp_path):
    out = tmp_path / "out"
    convert_to(MATCH / "docker20-html.tar.gz", out)
    before = contents(out)
    done = run("-", "--to", "oci", out, "--append", input=b"no image" * 1000)
    assert done.returncode == 3
    with pytest.raises(UsageError):
        convert_to(MATCH / "docker20-import.tar.gz", out, append=True, images=["nothing:1"])
    assert contents(out) == before


# -- --verify-output ------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_verify_output_accepts_every_format_and_changes_nothing(tmp_path, form):
    convert_to(MATCH / "docker20-multi.tar.gz", tmp_path / "plain", form)
    convert_to(MATCH / "docker20-multi.tar.gz", tmp_path / "verified", form, verify_output=True)
    assert contents(tmp_path / "verified") == contents(tmp_path / "plain")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the file is found by /proc/self/fd")
@pytest.mark.parametrize("form", FORMATS)
def test_verify_output_notices_bytes_that_turned_on_the_way_to_the_disk(tmp_path, monkeypatch, form):
    """The file is damaged between the last write and the look."""

    def rot(fd):
        file = Path(os.readlink(f"/proc/self/fd/{fd}"))
        if file.is_dir():
            file = max(file.glob("blobs/sha256/*"), key=lambda each: each.stat().st_size)
        data = bytearray(file.read_bytes())
        spot = len(data) // 2
        if tarfile.is_tarfile(file):
            with tarfile.open(file) as archive:
                largest = max(archive, key=lambda each: each.size)
            spot = largest.offset_data + largest.size // 2
        data[spot] ^= 0xFF
        file.write_bytes(data)

    for name in ("verify_archive", "verify_blobs"):
        verify = getattr(verify_output, name)
        monkeypatch.setattr(
            verify_output, name, lambda fd, *rest, verify=verify, **more: (rot(fd), verify(fd, *rest, **more))
        )
    with pytest.raises(StorageError, match="does not read back"):
        convert_to(MATCH / "docker20-import.tar.gz", tmp_path / "out", form, verify_output=True)
    assert not list(tmp_path.iterdir())


def test_verify_output_cannot_look_at_a_stream(tmp_path):
    done = run(MATCH / "docker20-html.tar.gz", "--to", "crane", "-", "--verify-output")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"--verify-output" in done.stderr
