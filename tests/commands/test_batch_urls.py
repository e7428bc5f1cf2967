"""URLs of a batch: streamed sources, outputs that appear whole, and credentials that nobody sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.reading import plain
from support import MATCH

import convert
from convert import batch
from convert.cli.main import run
from convert.commands.batch.addresses import is_url, scrubbed, without_credentials
from convert.errors import StorageError, UsageError

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (extra `fleet`)")

DATA = (MATCH / "docker20-html.tar.gz").read_bytes()
SECRETS = ["pass%20word", "TOKEN1234", "sig/nature="]


@pytest.fixture
def memory(monkeypatch):
    """Return fsspec's file system in memory, empty."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def rows_of(*arguments, **options):
    return [batch.run_one(item) for item in batch.items(*arguments, **options)]


def test_a_source_is_read_as_from_a_pipe(memory, tmp_path):
    """Every command gives what it gives for the file."""
    memory.pipe("/in/a.tar.gz", DATA)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(DATA)
    for command in ("validate", "digest", "id", "inspect"):
        (row,) = rows_of(["memory://in/a.tar.gz"], command)
        (local,) = rows_of([path], command)
        assert (row.exit, row.message, row.digests) == (0, None, local.digests)
        assert (row.source, row.stamp.size, row.stamp.is_remote) == ("memory://in/a.tar.gz", len(DATA), True)
        assert row.document()["etag"]
        assert "mtime" not in row.document()
    (row,) = rows_of(["memory://in/a.tar.gz"], "convert", out=str(tmp_path / "{stem}"), to="oci")
    assert (row.exit, row.message) == (0, None)
    convert.convert(path, tmp_path / "local", to="oci")
    assert (tmp_path / "a" / "index.json").read_bytes() == (tmp_path / "local" / "index.json").read_bytes()


def test_a_pattern_lists_a_bucket(memory):
    for name in ("a", "b", "c"):
        memory.pipe(f"/in/{name}.tar", DATA)
    memory.pipe("/in/text", b"text")
    assert [item.source for item in batch.items(["memory://in/*.tar"], "id")] == [
        f"memory://in/{name}.tar" for name in ("a", "b", "c")
    ]
    with pytest.raises(UsageError, match="fits nothing"):
        batch.items(["memory://in/*.gz"], "id")


