"""`imgconv batch`: rows, outputs, restart, exit statuses; the results are those of single calls."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import jsonschema
import pytest
from oracle.reading import contents, plain
from support import COMMAND, MATCH, ROOT, run

from convert import batch
from convert.cli.batch_options import parse_options
from convert.cli.commands import COMMANDS
from convert.commands.batch.item import option_words
from convert.errors import UsageError

SCHEMA = json.loads((ROOT / "schemas" / "report-batch-row.json").read_text())
#: Archives of different tools, one of them with several images.
NAMES = ["docker20-html", "docker20-multi", "crane-tarball", "docker29-hybrid-html", "podman-oci-archive"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Make a folder of archives the current one: five good ones, a cut one, and a text."""
    monkeypatch.chdir(tmp_path)
    # Processes that multiprocessing starts import the program of their parent, which is pytest here.
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    Path("in").mkdir()
    for name in NAMES:
        shutil.copy(MATCH / f"{name}.tar.gz", "in")
    Path("in/cut.tar").write_bytes(plain(MATCH / "docker20-html.tar.gz")[:20_000])
    Path("in/text.tar").write_text("no archive\n" * 100)
    return tmp_path


def rows_of(text):
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        jsonschema.Draft202012Validator(SCHEMA).validate(row)
    return rows


@pytest.fixture
def batch_rows(imgconv):
    """Run a batch in this process; give status, rows and messages."""

    def call(*arguments):
        done = imgconv("batch", *arguments)
        assert "internal error" not in done.err
        return done.status, rows_of(done.out), done.err

    return call


@pytest.mark.parametrize("command", ["validate", "digest", "id", "inspect"])
def test_documents_are_those_of_single_calls(folder, command, imgconv, batch_rows):
    """--out has what --json prints, and each row the exit status of the command alone."""
    status, rows, _ = batch_rows(command, "in/*", "--out", "out/{stem}.json")
    assert status == 4  # the folder out is missing, as for every output
    Path("out").mkdir()
    status, rows, _ = batch_rows(command, "in/*", "--out", "out/{stem}.json")
    assert [row["source"] for row in rows] == sorted(f"in/{name}" for name in os.listdir("in"))
    for row in rows:
        alone = imgconv(command, row["source"], "--json")
        assert row["exit"] == alone.status, row["source"]
        written = Path(row["output"])
        if alone.out:
            assert written.read_text() == alone.out
            assert row["bytes"] == len(alone.out)
        else:
            assert not written.exists()
            assert (row["bytes"], row["code"] is not None) == (None, True)
        assert (row["code"] is None) == (row["exit"] == 0)
    assert status == max(row["exit"] for row in rows)


def test_digests_are_those_of_the_documents(folder, imgconv, batch_rows):
    _, rows, _ = batch_rows("digest", "in/docker20-multi.tar.gz", "--", "--as", "crane")
    alone = json.loads(imgconv("digest", "in/docker20-multi.tar.gz", "--as", "crane", "--json").out)
    keys = ("names", "platform", "image_id", "digest", "pusher")
    assert rows[0]["digests"] == [{key: push[key] for key in keys} for push in alone["pushes"]]
    assert rows[0]["options"] == ["--as", "crane"]
    _, rows, _ = batch_rows("id", "in/docker20-html.tar.gz")
    assert rows[0]["digests"][0]["image_id"] == imgconv("id", "in/docker20-html.tar.gz").out.split()[0]


def test_conversions_are_those_of_single_calls(folder, imgconv, batch_rows):
    Path("out").mkdir()
    options = ["--to", "oci-archive", "--recompress"]
    status, rows, _ = batch_rows("convert", "in/*", "--out", "out/{index}/{stem}.tar", "--", *options)
    assert status == 3
    for number, row in enumerate(rows, 1):
        alone = imgconv(row["source"], *options, f"{number}.tar")
        assert row["exit"] == alone.status
        assert row["output"].startswith(f"out/{number}/")
        if row["exit"]:
            assert not Path(f"out/{number}").exists()
        else:
            assert Path(row["output"]).read_bytes() == Path(f"{number}.tar").read_bytes()
            assert row["bytes"] == Path(row["output"]).stat().st_size
            assert {entry["output"] for entry in row["digests"]} == {row["output"]}


