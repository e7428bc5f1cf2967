"""Names: what index.json and manifest.json say, which of them counts, and that nothing else is written."""

from __future__ import annotations

import json

import pytest
from named_archives import Converter, Made, archive, case, index_of, names_in
from oracle.reading import check
from support import FORMATS

DIGEST = "sha256:186eb261a44f230eacec0d4ce114c37f1112fb080ecb6a2164f22de452038bc9"
LAYOUTS = ("docker-oci", "oci", "oci-archive")


@pytest.fixture(params=["file", pytest.param("pipe", marks=pytest.mark.slow)])
def convert(request, tmp_path, capsys):
    return Converter(tmp_path, capsys, request.param)


def printed_names(convert):
    """Return the names of the result lines."""
    return [image["names"] for image in json.loads(convert.out)["images"]]


def written_names(files):
    """Return every name that a result holds, as a result line shows it."""
    listed, tags = names_in(files)
    found = {name for names in tags.values() for name in names}
    for full, ref in listed:
        if full is not None:
            found.add(full.removeprefix("docker.io/").removeprefix("library/"))
        elif ref is not None:
            found.add(ref)
    return found


# -- one of the two lists names the image ------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_repo_tags_count_where_index_json_names_nothing(convert, form):
    files = convert.to(form, case("repotags-only-in-manifest-json"), "--json")
    assert convert.status == 0
    assert written_names(files) == {"new/name:2"}
    assert printed_names(convert) == [["new/name:2"]]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("plain", [False, True], ids=["docker-oci", "docker-save@25"])
def test_index_json_counts_where_there_are_no_repo_tags(convert, form, plain):
    image = Made("a", plain)
    raw = archive(image.files, [image.named("docker.io/library/x:1", "1")], [{**image.item(), "RepoTags": None}])
    files = convert.to(form, raw, "--json")
    assert written_names(files) == {"x:1"}
    assert printed_names(convert) == [["x:1"]]


# -- they differ ---------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_index_json_wins_in_docker_oci_and_both_are_named(convert, form):
    files = convert.to(form, case("repotags-differ-from-index"), "--json")
    assert convert.status == 0
    assert written_names(files) == {"old:1"}
    assert printed_names(convert) == [["old:1"]]
    (warning,) = [line for line in convert.err.splitlines() if "old:1" in line and "new/name:2" in line]
    assert "index.json counts" in warning


@pytest.mark.parametrize("form", FORMATS)
def test_manifest_json_wins_in_docker_save_25_and_both_are_named(convert, form):
    image = Made("a", plain=True)
    raw = archive(image.files, [image.named("docker.io/library/old:1", "1")], [image.item("new/name:2")])
    files = convert.to(form, raw, "--json")
    assert written_names(files) == {"new/name:2"}
    assert printed_names(convert) == [["new/name:2"]]
    (warning,) = [line for line in convert.err.splitlines() if "old:1" in line and "new/name:2" in line]
    assert "manifest.json counts" in warning


DIFFERENT = {
    "one name more in manifest.json": (["a:1"], ["a:1", "b:1"], {"a:1"}, {"a:1", "b:1"}),
    "one name more in index.json": (["a:1", "b:1"], ["a:1"], {"a:1", "b:1"}, {"a:1"}),
    "the same in another order": (["a:1", "b:1"], ["b:1", "a:1"], {"a:1", "b:1"}, {"a:1", "b:1"}),
    "the same spelled otherwise": (["a:1"], ["docker.io/library/a:1"], {"a:1"}, {"a:1"}),
}


@pytest.mark.parametrize("plain", [False, True], ids=["docker-oci", "docker-save@25"])
@pytest.mark.parametrize("kind", DIFFERENT)
def test_the_archives_own_reader_decides(convert, plain, kind):
    indexed, listed, by_index, by_manifest = DIFFERENT[kind]
    image = Made("a", plain)
    entries = [image.named(f"docker.io/library/{name}", name.partition(":")[2]) for name in indexed]
    files = convert.to("oci", archive(image.files, entries, [image.item(*listed)]))
    assert written_names(files) == (by_manifest if plain else by_index)
    assert ("counts, as" in convert.err) == (by_index != by_manifest)


