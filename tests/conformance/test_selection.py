"""Selection asks only for what is selected; a source without an image is refused.

docs/contract.md#selecting and #images-and-artifacts.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import pytest
from hostile.building import dump
from named_archives import Converter, Made, archive, blob, case, index_of, names_in
from oracle.reading import files_of
from support import FORMATS

LAYOUTS = ("docker-oci", "oci", "oci-archive")
AMD64 = {"architecture": "amd64", "os": "linux"}
ARM64 = {"architecture": "arm64", "os": "linux", "variant": "v8"}
RISCV = {"architecture": "riscv64", "os": "linux"}


@pytest.fixture(params=["file", pytest.param("pipe", marks=pytest.mark.slow)])
def convert(request, tmp_path, capsys):
    return Converter(tmp_path, capsys, request.param)


def image_ids(files):
    """Return the IDs of every image of a result, by reading it without imgconv."""
    if "index.json" not in files:
        return set(names_in(files)[1])
    found = set()
    waiting = json.loads(files["index.json"])["manifests"]
    while waiting:
        document = json.loads(files.get(blob(waiting.pop()["digest"]), b"{}"))
        waiting += document.get("manifests", [])
        if "config" in document:
            found.add(document["config"]["digest"])
    return found


# -- what is not selected may be damaged ------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "options", [("--image", "base:1"), ("--image", "53e4"), ()], ids=["name", "prefix", "spelling"]
)
def test_another_image_may_lack_a_layer(convert, form, options):
    spelling = {} if options else {"prefix": "docker-archive:", "suffix": ":base:1"}
    files = convert.to(form, case("other-image-lacks-layer"), *options, **spelling)
    assert convert.status == 0, convert.err
    assert {one[7:11] for one in image_ids(files)} == {"53e4"}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("options", [("--image", "app:1"), ("--image", "727e"), ("--platform", "linux/amd64"), ()])
def test_what_is_selected_must_be_complete(convert, form, options):
    files = convert.to(form, case("other-image-lacks-layer"), *options)
    assert (convert.status, files) == (3, None)
    assert "b855aa0e7d74" in convert.err


@pytest.mark.parametrize("form", FORMATS)
def test_another_platform_may_lack_a_blob(convert, form):
    raw = case("other-platform-lacks-blob")
    inspected = platforms_of(raw)
    sound, broken = inspected
    files = convert.to(form, raw, "--platform", sound)
    assert convert.status == 0, convert.err
    assert len(image_ids(files)) == 1
    assert convert.to(form, raw, "--platform", broken) is None
    assert convert.status == 3
    assert convert.to(form, raw) is None
    assert convert.status == 3


def platforms_of(raw):
    """Return the platforms of the first index, the one whose image is complete first."""
    with tarfile.open(fileobj=io.BytesIO(raw)) as opened:
        files = {one.name: opened.extractfile(one).read() for one in opened if one.isfile()}
    top = json.loads(files["index.json"])["manifests"][0]
    complete, others = [], []
    for child in json.loads(files[blob(top["digest"])])["manifests"]:
        manifest = json.loads(files[blob(child["digest"])])
        parts = [manifest["config"], *manifest["layers"]]
        whole = all(blob(part["digest"]) in files for part in parts)
        (complete if whole else others).append(f"linux/{child['platform']['architecture']}")
    return [*complete, *others]


#: What is done to the files of the other image, and the member that is then named.
DAMAGE = {
    "its layer is absent": lambda other, files: files.pop(blob(other.layer["digest"])),
    "its config is absent": lambda other, files: files.pop(blob(other.config["digest"])),
    "its manifest is absent": lambda other, files: files.pop(blob(other.manifest["digest"])),
    "its layer is short": lambda other, files: files.update({blob(other.layer["digest"]): b"short"}),
    "its layer is other bytes": lambda other, files: files.update(
        {blob(other.layer["digest"]): bytes(other.layer["size"])}
    ),
    "its config is not JSON": lambda other, files: files.update(
        {blob(other.config["digest"]): b"{" * other.config["size"]}
    ),
    "its manifest is not JSON": lambda other, files: files.update(
        {blob(other.manifest["digest"]): b"{" * other.manifest["size"]}
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", ["docker-save", "docker-oci", "docker-save@25", "oci", "index", "index and list"])
def test_each_fault_of_another_image_counts_only_if_it_is_selected(convert, kind, damage):
    plain = kind in {"docker-save", "docker-save@25"}
    good, other = Made("good", plain, AMD64), Made("other", plain, ARM64)
    files = {**good.files, **other.files}
    DAMAGE[damage](other, files)
    entries = [good.named("docker.io/library/good:1", "1"), other.named("docker.io/library/other:1", "1")]
    items = [good.item("good:1"), other.item("other:1")]
    select, reject = [("--image", "good:1"), ("--image", "other:1")]
    if kind.startswith("index"):
        entry, more = index_of((good.manifest, AMD64), (other.manifest, ARM64))
        files.update(more)
        entries = [{**entry, "annotations": good.named("docker.io/library/multi:1", "1")["annotations"]}]
        items = [good.item("multi:1"), other.item("multi:2")]
        select, reject = [("--platform", "linux/amd64"), ("--platform", "linux/arm64")]
    raw = archive(files, entries if kind != "docker-save" else None, items if kind not in {"oci", "index"} else None)
    if kind == "docker-save" and "manifest" in damage:
        pytest.skip("there are no manifests in it")
    if kind == "index and list":
        # The image that manifest.json names beside the index's may not go unnoticed.
        select = ("--image", "multi:1", *select)
    for form in ("docker-save", "oci", "docker-oci"):
        files = convert.to(form, raw, *select)
        assert convert.status == 0, convert.err
        assert image_ids(files) == {good.image_id}
        assert convert.to(form, raw, *reject) is None
        # An index may name absent manifests: that is not a fault, but nothing can be selected.
        assert convert.status == (2 if damage == "its manifest is absent" and kind.startswith("index") else 3)
    assert convert(raw, *select[-1:], before=("id",)) == 0 or kind.startswith("index")
    assert convert(raw, *select, before=("inspect",)) == 0, convert.err
    assert convert(raw, *select, "--as", "docker", before=("digest",)) == 0, convert.err


@pytest.mark.parametrize("kind", ["docker-save", "oci"])
def test_a_broken_list_of_images_is_broken_for_every_selection(convert, kind):
    good = Made("good")
    if kind == "oci":
        raw = archive(good.files, [good.named("docker.io/library/good:1", "1"), {"mediaType": "x"}])
    else:
        raw = archive(good.files, None, [good.item("good:1"), {"RepoTags": ["x:1"]}])
    assert convert.to("oci", raw, "--image", "good:1") is None
    assert convert.status == 3


def test_an_unknown_name_is_unknown_although_another_image_is_damaged(convert):
    raw = case("other-image-lacks-layer")
    assert convert(raw, "--image", "nosuch:1", "--to", "oci", convert.folder / "out") == 2
    assert "no image 'nosuch:1'" in convert.err


# -- platforms ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_a_platform_that_is_absent_is_named_with_its_image(convert, form):
    raw = case("index-one-platform-present")
    assert convert.to(form, raw, "--platform", "linux/amd64", "--platform", "linux/arm64") is None
    assert convert.status == 2
    assert "multi:v1 names linux/arm64" in convert.err
    assert "amd64, " not in convert.err


def test_every_missing_pair_of_image_and_platform_is_named(convert):
    one, two, three = Made("1", platform=AMD64), Made("2", platform=ARM64), Made("3", platform=AMD64)
    entry, more = index_of((one.manifest, AMD64), (two.manifest, ARM64))
    entries = [
        {**entry, "annotations": one.named("docker.io/library/both:1", "1")["annotations"]},
        three.named("docker.io/library/amd:1", "1"),
    ]
    raw = archive({**one.files, **two.files, **three.files, **more}, entries)
    options = [part for name in ("linux/amd64", "linux/arm64", "linux/riscv64") for part in ("--platform", name)]
    assert convert.to("oci", raw, *options) is None
    assert convert.status == 2
    for pair in ("both:1 linux/riscv64", "amd:1 linux/arm64", "amd:1 linux/riscv64"):
        assert pair.replace(" ", " has no image for ") in convert.err
    assert "both:1 has no image for linux/arm64" not in convert.err
    assert convert.to("oci", raw, "--platform", "linux/amd64") is not None
    assert image_ids(convert.to("oci", raw, "--platform", "linux/arm64", "--image", "both:1")) == {two.image_id}


def test_a_layout_that_lists_platforms_without_an_index_is_one_image(convert):
    """go-containerregistry's layout.Write puts the children of an index into index.json."""
    one, two = Made("1", platform=AMD64), Made("2", platform=ARM64)
    listed = [{**one.manifest, "platform": AMD64}, {**two.manifest, "platform": ARM64}]
    raw = archive({**one.files, **two.files}, listed)
    files = convert.to("docker-save", raw, "--platform", "linux/arm64")
    assert convert.status == 0, convert.err
    assert image_ids(files) == {two.image_id}
    assert convert.to("oci", raw, "--platform", "linux/riscv64") is None
    assert convert.err.count("has no image for") == 1


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        ("linux/arm/7", {"architecture": "arm", "os": "linux", "variant": "v7"}),
        ("linux/arm", {"architecture": "arm", "os": "linux", "variant": "7"}),
        ("linux/arm/v6", {"architecture": "arm", "os": "linux", "variant": "6"}),
        ("linux/arm/v8", {"architecture": "arm", "os": "linux", "variant": "8"}),
        ("linux/armel", {"architecture": "arm", "os": "linux", "variant": "v6"}),
        ("linux/arm64/v9.0", {"architecture": "arm64", "os": "linux", "variant": "v9"}),
        ("linux/arm64/v9", {"architecture": "arm64", "os": "linux", "variant": "9.0"}),
        ("linux/arm64", {"architecture": "arm64", "os": "linux", "variant": "v8.0"}),
        ("linux/aarch64/8", {"architecture": "arm64", "os": "linux"}),
        ("macos/amd64", {"architecture": "amd64", "os": "darwin"}),
        ("darwin/arm64", {"architecture": "aarch64", "os": "macOS"}),
        ("linux/i386", {"architecture": "386", "os": "linux"}),
        ("linux/x86_64/v1", {"architecture": "amd64", "os": "linux"}),
        ("LINUX/AMD64/V2", {"architecture": "x86-64", "os": "linux", "variant": "v2"}),
    ],
)
def test_platforms_are_normalised_as_containerd_does(convert, asked, listed):
    wanted, other = Made("1", platform=listed), Made("2", platform=RISCV)
    entry, more = index_of((wanted.manifest, listed), (other.manifest, RISCV))
    files = convert.to("oci", archive({**wanted.files, **other.files, **more}, [entry]), "--platform", asked)
    assert convert.status == 0, convert.err
    assert image_ids(files) == {wanted.image_id}


