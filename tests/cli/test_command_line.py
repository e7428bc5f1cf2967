"""What a user mistypes gets the message that helps, and what a source is called cannot forge a line."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle.reading import contents, plain
from support import MATCH

import convert
from convert.cli.commands import COMMANDS
from convert.errors import names_text, printable, quoted
from convert.jsonio import schema
from convert.layer.context import ReadOptions

HTML = MATCH / "docker20-html.tar.gz"
ID = "sha256:78739f629b263dfbcccf88218563348eb0785077bae8756eca62147ddbd10ee5"
FORMATS = ["docker-save", "docker-save@25", "docker-save@29", "docker-oci", "crane", "oci", "oci-archive"]
TARS = [name for name in FORMATS if name != "oci"]


# -- names that come from a source ----------------------------------------------------------

#: What a log processor or a terminal would obey, hide or take for a part of the line.
HOSTILE = [
    "::set-output name=x::y",
    "::error::gone",
    "a ##[error]b",
    "##vso[task.setvariable]x",
    "##teamcity[buildStatus]",
    "section_start:1:x\r\x1b[0K",
    "a\n::error::b",
    "sha256:aa  other:1  sha256:bb",
    "<none>",
    " lead",
    "trail ",
    "\u202ereversed",
    "zero\u200bwidth",
    "filler\u3164",
    "-q",
    'quote"d',
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_could_take_a_line_apart_is_quoted(name):
    shown = quoted(name)
    assert shown.startswith('"')
    assert shown.endswith('"')
    assert "##[" not in shown
    assert "##vso[" not in shown
    assert "##teamcity[" not in shown
    assert shown.isprintable()
    assert not set(shown) & set("\u3164\u200b\u202e")


ODD = st.text(st.sampled_from('a1:.-/ \t\n"\\<#[:\u3164\u202e\ud800é\U0001f600'), max_size=8)


@given(st.lists(ODD, max_size=3))
def test_names_in_a_line_can_be_told_apart(names):
    line = names_text(names)
    assert line.isprintable()
    assert printable(line) == line
    if all(quoted(name) == name for name in names) and names:
        assert line.split(" ") == names
    # Outside of quotes there is one blank between two names.
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "x", line)
    assert outside == "<none>" or outside.count(" ") == max(0, len(names) - 1)


@pytest.mark.parametrize(
    "name", ["busybox:1", "example.com:5000/a/b:v1", "sha256-abc.sig", "日本:1", "a@sha256:00", "_x"]
)
def test_ordinary_names_stay_as_they_are(name):
    assert quoted(name) == name


def layout_named(imgconv, folder, name):
    assert imgconv(HTML, "--to", "oci", folder, "-q", "--image", "fmt-html:1").status == 0
    index = json.loads(Path(folder, "index.json").read_bytes())
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": name}
    Path(folder, "index.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "<none>"])
def test_no_line_of_any_command_can_be_forged_by_a_name(imgconv, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    layout_named(imgconv, "layout", name)
    runs = [
        ["layout", "--to", "oci", "out"],
        ["layout", "--to", "crane", "out.tar"],
        ["layout", "--to", "docker-oci", "oci.tar"],
        ["id", "layout"],
        ["inspect", "layout"],
        ["digest", "layout"],
        ["diff", "layout", HTML],
        ["validate", "layout", "-v"],
        ["validate", "layout", "--format", "github"],
        ["match", "layout", f"layout/blobs/sha256/{manifest_of('layout')}"],
        ["id", "layout", "nothing:1"],
    ]
    for arguments in runs:
        done = imgconv(*arguments)
        assert done.status != 70
        text = done.out + done.err
        for line in text.splitlines():
            starts = line.lstrip().startswith(("::", "##"))
            assert not starts or arguments[-1] == "github", line
            assert "##[" not in line
            assert "##vso[" not in line
            assert "##teamcity[" not in line
            assert line.isprintable()
            assert "  other:1  " not in line or '"' in line or "'" in line


def manifest_of(folder):
    return json.loads(Path(folder, "index.json").read_bytes())["manifests"][0]["digest"].partition(":")[2]


def test_no_report_holds_a_lone_surrogate(imgconv, tmp_path, monkeypatch):
    """The bytes of a file's name need not be UTF-8; strict JSON readers refuse half a surrogate pair."""
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"n\xff\xc3\xa9\\udcff.tar")
    Path(name).write_bytes(plain(HTML))
    Path("absent.json").write_text("{}")
    for arguments in (
        ["inspect", name],
        ["id", name],
        ["digest", name],
        ["diff", name, name],
        ["validate", name],
        ["validate", os.fsdecode(b"no\xff")],
        ["match", name, "absent.json"],
        [name, "--to", "crane", "out.tar"],
        [name, "--to", "oci", os.fsdecode(b"out\xff")],
    ):
        done = imgconv(*arguments, "--json")
        assert done.status != 70, done.err
        if not done.out:
            continue
        text = json.dumps(json.loads(done.out), ensure_ascii=False)
        text.encode()  # fails on a lone surrogate
        if name in arguments and arguments[0] != "match":
            assert "n\\xffé\\udcff.tar" in json.loads(done.out)["source"]["path"] if "source" in done.json else True


