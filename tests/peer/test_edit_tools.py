"""What merge, join, split and rename write is loaded or copied by the tools under the names and IDs that were said."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from edited import PREFIXES, joined, many, merged, names_of
from registry import Registry
from tools import call, each, engine  # noqa: F401 - a fixture

import convert

# -- skopeo ------------------------------------------------------------------------------


@each("skopeo")
def test_skopeo_copies_every_image_of_a_merge(tmp_path, skopeo):
    # Not docker-save: containers/image follows no link from one image's folder to another's.
    names = names_of(merged(tmp_path, "docker-save@25"))
    assert len(set(names.values())) >= 8
    for name, image_id in names.items():
        call(
            skopeo,
            "--insecure-policy",
            "copy",
            "--quiet",
            f"docker-archive:{tmp_path / 'all'}:{name}",
            f"dir:{tmp_path / 'copy'}",
        )
        manifest = json.loads((tmp_path / "copy" / "manifest.json").read_bytes())
        assert manifest["config"]["digest"] == image_id
        shutil.rmtree(tmp_path / "copy")


@each("skopeo")
def test_skopeo_copies_all_platforms_of_a_join(tmp_path, skopeo):
    wanted, layout = joined(tmp_path)
    call(skopeo, "--insecure-policy", "copy", "--quiet", "--all", f"oci:{layout}", f"dir:{tmp_path / 'copy'}")
    index = json.loads((tmp_path / "copy" / "manifest.json").read_bytes())
    assert [child["platform"]["architecture"] for child in index["manifests"]] == ["amd64", "arm64"]
    ids = set()
    for child in index["manifests"]:
        name = f"{child['digest'][7:]}.manifest.json"
        ids.add(json.loads((tmp_path / "copy" / name).read_bytes())["config"]["digest"])
    assert ids == wanted


@each("skopeo")
def test_skopeo_reads_each_result_of_a_split_under_its_new_name(tmp_path, skopeo):
    """Twenty names of one prefix: renamed, one archive for each."""
    (tmp_path / "out").mkdir()
    report = convert.convert(
        many(tmp_path / "in"),
        tmp_path / "out" / "{name}_{tag}.tar",
        to="docker-save",
        rename=[PREFIXES],
    )
    names = names_of(report)
    assert sorted(names) == sorted(f"new.example/other/app{n}:{n}.0" for n in range(20))
    paths = sorted((tmp_path / "out").iterdir())
    assert len(paths) == 20
    for path in paths:
        (tag,) = (name for name in names if path.name == name.replace("/", "_").replace(":", "_")[12:] + ".tar")
        # The address has the name, which the archive must have.
        raw = call(skopeo, "inspect", "--raw", f"docker-archive:{path}:{tag}")
        assert json.loads(raw)["config"]["digest"] == names.pop(tag)
    assert names == {}


# -- crane ---------------------------------------------------------------------------------


@each("crane")
def test_crane_pushes_a_join_with_the_digest_that_was_said(tmp_path, crane):
    _, layout = joined(tmp_path)
    entry = json.loads((layout / "index.json").read_bytes())["manifests"][0]
    registry = Registry(tmp_path / "registry")
    try:
        name = f"{registry.host}/app:1.0"
        call(crane, "push", "--insecure", layout, name)
        assert call(crane, "digest", "--insecure", name).strip() == entry["digest"]
        assert len(json.loads(call(crane, "manifest", "--insecure", name))["manifests"]) == 2
    finally:
        registry.stop()


# -- podman ---------------------------------------------------------------------------------


@each("podman")
def test_podman_loads_a_merge_with_every_name(tmp_path, podman):
    names = names_of(merged(tmp_path, "docker-save"))
    store = Path(tempfile.mkdtemp(prefix="pm-"))
    try:
        own = ("--root", store / "r", "--runroot", store / "rr", "--storage-driver", "vfs")
        call(podman, *own, "load", "--quiet", "--input", tmp_path / "all")
        loaded = {
            name: f"sha256:{image['Id']}"
            for image in json.loads(call(podman, *own, "images", "--all", "--format", "json"))
            for name in image.get("Names") or ()
        }
        assert set(loaded.values()) == set(names.values())
        domains = ("localhost/", "example.com/")
        assert loaded.keys() == {name if name.startswith(domains) else f"localhost/{name}" for name in names}
    finally:
        shutil.rmtree(store, ignore_errors=True)


# -- docker ---------------------------------------------------------------------------------


@pytest.fixture
def docker(engine):  # noqa: F811
    engine.empty()
    yield engine
    engine.empty()


@pytest.mark.parametrize("form", ["docker-save", "docker-save@25", "docker-oci"])
def test_docker_loads_a_merge_with_the_names_and_ids_that_were_said(tmp_path, docker, form):
    names = names_of(merged(tmp_path, form))
    docker.load(tmp_path / "all")
    assert docker.ids() == names


def test_docker_loads_each_result_of_a_split_and_rename(tmp_path, docker):
    (tmp_path / "out").mkdir()
    report = convert.convert(
        many(tmp_path / "in"),
        tmp_path / "out" / "{name}_{tag}.tar",
        to="docker-save",
        rename=[PREFIXES],
    )
    for path in sorted((tmp_path / "out").iterdir()):
        docker.load(path)
    assert docker.ids() == names_of(report)


def test_docker_loads_a_join_for_its_platform(tmp_path, docker):
    ids, layout = joined(tmp_path)
    convert.convert(layout, tmp_path / "archive.tar", to="docker-oci")
    docker.load(tmp_path / "archive.tar")
    assert set(docker.ids().values()) <= ids
    assert docker.ids()