@pytest.mark.parametrize(("asked", "listed"), [("linux/arm/v6", "7"), ("linux/arm64", "v9.0"), ("linux/amd64", "v2")])
def test_other_variants_stay_other(convert, asked, listed):
    platform = {"architecture": asked.split("/")[1], "os": "linux", "variant": listed}
    made = Made("1", platform=platform)
    entry, more = index_of((made.manifest, platform))
    assert convert.to("oci", archive({**made.files, **more}, [entry]), "--platform", asked) is None
    assert convert.status == 2


def test_an_index_with_absent_children_gets_a_warning_in_docker_oci(convert):
    raw = case("index-one-platform-present")
    assert convert.to("docker-oci", raw) is not None
    assert convert.status == 0
    (warning,) = [line for line in convert.err.splitlines() if "linux/arm64" in line]
    assert "multi:v1" in warning
    assert "--platform" in warning
    assert convert.to("docker-oci", raw, "--platform", "linux/amd64") is not None
    assert "linux/arm64" not in convert.err


# -- no image -------------------------------------------------------------------------------


EMPTY = {
    "an index of which no platform is present": lambda: case("index-no-platform-present"),
    "manifest.json is an empty list": lambda: archive({}, None, []),
    "manifest.json is null": lambda: archive({"manifest.json": b"null"}),
    "index.json is empty": lambda: archive({}, []),
    "index.json has null for its list": lambda: archive(
        {"oci-layout": dump({"imageLayoutVersion": "1.0.0"}), "index.json": b'{"schemaVersion":2,"manifests":null}'}
    ),
    "both are empty": lambda: archive({}, [], []),
    "every entry is absent": lambda: archive({}, [{**Made("x").manifest, "platform": AMD64}]),
    "an index inside is empty": lambda: archive(index_of()[1], [index_of()[0]]),
    "repositories is empty": lambda: archive({"repositories": b"{}"}),
}


