"""Commands over thin archives: those that need no layer work, the others say what to give (docs/thin.md#reading)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support import MATCH

import convert
from convert.cli.main import run as run_command
from convert.errors import InputError

SOURCE = MATCH / "docker20-multi.tar.gz"
OLD, NEW = "fmt-html:1", "fmt-scr:1"
FORMS = ["docker-save", "docker-save@25", "docker-oci", "oci"]


@pytest.fixture(scope="module", params=FORMS)
def made(request, tmp_path_factory):
    """Return a thin archive of two images without all layers of one, the full archive, and what the receiver has."""
    folder = tmp_path_factory.mktemp("thin")
    convert.convert(SOURCE, folder / "old", to="oci", images=[OLD])
    convert.convert(SOURCE, folder / "full", to=request.param, images=[OLD, NEW])
    convert.convert(SOURCE, folder / "thin", to=request.param, images=[OLD, NEW], without=[str(folder / "old")])
    return folder


@pytest.fixture
def run(capfdbinary):
    """Run a command line in this process; gives its status, standard output and standard error."""

    def call(*arguments):
        status = run_command([str(each) for each in arguments])
        return status, *capfdbinary.readouterr()

    return call


def copy(source, target):
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    return target


@pytest.mark.parametrize("name", [OLD, NEW])
def test_config_and_manifest_need_no_layer(run, made, name):
    for command in ("config", "manifest"):
        thin, full = (run(command, made / which, name) for which in ("thin", "full"))
        assert thin[:2] == full[:2]
        assert (thin[0] == 0) == bool(thin[1])


def test_tag_and_untag_keep_the_marks(run, made, tmp_path):
    path = copy(made / "thin", tmp_path / "thin")
    assert run("tag", path, OLD, "new.example/name:1")[0] == 0
    assert run("untag", path, OLD)[0] == 0
    findings = convert.validate(path).findings
    assert {each.rule for each in findings if each.counts} == set()
    assert "left-out" in {each.rule for each in findings}
    convert.convert(path, tmp_path / "filled", to="oci", with_=[str(made / "old")])
    convert.convert(copy(made / "full", tmp_path / "full"), tmp_path / "layout", to="oci")
    blobs = [{each.name for each in (tmp_path / name).glob("blobs/*/*")} for name in ("filled", "layout")]
    assert blobs[0] == blobs[1]


def test_export_takes_the_layers_from_with(run, made, tmp_path):
    convert.export(made / "full", tmp_path / "full.tar", ref=OLD)
    convert.export(made / "thin", tmp_path / "thin.tar", ref=OLD, with_=[str(made / "old")])
    assert (tmp_path / "thin.tar").read_bytes() == (tmp_path / "full.tar").read_bytes()
    done = run("export", made / "thin", OLD, tmp_path / "cli.tar", "--with", made / "old", "-q")
    assert done[0] == 0, done
    assert (tmp_path / "cli.tar").read_bytes() == (tmp_path / "full.tar").read_bytes()


def test_export_verifies_what_with_gives(made, tmp_path):
    old = copy(made / "old", tmp_path / "old")
    for path in old.glob("blobs/sha256/*"):
        if path.read_bytes()[:2] == b"\x1f\x8b":
            path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(InputError):
        convert.export(made / "thin", tmp_path / "out.tar", ref=OLD, with_=[str(old)])
    assert not (tmp_path / "out.tar").exists()


NEEDING = {
    "export": ("export", "THIN", OLD, "OUT"),
    "convert": ("THIN", "--to", "oci", "OUT"),
    "merge": ("THIN", "OLD", "--to", "oci", "OUT"),
    "append": ("THIN", "--to", "oci", "--append", "OUT"),
    "digest": ("digest", "THIN", "--as", "imgconv"),
    "diff": ("diff", "THIN", "OLD"),
}


@pytest.mark.parametrize("arguments", NEEDING.values(), ids=NEEDING)
def test_what_needs_a_layer_says_from_where(run, made, tmp_path, arguments):
    places = {"THIN": made / "thin", "OLD": made / "old", "OUT": tmp_path / "out"}
    status, _, printed = run(*(places.get(each, each) for each in arguments))
    assert status == 3
    assert not (tmp_path / "out").exists()
    line = printed.decode().splitlines()[-1]
    assert OLD in line
    assert "--with" in line


MARKS = [
    b"",
    b"{",
    b"[]",
    b'{"images":1}',
    b'{"images":[1]}',
    b'{"images":[{"of":"x"}]}',
    b'{"images":[{"of":[1,null,"a\\u001b[31m","' + b"b" * 999 + b'"]}]}',
    b'{"images":' + b'[{"of":["x"]},' * 99 + b"1",
    b"[" * 9999,
]


@pytest.mark.parametrize("mark", MARKS, ids=range(len(MARKS)))
@pytest.mark.parametrize("form", ["docker-save", "oci"])
def test_a_hostile_mark_only_costs_the_names(run, tmp_path, form, mark):
    """The mark is a hint: what is wrong with it changes neither the status nor the error."""
    convert.convert(SOURCE, tmp_path / "old", to="oci", images=[OLD])
    convert.convert(SOURCE, tmp_path / "thin", to=form, images=[OLD], without=[str(tmp_path / "old")])
    if form == "oci":
        index = json.loads((tmp_path / "thin" / "index.json").read_bytes())
        index["manifests"][0]["annotations"]["dev.imgconv.needs"] = mark.decode()
        (tmp_path / "thin" / "index.json").write_text(json.dumps(index))
    else:
        replace_member(tmp_path / "thin", ".imgconv-needs.json", mark)
    status, _, printed = run("export", tmp_path / "thin", tmp_path / "out.tar")
    assert status == 3
    text = printed.decode()
    assert len(text.splitlines()) == 1
    assert "is missing" in text
    assert "\x1b" not in text
    assert len(text) < 1500
    assert convert.validate(tmp_path / "thin").status == 1
    assert run("doctor", tmp_path / "thin")[0] == 1


def replace_member(path, name, data):
    """Write a tar again with other bytes in one member."""
    import io
    import tarfile

    out = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old:
            content = old.extractfile(member).read() if member.isreg() else b""
            if member.name == name:
                content, member.size = data, len(data)
            new.addfile(member, io.BytesIO(content) if member.isreg() else None)
    Path(path).write_bytes(out.getvalue())


# -- validate --with ----------------------------------------------------------------------


def rules(verdict):
    return {each.rule for each in verdict.findings if each.counts}


@pytest.mark.parametrize("old", ["oci", "docker-save", "crane"])
def test_validate_verifies_what_with_gives(made, tmp_path, old):
    """The receiver's archive may be of any form."""
    convert.convert(SOURCE, tmp_path / "old", to=old, images=[OLD])
    verdict = convert.validate(made / "thin", with_=[str(tmp_path / "old")])
    assert (verdict.status, rules(verdict)) == (0, set())
    found = {each.rule for each in verdict.findings}
    assert "filled" in found
    assert "left-out" not in found


