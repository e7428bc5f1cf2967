"""DEST as a template: one result for each image."""

from __future__ import annotations

import errno
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import REF_NAME, Layout, named
from named_archives import Made, archive
from oracle.reading import files_of

from convert.archive import folders, temporary
from convert.commands import convert_split, verify_output
from convert.errors import StorageError, UsageError
from convert.model.image_set import Name
from convert.model.platform import Platform
from convert.model.reference import Reference
from convert.plan.template import FIELDS, Template, is_template, values_of
from convert.writer.dest import layout_modes

AMD64, ARM64 = {"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux"}


@pytest.fixture
def source(tmp_path):
    """Write a docker archive of (image, tags)."""

    def write(*pairs):
        files = {name: data for image, _ in pairs for name, data in image.files.items()}
        path = tmp_path / "in.tar"
        path.write_bytes(archive(files, items=[image.item(*tags) for image, tags in pairs]))
        return path

    return write


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def listed(out):
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


def test_ten_images_become_ten_archives(imgconv, source, out):
    images = [Made(f"i{number}") for number in range(10)]
    path = source(*((image, [f"team/app{n}:1.{n}"]) for n, image in enumerate(images)))
    done = imgconv(path, "--to", "docker-save", f"{out}/{{name}}_{{tag}}.tar", "--json")
    assert done.status == 0, done.err
    assert listed(out) == [f"team_app{n}_1.{n}.tar" for n in range(10)]
    for number, image in enumerate(images):
        (item,) = json.loads(files_of(out / f"team_app{number}_1.{number}.tar")["manifest.json"])
        assert item["RepoTags"] == [f"team/app{number}:1.{number}"]
        assert image.image_id[7:] in item["Config"]
    assert [result["path"] for result in done.json["results"]] == [f"{out}/team_app{n}_1.{n}.tar" for n in range(10)]
    assert done.json["images"] == [image for result in done.json["results"] for image in result["images"]]


def test_an_image_keeps_all_its_names(imgconv, source, out):
    path = source((Made("a"), ["app:1", "app:2"]), (Made("b"), ["b:1"]))
    assert imgconv(path, "--to", "docker-save", f"{out}/{{name}}.tar").status == 0
    assert listed(out) == ["library_app.tar", "library_b.tar"]
    (item,) = json.loads(files_of(out / "library_app.tar")["manifest.json"])
    assert item["RepoTags"] == ["app:1", "app:2"]


def test_fields_may_name_folders(imgconv, source, out):
    path = source((Made("a"), ["localhost:5000/x/y:1"]), (Made("b"), ["b:1"]))
    assert imgconv(path, "--to", "oci", f"{out}/{{domain}}/{{name}}_{{{{x}}}}").status == 0
    assert (out / "localhost_5000" / "x_y_{x}" / "index.json").exists()
    assert (out / "docker.io" / "library_b_{x}" / "index.json").exists()


def test_untagged_images_are_named_by_their_digest(imgconv, source, out):
    one, two = Made("a"), Made("b")
    path = source((one, []), (two, []))
    assert imgconv(path, "--to", "docker-save", f"{out}/{{name}}_{{tag}}.tar").status == 0
    assert listed(out) == sorted(f"untagged-{image.image_id[7:19]}.tar" for image in (one, two))


@pytest.mark.parametrize("to", ["docker-save", "oci-archive"])
def test_platforms_of_an_index_can_be_results(imgconv, tmp_path, out, to):
    layout = Layout(tmp_path / "layout")
    children = [
        layout.image("a", described={"platform": AMD64}),
        layout.image("b", described={"platform": {"architecture": "arm", "os": "linux", "variant": "v6"}}),
    ]
    path = layout.write(named(layout.index(*children), "docker.io/library/app:1"))
    assert imgconv(path, "--to", to, f"{out}/{{os}}-{{arch}}.tar").status == 0
    assert listed(out) == ["linux-amd64.tar", "linux-arm_v6.tar"]


def test_an_index_is_one_result_without_a_field_of_platforms(imgconv, tmp_path, out):
    layout = Layout(tmp_path / "layout")
    children = [layout.image(each, described={"platform": p}) for each, p in (("a", AMD64), ("b", ARM64))]
    index = layout.index(*children)
    path = layout.write(named(index, "docker.io/library/app:1"))
    assert imgconv(path, "--to", "oci-archive", f"{out}/{{digest12}}.tar").status == 0
    assert listed(out) == [f"{index['digest'][7:19]}.tar"]
    assert imgconv(path, "--to", "docker-save", f"{out}/{{name}}.tar").status == 2


