"""`inspect --encoders`: the encoder of each layer, proved over its bytes."""

import pytest


@pytest.mark.parametrize(
    ("name", "encoders"),
    [("crane-tarball", {"go1.26-1"}), ("podman-oci-archive", {None}), ("docker20-html", {None})],
)
def test_each_layer_is_told_where_its_maker_is_known(imgconv, archive, name, encoders):
    """crane's archive was pulled from what a crane built with Go 1.26 had pushed; podman's is pgzip."""
    done = imgconv("inspect", archive(name), "--encoders", "--json")
    assert done.status == 0
    assert {layer["encoder"] for image in done.json["images"] for layer in image["layers"]} == encoders


def test_what_nobody_known_compressed_is_called_unknown(imgconv, archive):
    assert "unknown" in imgconv("inspect", archive("podman-oci-archive"), "--encoders").out
    assert "unknown" not in imgconv("inspect", archive("docker20-html"), "--encoders").out
