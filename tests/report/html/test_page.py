"""What makes every page safe and bounded: escaping, codes for what cannot be seen, the policy, the size."""

from __future__ import annotations

import json
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import ChoiceLoader, DictLoader
from markupsafe import Markup
from report.html.pages import HOSTILE, Page

from convert.limits import MAX_PAGE_SIZE
from convert.report.html import page as pages
from convert.report.html.drawing import Drawing, element
from convert.report.html.room import Room, cut_data
from convert.report.html.text import shown
from convert.report.json_text import in_script

#: Each context in which templates print a value.
CONTEXTS = (
    '<p title="{{ x }}">{{ x }}</p><bdi>{{ x }}</bdi>{% set y = x ~ "" %}<td data-value="{{ y }}">{{ [x]|join }}</td>'
)


def rendered(template, most=None, **values):
    environment = pages._environment.__wrapped__()
    environment.loader = DictLoader({"one.html": template})
    with mock.patch.object(pages, "_environment", return_value=environment):
        return pages._Printer(2000, most).render("one.html", values)


def test_a_page_is_left_as_soon_as_it_is_too_large():
    """Only the texts of values counted, and a page of 17 MB was made before it was made smaller."""
    made = []
    rows = (made.append(row) or row for row in range(10_000))
    with pytest.raises(pages._TooLargeError):
        rendered("{% for row in rows %}<tr><td></td></tr>{% endfor %}", 1000, rows=rows)
    assert len(made) < 100


@pytest.mark.parametrize("text", HOSTILE)
def test_a_value_is_text_in_every_context_of_a_template(text):
    page = Page(rendered(CONTEXTS, x=text))
    assert [tag for tag, _ in page.elements] == ["p", "bdi", "td"]
    assert page.elements[0][1] == {"title": shown(text)}
    assert page.elements[2][1] == {"data-value": shown(text)}
    assert [data for _, data in page.texts] == [shown(text)] * 3


@given(st.text())
def test_a_shown_text_has_no_character_that_hides_or_reorders_others(text):
    page = Page(rendered("<p>{{ x }}</p>", x=text))
    assert "".join(data for _, data in page.texts).strip() == shown(text).strip()
    assert shown(text).isprintable()
    shown(text).encode()  # no single surrogate


@given(st.text(), st.text())
def test_drawings_escape_attributes_and_texts(title, text):
    drawing = Drawing("d", 10, 20, title, text)
    drawing.add(element("a", {"href": "#x", "aria-label": text}, element("text", {"x": 1.25}, text)))
    page = Page(str(drawing.markup()))
    assert [tag for tag, _ in page.elements] == ["svg", "title", "desc", "a", "text"]
    assert page.elements[3][1]["aria-label"] == shown(text)
    assert page.elements[4][1] == {"x": "1.2"}
    assert page.elements[0][1]["aria-labelledby"] == "d-title"


def test_a_long_text_is_cut_in_its_middle():
    assert len(shown("x" * 10**6)) == 2001
    assert "…" in shown("x" * 10**6)
    assert shown(None) == ""


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_data_in_a_script_is_the_document_and_cannot_end_the_script(document):
    text = in_script(document)
    assert not set(text) & set("<>&\u2028\u2029")
    assert text.isascii()
    back = json.loads(text)
    if json.dumps(document).count("\\ud") == 0:
        assert back == document
    (script,) = Page(f'<script type="application/json">{text}</script>').scripts
    assert script[1] == text


def test_single_surrogates_in_data_are_codes():
    """Strict readers of JSON refuse them."""
    assert json.loads(in_script(["\udcff", "\ud800", "😀"])) == ["\\xff", "\\ud800", "😀"]


# -- size --------------------------------------------------------------------------------


def page_of(rows, text, keys=0):
    """Return what builds a page with a table of `rows` rows."""

    def build(room):
        things = [{"name": text, "number": number} for number in range(rows)]
        data = {"report": "page-inspect", "things": things, "keys": {f"{text[:20]}{n}": text for n in range(keys)}}
        shown_things = room.first(things, "things", "imgconv things")
        return pages.Page("many.html", "many", "imgconv things", data, {"things": shown_things})

    return build


@pytest.fixture
def template(monkeypatch):
    """A page with one table."""
    source = (
        '{% extends "base.html" %}{% import "macros.html" as m with context %}{% block content %}'
        '{% call m.table("Things", [("name", "")]) %}{% for each in things %}'
        '<tr><td title="{{ each.name }}">{{ each.name }}</td></tr>{% endfor %}{% endcall %}{% endblock %}'
    )
    environment = pages._environment.__wrapped__()
    environment.loader = ChoiceLoader([DictLoader({"many.html": source}), environment.loader])
    monkeypatch.setattr(pages, "_environment", lambda: environment)


@pytest.mark.parametrize(
    ("rows", "text", "keys"),
    [
        (10, "x", 0),
        (100_000, "x", 0),
        (700, "<&\u202e\U000e0100" * 1000, 0),
        (1, "x" * 4_000_000, 0),
        (1, "x", 100_000),
        (5, "\u2800" * 3000, 40_000),
    ],
    ids=["small", "many", "hostile", "long", "keys", "invisible"],
)
def test_a_page_is_within_its_size_and_states_what_it_leaves_out(template, rows, text, keys):
    raw = pages.render(page_of(rows, text, keys))
    assert len(raw) <= MAX_PAGE_SIZE
    page = Page(raw)
    shown_rows = len(page.named("tr")) - 1
    assert shown_rows <= rows
    assert (f"{shown_rows:,} of {rows:,} things" in page.text) == (shown_rows < rows)
    left_out = {each["list"]: (each["kept"], each["total"]) for each in page.data["left_out"]}
    things, kept = page.data["things"], left_out.get("things", (rows, rows))
    assert (len(things), rows) == kept
    assert (len(page.data["keys"]), keys) == left_out.get("keys", (keys, keys))
    assert bool(left_out) == ("left_out there counts" in page.text)
    if rows == 10:
        assert not page.data["left_out"]
    assert raw == pages.render(page_of(rows, text, keys))


@given(st.integers(0, 500), st.integers(0, 300), st.integers(1_000, 60_000))
def test_data_is_cut_to_its_room(count, length, room):
    data = {"list": [{"deep": ["y" * length] * 7, "digest": "sha256:" + "0" * 64}] * count}
    text, cut = cut_data(data, Room(data=room))
    back = json.loads(text)
    assert len(text) <= room
    assert cut == bool(back["left_out"])
    assert all(each["digest"] == "sha256:" + "0" * 64 for each in back["list"])
    if not cut:
        assert back["list"] == data["list"]


def test_room_is_taken_and_what_is_left_out_is_recorded():
    room = Room(rows=5)
    assert room.first([1, 2, 3], "numbers") == [1, 2, 3]
    assert room.first([1, 2, 3], "others", "imgconv x") == [1, 2]
    assert room.first([1], "more") == []
    assert room.first([], "none") == []
    assert room.left_out == [("others", 2, 3, "imgconv x"), ("more", 0, 1, "")]
    assert room.first([4], "numbers") == []
    assert room.left_out[0] == ("numbers", 3, 4, "")
    assert Room().first([1, 2, 3], "numbers", most=2) == [1, 2]


def test_only_markup_is_printed_as_it_is():
    assert rendered("{{ x }}", x=Markup("<b>")) == "<b>"
    assert rendered("{{ x }}", x="<b>") == "&lt;b&gt;"
