"""Go's JSON: golden bytes that Go itself printed, and laws that hold for any value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.errors import FormatError
from convert.jsonio import go_encode
from convert.jsonio.go_encode import RawJSON, dumps, members, sorted_map

GOLDEN = json.loads((Path(__file__).parents[2] / "testdata/match/gojson.json").read_bytes())

TEXTS = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from('<>&\u2028\u2029\b\f\n\r\t\\"/\x7f\0😀'))
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def as_any(value):
    """Return what Go holds after decoding into an interface: maps sorted, numbers float64."""
    if isinstance(value, dict):
        return sorted_map({key: as_any(item) for key, item in value.items()})
    if isinstance(value, list):
        return [as_any(item) for item in value]
    return value


def parsed(document: str):
    return as_any(json.loads(document, parse_int=float))


@pytest.mark.parametrize("case", GOLDEN["encodings"], ids=lambda case: case["document"][:30])
class TestGolden:
    def test_values_are_marshalled_as_go_does(self, case):
        assert dumps(parsed(case["document"])).decode() == case["any"]

    def test_old_escapes_are_those_of_go_1_21(self, case):
        old = dumps(parsed(case["document"]), escape_old=True)
        assert old.decode() == case.get("any_old", case["any"])

    def test_raw_json_is_compacted_as_go_does(self, case):
        assert dumps(RawJSON(case["document"].encode())).decode() == case["raw"]

    def test_indented_values_are_spread_as_go_does(self, case):
        assert dumps(parsed(case["document"]), indent="   ").decode() == case["indented"]

    def test_members_of_an_object_keep_their_bytes_as_in_go(self, case):
        if "members" not in case:
            with pytest.raises(FormatError):
                members(case["document"].encode())
        else:
            assert dumps(sorted_map(members(case["document"].encode()))).decode() == case["members"]


def as_floats(value):
    """Return the value with its numbers rounded as Go's float64 is, which writes 1e16 as an integer."""
    return json.loads(json.dumps(value), parse_int=float)


@given(VALUES)
def test_what_is_written_reads_back_as_the_same_value(value):
    for written in (dumps(value), dumps(value, escape_old=True), dumps(value, indent=" ")):
        assert json.loads(written, parse_int=float) == as_floats(value)


@given(VALUES, st.booleans(), st.sampled_from([None, 1, "\t", "\r\n"]))
def test_raw_json_of_any_spelling_keeps_its_value_and_settles_at_once(value, ascii_only, indent):
    document = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    written = dumps(RawJSON(document))
    assert json.loads(written) == value
    assert dumps(RawJSON(written)) == written


@given(st.dictionaries(TEXTS, VALUES, max_size=5), st.sampled_from([None, 2]))
def test_members_are_the_top_level_of_a_document_in_its_order(value, indent):
    found = members(json.dumps(value, indent=indent).encode())
    assert list(found) == list(value)
    assert {key: json.loads(item.raw) for key, item in found.items()} == value


@given(st.dictionaries(TEXTS, st.none()))
def test_maps_are_sorted_by_the_bytes_of_their_keys(value):
    assert [key.encode() for key in sorted_map(value)] == sorted(key.encode() for key in value)


def test_mappings_keep_their_order_which_is_a_structs():
    assert dumps({"b": 1, "a": 2}) == b'{"b":1,"a":2}'


def test_tuples_are_arrays():
    assert dumps((1, (), "x")) == b'[1,[],"x"]'


def test_integers_of_any_size_keep_every_digit():
    """Unlike Go's float64, int64 fields and sizes are exact."""
    assert dumps(9223372036854775807) == b"9223372036854775807"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "\ud800", {"\udfff": 1}])
def test_what_go_cannot_hold_is_refused(value):
    with pytest.raises(ValueError):
        dumps(value)


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": {None: 1}}, {1, 2}])
def test_what_json_has_no_form_for_is_refused(value):
    with pytest.raises(TypeError):
        dumps(value)


def test_huge_strings_take_no_more_than_one_pass():
    """No pattern may go back: a hostile string of backslashes would hang."""
    document = b'{"a":"' + b"\\\\" * 500_000 + b'"}'
    assert go_encode.dumps(RawJSON(document)) == document
    assert members(document)["a"].raw == document[5:-1]
