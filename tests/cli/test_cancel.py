"""Ctrl-C, SIGTERM and SIGHUP end every command soon, whatever it is reading, and print nothing of Python's."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from itertools import cycle
from pathlib import Path

import pytest
from support import COMMAND, MATCH

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc how far a process is")

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
#: Seconds in which a cancelled run surely ends, and an uncancelled one surely does not.
LIMIT = 20
GIB = 1 << 30
LAYERS = 4
#: Bytes that a run has read when it is interrupted.
BEGUN = 64 << 20


def big_archive(path, first):
    """Write a docker archive whose layers are sparse files of 60 GiB: minutes of hashing, no space on disk."""
    diff_ids = [f"sha256:{first + number:064x}" for number in range(LAYERS)]
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    ).encode()
    image_id = hashlib.sha256(config).hexdigest()
    names = [f"{number}.tar" for number in range(LAYERS)]
    documents = {
        f"{image_id}.json": config,
        "manifest.json": json.dumps([{"Config": f"{image_id}.json", "RepoTags": ["big:1"], "Layers": names}]).encode(),
    }
    with path.open("wb") as file:
        for name, data in documents.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.write(member.tobuf() + data + bytes(-len(data) % 512))
        for name in names:
            member, inside = tarfile.TarInfo(name), tarfile.TarInfo("file")
            member.size = 60 * GIB
            inside.size = member.size - 3 * 512
            file.write(member.tobuf(tarfile.GNU_FORMAT))
            end = file.tell() + member.size
            file.write(inside.tobuf(tarfile.GNU_FORMAT))
            file.seek(end)
        file.write(bytes(1024))
    return image_id


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    folder = tmp_path_factory.mktemp("big")
    image_id = big_archive(folder / "a.tar", 1)
    big_archive(folder / "b.tar", 9)
    manifest = {
        "schemaVersion": 2,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": f"sha256:{image_id}",
            "size": len(config_of(folder / "a.tar")),
        },
        "layers": [
            {
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": f"sha256:{number + 70:064x}",
                "size": GIB,
            }
            for number in range(LAYERS)
        ],
    }
    (folder / "m.json").write_text(json.dumps(manifest))
    return folder


def config_of(path):
    with path.open("rb") as file:
        member = tarfile.TarInfo.frombuf(file.read(512), "utf-8", "strict")
        return file.read(member.size)


def start(arguments, **streams):
    """Start a command, with nothing of the caller's standard streams."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen([*COMMAND, *map(str, arguments)], **streams)


def has_read(process):
    """Return how many bytes a process has read so far."""
    rows = dict(line.split(": ") for line in Path(f"/proc/{process.pid}/io").read_text().splitlines())
    return int(rows["rchar"])


def wait_until(condition, process):
    end = time.monotonic() + LIMIT
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.01)


def end(process, number):
    """Send a signal; check how the process ends."""
    process.send_signal(number)
    try:
        _, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("still running")
    assert process.returncode == 128 + number
    assert err == b""


#: Arguments; `A` and `B` stand for archives, `M` for a manifest, `OUT` for a destination.
READERS = {
    "validate": ["validate", "A"],
    "inspect": ["inspect", "--verify", "A"],
    "diff": ["diff", "--files", "A", "B"],
    "digest": ["digest", "-q", "A"],
    "match": ["match", "A", "M"],
    "oci": ["A", "--to", "oci", "OUT"],
    "docker-save": ["A", "--to", "docker-save", "OUT"],
    "verify full": ["A", "--to", "docker-oci", "--verify", "full", "OUT"],
    "add-repositories": ["--add-repositories", "--v1-ids", "chain-free", "--compress", "go1.26-1", "A", "OUT"],
}


def filled(arguments, big, tmp_path):
    places = {"A": big / "a.tar", "B": big / "b.tar", "M": big / "m.json", "OUT": tmp_path / "out"}
    return [places.get(word, word) for word in arguments]


@pytest.mark.parametrize(("name", "number"), [*zip(READERS, cycle(NUMBERS), strict=False)])
def test_a_signal_ends_long_reading(big, tmp_path, name, number):
    process = start(filled(READERS[name], big, tmp_path))
    wait_until(lambda: has_read(process) > BEGUN, process)
    end(process, number)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [["validate", "-"], ["id", "-"], ["inspect", "--verify", "-"], ["digest", "-"], ["-", "--to", "oci", "OUT"]],
    ids=lambda words: words[0],
)
def test_a_signal_ends_the_wait_for_a_silent_pipe(big, tmp_path, arguments):
    """The reader may be a thread that no signal wakes."""
    reader, writer = os.pipe()
    process = start(filled(arguments, big, tmp_path), stdin=reader)
    os.close(reader)
    with (big / "a.tar").open("rb") as file, os.fdopen(writer, "wb", 0) as pipe:
        pipe.write(file.read(8 << 20))
        wait_until(lambda: has_read(process) > 8 << 20, process)
        end(process, signal.SIGINT)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("target", ["docker-save", "crane"])