@given(
    st.recursive(
        ODD.map(lambda text: text.replace("\ud800", "")) | st.none(),
        lambda inner: (
            st.dictionaries(st.sampled_from(["", "b", "\n", "é"]), inner, max_size=3) | st.lists(inner, max_size=3)
        ),
        max_leaves=5,
    ),
    st.text(st.sampled_from('\udc80\udcff\ud83d\ude00\\ud"é'), max_size=8),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_json_keeps_all_else(capsys, document, odd):
    from convert.cli.options import out_json

    out_json({"a": document, odd: odd})
    read = json.loads(capsys.readouterr().out)
    assert read["a"] == document
    for text in set(read) - {"a"}:
        text.encode()
        assert read[text] == text


def test_sarif_messages_hold_no_markdown(imgconv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layout_named(imgconv, "layout", "[click](https://example.com) <img src=x> `code`")
    done = imgconv("validate", "layout", "no-such-file", "--format", "sarif")
    (run,) = done.json["runs"]
    texts = [result["message"]["text"] for result in run["results"]]
    assert any("click" in text for text in texts)
    for text in texts:
        for mark in "[]<>`":
            assert text.count(mark) == text.count("\\" + mark)
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    (notification,) = invocation["toolExecutionNotifications"]
    assert "no such file" in notification["message"]["text"]


# -- mistakes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["valdate", "x.tar"], "validate"),
        (["inspct", "x.tar", "--verify"], "inspect"),
        (["vaildate", "a", "b", "c", "--format", "sarif"], "validate"),
        (["SOURCE", "--to", "docker-sav", "out"], "docker-save"),
        (["SOURCE", "--to", "OCI-archive", "out"], "oci-archive"),
        (["SOURCE", "--to", "oci", "--compress", "go1.26", "out"], "go1.26-1"),
        (["SOURCE", "--to", "oci", "--compress", "zstandard-3", "out"], "zstd-3"),
        (["SOURCE", "--to", "oci", "--as", "crane@1.27", "out"], "crane@go1.27"),
        (["digest", "SOURCE", "--as", "dokcer"], "docker"),
        (["id", "SOURCE", "--engine", "containrd"], "containerd"),
        (["validate", "SOURCE", "--format", "sarf"], "sarif"),
        (["diff", "SOURCE", "SOURCE", "--by", "layer"], "layers"),
    ],
)
def test_a_misspelt_word_gets_the_one_that_was_meant(imgconv, tmp_path, monkeypatch, arguments, meant):
    monkeypatch.chdir(tmp_path)
    done = imgconv(*(HTML if word == "SOURCE" else word for word in arguments))
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert f"did you mean '{meant}'?" in done.err


