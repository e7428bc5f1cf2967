"""Small OCI layouts, built for one test. Nothing of imgconv is used here."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
INDEX = OCI + "index.v1+json"
MANIFEST = OCI + "manifest.v1+json"
CONFIG = OCI + "config.v1+json"
LAYER = OCI + "layer.v1.tar"
GZIP = LAYER + "+gzip"
FOREIGN = {
    "docker": DOCKER + "image.rootfs.foreign.diff.tar.gzip",
    "oci": OCI + "layer.nondistributable.v1.tar+gzip",
}
NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"
PLATFORM = {"architecture": "amd64", "os": "linux"}


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar_of(name, data=b"x"):
    """Return a layer: one file."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return raw.getvalue()


def packed(plain):
    return gzip.compress(plain, mtime=0)


def dumps(document):
    return json.dumps(document, separators=(",", ":")).encode()


class Layout:
    """A layout being built; every method returns the descriptor of what it wrote."""

    def __init__(self, folder):
        self.folder = Path(folder)
        (self.folder / "blobs" / "sha256").mkdir(parents=True)

    def path(self, descriptor):
        return self.folder / "blobs" / descriptor["digest"].replace(":", "/")

    def blob(self, data, media_type, **more):
        """Write a blob; `present=False` gives only its descriptor."""
        descriptor = {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}
        if more.pop("present", True):
            self.path(descriptor).write_bytes(data)
        return descriptor | more

    def document(self, document, media_type, **more):
        return self.blob(dumps(document), media_type, **more)

    def config(self, diff_ids, media_type=CONFIG, **more):
        document = PLATFORM | {"rootfs": {"type": "layers", "diff_ids": list(diff_ids)}} | more
        return self.document({key: value for key, value in document.items() if value is not None}, media_type)

    def manifest(self, layers, diff_ids, *, described=None, config=None, config_more=None, **more):
        """Write a manifest; `more` are its own further keys, `described` those of the returned descriptor."""
        config = config or self.config(diff_ids)
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config | (config_more or {})}
        return self.document(document | {"layers": layers} | more, MANIFEST, **(described or {}))

    def image(self, *names, described=None, **more):
        """Write an image with one gzip layer for each name."""
        plain = [tar_of(name) for name in names]
        layers = [self.blob(packed(each), GZIP) for each in plain]
        return self.manifest(layers, map(digest_of, plain), described=described, **more)

    def index(self, *children, described=None, **more):
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(children)} | more
        return self.document(document, INDEX, **(described or {}))

    def write(self, *entries, **more):
        """Write the top documents and return the folder's path."""
        (self.folder / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)} | more
        (self.folder / "index.json").write_bytes(dumps(document))
        return str(self.folder)


def named(descriptor, text):
    """Return a descriptor with the two name annotations; `text` is a full name with a tag."""
    names = {NAME: text, REF_NAME: text.rpartition(":")[2]}
    return descriptor | {"annotations": descriptor.get("annotations", {}) | names}


def piped(folder):
    """Return the layout as a tar, to be read from a pipe."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path in sorted(Path(folder).rglob("*")):
            archive.add(path, str(path.relative_to(folder)), recursive=False)
    return raw.getvalue()
