"""The functions compiled from schemas say of a document what jsonschema says of it."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonio.test_schema import SOUND

from convert.jsonio import schema
from convert.jsonio.schema_accepts import Unsure, compile_schema

_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 1, 2, 2.0, True, "", "sha256:x", "layers", {}, []]),
    st.text(max_size=5),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)


def _places(value, path=()):
    """Yield the path of every value in a document."""
    yield path
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _places(below, (*path, key))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _places(below, (*path, number))


def _changed(document, data):
    """Return the document with one value replaced or removed, or one key spelled differently."""
    document = copy.deepcopy(document)
    path = data.draw(st.sampled_from(list(_places(document))))
    if not path:
        return data.draw(_VALUES)
    inside = document
    for step in path[:-1]:
        inside = inside[step]
    what = data.draw(st.sampled_from(["value", "gone", "case", "more"]))
    if what == "gone":
        del inside[path[-1]]
    elif what == "case" and isinstance(path[-1], str):
        inside[data.draw(st.sampled_from([path[-1].upper(), path[-1].title()]))] = inside.pop(path[-1])
    elif what == "more" and isinstance(path[-1], str):
        inside[data.draw(st.sampled_from([path[-1].upper(), "more", "manifests", "config"]))] = data.draw(_VALUES)
    else:
        inside[path[-1]] = data.draw(_VALUES)
    return document


@pytest.mark.parametrize("name", sorted(SOUND))
def test_sound_documents_are_accepted(name):
    """Without jsonschema."""
    assert schema._check(name)(SOUND[name]) is True


@settings(max_examples=40, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", sorted(SOUND))
def test_the_answer_is_that_of_jsonschema(name, data):
    """Or there is none; a changed document is judged in the same way."""
    document = SOUND[name]
    for _ in range(data.draw(st.integers(1, 3))):
        document = _changed(document, data)
    errors = list(schema._validator(name).iter_errors(document))
    try:
        accepted = schema._check(name)(document)
    except Unsure:
        return
    assert accepted == (not errors), document


def test_an_unknown_keyword_is_left_to_jsonschema():
    """As a schema of later."""
    with pytest.raises(Unsure):
        compile_schema({"type": "string", "format": "date"})("x")