@pytest.mark.parametrize(
    ("line", "begin"),
    [
        ("--debug id A", "id --debug"),
        ("-q id A", "id -q"),
        ("--json inspect A B C", "inspect --json"),
        ("--engine podman id A", "id --engine podman"),
        ("-j 2 validate A --nothing", "validate -j 2"),
        ("--by=digest diff A B", "diff --by=digest"),
        ("--image 'a b' digest A", "digest --image 'a b'"),
        ("--verbose convert A --manifest-type oci B", "convert --verbose"),
    ],
)
def test_options_before_a_command_are_explained(imgconv, tmp_path, monkeypatch, line, begin):
    monkeypatch.chdir(tmp_path)
    done = imgconv(*shlex.split(line))
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert f"options come after the command: imgconv {begin} ..." in done.err


@pytest.mark.parametrize("line", ["convert id", "-- id", "--json A id", "-q --to oci id B", "--add-repositories id"])
def test_the_name_of_a_command_may_be_a_file_that_is_missing(imgconv, tmp_path, monkeypatch, line):
    """It is never suggested for itself."""
    monkeypatch.chdir(tmp_path)
    Path("A").write_bytes(plain(HTML))
    done = imgconv(*line.split())
    assert done.out == ""
    assert done.status in {2, 4}
    assert "did you mean" not in done.err
    assert "options come after" not in done.err


@pytest.mark.parametrize(
    "line",
    [
        "convert SOURCE --to oci out --verify full",
        "--add-repositories SOURCE out --verify full",
        "digest SOURCE",
        "match SOURCE manifest",
        "inspect SOURCE --verify",
        "validate SOURCE",
        "diff SOURCE other --files",
    ],
)
def test_a_hint_names_only_options_that_the_command_has(imgconv, tmp_path, monkeypatch, line):
    """All commands limit layers, but not all have the option that raises the limit."""
    monkeypatch.chdir(tmp_path)
    convert.convert(HTML, "SOURCE", to="oci", compress="crane")
    convert.convert(HTML, "SOURCE.tar", to="docker-oci")
    convert.convert(MATCH / "docker20-multi.tar.gz", "other", to="oci", images=["fmt-imp:1"])
    assert imgconv("digest", "SOURCE", "--as", "crane", "--manifest", "manifest").status == 0
    for module in ("digest", "match.rebuild", "convert_run", "add_repositories"):
        monkeypatch.setattr(f"convert.commands.{module}.MAX_LAYER_SIZE", 100)
    monkeypatch.setattr("convert.layer.blob_facts.MAX_LAYER_SIZE", 100)
    monkeypatch.setattr(ReadOptions.__new__, "__defaults__", (100, *ReadOptions.__new__.__defaults__[1:]))
    done = imgconv(*line.replace("--add-repositories SOURCE", "--add-repositories SOURCE.tar").split())
    printed = done.out + done.err
    assert "unpacks to more than 100 bytes" in printed
    assert done.status in {1, 3}
    command = line.split()[0].replace("--add-repositories", "convert")
    has_option = "--max-layer-size" in imgconv(command, "--help").out
    assert ("--max-layer-size" in printed) == has_option


