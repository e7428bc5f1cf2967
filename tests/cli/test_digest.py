"""`imgconv digest`: the digests that the tools themselves gave, and the very manifests.

`pushes.json` holds what crane (both generations of Go) and docker push reported.
"""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import jsonschema
import pytest
from hostile.building import Layout

from convert.jsonio import schema

MATCH = Path(__file__).parents[2] / "testdata" / "match"
PUSHES = json.loads((MATCH / "pushes.json").read_text())
KNOWN = [(name, pusher, digest) for name, row in PUSHES.items() for pusher, digest in row.items() if "@" in pusher]
REFUSED = [name for name, row in PUSHES.items() if row.get("crane_error", "").endswith("not found in tar")]
MADE = json.loads((MATCH / "manifests.json").read_text())["made"]
PUSHERS = [
    *("crane@go1.26", "crane@go1.27", "docker@go1.26", "docker@go1.27", "docker-containerd"),
    *("podman", "podman@6", "skopeo", "buildah", "buildah@1.44", "imgconv"),
]


def findings(document, name):
    return list(jsonschema.Draft202012Validator(schema.load(name)).iter_errors(document))


@pytest.mark.parametrize(("name", "pusher", "digest"), KNOWN)
def test_the_digest_is_the_one_that_the_tool_gave(imgconv, archive, name, pusher, digest):
    done = imgconv("digest", archive(name), "--as", pusher)
    assert (done.status, done.out, done.err) == (0, digest + "\n", "")


@pytest.mark.parametrize("name", REFUSED)
def test_what_crane_cannot_read_is_refused(imgconv, archive, name):
    done = imgconv("digest", archive(name), "--as", "crane")
    assert done.status == 2
    assert "manifest.json" in done.err
    every = imgconv("digest", f"{name}.tar")
    assert every.status == 0
    assert "imgconv: crane@go1.26: crane reads only tars that contain manifest.json\n" in every.err


def pusher_of(made):
    tools = {"docker push": "docker", "ctr": "ctr", "1.27": "crane@go1.27", "crane": "crane"}
    return next(pusher for mark, pusher in tools.items() if mark in made["by"])


@pytest.mark.parametrize("made", MADE, ids=lambda one: f"{one['by']}-{one['archive']}")
def test_manifest_writes_the_very_bytes(imgconv, archive, tmp_path, made):
    pusher = pusher_of(made)
    done = imgconv("digest", archive(made["archive"]), "--as", pusher, "--manifest", tmp_path / "manifest.json")
    assert done.status == 0
    raw = (tmp_path / "manifest.json").read_bytes()
    assert raw == made["manifest"].encode()
    assert done.out == f"sha256:{hashlib.sha256(raw).hexdigest()}\n"


def test_a_bare_tool_names_its_generation_of_go(imgconv, archive):
    done = imgconv("digest", archive("docker20-html"), "--as", "crane")
    assert done.out == "sha256:f8086de062ee4ef3853efafcfdcfce37dfcb280d0d8cc241e50b14da62374292\n"
    assert done.err == "imgconv: assuming crane built with Go up to 1.26 (else --as crane@go1.27)\n"


def test_without_as_all_are_listed_with_their_go(imgconv, archive):
    done = imgconv("digest", archive("docker20-html"))
    lines = done.out.splitlines()
    assert lines[0] == "fmt-html:1 example.com:5000/ns/html:v1 fmt-html:zz"
    rows = {line.split()[0]: line.split()[-1] for line in lines[1:]}
    assert list(rows) == PUSHERS
    for pusher, digest in PUSHES["docker20-html"].items():
        assert rows[pusher] == digest
    assert "Go up to 1.26" in lines[1]
    assert "Go 1.27" in lines[2]


def test_several_images_are_a_row_each(imgconv, archive):
    done = imgconv("digest", archive("docker20-multi"), "--as", "docker@go1.26")
    rows = done.out.splitlines()
    assert len(rows) == 7
    picked = rows[0].split()[1]
    one = imgconv("digest", "docker20-multi.tar", "--as", "docker@go1.26", "--image", picked)
    assert one.out == rows[0].split()[0] + "\n"


def test_the_json_fits_its_schema(imgconv, archive):
    done = imgconv("digest", archive("podman-oci-archive"), "--json")
    assert findings(done.json, "report-digest") == []
    assert [row["pusher"] for row in done.json["refused"]] == PUSHERS[:2]
    assert {row["digest"] for row in done.json["pushes"] if row["pusher"] == "imgconv"}


