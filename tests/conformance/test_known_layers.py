"""The list of known layers saves work and is never believed."""

import json

from oracle.reading import check
from support import MATCH, run

SOURCE = MATCH / "docker20-html.tar.gz"
LIST = ".imgconv-layers.json"


def test_a_forged_list_of_layers_changes_no_image(tmp_path):
    """A stranger's layout maps each DiffID to another layer's blob."""
    layout, honest = tmp_path / "layout", tmp_path / "honest"
    assert run(SOURCE, "--to", "oci", layout).returncode == 0
    assert run(SOURCE, "--to", "oci", honest).returncode == 0
    forged = json.loads((layout / LIST).read_text())
    layers = forged["profiles"]["go1.26-1"]
    names = list(layers)
    forged["profiles"]["go1.26-1"] = {
        name: layers[other] for name, other in zip(names, names[1:] + names[:1], strict=True)
    }
    (layout / LIST).write_text(json.dumps(forged))
    for each in (layout, honest):
        assert run(SOURCE, "--tag", "example.com/second:2", "--to", "oci", each, "--append").returncode == 0
    assert (layout / "index.json").read_bytes() == (honest / "index.json").read_bytes()
    assert {image.manifest for image in check(layout, "oci")} == {image.manifest for image in check(honest, "oci")}


def test_a_list_that_is_no_list_is_passed_over(tmp_path):
    layout = tmp_path / "layout"
    assert run(SOURCE, "--to", "oci", layout).returncode == 0
    (layout / LIST).write_bytes(b'{"version":1,"profiles":{"go1.26-1":[]}}')
    assert run(SOURCE, "--tag", "example.com/second:2", "--to", "oci", layout, "--append").returncode == 0
    check(layout, "oci")
