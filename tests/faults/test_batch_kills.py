"""Batches that are killed, and large ones: the journal has the same table in the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from batch_archives import table_of, write_archives
from support import COMMAND, ROOT

sys.path.insert(0, str(ROOT / "tests" / "faults"))

from batch_kills import kills, left_over

MANY = [("run", 60), ("worker", 120)]


def test_a_kill_changes_nothing(tmp_path):
    """tests/commands/test_batch_pool.py kills workers."""
    report = kills("run", 1, tmp_path, 4)
    assert (report["wrong"], report["kills"], left_over(tmp_path)) == ([], 1, [])


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "times"), MANY)
def test_kills_change_nothing(tmp_path, kind, times):
    report = kills(kind, times, tmp_path)
    assert (report["wrong"], report["kills"], left_over(tmp_path)) == ([], times, [])


@pytest.mark.slow
def test_ten_thousand_archives(tmp_path):
    """The journal is complete, a restart does only what is missing, and results are those of single calls."""
    count = 10_000
    write_archives(tmp_path / "in", count)
    words = [
        *COMMAND,
        "batch",
        "digest",
        "in/*.tar",
        "--journal",
        "run.jsonl",
        "--jobs",
        "2",
        "-q",
        "--",
        "--as",
        "crane",
    ]
    assert subprocess.run(words, cwd=tmp_path, check=False).returncode == 3
    rows = table_of(tmp_path / "run.jsonl")
    assert len(rows) == count
    assert sum(row["exit"] == 3 for row in rows) == count // 10
    for row in rows[:: count // 20]:
        alone = subprocess.run(
            [*COMMAND, "digest", row["source"], "--as", "crane"], cwd=tmp_path, capture_output=True, check=False
        )
        assert row["exit"] == alone.returncode
        assert [entry["digest"] for entry in row["digests"]] == alone.stdout.decode().split()
    lines = (tmp_path / "run.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "run.jsonl").write_text("".join(lines[:9000]))
    assert subprocess.run(words, cwd=tmp_path, check=False).returncode == 3
    again = Path(tmp_path / "run.jsonl").read_text().splitlines(keepends=True)
    assert again[:9000] == lines[:9000]
    assert len(again) == count
    assert table_of(tmp_path / "run.jsonl") == rows
