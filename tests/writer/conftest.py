"""What the writers' tests share: archives to read, and the bytes a writer gives."""

from __future__ import annotations

import dataclasses
import json

import pytest
from oracle.reading import plain
from support import MATCH

from convert.archive.blob import MemoryBlob
from convert.archive.open import open_source
from convert.archive.tar_writer import END, header, padding
from convert.identity import manifest
from convert.layer.context import ReadContext
from convert.layer.verify import PlainContent, StoredContent
from convert.model import mediatype
from convert.model.config import Config
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Artifact, Child, Image, Index, Layer, Manifest
from convert.model.image_set import Entry, ImageSet, Name, SourceFormat
from convert.model.reference import Reference
from convert.reader.detect import read
from convert.writer.options import WriteOptions
from convert.writer.registry import TARGETS


class Content:
    """Content held in memory."""

    size_hint = None
    verified = fixed = True

    def __init__(self, data):
        self.data = data
        self.size = len(data)

    def open(self):
        return MemoryBlob(self.data, "memory").open()

    def extent(self):
        return None


class Bench:
    """Reads archives, makes images, and shows what writers make of them."""

    def __init__(self):
        self.warnings = []
        self._sources = []

    def close(self):
        for source in self._sources:
            source.close()

    # -- images -------------------------------------------------------------------

    def read(self, path):
        """Read an archive; every layer gets a descriptor of the bytes that lie there."""
        source = open_source(str(path))
        self._sources.append(source)
        images = read(source.tree)
        return images if images.format == "docker-oci" else self._described(images)

    def match(self, name):
        return self.read(MATCH / f"{name}.tar.gz")

    def _described(self, images):
        done = {}

        def layer(old):
            if old.stored is not None:
                return old
            with old.blob.open() as stream:
                data = stream.read()
            kind = mediatype.DOCKER_LAYER_GZIP if data[:2] == b"\x1f\x8b" else mediatype.DOCKER_LAYER
            return dataclasses.replace(old, stored=Descriptor(kind, Digest.of(data), len(data)))

        def node(old):
            if not isinstance(old, Image):
                return old
            if id(old) not in done:
                done[id(old)] = dataclasses.replace(old, layers=tuple(map(layer, old.layers)))
            return done[id(old)]

        return dataclasses.replace(
            images, entries=tuple(dataclasses.replace(entry, node=node(entry.node)) for entry in images.entries)
        )

    def image(self, *layers, kind=mediatype.OCI_LAYER, manifest="oci", media_types=None, **config):
        """Make an image of plain layers; `config` gives or overrides top-level keys of its config."""
        blobs = [MemoryBlob(data, f"layer-{number}") for number, data in enumerate(layers)]
        digests = [Digest.of(data) for data in layers]
        document = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [str(digest) for digest in digests]},
            **config,
        }
        raw = json.dumps({key: value for key, value in document.items() if value is not None}).encode()
        stored = [
            Descriptor((media_types or {}).get(number, kind), digest, len(data))
            for number, (digest, data) in enumerate(zip(digests, layers, strict=True))
        ]
        image = Image(
            config=Config.parse(raw, where="made.tar", member="config"),
            layers=tuple(map(Layer, digests, blobs, stored)),
        )
        return dataclasses.replace(image, manifest=self._manifest(image, stored) if manifest else None)

    @staticmethod
    def _manifest(image, stored):
        raw = manifest.oci_manifest(image.config.raw, stored)
        config = Descriptor(mediatype.OCI_CONFIG, image.image_id, len(image.config.raw))
        return Manifest(raw, mediatype.OCI_MANIFEST, Digest.of(raw), config, tuple(stored))

    @staticmethod
    def artifact(config_type, blobs=None, **more):
        """Make an artifact manifest with an empty config and these layers (name to bytes)."""
        found = {Digest.of(data): MemoryBlob(data, name) for name, data in (blobs or {}).items()}
        config = Descriptor(config_type, Digest.of(b"{}"), 2)
        layers = tuple(Descriptor("application/octet-stream", digest, blob.size) for digest, blob in found.items())
        raw = json.dumps({"schemaVersion": 2, "config": config_type, "layers": [str(one.digest) for one in layers]})
        found[config.digest] = MemoryBlob(b"{}", "config")
        manifest = Manifest(raw.encode(), mediatype.OCI_MANIFEST, Digest.of(raw.encode()), config, layers, **more)
        return Artifact(manifest, found)

    @staticmethod
    def index(*nodes, absent=()):
        """Make an index of nodes, and of descriptors of which nothing is there."""
        documents = [node if isinstance(node, Index) else node.manifest for node in nodes]
        described = [Descriptor(one.media_type, one.digest, len(one.raw)) for one in documents]
        raw = manifest.oci_index([*described, *absent])
        children = [Child(descriptor, node) for descriptor, node in zip(described, nodes, strict=True)]
        children += [Child(descriptor, None) for descriptor in absent]
        return Index(raw, mediatype.OCI_INDEX, Digest.of(raw), tuple(children))

    @staticmethod
    def name(text, ref_name=None):
        return Name(Reference.parse(text) if text else None, ref_name)

    def named(self, *pairs, form="oci", **more):
        """Make an image set: pairs of a node and a name (text, Name or None)."""
        entries = tuple(
            Entry(node, self.name(name) if isinstance(name, str) else name, *rest) for node, name, *rest in pairs
        )
        return ImageSet(entries, SourceFormat(form), **more)

    # -- output -------------------------------------------------------------------

    def options(self, target="oci-archive", **more):
        context = ReadContext()
        wanted = TARGETS[target]

        def content(layer):
            if wanted.uncompressed:
                return PlainContent(layer, context)
            return StoredContent(layer.blob, layer.stored, context)

        def blob(blob, descriptor):
            return StoredContent(blob, descriptor, context)

        return WriteOptions(
            content=content,
            blob=blob,
            layer_digest=lambda layer: layer.stored.digest,
            warn=self.warnings.append,
            place=more.pop("place", ""),
            layer_mode=wanted.layer_mode,
            transport=wanted.transport,
            **more,
        )

    def items(self, images, target, **more):
        return list(TARGETS[target].writer().items(images, self.options(target, **more)))

    def documents(self, images, target, **more):
        """Return the members that are no folders or links: name to bytes."""
        return {item.name: content(item) for item in self.items(images, target, **more) if item.kind == "file"}

    def write(self, images, target, **more):
        """Return the bytes of the archive."""
        return tar(self.items(images, target, **more))


def content(item):
    if isinstance(item.content, bytes):
        return item.content
    with item.content.open() as stream:
        data = stream.read()
        assert stream.read() == b""
    return data


def tar(items):
    parts = []
    for item in items:
        data = content(item)
        parts += [header(item, len(data)), data, padding(len(data))]
    return b"".join(parts) + END


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture(scope="session")
def tools():
    """The functions above, for tests: this folder is not a package."""

    class Tools:
        content = staticmethod(content)
        tar = staticmethod(tar)
        plain = staticmethod(plain)
        Content = Content
        match = MATCH

    return Tools