@pytest.mark.parametrize(
    ("one", "two", "template"),
    [
        ("app:1", "app:2", "{name}.tar"),
        ("x/app:A", "x/app:a", "{name}_{tag}.tar"),
        ("x.io/a/b:1", "x.io/a_b:1", "{name}"),
    ],
)
def test_results_may_not_collide(imgconv, source, out, one, two, template):
    path = source((Made("a"), [one]), (Made("b"), [two]))
    assert imgconv(path, "--to", "docker-save", f"{out}/{template}").status == 2
    assert listed(out) == []


def test_existing_results_are_found_before_anything_is_written(imgconv, source, out):
    path = source((Made("a"), ["a:1"]), (Made("b"), ["b:1"]))
    (out / "library_b.tar").write_text("mine")
    assert imgconv(path, "--to", "docker-save", f"{out}/{{name}}.tar").status == 2
    assert listed(out) == ["library_b.tar"]
    assert imgconv(path, "--to", "docker-save", f"{out}/{{name}}.tar", "--force").status == 0
    assert listed(out) == ["library_a.tar", "library_b.tar"]


def test_damage_leaves_nothing_behind(imgconv, source, out):
    path = source((Made("a", plain=True), ["a:1"]), (Made("bb", plain=True), ["b:1"]))
    path.write_bytes(path.read_bytes().replace(b"bb", b"xx", 1))
    assert imgconv(path, "--to", "docker-save", f"{out}/{{tag}}/{{name}}.tar").status == 3
    assert list(out.iterdir()) == []


@pytest.fixture
def failing_second(monkeypatch):
    """Let the second rename or exchange of a run fail."""

    def fail(name):
        original, calls = getattr(folders, name), []

        def call(*arguments):
            calls.append(arguments)
            if len(calls) == 2:
                raise OSError(errno.EIO, "input/output error")
            return original(*arguments)

        monkeypatch.setattr(folders, name, call)

    return fail


@pytest.mark.parametrize("to", ["docker-save", "oci"])
def test_new_results_go_again_if_a_later_one_fails(imgconv, source, out, failing_second, to):
    path = source((Made("a"), ["a:1"]), (Made("b"), ["b:1"]))
    failing_second("rename_new")
    assert imgconv(path, "--to", to, f"{out}/{{tag}}/{{name}}").status == 4
    assert list(out.iterdir()) == []


def test_a_filled_folder_is_emptied_again_if_a_later_result_fails(imgconv, source, out, monkeypatch):
    def fail(*_):
        assert (out / "library_a" / "index.json").exists()
        raise OSError(errno.EIO, "input/output error")

    path = source((Made("a"), ["a:1"]), (Made("b"), ["b:1"]))
    (out / "library_a").mkdir()
    monkeypatch.setattr(layout_modes.NewFolder, "install", fail)  # that of library_b
    assert imgconv(path, "--to", "oci", f"{out}/{{name}}").status == 4
    assert list(out.rglob("*")) == [out / "library_a"]


def test_results_that_were_replaced_are_named_if_a_later_one_fails(imgconv, source, out, failing_second):
    path = source((Made("a"), ["a:1"]), (Made("b"), ["b:1"]))
    for name in "ab":
        (out / f"library_{name}.tar").write_text("old")
    failing_second("exchange")
    done = imgconv(path, "--to", "docker-save", f"{out}/{{name}}.tar", "--force")
    assert done.status == 4
    assert str(out / "library_a.tar") in done.err
    assert (out / "library_b.tar").read_text() == "old"
    assert listed(out) == ["library_a.tar", "library_b.tar"]


def test_no_result_appears_before_all_are_verified(imgconv, source, out, monkeypatch):
    path = source((Made("a"), ["a:1"]), (Made("b"), ["b:1"]))
    original = verify_output.verify_archive

    def verify(fd, where, *arguments, **options):
        if where.endswith("b.tar"):
            raise StorageError("it differs", code="output-mismatch")
        original(fd, where, *arguments, **options)

    monkeypatch.setattr(verify_output, "verify_archive", verify)
    (out / "library_a.tar").write_text("old")
    done = imgconv(path, "--to", "docker-save", f"{out}/{{name}}.tar", "--force", "--verify-output")
    assert done.status == 4
    assert listed(out) == ["library_a.tar"]
    assert (out / "library_a.tar").read_text() == "old"


def test_a_missing_folder_is_not_created(imgconv, source, tmp_path):
    path = source((Made("a"), ["a:1"]))
    assert imgconv(path, "--to", "docker-save", f"{tmp_path}/missing/{{name}}.tar").status == 4
    assert not (tmp_path / "missing").exists()


