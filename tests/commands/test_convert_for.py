"""`--for`: the format and the smallest changes with which consumers load the result."""

from __future__ import annotations

import gzip
import json
import os
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "consumers"))

from cases import build
from hostile.building import END, LAYER_GZIP, PLAIN, Docker, Layout, config, member, sha256
from named_archives import Made, archive
from oracle.reading import files_of
from support import run

import convert
from convert.commands import convert_for, shared_sources
from convert.errors import ImgconvError, TruncatedError, UsageError
from convert.model.config import Config
from convert.writer.registry import TARGETS


def chosen(source, path, *consumers, **options):
    """Convert for consumers; return the format and the edits that were chosen, and what was said of each consumer."""
    lines = []
    report = convert.convert(source, path, consumers=consumers, warn=lines.append, **options)
    (line,) = [each for each in lines if each.code == "chosen-for-consumers"]
    verdicts = {each.data["consumer"]: each.data["verdict"] for each in lines if each.code == "loads-in"}
    assert line.data["format"] == report.target
    assert set(verdicts.values()) <= {"loads", "loads with a loss"}
    return report.target, line.data["options"], verdicts


#: Case, consumers, and what is chosen: the first format of the table that changes least.
CHOICES = [
    ("plain", ["docker"], "docker-save", []),
    ("plain", ["kind", "podman"], "docker-save", []),
    ("plain", ["umoci"], "oci", []),
    ("layout-archive", ["docker"], "docker-oci", []),
    ("layout-archive", ["docker", "kind", "skopeo", "podman"], "docker-oci", []),
    ("layout-archive", ["kind"], "docker-oci", []),
    ("folder", ["containerd@1.6"], "docker-oci", []),
    ("gzip-archive", ["crane"], "docker-save", []),
    ("zstd-archive", ["docker@20.10"], "docker-save", []),
    ("hard-link", ["docker", "kind"], "docker-save", []),
    ("bare-tag", ["docker"], "docker-save", []),
    ("host-absent", ["kind"], "docker-oci", ["--prune"]),
    ("attestation", ["umoci"], "oci", ["--no-attestations"]),
    ("nested-index", ["skopeo@1.9"], "docker-oci", []),
    ("nested-index", ["skopeo@1.9", "podman"], "docker-oci", []),
]


@pytest.mark.parametrize(("case", "consumers", "target", "edits"), CHOICES)
def test_the_smallest_changes_are_chosen(case, consumers, target, edits, tmp_path):
    source = build(case, tmp_path)
    dest = tmp_path / ("out" if TARGETS[target].is_folder else "out.tar")
    assert chosen(source, dest, *consumers)[:2] == (target, edits)
    # What was said holds for what was written.
    assert convert.doctor(dest, consumers=consumers).status == 0


def test_with_to_the_format_is_fixed(tmp_path):
    assert chosen(build("layout-archive", tmp_path), tmp_path / "out.tar", "kind", to="oci-archive")[0] == "oci-archive"


def test_a_pipe_and_standard_output(tmp_path):
    source = build("layout-archive", tmp_path)
    done = run("-", "--for", "docker", "-", input=source.read_bytes())
    assert done.returncode == 0, done.stderr
    (tmp_path / "out.tar").write_bytes(done.stdout)
    assert convert.doctor(tmp_path / "out.tar", consumers=["docker"]).status == 0


#: Case, consumers, and the exit status, where nothing helps.
REFUSED = [
    ("two-images", ["crane"], 2),
    ("plain", ["docker", "umoci"], 2),
    ("text-cmd", ["docker"], 2),
    ("unnamed", ["k3s"], 2),
    ("plain", ["dokcer"], 2),
    ("missing-layer", ["docker"], 3),
    ("damaged-layer", ["docker"], 3),
    ("many-layers", ["docker"], 2),
    ("many-layers", ["podman", "docker@20.10"], 2),
]


@pytest.mark.parametrize(("case", "consumers", "status"), REFUSED)
def test_nothing_is_written_where_nothing_helps(case, consumers, status, tmp_path):
    source = build(case, tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ImgconvError) as caught:
        convert.convert(source, tmp_path / "out.tar", consumers=consumers)
    assert caught.value.exit_status == status, caught.value
    assert sorted(tmp_path.iterdir()) == before


def test_the_document_has_what_was_chosen(tmp_path):
    done = run(build("host-absent", tmp_path), "--for", "kind", tmp_path / "out.tar", "--json")
    assert done.returncode == 0, done.stderr
    remarks = json.loads(done.stdout)["remarks"]
    assert [each["code"] for each in remarks][-2:] == ["chosen-for-consumers", "loads-in"]


def two_images(path, **second):
    """Write a docker archive of app:1 and web:2; `second` are members of the second config."""
    host = {"architecture": "amd64", "os": "linux"}
    images = [(Made("a"), "app:1"), (Made("b", platform=host | second), "web:2")]
    files = {name: data for image, _ in images for name, data in image.files.items()}
    path.write_bytes(archive(files, items=[image.item(tag) for image, tag in images]))
    return path


