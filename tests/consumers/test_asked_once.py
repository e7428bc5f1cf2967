"""`doctor` looks at an archive once, however many consumers it asks about."""

from __future__ import annotations

import collections

from hostile.building import Docker

import convert
from convert.consumers import values
from convert.consumers.consumer import newest
from convert.jsonio.go_struct import Struct
from convert.model.reference import Reference

TAGS = [f"example.com/app:{number}" for number in range(20)]


def test_each_name_is_parsed_once_for_all_consumers(tmp_path, monkeypatch):
    source = tmp_path / "in.tar"
    source.write_bytes(Docker(tags=TAGS).build())
    parsed = collections.Counter()
    real = Reference.parse

    def parse(text):
        parsed[text] += 1
        return real(text)

    monkeypatch.setattr(Reference, "parse", parse)
    report = convert.doctor(source)
    assert len(report.diagnoses) == len(newest())
    assert len(report.diagnoses[0].known) == len(TAGS)
    # By the reader, and for the rules of all consumers.
    assert {parsed[text] for text in TAGS} == {2}


def test_consumers_that_name_alike_share_the_names(tmp_path):
    source = tmp_path / "in.tar"
    source.write_bytes(Docker(tags=TAGS).build())
    known = {
        str(each.consumer): each.known for each in convert.doctor(source, consumers=["containerd", "k3s"]).diagnoses
    }
    assert len(known) == 2
    assert len({id(each) for each in known.values()}) == 1


def test_a_config_of_many_images_is_searched_and_decoded_once(tmp_path, monkeypatch):
    """A thousand images of one config with 20,000 keys took 26 seconds."""
    source = tmp_path / "in.tar"
    item = {"Config": "config.json", "Layers": ["layer.tar"]}
    source.write_bytes(Docker(manifest=[item | {"RepoTags": [tag]} for tag in TAGS]).build())
    asked = collections.Counter()
    real_get, real_read = values.get, Struct.read

    def get(value, name):
        asked[name] += 1
        return real_get(value, name)

    def read(struct, value, at):
        if not at and "rootfs" in value:
            asked[struct] += 1
        return real_read(struct, value, at)

    monkeypatch.setattr(values, "get", get)
    monkeypatch.setattr(Struct, "read", read)
    convert.doctor(source)
    of_config = {name: asked[name] for name in ("rootfs", "os", "history", "config")}
    decoded = {key: count for key, count in asked.items() if isinstance(key, Struct)}
    assert decoded
    assert max((of_config | decoded).values()) < len(TAGS), of_config
