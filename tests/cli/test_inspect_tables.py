"""The tables of `inspect` without styles are those that rich lays out; counted: how often rich is asked."""

from __future__ import annotations

import io

import pytest
from hostile.building import Docker, config, dump
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

import convert
from convert.cli import tables
from convert.codec.compression import Compression

WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60) | st.text(max_size=8)
DIGEST = st.none() | st.text("0123456789abcdef", max_size=20).map("sha256:{}".format)
SIZE = st.none() | st.integers(0, 1 << 44)
LAYER = st.fixed_dictionaries(
    {
        **dict.fromkeys(("diff_id", "chain_id", "v1_id", "digest"), DIGEST),
        "size": SIZE,
        "plain_size": SIZE,
        "compression": st.none() | st.sampled_from(["none", *map(str, Compression)]),
        "present": st.booleans(),
        "verified": st.booleans(),
        "encoder": st.none() | WORDS,
        "encoder_hint": st.none() | WORDS,
        "encoder_members": st.integers(1, 99),
        "history": st.none() | st.fixed_dictionaries({"created_by": WORDS, "comment": WORDS}),
    }
)


def printed(layers, width, *, verified, encoders, plain):
    file = io.StringIO()
    console = Console(file=file, width=width, color_system=None, highlight=False, markup=False, emoji=False)
    printer = tables._Printer(console, verified=verified, encoders=encoders)
    if not plain:
        printer._plain_table = lambda *_: []
    columns = (*tables._SIZES, *printer._checks(), tables._MADE_BY)
    printer._table(layers, tables._DIGESTS)
    printer._table(layers, columns)
    printer._table(layers, (*tables._DIGESTS, *columns))
    printer._flush()
    return file.getvalue()


@given(st.lists(LAYER, min_size=1, max_size=3), st.integers(20, 200), st.booleans(), st.booleans())
def test_a_table_without_styles_is_the_table_of_rich(layers, width, verified, encoders):
    given_ = {"verified": verified, "encoders": encoders}
    assert printed(layers, width, plain=True, **given_) == printed(layers, width, plain=False, **given_)


@pytest.mark.parametrize("count", [2, 20])
def test_rich_lays_out_no_table_of_many_images(count, tmp_path, monkeypatch):
    """It took five milliseconds for each of a thousand images."""
    made = []
    monkeypatch.setattr(tables, "Table", lambda *_, **__: made.append(1) or Table())
    items = [{"Config": f"c{n}.json", "RepoTags": [f"a:{n}"], "Layers": ["layer.tar"]} for n in range(count)]
    files = tuple((f"c{n}.json", dump(config(number=n))) for n in range(count))
    (tmp_path / "in.tar").write_bytes(Docker(manifest=items, extra=files).build())
    document = convert.inspect(tmp_path / "in.tar").document
    console = Console(file=io.StringIO(), width=120, color_system=None)
    calls = []
    render = console.render_lines
    monkeypatch.setattr(console, "render_lines", lambda *given, **more: calls.append(1) or render(*given, **more))
    tables.show(document, verified=False, console=console)
    assert console.file.getvalue().count("image ID ") == count
    assert not made
    assert len(calls) < 5
