"""Chunks of items: the rows of single calls, and an item whose process dies takes no other one with it."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import pairwise

import pytest
from batch_archives import write_archives
from hypothesis import given
from hypothesis import strategies as st

from convert import cancel
from convert.batch import Journal, items, read_journal, run, run_one
from convert.commands.batch import chunks
from convert.commands.batch.chunks import LARGEST, SECONDS, Chunks, next_size, run_several
from convert.commands.batch.run import run_all


def without_time(rows):
    return sorted((row.document() | {"seconds": 0} for row in rows), key=lambda each: each["key"])


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chunks")
    write_archives(folder / "in", 40, 2000)
    return items([str(folder / "in" / "*.tar")], "digest", pushers=["crane"])


@given(
    st.integers(0, 200),
    st.floats(0, 1e6, allow_nan=False),
    st.integers(1, 10**7),
    st.integers(1, 10**4),
)
def test_sizes_of_chunks(largest, seconds, rest, tasks):
    size = next_size(largest, seconds, rest, tasks)
    assert 1 <= size <= max(1, min(2 * largest, LARGEST))
    if size > 1:
        assert size * seconds <= SECONDS
        assert (size - 1) * tasks < rest  # no more than a share of what is left
    # More time or fewer items never give a larger chunk.
    assert next_size(largest, seconds * 2, rest, tasks) <= size
    assert next_size(largest, seconds, max(1, rest // 2), tasks) <= size


def test_chunks_grow_with_quick_items_and_shrink_at_the_end(archives):
    many = archives * 50
    rest = Chunks(iter(many), 4, several=True)
    row = dataclasses.replace(run_one(archives[0]), seconds=1 / 64)
    sizes, taken = [], []
    while (chunk := rest.take(idle=True)) is not None:
        sizes.append(len(chunk.items))
        taken += chunk.items
        rest.ended(chunk, [row] * len(chunk.items))
    assert taken == many
    assert sizes[0] == 1
    assert max(sizes) == SECONDS * 64
    assert sizes[-3:] == [1, 1, 1]
    assert all(after <= 2 * before for before, after in pairwise(sizes))


def test_chunks_give_the_rows_of_single_calls(archives, tmp_path):
    wanted = without_time(map(run_one, archives))
    sizes = []

    def call(several):
        sizes.append(len(several))
        return run_several(several)

    with Journal(tmp_path / "run.jsonl") as journal, ThreadPoolExecutor(2) as executor:
        rows = list(run_all(archives, executor, journal=journal, ahead=2, run_several=call))
        assert list(run(archives, executor, journal=journal)) == []
    assert without_time(rows) == wanted == without_time(read_journal(tmp_path / "run.jsonl").values())
    assert max(sizes) > 1


def test_a_chunk_that_takes_too_long_leaves_the_rest_for_others(archives, monkeypatch):
    """Nothing is done twice."""
    monkeypatch.setattr(chunks, "_LATEST", 0.0)
    assert [row.key for row in run_several(archives)] == [archives[0].key]
    monkeypatch.setattr(chunks, "_LATEST", 1000.0)
    assert [row.key for row in run_several(archives, lambda: False)] == [archives[0].key]
    monkeypatch.setattr(chunks, "_MOST_IMAGES", 2)
    assert [row.key for row in run_several(archives)] == [item.key for item in archives[:2]]
    with ThreadPoolExecutor(2) as executor:
        rows = list(run_all(archives, executor, ahead=2, run_several=run_several))
    assert without_time(rows) == without_time(map(run_one, archives))
    assert len(rows) == len(archives)


class KilledWorker(Exception):  # noqa: N818 - its name in Dask
    """What Dask gives to all tasks that a worker had when it died."""


class Worker(Executor):
    """One process that has some calls at a time, and dies of some items with all that it has."""

    def __init__(self, deadly):
        self.deadly = deadly
        self.calls = queue.SimpleQueue()
        self.deaths = 0
        threading.Thread(target=self._work, daemon=True).start()

    def submit(self, function, argument):
        future = Future()
        self.calls.put((future, function, argument))
        return future

    def _work(self):
        while True:
            had = [self.calls.get()]
            with contextlib.suppress(queue.Empty):
                while len(had) < 3:
                    had += (self.calls.get(timeout=0.01),)
            if any(self.deadly & {each.key for each in several} for _, _, several in had):
                self.deaths += 1
                for future, _, _ in had:
                    future.set_exception(KilledWorker())
                continue
            for future, function, several in had:
                future.set_result(function(several))


@pytest.mark.parametrize("several", [True, False])
def test_only_the_item_that_ends_its_process_is_blamed(archives, several, monkeypatch):
    monkeypatch.setattr(cancel, "INTERVAL", 0.01)
    deadly = {archives[place].key for place in (0, 17, 39)}
    worker = Worker(deadly)
    if several:
        rows = list(run_all(archives, worker, ahead=4, run_several=run_several))
    else:
        worker.submit = lambda function, item: Worker.submit(worker, lambda one: function(one[0]), (item,))
        rows = list(run_all(archives, worker, ahead=4))
    assert {row.key for row in rows if row.code == "worker-died"} == deadly
    assert len(rows) == len(archives)
    wanted = [run_one(item) for item in archives if item.key not in deadly]
    assert without_time(row for row in rows if row.key not in deadly) == without_time(wanted)
    assert worker.deaths >= 4  # each of them once with others and once alone, some together
