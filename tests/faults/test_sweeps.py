"""A fault at each call into the system: the old or the new state, and no other files.

Rule 6 of docs/contract.md#rules-of-identity.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import without_repositories

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "testdata" / "match" / "archives" / "docker20-multi.tar.gz"
OTHERS = ["manifest", "graph", "add-repositories", "tag", "untag", "tag-layout", "export", "config", "image-manifest"]
PRINTED = ["config", "image-manifest"]
IN_PLACE = ["add-repositories", "tag", "untag", "tag-layout"]
THIN = [
    *(f"thin:{form}" for form in ("docker-save", "docker-save@25", "docker-oci", "oci")),
    *(f"filled:{form}" for form in ("oci", "docker-save")),
    *(f"{kind}-piped:{form}" for kind in ("thin", "filled") for form in ("docker-save", "docker-oci", "oci")),
]
FORMATS = ["docker-save", "docker-save@25", "docker-save@29", "docker-oci", "crane", "oci", "oci-archive", "dir"]
SPLIT = ["split:docker-save", "split:docker-oci", "split:oci", "split:dir"]
EDITED = [
    *(f"merge:{form}" for form in ("docker-save", "docker-save@25", "docker-oci", "oci", "oci-archive")),
    *(f"join:{form}" for form in ("docker-oci", "oci", "oci-archive")),
    *(f"rename:{form}" for form in ("docker-save", "docker-oci", "oci", "oci-archive", "dir")),
]
MODES = ["kill", "int", "term", "enospc", "edquot", "eio", "read-eio", "short"]
#: In every run of the suite: the kinds of destination that there are, each with the faults that fit it.
QUICK = [
    ("kill", "docker-save", "new", 5),
    ("kill", "docker-save", "force", 5),
    ("kill", "oci", "new", 9),
    ("kill", "oci", "fill", 9),
    ("kill", "oci", "append", 9),
    ("int", "oci", "force", 23),
    ("term", "crane", "new", 17),
    ("enospc", "docker-oci", "new", 13),
    ("enospc", "oci", "append", 13),
    ("eio", "oci-archive", "new", 13),
    ("read-eio", "docker-save@25", "new", 7),
    ("short", "crane", "new", 29),
    ("short", "manifest", "new", 3),
    ("enospc", "manifest", "force", 3),
    ("kill", "graph", "force", 3),
    ("short", "graph", "force", 3),
    ("kill", "thin:oci", "force", 13),
    ("enospc", "thin:docker-oci", "new", 13),
    ("eio", "filled:oci", "new", 17),
    ("kill", "filled:docker-save@25", "force", 13),
    ("kill", "thin-piped:oci", "force", 17),
    ("enospc", "filled-piped:docker-oci", "new", 17),
    ("kill", "dir", "fill", 9),
    ("kill", "dir", "force", 9),
    ("enospc", "dir", "new", 13),
    ("eio", "dir", "fill", 23),
    ("kill", "split:docker-save", "new", 17),
    ("enospc", "split:oci", "new", 41),
    ("kill", "tag", "force", 3),
    ("enospc", "untag", "force", 3),
    ("kill", "tag-layout", "force", 5),
    ("kill", "tag-layout", "force", 61),  # after the change, before the old document is removed
    ("short", "export", "new", 9),
    ("enospc", "image-manifest", "new", 1),
    ("kill", "merge:oci", "append", 23),
    ("enospc", "merge:docker-save", "new", 29),
    ("eio", "join:oci-archive", "force", 17),
    ("kill", "rename:docker-oci", "force", 17),
    ("eio", "add-repositories", "force", 1),
    ("kill", "add-repositories", "force", 9),
]


def swept(tmp_path, mode, form, before, step=1):
    source = tmp_path / "in.tar"
    source.write_bytes(without_repositories(SOURCE) if form in OTHERS else gzip.decompress(SOURCE.read_bytes()))
    command = [sys.executable, HERE / "sweep.py", mode, form, before, source, tmp_path / "place", str(step)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("mode", "form", "before", "step"), QUICK)
def test_faults_here_and_there_leave_the_old_or_the_whole_new(tmp_path, mode, form, before, step):
    result = swept(tmp_path, mode, form, before, step)
    assert result["wrong"] == []
    assert result["faults"]


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("before", ["new", "force", "fill", "append"])
@pytest.mark.parametrize("mode", MODES)
def test_a_fault_at_every_call_leaves_the_old_or_the_whole_new(tmp_path, mode, form, before):
    if (before == "fill" and form not in {"oci", "dir"}) or (before == "append" and form != "oci"):
        pytest.skip("only layouts and dir: folders are folders, and only a layout grows")
    result = swept(tmp_path, mode, form, before)
    assert result["wrong"] == []
    assert result["faults"] > 20


@pytest.mark.slow
@pytest.mark.parametrize("form", THIN)
@pytest.mark.parametrize("before", ["new", "force"])
@pytest.mark.parametrize("mode", MODES)
def test_a_fault_at_every_call_of_a_thin_archive_leaves_the_old_or_the_whole_new(tmp_path, mode, form, before):
    result = swept(tmp_path, mode, form, before)
    assert result["wrong"] == []
    assert result["faults"] > 20


@pytest.mark.slow
@pytest.mark.parametrize("form", SPLIT)
@pytest.mark.parametrize("mode", MODES)
def test_a_fault_at_every_call_of_several_results_leaves_whole_ones(tmp_path, mode, form):
    result = swept(tmp_path, mode, form, "new", 7)
    assert result["wrong"] == []
    assert result["faults"] > 20


@pytest.mark.slow
@pytest.mark.parametrize("form", EDITED)
@pytest.mark.parametrize("before", ["new", "force", "fill", "append"])
@pytest.mark.parametrize("mode", MODES)
def test_a_fault_at_every_call_of_an_edit_leaves_the_old_or_the_whole_new(tmp_path, mode, form, before):
    kind, _, target = form.partition(":")
    if (before == "fill" and target not in {"oci", "dir"}) or (before == "append" and target != "oci"):
        pytest.skip("only layouts and dir: folders are folders, and only a layout grows")
    if before == "force" and target == "oci" and kind != "rename":
        pytest.skip("several sources replace no layout")
    result = swept(tmp_path, mode, form, before)
    assert result["wrong"] == []
    assert result["faults"] > 20


@pytest.mark.slow
@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize("before", ["new", "force"])
@pytest.mark.parametrize("mode", MODES)
def test_a_fault_at_every_call_leaves_the_old_document_or_the_whole_new_one(tmp_path, mode, form, before):
    if form in IN_PLACE and before == "new":
        pytest.skip("an archive is changed in place")
    if form in PRINTED and before == "force":
        pytest.skip("nothing lies at standard output")
    result = swept(tmp_path, mode, form, before)
    assert result["wrong"] == []
    assert result["faults"]
