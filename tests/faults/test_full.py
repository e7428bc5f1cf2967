"""A full disk, after any number of bytes: the old or the new state, status 4 and no other files."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import FORMATS, MATCH, without_repositories

HERE = Path(__file__).parent
#: Its results have 4 to 10 kB.
SMALL = HERE.parents[1] / "testdata" / "fuzz" / "archives" / "docker"


def filled(kind, form, before, source, place, *step):
    command = [sys.executable, HERE / "full.py", kind, form, before, source, place, *map(str, step)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("form", FORMATS)
def test_a_limit_on_the_size_of_files_is_met_here_and_there(tmp_path, form):
    """tests/faults/full.py does it at every byte: docs/trust.md has the figure."""
    result = filled("limit", form, "new", SMALL, tmp_path / "place", 307)
    assert result["wrong"] == []
    assert result["faults"] > (0 if form == "oci" else 10)


@pytest.mark.parametrize(("form", "step"), [("manifest", 97), ("graph", 4999), ("add-repositories", 9973)])
def test_a_document_is_whole_or_the_old_one_where_files_may_not_grow(tmp_path, form, step):
    source = tmp_path / "in.tar"
    source.write_bytes(without_repositories(MATCH / "docker20-multi.tar.gz"))
    result = filled("limit", form, "force", source, tmp_path / "place", step)
    assert result["wrong"] == []
    assert result["faults"] > 3


#: What edits, splits, merges, joins, exports or prints, each with what lies at DEST.
OTHERS = [
    ("dir", "new"),
    ("dir", "force"),
    ("split:docker-save", "new"),
    ("split:oci", "new"),
    ("merge:docker-save", "new"),
    ("merge:docker-oci", "force"),
    ("merge:oci", "append"),
    ("join:docker-oci", "new"),
    ("join:oci", "new"),
    ("rename:docker-oci", "force"),
    ("rename:dir", "new"),
    ("tag", "force"),
    ("untag", "force"),
    ("tag-layout", "force"),
    ("export", "new"),
    ("export", "force"),
    ("config", "new"),
    ("image-manifest", "new"),
]


def multi(tmp_path):
    """Return an archive of seven images, uncompressed, without `repositories`."""
    source = tmp_path / "in.tar"
    source.write_bytes(without_repositories(MATCH / "docker20-multi.tar.gz"))
    return source


@pytest.mark.slow
@pytest.mark.parametrize(("form", "before"), OTHERS)
def test_an_edit_meets_a_limit_on_the_size_of_files_at_every_101st_byte(tmp_path, form, before):
    result = filled("limit", form, before, multi(tmp_path), tmp_path / "place", 101)
    assert result["wrong"] == []
    assert result["faults"] > 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
@pytest.mark.parametrize(("form", "before"), OTHERS)
def test_an_edit_in_a_file_system_of_few_pages_or_inodes_gives_the_whole_or_nothing(tmp_path, mounting, form, before):
    if form in {"config", "image-manifest"}:
        pytest.skip("a document of less than a page needs none that is free")
    result = filled("tmpfs", form, before, multi(tmp_path), mounting)
    assert result["wrong"] == []
    assert result["faults"]


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("before", ["new", "force"])
def test_a_limit_on_the_size_of_files_is_met_at_every_byte(tmp_path, form, before):
    source = SMALL
    if before == "force":  # an older result of one of its images is needed
        source = tmp_path / "in.tar"
        source.write_bytes(gzip.decompress((MATCH / "docker20-multi.tar.gz").read_bytes()))
    result = filled("limit", form, before, source, tmp_path / "place", 1 if before == "new" else 101)
    assert result["wrong"] == []
    assert result["faults"] > 100


@pytest.fixture
def mounting(tmp_path):
    """A folder on which file systems may be mounted."""
    place = tmp_path / "place"
    place.mkdir()
    tried = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True, check=False, text=True)
    if tried.returncode:
        pytest.skip(f"a file system cannot be mounted here: {tried.stderr.strip()}")
    subprocess.run(["umount", place], check=True)
    return place


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
@pytest.mark.parametrize("form", FORMATS)
def test_a_file_system_of_few_pages_or_inodes_holds_the_whole_or_nothing(tmp_path, mounting, form):
    source = tmp_path / "in.tar"
    source.write_bytes(gzip.decompress((MATCH / "docker20-html.tar.gz").read_bytes()))
    result = filled("tmpfs", form, "new", source, mounting)
    assert result["wrong"] == []
    assert result["faults"] > 3
