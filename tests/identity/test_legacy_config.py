"""Configs for images saved before Docker 1.10, against what Docker 20.10.24 made of them."""

from __future__ import annotations

import json
from pathlib import Path

import fixtures
import pytest

from convert.errors import FormatError
from convert.identity import legacy_config
from convert.model.digest import Digest

ROOT = Path(__file__).parents[2]
IMAGES = json.loads((ROOT / "testdata/match/legacy-load.json").read_bytes())["images"]

DIFF_ID = Digest.of(b"layer")


def load(*documents: object) -> dict[str, object]:
    chain = [json.dumps(document).encode() for document in documents]
    raw = legacy_config.config_from_v1(chain, [DIFF_ID] * len(chain))
    loaded: dict[str, object] = json.loads(raw)
    return loaded


@pytest.mark.parametrize("count", range(1, len(IMAGES) + 1), ids=[image["tag"] for image in IMAGES])
def test_configs_and_image_ids_are_those_of_docker_load(count):
    """Each image of the file stands on the one before it."""
    chain = [image["v1_json"].encode() for image in IMAGES[:count]]
    diff_ids = [Digest.parse(image["layer_diff_id"]) for image in IMAGES[:count]]
    config = legacy_config.config_from_v1(chain, diff_ids)
    assert config.decode() == IMAGES[count - 1]["config"]
    assert str(Digest.of(config)) == IMAGES[count - 1]["image_id"]


@pytest.mark.parametrize(
    "version", ["1.8.3", "1.9", "20.10.24", "2", "1.8.3.0", "01.08.03", "1.9.0-dev", "1.9.-1", "9" * 5000]
)
def test_files_since_1_8_3_keep_unknown_keys_and_their_spelling(version):
    config = load({"docker_version": version, "os.features": ["x"], "container_config": {"Zed": 1}})
    assert config["os.features"] == ["x"]
    assert config["container_config"] == {"Zed": 1}


@pytest.mark.parametrize(
    "version", [None, "", "0.6.3", "1.8.2", "1.8", "1.8.3-rc1", "1.8.4-rc", "1.10-dev", "v2", "-1", "1.8.3.-1", "1_9"]
)
def test_older_files_go_through_dockers_struct(version):
    """Versions compare number by number; a part that is not a number counts as 0."""
    config = load({"docker_version": version, "Zed": 1, "container_config": {"Zed": 1}, "config": None})
    assert "Zed" not in config
    assert "config" not in config
    assert config["created"] == "0001-01-01T00:00:00Z"
    container = config["container_config"]
    assert isinstance(container, dict)
    assert container["Hostname"] == ""
    assert "Zed" not in container


def test_what_belongs_to_the_v1_image_alone_is_dropped():
    dropped = {"id": "x", "parent": "y", "Size": 1, "parent_id": "z", "layer_id": "z", "throwaway": True}
    config = load({"docker_version": "1.9", "foo": 1, **dropped})
    assert not config.keys() & dropped.keys()
    assert config["foo"] == 1


def test_every_v1_image_is_one_layer_and_one_step():
    config = load(
        {"created": "2013-06-13T14:03:50.80Z", "container_config": {"Cmd": ["/bin/sh", "-c", "x"]}, "author": "a"},
        {"comment": "c"},
    )
    assert config["rootfs"] == {"type": "layers", "diff_ids": [str(DIFF_ID)] * 2}
    assert config["history"] == [
        {"created": "2013-06-13T14:03:50.8Z", "author": "a", "created_by": "/bin/sh -c x"},
        {"created": "0001-01-01T00:00:00Z", "comment": "c"},
    ]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"[]", "^x.tar: aa/json: a v1 image must be a JSON object"),
        (b"null", "^x.tar: aa/json: a v1 image must be a JSON object"),
        (b'{"created":"x"}', "^x.tar: aa/json: created: 'x' is not a valid RFC 3339 time"),
        (b'{"config":{"Env":1}}', "^x.tar: aa/json: config.Env: expected an array of strings"),
        (b'{"id":"a","id":"b"}', "^x.tar: aa/json: .*occurs twice"),
    ],
)
def test_a_file_that_docker_does_not_read_is_refused_with_its_name(raw, message):
    with pytest.raises(FormatError, match=message):
        legacy_config.config_from_v1([raw], [DIFF_ID], where="x.tar", members=["aa/json"])
    with pytest.raises(FormatError, match=r"^v1 image 2 of 2: "):
        legacy_config.config_from_v1([b"{}", raw], [DIFF_ID] * 2)


def test_files_and_layers_must_be_as_many():
    for chain, diff_ids in (([], []), ([b"{}"], [])):
        with pytest.raises(ValueError, match="v1 images"):
            legacy_config.config_from_v1(chain, diff_ids)


def test_the_golden_file_is_that_of_the_shared_vectors():
    assert json.loads(fixtures.get("vectors/legacy-load.json").read_bytes())["images"] == IMAGES