def test_fields_of_images_give_a_result_each(folder, batch_rows):
    Path("out").mkdir()
    status, rows, _ = batch_rows(
        "convert", "in/docker20-multi.tar.gz", "--out", "out/{stem}-{name}_{tag}.tar", "--", "--to", "docker-save"
    )
    assert status == 0
    assert {entry["output"] for entry in rows[0]["digests"]} == {f"out/{name}" for name in os.listdir("out")}
    assert len(os.listdir("out")) > 3
    assert all(name.startswith("docker20-multi-") for name in os.listdir("out"))
    # Doing it again finds the same bytes there.
    assert (
        batch_rows(
            "convert", "in/docker20-multi.tar.gz", "--out", "out/{stem}-{name}_{tag}.tar", "--", "--to", "docker-save"
        )[0]
        == 0
    )
    assert not [name for name in os.listdir("out") if name.startswith(".")]


@pytest.mark.parametrize("target", ["oci", "docker-save"])
def test_a_result_that_is_there_counts_if_its_bytes_are_the_same(folder, target, batch_rows):
    words = ["convert", "in/docker20-html.tar.gz", "--out", "{stem}", "--", "--to", target]
    assert batch_rows(*words)[0] == 0
    before = contents(folder / "docker20-html") if target == "oci" else Path("docker20-html").read_bytes()
    assert batch_rows(*words)[0] == 0
    assert before == (contents(folder / "docker20-html") if target == "oci" else Path("docker20-html").read_bytes())
    changed = next(path for path in [*Path("docker20-html").rglob("*"), Path("docker20-html")] if path.is_file())
    data = bytearray(changed.read_bytes())
    data[-1] ^= 1
    changed.write_bytes(data)
    status, rows, _ = batch_rows(*words)
    assert (status, rows[0]["code"]) == (2, "destination-exists")
    assert changed.read_bytes() == data
    assert sorted(os.listdir()) == ["docker20-html", "in"]


def test_a_run_does_only_what_is_missing(folder, imgconv):
    """Rows stay as they are; a changed source and, if asked for, what failed are done again."""
    words = ["validate", "in/*", "--journal", "run.jsonl"]
    assert imgconv("batch", *words).status == 3
    first = Path("run.jsonl").read_text()
    assert len(rows_of(first)) == 7
    done = imgconv("batch", *words)
    assert (done.status, Path("run.jsonl").read_text()) == (3, first)
    assert "7 from an earlier run" in done.err
    assert imgconv("batch", *words, "--retry-failed").status == 3
    again = rows_of(Path("run.jsonl").read_text().removeprefix(first))
    assert {row["source"] for row in again} == {row["source"] for row in rows_of(first) if row["exit"] > 1}
    assert again
    before = Path("run.jsonl").read_text()
    shutil.copy("in/docker20-html.tar.gz", "in/cut.tar")
    imgconv("batch", *words)
    assert [row["source"] for row in rows_of(Path("run.jsonl").read_text().removeprefix(before))] == ["in/cut.tar"]
    assert batch.read_journal("run.jsonl")[rows_of(first)[0]["key"]].source == rows_of(first)[0]["source"]


def test_a_torn_last_line_is_mended(folder, imgconv):
    words = ["id", "in/*", "--journal", "run.jsonl"]
    imgconv("batch", *words)
    whole = Path("run.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    for tail in (lines[-1][:-1], lines[-1][:50], lines[-1][:5], lines[-1][:50] + bytes(4000), bytes(100)):
        Path("run.jsonl").write_bytes(b"".join(lines[:-1]) + tail)
        done = imgconv("batch", *words)
        assert done.status == 3
        rows = rows_of(Path("run.jsonl").read_text())
        assert sorted(row["key"] for row in rows) == sorted(json.loads(line)["key"] for line in lines), tail


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"hello\n",
        b'{"key": "x"}\n',
        b"\x7fELF" + bytes(100),
        b'{"key": "' + b"a" * 64 + b'"}\n{"key": "',
        b"[" * 100_000 + b"\n",
    ],
    ids=range(6),
)
def test_a_file_that_is_no_journal_stays(folder, data, imgconv):
    Path("run.jsonl").write_bytes(data)
    done = imgconv("batch", "id", "in/*", "--journal", "run.jsonl")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert Path("run.jsonl").read_bytes() == data


