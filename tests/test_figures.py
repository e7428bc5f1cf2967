"""The tables on the pages are those of the newest records, and the programs that measure start."""

import dataclasses
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "bench"
#: A cell of a table of speed: seconds, a ratio, or megabytes in a second.
MEASURED = re.compile(r"\d+(\.\d+)?( s\b|x$| MB/s)")
PROGRAMS = ["conversions.py", "figures.py", "encoders/run.py", "encoders/tools.py", "encoders/model.py"]


@pytest.fixture
def bench(monkeypatch):
    """Import modules of bench/, which is not a package."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module


@pytest.fixture
def figures(bench):
    return bench("figures")


@pytest.fixture
def copy(figures, tmp_path):
    """Return a folder with copies of the pages and the records."""
    for path in [*figures.pages(), *(BENCH / "records").glob("*.json")]:
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path


def test_every_page_shows_its_newest_records(figures, capsys):
    assert figures.main(["--check"]) == 0, capsys.readouterr().out


def test_tables_of_speed_stand_between_markers(figures):
    """A table that was typed by hand would not follow its record."""
    for page in figures.pages():
        text = page.read_text()
        while begin := figures.BEGIN.search(text):
            text = text[: begin.start()] + text[text.index(figures.END, begin.end()) + len(figures.END) :]
        cells = [cell.strip() for line in text.splitlines() if line.startswith("| ") for cell in line.split("|")]
        typed = [cell for cell in cells if MEASURED.match(cell)]
        assert not typed, page


def test_every_kind_of_table_that_has_a_record_is_readable(bench):
    record, tables = bench("record"), bench("tables")
    paths = record.paths()
    assert {record.read(path).kind for path in paths} <= set(tables.RENDERERS)
    for path in paths:
        found = record.read(path)
        text = tables.render(found)
        assert text.count("\n| ") >= 2, path
        widths = {line.count("|") for line in text.splitlines() if line.startswith("| ")}
        assert len(widths) == 1, f"{path}: a cell holds a column's sign"
        assert path.read_text() == record.dumps(found), f"{path}: not as record.write() writes it"


def test_a_changed_record_or_page_is_found(figures, copy, capsys):
    assert figures.main(["--check", "--root", str(copy)]) == 0
    page = copy / "README.md"
    before = page.read_text()
    page.write_text(before.replace("2.02x", "9.99x"))
    assert page.read_text() != before
    assert figures.main(["--check", "--root", str(copy)]) == 1
    assert str(page) in capsys.readouterr().out
    assert figures.main(["--root", str(copy)]) == 0
    assert page.read_text() == before


def test_the_newest_record_is_shown(figures, bench, copy):
    record = bench("record")
    folder = copy / "bench" / "records"
    old = record.newest("conversions", folder)
    row = old.rows[0] | {"case": "a new case"}
    # Both are of one day: the second gets a number, and the first stays.
    for case in ("an earlier case", "a new case"):
        record.write(dataclasses.replace(old, date="2999-01-01", rows=[row | {"case": case}]), folder)
    assert [path.name for path in record.paths("conversions", folder)][-2:] == [
        "2999-01-01-conversions.json",
        "2999-01-01-conversions-2.json",
    ]
    assert figures.main(["--check", "--root", str(copy)]) == 1
    figures.main(["--root", str(copy)])
    for page in ("README.md", "docs/performance.md"):
        assert "a new case" in (copy / page).read_text()
        assert "an earlier case" not in (copy / page).read_text()


@pytest.mark.parametrize(
    "text",
    [
        "<!-- figures: conversions -->\n",
        "<!-- end figures -->\n",
        "<!-- figures: nothing -->\n<!-- end figures -->\n",
        "<!-- end figures -->\n<!-- figures: conversions -->\n<!-- end figures -->\n",
        "<!-- figures: conversions -->\n<!-- figures: growth -->\n<!-- end figures -->\n",
    ],
)
def test_markers_without_their_counterpart_are_errors(figures, text):
    with pytest.raises(figures.PageError):
        figures.fill(text)


def test_a_record_with_other_keys_or_another_name_is_refused(bench, tmp_path):
    record = bench("record")
    document = json.loads(record.paths("growth")[-1].read_bytes())
    right = tmp_path / f"{document['date']}-growth.json"
    right.write_text(json.dumps(document))
    assert record.read(right).kind == "growth"
    for name, content in ((right.name, document | {"extra": 1}), ("2000-01-01-growth.json", document)):
        (tmp_path / name).write_text(json.dumps(content))
        with pytest.raises(ValueError, match="record"):
            record.read(tmp_path / name)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_measures_starts(program):
    """They import modules of convert/, which move."""
    done = subprocess.run([sys.executable, str(BENCH / program), "--help"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.startswith(b"usage:")


def test_two_versions_are_compared(bench, tmp_path):
    """The same version on both sides: same results, a row for each figure, and a record that reads back."""
    for number in range(3):
        (tmp_path / "tree" / str(number)).mkdir(parents=True)
        (tmp_path / "tree" / str(number) / "file").write_bytes(bytes([number]) * 100_000)
    words = ["--folder", str(tmp_path / "work"), "--tree", str(tmp_path / "tree"), "--runs", "1", "--slower", "100000"]
    command = [sys.executable, str(BENCH / "conversions.py"), *words, "--records", str(tmp_path / "records")]
    command += ["--imgconv", sys.executable, "--against", sys.executable, "--only", "docker-save → o"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| docker-save → o")]
    assert len(rows) == 2
    assert all(row.endswith(" same |") for row in rows)
    assert "different results: none" in done.stderr
