"""Run a command on many archives, on any engine.

    from concurrent.futures import ProcessPoolExecutor
    from convert import batch

    if __name__ == "__main__":
        items = batch.items(["archives/*.tar"], "digest", pushers=["crane"])
        with batch.Journal("run.jsonl") as journal, ProcessPoolExecutor() as executor:
            for row in batch.run(items, executor, journal=journal):
                print(row.source, row.exit, row.code)

`run_one` is a pure function that can be pickled, so Ray, Spark, Airflow or Slurm can call it too. It needs no
journal: the row that it returns is the whole result. docs/batch.md explains items, rows and restarts.
"""

from __future__ import annotations

from convert.commands.batch.item import Item
from convert.commands.batch.journal import Journal, read_journal
from convert.commands.batch.local import WorkerDiedError, WorkerPool
from convert.commands.batch.make_items import batch_items as items
from convert.commands.batch.run import missing, run
from convert.commands.batch.run_one import run_one
from convert.report.batch import Row, Stamp, Summary

__all__ = [
    "Item",
    "Journal",
    "Row",
    "Stamp",
    "Summary",
    "WorkerDiedError",
    "WorkerPool",
    "items",
    "missing",
    "read_journal",
    "run",
    "run_one",
]
