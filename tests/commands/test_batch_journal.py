"""Items, keys and journals for any names: what is written is read again, and nothing is done twice."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import MATCH

import convert
from convert import batch
from convert.commands.batch.item import COMMANDS, Item, option_words, options_type
from convert.commands.batch.outputs import Outputs, stem_of
from convert.commands.batch.stamps import stamp_of
from convert.errors import UsageError

#: Anything that a path of POSIX can be, and texts that cannot be one.
NAMES = st.one_of(
    st.binary(min_size=1, max_size=60).map(os.fsdecode),
    st.text(min_size=1, max_size=60),
    st.sampled_from(["-", "@x", "*", "--", "oci:a:b", "registry:x", "s3", "a\nb", "\x00", "x" * 300, "\ud800"]),
)
ROWS = st.builds(
    batch.Row,
    st.text("0123456789abcdef", min_size=64, max_size=64),
    NAMES,
    st.one_of(
        st.builds(batch.Stamp, st.none() | st.integers(0), st.none() | st.floats(0, 1e10)),
        st.builds(
            batch.Stamp, st.none() | st.integers(0), st.none(), st.none() | st.text(), is_remote=st.sampled_from([True])
        ),
    ),
    st.sampled_from(list(COMMANDS)),
    st.lists(NAMES).map(tuple),
    st.text(max_size=10),
    st.sampled_from([0, 1, 2, 3, 4, 70]),
    st.none() | st.text(max_size=10),
    st.lists(st.dictionaries(st.text(max_size=5), NAMES, max_size=3), max_size=3).map(tuple),
    st.none() | NAMES,
    st.none() | st.integers(0),
    st.floats(0, 1e6).map(lambda number: round(number, 6)),
)


def escaped(value):
    """Return a value as it is in JSON that strict readers accept."""
    return json.loads("".join(convert_chunks(value)))


def convert_chunks(value):
    from convert.report.json_text import chunks

    return chunks(value, indent=None)


@given(ROWS)
def test_a_row_is_one_line_of_strict_json(row):
    line = row.line()
    assert "\n" not in line
    assert line.isascii()
    json.loads(line.encode()).items()
    again = batch.Row.from_document(json.loads(line))
    assert again.document() == escaped(row.document())
    assert (again.stamp, again.key) == (
        batch.Stamp(row.stamp.size, row.stamp.mtime, escaped(row.stamp.etag), is_remote=row.stamp.is_remote),
        row.key,
    )


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)
@given(st.lists(ROWS, max_size=6), st.integers(0, 5000), st.integers(0, 40))
def test_a_journal_that_was_cut_anywhere_goes_on(rows, cut, zeros):
    """Of the rows before the cut none is lost; nothing else is in the journal afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.jsonl")
        with batch.Journal(path) as journal:
            for row in rows:
                journal.add(row)
        data = Path(path).read_bytes()
        kept = data[: max(0, len(data) - cut)]
        Path(path).write_bytes(kept + bytes(zeros))
        whole = [line for line in data.splitlines() if line]
        complete = kept.count(b"\n") + (
            1 if kept and not kept.endswith(b"\n") and kept.splitlines()[-1] in whole else 0
        )
        with batch.Journal(path) as journal:
            assert journal.rows.keys() == {row.key for row in rows[:complete]}
            for row in rows:
                journal.add(row)
        lines = Path(path).read_bytes().splitlines()
        assert lines == [*whole[:complete], *whole]
        assert list(batch.read_journal(path)) == sorted({row.key for row in rows})


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(st.binary(max_size=200))
def test_any_other_file_is_refused_and_stays(data):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.jsonl")
        Path(path).write_bytes(data)
        if b'{"key":"'.startswith(data.rstrip(b"\0")):  # what a kill leaves of a first row
            return
        with pytest.raises(UsageError):
            batch.Journal(path)
        assert Path(path).read_bytes() == data


@given(st.lists(NAMES, min_size=2, max_size=2, unique=True), st.sampled_from(list(COMMANDS)))
def test_keys_tell_items_apart(names, command):
    options = options_type(command)()
    items = [Item(source=name, command=command, options=options) for name in names]
    items += [Item(source=names[0], command=command, options=options, output=name) for name in names]
    items += [
        Item(source=names[0], command="digest", options=convert.DigestOptions(pushers=["crane"])),
        Item(source=names[0], command="digest", options=convert.DigestOptions(images=["crane"])),
    ]
    try:
        keys = {item.key for item in items}
    except UnicodeEncodeError:
        return  # no path
    assert len(keys) == len(items)
    for item in items:
        assert pickle.loads(pickle.dumps(item)) == item
        assert pickle.loads(pickle.dumps(item)).key == item.key


