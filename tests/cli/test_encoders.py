"""`inspect --encoders`: the encoder of each layer, verified over its bytes."""

import pytest


def encoders(done):
    assert done.status == 0
    return {layer["encoder"] for image in done.json["images"] for layer in image["layers"]}


@pytest.mark.parametrize("profile", ["go1.26-6", "go1.27-1", "zstd-3"])
def test_layers_of_a_profile_are_told(imgconv, archive, profile):
    """That a profile's bytes are those of Go is tested elsewhere, against Go."""
    assert imgconv(archive("docker20-html"), "--to", "oci", "layout", "--compress", profile).status == 0
    assert encoders(imgconv("inspect", "layout", "--encoders", "--json")) == {profile}


@pytest.mark.parametrize("name", ["podman-oci-archive", "docker20-html"])
def test_pgzip_and_uncompressed_layers_have_no_encoder(imgconv, archive, name):
    assert encoders(imgconv("inspect", archive(name), "--encoders", "--json")) == {None}


def test_an_unrecognised_encoder_is_reported_as_unknown(imgconv, archive):
    assert "unknown" in imgconv("inspect", archive("podman-oci-archive"), "--encoders").out
    assert "unknown" not in imgconv("inspect", archive("docker20-html"), "--encoders").out