@pytest.mark.parametrize("plain", [False, True], ids=["docker-oci", "docker-save@25"])
def test_two_images_whose_names_are_exchanged(convert, plain):
    a, b = Made("a", plain), Made("b", plain)
    entries = [a.named("docker.io/library/x:1", "1"), b.named("docker.io/library/x:2", "2")]
    raw = archive({**a.files, **b.files}, entries, [a.item("x:2"), b.item("x:1")])
    _, tags = names_in(convert.to("docker-save", raw))
    first, second = (["x:2"], ["x:1"]) if plain else (["x:1"], ["x:2"])
    assert tags == {a.image_id: first, b.image_id: second}
    assert convert.err.count("counts, as") == 2


@pytest.mark.parametrize("form", FORMATS)
def test_a_name_that_index_json_gives_to_another_image_is_not_given_twice(convert, form):
    """The second image is in manifest.json alone: containerd never sees it."""
    a, b = Made("a"), Made("b")
    raw = archive(
        {**a.files, **b.files}, [a.named("docker.io/library/x:1", "1")], [a.item("x:1"), b.item("x:1", "y:1")]
    )
    files = convert.to(form, raw)
    assert convert.status == 0
    assert b.image_id in convert.err
    listed, tags = names_in(files)
    if tags:
        assert tags == {a.image_id: ["x:1"], b.image_id: ["y:1"]}
    else:
        assert [full for full, _ in listed] == ["docker.io/library/x:1", "docker.io/library/y:1"]


def test_an_image_below_a_named_index_may_have_names_of_its_own(convert):
    """linux/amd64 stands for the index in manifest.json, linux/arm64 for itself: the lists agree."""
    a = Made("a")
    b = Made("b", platform={"architecture": "arm64", "os": "linux"})
    entry, files = index_of((a.manifest, a.platform), (b.manifest, b.platform))
    entry = {**entry, "annotations": a.named("docker.io/library/multi:1", "1")["annotations"]}
    entries = [entry, b.named("docker.io/library/arm:1", "1")]
    raw = archive({**a.files, **b.files, **files}, entries, [a.item("multi:1"), b.item("arm:1")])
    out = convert.to("docker-oci", raw)
    assert "counts" not in convert.err
    assert names_in(out)[1] == {a.image_id: ["multi:1"], b.image_id: ["arm:1"]}


def test_repo_tags_of_a_platform_name_its_unnamed_index(convert):
    a = Made("a")
    entry, files = index_of((a.manifest, a.platform))
    out = convert.to("oci", archive({**a.files, **files}, [entry], [a.item("x:1")]))
    assert names_in(out)[0] == [("docker.io/library/x:1", "1")]


@pytest.mark.parametrize(
    ("tags", "names"),
    [(["x:1"], [("docker.io/library/x:1", "1")]), (["x:2"], [(None, "1"), ("docker.io/library/x:2", "2")])],
    ids=["the same tag", "another tag"],
)
def test_a_bare_tag_in_index_json_is_no_full_name(convert, tags, names):
    image = Made("a")
    out = convert.to("docker-oci", archive(image.files, [image.named(None, "1")], [image.item(*tags)]))
    assert names_in(out)[0] == names
    assert "counts" not in convert.err