def test_validate_excuses_a_sparse_source_too(tmp_path):
    """Without a mark an absent layer is an error, unless something gives it."""
    convert.convert(SOURCE, tmp_path / "full", to="oci", images=[OLD])
    shutil.copytree(tmp_path / "full", tmp_path / "sparse")
    for path in tmp_path.glob("sparse/blobs/sha256/*"):
        if path.read_bytes()[:2] == b"\x1f\x8b":
            path.unlink()
    assert rules(convert.validate(tmp_path / "sparse")) == {"missing"}
    assert convert.validate(tmp_path / "sparse", with_=[str(tmp_path / "full")]).status == 0


def test_validate_reports_what_with_does_not_give(made, tmp_path):
    convert.convert(SOURCE, tmp_path / "other", to="oci", images=["fmt-imp:1"])
    verdict = convert.validate(made / "thin", with_=[str(tmp_path / "other")])
    assert (verdict.status, rules(verdict)) == (1, {"missing"})


def test_validate_reports_damage_in_what_with_gives(run, made, tmp_path):
    old = copy(made / "old", tmp_path / "old")
    for path in old.glob("blobs/sha256/*"):
        if path.read_bytes()[:2] == b"\x1f\x8b":
            path.write_bytes(bytes(path.stat().st_size))
    verdict = convert.validate(made / "thin", with_=[str(old)])
    assert (verdict.status, rules(verdict)) == (1, {"damaged"})
    assert all(str(old) in each.message for each in verdict.findings if each.rule == "damaged")
    assert run("validate", made / "thin", "--with", old)[0] == 1


@pytest.mark.parametrize(("content", "status"), [(b"sha256:" + b"0" * 64, 2), (b"\0 no archive", 3), (None, 4)])
def test_validate_refuses_what_is_no_archive(run, made, tmp_path, content, status):
    if content is not None:
        (tmp_path / "old").write_bytes(content)
    code, _, printed = run("validate", made / "thin", "--with", tmp_path / "old")
    assert code == status
    assert len(printed.splitlines()) == 1


# -- doctor -------------------------------------------------------------------------------

_BASE, _FILL = "load what it needs there first, or fill it: --with OLD", "fill it: --with OLD"
#: What helps where a consumer misses a layer; the table of docs/recipes/thin.md was tried with the programs.
HELPS = {
    "docker-save": {"docker": _BASE, "docker-containerd": _FILL, "podman": _FILL, "skopeo": _FILL},
    "docker-save@25": {"docker": _BASE, "docker-containerd": _BASE},
    "docker-oci": {"docker": _BASE, "docker-containerd": _BASE},
    "oci": {"skopeo": _BASE, "podman": _BASE, "umoci": _FILL},
    "oci-archive": {"containerd": _BASE, "podman": _BASE, "skopeo": _BASE},
}


@pytest.mark.parametrize(("form", "who"), [(form, who) for form, rows in HELPS.items() for who in rows])
def test_doctor_says_what_the_receiver_needs(tmp_path, form, who):
    convert.convert(SOURCE, tmp_path / "old", to="oci", images=[OLD])
    convert.convert(SOURCE, tmp_path / "thin.tar", to=form, images=[OLD], without=[str(tmp_path / "old")])
    (found,) = convert.doctor(tmp_path / "thin.tar", consumers=[who]).diagnoses
    (reason, *_) = [each for each in found.reasons if OLD in each.text]
    assert "leaves out" in reason.text
    assert reason.helps is not None
    assert reason.helps.value == HELPS[form][who]


def test_doctor_without_a_mark_says_what_is_absent(tmp_path):
    convert.convert(SOURCE, tmp_path / "old", to="oci", images=[OLD])
    convert.convert(SOURCE, tmp_path / "thin", to="docker-save", images=[OLD], without=[str(tmp_path / "old")])
    replace_member(tmp_path / "thin", ".imgconv-needs.json", b"{}")
    (found,) = convert.doctor(tmp_path / "thin", consumers=["docker"]).diagnoses
    assert "is not in the archive" in found.reasons[0].text


def test_doctor_shows_progress_and_is_quiet(run, made):
    status, printed, errors = run("doctor", made / "full", "--progress", "plain", "-q")
    assert (printed, errors) == (b"", b"")
    assert run("doctor", made / "full", "--progress", "none")[:2] == run("doctor", made / "full")[:2]
    assert run("doctor", made / "full", "--progress", "none")[0] == status
