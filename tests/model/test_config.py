"""Configs: what is read of them, as tolerantly as Docker, as strictly as the parser."""

from __future__ import annotations

import contextlib
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.errors import FormatError, InputError, UnsafeInputError
from convert.jsonio import go_values
from convert.jsonio.go_struct import Field, Struct
from convert.limits import MAX_LAYERS
from convert.model.config import Config, HistoryEntry
from convert.model.digest import Digest
from convert.model.platform import Platform

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64


def parse(document: object) -> Config:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Config.parse(raw, where="x.tar", member="config.json")


def test_the_image_id_is_the_digest_of_the_bytes_as_they_came():
    raw = b' {"os" : "linux"}\n'
    assert parse(raw).raw == raw
    assert parse(raw).digest.hex == hashlib.sha256(raw).hexdigest()


def test_the_parts_of_an_ordinary_config_are_read():
    config = parse(
        {
            "architecture": "arm",
            "os": "linux",
            "variant": "v7",
            "os.version": "10",
            "created": "2020-02-02T02:02:02.5+02:00",
            "rootfs": {"type": "layers", "diff_ids": [A, B]},
            "history": [
                {"created": "2020-01-01T00:00:00Z", "created_by": "ADD", "comment": "c", "author": "me"},
                {"created_by": "ENV", "empty_layer": True},
                {"created_by": "RUN"},
            ],
        }
    )
    assert config.platform == Platform("linux", "arm", "v7", "10")
    assert config.diff_ids == (Digest.parse(A), Digest.parse(B))
    assert config.created == "2020-02-02T02:02:02.5+02:00"
    assert config.created_seconds == 1580601722
    first = HistoryEntry("2020-01-01T00:00:00Z", "ADD", "me", "c", empty_layer=False)
    assert config.history[0] == first
    assert config.history_for_layers() == (first, HistoryEntry(created_by="RUN"))
    assert config.warnings == ()


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"rootfs": None, "history": None, "created": None, "os": None, "config": None},
        {"rootfs": {"type": "layers", "diff_ids": None}, "history": []},
    ],
)
def test_what_is_missing_or_null_is_empty(document):
    config = parse(document)
    assert config.diff_ids == ()
    assert config.history == ()
    assert config.history_for_layers() == ()
    assert config.platform == Platform("", "")
    assert config.created is None
    assert config.created_seconds == 0
    assert config.parent is None


def test_the_machines_own_platform_is_never_filled_in():
    """Docker takes its own system for a config without `os`."""
    assert parse({"architecture": "amd64"}).platform == Platform("", "amd64")