def test_outputs_appear_whole(memory, tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(plain(MATCH / "docker20-html.tar.gz"))
    (row,) = rows_of([path], "convert", out="memory://out/{stem}-new.tar", to="oci-archive")
    convert.convert(path, tmp_path / "alone.tar", to="oci-archive")
    assert (row.exit, row.output) == (0, "memory://out/a-new.tar")
    assert memory.cat("/out/a-new.tar") == (tmp_path / "alone.tar").read_bytes()
    assert row.bytes == (tmp_path / "alone.tar").stat().st_size
    assert {each["output"] for each in row.digests} == {"memory://out/a-new.tar"}
    assert memory.ls("/out", detail=False) == ["/out/a-new.tar"]
    # The same bytes count as written, others stay unless --force is given.
    (row,) = rows_of([path], "convert", out="memory://out/{stem}-new.tar", to="oci-archive")
    assert row.exit == 0
    memory.pipe("/out/a-new.tar", b"other")
    (row,) = rows_of([path], "convert", out="memory://out/{stem}-new.tar", to="oci-archive")
    assert (row.exit, row.code, memory.cat("/out/a-new.tar")) == (2, "destination-exists", b"other")
    (row,) = rows_of([path], "convert", out="memory://out/{stem}-new.tar", to="oci-archive", force=True)
    assert (row.exit, memory.cat("/out/a-new.tar")) == (0, (tmp_path / "alone.tar").read_bytes())
    (row,) = rows_of([path], "id", out="memory://out/{stem}.json")
    assert json.loads(memory.cat("/out/a.json"))["report"] == "id"
    assert not [name for name in os.listdir(tempfile.gettempdir()) if name.startswith(f".imgconv-{os.getpid()}-")]


def test_fields_of_images_give_an_object_each(memory, tmp_path):
    (row,) = rows_of(
        [MATCH / "docker20-multi.tar.gz"], "convert", out="memory://out/{stem}-{name}_{tag}.tar", to="docker-save"
    )
    assert row.exit == 0, row.message
    assert {each["output"] for each in row.digests} == {f"memory:/{name}" for name in memory.ls("/out", detail=False)}
    assert len(memory.ls("/out")) > 3


def test_a_write_that_fails_leaves_nothing(memory, tmp_path, monkeypatch):
    path = tmp_path / "a.tar"
    path.write_bytes(plain(MATCH / "docker20-html.tar.gz"))

    def fail(*_, **__):
        raise OSError("quota of TOKEN1234 exceeded")

    monkeypatch.setattr(type(memory), "mv", fail)
    (row,) = rows_of([path], "convert", out="memory://u:TOKEN1234@out/{stem}.tar", to="oci-archive")
    assert (row.exit, row.code) == (4, "storage")
    assert "TOKEN1234" not in row.message
    assert not memory.find("/")


def test_layouts_cannot_be_objects():
    for options in ({"to": "oci"}, {"to": "oci", "append": True}):
        with pytest.raises(UsageError) as error:
            batch.items(["memory://a.tar"], "convert", out="memory://{stem}", **options)
        assert error.value.code == "layout-to-url"


def test_a_source_that_is_cut_short_is_an_error_of_reading(memory, monkeypatch):
    """It is not taken for a damaged archive."""
    memory.pipe("/in/a.tar", plain(MATCH / "docker20-html.tar.gz"))
    real = memory.open("/in/a.tar", "rb")

    class Cut:
        size = real.size

        def __init__(self):
            self.left = 20_000

        def read(self, size):
            size = min(size, self.left)
            self.left -= size
            return real.read(size)

        def close(self):
            pass

    monkeypatch.setattr(type(memory), "_open", lambda *_, **__: Cut())
    (row,) = rows_of(["memory://in/a.tar"], "validate")
    assert (row.exit, row.code) == (4, "storage"), row.message
    assert "20000 of" in row.message


def test_sources_that_are_not_there(memory):
    (row,) = rows_of(["memory://in/none.tar"], "id")
    assert (row.exit, row.code, row.stamp) == (4, "not-found", batch.Stamp(is_remote=True))


def test_a_restart_sees_the_etag(memory, tmp_path):
    memory.pipe("/in/a.tar", DATA)
    (item,) = batch.items(["memory://in/a.tar"], "id")
    row = batch.run_one(item)
    assert not list(batch.missing([item], {item.key: row}))
    memory.rm_file("/in/a.tar")
    assert list(batch.missing([item], {item.key: row})) == [item]
    memory.pipe("/in/a.tar", DATA)
    assert list(batch.missing([item], {item.key: row})) == [item]


# -- credentials ---------------------------------------------------------------------------


CREDENTIAL_URLS = [
    f"memory://user:{SECRETS[0]}@host/a.tar",
    f"memory://{SECRETS[1]}@host/a.tar",
    f"memory://host/a.tar?token={SECRETS[1]}&sig={SECRETS[2]}",
    f"memory://host/a.tar#{SECRETS[1]}",
    f"simplecache::memory://user:{SECRETS[0]}@host/a.tar?x={SECRETS[1]}",
]


@pytest.mark.parametrize("url", CREDENTIAL_URLS)
def test_credentials_reach_neither_rows_nor_messages(memory, tmp_path, capfd, url):
    """Nor the journal, the representation of an item, or a message of the storage."""
    (tmp_path / "list").write_text(url + "\n")
    for command, out in (
        ("id", ()),
        ("convert", ("--out", f"memory://k:{SECRETS[1]}@h/{{stem}}", "--", "--to", "crane")),
    ):
        words = [command, f"@{tmp_path / 'list'}", "--journal", str(tmp_path / "run.jsonl"), "--jobs", "1", *out]
        status = run(["batch", *words])
        assert status in {2, 4}
    printed = capfd.readouterr()
    items = batch.items([url], "id")
    rows = [batch.run_one(item) for item in items]
    everything = [printed.out, printed.err, (tmp_path / "run.jsonl").read_text(), repr(items), repr(rows), items[0].key]
    assert len((tmp_path / "run.jsonl").read_text().splitlines()) == 2
    for secret in SECRETS:
        assert not any(secret in text for text in everything), secret
    assert items[0].address == url


@given(st.text(min_size=4, max_size=30).filter(lambda text: not set(text) & set("@/?# ")), st.text(max_size=20))
def test_what_others_say_about_a_url_is_scrubbed(secret, text):
    url = f"s3://key:{secret}@bucket/a.tar?sig={secret}"
    # A short one is taken out where it is a word.
    said = secret not in text or len(secret) >= 8
    if said and is_url(url) and secret not in "s3://***@bucket/a.tar?***":
        assert secret not in without_credentials(url)
        assert secret not in scrubbed(f"{text} {url} {secret} failed", url)


@pytest.mark.parametrize(
    "user", ["a", "a:b", "e:s3", "s:", ":o", "at:1", "%61", "%61:%62", "a:longer-password", "a:pass", "key:3e"]
)
@pytest.mark.parametrize("query", ["", "?v=1", "?a", "?a=e&n=o", "#s"])
def test_a_short_name_or_password_leaves_the_words_of_a_message(user, query):
    """Only what stands between `//` and `@`, and behind `?`, is taken out."""
    url = f"s3://{user}@bucket/a.tar{query}"
    said = "reading failed: a name that nobody knows, 3 at once (data@home, one of 13 passages)"
    assert scrubbed(said, url) == said
    for text in (f"{said}: {url}", f"{said}: {user}@bucket", f"{said} s3://{user}@bucket/other{query}"):
        found = scrubbed(text, url)
        assert found.startswith(said)
        assert f"{user}@" not in found.removeprefix(said)
    password = user.partition(":")[2]
    if len(password) > 2:
        assert password not in scrubbed(f"'{password}' is wrong", url)


def test_a_decoded_password_is_taken_out_too():
    """Libraries decode the user of a URL before they use it."""
    assert "p@ss/word" not in scrubbed("no access for key with p@ss/word", "s3://key:p%40ss%2Fword@bucket/a")
    assert "si gn" not in scrubbed("signature 'si gn+' differs", "https://host/a?sig=si+gn%2B")


def test_urls_that_only_their_credentials_tell_apart_are_refused():
    with pytest.raises(UsageError) as error:
        batch.items(["https://h/a?x=1", "https://h/a?x=2"], "id")
    assert error.value.code == "ambiguous-url"
    assert "x=1" not in str(error.value)


@pytest.mark.parametrize("url", ["nothing://a/b", "git://x/y", "smb://h/a", "reference://x", "gs://b/a"])
def test_a_protocol_without_its_package_is_a_row(url):
    (row,) = rows_of([url], "id")
    assert row.exit in {2, 4}
    assert row.message


def test_without_the_extra_nothing_is_read(tmp_path):
    """A path spelled like a URL is a path; a URL is refused before anything happens."""
    code = (
        "import sys; sys.modules['fsspec'] = None; sys.modules['distributed'] = None\n"
        "from convert.cli.main import run\n"
        "print(run(['batch', 'id', 's3://bucket/a.tar']), run(['batch', 'id', 'x', '--engine', 'dask']))\n"
        "print(run(['id', 's3://bucket/a.tar']))\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split() == ["2", "2", "4"]
    assert done.stderr.count("imgconv[fleet]") == 2
    Path(tmp_path, "s3:").mkdir()
    Path(tmp_path, "s3:", "a.tar").write_bytes(DATA)
    code = code.splitlines()[0] + (
        "\nfrom convert import batch\nprint(batch.run_one(batch.items(['s3://a.tar'], 'id')[0]).exit)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == "0\n"


def test_errors_of_storage_are_ours(memory, monkeypatch):
    """Whatever a library raises is a row with exit status 4, not a bug."""
    memory.pipe("/in/a.tar", DATA)
    for error in (ValueError("x"), KeyError("x"), RuntimeError("x"), TimeoutError(), StorageError("x"), EOFError()):
        monkeypatch.setattr(type(memory), "info", lambda *_, error=error, **__: (_ for _ in ()).throw(error))
        (row,) = rows_of(["memory://in/a.tar"], "id")
        assert row.exit == 4, error
