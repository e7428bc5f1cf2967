"""Texts of JSON documents: long lists that are made while they are written, and texts that are kept."""

from __future__ import annotations

import json

import pytest
from hostile.building import DIFF_ID, Docker, Layout, config
from hypothesis import given
from hypothesis import strategies as st

import convert
from convert import batch
from convert.errors import UnsafeInputError
from convert.report import json_text
from convert.report.digest import document, streamed_document
from convert.report.json_text import Packed, Streamed, bounded_text, chunks, least_size

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=3), st.lists(JSON, max_size=4), st.dictionaries(st.text(), JSON))
def test_a_streamed_list_gives_the_text_of_the_list(before, elements, after):
    whole = {**before, "list": elements, **{f"after {key}": value for key, value in after.items()}}
    streamed = {key: Streamed(iter(elements)) if key == "list" else value for key, value in whole.items()}
    assert "".join(chunks(streamed)) == json.dumps(whole, indent=2)


def test_a_streamed_list_is_made_element_by_element():
    made = []
    text = chunks({"list": Streamed(made.append(number) or number for number in range(1000))})
    while not made:
        next(text)
    assert len(made) == 1


@given(st.lists(st.text(st.characters(codec="ascii"))))
def test_a_packed_text_is_the_same(texts):
    packed = Packed()
    for text in texts:
        packed.add(text)
    assert "".join(packed.pieces()) == "".join(texts)


def test_a_packed_text_comes_out_in_pieces():
    packed = Packed()
    packed.add("x" * (5 << 20))
    assert max(map(len, packed.pieces())) <= 1 << 20


@pytest.mark.parametrize("size", [0, 10, (1 << 20) - 9, 3 << 20])
def test_a_bounded_text_is_the_whole_text_in_pieces(size):
    made = {"a": ["x" * (size // 3)] * 3}
    pieces = list(bounded_text(made))
    assert "".join(pieces) == json.dumps(made, indent=2) + "\n"
    assert max(map(len, pieces)) <= 2 << 20


@pytest.mark.parametrize("size", [0, 1])
def test_a_text_that_is_too_large_is_refused_before_its_first_piece(size, monkeypatch):
    made = {"a": Streamed(iter(["b"]), size * 24)}
    monkeypatch.setattr(json_text, "MAX_REPORT_SIZE", 23)
    with pytest.raises(UnsafeInputError) as caught:
        bounded_text(made)
    assert caught.value.code == "report-too-large"
    monkeypatch.setattr(json_text, "MAX_REPORT_SIZE", 24)
    assert len("".join(bounded_text({"a": Streamed(iter(["b"]))}))) == 25


@pytest.mark.parametrize("command", ["inspect", "digest", "id", "validate"])
def test_a_batch_writes_no_document_that_is_too_large_to_print(command, tmp_path, monkeypatch):
    """`batch inspect` of a text that 4,000 images share took 856 MB."""
    (tmp_path / "in.tar").write_bytes(Docker().build())
    (item,) = batch.items([str(tmp_path / "in.tar")], command, out=str(tmp_path / "out.json"))
    monkeypatch.setattr(json_text, "MAX_REPORT_SIZE", 10)
    row = batch.run_one(item)
    assert (row.exit, row.code) == (3, "report-too-large")
    assert not (tmp_path / "out.json").exists()
    monkeypatch.undo()
    row = batch.run_one(item)
    assert row.exit == 0
    assert (tmp_path / "out.json").stat().st_size == row.bytes


@pytest.mark.parametrize(
    "raw",
    [
        Docker(tags=["a:1", "b:2"]).build(),
        Docker(config=config(*[DIFF_ID] * 50), item={"Layers": ["layer.tar"] * 50}).build(),
        Layout().build(),
    ],
)
def test_the_least_size_of_a_digest_document_is_one(raw, tmp_path):
    (tmp_path / "in.tar").write_bytes(raw)
    report = convert.digest(tmp_path / "in.tar")
    size = len("".join(chunks(document(report))))
    assert size / 3 < least_size(streamed_document(report)) <= size
