"""`dir:` folders as skopeo writes them. Nothing of imgconv is used here."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

VERSION = "Directory Transport Version: 1.1\n"


def from_layout(layout, folder, entry):
    """Write what one descriptor of a layout names, and everything below, as a `dir:` folder; return it."""
    folder, blobs = Path(folder), Path(layout) / "blobs"
    folder.mkdir()
    (folder / "version").write_text(VERSION)
    _copy(blobs, folder, entry, folder / "manifest.json")
    return folder


def _copy(blobs, folder, descriptor, target):
    source = blobs / descriptor["digest"].replace(":", "/")
    if not source.exists():
        return
    shutil.copyfile(source, target)
    document = json.loads(source.read_bytes())
    for child in document.get("manifests", ()):
        _copy(blobs, folder, child, folder / f"{child['digest'][7:]}.manifest.json")
    for part in (*[document["config"] for _ in "x" if "config" in document], *document.get("layers", ())):
        blob = blobs / part["digest"].replace(":", "/")
        if blob.exists():
            shutil.copyfile(blob, folder / part["digest"][7:])


def check(folder):
    """Return the manifests of a `dir:` folder by digest; everything in it has its digest and is named."""
    files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    assert files.pop("version").decode() == VERSION
    top = files.pop("manifest.json")
    manifests, named = {hashlib.sha256(top).hexdigest(): json.loads(top)}, set()
    for name, data in files.items():
        digest = hashlib.sha256(data).hexdigest()
        assert name in {digest, f"{digest}.manifest.json"}
        if name.endswith(".json"):
            manifests[digest] = json.loads(data)
    for document in manifests.values():
        parts = [*document.get("layers", ()), *([document["config"]] if "config" in document else ())]
        named |= {part["digest"][7:] for part in parts}
        for part in parts:
            assert len(files[part["digest"][7:]]) == part["size"]
        named |= {f"{child['digest'][7:]}.manifest.json" for child in document.get("manifests", ())}
    assert files.keys() <= named
    return manifests