# -- once ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("plain", [None, False, True], ids=["docker-save", "docker-oci", "docker-save@25"])
def test_names_are_deduplicated(convert, form, plain):
    image = Made("a", bool(plain))
    tags = ["x:1", "docker.io/library/x:1", "x:1", "x", "x:latest"]
    entries = (
        None
        if plain is None
        else [image.named("docker.io/library/x:1", "1")] * 2 + [image.named("docker.io/library/x:latest", "latest")]
    )
    files = convert.to(form, archive(image.files, entries, [image.item(*tags), image.item("x:1")]), "--json")
    listed, repo_tags = names_in(files)
    assert printed_names(convert) == [["x:1", "x:latest"]]
    if listed:
        assert sorted(listed) == [("docker.io/library/x:1", "1"), ("docker.io/library/x:latest", "latest")]
    if repo_tags:
        assert repo_tags == {image.image_id: ["x:1", "x:latest"]}


# -- names that are dropped -----------------------------------------------------------


@pytest.mark.parametrize("bad", ["Upper:1", "example.com/Upper/x:1", "x:-1", "", "a b:1", "x@sha256:123"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("plain", [None, False, True], ids=["docker-save", "docker-oci", "docker-save@25"])
def test_an_invalid_repo_tag_is_reported_and_not_written(convert, form, plain, bad):
    image = Made("a", bool(plain))
    entries = None if plain is None else [image.manifest]
    files = convert.to(form, archive(image.files, entries, [image.item(bad, "good:1")]), "--json")
    assert convert.status == 0
    assert written_names(files) == {"good:1"}
    assert printed_names(convert) == [["good:1"]]
    assert f"RepoTag {bad!r}" in convert.err
    for name in ("index.json", "manifest.json", "repositories"):
        assert not bad or bad.encode() not in files.get(name, b"")


@pytest.mark.parametrize("form", FORMATS)
def test_an_invalid_image_name_in_index_json_is_reported(convert, form):
    image = Made("a")
    files = convert.to(form, archive(image.files, [image.named("docker.io/UPPER/x:1", "1")]), "--json")
    assert "'docker.io/UPPER/x:1'" in convert.err
    assert not any(b"UPPER" in data for data in files.values())
    assert written_names(files) == ({"1"} if form in LAYOUTS else set())


# -- names without a repository or a tag ------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_a_name_by_digest_is_kept_where_there_are_annotations(convert, form):
    files = convert.to(form, case("name-by-digest"), "--json")
    assert convert.status == 0
    listed, tags = names_in(files)
    if form in LAYOUTS:
        assert listed == [(f"docker.io/library/alpine@{DIGEST}", f"@{DIGEST}")]
        assert printed_names(convert) == [[f"alpine@{DIGEST}"]]
    else:
        assert printed_names(convert) == [[]]
        assert "dropped name" in convert.err
        assert listed in ([], [(None, None)])
    assert not any(tags.values())


@pytest.mark.parametrize("form", FORMATS)
def test_a_ref_name_that_is_a_tag_is_kept_where_there_are_annotations(convert, form):
    files = convert.to(form, case("name-tag-only"), "--json")
    listed, tags = names_in(files)
    if form in LAYOUTS:
        assert listed == [(None, "latest"), (None, "v2")]
        assert printed_names(convert) == [["latest"], ["v2"]]
    else:
        assert printed_names(convert) == [[], []]
        assert "name latest" in convert.err
    assert not any(tags.values())
    out = next(convert.folder.glob(f"out-{form}-*"))
    assert len(check(out, form)) == 2


def test_a_tag_beside_a_digest_stays_a_repo_tag(convert):
    image = Made("a")
    full = f"docker.io/library/x:1@{image.manifest['digest']}"
    files = convert.to("docker-oci", archive(image.files, [image.named(full, "1")]))
    listed, tags = names_in(files)
    assert listed == [(full, "1")]
    assert tags == {image.image_id: ["x:1"]}


def test_a_name_by_digest_without_ref_name_gets_the_full_name(convert):
    image = Made("a")
    full = f"docker.io/library/x@{image.manifest['digest']}"
    files = convert.to("docker-oci", archive(image.files, [image.named(full)]))
    assert names_in(files)[0] == [(full, full)]
