"""Under --recompress the same images under the same names give the same layout.

Rule 5 of docs/contract.md#rules-of-identity.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import convert

MATCH = Path(__file__).parents[2] / "testdata" / "match" / "archives"
FORMS = ["docker-save", "docker-save@25", "docker-save@29", "docker-oci", "crane", "oci-archive", "oci"]


def layout_of(source, folder, **options):
    """Return a layout's members by name."""
    convert.convert(str(source), str(folder), to="oci", recompress=True, **options)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["docker20-html", "docker20-multi", "docker20-duplayer", "docker20-byid"])
@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_the_source_does_not_matter(tmp_path, name, form):
    """docker20-multi has one tag on several images, so full names as ref.names."""
    source = MATCH / f"{name}.tar.gz"
    convert.convert(str(source), str(tmp_path / "between"), to=form)
    assert layout_of(tmp_path / "between", tmp_path / "a") == layout_of(source, tmp_path / "b")


@pytest.mark.parametrize("name", ["docker24-html", "docker25-hybrid-html", "docker29-hybrid-html"])
def test_the_engine_does_not_matter(tmp_path, name):
    """One image, saved by four engines under three names."""
    assert layout_of(MATCH / f"{name}.tar.gz", tmp_path / "a") == layout_of(
        MATCH / "docker20-html.tar.gz", tmp_path / "b"
    )


def test_the_tool_does_not_matter(tmp_path):
    """Podman saved that image under a name of its own."""
    options = {"tags": ["fmt-html:1"]}
    assert layout_of(MATCH / "podman-docker-archive.tar.gz", tmp_path / "a", **options) == layout_of(
        MATCH / "docker20-html.tar.gz", tmp_path / "b", **options
    )


def test_one_rewritten_config_gives_one_layout_from_five_archives(tmp_path):
    """Written by crane (two forms), skopeo, podman and containerd's exporter."""
    names = [
        "crane-tarball",
        "ggcr-legacy",
        "skopeo-docker-archive",
        "podman-oci-archive",
        "containerd29-export",
    ]
    options = {"tags": ["example.com/x/y:z"]}
    layouts = [layout_of(MATCH / f"{name}.tar.gz", tmp_path / name, **options) for name in names]
    assert all(layout == layouts[0] for layout in layouts[1:])


def test_a_full_ref_name_of_the_source_is_no_other_name(tmp_path):
    """Two images share a tag in the layout between; picked alone, the tag is enough again."""
    source = MATCH / "docker20-multi.tar.gz"
    convert.convert(str(source), str(tmp_path / "between"), to="oci")
    options = {"images": ["fmt-html:1"]}
    assert b'ref.name":"docker.io/library/fmt-html:1"' in (tmp_path / "between" / "index.json").read_bytes()
    layout = layout_of(tmp_path / "between", tmp_path / "a", **options)
    assert layout == layout_of(source, tmp_path / "b", **options)
    assert b'ref.name":"1"' in layout["index.json"]
