"""An independent reader of what imgconv writes, which checks it while it reads.

It uses nothing of imgconv: a fault in imgconv's reader must not hide one in its writer.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import lzma
import posixpath
import tarfile
import zlib
from dataclasses import dataclass
from dataclasses import field as made
from pathlib import Path

import zstandard

#: What has other blobs below it; anything else is bytes that are carried along.
DOCUMENT_TYPES = {
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
}

CONFIG_TYPES = {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}


def plain(path):
    """Return the bytes of an archive without whole-archive compression."""
    return unpacked(Path(path).read_bytes())


def without_reserved_flags(stream):
    """Return a gzip stream as zlib takes it: Go and ISA-L ignore the reserved flags of a header."""
    if stream.startswith(b"\x1f\x8b\x08") and len(stream) > 3:
        return stream[:3] + bytes((stream[3] & 0x1F,)) + stream[4:]
    return stream


def unpacked(raw):
    """Return decompressed bytes; the first ones show the compression."""
    if raw.startswith(b"\x1f\x8b\x08"):
        parts = []
        while raw.startswith(b"\x1f\x8b\x08"):
            member = zlib.decompressobj(31)
            parts += [member.decompress(without_reserved_flags(raw)), member.flush()]
            assert member.eof
            raw = member.unused_data
        return b"".join(parts)
    if raw.startswith(b"\xfd7zXZ"):
        return lzma.decompress(raw)
    if raw.startswith(b"BZh"):
        return bz2.decompress(raw)
    if raw.startswith(b"\x28\xb5\x2f\xfd"):
        with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as stream:
            return stream.read()
    return raw


def nameless(raw):
    """Empty the user and group names of a tar: Debian's build of the engine writes root there."""
    result = bytearray(raw)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive:
            header = memoryview(result)[member.offset : member.offset + 512]
            header[265:329] = bytes(64)
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
    return bytes(result)


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def contents(path):
    """Return everything a result holds: path to bytes, `-> target` for links, None for folders.

    Two results are the same exactly if this is.
    """
    path = Path(path)
    if not path.is_dir():
        return path.read_bytes()
    return {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}


@dataclass
class Image:
    image_id: str
    diff_ids: list
    names: list = made(default_factory=list)
    manifest: str | None = None
    layers: list = made(default_factory=list)
    v1_ids: list = made(default_factory=list)


def members(raw):
    """Return a tar's files: name to bytes, symlinks and hard links followed, each name once."""
    files, links = {}, {}
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            assert name not in files
            assert name not in links
            assert not name.startswith(("/", "../"))
            if member.isfile():
                files[name] = archive.extractfile(member).read()
            elif member.issym():
                links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
            else:
                assert member.isdir()
    for name, target in links.items():
        files[name] = files[target]
    return files


def files_of(path):
    path = Path(path)
    if path.is_dir():
        assert not [
            each for each in path.rglob("*") if each.is_symlink() or (each.stat().st_nlink > 1 and each.is_file())
        ]
        return {name: data for name, data in contents(path).items() if not name.startswith(".")}
    return members(path.read_bytes())


def field(document, name):
    """Return a field of a Go struct, whatever the letter case of its key."""
    return next((value for key, value in (document or {}).items() if key.lower() == name), None)


def diff_ids_of(raw):
    """Return the DiffIDs that a config lists."""
    return field(field(json.loads(raw), "rootfs"), "diff_ids") or []


def docker_images(files, kept=(), absent=()):
    """Return the images that `manifest.json` lists, every layer held against its DiffID.

    `kept` names layers that were passed on by the digest of a manifest, which says nothing of DiffIDs.
    `absent` are members of non-distributable layers that a layout beside it describes.
    """
    listed = json.loads(files["manifest.json"])
    images = []
    for item in listed:
        assert set(item) <= {"Config", "RepoTags", "Layers", "Parent", "LayerSources"}
        raw = files[item["Config"]]
        diff_ids = diff_ids_of(raw)
        layers = item["Layers"] or []
        for name, diff_id in zip(layers, diff_ids, strict=True):
            if name in absent:
                assert name not in files
                continue
            assert sha256(files[name]) in kept or sha256(unpacked(files[name])) == diff_id
        for name in {item["Config"], *layers} - set(absent):
            hexes = [part for part in name.replace(":", "/").replace(".", "/").split("/") if len(part) == 64]
            # A name that is a digest is the digest of the bytes; v1 IDs are not digests of these bytes.
            if name.startswith(("blobs/", "sha256:")) or ".tar." in name or name.endswith(".json"):
                assert hashlib.sha256(files[name]).hexdigest() == hexes[-1], name
        image = Image(
            sha256(raw),
            diff_ids,
            list(item["RepoTags"] or []),
            layers=[sha256(files[x]) for x in layers if x not in absent],
        )
        if layers and layers[0].endswith("/layer.tar"):
            image.v1_ids = [posixpath.dirname(name) for name in layers]
        images.append(image)
    if "repositories" in files:
        tops = json.loads(files["repositories"])
        names = {name: image for image in images if image.diff_ids for name in image.names}
        assert {f"{name}:{tag}" for name, tags in tops.items() for tag in tags} == names.keys()
        for name, image in names.items():
            repository, _, tag = name.rpartition(":")
            _check_top(files, image, tops[repository][tag])
    for image in images:
        _check_v1(files, image)
    return images


