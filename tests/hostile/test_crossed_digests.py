"""Blobs, DiffIDs and layer digests that are crossed: "is this digest" and "unpacks to this DiffID" are two questions.

Exit 0 means that every blob is what its name says, and that every DiffID is right which
the contract says was checked; never does the answer depend on the number of jobs.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.reading import check, members, sha256
from support import FORMATS, run, tar_of

import convert
from convert.errors import ImgconvError

BASE = "application/vnd.oci.image"


def blob_name(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


PLAIN = [tar_of({"file": bytes([n]) * 3000}) for n in range(2)]
GZIPPED = [gzip.compress(layer, mtime=0) for layer in PLAIN]
TWICE = gzip.compress(GZIPPED[0], mtime=0)
POOL = [*PLAIN, *GZIPPED, TWICE]


def config_of(diff_ids: list[str], mark: int) -> bytes:
    document = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    return json.dumps(document | {"author": str(mark)}).encode()


def archive(images: list[dict[str, Any]], blobs: dict[str, bytes]) -> bytes:
    """Return an OCI archive; images with `listed` are in `manifest.json`, others in `index.json`, or in both."""
    files = {blob_name(name): data for name, data in blobs.items()}
    entries, listed = [], []
    for number, image in enumerate(images):
        config = config_of(image["diff_ids"], number)
        files[blob_name(sha256(config))] = config
        if image["where"] != "index":
            layers = [blob_name(name) for name in image["layers"]]
            listed.append({"Config": blob_name(sha256(config)), "RepoTags": [f"a/i:{number}"], "Layers": layers})
        if image["where"] != "listed":
            layers = [
                {"mediaType": f"{BASE}.layer.v1.tar{image['kind']}", "digest": name, "size": len(blobs[name])}
                for name in image["layers"]
            ]
            described = {"mediaType": f"{BASE}.config.v1+json", "digest": sha256(config), "size": len(config)}
            document = {"schemaVersion": 2, "mediaType": f"{BASE}.manifest.v1+json", "config": described}
            manifest = json.dumps(document | {"layers": layers}).encode()
            files[blob_name(sha256(manifest))] = manifest
            entry = {"mediaType": document["mediaType"], "digest": sha256(manifest), "size": len(manifest)}
            entries.append(entry | {"annotations": {"io.containerd.image.name": f"docker.io/a/i:{number}"}})
    files["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    if listed:
        files["manifest.json"] = json.dumps(listed).encode()
    return tar_of(files)


#: One gzip blob under its own digest, listed twice; one of the DiffIDs is that digest.
LISTED_TWICE = archive(
    [
        {
            "diff_ids": [sha256(PLAIN[0]), sha256(GZIPPED[0])],
            "layers": [sha256(GZIPPED[0])] * 2,
            "where": "index",
            "kind": "+gzip",
        }
    ],
    {sha256(GZIPPED[0]): GZIPPED[0]},
)


def under_its_diff_id(kind: str) -> bytes:
    """Gzip bytes under the digest of what they unpack to, named by an index and by `manifest.json`."""
    image = {"diff_ids": [sha256(PLAIN[0])], "layers": [sha256(PLAIN[0])], "kind": kind}
    return archive([image | {"where": "both"}, image | {"where": "listed"}], {sha256(PLAIN[0]): GZIPPED[0]})


@pytest.fixture(params=["listed twice", "under its DiffID", "under its DiffID, called plain"])
def attack(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "source.tar"
    kind = "" if request.param.endswith("plain") else "+gzip"
    path.write_bytes(LISTED_TWICE if request.param == "listed twice" else under_its_diff_id(kind))
    path.with_suffix(".twice" if request.param == "listed twice" else ".under").touch()
    return path


def is_refused_by(attack: Path, target: str, verify: str) -> bool:
    """Layers that come with a descriptor are checked against that alone, unless they are unpacked (rule 3)."""
    return attack.with_suffix(".under").exists() or verify == "full" or target.startswith("docker-save")


@pytest.mark.parametrize("verify", ["digests", "full"])
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("way", ["file", pytest.param("pipe", marks=pytest.mark.slow)])
def test_neither_digest_passes_for_the_other(
    tmp_path: Path, attack: Path, target: str, jobs: int, verify: str, way: str
) -> None:
    out = tmp_path / "out"
    if way == "pipe":
        done = run("-", "--to", target, out, "-j", jobs, "--verify", verify, input=attack.read_bytes())
        status = done.returncode
    else:
        try:
            convert.convert(attack, out, to=target, jobs=jobs, verify=verify)
            status = 0
        except ImgconvError as error:
            status = error.exit_status
    if is_refused_by(attack, target, verify):
        assert (status, out.exists()) == (3, False)
    elif status == 0:
        check(out, target, kept={sha256(GZIPPED[0])})


def test_reports_do_not_pass_it_either(attack: Path, tmp_path: Path) -> None:
    assert run("inspect", "--verify", attack).returncode == 3
    # Docker reads `manifest.json`, which names no layer digest: there the second attack changes nothing.
    pushed = 0 if attack.with_suffix(".under").exists() else 3
    for jobs in ("1", "2"):
        assert run("digest", attack, "--as", "docker", "-j", jobs).returncode == pushed
    assert run("validate", attack).returncode in {1, 3}
    manifest = next(data for data in members(attack.read_bytes()).values() if b'"layers"' in data)
    (tmp_path / "manifest.json").write_bytes(manifest)
    done = run("match", attack, tmp_path / "manifest.json", "--to", "oci", tmp_path / "out")
    assert done.returncode in ({1, 3} if attack.with_suffix(".under").exists() else {3})
    assert not (tmp_path / "out").exists()


def images() -> st.SearchStrategy[dict[str, Any]]:
    digests = st.sampled_from([sha256(data) for data in POOL])

    def of(count: int) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries(
            {
                "diff_ids": st.lists(digests, min_size=count, max_size=count),
                "layers": st.lists(digests, min_size=count, max_size=count),
                "where": st.sampled_from(["index", "listed", "both"]),
                "kind": st.sampled_from(["", "+gzip"]),
            }
        )

    return st.integers(1, 3).flatmap(of)


#: What lies under each name: mostly what belongs there.
CONTENTS = st.tuples(*(st.sampled_from([number] * 6 + list(range(len(POOL)))) for number in range(len(POOL))))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(images(), min_size=1, max_size=2),
    CONTENTS,
    st.sampled_from(FORMATS),
    st.sampled_from(["digests", "full"]),
)
def test_what_is_accepted_is_right_however_digests_are_crossed(
    made: list[dict[str, Any]], contents: tuple[int, ...], target: str, verify: str
) -> None:
    blobs = {sha256(data): POOL[content] for data, content in zip(POOL, contents, strict=True)}
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "source.tar"), Path(folder, "out")
        source.write_bytes(archive(made, blobs))
        seen = set()
        for jobs in (1, 2):
            try:
                convert.convert(source, out, to=target, verify=verify, jobs=jobs)
                seen.add(0)
            except ImgconvError as error:
                seen.add(error.exit_status)
                assert not out.exists()
                continue
            described = {name for image in made if image["where"] != "listed" for name in image["layers"]}
            check(out, target, kept=() if verify == "full" or target.startswith("docker-save") else described)
            shutil.rmtree(out) if out.is_dir() else out.unlink()
        assert len(seen) == 1


@pytest.mark.parametrize("target", ["docker-save", "docker-save@25", "docker-save@29"])
def test_a_layer_that_is_compressed_twice_is_not_written_as_uncompressed(tmp_path: Path, target: str) -> None:
    """Its DiffID is that of a gzip stream, which an engine would unpack once more."""
    inner = gzip.compress(tar_of({"a": b"b"}), mtime=0)
    outer = gzip.compress(inner, mtime=0)
    image = {"diff_ids": [sha256(inner)], "layers": [sha256(outer)], "where": "index", "kind": "+gzip"}
    source = tmp_path / "source.tar"
    source.write_bytes(archive([image], {sha256(outer): outer}))
    assert run(source, "--to", target, tmp_path / "out").returncode == 3
    assert not (tmp_path / "out").exists()
