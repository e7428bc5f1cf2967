"""The engine `dask`: the same table as `local`; what is killed costs nothing but time."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest
from batch_archives import table_of, write_archives
from support import COMMAND, ROOT

from convert.batch import Journal, items, run_one

pytest.importorskip("distributed", reason="dask.distributed is not installed (extra `fleet`)")

sys.path.insert(0, str(ROOT / "tests" / "faults"))

from batch_kills import Cluster, kills, left_over


def batch(folder, engine, journal, *words):
    done = subprocess.run(
        [
            *COMMAND,
            "batch",
            "digest",
            "in/*.tar",
            "--engine",
            engine,
            "--journal",
            journal,
            *words,
            "--",
            "--as",
            "crane",
        ],
        cwd=folder,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    return done


def table_of_calls(folder):
    """Return the table of the same archives in this process."""
    with contextlib.chdir(folder), Journal("calls.jsonl") as journal:
        for item in items(["in/*.tar"], "digest", pushers=["crane"]):
            journal.add(run_one(item))
    return table_of(folder / "calls.jsonl")


def test_a_cluster_gives_the_table_of_single_calls(tmp_path):
    """One worker of this machine."""
    write_archives(tmp_path / "in", 4)
    assert batch(tmp_path, "dask", "dask.jsonl", "--jobs", "1").returncode == 3
    table = table_of(tmp_path / "dask.jsonl")
    assert table == table_of_calls(tmp_path)
    assert [row["exit"] for row in table].count(3) == 1
    assert len(table) == 4


@pytest.mark.slow
def test_two_workers_give_the_table_of_local(tmp_path):
    write_archives(tmp_path / "in", 12)
    assert batch(tmp_path, "local", "local.jsonl", "--jobs", "2").returncode == 3
    assert batch(tmp_path, "dask", "dask.jsonl", "--jobs", "2").returncode == 3
    table = table_of(tmp_path / "dask.jsonl")
    assert table == table_of(tmp_path / "local.jsonl") == table_of_calls(tmp_path)
    assert len(table) == 12


#: Prints how long an item ran that ends each worker that has it; a file, because its workers import it.
LIFETIME = """
import os, time
from convert.commands.batch import dask

if __name__ == "__main__":
    with dask.dask_executor(None, 1, dask.worker_version()) as started:
        future = started.executor.submit(lambda: (time.sleep(0.3), os._exit(1)))
        print(started.lifetime(future.exception(timeout=200)))
"""


@pytest.mark.slow
def test_an_item_that_ends_its_workers_states_how_long_it_ran(tmp_path):
    """From when the first worker had it; Dask gives it to four of them."""
    script = tmp_path / "script.py"
    script.write_text(LIFETIME)
    done = subprocess.run(
        [sys.executable, "-P", script], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=300
    )
    assert 4 * 0.3 <= float(done.stdout) < 120


@pytest.mark.slow
def test_a_scheduler_that_exists_or_does_not(tmp_path):
    write_archives(tmp_path / "in", 12)
    cluster = Cluster(tmp_path)
    done = batch(tmp_path, cluster.engine, "run.jsonl")
    assert (done.returncode, done.stdout) == (4, b"")
    assert b"does not answer" in done.stderr
    try:
        cluster.start()
        assert batch(tmp_path, cluster.engine, "run.jsonl").returncode == 3
        assert len(table_of(tmp_path / "run.jsonl")) == 12
        # A worker without imgconv, or with another version, is refused.
        code = (
            "import sys, convert.commands.batch.dask as dask\n"
            f"with dask.dask_executor('tcp://127.0.0.1:{cluster.port}', None, '9.9'): pass\n"
        )
        done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
        assert "has imgconv" in done.stderr
    finally:
        cluster.close()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "times"), [("scheduler", 20), ("dask-worker", 10)])
def test_kills_of_a_cluster_change_nothing(tmp_path, kind, times):
    report = kills(kind, times, tmp_path)
    assert (report["wrong"], report["kills"], left_over(tmp_path)) == ([], times, [])