@pytest.mark.parametrize("empty", EMPTY)
@pytest.mark.parametrize("form", FORMATS)
def test_a_source_without_an_image_is_3_for_every_target(convert, form, empty):
    assert convert.to(form, EMPTY[empty]()) is None
    assert (convert.status, convert.out) == (3, "")
    assert "the source holds no image" in convert.err
    assert convert.err.count("\n") == 1


@pytest.mark.parametrize("empty", EMPTY)
@pytest.mark.parametrize(
    "command", [("id",), ("inspect",), ("inspect", "--json"), ("digest",), ("digest", "--as", "crane"), ("validate",)]
)
def test_a_source_without_an_image_is_3_in_every_command(convert, command, empty):
    raw = EMPTY[empty]()
    assert convert(raw, before=command) == 3, convert.err
    if command[0] == "validate":
        assert "no-images" in convert.out
    else:
        assert convert.err.count("the source holds no image") == 1 or "index.json" in convert.err


@pytest.mark.parametrize("empty", EMPTY)
def test_diff_match_and_add_repositories_say_so_too(convert, empty):
    raw, good = EMPTY[empty](), Made("x")
    path = convert.folder / "good.tar"
    path.write_bytes(archive(good.files, None, [good.item("x:1")]))
    assert convert(raw, path, before=("diff",)) == 3
    manifest = convert.folder / "manifest.json"
    manifest.write_bytes(good.files[blob(good.manifest["digest"])])
    assert convert(raw, manifest, before=("match",)) == 3
    if "manifest.json" in empty:
        assert convert(raw, convert.folder / "out.tar", before=("--add-repositories",)) == 3