@pytest.mark.parametrize("force", [False, True])
def test_a_refused_result_of_a_template_leaves_all_as_it_was(force, tmp_path):
    # Docker refuses the second image: its Cmd is a text.
    source = two_images(tmp_path / "two.tar", config={"Cmd": "sh"})
    out = tmp_path / "out"
    out.mkdir()
    if force:
        (out / "library_app.tar").write_text("mine")
    with pytest.raises(ImgconvError) as caught:
        convert.convert(source, out / "{name}.tar", consumers=["docker"], force=force)
    assert caught.value.code == "not-loadable"
    assert str(out / "library_web.tar") in str(caught.value)
    assert [each.name for each in out.iterdir()] == ["library_app.tar"] * force
    assert not force or (out / "library_app.tar").read_text() == "mine"


def test_a_later_candidate_finds_no_result_of_an_earlier_one(tmp_path):
    """The first image loads in every form; the second needs another format than the first candidate."""
    refused = []
    original = convert_for._Search._judge

    def judge(self, fd, path):
        if not refused and path.endswith("web.tar"):
            refused.append(path)
            raise UsageError("not this one", code="not-loadable")
        original(self, fd, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert_for._Search, "_judge", judge)
        report = convert.convert(two_images(tmp_path / "two.tar"), tmp_path / "{name}.tar", consumers=["docker"])
    assert refused
    assert report.target != "docker-save"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["library_app.tar", "library_web.tar", "two.tar"]


def test_each_result_of_a_template_has_its_verdicts(tmp_path):
    lines = []
    source = two_images(tmp_path / "two.tar")
    convert.convert(source, tmp_path / "{name}.tar", consumers=["docker", "podman"], warn=lines.append)
    found = [(line.data["path"], line.data["consumer"].partition("@")[0]) for line in lines if line.code == "loads-in"]
    paths = [str(tmp_path / f"library_{name}.tar") for name in ("app", "web")]
    assert found == [(path, consumer) for path in paths for consumer in ("docker", "podman")]
    assert all(line.data["path"] in line for line in lines if line.code == "loads-in")


def test_a_pipe_keeps_its_transport_and_reference(tmp_path):
    data = two_images(tmp_path / "two.tar").read_bytes()
    pipe = tmp_path / "p"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[data])
    writer.start()
    done = run(f"docker-archive:{pipe}:web:2", "--for", "docker", tmp_path / "out.tar", "--json")
    writer.join()
    assert done.returncode == 0, done.stderr
    (item,) = json.loads(files_of(tmp_path / "out.tar")["manifest.json"])
    assert item["RepoTags"] == ["web:2"]
    assert json.loads(done.stdout)["source"]["path"] == str(pipe)


def test_standard_input_and_output_keep_their_names(tmp_path):
    data = two_images(tmp_path / "two.tar").read_bytes()
    to_stream = ("-", "--for", "skopeo", "--to", "oci-archive", "-")
    done = run(*to_stream, "--json", "-q", input=data)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stderr)
    assert (report["source"]["path"], report["destination"]["path"], report["results"][0]["path"]) == ("-", "-", "-")
    # Not the temporary file, in the report or in the lines that tell how to address each image.
    done = run(*to_stream, input=data)
    assert b"/imgconv-" not in done.stderr
    assert b"oci-archive:ARCHIVE" in done.stderr
    done = run("-", "--for", "docker", "-", input=b"no archive")
    assert done.returncode == 3
    assert done.stderr.startswith(b'imgconv: "-": ')


