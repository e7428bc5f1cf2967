"""Guess which tool wrote an archive, with the evidence.

The guess is for people. It rests on what differs between tools: member names, folders,
spacing of JSON, spare newlines, modes (docs/formats.md and the pages that it lists;
seen in archives that these tools wrote). Several tools share one library, and
imgconv writes what they write; then the name lists them. Nothing depends on it.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from convert.archive.tar_tree import TarTree
from convert.errors import InputError
from convert.model.image import Image
from convert.model.image_set import SourceFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convert.archive.member import Member
    from convert.archive.tree import Tree
    from convert.model.config import HistoryEntry
    from convert.model.image_set import ImageSet

_V1_MEMBER: Final = re.compile(r"[0-9a-f]{64}/(?:VERSION|json|layer\.tar)\Z")
_V1_FOLDER: Final = re.compile(r"[0-9a-f]{64}\Z")
_MODE: Final = slice(100, 108)
_UNAME: Final = slice(265, 297)
_TYPE_BITS: Final = 0o170000
#: gzip header of klauspost/pgzip: Go's zero time as MTIME (pgzip 1.2.6).
_PGZIP: Final = bytes.fromhex("1f8b080000096e8800ff")

_GGCR: Final = "crane, or another tool of go-containerregistry"
_CONTAINERS: Final = "skopeo, podman or buildah"
_CONTAINERD: Final = "Docker with the containerd store, ctr or nerdctl"


class Producer(NamedTuple):
    """A tool, or the few that write alike, and the evidence in words."""

    name: str
    evidence: tuple[str, ...]


def producer(tree: Tree, images: ImageSet) -> Producer | None:
    """Return who likely wrote an archive, None without evidence."""
    look = _Look(tree, images)
    try:
        if images.format is SourceFormat.REGISTRY:
            return None
        if images.format is SourceFormat.DOCKER_V1:
            return Producer("docker save before 1.10", ("repositories and v1 folders, no manifest.json",))
        if images.format is SourceFormat.DOCKER_SAVE_25:
            return _docker_25(look)
        if images.format is SourceFormat.DOCKER_OCI:
            return _containerd(look)
        is_layout = images.format in {SourceFormat.OCI, SourceFormat.OCI_ARCHIVE}
        return _layout(look) if is_layout else _docker_archive(look)
    except InputError:
        # The readers that need the document reported the fault.
        return None


class _Look:
    """What the rules look at, each read once."""

    def __init__(self, tree: Tree, images: ImageSet) -> None:
        self.tree = tree
        self.images = images
        self._names: list[str] | None = None

    def text(self, name: str) -> str:
        """Return a document's text, nothing if it is not there."""
        if self.tree.find(name) is None:
            return ""
        return self.tree.read(name).decode("utf-8", "replace")

    def document(self, name: str) -> dict[str, Any]:
        """Return a document that the readers went through already."""
        value = json.loads(self.text(name) or "{}")
        return value if isinstance(value, dict) else {}

    @property
    def names(self) -> list[str]:
        """Every member's name."""
        if self._names is None:
            self._names = list(self.tree.names())
        return self._names

    def history(self, fits: Callable[[HistoryEntry], bool]) -> bool:
        """Return whether a step in the history of some image is like that."""
        return any(fits(entry) for image in self.images.images() for entry in image.config.history)

    def annotation(self, start: str) -> bool:
        """Return whether `index.json` has an annotation whose key starts like that."""
        return any(
            key.startswith(start)
            for entry in self.images.entries
            if entry.descriptor is not None
            for key in entry.descriptor.annotations
        )

    def names_start(self, start: str) -> bool:
        """Return whether some image's full name starts like that."""
        references = (entry.name.reference for entry in self.images.entries if entry.name is not None)
        return any(reference is not None and reference.full.startswith(start) for reference in references)

    def first_header(self) -> tuple[int, str] | None:
        """Return mode and user name of the tar's first member; None where headers are gone."""
        if not isinstance(self.tree, TarTree):
            return None
        for member in _plain_members(self.tree):
            header = os.pread(self.tree.fd, 512, member.offset - 512)
            try:
                mode = int(header[_MODE].strip(b"\0 ") or b"0", 8)
            except ValueError:
                return None
            return mode, header[_UNAME].rstrip(b"\0").decode("ascii", "replace")
        return None

    def first_layer(self) -> bytes:
        """Return the first bytes of the first layer there is."""
        for image in self.images.images():
            for layer in image.layers:
                if layer.blob is not None:
                    with layer.blob.open() as stream:
                        return stream.read(10)
        return b""


def _plain_members(tree: TarTree) -> Iterator[Member]:
    return (member for member in tree.members if member.kind == "file")


def _builder(look: _Look) -> tuple[str, str] | None:
    """Name a builder that signs the history; it wrote the archive where its library would have."""
    if look.history(lambda entry: entry.author == "kaniko" or entry.created_by.startswith("kaniko")):
        return "kaniko", "the history names kaniko"
    if look.history(lambda entry: entry.author == "apko"):
        return "apko", "the history names apko"
    if look.history(lambda entry: entry.author == "ko"):
        return "ko", "the history names ko"
    return None


