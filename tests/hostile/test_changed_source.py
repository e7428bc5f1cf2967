"""A source that changes while it is read: what goes out is what was verified, or nothing goes out.

The change comes at every point of a conversion in turn: after the first reading of the
source, after the second, and so on. Size and time of modification stay as they were, so
that only hashing the bytes that go out can notice.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import mmap
import os
import random
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest
from oracle.reading import check, members, sha256
from support import FORMATS, tar_of

import convert
from convert.archive import blob
from convert.commands.add_repositories import add_repositories
from convert.commands.match.rebuild import match
from convert.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Self

MIB = 1 << 20
#: Above what a stream keeps in memory, so that a pipe's layers are read twice.
LAYER_SIZE = 2 * MIB + 512 * 1024


LAYERS = [tar_of({f"file{n}": random.Random(n).randbytes(LAYER_SIZE)}) for n in range(2)]
DIFF_IDS = [sha256(layer) for layer in LAYERS]
GZIPPED = [gzip.compress(layer, 1, mtime=0) for layer in LAYERS]
CONFIG = json.dumps(
    {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": DIFF_IDS}}
).encode()


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def blob_name(data: bytes) -> str:
    return "blobs/" + sha256(data).replace(":", "/")


def save_archive(layers: list[bytes], suffix: str) -> bytes:
    names = [f"{n}{suffix}" for n in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": ["example.com/a:1"], "Layers": names}]
    return tar_of(
        dict(zip(names, layers, strict=True)) | {"config.json": CONFIG, "manifest.json": json.dumps(manifest).encode()}
    )


def manifest_of(layers: list[bytes], kind: str) -> bytes:
    def described(media_type: str, data: bytes) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}

    base = "application/vnd.oci.image"
    document = {
        "schemaVersion": 2,
        "mediaType": f"{base}.manifest.v1+json",
        "config": described(f"{base}.config.v1+json", CONFIG),
        "layers": [described(f"{base}.layer.v1.tar{kind}", layer) for layer in layers],
    }
    return json.dumps(document).encode()


def layout_files(layers: list[bytes], kind: str) -> dict[str, bytes]:
    manifest = manifest_of(layers, kind)
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": sha256(manifest),
        "size": len(manifest),
        "annotations": {"org.opencontainers.image.ref.name": "1", "io.containerd.image.name": "example.com/a:1"},
    }
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    top = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index}
    return top | {blob_name(data): data for data in (CONFIG, manifest, *layers)}


def make_source(kind: str, path: Path) -> Path:
    if kind == "docker-save":
        path.write_bytes(save_archive(LAYERS, "/layer.tar"))
    elif kind == "gzip":
        path.write_bytes(save_archive(GZIPPED, ".tar.gz"))
    elif kind == "oci-archive":
        path.write_bytes(tar_of(layout_files(GZIPPED, "+gzip")))
    else:
        for name, data in layout_files(GZIPPED, "+gzip").items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    return path


class Change:
    """Changes the layers of a source once a reading of one of them came to its end, for the nth time."""

    def __init__(self, source: Path, turn: int, *, by_mmap: bool = False) -> None:
        self.turn, self.by_mmap = turn, by_mmap
        self.readings = 0
        files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
        self._files = {path.stat().st_ino: path for path in files if path.stat().st_size > MIB}
        self._guard = threading.Lock()
        self._views = {}
        if by_mmap:
            for path in self._files.values():
                with path.open("r+b") as file:
                    self._views[path] = mmap.mmap(file.fileno(), 0)

    def __enter__(self) -> Self:
        change = self
        self._real = blob.PreadStream

        class Watched(blob.PreadStream):
            def read(self, size: int | None = -1, /) -> bytes:
                return self._seen(super().read(size))

            def readinto(self, buffer: Any, /) -> int:
                return self._seen(super().readinto(buffer))

            def _seen(self, got: Any) -> Any:
                large = self._end - self._begin > MIB and self._next == self._end
                if got and large and os.fstat(self._fd).st_ino in change._files:
                    change.ended()
                return got

        blob.PreadStream = Watched
        return self

    def __exit__(self, *_: object) -> None:
        blob.PreadStream = self._real
        for view in self._views.values():
            view.close()

    def ended(self) -> None:
        with self._guard:
            self.readings += 1
            if self.readings == self.turn:
                for path in self._files.values():
                    self._alter(path)

    def _alter(self, path: Path) -> None:
        before = path.stat()
        if self.by_mmap:
            view = self._views[path]
            for at in range(4096 + 777, len(view) - 8192, 512 * 1024):
                view[at] ^= 1
            return
        with path.open("r+b") as file:
            data = bytearray(file.read())
            for at in range(4096 + 777, len(data) - 8192, 512 * 1024):
                data[at] ^= 1
            file.seek(0)
            file.write(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextlib.contextmanager
def received(path: Path) -> Iterator[list[bytes]]:
    """Read what is written to a FIFO at `path`."""
    os.mkfifo(path)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()), daemon=True)
    reader.start()
    try:
        yield got
    finally:
        # If it is not open for writing, open it, so that the reader ends.
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        reader.join()


def is_whole(data: bytes) -> bool:
    """Whether a stream is a tar with its end, two blocks of zeros where a header would be."""
    at = 0
    while at + 1024 <= len(data):
        header = data[at : at + 512]
        if not header.strip(b"\0"):
            return not data[at:].strip(b"\0")
        size = int(header[124:136].strip(b"\0 ") or b"0", 8)
        at += 512 + size + -size % 512
    return False


def sweep(source: Callable[[], Path], run: Callable[[Path], None], judge: Callable[[bool], None]) -> int:
    """Change the source at every point in turn; return how many runs refused it.

    `judge` gets whether the run succeeded. The last turn is one that never came.
    """
    refused = 0
    for turn in range(1, 50):
        for by_mmap in (False, True):
            path = source()
            with Change(path, turn, by_mmap=by_mmap) as change:
                try:
                    run(path)
                    good = True
                except InputError:
                    good = False
                    refused += 1
            judge(good)
        if change.readings < turn:
            return refused
    raise AssertionError("the source is read without end")


KINDS = ["docker-save", "gzip", "oci", "oci-archive"]
#: One of each target and way runs always, the others with `-m slow`.
CASES = [
    pytest.param(
        kind,
        target,
        verify,
        way,
        marks=() if (verify, kind) == ("full", KINDS[(number + (way == "pipe")) % 4]) else pytest.mark.slow,
    )
    for number, target in enumerate(FORMATS)
    for kind in KINDS
    for verify in ("digests", "full")
    for way in ("file", "pipe")
    if (target, way) != ("oci", "pipe")
]


@pytest.mark.parametrize(("kind", "target", "verify", "way"), CASES)
def test_what_is_written_is_what_was_verified(tmp_path: Path, kind: str, target: str, verify: str, way: str) -> None:
    number = 0

    def source() -> Path:
        nonlocal number
        number += 1
        return make_source(kind, tmp_path / f"source{number}")

    out = tmp_path / "out"
    streams: list[list[bytes]] = []

    def run(path: Path) -> None:
        options: dict[str, Any] = {"to": target, "verify": verify, "jobs": 1 + number % 2}
        if way == "file":
            convert.convert(path, out, **options)
            return
        with received(out) as got:
            streams.append(got)
            convert.convert(path, out, **options)

    def judge(good: bool) -> None:
        left = sorted(each.name for each in tmp_path.iterdir() if not each.name.startswith("source"))
        if way == "pipe":
            assert left == ["out"]
            (data,) = streams[-1] or [b""]
            assert is_whole(data) == good
            out.unlink()
            if good:
                (tmp_path / "out").write_bytes(data)
        else:
            assert left == (["out"] if good else [])
        if good:
            check(out, target)
            os.system(f"rm -rf '{out}'")

    refused = sweep(source, run, judge)
    # So this test can fail: where a layer is read again, the change was seen.
    if way == "pipe" and kind != "docker-save" and not target.startswith("docker-save"):
        assert refused


def test_match_reads_the_layers_a_second_time_and_verifies_them(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    reference = tmp_path / "reference"
    convert.convert(make_source("docker-save", tmp_path / "first"), reference, to="oci")
    index = json.loads((reference / "index.json").read_bytes())
    digest = index["manifests"][0]["digest"].replace(":", "/")
    manifest.write_bytes((reference / "blobs" / digest).read_bytes())
    out = tmp_path / "out"

    def judge(good: bool) -> None:
        assert out.exists() == good
        if good:
            check(out, "oci")
            os.system(f"rm -rf '{out}'")

    def run(path: Path) -> None:
        match(str(path), str(manifest), to="oci", destination=out)

    assert sweep(lambda: make_source("docker-save", tmp_path / "source"), run, judge)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow) if kind != "gzip" else kind for kind in KINDS]
)
def test_append_verifies_what_it_adds_and_what_it_finds(tmp_path: Path, kind: str) -> None:
    number = 0

    def source() -> Path:
        nonlocal number
        number += 1
        convert.convert(make_source("docker-save", tmp_path / f"first{number}"), tmp_path / f"out{number}", to="oci")
        return make_source(kind, tmp_path / f"source{number}")

    def run(path: Path) -> None:
        convert.convert(path, tmp_path / f"out{number}", to="oci", append=True, tags=["example.com/b:2"])

    def judge(good: bool) -> None:
        images = check(tmp_path / f"out{number}", "oci")
        index = json.loads((tmp_path / f"out{number}/index.json").read_bytes())
        assert len(index["manifests"]) == (2 if good else 1)
        assert images

    sweep(source, run, judge)


@pytest.mark.parametrize("kind", [pytest.param("docker-save", marks=pytest.mark.slow), "gzip"])
@pytest.mark.parametrize("way", ["in place", "file", "pipe"])
def test_members_that_stay_are_verified_while_they_are_copied(tmp_path: Path, kind: str, way: str) -> None:
    out = tmp_path / "out"
    streams: list[list[bytes]] = []

    def source() -> Path:
        for path in tmp_path.iterdir():
            path.unlink()
        return make_source(kind, tmp_path / "source")

    def run(path: Path) -> None:
        if way == "in place":
            add_repositories(path)
        elif way == "file":
            add_repositories(path, out)
        else:
            with received(out) as got:
                streams.append(got)
                add_repositories(path, out)

    def judge(good: bool) -> None:
        if way == "pipe":
            (data,) = streams[-1] or [b""]
            assert is_whole(data) == good
        elif way == "file":
            assert out.exists() == good
            data = out.read_bytes() if good else b""
        else:
            data = (tmp_path / "source").read_bytes() if good else b""
        if good:
            files = members(data)
            assert "repositories" in files
            listed = json.loads(files["manifest.json"])[0]["Layers"]
            assert [files[name] for name in listed] == (LAYERS if kind == "docker-save" else GZIPPED)

    assert sweep(source, run, judge)
