"""The archives of testdata/read become every format; those of testdata/refuse are refused in words that fit."""

from __future__ import annotations

import io
import re
import tarfile

import pytest
from oracle.reading import check, files_of, plain
from support import FORMATS, READ, REFUSE

import convert
from convert.errors import InputError, NotRepresentableError

#: Under one name several platforms, which only a format with indexes holds.
SEVERAL_PLATFORMS = {"oci-oras-py-nested"}
#: What is wrong with each, as the message names it.
WRONG = {
    "damaged-null-manifest": ["manifest.json", "null", "holds no image"],
    "damaged-oci-config-blob-missing": ["93cd8b73a9da", "missing"],
    "damaged-oci-layer-blob-missing": ["26c668c40574", "missing"],
    "damaged-oci-index-empty-object": ["index.json", "names no image"],
    "damaged-oci-index-not-json": ["index.json", "not valid JSON"],
    "damaged-oci-mirror-rotten-manifest": ["3986c6e03969", "holds 489 bytes", "gives 1199"],
    "damaged-oci-mirror-rotten-layer": ["3986c6e03969", "holds 426 bytes", "gives 1199"],
    "damaged-oci-unknown-media-type-absent-manifest": ["bad744871f99", "missing", "application/badmedia+json"],
    "docker-pre110-dotdot-layer-id": ["repositories", "../../../etc/", "not a v1 ID"],
    "docker-save-two-images": ["layer.tar", "DiffID"],
    "not-an-image-plain": ["no container image", "manifest.json"],
    "oci-buildpacks-previous-sparse": ["c5749a60e2bb", "missing"],
    "oci-hub-alpine": ["d3470daaa19c", "holds 46 bytes"],
    "oci-with-docker-manifest-gzip": ["1 layers", "4 DiffIDs"],
    "skopeo-centos6-gzip": ["af6bf1987c2e", "DiffID", "aced3c571e52"],
    "skopeo-windows-mini": ["e4e02f4caaa3", "DiffID", "9265ebea6c7c"],
}


def table():
    """Return the image IDs that testdata/read/README.md lists, by archive."""
    rows = [line.split("|") for line in (READ / "README.md").read_text().splitlines() if line.startswith("| ")]
    return {row[1].strip(): set(re.findall(r"sha256:[0-9a-f]{64}", row[6])) for row in rows[1:]}


@pytest.fixture(params=["file", "folder"])
def put(request, tmp_path):
    """Lay an archive down: the plain tar, or its members in a folder."""

    def lay(path):
        raw = plain(path)
        if request.param == "file":
            (tmp_path / "in.tar").write_bytes(raw)
            return str(tmp_path / "in.tar")
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            if any(not member.isfile() or ".." in member.name for member in archive if not member.isdir()):
                pytest.skip("it has links or names that are not for unpacking")
            archive.extractall(tmp_path / "in", filter="data")
        return str(tmp_path / "in")

    return lay


def test_every_archive_is_listed():
    assert {path.name.removesuffix(".tar.gz") for path in READ.glob("*.tar.gz")} == table().keys()
    assert {path.name.removesuffix(".tar.gz") for path in REFUSE.glob("*.tar.gz")} == WRONG.keys()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", table())
def test_archives_of_many_tools_become_every_format(tmp_path, put, name, form):
    source = put(READ / f"{name}.tar.gz")
    out = tmp_path / "out"
    if name in SEVERAL_PLATFORMS and form in {"docker-save", "docker-save@25", "docker-save@29", "crane"}:
        with pytest.raises(NotRepresentableError, match="--platform"):
            convert.convert(source, out, to=form)
        return
    convert.convert(source, out, to=form, verify="full", verify_output=True)
    assert {image.image_id for image in check(out, form)} == table()[name]


@pytest.mark.parametrize("form", ["oci", "crane"])
@pytest.mark.parametrize("name", WRONG)
def test_damaged_archives_are_refused(tmp_path, put, name, form):
    source = put(REFUSE / f"{name}.tar.gz")
    with pytest.raises(InputError) as error:
        convert.convert(source, tmp_path / "out", to=form, verify="full")
    text = str(error.value)
    assert [part for part in WRONG[name] if part not in text] == []
    assert text.startswith(f"{source}: ")
    assert len(text.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == [source.rpartition("/")[2]]


def test_zero_layers_give_config_and_manifest_alone(tmp_path):
    """`"Layers":[]` and no `repositories` entry (docs/contract.md#images-and-artifacts)."""
    source = READ / "oci-rules-oci-empty-image.tar.gz"
    convert.convert(str(source), tmp_path / "out.tar", to="docker-save", tags=["empty:1"])
    files = files_of(tmp_path / "out.tar")
    (config,) = table()["oci-rules-oci-empty-image"]
    assert files["manifest.json"] == (
        f'[{{"Config":"{config[7:]}.json","RepoTags":["empty:1"],"Layers":[]}}]\n'.encode()
    )
    assert sorted(files) == sorted([f"{config[7:]}.json", "manifest.json"])