@pytest.mark.parametrize("form", FORMATS)
def test_artifacts_alone_stay_2_where_a_target_holds_images(convert, form):
    artifact = Made("x")
    document = {
        "schemaVersion": 2,
        "artifactType": "application/vnd.example",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", **artifact.put(b"{}")},
        "layers": [],
    }
    entry = {"mediaType": artifact.manifest["mediaType"], **artifact.put(dump(document))}
    files = convert.to(form, archive(artifact.files, [entry]))
    assert convert.status == (0 if form in {"oci", "oci-archive"} else 2)
    assert (files is None) == (convert.status == 2)


def test_an_empty_layout_can_still_be_appended_to(tmp_path, capsys):
    convert = Converter(tmp_path, capsys, "file")
    out = tmp_path / "layout"
    (out / "blobs" / "sha256").mkdir(parents=True)
    (out / "oci-layout").write_bytes(dump({"imageLayoutVersion": "1.0.0"}))
    (out / "index.json").write_bytes(dump({"schemaVersion": 2, "manifests": []}))
    image = Made("x")
    assert convert(archive(image.files, None, [image.item("x:1")]), "--to", "oci", "--append", out) == 0
    assert len(image_ids(files_of(out))) == 1


# -- spellings ------------------------------------------------------------------------------


def forms_of_archives():
    plain, stored = Made("x", plain=True), Made("x")
    for name, image in (("docker-save", plain), ("docker-save@25", plain), ("docker-oci", stored), ("oci", stored)):
        entries = [image.named("docker.io/library/app:v1", "v1")] if name != "docker-save" else None
        items = [image.item("app:v1")] if name != "oci" else None
        yield name, image, entries, items


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive", "oci"])
@pytest.mark.parametrize("form", ["docker-save", "docker-save@25", "docker-oci", "oci"])
@pytest.mark.parametrize("reference", ["app:v1", "docker.io/library/app:v1", "v1", "@0"])
def test_skopeos_spellings_find_the_image_in_every_form(convert, transport, form, reference):
    if form == "docker-save" and reference == "v1":
        pytest.skip("there is no ref.name in it")
    (found,) = [one for one in forms_of_archives() if one[0] == form]
    _, image, entries, items = found
    other = Made("other", image.plain)
    raw = archive(
        {**image.files, **other.files},
        [*entries, other.named("docker.io/library/other:v2", "v2")] if entries else None,
        [*items, other.item("other:v2")] if items else None,
    )
    files = convert.to("docker-save", raw, prefix=f"{transport}:", suffix=f":{reference}")
    assert convert.status == 0, convert.err
    assert image_ids(files) == {image.image_id}
    assert convert(raw, before=("id",), prefix=f"{transport}:", suffix=f":{reference}") == 0
    assert convert.out == f"{image.image_id}\n"
    assert convert(raw, before=("inspect",), prefix=f"{transport}:", suffix=":@1") == 0
    assert "other:v2" in convert.out
    assert convert(raw, before=("inspect",), prefix=f"{transport}:", suffix=":@2") == 2


