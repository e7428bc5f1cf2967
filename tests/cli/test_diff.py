"""`imgconv diff`: exact output and exit status.

IDs and DiffIDs are those of the worked example in docs/formats.md#identifiers.
"""

import hashlib
import io
import json
import os
import tarfile

import jsonschema
import pytest

from convert.cli import diff as diff_command
from convert.jsonio import schema
from convert.report.comparison import FileDifference


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


HTML = "sha256:78739f629b263dfbcccf88218563348eb0785077bae8756eca62147ddbd10ee5"
NAMES = "fmt-html:1 example.com:5000/ns/html:v1 fmt-html:zz"


def test_the_same_image_in_two_kinds_of_archives(imgconv, archive):
    a, b = archive("docker20-html"), archive("docker25-hybrid-html")
    done = imgconv("diff", a, b)
    assert done.status == 0
    assert done.out == (
        f"--- {a} (docker-save)\n"
        f"+++ {b} (docker-save@25)\n"
        f"{NAMES}  linux/amd64: same\n"
        f"  image ID: {HTML}\n"
        "  DiffIDs: the same\n"
        "  layer digests: the same\n"
    )
    assert done.err == ""


def test_other_images_have_status_1(imgconv, archive):
    done = imgconv("diff", archive("docker20-html"), archive("docker20-import"))
    assert done.status == 1
    assert "3 layers in A, 1 in B; the first is the same\n" in done.out


@pytest.mark.parametrize(("by", "status"), [("id", 0), ("layers", 0), ("digest", 1)])
def test_by_says_what_counts(imgconv, archive, by, status):
    """Both hold the image with the config 2975c50d…; skopeo keeps its layers plain, crane packs them."""
    a, b = archive("crane-tarball"), archive("skopeo-docker-archive")
    assert imgconv("diff", "--by", by, a, b).status == status


def test_encoders_are_named_as_in_the_profiles_that_made_the_layers(imgconv, archive):
    source = archive("docker20-html")
    for profile in ("crane", "docker"):
        assert imgconv(source, "--to", "oci", profile, "--compress", profile).status == 0
    done = imgconv("diff", "crane", "docker")
    assert done.status == 0
    assert ": same content, recompressed\n" in done.out
    assert "(go1.26-1; go1.26-6)\n" in done.out


def with_author(name, content):
    if not name.endswith(".json") or name == "manifest.json":
        return content
    return json.dumps(json.loads(content) | {"author": "\x1b[31mred"}).encode()


def test_config_differences_are_named_and_never_printed_raw(imgconv, archive):
    a = archive("docker20-duplayer")
    os.rename(a, "a.tar")
    b = archive("docker20-duplayer", with_author)
    done = imgconv("diff", "a.tar", b)
    assert done.status == 1
    assert "  config: author: absent in A, " in done.out
    assert "\x1b" not in done.out
    assert imgconv("diff", "--by", "layers", "a.tar", b).status == 0


def with_file(name, content):
    """Add a file to the only layer, and say so in the config."""
    if name == "manifest.json" or not name.endswith((".json", "/layer.tar")):
        return content
    if name.endswith(".json"):
        document = json.loads(content)
        document["rootfs"]["diff_ids"] = [NEW]
        return json.dumps(document).encode()
    return ADDED


def layer(*names):
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    return output.getvalue()


ADDED = layer("plain", "with\nnewline", "etc/.wh.gone")
NEW = "sha256:" + hashlib.sha256(ADDED).hexdigest()


def test_files_that_differ_are_listed(imgconv, archive):
    os.rename(archive("docker20-import"), "a.tar")
    done = imgconv("diff", "--files", "a.tar", archive("docker20-import", with_file))
    assert done.status == 1
    lines = done.out.splitlines()
    assert "    + plain (file, 3 bytes)" in lines
    assert '    + "with\\nnewline" (file, 3 bytes)' in lines
    assert "    + etc/.wh.gone (whiteout, 3 bytes)" in lines
    assert any(line.startswith("    - ") for line in lines)


def test_json_meets_its_schema(imgconv, archive):
    os.rename(archive("docker20-import"), "a.tar")
    b = archive("docker20-import", with_file)
    for options in ([], ["--files"], ["--by", "digest"]):
        done = imgconv("diff", "--json", *options, "a.tar", b)
        jsonschema.validate(done.json, schema.load("report-diff"), jsonschema.Draft202012Validator)
        assert (done.status, done.json["same"]) == (1, False)
    document = imgconv("diff", "--json", "--files", "a.tar", b).json
    assert (document["a"], document["b"], document["by"]) == ("a.tar", b, "id")
    (image,) = document["images"]
    assert image["layers"][0]["b"]["diff_id"] == NEW
    assert {
        "change": "added",
        "path": "plain",
        "attributes": {"type": {"a": None, "b": "file"}, "size": {"a": None, "b": "3"}},
    } in image["files"][0]["files"]
    assert imgconv("diff", "--json", "a.tar", "a.tar").json["same"] is True


def test_one_image_of_several_can_be_compared(imgconv, archive):
    a, b = archive("docker20-multi"), archive("docker20-html")
    assert imgconv("diff", a, b).status == 1
    done = imgconv("diff", "--image", "fmt-html:1", a, b)
    assert done.status == 0
    assert HTML in done.out
    assert imgconv("diff", "--image", "nothing", a, b).status == 2


def test_damage_and_absence_have_the_contracts_status(imgconv, archive, tmp_path):
    a = archive("docker20-html")
    (tmp_path / "text").write_text("text")
    assert imgconv("diff", a, "text").status == 3
    assert imgconv("diff", a, "nothing.tar").status == 4
    assert imgconv("diff", "-", "-").status == 2
    assert imgconv("diff", a).status == 2


def test_two_sources_without_images_cannot_be_compared_by_id(imgconv, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        blobs = tmp_path / name / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256(b"{}"), "size": 2}
        manifest = json.dumps({"schemaVersion": 2, "config": empty, "layers": []}).encode()
        for blob in (b"{}", manifest):
            (blobs / sha256(blob).removeprefix("sha256:")).write_bytes(blob)
        entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": sha256(manifest)}
        index = {"schemaVersion": 2, "manifests": [{**entry, "size": len(manifest)}]}
        (tmp_path / name / "index.json").write_text(json.dumps(index))
    done = imgconv("diff", tmp_path / "a", tmp_path / "b")
    assert (done.status, done.out) == (2, "")
    assert "neither has an image" in done.err
    assert imgconv("diff", "--by", "digest", tmp_path / "a", tmp_path / "b").status == 0


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        ("0", "1970-01-01T00:00:00Z"),
        ("1795227658", "2026-11-21T02:20:58Z"),
        ("1.5", "1970-01-01T00:00:01.5Z"),
        ("-1", "-1"),
        (str(1 << 40), str(1 << 40)),
        (None, "none"),
    ],
)
def test_times_of_files_are_told_as_dates(seconds, told):
    """`date -u -d @1795227658` says the same."""
    change = FileDifference("changed", "a", (("mtime", seconds, "7"),))
    assert diff_command._file(change) == f"~ a: mtime {told} in A, 1970-01-01T00:00:07Z in B"
