"""The tool that wrote an archive is recognised by what tools do differently.

Of published archives the tool is known from where they lie (INDEX.md beside them);
nix, ko and buildkit archives are made here as those tools lay them out (nixpkgs
stream_layered_image.py, ko pkg/build, buildkit exporter/oci).
"""

import io
import json
import tarfile

import fixtures
import pytest

from convert.archive.open import open_source
from convert.model.digest import Digest
from convert.reader.detect import read
from convert.reader.producer import producer
from convert.reader.sink import CollectingSink

LAYER = bytes(1024)

#: Start of an archive's name in INDEX.md -> what must be among the names found.
PUBLISHED = {
    "bazel-": "bazel",
    "containerd-": "containerd",
    "docker-save-": "docker save",
    "docker25-": "docker save of Docker 25",
    "jib-": "jib",
    "kaniko-": "kaniko",
    "oci-apko": "apko",
    "oci-buildpacks": "go-containerregistry",
    "oci-skopeo": "skopeo",
    "podman-": "podman",
    "skopeo-": "skopeo",
}
#: Archives that somebody took apart and packed again, or that were written by hand.
REPACKED = {
    "bazel-repositories-only-no-manifest.tar",  # manifest.json taken out
    "bazel-symlinked-layer.tar",  # an image of bazel's, saved by Docker
    "oci-buildpacks-multi-platform-no-blobs",  # no oci-layout of the tool's own
    "skopeo-nginx-second-gutted.tar",
}


def published():
    return [
        pytest.param(name, tool, id=name)
        for name in fixtures.names("images")
        for start, tool in PUBLISHED.items()
        if name.startswith(start) and name not in REPACKED
    ]


@pytest.mark.parametrize(("name", "tool"), published())
def test_published_archives_are_told_by_their_tools(name, tool):
    assert tool in name_of(fixtures.get(f"images/{name}"))


def name_of(path):
    with open_source(str(path)) as source:
        found = producer(source.tree, read(source.tree, sink=CollectingSink()))
    return found.name if found else ""


def pack(path, members):
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def config(**history):
    value = {
        "architecture": "amd64",
        "os": "linux",
        "history": [history],
        "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(LAYER))]},
    }
    return json.dumps(value).encode()


def docker_archive(path, raw, name, layer):
    manifest = [{"Config": name, "RepoTags": ["x:1"], "Layers": [layer]}]
    return pack(path, {name: raw, layer: LAYER, "manifest.json": json.dumps(manifest, separators=(",", ":")).encode()})


def layout(path, annotations, *, version='{"imageLayoutVersion":"1.0.0"}', extra=None):
    raw = config(created_by="RUN")
    manifest = {
        "schemaVersion": 2,
        "config": descriptor("application/vnd.oci.image.config.v1+json", raw),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", LAYER)],
    }
    body = json.dumps(manifest).encode()
    top = descriptor("application/vnd.oci.image.manifest.v1+json", body) | {"annotations": annotations}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [top]}
    blobs = {f"blobs/sha256/{Digest.of(data).hex}": data for data in (raw, LAYER, body)}
    members = {"oci-layout": version.encode(), "index.json": json.dumps(index).encode(), **blobs}
    return pack(path, members | (extra(raw) if extra else {}))


def descriptor(media_type, data):
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


def test_kaniko_and_ko_are_told_from_crane_by_the_history(tmp_path):
    for author, tool in (("kaniko", "kaniko"), ("ko", "ko"), ("", "crane")):
        raw = config(author=author, created_by="x")
        path = docker_archive(tmp_path / f"{tool}.tar", raw, str(Digest.of(raw)), "0.tar.gz")
        assert name_of(path).split(",")[0] == tool


def test_nix_is_told_by_its_store_paths(tmp_path):
    raw = config(comment="store paths: ['/nix/store/abc-hello']")
    path = docker_archive(tmp_path / "nix.tar", raw, Digest.of(raw).hex + ".json", f"{'0' * 64}/layer.tar")
    assert name_of(path) == "nix dockerTools"


def test_buildkit_is_told_from_containerd_by_when_it_built(tmp_path):
    names = {"io.containerd.image.name": "docker.io/library/x:1", "org.opencontainers.image.ref.name": "1"}
    built = {**names, "org.opencontainers.image.created": "2026-11-21T00:00:00Z"}

    def docker_manifest(raw):
        item = {
            "Config": f"blobs/sha256/{Digest.of(raw).hex}",
            "RepoTags": ["x:1"],
            "Layers": [f"blobs/sha256/{Digest.of(LAYER).hex}"],
        }
        return {"manifest.json": json.dumps([item]).encode()}

    assert name_of(layout(tmp_path / "a.tar", built)) == "buildkit (docker buildx build --output type=oci)"
    assert "containerd" in name_of(layout(tmp_path / "b.tar", names))
    both = layout(tmp_path / "c.tar", built, extra=docker_manifest)
    assert name_of(both) == "buildkit (docker buildx build --output type=docker)"


@pytest.mark.parametrize(
    ("version", "tool"),
    [
        ('{"imageLayoutVersion":"1.0.0"}\n', "umoci"),
        ('{"imageLayoutVersion": "1.0.0"}', "skopeo, podman or buildah"),
        ('{\n    "imageLayoutVersion": "1.0.0"\n}', "crane, or another tool of go-containerregistry"),
        ('{ "imageLayoutVersion":"1.0.0" }', ""),
    ],
)
def test_layouts_are_told_by_the_spacing_of_oci_layout(tmp_path, version, tool):
    assert name_of(layout(tmp_path / "a.tar", {}, version=version)) == tool


def test_cosign_is_told_by_its_annotations(tmp_path):
    assert name_of(layout(tmp_path / "a.tar", {"kind": "x", "dev.cosignproject.cosign/image": "x"})) == "cosign"
