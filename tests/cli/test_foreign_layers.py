"""Non-distributable layers: absent or present, to every target, from a folder and from a pipe."""

from __future__ import annotations

import json

import pytest
from layouts import FOREIGN, GZIP, Layout, digest_of, named, packed, piped, tar_of
from oracle.reading import check, files_of
from support import FORMATS, run

import convert
from convert.errors import NotRepresentableError

URL = "https://example.com/layer"
BASE, TOP = tar_of("base"), tar_of("top")
DIFF_IDS = [digest_of(BASE), digest_of(TOP)]
#: Targets that hold a layer's descriptor without its bytes.
DESCRIBING = ["docker-oci", "oci", "oci-archive"]
KEEPING = [form for form in FORMATS if form not in DESCRIBING]


def foreign(folder, *, present, kind="docker", urls=(URL,), media_type=None):
    """Write a layout whose base layer is not distributable."""
    layout = Layout(folder)
    more = {"urls": list(urls)} if urls else {}
    base = layout.blob(packed(BASE), media_type or FOREIGN[kind], present=present, **more)
    manifest = layout.manifest([base, layout.blob(packed(TOP), GZIP)], DIFF_IDS)
    return layout.write(named(manifest, "example.com/win:1809")), base


@pytest.mark.parametrize("form", KEEPING)
@pytest.mark.parametrize("kind", FOREIGN)
def test_an_absent_layer_is_2_for_a_target_that_holds_its_bytes(imgconv, tmp_path, form, kind):
    source, _ = foreign(tmp_path / "in", present=False, kind=kind)
    done = imgconv(source, "--to", form, tmp_path / "out")
    assert (done.status, done.out) == (2, "")
    assert DIFF_IDS[0] in done.err
    assert URL in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("form", "status"), [("crane", 2), ("docker-save", 2), ("docker-oci", 0)])
def test_a_pipe_is_read_like_a_folder(tmp_path, form, status):
    source, _ = foreign(tmp_path / "in", present=False)
    done = run("-", "--to", form, tmp_path / "out", input=piped(source))
    assert done.returncode == status
    assert (DIFF_IDS[0].encode() in done.stderr) is (status == 2)


@pytest.mark.parametrize("option", [(), ("--verify", "full"), ("--verify-output",)], ids=" ".join)
@pytest.mark.parametrize("present", [False, True], ids=["absent", "present"])
@pytest.mark.parametrize("form", DESCRIBING)
def test_what_is_written_reads_back_and_is_sound(imgconv, tmp_path, form, present, option):
    """Also through a second conversion, with and without urls, and where `manifest.json` names the layer."""
    for urls in ((URL,), ()):
        source, base = foreign(tmp_path / f"in-{len(urls)}", present=present, kind="oci", urls=urls)
        out = tmp_path / f"out-{len(urls)}"
        done = imgconv(source, "--to", form, out, *option)
        assert done.status == 0, done.err
        (image,) = check(out, form)
        assert image.diff_ids == DIFF_IDS
        held = f"blobs/{base['digest'].replace(':', '/')}" in files_of(out)
        assert held is (present and form != "docker-oci")
        for command in ("id", "validate", "inspect"):
            done = imgconv(command, out)
            assert done.status == 0, (command, done.out, done.err)
        again = tmp_path / f"again-{len(urls)}"
        assert imgconv(out, "--to", "docker-oci", again).status == 0
        assert [each.manifest for each in check(again, "docker-oci")] == [image.manifest]


def test_a_layer_without_the_type_or_urls_may_not_be_absent(imgconv, tmp_path):
    source, _ = foreign(tmp_path / "in", present=False, urls=(), media_type=GZIP)
    assert imgconv(source, "--to", "oci", tmp_path / "out").status == 3
    assert imgconv("validate", source).status == 1


def test_a_blob_that_another_image_calls_distributable_stays(imgconv, tmp_path):
    """The exporter of containerd decides by descriptor."""
    layout = Layout(tmp_path / "in")
    shared = packed(BASE)
    one = layout.manifest([layout.blob(shared, FOREIGN["oci"], urls=[URL])], DIFF_IDS[:1])
    two = layout.manifest([layout.blob(shared, GZIP)], DIFF_IDS[:1], annotations={"a": "b"})
    source = layout.write(named(one, "example.com/a:1"), named(two, "example.com/b:1"))
    done = imgconv(source, "--to", "docker-oci", tmp_path / "out")
    assert done.status == 0, done.err
    assert f"blobs/{digest_of(shared).replace(':', '/')}" in files_of(tmp_path / "out")
    assert imgconv("validate", tmp_path / "out").status == 0
    assert len(check(tmp_path / "out", "docker-oci")) == 2


def test_a_docker_archive_that_describes_an_absent_layer_reaches_crane_as_2(imgconv, tmp_path):
    """`LayerSources` with urls, as Docker on Windows saves it."""
    source, base = foreign(tmp_path / "in", present=True)
    convert.convert(source, tmp_path / "whole.tar", to="crane")
    files = files_of(tmp_path / "whole.tar")
    assert json.loads(files["manifest.json"])[0]["LayerSources"][DIFF_IDS[0]]["urls"] == [URL]
    folder = tmp_path / "thin"
    folder.mkdir()
    for name, data in files.items():
        if not name.startswith(base["digest"].removeprefix("sha256:")):
            (folder / name).write_bytes(data)
    for form in KEEPING:
        with pytest.raises(NotRepresentableError, match="not distributable"):
            convert.convert(folder, tmp_path / "out", to=form)
    convert.convert(folder, tmp_path / "layout", to="oci")
    assert imgconv("validate", tmp_path / "layout").status == 0


@pytest.mark.parametrize("form", ["oci", "docker-oci"])
def test_digest_says_who_needs_the_layer_and_answers_for_the_others(imgconv, tmp_path, form):
    source, _ = foreign(tmp_path / "in", present=False)
    out = tmp_path / "out"
    convert.convert(source, out, to=form)
    done = imgconv("digest", out, "--json")
    assert done.status == 0, done.err
    document = done.json
    refused = {each["pusher"] for each in document["refused"]}
    assert {"docker@go1.26", "docker@go1.27"} <= refused
    assert "imgconv" not in refused
    assert imgconv("digest", out, "--as", "docker").status == 2
    assert imgconv("digest", out, "--as", "imgconv").status == 0