def test_numbers_follow_the_list_that_the_transport_reads(convert):
    one, two = Made("1"), Made("2")
    names = (one, "a:1"), (one, "a:2"), (two, "b:3")
    entries = [image.named(f"docker.io/library/{name}", name[2:]) for image, name in names]
    raw = archive({**one.files, **two.files}, entries, [two.item("b:3"), one.item("a:1", "a:2")])
    picked = {}
    for transport in ("docker-archive", "oci-archive"):
        for number in range(4):
            done = convert(raw, before=("id",), prefix=f"{transport}:", suffix=f":@{number}")
            picked[transport, number] = convert.out.strip() if done == 0 else done
    assert [picked["docker-archive", number] for number in range(4)] == [two.image_id, one.image_id, 2, 2]
    assert [picked["oci-archive", number] for number in range(4)] == [one.image_id, one.image_id, two.image_id, 2]


# -- schemaVersion ----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["index.json", "manifest", "index"])
@pytest.mark.parametrize("version", [0, None])
def test_schema_version_0_reads_like_a_missing_one(convert, where, version):
    image = Made("x")
    document = json.loads(image.files.pop(blob(image.manifest["digest"])))
    nested = {"schemaVersion": 2}
    if where == "manifest":
        document["schemaVersion"] = version
    image.manifest.update(image.put(dump(document)))
    if where == "index":
        nested["schemaVersion"] = version
    entry, more = index_of((image.manifest, AMD64), **nested)
    files = {**image.files, **more, "oci-layout": dump({"imageLayoutVersion": "1.0.0"})}
    files["index.json"] = dump({"schemaVersion": version if where == "index.json" else 2, "manifests": [entry]})
    raw = archive(files)
    assert convert.to("oci", raw) is not None
    assert convert.status == 0, convert.err
    assert "schemaVersion" in convert.err
    assert convert(raw, before=("validate",)) == 1
    assert "schemaVersion" in convert.out


def test_another_schema_version_is_refused(convert):
    image = Made("x")
    files = {**image.files, "oci-layout": dump({"imageLayoutVersion": "1.0.0"})}
    files["index.json"] = dump({"schemaVersion": 3, "manifests": [image.manifest]})
    assert convert.to("oci", archive(files)) is None
    assert convert.status == 3


def test_a_damaged_stream_of_another_image_does_not_matter(convert):
    """A pipe's layers are worked on while they come."""
    good, other = Made("good", plain=True), Made("other", plain=True)
    name = blob(other.layer["digest"])
    other.files[name] = gzip.compress(other.files[name], mtime=0)[:-9]
    raw = archive({**other.files, **good.files}, None, [other.item("other:1"), good.item("good:1")])
    for form in FORMATS:
        assert convert.to(form, raw, "--image", "good:1") is not None, convert.err
        assert convert.to(form, raw, "--image", "other:1") is None
        assert convert.status == 3
