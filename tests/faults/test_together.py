"""Several at once on one destination, readers beside an append, and a source that changes."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import resource
import signal
import subprocess
import threading
import time

import pytest
from oracle.reading import contents
from support import COMMAND, FORMATS, MATCH, run

import convert
from convert.archive.open import open_source
from convert.archive.temporary import MARK
from convert.errors import ImgconvError, InputError

SOURCE = MATCH / "docker20-multi.tar.gz"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.tar"
    path.write_bytes(gzip.decompress(SOURCE.read_bytes()))
    return path


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_four_at_once_on_one_destination_never_mix(tmp_path, source, form, force):
    """One wins, or each in turn; the others say why they could not."""
    place = tmp_path / "place"
    place.mkdir()
    wanted = {}
    for image in ("fmt-scr:1", "fmt-html:1"):
        done = run(source, "--to", form, tmp_path / image, "--image", image)
        if done.returncode == 2:  # not in this archive
            continue
        wanted[image] = contents(tmp_path / image)
    assert wanted
    if force:
        assert run(source, "--to", form, place / "out", "--image", next(iter(wanted))).returncode == 0
    running = [
        subprocess.Popen(
            [*COMMAND, str(source), "--to", form, str(place / "out"), "--image", image, "-q", *force],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for image in [*wanted, *wanted]
    ]
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in running]
    assert {status for _, status in ended} <= {0, 2, 4}
    assert any(status == 0 for _, status in ended)
    assert all(err.count(b"\n") == (status != 0) for err, status in ended)
    assert contents(place / "out") in list(wanted.values())
    assert [path.name for path in place.iterdir()] == ["out"]


def complete(layout):
    """Whether all that index.json names is there and whole, seen as a stranger sees it."""
    with open(layout / "index.json", "rb") as file:
        documents = [json.loads(file.read())]
    while documents:
        document = documents.pop()
        parts = [*document.get("manifests", ()), *document.get("layers", ())]
        for part in [*parts, *([document["config"]] if "config" in document else ())]:
            algorithm, _, encoded = part["digest"].partition(":")
            data = (layout / "blobs" / algorithm / encoded).read_bytes()
            assert hashlib.new(algorithm, data).hexdigest() == encoded
            if "manifest" in part["mediaType"] or "index" in part["mediaType"]:
                documents.append(json.loads(data))


def test_readers_of_a_layout_never_see_an_append_half_done(tmp_path, source):
    layout = tmp_path / "layout"
    assert run(source, "--to", "oci", layout, "--image", "fmt-scr:1").returncode == 0
    stop, seen, wrong = threading.Event(), [], []

    def read():
        while not stop.is_set():
            try:
                complete(layout)
                seen.append(1)
            except Exception as error:  # noqa: BLE001 - raised in the main thread
                wrong.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for name in ("docker20-html", "docker20-parents", "docker20-duplayer", "docker20-multi"):
            assert run(MATCH / f"{name}.tar.gz", "--to", "oci", layout, "--append").returncode == 0
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert not wrong
    assert seen


def test_two_appends_at_once_lose_nothing(tmp_path, source):
    layout = tmp_path / "layout"
    assert run(source, "--to", "oci", layout, "--image", "fmt-scr:1").returncode == 0
    names = ["docker20-html", "docker20-parents", "docker20-duplayer"]
    for _ in range(20):
        running = {
            name: subprocess.Popen(
                [*COMMAND, str(MATCH / f"{name}.tar.gz"), "--to", "oci", str(layout), "--append", "-q"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for name in names
        }
        statuses = {name: (process.communicate()[1], process.returncode) for name, process in running.items()}
        assert all(status == 0 or b"another imgconv is writing to it" in err for err, status in statuses.values())
        complete(layout)
        names = [name for name, (_, status) in statuses.items() if status]
        if not names:
            break
    assert not names
    complete(layout)


@pytest.mark.parametrize("form", FORMATS)
def test_a_source_that_is_written_to_while_it_is_read_is_noticed(tmp_path, source, form, monkeypatch):
    """Even where the bytes that were read still fit: whoever writes may not be done."""
    from convert.reader import detect as reading

    plain = reading.finish

    def meddled(*given, **more):
        images = plain(*given, **more)
        with open(source, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\0")
        os.utime(source, ns=(1, 1))
        return images

    monkeypatch.setattr(reading, "finish", meddled)
    with pytest.raises(InputError, match="it changed while it was read"):
        convert.convert(str(source), str(tmp_path / "out"), to=form)
    assert [path.name for path in tmp_path.iterdir()] == ["in.tar"]


@pytest.mark.parametrize("size", [100, 5000])
def test_a_source_that_becomes_shorter_is_noticed(tmp_path, source, size):
    with open_source(str(source)) as opened:
        blob = opened.tree.find("manifest.json")
        os.truncate(source, size)
        with pytest.raises(ImgconvError, match="changed while it was read"), blob.open() as stream:
            stream.read()
        with pytest.raises(InputError, match="changed while it was read"):
            opened.tree.check_unchanged()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_midst_of_a_large_layer_ends_it_soon(tmp_path, number):
    """The run does not wait until a layer of many GiB is compressed."""
    from hostile.building import Docker, config, header

    size = 3 << 30
    layer = tmp_path / "in.tar"
    built = Docker(layers={"layer.tar": None}, config=config("sha256:" + "0" * 64)).build()
    with open(layer, "wb") as file:
        file.write(header(b"layer.tar", size))
        file.seek(512 + size)
        file.write(built)
    place = tmp_path / "place"
    place.mkdir()
    process = subprocess.Popen(
        [*COMMAND, str(layer), "--to", "oci", str(place / "out"), "--compress", "go1.27-9", "--progress", "none"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not list(place.iterdir()) and process.poll() is None:
        time.sleep(0.01)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process.send_signal(number)
    out, err = process.communicate(timeout=600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (process.returncode, out, err) == (128 + number, b"", b"")
    # Processor seconds; the complete layer takes 13.
    assert after.ru_utime - before.ru_utime < 5
    assert not list(place.iterdir())


def test_what_a_killed_stream_left_in_the_folder_for_temporary_files_goes_with_the_next(tmp_path, source):
    """With DEST `-` there is no folder beside the result, so blobs wait in TMPDIR."""
    spool = tmp_path / "spool"
    spool.mkdir()
    left = spool / ".imgconv-1-00112233aabbccdd.tmp"
    left.mkdir()
    (left / MARK).touch()
    (left / "new-1").write_bytes(b"half a layer")
    other = spool / "somebody's"
    other.write_bytes(b"")
    done = run(source, "--to", "oci-archive", "-", env={**os.environ, "TMPDIR": str(spool)})
    assert done.returncode == 0
    assert list(spool.iterdir()) == [other]
