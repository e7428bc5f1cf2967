"""Manifests that mix Docker's media types with OCI's, as kaniko wrote them on OCI bases."""

import json
from pathlib import Path

import pytest
from layouts import CONFIG, DOCKER, GZIP, LAYER, MANIFEST, Layout, digest_of, dumps, named, packed, tar_of

DOCKER_GZIP = DOCKER + "image.rootfs.diff.tar.gzip"
DOCKER_CONFIG = DOCKER + "container.image.v1+json"
SCHEMA_2 = DOCKER + "distribution.manifest.v2+json"
ALL_OCI = (MANIFEST, CONFIG, (GZIP, GZIP))
ALL_DOCKER = (SCHEMA_2, DOCKER_CONFIG, (DOCKER_GZIP, DOCKER_GZIP))
MIXED = {
    "a layer of Docker's in OCI": (MANIFEST, CONFIG, (DOCKER_GZIP, GZIP)),
    "layers of Docker's in OCI": (MANIFEST, CONFIG, (DOCKER_GZIP, DOCKER_GZIP)),
    "a config of Docker's in OCI": (MANIFEST, DOCKER_CONFIG, (GZIP, GZIP)),
    "a layer of OCI's in schema 2": (SCHEMA_2, DOCKER_CONFIG, (GZIP, DOCKER_GZIP)),
    "a config of OCI's in schema 2": (SCHEMA_2, CONFIG, (DOCKER_GZIP, DOCKER_GZIP)),
    "an uncompressed layer of OCI's in schema 2": (SCHEMA_2, DOCKER_CONFIG, (LAYER, DOCKER_GZIP)),
}


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """Write a layout whose image has these media types; gives its path."""
    monkeypatch.chdir(tmp_path)

    def write(manifest, config, layers):
        built = Layout("in")
        plain = [tar_of(str(number)) for number in range(len(layers))]
        blobs = [
            built.blob(raw if kind == LAYER else packed(raw), kind) for raw, kind in zip(plain, layers, strict=True)
        ]
        described = built.config(map(digest_of, plain)) | {"mediaType": config}
        document = {"schemaVersion": 2, "mediaType": manifest, "config": described, "layers": blobs}
        return built.write(named(built.blob(dumps(document), manifest), "docker.io/library/app:1"))

    return write


def types(folder):
    """Return the media types of the only image of a layout."""
    index = json.loads(Path(folder, "index.json").read_bytes())
    path = index["manifests"][0]["digest"].replace(":", "/")
    document = json.loads(Path(folder, "blobs", path).read_bytes())
    return document["mediaType"], document["config"]["mediaType"], [each["mediaType"] for each in document["layers"]]


@pytest.mark.parametrize("mixed", MIXED.values(), ids=MIXED)
@pytest.mark.parametrize("wanted", ["oci", "docker"])
def test_a_new_manifest_is_of_one_family(imgconv, layout, mixed, wanted):
    assert imgconv(layout(*mixed), "--to", "oci", "--manifest-type", wanted, "out", "-q").status == 0
    found = types("out")
    assert all(each.startswith(DOCKER) == (wanted == "docker") for each in (found[0], found[1], *found[2]))
    assert imgconv("validate", "out").status == 0


@pytest.mark.parametrize("mixed", MIXED.values(), ids=MIXED)
def test_kept_as_it_is_unless_asked(imgconv, layout, mixed):
    assert imgconv(layout(*mixed), "--to", "oci", "out", "-q").status == 0
    assert types("out") == (mixed[0], mixed[1], list(mixed[2]))


@pytest.mark.parametrize("mixed", MIXED.values(), ids=MIXED)
def test_validate_warns(imgconv, layout, mixed):
    done = imgconv("validate", layout(*mixed))
    assert done.status == 1
    assert "warning" in done.out
    assert "[docker-type]" in done.out


@pytest.mark.parametrize(("sound", "wanted"), [(ALL_OCI, "oci"), (ALL_DOCKER, "docker")])
def test_one_family_is_kept_and_sound(imgconv, layout, sound, wanted):
    source = layout(*sound)
    assert imgconv("validate", source).status == 0
    done = imgconv(source, "--to", "oci", "--manifest-type", wanted, "out")
    assert done.status == 0
    assert "became" not in done.err
    assert types("out") == (sound[0], sound[1], list(sound[2]))
