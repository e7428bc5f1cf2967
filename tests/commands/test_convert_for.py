"""`--for`: the format and the smallest changes with which consumers load the result."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "consumers"))

from cases import build
from support import run

import convert
from convert.errors import ImgconvError
from convert.writer.registry import TARGETS


def chosen(source, path, *consumers, **options):
    """Convert for consumers; return the format and the edits that were chosen, and what was said of each consumer."""
    lines = []
    report = convert.convert(source, path, consumers=consumers, warn=lines.append, **options)
    (line,) = [each for each in lines if each.code == "chosen-for-consumers"]
    verdicts = {each.data["consumer"]: each.data["verdict"] for each in lines if each.code == "loads-in"}
    assert line.data["format"] == report.target
    assert set(verdicts.values()) <= {"loads", "loads with a loss"}
    return report.target, line.data["options"], verdicts


#: Case, consumers, and what is chosen: the first format of the table that changes least.
CHOICES = [
    ("plain", ["docker"], "docker-save", []),
    ("plain", ["kind", "podman"], "docker-save", []),
    ("plain", ["umoci"], "oci", []),
    ("layout-archive", ["docker"], "docker-oci", []),
    ("layout-archive", ["docker", "kind", "skopeo", "podman"], "docker-oci", []),
    ("layout-archive", ["kind"], "docker-oci", []),
    ("folder", ["containerd@1.6"], "docker-oci", []),
    ("gzip-archive", ["crane"], "docker-save", []),
    ("zstd-archive", ["docker@20.10"], "docker-save", []),
    ("hard-link", ["docker", "kind"], "docker-save", []),
    ("bare-tag", ["docker"], "docker-save", []),
    ("host-absent", ["kind"], "docker-oci", ["--prune"]),
    ("attestation", ["umoci"], "oci", ["--no-attestations"]),
    ("nested-index", ["skopeo@1.9"], "docker-oci", []),
    ("nested-index", ["skopeo@1.9", "podman"], "docker-oci", []),
]


@pytest.mark.parametrize(("case", "consumers", "target", "edits"), CHOICES)
def test_the_smallest_changes_are_chosen(case, consumers, target, edits, tmp_path):
    source = build(case, tmp_path)
    dest = tmp_path / ("out" if TARGETS[target].is_folder else "out.tar")
    assert chosen(source, dest, *consumers)[:2] == (target, edits)
    # What was said holds for what was written.
    assert convert.doctor(dest, consumers=consumers).status == 0


def test_with_to_the_format_is_fixed(tmp_path):
    assert chosen(build("layout-archive", tmp_path), tmp_path / "out.tar", "kind", to="oci-archive")[0] == "oci-archive"


def test_a_pipe_and_standard_output(tmp_path):
    source = build("layout-archive", tmp_path)
    done = run("-", "--for", "docker", "-", input=source.read_bytes())
    assert done.returncode == 0, done.stderr
    (tmp_path / "out.tar").write_bytes(done.stdout)
    assert convert.doctor(tmp_path / "out.tar", consumers=["docker"]).status == 0


#: Case, consumers, and the exit status, where nothing helps.
REFUSED = [
    ("two-images", ["crane"], 2),
    ("plain", ["docker", "umoci"], 2),
    ("text-cmd", ["docker"], 2),
    ("unnamed", ["k3s"], 2),
    ("plain", ["dokcer"], 2),
    ("missing-layer", ["docker"], 3),
    ("damaged-layer", ["docker"], 3),
]


@pytest.mark.parametrize(("case", "consumers", "status"), REFUSED)
def test_nothing_is_written_where_nothing_helps(case, consumers, status, tmp_path):
    source = build(case, tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ImgconvError) as caught:
        convert.convert(source, tmp_path / "out.tar", consumers=consumers)
    assert caught.value.exit_status == status, caught.value
    assert sorted(tmp_path.iterdir()) == before


def test_the_document_has_what_was_chosen(tmp_path):
    done = run(build("host-absent", tmp_path), "--for", "kind", tmp_path / "out.tar", "--json")
    assert done.returncode == 0, done.stderr
    remarks = json.loads(done.stdout)["remarks"]
    assert [each["code"] for each in remarks][-2:] == ["chosen-for-consumers", "loads-in"]