def test_a_journal_of_another_version(folder, imgconv):
    """Its rows count if they are rows of this version, else it is refused; keys from later are ignored."""
    words = ["id", "in/*", "--journal", "run.jsonl"]
    imgconv("batch", *words)
    rows = rows_of(Path("run.jsonl").read_text())
    text = "".join(json.dumps({**row, "version": "9.9", "new": [1]}) + "\n" for row in rows)
    Path("run.jsonl").write_text(text)
    done = imgconv("batch", *words)
    assert (done.status, Path("run.jsonl").read_text()) == (3, text)
    assert "imgconv 9.9" in done.err
    for key in rows[0]:
        Path("run.jsonl").write_text(json.dumps({name: value for name, value in rows[0].items() if name != key}) + "\n")
        assert imgconv("batch", *words).status == 2, key


def test_links_folders_and_devices_are_no_journals(folder, imgconv):
    Path("there").touch()
    os.symlink("there", "link")
    os.mkfifo("fifo")
    for name in ("link", "in", "fifo", "/dev/null", "/dev/stdout"):
        assert imgconv("batch", "id", "in/*", "--journal", name).status == 2, name
    assert Path("there").read_bytes() == b""


def test_a_journal_is_for_one_run(folder, imgconv):
    with batch.Journal("run.jsonl"):
        done = imgconv("batch", "id", "in/*", "--journal", "run.jsonl")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "another run" in done.err
    assert imgconv("batch", "id", "in/*", "--journal", "run.jsonl").status == 3


def test_shards_divide_the_sources(folder, batch_rows):
    found = []
    for number in range(1, 4):
        _, rows, _ = batch_rows("id", "in/*", "--shard", f"{number}/3")
        assert all(int(row["key"], 16) % 3 == number - 1 for row in rows)
        found += [row["source"] for row in rows]
    assert sorted(found) == sorted(f"in/{name}" for name in os.listdir("in"))


def test_lists_hold_any_name(folder):
    """Names of a list are taken as they are; bytes that are not UTF-8 are escaped in rows."""
    names = [b"@x", b"-", b"*.tar", b"a b", b"--help", b"\xff", b"a\x1b[31m", b"new\nline", b"\xe2\x80\xaex", b"{stem}"]
    for name in names:
        shutil.copy("in/docker20-html.tar.gz", os.path.join(os.fsencode(folder), name))
    Path("out").mkdir()
    for data in (b"\0".join(names), b"\0".join(names) + b"\0"):
        done = run("batch", "id", "-", "--out", "out/{index}", "--progress", "none", input=data)
        assert done.returncode == 0
        assert [row["exit"] for row in rows_of(done.stdout.decode())] == [0] * len(names)
        assert all(line.isprintable() for line in done.stderr.decode().splitlines())
    Path("list").write_bytes(b"\r\n".join(name for name in names if b"\n" not in name) + b"\r\n\r\n")
    done = run("batch", "id", "@list")
    assert [row["exit"] for row in rows_of(done.stdout.decode())] == [0] * (len(names) - 1)
    # A file of that name wins over a list, and over a pattern.
    assert run("batch", "id", "./@x", "*.tar").returncode == 0


def test_sources_that_vanish_or_are_nothing_are_rows(folder, imgconv, batch_rows):
    Path("list").write_bytes(b"gone.tar\n" + b"x" * 5000 + b"\n/dev/zero\nin\n")
    status, rows, _ = batch_rows("id", "@list")
    assert [(row["exit"], row["code"]) for row in rows] == [
        (4, "not-found"),
        (4, "storage"),
        (3, "special-file"),
        (3, "not-an-image"),
    ]
    assert status == 4
    # One that comes later is done then.
    imgconv("batch", "id", "@list", "--journal", "run.jsonl")
    shutil.copy("in/docker20-html.tar.gz", "gone.tar")
    before = Path("run.jsonl").read_text()
    imgconv("batch", "id", "@list", "--journal", "run.jsonl")
    assert [row["source"] for row in rows_of(Path("run.jsonl").read_text().removeprefix(before))] == ["gone.tar"]


