"""Go structs: which keys are found, what a zero value looks like, what does not fit."""

from __future__ import annotations

import pytest

from convert import gostruct
from convert.errors import FormatError
from convert.gostruct import Field, Omit, Struct

INNER = Struct((Field("Test", gostruct.strings, Omit.EMPTY),))
STRUCT = Struct(
    (
        Field("Name", gostruct.string),
        Field("Note", gostruct.string, Omit.EMPTY),
        Field("Count", gostruct.integer_pointer, Omit.NIL),
        Field("Inner", INNER.pointer, Omit.NIL),
        Field("Set", gostruct.string_set),
    )
)


def test_missing_and_null_are_zero_values_in_order_of_declaration():
    zero = {"Name": "", "Set": None}
    for value in (None, {}, {"Name": None, "Note": None, "Count": None, "Inner": None, "Set": None}):
        read = STRUCT.read(value, "")
        assert read == zero
        assert list(read) == list(zero)


def test_a_pointer_keeps_what_omitempty_would_drop_from_a_value():
    read = STRUCT.read({"Count": 0, "Inner": {}, "Note": ""}, "")
    assert read == {"Name": "", "Count": 0, "Inner": {}, "Set": None}


def test_unknown_keys_vanish():
    assert "Other" not in STRUCT.read({"Other": 1}, "")


def test_keys_match_in_any_letter_case_but_not_twice():
    assert STRUCT.read({"NAME": "x", "inner": {"tEST": ["y"]}}, "")["Inner"] == {"Test": ["y"]}
    with pytest.raises(FormatError, match="mean the same"):
        STRUCT.read({"Name": "x", "name": "x"}, "")


def test_many_unknown_keys_hide_none_that_is_known():
    many = {f"key{number}": number for number in range(50)}
    assert STRUCT.read(many | {"NOTE": "x"}, "") == {"Name": "", "Note": "x", "Set": None}
    with pytest.raises(FormatError, match="mean the same"):
        STRUCT.read(many | {"NOTE": "x", "note": "y"}, "")


def test_sets_are_sorted_and_their_values_emptied():
    assert list(STRUCT.read({"Set": {"b": {"x": 1}, "a": None}}, "")["Set"].items()) == [("a", {}), ("b", {})]


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (gostruct.string, 1, "at: expected a string, found a number"),
        (gostruct.string, ["x"], "at: expected a string, found an array"),
        (gostruct.boolean, 1, "at: expected true or false, found a number"),
        (gostruct.integer, 1.0, "at: expected a 64-bit integer, found a number"),
        (gostruct.integer, True, "at: expected a 64-bit integer, found a boolean"),
        (gostruct.integer, 1 << 63, "at: expected a 64-bit integer, found a number"),
        (gostruct.strings, "x", "at: expected an array of strings, found a string"),
        (gostruct.strings, ["x", 1], r"at\[1\]: expected a string, found a number"),
        (gostruct.string_or_strings, {}, "at: expected an array of strings, found an object"),
        (gostruct.string_map, [], "at: expected an object of strings, found an array"),
        (gostruct.string_map, {"k": 1}, r"at\['k'\]: expected a string, found a number"),
        (gostruct.string_set, "x", "at: expected an object of empty objects, found a string"),
        (gostruct.string_set, {"k": True}, r"at\['k'\]: expected an empty object, found a boolean"),
        (gostruct.time, 0, "at: expected a string, found a number"),
        (gostruct.time, "x", "at: 'x' is no RFC 3339 time"),
        (INNER.read, [], "at: expected an object, found an array"),
        (INNER.read, {"Test": False}, "at.Test: expected an array of strings, found a boolean"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(read, value, message):
    with pytest.raises(FormatError, match=message):
        read(value, "at")


@pytest.mark.parametrize(
    ("read", "value", "result"),
    [
        (gostruct.integer, -(1 << 63), -(1 << 63)),
        (gostruct.strings, [], []),
        (gostruct.strings, ["x", None], ["x", ""]),
        (gostruct.string_or_strings, "", [""]),
        (gostruct.string_map, {"b": "2", "a": None}, {"a": "", "b": "2"}),
        (gostruct.time, None, "0001-01-01T00:00:00Z"),
        (gostruct.time_pointer, None, None),
        (gostruct.time_pointer, "2020-02-02T02:02:02.120+00:00", "2020-02-02T02:02:02.12Z"),
    ],
)
def test_what_fits_is_read_as_go_reads_it(read, value, result):
    assert read(value, "at") == result
