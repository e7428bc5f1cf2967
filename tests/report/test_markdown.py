"""Markdown: texts from archives stay in code spans, whatever they contain."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.html.pages import HOSTILE

from convert.errors import printable
from convert.report.markdown import cell, code, mermaid, table

#: A code span: as many backticks as begin it, and none beside them (CommonMark 6.1).
SPAN = re.compile(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)", re.DOTALL)


def content(span):
    """Return what a reader of Markdown shows of a code span."""
    match = SPAN.fullmatch(span)
    assert match, span
    text = match[2]
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] == " " and text.strip() else text


@given(st.text(st.characters() | st.sampled_from("`| \\@#<"), min_size=1, max_size=200))
def test_a_code_span_is_the_text(text):
    assert content(code(text)) == printable(text)
    assert SPAN.sub("", code(text)) == ""


@given(st.text(st.characters() | st.sampled_from("`| \\@#<"), min_size=1, max_size=200))
def test_a_cell_has_no_pipe_that_ends_it(text):
    assert re.search(r"(?<!\\)\|", cell(text)) is None
    assert content(cell(text)).replace("\\|", "|") == printable(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_table_stays_one(text):
    lines = table(("a", "b"), [(cell(text), "1")], right=[1])
    assert len(lines) == 3
    assert lines[1] == "|---|---:|"
    assert len(re.findall(r"(?<!\\)\|", lines[2])) == 3
    outside = SPAN.sub("", lines[2])
    assert outside == "|  | 1 |"


def test_an_empty_text_gives_no_span():
    assert code("") == cell("") == ""


def test_a_diagram_is_one_block():
    assert mermaid("flowchart TD\n    a --> b\n") == ["```mermaid", "flowchart TD", "    a --> b", "```"]
