"""Runs one command over an archive and judges what came of it, by code that is not imgconv's.

What may come: status 0, and then a whole result whose image IDs, DiffIDs and names
are those that the archive's own bytes have; or status 3, 2 where the target cannot
hold it, with one clear line and nothing left. Anything else is a finding.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import sys
import tempfile
import threading
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import support
from oracle import reading
from oracle.truth import NAME_KEY, REF_KEY, Truth, full

from convert.cli.main import run

#: Refusals of sound archives: what a line of status 2 says.
UNFIT = (
    "cannot hold",
    "holds no image",
    "more than one",
)
REPORTS = (
    ("id", "--json"),
    ("id", "--engine", "containerd"),
    ("inspect", "--json"),
    ("inspect", "--verify"),
    ("inspect", "--encoders"),
    ("validate", "--format", "json"),
    ("digest", "--json"),
    ("diff", "--json"),
    ("add",),
)


class Place:
    """A folder to work in, in memory where the system has such."""

    def __init__(self):
        inside = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._folder = tempfile.TemporaryDirectory(dir=inside, prefix="imgconv-fuzz-")
        self.path = Path(self._folder.name)
        self.source, self.out = self.path / "in.tar", self.path / "out"

    def left(self):
        """Return what is there besides the source."""
        return sorted(set(os.listdir(self.path)) - {"in.tar"})

    def clear(self):
        for name in os.listdir(self.path):
            path = self.path / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


_PLACE = []


def place():
    if not _PLACE:
        _PLACE.append(Place())
    return _PLACE[0]


#: Always the same two: click remembers every stream that it was given.
_STREAMS = (io.StringIO(), io.StringIO())


def command(words):
    """Run a command line in this process; return its status and what it printed."""
    for stream in _STREAMS:
        stream.seek(0)
        stream.truncate()
    with contextlib.redirect_stdout(_STREAMS[0]), contextlib.redirect_stderr(_STREAMS[1]):
        status = run([str(word) for word in words])
    return status, *(stream.getvalue() for stream in _STREAMS)


@contextlib.contextmanager
def given(here, data, way):
    """Yield how the command line names the archive: a file, a pipe, or compressed as a whole."""
    here.source.write_bytes(gzip.compress(data, 1, mtime=0) if way == "gzip" else data)
    if way != "pipe":
        yield str(here.source)
        return
    reader, writer = os.pipe()

    def fill():
        with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "wb") as file:
            file.write(data)

    filling = threading.Thread(target=fill, daemon=True)
    filling.start()
    try:
        yield f"/dev/fd/{reader}"
    finally:
        os.close(reader)
        filling.join()


def judge(data, *, refused=None):
    """Convert an archive, and ask one report about it; which and how follows from its bytes.

    With `refused`, the status must be 3 (True) or 0 (False).
    """
    number = zlib.crc32(data)
    form = support.FORMATS[number % 6]
    way = ("file", "file", "pipe", "gzip")[number // 6 % 4]
    here = place()
    here.clear()
    with given(here, data, way) as source:
        verify = ["--verify", "full"] if number // 1000 % 2 else []
        status, out, err = command(
            [source, "--to", form, here.out, "--jobs", "1", "--json", "--progress", "none", *verify]
        )
    printable(out, err)
    if refused is not None:
        assert status == (3 if refused else 0), (status, form, way, err)
    if status == 0:
        right(data, form, here.out, json.loads(out), verified=bool(verify))
    else:
        refusal(status, out, err, here)
    if number // 24 % 8 == 0:
        report(data, REPORTS[number // 192 % len(REPORTS)], here)
    return status


def printable(*texts):
    assert all(char.isprintable() or char == "\n" for text in texts for char in text), texts


def refusal(status, out, err, here):
    """One line, and nothing beside it."""
    *warnings, line = err.splitlines()
    assert status in {2, 3}, (status, err)
    assert all(text.startswith("imgconv: ") for text in (*warnings, line)), err
    assert "internal error" not in line
    assert out == ""
    assert here.left() == []


def right(data, form, result, document, *, verified):
    """What was written is whole, and its names are those of the archive's own bytes.

    DiffIDs are `verified` with `--verify full`; without, a layer that a descriptor names may be
    kept as it is (docs/contract.md#rules-of-identity, rule 3).
    """
    truth = Truth(data)
    kept = () if verified else truth.described()
    images = reading.check(result, form, kept)
    for image in images:
        assert truth.is_v1 or image.image_id in truth.digests, "an image ID that no member has"
        if form not in {"oci", "oci-archive"} and not kept:
            assert all(truth.unpacked(diff_id) for diff_id in image.diff_ids), "a DiffID that no member has"
    # oracle.reading does not count an image without layers and without a list of them in its config.
    ids = {image.image_id for image in images} | (set() if truth.is_v1 else truth.digests)
    assert {image["image_id"] for image in document["images"]} - {None} <= ids
    if truth.is_v1:
        return
    wanted = truth.named()
    for name, image_ids in names_of(result, form, images):
        assert wanted.get(full(name), set()) >= image_ids, f"{name} is another image"


def names_of(result, form, images):
    """Yield the names in a result, each with the image IDs under it."""
    if form not in {"oci", "oci-archive"}:
        for image in images:
            for name in image.names:
                yield name, {image.image_id}
        return
    files = reading.files_of(result)
    by_manifest = {image.manifest: image.image_id for image in images}
    for entry in json.loads(files["index.json"])["manifests"]:
        notes = entry.get("annotations") or {}
        name = notes.get(NAME_KEY) or notes.get(REF_KEY)
        if name:
            yield name, {by_manifest[entry["digest"]]} if entry["digest"] in by_manifest else set()


def report(data, words, here):
    """Ask about the archive: a documented status, and no trace left."""
    here.clear()
    here.source.write_bytes(data)
    name, *options = words
    if name == "add":
        words = ["--add-repositories", here.source, here.out]
    elif name == "diff":
        words = [name, *options, here.source, here.source]
    else:
        words = [name, *options, here.source]
    status, out, err = command(words)
    printable(out, err)
    assert status in {0, 1, 2, 3}, (words, status, err)
    assert "internal error" not in err
    if status == 3 and name != "validate":
        assert err
        assert here.left() == []
    if name == "id" and "--json" in options and status == 0:
        truth = Truth(data)
        for image in json.loads(out)["images"]:
            assert truth.is_v1 or image["image_id"] is None or image["image_id"] in truth.digests
