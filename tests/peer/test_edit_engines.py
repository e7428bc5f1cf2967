"""What merge, join, split and rename write, loaded into every engine that is found, and copied by every skopeo.

Engines are found as matrix.py finds them. Each must hold exactly the names and IDs that the report of the conversion
states, and what `doctor` states must hold too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from edited import PREFIXES, joined, many, merged, names_of
from peer import matrix

import convert

ENGINES = ("docker", "containerd", "skopeo")
DRIVERS = {name: driver for name, driver in matrix.consumers().items() if name.startswith(ENGINES)}
THREE = ("docker20-multi", "podman-docker-archive", "ggcr-legacy")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DRIVERS, reason="no IMGCONV_MATRIX_… names a consumer (tests/peer/matrix.py)"),
    pytest.mark.parametrize("name", DRIVERS or ["none"]),
]


def forms(name):
    """Return the formats that a consumer reads, which are tried; none where it reads none of them."""
    program, _, way = name.partition("/")
    if way:
        return {"docker-archive": ["docker-save@25"], "oci-archive": ["oci-archive"], "oci": ["oci"]}.get(way, [])
    if program.startswith("docker@"):
        return ["docker-save", "docker-save@25", "docker-oci"]
    return ["docker-oci", "oci-archive"]


def full(name):
    """Return a name as containerd holds it."""
    first = name.partition("/")[0]
    has_domain = "/" in name and (first == "localhost" or any(mark in first for mark in ".:"))
    return name if has_domain else f"docker.io/library/{name}"


def expected(name, report):
    """Return the ID of each name that a consumer must hold; of one that shows no names, all IDs under their number."""
    images = [image for image in report.images if image.names]
    if name.startswith("docker@"):
        return names_of(report)
    if name.startswith("docker-containerd"):
        return {each: str(image.manifest_digest) for image in images for each in image.names}
    return {full(each): str(image.manifest_digest) for image in images for each in image.names}


def load(name, path, report):
    """Load a result, and compare what is there with what was said."""
    outcome = DRIVERS[name].load(path).document()
    assert outcome["loads"], outcome["error"]
    assert list(matrix.differences(name, path, outcome)) == []
    if name.startswith("skopeo"):
        assert set(outcome["images"].values()) == {str(image.image_id) for image in report.images}
        return {}
    return named(outcome)


def named(outcome):
    """Return what a consumer holds under names that an image has, not under those that it makes up."""
    return {
        name: found for name, found in outcome["images"].items() if "@" not in name and not name.startswith("sha256:")
    }


@pytest.mark.parametrize("form", ["docker-save", "docker-save@25", "docker-oci", "oci-archive", "oci"])
def test_a_merge_of_three(name, form, tmp_path):
    if form not in forms(name):
        pytest.skip("this consumer reads another format")
    report = merged(tmp_path, form, THREE)
    assert len(report.sources) == 3
    assert len(report.images) >= 8
    held = load(name, tmp_path / "all", report)
    if not name.startswith("skopeo"):
        assert held == expected(name, report)


@pytest.mark.parametrize("form", ["docker-oci", "oci-archive", "oci"])
def test_a_join_of_two_platforms(name, form, tmp_path):
    if form not in forms(name):
        pytest.skip("this consumer reads another format")
    ids, layout = joined(tmp_path)
    report = convert.convert(layout, tmp_path / "all", to=form)
    outcome = DRIVERS[name].load(tmp_path / "all").document()
    assert outcome["loads"], outcome["error"]
    assert list(matrix.differences(name, tmp_path / "all", outcome)) == []
    if name.startswith("skopeo"):
        assert set(outcome["images"].values()) <= ids  # that of its platform
        return
    ((held, found),) = named(outcome).items()
    assert held == "example.com/app:1.0"
    assert found in ids if name.startswith("docker@") else found == str(report.images[0].manifest_digest)


@pytest.mark.parametrize("form", ["docker-save", "docker-save@25", "docker-oci", "oci-archive", "oci"])
def test_a_split_of_ten(name, form, tmp_path):
    if form not in forms(name):
        pytest.skip("this consumer reads another format")
    (tmp_path / "out").mkdir()
    report = convert.convert(many(tmp_path / "in", 10), tmp_path / "out" / "{name}_{tag}.tar", to=form)
    assert len(report.results) == 10
    for result in report.results:
        held = load(name, Path(result.path), result)
        if not name.startswith("skopeo"):
            assert held == expected(name, result)


@pytest.mark.parametrize("form", ["docker-save", "docker-save@25", "docker-oci", "oci-archive", "oci"])
def test_a_prefix_renamed_over_twenty_names(name, form, tmp_path):
    if form not in forms(name):
        pytest.skip("this consumer reads another format")
    report = convert.convert(many(tmp_path / "in"), tmp_path / "all", to=form, rename=[PREFIXES])
    assert sorted(names_of(report)) == sorted(f"new.example/other/app{number}:{number}.0" for number in range(20))
    held = load(name, tmp_path / "all", report)
    if not name.startswith("skopeo"):
        assert held == expected(name, report)