@pytest.mark.parametrize(
    "words",
    [
        ["id"],
        ["id", ""],
        ["tag", "in/*"],
        ["id", "no-*.tar"],
        ["id", "@empty"],
        ["id", "in/*", "--shard", "0/3"],
        ["id", "in/*", "--shard", "4/3"],
        ["id", "in/*", "--shard", "x"],
        ["id", "in/*", "--retry-failed"],
        ["id", "in/*", "--journal", ""],
        ["id", "in/*", "--journal", "-"],
        ["convert", "in/*", "--out", "{name}", "--journal", "-", "--", "--to", "oci"],
        ["id", "in/*", "--engine", "lokal"],
        ["id", "in/*", "--engine", "local:x"],
        ["id", "in/*", "--engine", "dask:"],
        ["id", "in/*", "--timeout", "0"],
        ["id", "in/*", "--timeout", "nan"],
        ["id", "in/*", "--memory", "0"],
        ["id", "in/*", "--jobs", "0"],
        ["id", "in/*", "--engine", "dask", "--timeout", "5"],
        ["id", "in/*", "--out", "out.json"],
        ["id", "in/*", "--out", "{name}.json"],
        ["id", "in/*", "--out", "{stm}.json"],
        ["id", "in/*", "--out", ""],
        ["id", "in/*", "--", "--json"],
        ["id", "in/*", "--", "--help"],
        ["id", "in/*", "--", "--no-such-option"],
        ["digest", "in/*", "--", "more.tar"],
        ["digest", "in/*", "--", "--manifest", "x", "--as", "crane"],
        ["digest", "in/*", "--", "--as", "nothing"],
        ["digest", "in/*", "--", "--platform", "x"],
        ["validate", "in/*", "--", "--format", "sarif"],
        ["validate", "in/*", "--", "more.tar"],
        ["inspect", "in/*", "--", "--graph", "x.svg"],
        ["convert", "in/*", "--", "--to", "oci"],
        ["convert", "in/*", "--out", "{stem}"],
        ["convert", "in/*", "--out", "{stem}", "--", "--to", "nothing"],
        ["convert", "in/*", "--out", "{stem}", "--", "--to", "oci", "more.tar"],
        ["convert", "in/*", "--out", "{stem}.tar.gz", "--", "--to", "docker-save"],
        ["convert", "in/*", "--out", "{name}.tar", "--", "--to", "docker-save", "--force"],
        ["convert", "in/*", "--out", "{stem}", "--", "--for", "nothing"],
        ["convert", "in/*", "--out", "{{name}}{stem}", "--", "--to", "oci"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_met_is_refused_before_anything_is_done(folder, imgconv, words):
    Path("empty").touch()
    before = sorted(os.listdir())
    done = imgconv("batch", *words)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("command", ["validate", "digest", "id", "inspect", "convert"])
def test_every_option_of_a_command_can_be_given_or_is_refused(command):
    """None of them leads to an internal error; each changes the options, is refused, or is for display only."""
    values = {
        "platforms": "linux/amd64",
        "jobs": "2",
        "consumers": "docker",
        "max_layer_size": "1073741824",
        "rename": "a=b",
    }
    values |= {"to": "oci", "tool": "crane", "pusher": "crane", "engine": "podman", "compress": "docker"}
    values |= {"manifest_type": "oci", "v1_ids": "keep", "verify": "full", "progress": "none", "form": "json"}
    display = {"quiet", "verbose", "progress", "debug"}
    module = importlib.import_module(f"convert.cli.{COMMANDS[command]}")
    plain_options = parse_options(command, [])
    refused = []
    for option in module.command.params:
        if not isinstance(option, click.Option):
            continue
        words = [option.opts[0]] if option.is_flag else [option.opts[0], values.get(option.name, "x")]
        try:
            found = parse_options(command, words)
        except UsageError as error:
            refused.append((words, error.code))
            continue
        assert (found == plain_options) == (option.name in display), words
        if option.name not in {*display, "jobs"}:
            assert option_words(found) == tuple(words), words
            assert parse_options(command, option_words(found)) == found
    assert {code for _, code in refused} <= {"incompatible-options"}, refused


def test_two_outputs_are_never_one(folder, imgconv):
    Path("more").mkdir()
    shutil.copy("in/docker20-html.tar.gz", "more/DOCKER20-HTML.tar")
    done = imgconv("batch", "id", "in/*", "more/*", "--out", "{stem}.json")
    assert done.status == 2
    assert "docker20-html" in done.err
    assert imgconv("batch", "id", "in/*", "more/*", "--out", "{index}.json").status == 3


def test_the_hint_for_two_outputs_in_one_place_works(folder, imgconv):
    """It names fields of --out that tell these sources apart, and only those."""
    Path("more").mkdir()
    shutil.copy("in/docker20-html.tar.gz", "more/docker20-html.tar")
    shutil.copy("in/docker20-html.tar.gz", "more/other.tar")

    def fields_of(*words):
        done = imgconv("batch", "id", *words)
        assert (done.status, done.err.count("\n")) == (2, 1), words
        return re.findall(r"\{(\w+)\}", done.err.partition(" (")[2])

    assert fields_of("in/docker20-html*", "more/d*", "--out", "{stem}.json") == ["index"]
    assert fields_of("more/other.tar", "more/d*", "--out", "out.json") == ["stem", "index"]
    assert fields_of("in/docker20-html*", "more/d*", "--out", "out.json") == ["index"]
    names = ["more/other.tar"] * 10
    for number in (1, 11):  # 1 and "1x" are 11 and "x"
        names[number - 1 : number] = [f"more/{'1' * (number == 1)}x.tar"]
        shutil.copy("more/other.tar", names[number - 1])
    assert fields_of(*names, "--out", "{index}{stem}") == []
    done = imgconv("batch", "id", *names, "--out", "{index}-{stem}")
    assert done.status == 0
    done = imgconv("batch", "convert", "in/docker20-multi*", "--out", "{stem}-{os}", "--", "--to", "docker-save")
    hinted = re.findall(r"\{(\w+)\}", done.err.partition(" (")[2])
    assert done.status == 2
    assert hinted
    assert not {"stem", "index", "os"} & set(hinted)
    words = ["in/docker20-multi*", "--out", "-".join(["{stem}", *(f"{{{field}}}" for field in hinted)])]
    assert imgconv("batch", "convert", *words, "--", "--to", "docker-save").status == 0


def test_a_source_given_twice_runs_once(folder, batch_rows):
    _, rows, _ = batch_rows("id", "in/docker20-html.tar.gz", "in/docker20-html.tar.gz", "in/docker20-h*")
    assert len(rows) == 1
    _, rows, _ = batch_rows("id", "in/docker20-html.tar.gz", "in/docker20-h*", "--out", "{stem}.json")
    assert len(rows) == 1
    _, rows, _ = batch_rows("id", "in/docker20-html.tar.gz", "in/docker20-h*", "--out", "{index}.json")
    assert len(rows) == 2


def test_quiet_prints_rows_only(folder, imgconv):
    done = imgconv("batch", "validate", "in/*", "-q")
    assert (done.status, done.err) == (3, "")
    assert len(rows_of(done.out)) == 7


def test_the_order_of_the_options_is_none_of_the_key(folder, batch_rows):
    one = batch_rows("convert", "in/docker20-html*", "--out", "a", "--", "--to", "oci", "--image", "fmt-html:1")[1]
    Path("a").rename("b")
    other = batch_rows(
        "convert", "in/docker20-html*", "--out", "a", "--", "--image=fmt-html:1", "-j2", "-q", "--to=oci"
    )[1]
    assert one[0]["key"] == other[0]["key"]
    assert one[0]["options"] == other[0]["options"] == ["--to", "oci", "--image", "fmt-html:1"]


def test_a_source_that_takes_too_long_is_ended(folder, batch_rows):
    """A FIFO without a writer waits for ever; the others are not held up."""
    os.mkfifo("fifo")
    status, rows, errors = batch_rows("id", "fifo", "in/docker20-html.tar.gz", "--timeout", "2s", "--jobs", "1")
    assert [(row["exit"], row["code"]) for row in rows] == [(4, "timeout"), (0, None)]
    assert rows[0]["seconds"] >= 2
    assert (status, "2 s" in errors) == (4, True)


def test_an_interrupted_run_goes_on(folder):
    """What was worked on has no row; the exit status is that of the signal."""
    os.mkfifo("fifo")
    words = [*COMMAND, "batch", "id", "in/docker20-html.tar.gz", "fifo", "--journal", "run.jsonl"]
    for number in (signal.SIGINT, signal.SIGTERM):
        Path("run.jsonl").unlink(missing_ok=True)
        process = subprocess.Popen(words, stderr=subprocess.PIPE)
        while not (Path("run.jsonl").exists() and Path("run.jsonl").read_bytes().endswith(b"\n")):
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 128 + number, errors
        assert b"1 not begun or not ended" in errors
        assert [row["source"] for row in rows_of(Path("run.jsonl").read_text())] == ["in/docker20-html.tar.gz"]
