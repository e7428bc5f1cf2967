"""The limits on the layers of all images of a source: every command refuses the same sources."""

from __future__ import annotations

import pytest
from hostile.building import Docker, config
from hostile.dimensions import DIMENSIONS

import convert
from convert.model.digest import Digest
from convert.reader import document, layer_count
from convert.reader.findings import Severity
from convert.reader.layer_count import LayerCount

LAYERS = [Digest.of(b"%d" % number) for number in range(6)]
#: Sources of 300 layers; those of the last three have 300 together and 100 or less of their own.
DIFFERENT = ["layers", "layers_of_images", "layers_of_manifests", "v1_chain", "v1_images"]
SHARED = ["shared_layers", "shared_layers_of_manifests", "v1_shared_chains", "same_layers"]


def written(folder, dimension, size):
    path = folder / "in.tar"
    with open(path, "wb") as file:
        file.writelines(DIMENSIONS[dimension].make(size))
    return path


def refusals(source):
    """Return the codes with which commands refuse the layers of a source, "" where they do not."""
    found = []
    for call in (convert.identify, convert.inspect):
        codes = {problem.code for problem in call(source).problems}
        assert codes <= {"too-many-layers"}
        found.append("".join(codes))
    # That Docker loads at most 125 layers is a warning.
    refused = [each for each in convert.validate(source).findings if each.severity is Severity.ERROR]
    assert all("layers together" in each.message for each in refused), refused
    found.append("too-many-layers" if refused else "")
    return found


@pytest.mark.parametrize("dimension", DIFFERENT)
@pytest.mark.parametrize(("limit", "code"), [(300, ""), (299, "too-many-layers")])
def test_different_layers_are_limited(dimension, limit, code, tmp_path, monkeypatch):
    monkeypatch.setattr(layer_count, "MAX_DIFFERENT_LAYERS", limit)
    assert refusals(written(tmp_path, dimension, 300)) == [code] * 3


@pytest.mark.parametrize("dimension", SHARED)
def test_a_layer_that_images_share_counts_once_as_a_layer_of_its_own(dimension, tmp_path, monkeypatch):
    # v1_shared_chains(300): four chains of 75 share 74.
    monkeypatch.setattr(layer_count, "MAX_DIFFERENT_LAYERS", 300)
    monkeypatch.setattr(layer_count, "MAX_ALL_LAYERS", 300)
    source = written(tmp_path, dimension, 300)
    assert refusals(source) == [""] * 3
    monkeypatch.setattr(layer_count, "MAX_ALL_LAYERS", 299)
    assert refusals(source) == ["too-many-layers"] * 3


@pytest.mark.parametrize("to", ["docker-oci", "docker-save@25"])
def test_the_result_with_two_documents_is_not_refused_where_its_source_is_not(to, tmp_path, monkeypatch):
    """What both documents list was added up, so imgconv refused what it had written."""
    source, out = written(tmp_path, "layers_of_images", 300), tmp_path / "out.tar"
    convert.convert(source, out, to=to)
    monkeypatch.setattr(layer_count, "MAX_ALL_LAYERS", 300)
    monkeypatch.setattr(layer_count, "MAX_DIFFERENT_LAYERS", 300)
    monkeypatch.setattr(document, "MAX_ALL_IMAGES", 3)
    monkeypatch.setattr(document, "MAX_ALL_NAMES", 3)
    assert refusals(out) == [""] * 3


def test_other_bytes_or_another_diff_id_make_another_layer():
    count = LayerCount()
    count.add(["a", "b"], LAYERS[:2])
    count.add(["a", "b"], LAYERS[:2])
    assert len(count._different) == 2
    count.add(["a", "c"], [LAYERS[1], LAYERS[1]])
    assert len(count._different) == 4


def test_one_member_with_many_diff_ids_is_limited(tmp_path, monkeypatch):
    """Each is a layer that is hashed by itself."""
    monkeypatch.setattr(layer_count, "MAX_DIFFERENT_LAYERS", 5)
    source = tmp_path / "in.tar"
    source.write_bytes(Docker(config=config(*map(str, LAYERS)), item={"Layers": ["layer.tar"] * 6}).build())
    assert {problem.code for problem in convert.identify(source).problems} == {"too-many-layers"}
