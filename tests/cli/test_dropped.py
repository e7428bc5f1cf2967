"""Nothing is dropped in silence: each loss has one line and one entry in `--json`."""

from __future__ import annotations

import json
import shutil

import jsonschema
import pytest
from layouts import FOREIGN, GZIP, INDEX, MANIFEST, Layout, digest_of, named, packed, piped, tar_of
from oracle.reading import docker_images, files_of
from support import FORMATS, MATCH, ROOT, run

from convert.diagnostics import CODES

SCHEMA = json.loads((ROOT / "schemas" / "report-convert.json").read_text())
MANIFESTS = ["docker-oci", "oci", "oci-archive"]
BARE = [form for form in FORMATS if form not in MANIFESTS]
NAME = "example.com/app:1"
#: In the source: one on the descriptor, one on the manifest, one on the config, one on the layer.
ANNOTATIONS = 4


@pytest.fixture
def convert(imgconv, tmp_path):
    """Convert and return the entries of `dropped`; each must be a line on standard error, and the reverse."""

    def call(source, form, *options):
        if (tmp_path / "out").is_file():
            (tmp_path / "out").unlink()
        elif (tmp_path / "out").exists():
            shutil.rmtree(tmp_path / "out")
        done = imgconv(source, "--to", form, tmp_path / "out", "--json", *options)
        assert done.status == 0, done.err
        jsonschema.validate(done.json, SCHEMA)
        entries = done.json["dropped"]
        lines = [line.removeprefix("imgconv: ") for line in done.err.splitlines()]
        for entry in entries:
            assert lines.count(entry["message"]) == 1
            assert CODES[entry["code"]].kind == "dropped"
            assert {"code": entry["code"], "message": entry["message"]} in done.json["remarks"]
        # The other way: every line about a loss has an entry.
        assert [line for line in lines if line.startswith("dropped ")] == [
            entry["message"] for entry in entries if entry["message"].startswith("dropped ")
        ]
        return sorted((entry["what"], entry["of"], entry["count"]) for entry in entries)

    return call


def annotated(folder, **top):
    layout = Layout(folder)
    plain = tar_of("a")
    layer = layout.blob(packed(plain), GZIP) | {"annotations": {"l": "1"}}
    image = layout.manifest(
        [layer],
        [digest_of(plain)],
        config_more={"annotations": {"c": "1"}},
        annotations={"m": "1"},
        described={"annotations": {"d": "1"}},
    )
    return layout.write(named(image, NAME), **top)


@pytest.mark.parametrize("form", FORMATS)
def test_annotations(convert, tmp_path, form):
    source = annotated(tmp_path / "in", annotations={"whole": "index", "other": "one"})
    expected = [("annotations", NAME, ANNOTATIONS)] if form in BARE else []
    expected += [] if form in {"oci", "oci-archive"} else [("annotations", "index.json", 2)]
    assert convert(source, form) == expected


def test_annotations_from_a_pipe(tmp_path):
    source = annotated(tmp_path / "in")
    done = run("-", "--to", "crane", tmp_path / "out", "--json", input=piped(source))
    assert [entry["count"] for entry in json.loads(done.stdout)["dropped"]] == [ANNOTATIONS]
    assert done.stderr.count(b"annotations of example.com/app:1") == 1


@pytest.mark.parametrize(
    "options", [("--recompress",), ("--manifest-type", "docker"), ("--as", "docker")], ids=" ".join
)
def test_annotations_of_a_manifest_that_is_re_created(convert, tmp_path, options):
    source = annotated(tmp_path / "in")
    lost = ANNOTATIONS
    assert convert(source, "oci", *options) == [("annotations", NAME, lost)]


def test_the_names_of_an_image_are_no_annotations(convert, tmp_path):
    layout = Layout(tmp_path / "in")
    source = layout.write(named(layout.image("a"), NAME), named(layout.image("b"), "example.com/b:2"))
    for form in FORMATS:
        assert convert(source, form) == []


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", FOREIGN)
def test_urls_and_the_non_distributable_mark(convert, tmp_path, form, kind):
    layout = Layout(tmp_path / "in")
    plain = [tar_of("a"), tar_of("b")]
    layers = [
        layout.blob(packed(each), FOREIGN[kind], urls=[f"https://example.com/{n}"]) for n, each in enumerate(plain)
    ]
    source = layout.write(named(layout.manifest(layers, map(digest_of, plain)), NAME))
    found = convert(source, form)
    if form.startswith("docker-save"):
        assert found == [("non-distributable", NAME, 2), ("urls", NAME, 2)]
    elif form == "docker-oci":
        assert found == sorted(("layer", layer["digest"], 1) for layer in layers)
    else:
        assert found == []
        assert convert(source, form, "--manifest-type", "oci") == []


def test_urls_of_a_distributable_layer(convert, tmp_path):
    layout = Layout(tmp_path / "in")
    plain = tar_of("a")
    layer = layout.blob(packed(plain), GZIP, urls=["https://example.com/a"])
    source = layout.write(named(layout.manifest([layer], [digest_of(plain)]), NAME))
    for form in BARE:
        assert convert(source, form) == [("urls", NAME, 1)]
    for form in MANIFESTS:
        assert convert(source, form) == []
    assert convert(source, "oci", "--recompress") == [("urls", NAME, 1)]


TYPED = {"artifactType": "application/vnd.example.app", "annotations": {"a": "b"}}


