"""`--append`: whatever the new entries of the index name is verified where it lies, or written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from oracle.reading import check, sha256
from support import MATCH, run

SOURCE = MATCH / "docker20-html.tar.gz"
TAG = ("--tag", "example.com/second:2", "--append")


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    path = tmp_path / "layout"
    assert run(SOURCE, "--to", "oci", path).returncode == 0
    return path


def blobs(layout: Path) -> list[Path]:
    return sorted((layout / "blobs/sha256").iterdir())


def spoil(path: Path) -> bytes:
    """Give a file other bytes; size and time of modification stay."""
    data, before = path.read_bytes(), path.stat()
    path.write_bytes(bytes(byte ^ 1 for byte in data))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return data


def hide(layout: Path) -> None:
    """Leave the blobs where they are, but let no image name them, so that the layout can be read."""
    (layout / "index.json").write_text('{"schemaVersion":2,"manifests":[]}')


@pytest.mark.parametrize("source", ["docker-save", "oci"])
@pytest.mark.parametrize("options", [(), ("--verify", "full"), ("--verify-output",)])
def test_junk_of_the_right_size_is_replaced(
    tmp_path: Path, layout: Path, source: str, options: tuple[str, ...]
) -> None:
    """Manifest, config and layers."""
    origin = SOURCE
    if source == "oci":
        origin = tmp_path / "origin"
        assert run(SOURCE, "--to", "oci", origin).returncode == 0
    hide(layout)
    right = {path: spoil(path) for path in blobs(layout)}
    done = run(origin, "--to", "oci", layout, *TAG, *options)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in right} == right
    check(layout, "oci")


def test_what_is_right_is_left_where_it_is(layout: Path) -> None:
    before = {path: path.stat().st_ino for path in blobs(layout)}
    assert run(SOURCE, "--to", "oci", layout, *TAG).returncode == 0
    after = {path: path.stat().st_ino for path in blobs(layout)}
    assert before == after


def test_junk_under_the_name_of_an_absent_child_is_refused(tmp_path: Path, layout: Path) -> None:
    """The source has an index that names a child it does not have; the target has something of that name."""
    origin = tmp_path / "origin"
    assert run(SOURCE, "--to", "oci", origin).returncode == 0
    entry = json.loads((origin / "index.json").read_bytes())["manifests"][0]
    absent = {"mediaType": entry["mediaType"], "digest": "sha256:" + "ab" * 32, "size": 20}
    children = [
        {key: entry[key] for key in ("mediaType", "digest", "size")},
        absent | {"platform": {"architecture": "arm64", "os": "linux"}},
    ]
    media_type = "application/vnd.oci.image.index.v1+json"
    index = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": children}).encode()
    (origin / "blobs/sha256" / sha256(index).removeprefix("sha256:")).write_bytes(index)
    top = {"mediaType": media_type, "digest": sha256(index), "size": len(index), "annotations": entry["annotations"]}
    (origin / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))

    before = (layout / "index.json").read_bytes()
    child = layout / "blobs/sha256" / ("ab" * 32)
    child.write_bytes(b"x" * 20)
    done = run(origin, "--to", "oci", layout, *TAG)
    assert (done.returncode, done.stdout) == (3, b"")
    assert child.name in done.stderr.decode()
    assert (layout / "index.json").read_bytes() == before
    child.unlink()
    assert run(origin, "--to", "oci", layout, *TAG).returncode == 0


@pytest.mark.parametrize("digest", [5, None, [], {}, "sha256:x", ""])
def test_an_absent_child_that_the_target_holds_names_nothing_readable(tmp_path: Path, layout: Path, digest) -> None:
    """The right bytes of a child manifest, whose config has a digest of another type."""
    child = json.dumps({"config": {"digest": digest, "size": 1}}).encode()
    origin = tmp_path / "origin"
    assert run(SOURCE, "--to", "oci", origin).returncode == 0
    (entry, *_) = json.loads((origin / "index.json").read_bytes())["manifests"]
    entry.pop("annotations", None)
    absent = {**entry, "digest": sha256(child), "size": len(child), "platform": {"os": "linux", "architecture": "arm"}}
    media_type = "application/vnd.oci.image.index.v1+json"
    index = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": [entry, absent]}).encode()
    (origin / "blobs/sha256" / sha256(index)[7:]).write_bytes(index)
    top = [{"mediaType": media_type, "digest": sha256(index), "size": len(index)}]
    (origin / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": top}))
    (layout / "blobs/sha256" / sha256(child)[7:]).write_bytes(child)
    done = run(origin, "--to", "oci", layout, "--append")
    assert done.returncode == 0, done.stderr