def test_a_blob_of_unknown_type_at_the_top_has_the_digest_of_its_descriptor(imgconv, tmp_path):
    """It was taken for a manifest, and its bytes asked for."""
    source = tmp_path / "in.tar"
    source.write_bytes(Layout(entry={"mediaType": "application/x-unknown"}).build())
    done = imgconv("digest", source, "--json")
    assert findings(done.json, "report-digest") == []
    rows = {row["pusher"]: row for row in done.json["pushes"]}
    assert {"docker-containerd", "imgconv"} <= set(rows)
    row = rows["imgconv"]
    assert row["digest"] == rows["docker-containerd"]["digest"]
    ((name, data),) = [each for each in Layout().parts().items() if b'"layers":' in each[1]]
    assert (row["digest"], row["size"]) == (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
    assert name.endswith(row["digest"][7:])
    assert row["media_type"] == "application/x-unknown"
    refused = imgconv("digest", source, "--as", "imgconv", "--manifest", "-")
    assert (refused.status, refused.out) == (2, "")
    assert "not a manifest that imgconv knows" in refused.err


def test_imgconv_stands_for_what_to_oci_writes(imgconv, archive):
    source = archive("docker20-html")
    digest = imgconv("digest", source, "--as", "imgconv").out.strip()
    assert imgconv(source, "--to", "oci", "layout").status == 0
    assert json.loads(Path("layout/index.json").read_bytes())["manifests"][0]["digest"] == digest
    pushed_as_it_is = imgconv("digest", "layout", "--as", "crane@go1.27").out.split()
    assert {word for word in pushed_as_it_is if word.startswith("sha256:")} == {digest}


@pytest.mark.parametrize("target", ["oci", "oci-archive", "docker-oci"])
@pytest.mark.parametrize("pusher", ["crane@go1.26", "docker@go1.26"])
def test_convert_as_writes_that_manifest_and_its_blobs(imgconv, archive, target, pusher):
    done = imgconv(archive("docker20-html"), "--to", target, "out", "--as", pusher)
    digest = PUSHES["docker20-html"][pusher]
    assert done.out.split()[-1] == digest
    blobs = read_blobs(Path("out"))
    manifest = json.loads(blobs[digest])
    for part in (manifest["config"], *manifest["layers"]):
        assert len(blobs[part["digest"]]) == part["size"]


def read_blobs(path):
    if path.is_dir():
        raws = [file.read_bytes() for file in (path / "blobs" / "sha256").iterdir()]
    else:
        with tarfile.open(path) as tar:
            raws = [tar.extractfile(member).read() for member in tar if member.isfile()]
    return {f"sha256:{hashlib.sha256(raw).hexdigest()}": raw for raw in raws}


@pytest.mark.parametrize("option", [("--compress", "zstd"), ("--recompress",), ("--manifest-type", "oci")])
def test_as_leaves_nothing_to_say_about_layers(imgconv, archive, option):
    done = imgconv(archive("docker20-html"), "--to", "oci", "out", "--as", "crane", *option)
    assert done.status == 2
    assert f"remove {option[0]}" in done.err
    assert not Path("out").exists()


@pytest.mark.parametrize("target", ["docker-save", "docker-save@25", "docker-save@29", "crane"])
def test_as_wants_a_target_with_manifests(imgconv, archive, target):
    assert imgconv(archive("docker20-html"), "--to", target, "out", "--as", "crane").status == 2


@pytest.mark.parametrize(
    "arguments",
    [("--as", "regctl"), ("--manifest", "-"), ("--as", "crane", "--manifest", "-", "--json"), ("--image", "nope")],
)
def test_requests_that_cannot_be_met_have_status_2(imgconv, archive, arguments):
    done = imgconv("digest", archive("docker20-html"), *arguments)
    assert done.status == 2
    assert done.out == ""


def test_a_manifest_is_one_manifest(imgconv, archive):
    done = imgconv("digest", archive("docker20-multi"), "--as", "crane", "--manifest", "manifest.json")
    assert done.status == 2
    assert not Path("manifest.json").exists()


def test_a_wrong_diffid_is_told_though_crane_takes_it(imgconv, archive):
    def spoil(name, content):
        return content[:600] + b"\x01" + content[601:] if name.endswith("layer.tar") and len(content) > 600 else content

    done = imgconv("digest", archive("docker20-import", spoil), "--as", "crane")
    assert done.status == 3
    assert "DiffID" in done.err
    assert done.out == ""


# -- crane looks at the first layer alone ------------------------------------------


def layers_archive(path, layers):
    """Write a docker archive with these layers as they lie, unpacking to what DiffIDs name."""
    plain = [gzip.decompress(layer) if layer.startswith(b"\x1f\x8b") else layer for layer in layers]
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in plain]
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    ).encode()
    names = [f"{number}.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["x:1"], "Layers": names}]).encode()
    with tarfile.open(path, "w") as tar:
        for name, content in (("config.json", config), *zip(names, layers, strict=True), ("manifest.json", manifest)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def digests_of_layers(imgconv, pusher):
    done = imgconv("digest", "image.tar", "--as", pusher, "--json")
    return [layer["digest"] for layer in done.json["pushes"][0]["layers"]]


def digest_of(raw):
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def test_where_the_first_layer_is_compressed_all_are_taken_as_they_lie(imgconv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layers = [gzip.compress(bytes(1024), mtime=0), bytes(2048)]
    layers_archive("image.tar", layers)
    assert digests_of_layers(imgconv, "crane") == [digest_of(layer) for layer in layers]


def test_where_the_first_layer_is_plain_a_compressed_one_is_compressed_once_more(imgconv, tmp_path, monkeypatch):
    """The second layer that crane pushes unpacks to the gzip stream in the archive."""
    monkeypatch.chdir(tmp_path)
    packed = gzip.compress(bytes(2048), mtime=0)
    layers_archive("image.tar", [bytes(1024), packed])
    assert imgconv("image.tar", "--to", "oci", "layout", "--as", "crane").status == 0
    blobs = read_blobs(Path("layout"))
    first, second = digests_of_layers(imgconv, "crane")
    assert gzip.decompress(blobs[first]) == bytes(1024)
    assert gzip.decompress(blobs[second]) == packed
    assert digests_of_layers(imgconv, "docker")[1] != second