def _docker_25(look: _Look) -> Producer:
    evidence = ["a manifest generated from config and uncompressed layers"]
    if look.text("oci-layout") == '{"imageLayoutVersion": "1.0.0"}':
        evidence.append("oci-layout with a space")
    if '"LayerSources"' in look.text("manifest.json"):
        evidence.append("LayerSources for every layer")
    return Producer("docker save of Docker 25 or later, with a graph driver", tuple(evidence))


def _containerd(look: _Look) -> Producer | None:
    manifest = look.text("manifest.json")
    if look.text("oci-layout") != '{"imageLayoutVersion":"1.0.0"}' or manifest.endswith("\n"):
        return None
    evidence = ["manifest.json beside an OCI layout, neither with a newline"]
    if look.annotation("org.opencontainers.image.created"):
        return Producer("buildkit (docker buildx build --output type=docker)", (*evidence, "a created annotation"))
    if look.annotation("containerd.io/distribution.source."):
        evidence.append("annotations with the registry it was pulled from")
    if "mediaType" not in look.document("index.json"):
        return Producer("containerd up to 1.6: ctr, nerdctl or Docker", (*evidence, "index.json without mediaType"))
    return Producer(_CONTAINERD, tuple(evidence))


def _docker_archive(look: _Look) -> Producer | None:
    manifest = look.text("manifest.json")
    if any(name.startswith("sha256:") for name in look.names):
        found = _builder(look)
        evidence = "the config's name is its digest with sha256:"
        return Producer(found[0], (found[1], evidence)) if found else Producer(_GGCR, (evidence,))
    if look.history(lambda entry: entry.comment.startswith("store paths: ")):
        return Producer("nix dockerTools", ("the history lists store paths",))
    v1_members = [name for name in look.names if _V1_MEMBER.match(name)]
    v1_folders = any(_V1_FOLDER.match(name) for name in look.names)
    if v1_members and not v1_folders and '": ' in manifest:
        spaced = ("manifest.json spaced as Python does", "v1 folders without entries of their own")
        return Producer("bazel rules_docker", spaced)
    if v1_members and _linked_layers(look, v1_members):
        evidence = "v1 folders whose layer.tar links to a layer beside them"
        local = look.names_start("localhost/")
        return Producer(
            "podman or buildah" if local else _CONTAINERS, (evidence, *(["a localhost/ name"] if local else []))
        )
    if v1_members and not v1_folders and not manifest.endswith("\n"):
        return Producer(f"{_GGCR} (legacy format)", ("v1 folders without entries of their own, no newlines",))
    if v1_members:
        return _docker_save(look)
    if "config.json" in look.names and any(name.endswith(".tar.gz") and "/" not in name for name in look.names):
        return Producer("jib", ("config.json beside .tar.gz layers",))
    if manifest and any(re.match(r"[0-9a-f]{64}\.tar\Z", name) for name in look.names):
        return Producer(_CONTAINERS, ("layers named by DiffID at the top",))
    return None


def _linked_layers(look: _Look, v1_members: list[str]) -> bool:
    layers = [look.tree.member(name) for name in v1_members if name.endswith("/layer.tar")]
    return bool(layers) and all(
        member is not None and member.kind == "symlink" and member.link.count("/") == 1 for member in layers
    )


def _docker_save(look: _Look) -> Producer:
    evidence = ["v1 folders, manifest.json with a newline"]
    header = look.first_header()
    if header is None:
        return Producer("docker save of Docker 1.10 to 24", tuple(evidence))
    mode, user = header
    if user not in {"", "root"}:
        return Producer("docker save of Docker 1.10 to 24, repacked", (*evidence, "a user name in the headers"))
    if not mode & _TYPE_BITS:
        return Producer("docker save of Docker 24", (*evidence, "modes without file type bits"))
    evidence.append("modes with file type bits")
    if user == "root":
        return Producer("docker save of Docker 1.10 to 20.10, a distribution's build", (*evidence, "user name root"))
    return Producer("docker save of Docker 1.10 to 23", tuple(evidence))


def _layout(look: _Look) -> Producer | None:
    version = look.text("oci-layout")
    index = look.text("index.json")
    found = _builder(look)
    if look.annotation("dev.cosignproject.cosign/"):
        return Producer("cosign", ("annotations of cosign",))
    if version.startswith('{\n    "'):
        evidence = "oci-layout indented by four spaces"
        return Producer(found[0], (found[1], evidence)) if found else Producer(_GGCR, (evidence,))
    if version == '{"imageLayoutVersion": "1.0.0"}':
        local = look.names_start("localhost/")
        return Producer("podman or buildah" if local else _CONTAINERS, ("oci-layout with a space",))
    if version == '{"imageLayoutVersion":"1.0.0"}\n':
        return Producer("umoci", ("oci-layout with a newline",))
    if look.annotation("org.opencontainers.image.created") and look.annotation("io.containerd.image.name"):
        return Producer("buildkit (docker buildx build --output type=oci)", ("created and image.name annotations",))
    if look.annotation("io.containerd.image.name"):
        return Producer(f"{_CONTAINERD}, or imgconv", ("image.name annotations",))
    if index.startswith('{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":['):
        evidence = "index.json compact, with mediaType"
        if look.first_layer() == _PGZIP:
            return Producer(_CONTAINERS, (evidence, "layers with pgzip's header"))
        return Producer("a recent skopeo, podman or buildah, regctl or imgconv", (evidence,))
    if any(isinstance(entry.node, Image) for entry in look.images.entries) and found:
        return Producer(found[0], (found[1],))
    return None
