"""Whatever imgconv writes it reads again, and `validate` finds nothing there that the source did not have."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hostile import cases_compression, cases_docker, cases_documents, cases_keys, cases_oci
from hostile.building import LAYER_GZIP, PLAIN, Layout, config, dump, squeezed, tar
from support import FORMATS

from convert.cli.main import run

sys.path.insert(0, str(Path(__file__).parents[1] / "peer"))

from crane_archives import source

FEW, MANY = (
    [case for group in groups for case in group.CASES if case.status == 0]
    for groups in ((cases_keys, cases_oci), (cases_documents, cases_docker, cases_compression))
)
#: Rules that speak of what a source says in a form where it need not be said: a config without
#: `os` is none for OCI, and a name of a docker archive has characters that no ref.name has.
CARRIED = {"schema", "ref-name"}


def rules(path, capsys):
    """Return the rules that `validate` finds broken."""
    capsys.readouterr()
    run(["validate", "--json", str(path)])
    (found,) = json.loads(capsys.readouterr().out)["sources"]
    return {one["rule"] for one in found["findings"] if one["severity"] != "note"}


def check(path, form, tmp_path, capsys, *options):
    out, again = tmp_path / "out", tmp_path / "again"
    status = run([str(path), "--to", form, str(out), "--verify-output", "--jobs", "1", *options])
    said = capsys.readouterr().err
    assert status in {0, 2, 3}, said
    if status:
        assert not out.exists()
        return
    before = rules(path, capsys)
    assert rules(out, capsys) <= before | CARRIED
    assert run([str(out), "--to", form, str(again), "--jobs", "1"]) == 0 or "diff-id" in before, capsys.readouterr().err


def odd_input(case, form, tmp_path, capsys):
    path = tmp_path / "in.tar"
    path.write_bytes(case.build())
    check(path, form, tmp_path, capsys, *case.options)


@pytest.mark.parametrize("form", ["docker-oci", "oci-archive"])
@pytest.mark.parametrize("case", FEW, ids=lambda case: case.name)
def test_odd_inputs(case, form, tmp_path, capsys):
    odd_input(case, form, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("case", [*FEW, *MANY], ids=lambda case: case.name)
def test_odd_inputs_to_every_target(case, form, tmp_path, capsys):
    odd_input(case, form, tmp_path, capsys)


def written(one, path):
    for name, data in one.files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    if not one.files:
        path.write_bytes(one.tar)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("form", ["oci", "docker-oci", "oci-archive", "dir"])
def test_a_copied_layer_without_its_diff_id_is_a_fault_of_the_source(form, compressed, tmp_path, capsys):
    """Only reading the result back unpacks the layer: it is written as the manifest says."""
    layer = {"layer": squeezed(PLAIN), "layer_type": LAYER_GZIP} if compressed else {}
    source = tmp_path / "in.tar"
    source.write_bytes(Layout(config=config("sha256:" + "1" * 64), **layer).build())
    status = run([str(source), "--to", form, str(tmp_path / "out"), "--verify-output"])
    said = capsys.readouterr().err
    assert (status, str(source) in said, list(tmp_path.iterdir())) == (3, True, [source]), said


def test_a_name_of_an_image_without_layers_is_in_no_repositories(tmp_path, capsys):
    empty = config()
    empty["rootfs"]["diff_ids"] = []
    source, out = tmp_path / "in.tar", tmp_path / "out.tar"
    items = [
        {"Config": f"{name}.json", "RepoTags": [f"example.com/{name}:1"], "Layers": layers}
        for name, layers in (("empty", []), ("full", ["layer.tar"]))
    ]
    members = [("empty.json", dump(empty)), ("full.json", dump(config())), ("layer.tar", PLAIN)]
    source.write_bytes(tar(*members, ("manifest.json", dump(items))))
    assert run([str(source), "--to", "docker-save", str(out)]) == 0
    assert rules(out, capsys) == set()


@pytest.mark.parametrize("seed", [*range(5), 114, 239])
def test_generated_sources(seed, tmp_path, capsys):
    path = tmp_path / "in"
    written(source(seed), path)
    for number, form in enumerate(FORMATS):
        place = tmp_path / str(number)
        place.mkdir()
        check(path, form, place, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 500, 50))
def test_many_generated_sources(first, tmp_path, capsys):
    for seed in range(first, first + 50):
        place = tmp_path / str(seed)
        place.mkdir()
        test_generated_sources(seed, place, capsys)
