"""`inspect --encoders`: the encoder of each layer, verified over its bytes."""

import zlib

import pytest
from hostile.building import Docker, config, sha256, tar

from convert.codec.gzip_header import klauspost


def encoders(done):
    assert done.status == 0
    return {layer["encoder"] for image in done.json["images"] for layer in image["layers"]}


@pytest.mark.parametrize("profile", ["go1.26-6", "go1.27-1", "zstd-3"])
def test_layers_of_a_profile_are_told(imgconv, archive, profile):
    """That a profile's bytes are those of Go is tested elsewhere, against Go."""
    assert imgconv(archive("docker20-html"), "--to", "oci", "layout", "--compress", profile).status == 0
    assert encoders(imgconv("inspect", "layout", "--encoders", "--json")) == {profile}


def test_layers_that_podman_compressed_are_told(imgconv, archive):
    assert {
        name.partition("1.")[0]
        for name in encoders(imgconv("inspect", archive("podman-oci-archive"), "--encoders", "--json"))
    } == {"pgzip"}


def test_uncompressed_layers_have_no_encoder(imgconv, archive):
    assert encoders(imgconv("inspect", archive("docker20-html"), "--encoders", "--json")) == {None}


def test_an_unrecognised_encoder_is_named_by_its_header(imgconv, tmp_path):
    """Zlib with another memLevel, behind the header that pgzip writes."""
    packed = zlib.compressobj(6, zlib.DEFLATED, -15, 1)
    plain = tar(("words", b" ".join(b"%x" % (number * number) for number in range(20_000))))
    body = packed.compress(plain) + packed.flush()
    trailer = zlib.crc32(plain).to_bytes(4, "little") + len(plain).to_bytes(4, "little")
    layer = klauspost(5).to_bytes() + body + trailer
    source = Docker(config=config(sha256(plain)), layers={"layer.tar": layer})
    (tmp_path / "in.tar").write_bytes(source.build())
    done = imgconv("inspect", tmp_path / "in.tar", "--encoders", "--json")
    assert encoders(done) == {None}
    (layer,) = done.json["images"][0]["layers"]
    assert layer["encoder_hint"].startswith("pgzip, unknown generation")
    assert layer["encoder_members"] is None
    assert "pgzip, unknown generation" in imgconv("inspect", tmp_path / "in.tar", "--encoders").out
