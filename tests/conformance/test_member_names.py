"""Names of members as tools write them: with a leading slash, empty, or linked to elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile.building import DIFF_ID, END, PLAIN, Docker, Layout, config, dump, member, sha256

from convert.cli.main import run


def test_leading_slashes_as_buildpacks_write_them(tmp_path, capsys):
    """Imgutil writes `/<hex>.tar` in Layers and in the tar (docker, podman and skopeo read it)."""
    source, out = tmp_path / "in.tar", tmp_path / "out"
    second = member(b"second", b"2") + END
    archive = Docker(config=config(DIFF_ID, sha256(second)), layers={"/a.tar": PLAIN, "/b/layer.tar": second})
    source.write_bytes(archive.build())
    assert run([str(source), "--to", "docker-save", str(out)]) == 0
    assert capsys.readouterr().err == ""
    assert run(["validate", str(source)]) == 0


@pytest.mark.parametrize("name", ["", "/", ".", "./", "//."])
def test_a_layer_without_a_name_is_named_by_its_place(name, tmp_path, capsys):
    """Buildpacks leave the names of layers empty that the daemon has already."""
    source = tmp_path / "in.tar"
    good = {"Config": "config.json", "RepoTags": ["a:1"], "Layers": ["layer.tar"]}
    bad = {"Config": "two.json", "RepoTags": ["b:1"], "Layers": ["layer.tar", name]}
    two = ("two.json", dump(config(DIFF_ID, DIFF_ID)))
    source.write_bytes(Docker(manifest=[good, bad], extra=(two,)).build())
    for words in (["--to", "oci", str(tmp_path / "out")], ["--to", "docker-save", str(tmp_path / "out")]):
        assert run([str(source), *words]) == 3
        (line,) = capsys.readouterr().err.splitlines()
        assert "manifest.json: [1].Layers[1] has no name" in line
    # An image ID needs no layer.
    assert run(["id", str(source)]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2
    assert "[1].Layers[1]" in printed.err
    assert run(["validate", str(source)]) == 1
    assert "[1].Layers[1]" in capsys.readouterr().out


def test_a_layout_with_blobs_linked_outside_shows_the_way(tmp_path, capsys):
    """Bazel links blobs to its cache; the hint is a command that works."""
    layout, cache = tmp_path / "the layout", tmp_path / "cache"
    Layout().write(layout)
    cache.mkdir()
    for path in (layout / "blobs" / "sha256").iterdir():
        path.rename(cache / path.name)
        path.symlink_to(cache / path.name)
    assert run([str(layout), "--to", "oci", str(tmp_path / "out")]) == 3
    line = capsys.readouterr().err
    command = line[line.index("tar chf") : line.index(" | imgconv - ...")]
    archive = tmp_path / "in.tar"
    with archive.open("wb") as file:
        subprocess.run(command, shell=True, check=True, stdout=file)
    assert run([str(archive), "--to", "oci", str(tmp_path / "out")]) == 0
