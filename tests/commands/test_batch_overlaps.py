"""No output of a batch replaces what the run reads or notes: sources, lists, the journal."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest
from oracle.reading import plain
from support import MATCH

from convert import cancel
from convert.cli.main import run
from convert.commands.batch.addresses import scrubbed
from convert.commands.batch.local import WorkerDiedError
from convert.commands.batch.make_items import batch_items
from convert.commands.batch.run import run_all
from convert.report.batch import Row


@pytest.fixture(autouse=True)
def sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("1.tar").write_bytes(plain(MATCH / "docker20-html.tar.gz"))
    Path("2.tar").write_bytes(plain(MATCH / "docker20-multi.tar.gz"))
    Path("layout").mkdir()
    Path("layout/oci-layout").write_text("{}")
    Path("link.tar").symlink_to("1.tar")
    os.link("1.tar", "hard.tar")
    Path("list").write_text("1.tar\n")
    return tmp_path


OVERLAPS = [
    ["inspect", "2.tar", "1.tar", "--out", "{index}.tar"],
    ["inspect", "1.tar", "--out", "hard.tar"],
    ["inspect", "link.tar", "--out", "./1.tar"],
    ["inspect", "1.tar", "layout", "--out", "layout/{index}.json"],
    ["convert", "2.tar", "1.tar", "--out", "{index}.tar", "--", "--to", "oci-archive", "--force"],
    ["id", "1.tar", "--out", "journal", "--journal", "journal"],
    ["id", "1.tar", "--out", "./journal", "--journal", "journal"],
    ["convert", "1.tar", "--out", "journal", "--journal", "journal", "--", "--to", "oci-archive", "--force"],
    ["id", "@list", "--out", "list"],
]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("words", OVERLAPS, ids=" ".join)
def test_what_the_run_reads_or_notes_is_never_replaced(sources, capsys, words):
    before = contents(sources)
    assert run(["batch", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert contents(sources) == before


@pytest.mark.parametrize("words", [["-"], ["/dev/stdout"], ["/dev/fd/1"]], ids=" ".join)
def test_an_output_is_no_stream(sources, words):
    before = contents(sources)
    assert run(["batch", "id", "1.tar", "--out", *words]) == 2
    assert contents(sources) == before


@pytest.mark.parametrize("one", ["file://{}/1.tar", "local://{}/1.tar", "{}/1.tar"])
@pytest.mark.parametrize("other", ["file://{}/1.tar", "{}/1.tar", "1.tar"])
def test_a_file_url_is_the_file(sources, one, other):
    pytest.importorskip("fsspec")
    before = contents(sources)
    assert run(["batch", "inspect", one.format(sources), "--out", other.format(sources)]) == 2
    assert contents(sources) == before


@pytest.mark.parametrize("spelling", ["oci:", "docker-archive:", "registry:", "@"])
def test_a_url_behind_a_prefix_is_refused_without_its_password(capsys, spelling):
    assert run(["batch", "id", f"{spelling}s3://key:hush-hush@bucket/x.tar"]) == 2
    assert "hush-hush" not in capsys.readouterr().err


def test_a_message_about_a_url_with_a_query_keeps_its_reason():
    url = "https://host/x.tar?sig=secret"
    text = scrubbed(f"{url}: no such file (server said 'no {url}')", url)
    assert "secret" not in text
    assert "no such file" in text
    assert "server said" in text


def test_a_timeout_longer_than_a_year_is_refused():
    assert run(["batch", "id", "1.tar", "--timeout", "1e300"]) == 2


@pytest.mark.parametrize("status", [-7, 5, 130, 232, 1000])
def test_a_row_with_a_status_that_no_source_has_is_no_row(status):
    document = {
        "key": "0" * 64, "source": "1.tar", "size": 1, "mtime": 1.0, "command": "id", "options": [], "version": "1",
        "exit": status, "code": None, "digests": [], "output": None, "bytes": None, "seconds": 0.0,
    }  # fmt: skip
    with pytest.raises(ValueError, match="exit"):
        Row.from_document(document)


class Dying:
    """An executor whose processes end by the signal that also ends the run."""

    def submit(self, call, item):
        future = Future()
        future.set_exception(WorkerDiedError("it ended"))
        return future


def test_a_worker_that_the_signal_of_the_run_ended_has_no_row(monkeypatch):
    items = batch_items(["1.tar"], "id")
    asked = threading.Event()
    monkeypatch.setattr(
        cancel, "check", lambda: (_ for _ in ()).throw(KeyboardInterrupt) if asked.is_set() else asked.set()
    )
    rows = []
    with pytest.raises(KeyboardInterrupt):
        rows.extend(run_all(items, Dying()))
    assert rows == []


def test_an_item_whose_process_died_took_some_time():
    """Also where the executor does not state how long."""
    (row,) = run_all(batch_items(["1.tar"], "id"), Dying())
    assert (row.code, row.seconds > 0) == ("worker-died", True)
    (row,) = run_all(batch_items(["1.tar"], "id"), Dying(), lifetime=lambda _: 7.5)
    assert row.seconds == 7.5
