"""The engine `dask`: the same table as `local`; what is killed costs nothing but time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import types

import pytest
from batch_archives import table_of, write_archives
from support import COMMAND, ROOT

from convert.batch import Journal, items, run_one
from convert.commands.batch import dask
from convert.errors import StorageError

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


class Nanny:
    """What Dask has for a worker process; it starts one again when it is asked to."""

    def __init__(self):
        self.alive = True

    def is_alive(self):
        return self.alive

    def instantiate(self):
        self.alive = True


def test_a_worker_that_died_while_it_started_is_started_again(monkeypatch):
    """Dask starts only those again that had started; without any other the run would wait forever."""
    nannies = [Nanny(), Nanny()]
    loop = types.SimpleNamespace(add_callback=lambda call: call())
    now = [1000.0]
    monkeypatch.setattr(dask, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    processes = dask._Processes(types.SimpleNamespace(workers=dict(enumerate(nannies)), loop=loop))

    def pass_time(seconds):
        for _ in range(seconds):
            now[0] += 1.1
            processes.look()

    nannies[1].alive = False
    pass_time(2)
    assert [nanny.alive for nanny in nannies] == [True, False]
    pass_time(3)
    assert [nanny.alive for nanny in nannies] == [True, True]
    for nanny in nannies:
        nanny.alive = False
        nanny.instantiate = lambda: None
    pass_time(20)
    with pytest.raises(StorageError) as caught:
        pass_time(20)
    assert caught.value.code == "engine-lost"


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
    """From when the first worker had it; Dask gives it to two of them."""
    script = tmp_path / "script.py"
    script.write_text(LIFETIME)
    done = subprocess.run(
        [sys.executable, "-P", script], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=300
    )
    assert 2 * 0.3 <= float(done.stdout) < 120


#: Runs archives on a cluster whose workers die of two of them, in chunks; prints the rows.
DEADLY = """
import os, sys
from convert.batch import items
from convert.commands.batch import dask
from convert.commands.batch.run import run_all

def run_deadly(several):
    for item in several:
        if item.source in ("in/00030.tar", "in/00055.tar"):
            os._exit(1)
    return dask.run_chunk(several)

if __name__ == "__main__":
    with dask.dask_executor(None, 2, dask.worker_version()) as started:
        rows = run_all(
            items(["in/*.tar"], "digest", pushers=["crane"]), started.executor, ahead=started.ahead,
            check=started.check, lifetime=started.lifetime, run_several=run_deadly,
        )
        for row in rows:
            print(row.line(), flush=True)
"""


@pytest.mark.slow
def test_only_the_items_that_end_their_workers_are_blamed(tmp_path):
    """Dask blames all that a worker had when it died; some had waited there."""
    write_archives(tmp_path / "in", 80, 2000)
    (tmp_path / "script.py").write_text(DEADLY)
    done = subprocess.run(
        [sys.executable, "-P", "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=400
    )
    (tmp_path / "dask.jsonl").write_text(done.stdout)
    table = table_of(tmp_path / "dask.jsonl")
    died = [row for row in table if row["code"] == "worker-died"]
    assert sorted(row["source"] for row in died) == ["in/00030.tar", "in/00055.tar"]
    wanted = [row for row in table_of_calls(tmp_path) if row["source"] not in {each["source"] for each in died}]
    assert [row for row in table if row not in died] == wanted


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_run_goes_on(tmp_path, number):
    """Nothing is noted that is not done. A terminal sends its signal to the workers too, which print nothing."""
    write_archives(tmp_path / "in", 400, 2000)
    words = ["batch", "digest", "in/*.tar", "--engine", "dask", "--journal", "run.jsonl", "--jobs", "2"]
    words += ["-q", "--", "--as", "crane"]
    process = subprocess.Popen([*COMMAND, *words], cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True)
    journal = tmp_path / "run.jsonl"
    while process.poll() is None and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.01)
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (128 + number, b"")
    noted = len(table_of(journal))
    assert 0 < noted < 400
    assert batch(tmp_path, "dask", "run.jsonl", "--jobs", "2").returncode == 3
    assert len(journal.read_text().splitlines()) == 400
    assert table_of(journal) == table_of_calls(tmp_path)


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
@pytest.mark.parametrize(("kind", "times"), [("scheduler", 20), ("dask-worker", 10), ("dask", 10)])
def test_kills_of_a_cluster_change_nothing(tmp_path, kind, times):
    report = kills(kind, times, tmp_path)
    assert (report["wrong"], report["kills"], left_over(tmp_path)) == ([], times, [])