@pytest.mark.parametrize("word", [name for name in COMMANDS if name not in {"completion", "convert", "profiles"}])
def test_a_file_with_the_name_of_a_command_is_pointed_at(imgconv, tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    assert f"./{word}" not in imgconv(word, "--to", "oci", "out").err
    Path(word).write_bytes(plain(HTML))
    done = imgconv(word, "--to", "oci", "--nothing", "out")
    assert done.status == 2
    assert f"./{word}" in done.err
    assert imgconv(f"./{word}", "--to", "oci", "out").status == 0


def test_names_that_other_tools_use_are_understood(imgconv, tmp_path):
    for to, name in (("docker-archive", "a.tar"), ("docker-save", "b.tar")):
        done = imgconv(HTML, "--to", to, tmp_path / name, "--json")
        assert done.status == 0
        assert done.json["destination"]["format"] == "docker-save"
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    for name, options in (("c", []), ("d", ["--compress", "gzip"])):
        assert imgconv(HTML, "--to", "oci", tmp_path / name, *options).status == 0
    assert contents(tmp_path / "c") == contents(tmp_path / "d")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dest", ["oci:x:y", "docker-archive:x.tar", "dir:x", "docker://x/y:1", "containers-storage:x"])
def test_a_destination_spelled_like_a_transport_is_refused(imgconv, tmp_path, monkeypatch, form, dest):
    monkeypatch.chdir(tmp_path)
    done = imgconv(HTML, "--to", form, dest)
    assert (done.status, done.out, os.listdir(tmp_path)) == (2, "", [])
    assert f"./{dest}" in done.err


@pytest.mark.parametrize("form", TARS)
@pytest.mark.parametrize("ending", [".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".txz", ".TAR.GZ", ".gz", ".tar.bz2"])
def test_a_tar_named_as_if_it_was_compressed_is_refused(imgconv, tmp_path, monkeypatch, form, ending):
    monkeypatch.chdir(tmp_path)
    done = imgconv(HTML, "--to", form, f"app{ending}")
    assert (done.status, done.out, os.listdir(tmp_path)) == (2, "", [])
    assert "app.tar" in done.err
    assert "| " in done.err


def test_other_commands_that_write_refuse_such_names_too(imgconv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for dest in ("oci:x", "out.tar.gz"):
        assert imgconv("--add-repositories", HTML, dest).status == 2
        assert imgconv("match", HTML, "no.json", "--to", "oci-archive", dest).status == 2
    assert os.listdir(tmp_path) == []
    # A folder may be called so, and a path spelled as one is a path.
    assert imgconv(HTML, "--to", "oci", "layout.gz").status == 0
    assert imgconv(HTML, "--to", "oci-archive", "./oci:x").status == 0


@pytest.mark.parametrize("form", FORMATS)
def test_a_missing_folder_is_named(imgconv, tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    done = imgconv(HTML, "--to", form, "no/such/out")
    assert (done.status, done.err.count("\n"), os.listdir(tmp_path)) == (4, 1, [])
    assert "no/such/out: " in done.err
    assert "folder does not exist" in done.err
    done = imgconv("--add-repositories", HTML, "no/such/out")
    assert (done.status, "folder does not exist" in done.err) == (4, True)


def test_a_manifest_that_is_none_is_told(imgconv, tmp_path):
    (tmp_path / "a.tar").write_bytes(plain(HTML))
    for manifest in (tmp_path / "a.tar", HTML):
        done = imgconv("match", tmp_path / "a.tar", manifest)
        assert (done.status, done.err.count("\n")) == (3, 1)
        assert "not a JSON manifest" in done.err


# -- what is said of a result ---------------------------------------------------------------


def test_compress_without_effect_is_reported(imgconv, tmp_path):
    assert imgconv(HTML, "--to", "oci", tmp_path / "layout").status == 0
    for form in FORMATS:
        done = imgconv(tmp_path / "layout", "--to", form, tmp_path / form, "--compress", "docker", "--json")
        assert done.status == 0
        assert done.err.count("--compress docker has no effect") == 1
        assert any(remark["code"] == "compress-without-effect" for remark in done.json["remarks"])
        jsonschema.validate(done.json, schema.load("report-convert"), jsonschema.Draft202012Validator)
        plainly = imgconv(tmp_path / "layout", "--to", form, tmp_path / form, "--force")
        assert "no effect" not in plainly.err
    done = imgconv(HTML, "--to", "oci", tmp_path / "used", "--compress", "docker")
    assert "no effect" not in done.err
    done = imgconv(HTML, "--to", "docker-save", tmp_path / "ids.tar", "--compress", "docker", "--v1-ids", "chain-free")
    assert "no effect" not in done.err


def test_the_address_of_each_name_of_a_layout_is_told(imgconv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = imgconv(HTML, "--to", "oci", "out", "--tag", "a:1")
    assert "oci:out:1" in done.err
    done = imgconv(HTML, "--to", "oci", "out", "--tag", "b:2", "--append")
    assert "oci:out:2" in done.err
    assert "moved" not in done.err
    other = MATCH / "docker20-import.tar.gz"
    done = imgconv(other, "--to", "oci", "out", "--tag", "a:1", "--append")
    assert done.err.count(" moved from sha256:") == 1
    assert "oci:out:1" in done.err
    # The same image again moves nothing.
    assert "moved" not in imgconv(other, "--to", "oci", "out", "--tag", "a:1", "--append").err


def indexed(folder, platforms):
    """Turn a layout of one image into one of an index, which lists it under `platforms`."""
    index = json.loads(Path(folder, "index.json").read_bytes())
    (top,) = index["manifests"]
    children = []
    for number, platform in enumerate(platforms):
        os_, architecture = platform.split("/")
        raw = Path(folder, "blobs/sha256", top["digest"][7:]).read_bytes()
        manifest = json.loads(raw)
        config = json.loads(Path(folder, "blobs/sha256", manifest["config"]["digest"][7:]).read_bytes())
        config["author"] = str(number)
        manifest["config"] |= put(folder, json.dumps(config).encode())
        described = put(folder, json.dumps(manifest).encode())
        children.append(
            {"mediaType": manifest["mediaType"], **described, "platform": {"os": os_, "architecture": architecture}}
        )
    media_type = "application/vnd.oci.image.index.v1+json"
    nested = {"schemaVersion": 2, "mediaType": media_type, "manifests": children}
    index["manifests"] = [
        {"mediaType": media_type, **put(folder, json.dumps(nested).encode()), "annotations": top["annotations"]}
    ]
    Path(folder, "index.json").write_text(json.dumps(index))


def put(folder, raw):
    import hashlib

    digest = hashlib.sha256(raw).hexdigest()
    Path(folder, "blobs/sha256", digest).write_bytes(raw)
    return {"digest": f"sha256:{digest}", "size": len(raw)}


def test_platforms_in_messages_are_those_that_platform_takes(imgconv, tmp_path):
    """Two configs may say linux/amd64 though the index lists two platforms."""
    assert imgconv(HTML, "--to", "oci", tmp_path / "layout", "--image", "fmt-html:1").status == 0
    indexed(tmp_path / "layout", ["linux/riscv64", "linux/s390x"])
    for form in ("docker-save", "docker-save@25", "crane"):
        done = imgconv(tmp_path / "layout", "--to", form, tmp_path / form)
        assert done.status == 2
        assert "(linux/riscv64, linux/s390x)" in done.err
    assert imgconv(tmp_path / "layout", "--to", "crane", tmp_path / "one.tar", "--platform", "linux/s390x").status == 0


def test_an_index_of_one_platform_shows_that_image(imgconv, tmp_path):
    assert imgconv(HTML, "--to", "oci", tmp_path / "layout", "--image", "fmt-html:1").status == 0
    indexed(tmp_path / "layout", ["linux/amd64"])
    image_id = imgconv("id", tmp_path / "layout").out.split()[0]
    for form in ("oci", "oci-archive", "docker-oci"):
        done = imgconv(tmp_path / "layout", "--to", form, tmp_path / form)
        assert done.out.split("  ")[1] == image_id


def test_id_of_what_is_damaged_is_one_error(imgconv, tmp_path):
    assert imgconv(HTML, "--to", "oci", tmp_path / "layout", "--image", "fmt-html:1").status == 0
    for path in (tmp_path / "layout/blobs/sha256").iterdir():
        if path.read_bytes()[:1] == b"{":
            path.write_bytes(b"{}")
    done = imgconv("id", tmp_path / "layout")
    assert (done.status, done.err.count("\n")) == (3, 1)


def test_a_source_that_cannot_be_read_says_why_in_every_format(imgconv, tmp_path):
    done = imgconv("validate", "--json", tmp_path / "none", HTML)
    assert done.status == 4
    jsonschema.validate(done.json, schema.load("report-validate"), jsonschema.Draft202012Validator)
    first, second = done.json["sources"]
    assert "no such file" in first["error"]
    assert second["error"] is None


def test_a_name_is_reported_as_dropped_only_where_it_is_not_written(imgconv, tmp_path):
    layout_named(imgconv, tmp_path / "layout", "only-a-tag")
    for form in FORMATS:
        out = tmp_path / form
        done = imgconv(tmp_path / "layout", "--to", form, out)
        assert done.status == 0
        raw = (out / "index.json").read_bytes() if form == "oci" else out.read_bytes()
        written = b"only-a-tag" in raw
        assert ("dropped name only-a-tag" in done.err) is not written
        assert ("only-a-tag" in done.out) is written


# -- status 70 ------------------------------------------------------------------------------

DIGITS = "9" * 5000


@pytest.mark.parametrize(
    "arguments",
    [
        ["SOURCE", "--to", "oci", "out", "--max-layer-size", DIGITS],
        ["SOURCE", "--to", "oci", "out", "--max-layer-size", f"{DIGITS}G"],
        ["SOURCE", "--to", "oci", "out", "-j", DIGITS],
        ["validate", "SOURCE", "-j", DIGITS],
        ["SOURCE", "--to", "crane", f"/dev/fd/{DIGITS}"],
        ["SOURCE", "--to", "crane", "/dev/fd/99999999999999999999"],
        ["SOURCE", "--to", "crane", "/dev/fd/99999999"],
        ["SOURCE", "--to", "oci", "/dev/fd/99999999999"],
        [f"/dev/fd/{DIGITS}", "--to", "oci", "out"],
        ["id", f"oci:SOURCE:@{DIGITS}"],
        ["SOURCE", "--to", "oci", "out", "--image", DIGITS],
        ["SOURCE", "--to", "oci", "out", "--platform", f"{DIGITS}/{DIGITS}"],
        ["SOURCE", "--to", DIGITS, "out"],
        ["SOURCE", "--to", "oci", "--compress", f"zstd-{DIGITS}", "out"],
        ["SOURCE", "--to", "oci", "--as", f"crane@go{DIGITS}", "out"],
        [DIGITS],
        ["digest", "SOURCE", "--as", "crane", "--manifest", f"/dev/fd/{DIGITS}"],
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_numbers_without_end_are_mistakes_of_the_user(imgconv, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    done = imgconv(*(word.replace("SOURCE", str(HTML)) for word in arguments))
    assert done.status in {2, 4}
    assert max(map(len, done.err.splitlines())) < 12000


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("scheme", ["docker", "chain-free", "skopeo"])
def test_every_scheme_of_v1_ids_takes_compressed_layers(imgconv, tmp_path, form, scheme):
    for source in ("crane-tarball", "docker29-hybrid-html", "containerd29-export"):
        out = tmp_path / f"{source}-{form.replace('@', '-')}"
        done = imgconv(MATCH / f"{source}.tar.gz", "--to", form, out, "--v1-ids", scheme)
        assert done.status == 0, done.err


@pytest.mark.parametrize("started", [0, 1, 2, 4, 7])
@pytest.mark.parametrize(
    "arguments",
    [["SOURCE", "--to", "oci", "OUT"], ["validate", "SOURCE"], ["inspect", "--verify", "SOURCE"], ["digest", "SOURCE"]],
    ids=lambda words: words[0],
)
def test_threads_that_cannot_be_started_are_4(tmp_path, started, arguments):
    """As where a container's limit of processes is reached."""
    code = (
        "import _thread, sys, threading\n"
        f"real, left = _thread.start_new_thread, [{started}]\n"
        "def start(*arguments, **named):\n"
        "    left[0] -= 1\n"
        '    if left[0] < 0: raise RuntimeError("can\'t start new thread")\n'
        "    return real(*arguments, **named)\n"
        "_thread.start_new_thread = threading._start_new_thread = start\n"
        "if hasattr(threading, '_start_joinable_thread'): threading._start_joinable_thread = start\n"
        "from convert.cli import main; main()\n"
    )
    words = [str(HTML) if word == "SOURCE" else str(tmp_path / "out") if word == "OUT" else word for word in arguments]
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *words, "-j", "4"], capture_output=True, timeout=60, check=False
    )
    assert done.returncode in {0, 1, 4}, done.stderr
    if done.returncode == 4:
        assert b"cannot start a thread" in done.stderr.splitlines()[-1]
        assert b"Traceback" not in done.stderr
        assert os.listdir(tmp_path) == []


# -- any command line -----------------------------------------------------------------------

VALUES = st.sampled_from(
    [
        "", "-", "--", ".", "/", "./x", "no.tar", "A", "LAYOUT", "TEXT", "oci:LAYOUT", "oci:LAYOUT:1", "oci:LAYOUT:@0",
        "oci:LAYOUT:@9", "docker-archive:A", "/dev/null", "/dev/fd/9", "0", "-1", "1", "64K", DIGITS, "oci", "crane",
        "docker-save", "docker-save@25", "docker-oci", "linux/amd64", "a/b/c/d", "\ud800", "\udcff", "é", "a\nb",
        "x" * 300, "sha256:" + "0" * 64, "7873", "fmt-html:1", "full", "keep", "chain-free", "skopeo", "gzip", "zstd-3",
        "none", "docker", "imgconv", "json", "sarif", "%s", "{}", "[bold]", "::x",
    ]
)  # fmt: skip
OPTIONS = st.sampled_from(
    [
        "--to", "--as", "--compress", "--recompress", "--manifest-type", "--v1-ids", "--verify", "--append",
        "--verify-output", "--max-layer-size", "-j", "--jobs", "--force", "--progress", "--json", "-q", "-v", "--image",
        "--platform", "--tag", "--add-repositories", "--engine", "--by", "--files", "--encoders", "--graph", "--format",
        "--manifest", "--help", "--version", "--nothing", "-x",
    ]
)  # fmt: skip
COMMAND_LINES = st.builds(
    lambda first, rest: [*first, *rest],
    st.lists(st.sampled_from(list(COMMANDS)), max_size=1),
    st.lists(OPTIONS | VALUES, max_size=7),
)


def fuzz(imgconv, tmp_path, monkeypatch, arguments):
    words = [word.replace("LAYOUT", "in/layout").replace("TEXT", "in/text") for word in arguments]
    words = [
        "in/a.tar" if word == "A" else word.replace("docker-archive:A", "docker-archive:in/a.tar") for word in words
    ]
    done = imgconv(*words)
    assert done.status in {0, 1, 2, 3, 4}, (words, done)
    assert "Traceback" not in done.err
    assert "internal error" not in done.err


@pytest.fixture
def inputs(imgconv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/a.tar").write_bytes(gzip.decompress(HTML.read_bytes()))
    Path("in/text").write_text("hello\n")
    assert imgconv("in/a.tar", "--to", "oci", "in/layout").status == 0
    null = os.open(os.devnull, os.O_RDONLY)
    kept = os.dup(0)
    os.dup2(null, 0)
    yield
    os.dup2(kept, 0)
    os.close(null)
    os.close(kept)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(COMMAND_LINES)
def test_no_command_line_is_a_bug(imgconv, inputs, tmp_path, monkeypatch, arguments):
    fuzz(imgconv, tmp_path, monkeypatch, arguments)


@pytest.mark.slow
@settings(max_examples=4000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(COMMAND_LINES)
def test_no_command_line_of_many_is_a_bug(imgconv, inputs, tmp_path, monkeypatch, arguments):
    fuzz(imgconv, tmp_path, monkeypatch, arguments)
