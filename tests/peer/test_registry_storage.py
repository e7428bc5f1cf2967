"""The storage of a real docker-registry, filled by real pushes: read, checked, and damaged.

IMGCONV_REGISTRY names docker-registry; IMGCONV_SKOPEO, IMGCONV_CRANE, IMGCONV_REGCTL, IMGCONV_ORAS the tools that push.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from commands.test_validate_registry import FAULTS, Filled, findings_of
from layouts import GZIP, REF_NAME, Layout, digest_of, packed, tar_of
from reads import counted_reads
from registry import Registry
from storages import V2, Storage
from tools import call, found

import convert
from convert.archive import registry_storage
from convert.commands.validate import validate

REPOSITORIES, TAGS = 40, 20
#: How each tool pushes a layout with one image.
PUSHES = {
    "skopeo": lambda tool, layout, name: call(
        tool, "copy", "--quiet", "--all", "--dest-tls-verify=false", f"oci:{layout}:x", f"docker://{name}"
    ),
    "crane": lambda tool, layout, name: call(tool, "push", "--insecure", layout, name),
    "regctl": lambda tool, layout, name: call(
        tool, "--host", f"reg={name.partition('/')[0]},tls=disabled", "image", "copy", f"ocidir://{layout}:x", name
    ),
}


@pytest.fixture(scope="module")
def tools():
    have = {name: path for name in PUSHES if (path := found(name)[0])}
    return have or pytest.skip("neither skopeo nor crane nor regctl is installed")


@pytest.fixture
def registry(tmp_path):
    running = Registry(tmp_path / "registry")
    yield running
    running.stop()


def image(folder, *files, **more):
    """Write a layout with one image, one gzip layer for each file."""
    layout = Layout(folder)
    plain = [tar_of(name, data) for name, data in files]
    layers = [layout.blob(packed(each), GZIP) for each in plain]
    config = layout.config(map(digest_of, plain), config={}, **more)
    layout.write(layout.manifest(layers, (), config=config, described={"annotations": {REF_NAME: "x"}}))
    return folder


def index(folder, *images):
    """Write a layout with an index of images, each for one architecture."""
    layout = Layout(folder)
    children = []
    for architecture, files in images:
        plain = [tar_of(name, data) for name, data in files]
        layers = [layout.blob(packed(each), GZIP) for each in plain]
        config = layout.config(map(digest_of, plain), config={}, architecture=architecture)
        platform = {"os": "linux", "architecture": architecture}
        children.append(layout.manifest(layers, (), config=config, described={"platform": platform}))
    layout.write(layout.index(*children, described={"annotations": {REF_NAME: "x"}}))
    return folder


def adopt(folder):
    """Return the storage of a real registry with the attributes that the faults need."""
    storage = Filled.__new__(Filled)
    storage.folder, storage.v2 = folder, folder / V2

    def tagged(repository, tag):
        digest = storage.tag_link(repository, tag).read_text()
        raw = storage.blob_path({"digest": digest}).read_bytes()
        return {"mediaType": json.loads(raw)["mediaType"], "digest": digest, "size": len(raw)}

    storage.one, storage.two, storage.multi = tagged("app", "1"), tagged("app", "2"), tagged("multi", "1")
    storage.base, storage.top = storage.layers(storage.one)
    storage.arm = storage.json(storage.multi)["manifests"][1]
    storage.sbom = storage.json(tagged("app", storage.one["digest"].replace(":", "-")))["manifests"][0]
    return storage


@pytest.mark.parametrize("name", PUSHES)
def test_the_digest_is_that_which_the_registry_serves(registry, tools, tmp_path, name):
    """By tag and by digest, from the folder and from a tar of it, while the registry runs."""
    if name not in tools:
        pytest.skip(f"{name} is not installed (IMGCONV_{name.upper()} names it)")
    source = image(tmp_path / "image", ("base", b"base"), ("own", b"own"))
    PUSHES[name](tools[name], source, f"{registry.host}/team/app:1")
    served = registry.digest("team/app")
    root = registry.folder / "data"
    tar = tmp_path / "backup.tar"
    with tarfile.open(tar, "w") as archive:
        archive.add(root, arcname="registry")
    for number, text in enumerate(
        (f"{root}/team/app:1", f"{root}/team/app@{served}", str(root), f"{tar}/team/app:1", str(tar))
    ):
        out = tmp_path / str(number)
        convert.convert(f"registry:{text}", out, to="oci")
        (entry,) = json.loads((out / "index.json").read_bytes())["manifests"]
        assert entry["digest"] == served
        assert (out / "blobs" / served.replace(":", "/")).read_bytes() == registry.manifest("team/app")[0]
    assert not validate(f"registry:{root}").findings


def test_the_storages_of_the_tests_are_like_a_real_one(registry, tools, tmp_path):
    """The same files, but for what uploads leave behind."""
    name, tool = next(iter(tools.items()))
    PUSHES[name](tool, image(tmp_path / "image", ("a", b"content of a")), f"{registry.host}/team/app:1")
    ours = Storage(tmp_path / "ours")
    raw = registry.manifest("team/app")[0]
    for part in (json.loads(raw)["config"], *json.loads(raw)["layers"]):
        data = next(registry.folder.glob(f"data/**/{part['digest'].partition(':')[2]}/data")).read_bytes()
        ours.part("team/app", data, part["mediaType"])
    ours.manifest("team/app", json.loads(raw), "1")

    def files(folder):
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and "_uploads" not in path.parts
        }

    assert files(ours.folder) == files(registry.folder / "data")


@pytest.fixture(scope="module")
def filled(tools, tmp_path_factory):
    """Return the storage of a registry with 40 repositories of 20 tags, an index, and an artifact with a subject.

    It also has the images of `Filled`.
    """
    oras = found("oras")[0]
    if oras is None or "skopeo" not in tools:
        pytest.skip("oras and skopeo, which push the artifact and the index, are not both installed (IMGCONV_ORAS)")
    folder = tmp_path_factory.mktemp("filled")
    registry = Registry(folder / "registry")
    pushers = list(tools.items())
    count = 0

    def push(name, source, only=""):
        nonlocal count
        pusher, tool = (only, tools[only]) if only else pushers[count % len(pushers)]
        count += 1
        PUSHES[pusher](tool, source, f"{registry.host}/{name}")
        shutil.rmtree(source)

    bases = [os.urandom(400_000) for _ in range(4)]
    for repository in range(REPOSITORIES):
        for tag in range(TAGS):
            own = f"{repository}/{tag}"
            files = ("base", bases[repository % 4]), ("own", own.encode())
            push(f"load/app-{repository}:t{tag}", image(folder / "image", *files, author=own))
    one, two, arm = ((("base", b"base"), ("own", name)) for name in (b"one", b"two", b"arm"))
    push("app:1", image(folder / "image", *one))
    push("app:2", image(folder / "image", *two))
    push("team/app:1", image(folder / "image", *one))
    push("multi:1", index(folder / "image", ("amd64", one), ("arm64", arm)), only="skopeo")
    (folder / "sbom.json").write_bytes(b"{}")
    kind = ("--artifact-type", "application/x.sbom")
    call(oras, "attach", "--plain-http", *kind, f"{registry.host}/app:1", "sbom.json", cwd=folder)
    registry.stop()
    return registry.folder / "data"


@pytest.fixture
def reads(monkeypatch):
    """Count the bytes that are read of each file."""
    return counted_reads(monkeypatch)


@pytest.mark.slow
def test_a_real_storage_is_sound_and_each_blob_is_read_once(filled, reads):
    """No finding in what real tools pushed; at least 8 times fewer bytes than tag by tag."""
    verdict = validate(f"registry:{filled}")
    assert (verdict.status, verdict.findings) == (0, ())
    blobs = {name: count for name, count in reads.items() if name.endswith("/data")}
    assert blobs == {
        str(path.relative_to(filled)): path.stat().st_size for path in filled.glob(f"{V2}/blobs/*/*/*/data")
    }
    together = sum(reads.values())
    reads.clear()
    tags = 0
    repositories = filled / V2 / "repositories"
    for path in sorted(repositories.glob("**/_manifests/tags/*")):
        repository = path.relative_to(repositories).parent.parent.parent
        assert validate(f"registry:{filled}/{repository}:{path.name}").status == 0
        tags += 1
    logging.getLogger(__name__).info("%d tags: %d bytes at once, %d by tag", tags, together, sum(reads.values()))
    assert tags > REPOSITORIES * TAGS
    assert sum(reads.values()) > 8 * together


def copied(source, destination):
    """Copy what a fault may write into; the links of the 40 repositories are only read."""
    (os.link if "/load/" in source else shutil.copy)(source, destination)


@pytest.mark.slow
def test_every_planted_fault_in_a_real_storage_is_found_and_no_other(filled, tmp_path, monkeypatch):
    """The faults of tests/commands/test_validate_registry.py, each planted into a copy."""
    monkeypatch.setattr(registry_storage, "_PAUSE", 0)
    for number, (name, (plant, wanted)) in enumerate(FAULTS.items()):
        root = tmp_path / str(number)
        shutil.copytree(filled, root, copy_function=copied)
        plant(adopt(root))
        got = findings_of(f"registry:{root}", wanted)
        assert got == wanted, name
        shutil.rmtree(root)
    assert len(FAULTS) > 15