def test_a_signal_ends_the_wait_for_a_reader_that_has_stopped(big, target):
    process = start([big / "a.tar", "--to", target, "-"])
    with process.stdout as pipe:
        if target == "docker-save":
            pipe.read(1)  # the rest of it stays in the pipe
        else:
            wait_until(lambda: has_read(process) > BEGUN, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 128 + signal.SIGTERM
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_signal_ends_the_wait_for_a_reader_of_what_is_printed():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, bytes(4096)):
            pass
    os.set_blocking(writer, True)
    process = start(["profiles"], stdout=writer)
    os.close(writer)
    wait_until(lambda: handles_signals(process), process)
    time.sleep(1)
    end(process, signal.SIGTERM)
    os.close(reader)


@pytest.mark.parametrize("arguments", [["validate", "FIFO"], ["match", "A", "FIFO"]], ids=lambda words: words[0])
def test_a_signal_ends_the_wait_for_a_fifo_that_nobody_writes(big, tmp_path, arguments):
    os.mkfifo(tmp_path / "fifo")
    places = {"A": big / "a.tar", "FIFO": tmp_path / "fifo"}
    process = start([places.get(word, word) for word in arguments])
    wait_until(lambda: handles_signals(process), process)
    time.sleep(1)
    end(process, signal.SIGTERM)


def test_a_signal_ends_the_wait_for_a_manifest_from_a_silent_pipe(big):
    reader, writer = os.pipe()
    process = start(["match", big / "a.tar", "-"], stdin=reader)
    wait_until(lambda: handles_signals(process), process)
    time.sleep(1)
    end(process, signal.SIGINT)
    os.close(reader)
    os.close(writer)


# -- any moment ---------------------------------------------------------------------------

SMALL = MATCH / "docker20-html.tar.gz"
COMMANDS = {
    "id": ["id", SMALL],
    "validate": ["validate", SMALL],
    "inspect": ["inspect", "--verify", "--encoders", SMALL],
    "digest": ["digest", "-q", SMALL],
    "diff": ["diff", "--files", SMALL, SMALL],
    "oci": [SMALL, "--to", "oci", "OUT"],
    "docker-save": [SMALL, "--to", "docker-save", "OUT"],
    "profiles": ["profiles"],
    "help": ["--help"],
}


def handles_signals(process):
    """Whether imgconv's first line has run: before that a signal is Python's own matter."""
    rows = dict(line.split(":\t", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    return bool(int(rows["SigCgt"], 16) >> (signal.SIGTERM - 1) & 1)


def interrupt_at_random(arguments, folder, times):
    chance = random.Random(str(arguments))
    begin = time.monotonic()
    process = start(arguments)
    process.communicate()
    took, usual = time.monotonic() - begin, process.returncode
    for _ in range(times):
        out = Path(folder, "out")
        if out.is_dir():
            for path in sorted(out.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            out.rmdir()
        elif out.exists():
            out.unlink()
        number = chance.choice(NUMBERS)
        process = start(arguments)
        wait_until(lambda process=process: process.poll() is not None or handles_signals(process), process)
        time.sleep(chance.uniform(0, took))
        process.send_signal(number)
        _, err = process.communicate(timeout=LIMIT)
        assert process.returncode in {128 + number, usual}, (process.returncode, number, usual, err)
        for line in err.decode().splitlines():
            assert line.startswith("imgconv: "), err.decode()
            assert "internal error" not in line
        assert set(os.listdir(folder)) <= {"out"}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_at_any_moment_shows_nothing_of_python(tmp_path, name):
    interrupt_at_random(filled(COMMANDS[name], tmp_path, tmp_path), tmp_path, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_many_signals_at_any_moment_show_nothing_of_python(tmp_path, name):
    interrupt_at_random(filled(COMMANDS[name], tmp_path, tmp_path), tmp_path, 60)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("arguments", [("--to", "docker-save"), ("--to", "crane")])
def test_a_fifo_that_nobody_reads_does_not_hold_a_run(tmp_path, number, arguments):
    """As DEST: the run waits for a reader, and no longer than it goes on."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    source = MATCH / "docker20-import.tar.gz"
    with subprocess.Popen(
        [*COMMAND, str(source), *arguments, str(fifo)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(number)
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out) == (128 + number, b"")
    assert b"Traceback" not in err