def test_keys_are_found_in_any_letter_case_and_said():
    config = parse({"OS": "linux", "rootfS": {"Diff_IDs": [A]}, "History": [{"Created_By": "x"}, None]})
    assert config.platform.os == "linux"
    assert config.diff_ids == (Digest.parse(A),)
    assert config.history == (HistoryEntry(created_by="x"), HistoryEntry())
    assert 'key "rootfS" read as "rootfs"' in config.warnings
    assert len(config.warnings) == 5


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"os":"a","os":"b"}', "occurs twice"),
        (b'{"os":"a","OS":"b"}', "mean the same"),
        (b'{"os":1}', "os: expected a string, found a number"),
        (b'{"created":1}', "created: expected a string"),
        (b'{"rootfs":[]}', "rootfs: expected an object"),
        (b'{"rootfs":{"diff_ids":"x"}}', "rootfs.diff_ids: expected an array of strings"),
        (b'{"rootfs":{"diff_ids":["x"]}}', r"rootfs.diff_ids\[0\]: 'x' is not a valid digest"),
        (b'{"rootfs":{"diff_ids":[null]}}', r"rootfs.diff_ids\[0\]: '' is not a valid digest"),
        (b'{"history":{}}', "history: expected an array"),
        (b'{"history":[{},1]}', r"history\[1\]: expected an object"),
        (b'{"history":[{"empty_layer":"yes"}]}', r"history\[0\].empty_layer: expected true or false"),
        (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", "nested deeper"),
        (b'{"a":"' + b"x" * (4 << 20) + b'"}', "bytes, more than"),
        (b"{", "not valid JSON"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_damaged_config_is_refused_in_one_line_that_names_it(document, message):
    with pytest.raises(FormatError, match=message) as caught:
        parse(document)
    text = str(caught.value)
    assert text.startswith("x.tar: config.json: ")
    assert "\n" not in text


def test_more_layers_than_any_image_has_are_refused():
    with pytest.raises(UnsafeInputError, match=f"more than the {MAX_LAYERS} allowed") as caught:
        parse({"rootfs": {"diff_ids": [A] * (MAX_LAYERS + 1)}})
    assert caught.value.member == "config.json"
    assert len(parse({"rootfs": {"diff_ids": [A] * MAX_LAYERS}}).diff_ids) == MAX_LAYERS


def test_a_history_longer_than_any_images_is_refused():
    with pytest.raises(UnsafeInputError, match="history: 100001 entries"):
        parse({"history": [{}] * 100_001})


@pytest.mark.parametrize(
    ("created", "seconds"),
    [("1960-02-02T02:02:02Z", 0), ("2300-01-01T00:00:00Z", 0), ("2250-01-01T00:00:00.5Z", 8835955200)],
)
def test_created_seconds_are_those_docker_can_set(created, seconds):
    assert parse({"created": created}).created_seconds == seconds


def test_a_creation_time_that_is_none_is_refused_only_where_it_is_needed():
    config = parse({"created": "yesterday"})
    assert config.created == "yesterday"
    with pytest.raises(FormatError, match=r"^x\.tar: config\.json: created: 'yesterday' is not a valid RFC 3339 time"):
        _ = config.created_seconds


@pytest.mark.parametrize(
    ("image", "parent"),
    [(A, Digest.parse(A)), ("", None), (None, None), ("busybox", None), ("sha256:12", None), (7, None)],
)
def test_the_parent_is_the_image_id_that_the_classic_builder_left(image, parent):
    assert parse({"config": {"Image": image}}).parent == parent


def test_fields_are_found_at_any_depth_and_absent_ones_are_none():
    config = parse({"config": {"labels": {"a": "b"}}, "os": "linux"})
    assert config.field("config", "Labels") == {"a": "b"}
    assert config.field("config", "Env") is None
    assert config.field("os", "deeper") is None
    with pytest.raises(FormatError, match=r"^x\.tar: config\.json: "):
        parse({"config": {"Env": 1, "env": 2}}).field("config", "Env")


@given(st.lists(st.booleans(), max_size=6), st.integers(0, 6))
def test_history_is_paired_with_layers_only_where_the_numbers_agree(empties, layers):
    history = [{"created_by": str(index), "empty_layer": empty} for index, empty in enumerate(empties)]
    pairs = parse({"rootfs": {"diff_ids": [A] * layers}, "history": history}).history_for_layers()
    if empties.count(False) == layers:
        assert pairs is not None
        assert [int(entry.created_by) for entry in pairs] == [i for i, empty in enumerate(empties) if not empty]
    else:
        assert pairs is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "os",
                        "OS",
                        "rootfs",
                        "diff_ids",
                        "history",
                        "created",
                        "created_by",
                        "empty_layer",
                        "config",
                        "Image",
                    ]
                ),
                inner,
            )
        ),
        max_leaves=8,
    )
)
def test_any_document_is_read_or_refused(document):
    with contextlib.suppress(InputError):
        config = parse(document)
        assert config.created_seconds >= 0
        assert config.parent is None


def test_a_config_is_decoded_once_for_each_struct():
    """Thousands of manifests may share a config with a long history."""
    values = []

    def read(value, at):
        if value is not None:  # a struct asks for the zero value of each field once
            values.append(value)
        return go_values.string(value, at)

    config = Config.parse(b'{"author": 1, "os": "linux"}', where="x.tar", member="c")
    author, system = (Struct((Field(name, read),)) for name in ("author", "os"))
    for _ in range(3):
        assert "author" in config.decode_error(author)
        assert config.decode_error(system) == ""
    assert values == [1, "linux"]