def test_keys_never_change():
    """A journal of today goes on with imgconv of tomorrow: each part of a key has its length in front."""
    item = Item(source="in/ä.tar", command="convert", options=convert.ConvertOptions(to="oci"), output="out/a")
    text = "9:in/ä.tar7:convert4:--to3:oci6:\nout/a"
    assert item.key == hashlib.sha256(text.encode()).hexdigest()
    item = Item(source="x", command="id", options=convert.IdentifyOptions())
    assert item.key == hashlib.sha256(b"1:x2:id0:").hexdigest()


@given(
    NAMES, st.lists(st.sampled_from(["{stem}", "{index}", "{tag}", "a", "-", ".", "{{", "}}"]), min_size=1, max_size=5)
)
def test_outputs_stay_in_their_folder(name, parts):
    """Whatever a source is called: an output has the folders of the template and no others."""
    if "\0" in name or any("\ud800" <= char <= "\udfff" and not "\udc80" <= char <= "\udcff" for char in name):
        return
    template = "out/" + "".join(parts) + "/x-{stem}.tar"
    try:
        ((text, folders),) = Outputs(template, "convert").fill([name])
    except UsageError:
        return
    assert text.count("/") == 2
    if any(part in {"{stem}", "{index}"} for part in parts):
        assert text.split("/")[1] not in {"", ".", ".."}
    assert all(folder.startswith("out/") for folder in folders)


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        ("a.tar", "a"),
        ("in/a.tar.gz", "a"),
        ("a.tgz", "a"),
        ("a.b.TAR.ZST", "a.b"),
        ("layout/", "layout"),
        ("oci:lay:1.0", "lay"),
        ("s3://bucket/x/a.tar?version=1", "a"),
        (".tar", ".tar"),
        ("/", "source"),
        ("a.json", "a.json"),
    ],
)
def test_stems(source, stem):
    assert stem_of(source) == stem


def test_any_executor_will_do(tmp_path):
    """Threads give the rows of direct calls, for a restart too."""
    items = batch.items([str(MATCH / "*.tar.gz")], "digest", pushers=["crane", "docker"])
    direct = {row.key: row for row in map(batch.run_one, items)}
    with batch.Journal(tmp_path / "run.jsonl") as journal, ThreadPoolExecutor(2) as executor:
        first = {row.key: row for row in batch.run(items[:5], executor, journal=journal)}
        rest = {row.key: row for row in batch.run(items, executor, journal=journal)}
        assert list(batch.run(items, executor, journal=journal)) == []
    assert len(first) == 5
    assert not first.keys() & rest.keys()
    assert {key: row.digests for key, row in (first | rest).items()} == {
        key: row.digests for key, row in direct.items()
    }
    table = batch.read_journal(tmp_path / "run.jsonl")
    assert list(table) == sorted(direct)
    summary = batch.Summary.of(len(items), table.values())
    # crane does not push archives without manifest.json.
    assert (summary.earlier, summary.failed, summary.status) == (len(items), 2, 2)
    assert summary.codes == {"pusher-cannot-read": 2}


def test_paths_begin_in_the_folder_of_the_item(tmp_path, monkeypatch):
    """An engine may run it elsewhere."""
    monkeypatch.chdir(tmp_path)
    Path("a.tar.gz").write_bytes((MATCH / "docker20-html.tar.gz").read_bytes())
    convert.convert("a.tar.gz", "layout", to="oci")
    items = batch.items(["a.tar.gz", "oci:layout:fmt-html:1", "layout"], "convert", out="out/{index}/x", to="oci")
    Path("out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    rows = [batch.run_one(item) for item in items]
    assert [row.exit for row in rows] == [0, 0, 0], rows
    assert [row.output for row in rows] == [f"out/{number}/x" for number in (1, 2, 3)]
    assert os.listdir() == []
    assert (tmp_path / "out/2/x/index.json").exists()


def test_the_stamp_of_an_image_in_a_storage_is_that_of_its_repository(tmp_path, monkeypatch):
    """Other repositories and the blobs of all of them are not looked at; the item also runs from elsewhere."""
    links = tmp_path / "root/docker/registry/v2/repositories/a/b/_manifests/tags/1/current"
    links.mkdir(parents=True)
    (links / "link").write_text("sha256:" + "0" * 64)
    blobs = tmp_path / "root/docker/registry/v2/blobs/sha256"
    blobs.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (item,) = batch.items(["registry:root/a/b:1"], "id")
    before = stamp_of(item)
    assert before.size == 71
    (blobs / "new").write_text("x")
    assert stamp_of(item) == before
    (links / "link").write_text("sha512:" + "0" * 128)
    assert stamp_of(item) != before
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    row = batch.run_one(item)
    assert row.stamp.size == 135
    assert (row.source, row.exit) == ("registry:root/a/b:1", 3)


def test_option_words_have_the_names_of_the_command_line():
    found = option_words(
        convert.ConvertOptions(to="oci", images=["a", "b"], force=True, jobs=3, with_=["x"], tags=["t"])
    )
    assert found == ("--to", "oci", "--image", "a", "--image", "b", "--tag", "t", "--force", "--with", "x")
