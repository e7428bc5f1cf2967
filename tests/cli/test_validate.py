"""`imgconv validate`: exact output and exit status in each format."""

import gzip
import io
import json
import re
import shlex
import tarfile
from pathlib import Path

import jsonschema
import pytest

from convert.cli import diff, validate
from convert.commands.validate import RULES, Finding, Severity
from convert.consumers.refusals import refusals
from convert.jsonio import schema
from convert.report.sarif import uri

ROOT = Path(__file__).parents[2]
#: DiffID and name of the import's only layer, and what 1024 zeros are.
CONFIG = "7c5cca64d743bbad34a006f879301d7a32a31668ead39fac57891e31bd01c5a9.json"
DIFF_ID = "sha256:14421e24818de21e395bd4594cba97587c2b201384c538f2fb99f4c046baa11e"
ZEROS = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


def zeros(name, content):
    return bytes(1024) if name.endswith("/layer.tar") else content


@pytest.fixture
def damaged(archive):
    return archive("docker20-import", zeros)


@pytest.fixture
def layer(damaged):
    with tarfile.open(damaged) as tar:
        return next(name for name in tar.getnames() if name.endswith("/layer.tar"))


def test_nothing_is_said_of_a_sound_archive(imgconv, archive):
    done = imgconv("validate", archive("docker20-html"))
    assert (done.status, done.out, done.err) == (0, "", "")


def test_a_finding_is_one_line(imgconv, damaged, layer):
    done = imgconv("validate", damaged)
    message = f"is {ZEROS}, {CONFIG} at rootfs.diff_ids[0] has the DiffID {DIFF_ID}"
    assert done.out == f"{damaged}: {layer}: {message} [diff-id]\n"
    assert (done.status, done.err) == (1, "")


def test_damage_of_a_wrapper_names_the_file_once(imgconv, tmp_path):
    path = tmp_path / "cut.tar.gz"
    path.write_bytes(gzip.compress(bytes(4096))[:-9])
    done = imgconv("validate", path)
    assert (done.status, done.err) == (3, "")
    assert done.out == f"{path}: the gzip stream ends too early [damaged]\n"


def test_notes_are_shown_when_asked_for(imgconv, archive):
    name = archive("docker25-hybrid-html")
    assert imgconv("validate", name).out == ""
    done = imgconv("validate", "-v", name)
    assert done.status == 0
    assert re.fullmatch(
        rf"({name}: blobs/sha256/[0-9a-f]{{64}}: note: no document names it \[unreferenced\]\n)+", done.out
    )


def test_json_meets_its_schema(imgconv, damaged, layer, archive):
    done = imgconv("validate", "--json", damaged, archive("docker29-hybrid-html"))
    jsonschema.validate(done.json, schema.load("report-validate"), jsonschema.Draft202012Validator)
    assert done.json["status"] == done.status == 1
    first, second = done.json["sources"]
    assert first["findings"] == [
        {
            "rule": "diff-id",
            "severity": "error",
            "member": layer,
            "place": None,
            "message": f"is {ZEROS}, {CONFIG} at rootfs.diff_ids[0] has the DiffID {DIFF_ID}",
            "refused_by": RULES["diff-id"].refused_by,
            "consumers": [{"consumer": each.consumer, "versions": str(each.versions)} for each in refusals("diff-id")],
        }
    ]
    assert (second["path"], second["format"], second["status"]) == ("docker29-hybrid-html.tar", "docker-save@25", 0)
    assert {found["severity"] for found in second["findings"]} == {"note"}
    assert imgconv("validate", "--format", "json", damaged).json["sources"] == [first]


def test_github_annotations_are_workflow_commands(imgconv, damaged, layer):
    done = imgconv("validate", "--format", "github", damaged)
    message = f"is {ZEROS}, {CONFIG} at rootfs.diff_ids[0] has the DiffID {DIFF_ID}"
    assert done.out == f"::error file={damaged},title=imgconv diff-id::{layer}: {message}\n"
    assert done.status == 1


@pytest.mark.parametrize(("severity", "level"), [("error", "error"), ("warning", "warning"), ("note", "notice")])
def test_github_annotations_are_escaped(severity, level):
    """GitHub, "Workflow commands": %, CR and LF in data, colon and comma too in properties."""
    found = Finding("tar", Severity(severity), "a:b,c%\n.tar", "m:1", None, "100%: x,y\r\nz")
    assert validate.annotation(found) == (
        f"::{level} file=a%3Ab%2Cc%25%0A.tar,title=imgconv tar::m:1: 100%25: x,y%0D%0Az"
    )


