"""Archives that lie: built byte by byte, without imgconv's own writer."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
from dataclasses import dataclass, field
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location("tars", Path(__file__).parents[1] / "archive" / "tars.py")
tars = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(tars)

END, BLOCK = tars.END, tars.BLOCK
header, member, record, pax, gnu_long, pad = tars.header, tars.member, tars.record, tars.pax, tars.gnu_long, tars.pad

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = LAYER + "+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def dump(value):
    """Encode JSON; bytes are taken as they are."""
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


#: A layer with one file, and its DiffID.
PLAIN = member(b"hello.txt", b"hello\n") + END
DIFF_ID = sha256(PLAIN)


def config(*diff_ids, **changes):
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-02T03:04:05Z",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids or (DIFF_ID,))},
        **changes,
    }


def tar(*members):
    """Join members, given as bytes or as (name, content)."""
    parts = [each if isinstance(each, bytes) else member(_bytes(each[0]), each[1]) for each in members]
    return b"".join(parts) + END


def _bytes(name):
    return name if isinstance(name, bytes) else name.encode()


@dataclass
class Docker:
    """A `manifest.json` archive; each part can be replaced by a lie."""

    config: object = field(default_factory=config)
    config_name: str = "config.json"
    layers: dict = field(default_factory=lambda: {"layer.tar": PLAIN})
    tags: object = field(default_factory=lambda: ["example.com/app:1"])
    item: dict = field(default_factory=dict)
    manifest: object = None
    extra: tuple = ()
    first: tuple = ()
    end: bytes = END

    def members(self):
        item = {"Config": self.config_name, "RepoTags": self.tags, "Layers": list(self.layers), **self.item}
        manifest = [item] if self.manifest is None else self.manifest
        return [
            *self.first,
            (self.config_name, dump(self.config)),
            *[(name, data) for name, data in self.layers.items() if data is not None],
            ("manifest.json", dump(manifest)),
            *self.extra,
        ]

    def build(self):
        return tar(*self.members())[: -len(END)] + self.end


@dataclass
class Layout:
    """An OCI layout of one image; each part can be replaced by a lie."""

    config: object = field(default_factory=config)
    config_type: str = CONFIG
    layer: bytes = PLAIN
    layer_type: str = LAYER
    layer_changes: dict = field(default_factory=dict)
    config_changes: dict = field(default_factory=dict)
    manifest: dict = field(default_factory=dict)
    raw_manifest: bytes | None = None
    manifest_type: str = MANIFEST
    entry: dict = field(default_factory=dict)
    index: dict = field(default_factory=dict)
    raw_index: bytes | None = None
    oci_layout: object = field(default_factory=lambda: {"imageLayoutVersion": "1.0.0"})
    leave_out: tuple = ()
    blobs: dict = field(default_factory=dict)
    extra: tuple = ()

    def parts(self):
        raw_config = dump(self.config)
        files = {}

        def put(data):
            files["blobs/" + sha256(data).replace(":", "/")] = data
            return {"digest": sha256(data), "size": len(data)}

        described_config = {"mediaType": self.config_type, **put(raw_config), **self.config_changes}
        described_layer = {"mediaType": self.layer_type, **put(self.layer), **self.layer_changes}
        raw = self.raw_manifest
        if raw is None:
            raw = dump(
                {
                    "schemaVersion": 2,
                    "mediaType": self.manifest_type,
                    "config": described_config,
                    "layers": [described_layer],
                    **self.manifest,
                }
            )
        entry = {"mediaType": self.manifest_type, **put(raw), **self.entry}
        index = self.raw_index
        if index is None:
            index = dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry], **self.index})
        files["oci-layout"] = dump(self.oci_layout)
        files["index.json"] = index
        kinds = {"config": raw_config, "layer": self.layer, "manifest": raw}
        for name in self.leave_out:
            files.pop("blobs/" + sha256(kinds[name]).replace(":", "/") if name in kinds else name)
        files.update(self.blobs)
        return files

    def build(self):
        return tar(*self.parts().items(), *self.extra)

    def write(self, folder):
        """Write it as a folder, as far as its names are paths."""
        for name, data in self.parts().items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def blob(data):
    """Return name and content of a blob, and what a descriptor says of it."""
    return "blobs/" + sha256(data).replace(":", "/"), {"digest": sha256(data), "size": len(data)}


def v1(*layers, repositories=None, changes=None):
    """Build an archive from before Docker 1.10; `layers` are (id, parent, tar)."""
    members = []
    for v1_id, parent, data in layers:
        document = {"id": v1_id, "os": "linux", "architecture": "amd64", "created": "2014-01-02T03:04:05Z"}
        if parent:
            document["parent"] = parent
        document.update(changes or {})
        members += [(f"{v1_id}/VERSION", b"1.0"), (f"{v1_id}/json", dump(document)), (f"{v1_id}/layer.tar", data)]
    if repositories is not None:
        members.append(("repositories", dump(repositories)))
    return tar(*members)


def squeezed(data, level=9):
    return gzip.compress(data, level, mtime=0)