def test_ref_names_cannot_leave_the_folder(imgconv, tmp_path, out):
    layout = Layout(tmp_path / "layout")
    images = [layout.image(each) for each in "abc"]
    texts = ["../../escape", "..", "-rf"]
    path = layout.write(*(image | {"annotations": {REF_NAME: text}} for image, text in zip(images, texts, strict=True)))
    assert imgconv(path, "--to", "oci-archive", f"{out}/{{name}}_{{tag}}.tar").status == 0
    assert all(re.fullmatch(r"untagged-[0-9a-f]{12}\.tar", name) for name in listed(out))
    assert len(listed(out)) == 3


def test_platforms_cannot_leave_the_folder(imgconv, source, out):
    path = source((Made("a", platform={"os": "../..", "architecture": "."}), ["a:1"]))
    assert imgconv(path, "--to", "docker-save", f"{out}/{{os}}/{{arch}}").status == 0
    assert listed(out) == ["___../_"]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("{name}_{x}.tar", 2),
        ("{name}.tar}", 2),
        ("{name.tar", 0),
        ("{name}{.tar", 2),
        ("{{name}}.tar", 0),
        ("{}.tar", 0),
    ],
)
def test_only_fields_make_a_template(imgconv, source, out, text, status):
    path = source((Made("a"), ["a:1"]))
    assert imgconv(path, "--to", "docker-save", f"{out}/{text}").status == status
    assert listed(out) == ([text] if status == 0 else [])


def test_join_makes_one_result(imgconv, source, out):
    assert imgconv(source((Made("a"), ["a:1"])), "--join", "b:1", "--to", "oci-archive", f"{out}/{{name}}").status == 2


def test_signatures_are_dropped_with_a_line_where_only_images_fit(imgconv, tmp_path, out):
    layout = Layout(tmp_path / "layout")
    signature = layout.document(
        {"schemaVersion": 2, "config": layout.blob(b"{}", "application/x"), "layers": []},
        "application/vnd.oci.image.manifest.v1+json",
    )
    path = layout.write(named(layout.image("a"), "docker.io/library/a:1"), named(signature, "docker.io/library/s:1"))
    done = imgconv(path, "--to", "docker-save", f"{out}/{{name}}.tar", "--json")
    assert done.status == 0, done.err
    assert listed(out) == ["library_a.tar"]
    assert [(line["what"], line["of"]) for line in done.json["dropped"]] == [("artifact", "s:1")]


_TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
_PART = st.sampled_from([f"{{{field}}}" for field in FIELDS]) | st.sampled_from(["a", ".", "-", "_", "/", "{{", "}}"])


@given(st.lists(_PART, min_size=1, max_size=6).map("".join), _TEXT, _TEXT, _TEXT)
def test_no_value_leaves_its_component(text, os, architecture, ref_name):
    """Whatever an archive says, the path has as many components, and none with a field is special."""
    if not is_template(text):
        return
    template = Template.parse(text)
    values, untagged = values_of(Name(None, ref_name), "0" * 64, Platform(os, architecture))
    path = template.path(values, untagged)
    parts = path.split("/")
    assert len(parts) == len(text.split("/"))
    for part, component in zip(parts, template.components, strict=True):
        if len(component) > 1:
            assert re.fullmatch(r"[A-Za-z0-9_{}][A-Za-z0-9_.{}-]*", part)


def test_a_result_that_is_too_long_is_refused():
    name = Name(Reference("docker.io", "/".join(["a" * 60] * 4), "t" * 120))
    values, untagged = values_of(name, "0" * 64, None)
    with pytest.raises(UsageError):
        Template.parse("{name}_{tag}.tar").path(values, untagged)


def test_a_folder_is_cleaned_once_for_all_results(imgconv, source, out, monkeypatch):
    """Each result once looked at the temporary files of all others: 2,000 took 28 seconds."""
    stale = out / temporary.temporary_name()
    stale.touch()
    looked = []
    find = temporary.stale
    monkeypatch.setattr(temporary, "stale", lambda folder: (looked.append(folder), find(folder))[1])
    path = source(*((Made(f"i{number}"), [f"app:{number}"]) for number in range(20)))
    assert imgconv(path, "--to", "docker-save", f"{out}/{{tag}}.tar").status == 0
    assert len(looked) == 1
    assert not stale.exists()
    # A folder of the next run is looked at again.
    stale.touch()
    assert imgconv(path, "--to", "docker-save", f"{out}/x{{tag}}.tar").status == 0
    assert not stale.exists()


def test_more_results_than_one_run_writes_are_refused(imgconv, source, out, monkeypatch):
    monkeypatch.setattr(convert_split, "MAX_RESULTS", 2)
    path = source(*((Made(f"i{number}"), [f"app:{number}"]) for number in range(3)))
    done = imgconv(path, "--to", "docker-save", f"{out}/{{tag}}.tar")
    assert done.status == 2
    assert "3 results" in done.err
    assert not listed(out)
    assert imgconv(path, "--to", "docker-save", f"{out}/{{tag}}.tar", "--image", "app:1").status == 0