def _check_top(files, image, top):
    """From Docker 25 on the top DiffID; before, the top of the chain of v1 directories."""
    if any(name.startswith("blobs/") for name in files):
        assert top == image.diff_ids[-1].removeprefix("sha256:")
        return
    chain = []
    while top:
        assert files[f"{top}/VERSION"] == b"1.0"
        assert json.loads(files[f"{top}/json"])["id"] == top
        chain.append(sha256(unpacked(files[f"{top}/layer.tar"])))
        top = json.loads(files[f"{top}/json"]).get("parent")
    assert chain[::-1] == image.diff_ids


def _check_v1(files, image):
    parent = None
    for v1_id, diff_id in zip(image.v1_ids, image.diff_ids, strict=True) if image.v1_ids else ():
        assert files[f"{v1_id}/VERSION"] == b"1.0"
        document = json.loads(files[f"{v1_id}/json"])
        assert document["id"] == v1_id
        assert document.get("parent") == parent
        assert sha256(files[f"{v1_id}/layer.tar"]) == diff_id
        parent = v1_id


@dataclass
class Layout:
    images: list
    #: Descriptors of index.json as they are.
    entries: list
    #: Digests of every manifest, index and artifact that is there.
    documents: set
    #: Digests of blobs that nothing names.
    strays: set
    #: Members of non-distributable layers that are not there.
    absent: set


def layout(files, kept=()):
    """Return what an OCI layout holds, every blob held against its name, size and DiffID.

    `kept` is as for `docker_images`.
    """
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads(files["index.json"])
    assert index["schemaVersion"] == 2
    blobs = {}
    for name, data in files.items():
        if name.startswith("blobs/"):
            _, algorithm, encoded = name.split("/")
            assert hashlib.new(algorithm, data).hexdigest() == encoded
            blobs[f"{algorithm}:{encoded}"] = data
    images, reached, documents, absent = {}, set(), set(), set()

    def visit(descriptor):
        digest = descriptor["digest"]
        data = blobs.get(digest)
        if data is None:
            return
        assert descriptor["size"] == len(data)
        reached.add(digest)
        if digest in documents:
            return
        if descriptor["mediaType"] not in DOCUMENT_TYPES:
            return
        documents.add(digest)
        document = json.loads(data)
        for child in document.get("manifests") or ():
            visit(child)
        if "config" in document:
            read_manifest(digest, document)

    def read_manifest(digest, document):
        parts = [document["config"], *(document["layers"] or ())]
        for part in parts:
            if part["digest"] in blobs:
                assert part["size"] == len(blobs[part["digest"]])
                reached.add(part["digest"])
        if document["config"]["mediaType"] not in CONFIG_TYPES or not all("tar" in x["mediaType"] for x in parts[1:]):
            return
        raw = blobs[document["config"]["digest"]]
        if field(json.loads(raw), "rootfs") is None:
            return
        for part, diff_id in zip(parts[1:], diff_ids_of(raw), strict=True):
            if part["digest"] in blobs:
                assert part["digest"] in kept or sha256(unpacked(blobs[part["digest"]])) == diff_id
            else:
                assert part.get("urls") or "nondistributable" in part["mediaType"] or "foreign" in part["mediaType"]
                absent.add("blobs/" + part["digest"].replace(":", "/"))
        image_id = document["config"]["digest"]
        images[digest] = Image(image_id, diff_ids_of(raw), manifest=digest, layers=[x["digest"] for x in parts[1:]])

    for entry in index["manifests"]:
        visit(entry)
    return Layout(list(images.values()), index["manifests"], documents, blobs.keys() - reached, absent)


def check(path, form, kept=()):
    """Check that a result is complete and valid; return its images. `kept` is as for `docker_images`."""
    files = files_of(path)
    if form in {"docker-save", "crane"}:
        return docker_images(files, kept)
    found = layout(files, kept)
    if form in {"docker-save@25", "docker-save@29"}:
        # v1 documents that no descriptor names; untagged images after others are in manifest.json alone (moby#51389).
        listed = {name for item in json.loads(files["manifest.json"]) for name in (item["Config"], *item["Layers"])}
        for stray in {"blobs/" + digest.replace(":", "/") for digest in found.strays} - listed:
            assert json.loads(files[stray]).keys() & {"id", "config"}
        return docker_images(files, kept)
    assert not found.strays
    if form == "docker-oci":
        listed = {image.image_id for image in docker_images(files, kept, found.absent)}
        assert listed <= {image.image_id for image in found.images}
    return found.images