def test_sarif_has_what_the_standard_asks_for(imgconv, damaged, layer, archive):
    """The parts that SARIF 2.1.0 and GitHub's code scanning require; its whole schema is not ours to keep."""
    done = imgconv("validate", "--format", "sarif", damaged, archive("docker25-hybrid-html"))
    assert done.status == 1
    log = done.json
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(RULES)
    assert run["tool"]["driver"]["name"] == "imgconv"
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note"}
        assert result["message"]["text"]
        (location,) = result["locations"]
        assert location["physicalLocation"]["region"]["startLine"] == 1
        assert result["partialFingerprints"]
    first, *others = run["results"]
    assert first["ruleId"] == "diff-id"
    assert first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == damaged
    assert first["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": layer, "kind": "member"}]
    assert {result["level"] for result in others} == {"note"}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("a/b.tar", "a/b.tar"),
        ("/a/b c.tar", "file:///a/b%20c.tar"),
        ("oci:x", "oci%3Ax"),
        ("ä#?%.tar", "%C3%A4%23%3F%25.tar"),
    ],
)
def test_paths_become_uri_references(path, wanted):
    assert uri(path) == wanted


def test_of_several_sources_the_highest_status_counts_and_all_are_looked_at(imgconv, damaged, archive):
    sound = archive("docker20-html")
    Path("text.txt").write_text("text")
    assert imgconv("validate", sound, damaged).status == 1
    done = imgconv("validate", damaged, "text.txt", sound)
    assert done.status == 3
    assert [line.partition(":")[0] for line in done.out.splitlines()] == [damaged, "text.txt"]
    done = imgconv("validate", "nothing.tar", damaged, "text.txt")
    assert done.status == 4
    assert done.err == "imgconv: nothing.tar: no such file or folder\n"
    assert len(done.out.splitlines()) == 2
    document = imgconv("validate", "--json", "nothing.tar", damaged).json
    assert [source["status"] for source in document["sources"]] == [4, 1]


def test_what_is_no_image_is_said(imgconv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with tarfile.open("x.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("a"), io.BytesIO())
    done = imgconv("validate", "x.tar")
    assert done.out.startswith("x.tar: no container image: ")
    assert done.out.endswith("[not-an-image]\n")
    assert done.status == 3


def test_two_formats_are_a_mistake(imgconv, damaged):
    done = imgconv("validate", "--json", "--format", "github", damaged)
    assert (done.status, done.out) == (2, "")
    assert imgconv("validate").status == 2


def test_names_are_printed_without_control_characters(imgconv, archive):
    def tag(name, content):
        if name != "manifest.json":
            return content
        (item,) = json.loads(content)
        return json.dumps([item | {"RepoTags": ["\x1b[2Jgone:1"]}]).encode()

    name = archive("docker20-import", tag)
    for form in ("text", "github"):
        done = imgconv("validate", "-v", "--format", form, name)
        assert "\x1b" not in done.out
        assert done.status == 1


# -- the documentation -----------------------------------------------------------------


def commands():
    for page in ("ci.md", "validate.md"):
        text = (ROOT / "docs" / page).read_text()
        for line in re.findall(r"imgconv ((?:validate|diff) [^\n`&>|#]*)", text):
            yield pytest.param(line, id=line)


@pytest.mark.parametrize("line", list(commands()))
def test_commands_in_the_documentation_are_understood(line):
    name, *arguments = shlex.split(line)
    command = {"validate": validate.command, "diff": diff.command}[name]
    assert command.make_context(name, arguments).params


def test_the_hook_of_pre_commit_runs_this_command_on_archives():
    text = (ROOT / ".pre-commit-hooks.yaml").read_text()
    assert "entry: imgconv validate\n" in text
    pattern = re.search(r"files: (.+)", text)[1]
    for name in ("a.tar", "b/c.tar.gz", "d.tgz", "e.tar.zst"):
        assert re.search(pattern, name)
    for name in ("a.tar.txt", "target", "tar"):
        assert not re.search(pattern, name)
