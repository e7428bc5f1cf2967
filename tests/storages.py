"""Small storages of a registry, as pushes leave them. Nothing of imgconv is used here.

The paths are those of distribution's registry/storage/paths.go; tests/peer/test_registry_storage.py
compares them with what a real registry writes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from layouts import CONFIG, GZIP, INDEX, MANIFEST, PLATFORM, dumps, packed, tar_of

EMPTY = "application/vnd.oci.empty.v1+json"
V2 = "docker/registry/v2"


class Storage:
    """A storage being filled; every method that stores something returns its descriptor."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.v2 = self.folder / V2
        (self.v2 / "blobs").mkdir(parents=True)
        (self.v2 / "repositories").mkdir()

    def __str__(self):
        return f"registry:{self.folder}"

    # -- paths ---------------------------------------------------------------------

    def blob_path(self, descriptor):
        algorithm, digits = descriptor["digest"].split(":")
        return self.v2 / "blobs" / algorithm / digits[:2] / digits / "data"

    def repository(self, name):
        return self.v2 / "repositories" / name

    def layer_link(self, name, descriptor):
        return self.repository(name) / "_layers" / descriptor["digest"].replace(":", "/") / "link"

    def revision_link(self, name, descriptor):
        return self.repository(name) / "_manifests/revisions" / descriptor["digest"].replace(":", "/") / "link"

    def tag_link(self, name, tag):
        return self.repository(name) / "_manifests/tags" / tag / "current/link"

    def tag_index_link(self, name, tag, descriptor):
        folder = self.repository(name) / "_manifests/tags" / tag / "index"
        return folder / descriptor["digest"].replace(":", "/") / "link"

    # -- pushes --------------------------------------------------------------------

    def blob(self, data, media_type, **more):
        descriptor = {
            "mediaType": media_type,
            "digest": "sha256:" + hashlib.sha256(data).hexdigest(),
            "size": len(data),
            **more,
        }
        write(self.blob_path(descriptor), data)
        return descriptor

    def part(self, repository, data, media_type):
        """Push a config or a layer."""
        descriptor = self.blob(data, media_type)
        write(self.layer_link(repository, descriptor), descriptor["digest"].encode())
        return descriptor

    def manifest(self, repository, document, tag=None):
        """Push a manifest or an index."""
        descriptor = self.blob(dumps(document), document.get("mediaType", MANIFEST))
        text = descriptor["digest"].encode()
        write(self.revision_link(repository, descriptor), text)
        if tag is not None:
            write(self.tag_link(repository, tag), text)
            write(self.tag_index_link(repository, tag, descriptor), text)
        return descriptor

    def image(self, repository, tag=None, files=("a",), platform=PLATFORM, **more):
        """Push an image with one layer for each file."""
        plain = [tar_of(name, f"content of {name}".encode()) for name in files]
        layers = [self.part(repository, packed(layer), GZIP) for layer in plain]
        diff_ids = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in plain]
        config = {**platform, "rootfs": {"type": "layers", "diff_ids": diff_ids}, "config": {}, **more}
        described = self.part(repository, dumps(config), CONFIG)
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": layers}
        return self.manifest(repository, document, tag)

    def index(self, repository, tag, children, **more):
        return self.manifest(repository, {"schemaVersion": 2, "mediaType": INDEX, "manifests": children, **more}, tag)

    def artifact(self, repository, subject, tag=None, data=b"{}"):
        """Push an artifact that refers to a manifest, by the schema of OCI 1.1."""
        config = self.part(repository, b"{}", EMPTY)
        layer = self.part(repository, data, "application/x.sbom+json")
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/x.sbom",
            "config": config,
            "layers": [layer],
            "subject": subject,
        }
        return self.manifest(repository, document, tag)


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
