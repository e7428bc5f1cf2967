"""Archives with names and platforms to choose from, built without imgconv, and ways to convert them."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from hostile.building import CONFIG, END, INDEX, LAYER, LAYER_GZIP, MANIFEST, config, dump, member, sha256, tar
from oracle.reading import files_of

from convert.cli.main import run

ROOT = Path(__file__).parents[1]
IMAGE_NAME, REF_NAME = "io.containerd.image.name", "org.opencontainers.image.ref.name"


def case(name):
    """Return an archive of testdata/cases."""
    return gzip.decompress((ROOT / "testdata" / "cases" / f"{name}.tar.gz").read_bytes())


@dataclass
class Made:
    """One image: its blobs by member name, and what index.json and manifest.json say of it."""

    text: str
    plain: bool = False
    platform: dict = field(default_factory=lambda: {"architecture": "amd64", "os": "linux"})

    def __post_init__(self):
        self.files = {}
        layer = member(b"file", self.text.encode()) + END
        raw_config = dump(config(sha256(layer), **self.platform))
        stored = layer if self.plain else gzip.compress(layer, mtime=0)
        kind = LAYER if self.plain else LAYER_GZIP
        self.config, self.layer = self.put(raw_config), self.put(stored)
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, **self.config},
            "layers": [{"mediaType": kind, **self.layer}],
        }
        self.manifest = {"mediaType": MANIFEST, **self.put(dump(document))}
        self.image_id = self.config["digest"]

    def put(self, data):
        self.files[blob(sha256(data))] = data
        return {"digest": sha256(data), "size": len(data)}

    def named(self, full=None, ref=None):
        """Return an entry of index.json."""
        names = {IMAGE_NAME: full, REF_NAME: ref}
        return {**self.manifest, "annotations": {key: value for key, value in names.items() if value is not None}}

    def item(self, *tags):
        """Return an element of manifest.json."""
        return {"Config": blob(self.image_id), "RepoTags": list(tags), "Layers": [blob(self.layer["digest"])]}


def blob(digest):
    return "blobs/" + digest.replace(":", "/")


def index_of(*children, **changes):
    """Return an image index as an entry and its blob, of (descriptor, platform)."""
    listed = [{**descriptor, "platform": platform} for descriptor, platform in children]
    raw = dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed, **changes})
    return {"mediaType": INDEX, "digest": sha256(raw), "size": len(raw)}, {blob(sha256(raw)): raw}


def archive(files, entries=None, items=None):
    """Return a tar with index.json and manifest.json, where they are given."""
    members = dict(files)
    if entries is not None:
        members["oci-layout"] = dump({"imageLayoutVersion": "1.0.0"})
        members["index.json"] = dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
    if items is not None:
        members["manifest.json"] = dump(items)
    return tar(*members.items())


class Converter:
    """Runs imgconv in this process on an archive, from a file or through a pipe."""

    def __init__(self, folder, capsys, way):
        self.folder, self._capsys, self._way = folder, capsys, way
        self.status, self.out, self.err = None, "", ""

    def __call__(self, raw, *arguments, before=(), prefix="", suffix=""):
        if self._way == "file":
            path = self.folder / "in.tar"
            path.write_bytes(raw)
            self.status = run([*before, f"{prefix}{path}{suffix}", *map(str, arguments)])
        else:
            reader, writer = os.pipe()

            def fill():
                with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "wb") as file:
                    file.write(raw)

            thread = threading.Thread(target=fill, daemon=True)
            thread.start()
            try:
                self.status = run([*before, f"{prefix}/dev/fd/{reader}{suffix}", *map(str, arguments)])
            finally:
                os.close(reader)
                thread.join()
        printed = self._capsys.readouterr()
        self.out, self.err = printed.out, printed.err
        return self.status

    def to(self, form, raw, *options, **spelling):
        """Convert; return the files of the result, None if there is none."""
        out = self.folder / f"out-{form}-{len(list(self.folder.iterdir()))}"
        self(raw, *options, "--to", form, out, **spelling)
        return files_of(out) if out.exists() else None


def names_in(files):
    """Return (image.name, ref.name) of each entry of index.json, and the RepoTags of each image ID."""
    listed, tags = [], {}
    if "index.json" in files:
        for entry in json.loads(files["index.json"])["manifests"]:
            annotations = entry.get("annotations", {})
            listed.append((annotations.get(IMAGE_NAME), annotations.get(REF_NAME)))
    if "manifest.json" in files:
        for item in json.loads(files["manifest.json"]):
            tags.setdefault(sha256(files[item["Config"]]), []).extend(item["RepoTags"] or [])
    return listed, tags
