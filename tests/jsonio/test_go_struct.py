"""Go structs: which keys are found, what a zero value looks like, what does not fit."""

from __future__ import annotations

import pytest

from convert.errors import FormatError
from convert.jsonio import go_values
from convert.jsonio.go_struct import Field, Omit, Struct

INNER = Struct((Field("Test", go_values.strings, Omit.EMPTY),))
STRUCT = Struct(
    (
        Field("Name", go_values.string),
        Field("Note", go_values.string, Omit.EMPTY),
        Field("Count", go_values.integer_pointer, Omit.NIL),
        Field("Inner", INNER.pointer, Omit.NIL),
        Field("Set", go_values.string_set),
    )
)


def test_missing_and_null_are_zero_values_in_order_of_declaration():
    zero = {"Name": "", "Set": None}
    for value in (None, {}, {"Name": None, "Note": None, "Count": None, "Inner": None, "Set": None}):
        read = STRUCT.read(value, "")
        assert read == zero
        assert list(read) == list(zero)


def test_a_zero_value_that_can_change_is_new_each_time():
    struct = Struct((Field("a", Struct((Field("b", go_values.strings),)).read), Field("c", go_values.array)))
    first, second = struct.read({}, ""), struct.read({}, "")
    assert first == second == {"a": {"b": None}, "c": []}
    assert first["a"] is not second["a"]
    assert first["c"] is not second["c"]


def test_a_field_that_needs_a_value_is_refused_without_one():
    def needed(value, at):
        if value is None:
            raise go_values.misfit(at, "a string", value)
        return value

    struct = Struct((Field("a", needed),))
    assert struct.read({"A": "x"}, "") == {"a": "x"}
    with pytest.raises(FormatError, match=r"x\.a: expected a string, found null"):
        struct.read({}, "x")


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
        (go_values.string, 1, "at: expected a string, found a number"),
        (go_values.string, ["x"], "at: expected a string, found an array"),
        (go_values.boolean, 1, "at: expected true or false, found a number"),
        (go_values.integer, 1.0, "at: expected a 64-bit integer, found a number"),
        (go_values.integer, True, "at: expected a 64-bit integer, found a boolean"),
        (go_values.integer, 1 << 63, "at: expected a 64-bit integer, found a number"),
        (go_values.strings, "x", "at: expected an array of strings, found a string"),
        (go_values.strings, ["x", 1], r"at\[1\]: expected a string, found a number"),
        (go_values.string_or_strings, {}, "at: expected an array of strings, found an object"),
        (go_values.string_map, [], "at: expected an object of strings, found an array"),
        (go_values.string_map, {"k": 1}, r"at\['k'\]: expected a string, found a number"),
        (go_values.string_set, "x", "at: expected an object of empty objects, found a string"),
        (go_values.string_set, {"k": True}, r"at\['k'\]: expected an empty object, found a boolean"),
        (go_values.time, 0, "at: expected a string, found a number"),
        (go_values.time, "x", "at: 'x' is not a valid RFC 3339 time"),
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
        (go_values.integer, -(1 << 63), -(1 << 63)),
        (go_values.strings, [], []),
        (go_values.strings, ["x", None], ["x", ""]),
        (go_values.string_or_strings, "", [""]),
        (go_values.string_map, {"b": "2", "a": None}, {"a": "", "b": "2"}),
        (go_values.time, None, "0001-01-01T00:00:00Z"),
        (go_values.time_pointer, None, None),
        (go_values.time_pointer, "2020-02-02T02:02:02.120+00:00", "2020-02-02T02:02:02.12Z"),
    ],
)
def test_what_fits_is_read_as_go_reads_it(read, value, result):
    assert read(value, "at") == result