@pytest.mark.parametrize("arguments", [("-", "-", "--for", "docker", "out.tar"), ("-", "--for", "umoci", "-")])
def test_what_standard_streams_cannot_do_is_refused(arguments, tmp_path):
    done = run(*arguments, input=build("plain", tmp_path).read_bytes(), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_the_source_is_read_once_for_all_candidates(tmp_path, monkeypatch):
    """There are dozens."""
    source = build("host-absent", tmp_path)
    opened, parsed, planned = [], [], []
    real_open, real_parse, real_candidates = shared_sources.open_source, Config.parse, convert_for._Search._candidates

    def open_source(path, **more):
        opened.append(path)
        return real_open(path, **more)

    def parse(raw, **more):
        parsed.append(raw)
        return real_parse(raw, **more)

    def candidates(self, sources):
        found = real_candidates(self, sources)
        planned.append(len(parsed))
        return found

    monkeypatch.setattr(shared_sources, "open_source", open_source)
    monkeypatch.setattr(Config, "parse", parse)
    monkeypatch.setattr(convert_for._Search, "_candidates", candidates)
    chosen(source, tmp_path / "out.tar", "docker", "containerd")
    assert opened == [str(source)]
    assert planned == [1]


def test_a_source_that_cannot_be_opened_is_opened_once(tmp_path, monkeypatch):
    """A tar with too many PAX records was read for each format and each set of edits: 85 seconds."""
    opened = []
    real = shared_sources.open_source

    def open_source(path, **more):
        opened.append(path)
        return real(path, **more)

    source = tmp_path / "in.tar"
    whole = Docker().build()
    source.write_bytes(whole[: whole.index(b"layer.tar") + 600])
    monkeypatch.setattr(shared_sources, "open_source", open_source)
    for consumers in (["docker"], ["docker", "containerd"]):
        opened.clear()
        with pytest.raises(TruncatedError):
            convert.convert(source, tmp_path / "out.tar", consumers=consumers)
        assert opened == [str(source)]


def reads_of_damage(source, path, monkeypatch, *consumers):
    """Convert a source with a damaged layer for consumers; return the formats that were tried, and the error."""
    tried = []
    real = convert_for.convert_run

    def convert_run(run):
        tried.append(run.target.name)
        return real(run)

    monkeypatch.setattr(convert_for, "convert_run", convert_run)
    with pytest.raises(ImgconvError) as caught:
        convert.convert(source, path, consumers=consumers)
    assert not path.exists()
    return tried, caught.value


def test_a_layer_that_does_not_unpack_is_read_once(tmp_path, monkeypatch):
    """It was read for each format: 3,300,000 empty gzip streams took 31 seconds."""
    source = tmp_path / "in.tar"
    source.write_bytes(Docker(layers={"layer.tar": gzip.compress(PLAIN)[:-9] + bytes(9)}).build())
    tried, error = reads_of_damage(source, tmp_path / "out.tar", monkeypatch, "docker")
    assert (len(tried), error.code, error.member) == (1, "damaged-compression", "layer.tar")


def test_a_format_that_keeps_a_layer_as_it_is_is_tried_after_one_that_unpacks_it(tmp_path, monkeypatch):
    """A layout names the layer by the digest of its damaged bytes, which is right."""
    source = tmp_path / "in.tar"
    source.write_bytes(Layout(layer=gzip.compress(PLAIN)[:-9] + bytes(9), layer_type=LAYER_GZIP).build())
    report = convert.convert(source, tmp_path / "out.tar", consumers=["crane"])
    assert report.target in {"docker-oci", "crane"}
    with pytest.raises(ImgconvError, match="damaged"):
        convert.convert(source, tmp_path / "plain.tar", to="docker-save")


def test_a_damaged_layer_of_another_source_with_the_same_member_skips_nothing(tmp_path, monkeypatch):
    good, bad = tmp_path / "good.tar", tmp_path / "bad.tar"
    tar = member(b"other", b"x") + END
    good.write_bytes(Docker(config=config(sha256(tar)), layers={"layer.tar": tar}, tags=["b:1"]).build())
    bad.write_bytes(Docker(layers={"layer.tar": gzip.compress(PLAIN)[:-9] + bytes(9)}).build())
    tried = []
    real = convert_for.convert_run
    monkeypatch.setattr(convert_for, "convert_run", lambda run: tried.append(run.target.name) or real(run))
    with pytest.raises(ImgconvError, match=r"bad\.tar: layer\.tar"):
        convert.convert([good, bad], tmp_path / "out.tar", consumers=["docker"])
    assert len(tried) > 1


def test_nothing_is_written_that_has_too_many_layers_in_any_format(tmp_path, monkeypatch):
    source = build("many-layers", tmp_path)
    monkeypatch.setattr(convert_for, "convert_run", None)
    with pytest.raises(UsageError, match=r"docker@\S+ refuses it: an image has 126 layers"):
        convert.convert(source, tmp_path / "out.tar", consumers=["docker"])
    monkeypatch.undo()
    assert chosen(source, tmp_path / "out.tar", "podman")[0] == "docker-save"


def test_an_edit_without_effect_is_not_tried_with_others(tmp_path, monkeypatch):
    """Each format was planned with all eight sets of edits: an index of 14,000 manifests took 37 seconds."""
    planned = []
    real = convert_for._Search._plan

    def plan(self, options, *rest):
        planned.append((options.to, options.prune, options.no_attestations, options.flatten))
        return real(self, options, *rest)

    monkeypatch.setattr(convert_for._Search, "_plan", plan)
    for name, edits in (("nested-index", 4), ("host-absent", 5)):
        planned.clear()
        chosen(build(name, tmp_path / name), tmp_path / f"{name}.tar", "docker")
        assert {len([each for each in planned if each[0] == to]) for to, *_ in planned} == {edits}


def test_edits_of_indexes_are_not_tried_where_there_are_none(tmp_path, monkeypatch):
    source = build("plain", tmp_path)
    planned = []
    real = convert_for._Search._plan

    def plan(self, options, *rest):
        planned.append(options.to)
        return real(self, options, *rest)

    monkeypatch.setattr(convert_for._Search, "_plan", plan)
    chosen(source, tmp_path / "out.tar", "docker")
    assert len(planned) == len(set(planned)) > 1