def indexed(folder, **top):
    """Write a layout with one index of two platforms, an attestation of the first among its children."""
    layout = Layout(folder)
    one = layout.image("one", described={"platform": {"os": "linux", "architecture": "amd64"}})
    two = layout.manifest(
        [layout.blob(packed(tar_of("two")), GZIP)],
        [digest_of(tar_of("two"))],
        config=layout.config([digest_of(tar_of("two"))], architecture="arm64"),
        described={"platform": {"os": "linux", "architecture": "arm64"}},
    )
    about = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": one["digest"]}
    unknown = {"platform": {"os": "unknown", "architecture": "unknown"}, "annotations": about}
    statement = layout.blob(b"{}", "application/vnd.in-toto+json")
    config = layout.config([statement["digest"]], architecture="unknown", os="unknown")
    attestation = layout.manifest([statement], [], config=config, described=unknown)
    subject = {"mediaType": MANIFEST, "digest": digest_of(b"elsewhere"), "size": 9}
    index = layout.index(one, two, attestation, subject=subject, **TYPED)
    return layout.write(named(index, NAME), subject=subject, **TYPED, **top), index, one, subject


@pytest.mark.parametrize("form", FORMATS)
def test_artifact_type_and_subject_of_an_index_and_its_attestations(convert, tmp_path, form):
    source, index, one, _ = indexed(tmp_path / "in")
    picked = ("--platform", "linux/amd64")
    of_index = [(what, f"index {index['digest']}", 1) for what in ("annotations", "artifact-type", "subject")]
    of_top = [(what, "index.json", 1) for what in ("annotations", "artifact-type", "subject")]
    expected = [*of_index, ("attestation", one["digest"], 1), *([] if form in {"oci", "oci-archive"} else of_top)]
    assert convert(source, form, *picked) == sorted(expected)
    if form in MANIFESTS:
        assert convert(source, form) == ([] if form != "docker-oci" else of_top)


@pytest.mark.parametrize("form", ["oci", "oci-archive"])
def test_a_layout_keeps_what_index_json_says_of_itself(convert, tmp_path, form):
    source, _, _, subject = indexed(tmp_path / "in")
    assert convert(source, form) == []
    written = json.loads(files_of(tmp_path / "out")["index.json"])
    assert {key: written[key] for key in ("artifactType", "annotations", "subject")} == TYPED | {"subject": subject}


def test_appending_keeps_what_the_layout_says_of_itself(imgconv, tmp_path):
    source, _, _, subject = indexed(tmp_path / "in")
    other = Layout(tmp_path / "other")
    other = other.write(named(other.image("x"), "example.com/x:1"))
    assert imgconv(source, "--to", "oci", tmp_path / "out").status == 0
    assert imgconv(other, "--to", "oci", tmp_path / "out", "--append").status == 0
    written = json.loads(files_of(tmp_path / "out")["index.json"])
    assert {key: written[key] for key in ("artifactType", "annotations", "subject")} == TYPED | {"subject": subject}
    assert len(written["manifests"]) == 2


def test_two_platforms_make_an_index_that_says_what_the_old_one_did(convert, tmp_path):
    source, _, one, subject = indexed(tmp_path / "in")
    found = convert(source, "oci", "--platform", "linux/amd64", "--platform", "linux/arm64")
    assert found == [("attestation", one["digest"], 1)]
    files = files_of(tmp_path / "out")
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["mediaType"] == INDEX
    written = json.loads(files["blobs/" + entry["digest"].replace(":", "/")])
    assert {key: written[key] for key in ("artifactType", "annotations", "subject")} == TYPED | {"subject": subject}


def test_an_index_that_is_re_created(convert, tmp_path):
    source, index, one, _ = indexed(tmp_path / "in")
    found = convert(source, "oci", "--recompress")
    assert [each for each in found if each[1] == f"index {index['digest']}"] == [
        (what, f"index {index['digest']}", 1) for what in ("annotations", "artifact-type", "subject")
    ]
    assert [each for each in found if each[1] == "index.json"] != []
    assert [each[0] for each in found if each[1] == one["digest"]] == ["attestation"]


def parents(folder):
    """Write a docker archive in which the second image has the first as `Parent`, of which its config says nothing."""
    folder.mkdir()
    layers = [tar_of("a"), tar_of("b")]
    items = []
    for count in (1, 2):
        diff_ids = [digest_of(each) for each in layers[:count]]
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        raw = json.dumps(config).encode()
        (folder / f"{count}.json").write_bytes(raw)
        items.append({"Config": f"{count}.json", "RepoTags": [f"a:{count}"], "Layers": ["0.tar", "1.tar"][:count]})
        if count == 1:
            parent = digest_of(raw)
    items[1]["Parent"] = parent
    for number, layer in enumerate(layers):
        (folder / f"{number}.tar").write_bytes(layer)
    (folder / "manifest.json").write_text(json.dumps(items))
    return folder, parent


@pytest.mark.parametrize("form", FORMATS)
def test_parent(convert, tmp_path, form):
    source, parent = parents(tmp_path / "in")
    found = convert(source, form)
    if form.startswith("docker-save"):
        assert found == []
        listed = json.loads(files_of(tmp_path / "out")["manifest.json"])
        assert [item.get("Parent") for item in listed] == [None, parent]
        assert len(docker_images(files_of(tmp_path / "out"))) == 2
    else:
        assert found == [("parent", "a:2", 1)]
    assert convert(source, form, "--image", "a:2") == [("parent", "a:2", 1)]


@pytest.mark.parametrize("form", FORMATS)
def test_a_compress_that_no_layer_went_through(convert, tmp_path, form):
    layout = Layout(tmp_path / "in")
    source = layout.write(named(layout.image("a", "b"), NAME))
    assert convert(source, form, "--compress", "docker") == [("compress", "--compress", 2)]
    if form in MANIFESTS:
        assert convert(source, form, "--compress", "docker", "--recompress") == []


def test_a_compress_that_some_layer_went_through(convert):
    assert convert(MATCH / "docker20-html.tar.gz", "oci", "--compress", "docker") == []
