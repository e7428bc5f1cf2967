"""Outputs with fields of images, which are known when a source was read: they too replace nothing of the run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from oracle.reading import plain
from support import MATCH

import convert
from convert import batch
from convert.cli.main import run
from convert.commands.batch import kept
from convert.commands.batch.make_items import batch_items
from convert.errors import UsageError

KEEP = ["--to", "docker-save"]
REPLACE = [*KEEP, "--force"]
#: What the fields are for the image of 1.tar.
NAME, TAG = "library_fmt-html", "1"


@pytest.fixture(autouse=True)
def sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("1.tar").write_bytes(plain(MATCH / "docker20-html.tar.gz"))
    Path("2.tar").write_bytes(plain(MATCH / "docker20-multi.tar.gz"))
    return tmp_path


def layout(path):
    convert.convert("1.tar", path, to="oci")
    return path


def copy(path):
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_bytes(Path("2.tar").read_bytes())
    return path


def listing(path):
    Path(path).write_text("1.tar\n")
    return f"@{path}"


def hard_link(path):
    os.link("2.tar", path)
    return "2.tar"


def link(path, target):
    Path(path).symlink_to(target)
    return target


#: What the output of 1.tar would be: --out, options, and what makes it and returns a source.
OUTPUTS = {
    "a source": ("{name}_{tag}.tar", KEEP, lambda: copy(f"{NAME}_{TAG}.tar")),
    "a source that --force would replace": ("{stem}-{name}.tar", REPLACE, lambda: copy(f"1-{NAME}.tar")),
    "a source in other letters": ("{stem}-{name}.tar", REPLACE, lambda: copy(f"1-{NAME.upper()}.tar")),
    "a source that is not there": ("{name}.tar", KEEP, lambda: f"{NAME}.tar"),
    "a list": ("{stem}-{name}", REPLACE, lambda: listing(f"1-{NAME}")),
    "inside a layout": ("{name}/{tag}.tar", KEEP, lambda: layout(NAME)),
    "inside a layout, behind a link": ("{name}/{tag}.tar", KEEP, lambda: link(NAME, layout("layout"))),
    "a link to a source": ("{stem}-{name}.tar", REPLACE, lambda: link(f"1-{NAME}.tar", "2.tar")),
    "another name of a source": ("{stem}-{name}.tar", REPLACE, lambda: hard_link(f"1-{NAME}.tar")),
    "in a folder behind a link": ("{name}/{tag}.tar", KEEP, lambda: (link(NAME, "in"), copy(f"in/{TAG}.tar"))[1]),
    "a source by its absolute path": ("{cwd}/{name}.tar", KEEP, lambda: copy(f"{NAME}.tar")),
    "a source as a file URL": ("file://{cwd}/{stem}-{name}.tar", REPLACE, lambda: copy(f"1-{NAME}.tar")),
    "in the folder that --for is written to": ("{name}.tar", ["--for", "docker"], lambda: copy(f"{NAME}.tar")),
}


@pytest.mark.parametrize(("out", "options", "make"), OUTPUTS.values(), ids=OUTPUTS)
def test_only_the_item_fails_whose_output_would_be_taken(sources, capfd, out, options, make):
    if out.startswith("file:"):
        pytest.importorskip("fsspec")
    source = make()
    before = {path: path.read_bytes() for path in sources.rglob("*") if path.is_file()}
    out = out.replace("{cwd}", str(sources))
    status = run(["batch", "convert", "1.tar", source, "--out", out, "--jobs", "1", "--", *options])
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert (rows[0]["source"], rows[0]["code"]) == ("1.tar", "destination-overlaps-source"), rows
    assert status >= 2
    assert {path: path.read_bytes() for path in before} == before


def test_the_journal_is_not_replaced(sources):
    words = ["batch", "convert", "1.tar", "--out", "{stem}-{name}", "--journal", f"1-{NAME}", "--jobs", "1"]
    assert run([*words, "--", *REPLACE]) == 2
    (line,) = Path(f"1-{NAME}").read_text().splitlines()
    assert json.loads(line)["code"] == "destination-overlaps-source"


def test_a_source_at_a_url_is_not_replaced():
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (extra `fleet`)")
    memory = fsspec.filesystem("memory")
    memory.pipe(f"/kept/1-{NAME}.tar", b"other")
    memory.pipe("/kept/1.tar", Path("1.tar").read_bytes())
    items = batch_items(
        ["memory://kept/1.tar", f"memory://kept/1-{NAME}.tar"],
        "convert", out="memory://kept/{stem}-{name}.tar", to="docker-save", force=True,
    )  # fmt: skip
    row = batch.run_one(items[0])
    assert (row.exit, row.code) == (2, "destination-overlaps-source"), row.message
    assert memory.cat(f"/kept/1-{NAME}.tar") == b"other"


def test_an_output_in_the_folder_of_a_layout_is_refused_before_anything_is_done(sources):
    layout("layout")
    Path("to").symlink_to("layout")
    for out in ("layout/{name}.tar", "to/{name}.tar", "layout/new/{name}/x.tar"):
        with pytest.raises(UsageError) as error:
            batch_items(["1.tar", "layout"], "convert", out=out, to="docker-save")
        assert error.value.code == "destination-overlaps-source"


def test_items_hold_only_what_their_outputs_could_be(sources, monkeypatch):
    """Ten thousand items do not hold ten thousand sources each, unless the template gives such names."""

    def kept_by(out):
        items = batch_items(["1.tar", "2.tar"], "convert", out=out, to="docker-save")
        (found,) = {item.kept for item in items}
        return found

    Path("out").mkdir()
    for out in ("out/{name}.tar", "x-{name}.tar", "{name}/x.tar"):
        assert kept_by(out) == ()
    assert set(kept_by("{name}.tar")) == {str(sources / "1.tar"), str(sources / "2.tar")}
    monkeypatch.setattr(kept, "MAX_KEPT", 1)
    with pytest.raises(UsageError, match="more than 1 "):
        kept_by("{name}.tar")
