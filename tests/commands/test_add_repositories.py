"""`--add-repositories` of an archive: what is verified, kept, refused, and where it is written."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile

import pytest
from oracle.reading import unpacked
from support import MATCH, run

from convert.commands.add_repositories import add_repositories
from convert.errors import DigestMismatchError, FormatError, StorageError, UnsafeInputError

CRANE = MATCH / "crane-tarball.tar.gz"
V1_PARTS = ["", "/VERSION", "/json", "/layer.tar"]


def rewritten(source, target, change):
    """Copy a tar member by member, through `change(name, data)`; None leaves a member out."""
    with tarfile.open(source) as old, tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as new:
        for member in old:
            data = change(member.name, old.extractfile(member).read())
            if data is not None:
                member.size = len(data)
                new.addfile(member, io.BytesIO(data))
    return target


@pytest.fixture
def archive(tmp_path):
    """A plain archive of crane's, which has no v1 directories."""
    path = tmp_path / "image.tar"
    path.write_bytes(unpacked(CRANE.read_bytes()))
    return path


def test_a_damaged_layer_is_refused_and_nothing_is_written(archive, tmp_path):
    def rot(name, data):
        return gzip.compress(b"something else") if name.endswith(".tar.gz") else data

    bad = rewritten(archive, tmp_path / "bad.tar", rot)
    before = bad.read_bytes()
    with pytest.raises(DigestMismatchError) as caught:
        add_repositories(bad)
    assert str(caught.value).startswith(str(bad))
    assert bad.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["bad.tar", "image.tar"]


def test_a_layer_over_the_limit_is_refused(archive):
    with pytest.raises(UnsafeInputError, match="--max-layer-size"):
        add_repositories(archive, max_layer_size=100)


def test_a_member_that_no_image_names_is_nobodys_fault(archive, tmp_path):
    """A name that leads out of the archive is passed over where it is read, and stays where it is."""
    with tarfile.open(archive, "a") as tar:
        member = tarfile.TarInfo("../x")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    add_repositories(archive, tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar") as tar:
        assert "../x" in tar.getnames()
        assert "repositories" in tar.getnames()


def test_a_spelling_around_the_path_changes_nothing(archive, tmp_path):
    add_repositories(archive, tmp_path / "out.tar")
    archive.chmod(0o640)
    add_repositories(f"docker-archive:{archive}")
    assert archive.read_bytes() == (tmp_path / "out.tar").read_bytes()
    assert archive.stat().st_mode & 0o777 == 0o640


def test_standard_output_under_any_name_gets_the_same_bytes(archive, tmp_path):
    add_repositories(archive, tmp_path / "out.tar")
    wanted = (tmp_path / "out.tar").read_bytes()
    for name in ("-", "/dev/stdout"):
        with (tmp_path / "redirected").open("wb") as file:
            assert run("--add-repositories", archive, name, stdout=file).returncode == 0
        assert (tmp_path / "redirected").read_bytes() == wanted


def test_each_layer_of_an_archive_without_v1_directories_gets_one_that_links_to_it(archive):
    add_repositories(archive)
    with tarfile.open(archive) as tar:
        listed = json.load(tar.extractfile("manifest.json"))[0]
        ((tags,),) = [json.load(tar.extractfile("repositories")).values()]
        (v1_id,) = tags.values()
        chain = []
        while v1_id:
            names = [f"{v1_id}{part}" for part in V1_PARTS]
            assert set(names) <= set(tar.getnames())
            link = tar.getmember(names[-1]).linkname
            chain.append(link.removeprefix("../"))
            v1_id = json.load(tar.extractfile(names[2])).get("parent")
    assert chain[::-1] == listed["Layers"]


def test_a_full_disk_names_the_target(archive):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(StorageError, match="/dev/full: writing"):
        add_repositories(archive, "/dev/full")


def test_truncated_compression_is_an_error_of_the_source(archive, tmp_path):
    bad = rewritten(archive, tmp_path / "cut.tar", lambda name, data: data[:-9] if name.endswith(".tar.gz") else data)
    with pytest.raises(FormatError) as caught:
        add_repositories(bad)
    assert caught.value.file == str(bad)
