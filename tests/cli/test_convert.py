"""`imgconv [convert] SOURCE --to FORMAT DEST`: what is printed, and the exit status."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import threading
from pathlib import Path

import jsonschema
import pytest
from oracle.reading import check, contents, docker_images, files_of, members
from support import COMMAND, MATCH, ROOT, TARS, WRAPPERS, run, tar_of

ID = "sha256:78739f629b263dfbcccf88218563348eb0785077bae8756eca62147ddbd10ee5"
#: testdata/match/archives: the image of docker20-html, its names in the order of the archive.
NAMES = "fmt-html:1 example.com:5000/ns/html:v1 fmt-html:zz"
#: crane's layers in OCI's words: gzip of Go 1.26 at level 1 under the OCI manifest of
#: docs/contract.md#layouts-and-re-created-manifests.
MANIFEST = "sha256:a023c66dcc22bf1fa9e2f40ce6aca21780fbc09bd00b70ad848ff61f0cd021a4"
LINE = f"{NAMES}  {ID}  {MANIFEST}\n"
THREE = "imgconv: wrote 3 names; in skopeo and podman use oci:out:1, oci:out:v1, oci:out:zz\n"
COMMANDS = (
    "imgconv: in crane: select one image, as crane push takes (imgconv out --image NAME --to oci DEST); "
    "in docker: imgconv out --to docker-save - | docker load\n"
)
HERE = ["docker20-html.tar"]


def names_in(folder="."):
    return sorted(os.listdir(folder))


# -- how a command line is read ---------------------------------------------------------


def test_one_line_an_image_and_how_to_address_one_of_several_names(imgconv, archive):
    done = imgconv(archive("docker20-html"), "--to", "oci", "out")
    assert (done.status, done.out, done.err) == (0, LINE, THREE + COMMANDS)
    (image,) = check("out", "oci")
    assert (image.image_id, image.manifest) == (ID, MANIFEST)


@pytest.mark.parametrize(
    "arguments",
    [
        ["SOURCE", "--to", "oci", "out"],
        ["--to", "oci", "SOURCE", "out"],
        ["--to=oci", "SOURCE", "out"],
        ["SOURCE", "out", "--to", "oci"],
        ["convert", "SOURCE", "--to", "oci", "out"],
        ["convert", "--to", "oci", "SOURCE", "out"],
        ["-q", "--jobs", "1", "--to", "oci", "SOURCE", "--force", "out"],
        ["--force", "SOURCE", "--jobs", "2", "out", "--to", "oci", "-q"],
        ["--to", "oci", "--", "SOURCE", "out"],
    ],
    ids=" ".join,
)
def test_positionals_are_source_then_destination_wherever_options_stand(imgconv, archive, arguments):
    source = archive("docker20-html")
    assert imgconv(*[source if each == "SOURCE" else each for each in arguments]).status == 0
    assert names_in() == [source, "out"]
    assert check("out", "oci")[0].manifest == MANIFEST


def test_to_takes_one_value_so_the_source_is_never_overwritten(imgconv, archive):
    """`--to oci a.tar b`: a.tar is the source."""
    source = archive("docker20-html")
    before = Path(source).read_bytes()
    assert imgconv("--to", "crane", source, "b.tar").status == 0
    assert Path(source).read_bytes() == before
    assert imgconv("--to", "crane", "b.tar", source).status == 2
    assert imgconv("--to", "oci", "missing.tar", source).status in {2, 4}
    assert Path(source).read_bytes() == before


@pytest.mark.parametrize("name", ["id", "inspect", "convert"])
def test_a_file_named_like_a_command_is_reached_by_its_folder_or_the_command(imgconv, archive, name):
    os.rename(archive("docker20-html"), name)
    assert imgconv(f"./{name}", "--to", "oci", "a").status == 0
    assert imgconv("convert", name, "--to", "oci", "b").status == 0
    assert imgconv("--to", "oci", name, "c").status == 0
    assert contents("a") == contents("b") == contents("c")


def test_a_destination_named_like_a_command_is_nothing_special(imgconv, archive):
    assert imgconv(archive("docker20-html"), "--to", "oci", "id").status == 0
    assert check("id", "oci")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["SOURCE", "out"], "missing --to FORMAT"),
        (["inspekt", "SOURCE"], "did you mean 'inspect'?"),
        (["SOURCE", "--to", "oci"], "missing DEST"),
        (["SOURCE", "--to", "docker", "out"], "unknown format 'docker'"),
        (["SOURCE", "--to", "OCI", "out"], "unknown format 'OCI'"),
        (["SOURCE", "--to"], "Option '--to' requires an argument"),
        (["SOURCE", "out", "--to", "oci", "--frobnicate"], "No such option '--frobnicate'"),
        (["SOURCE", "out", "--to", "oci", "--jobs", "0"], "--jobs"),
        (["SOURCE", "out", "--to", "oci", "--max-layer-size", "many"], "invalid size 'many'"),
        (["SOURCE", "out", "--to", "oci", "--compress", "brotli"], "unknown compression profile 'brotli'"),
        (["SOURCE", "out", "--to", "oci", "--as", "kaniko"], "unknown pusher 'kaniko'"),
        (["SOURCE", "out", "--to", "oci", "--verify", "no"], "--verify"),
        (["SOURCE", "out", "--to", "oci", "--manifest-type", "v1"], "--manifest-type"),
        (["SOURCE", "out", "--to", "docker-save", "--v1-ids", "mine"], "--v1-ids"),
        (["SOURCE", "out", "--to", "crane", "--append"], "--append adds to an OCI layout folder"),
        (["SOURCE", "-", "--to", "oci"], "a folder cannot go to standard output"),
        (["SOURCE", "-", "--to", "crane", "--verify-output"], "--verify-output needs a result that can be read back"),
        (["SOURCE", "", "--to", "crane"], "DEST is empty"),
        (["", "out", "--to", "crane"], "SOURCE is empty"),
        (["SOURCE", "out", "--to", "oci", "--add-repositories"], "oci has no manifest.json"),
        (["SOURCE", "out", "--to", "oci", "--as", "crane", "--recompress"], "remove --recompress"),
        (["SOURCE", "out", "--to", "oci", "--as", "crane", "--compress", "none"], "remove --compress"),
        (["SOURCE", "out", "--to", "oci", "--as", "crane", "--manifest-type", "oci"], "remove --manifest-type"),
        (["SOURCE", "out", "--to", "crane", "--as", "crane"], "crane carries no manifest"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_met_is_one_line_and_2(imgconv, archive, arguments, message):
    source = archive("docker20-html")
    done = imgconv(*[source if each == "SOURCE" else each for each in arguments])
    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert done.err.startswith("imgconv: ")
    assert done.err.count("\n") == 1
    assert names_in() == HERE


def test_quiet_prints_nothing_and_verbose_what_was_kept(imgconv, archive):
    source = archive("docker20-html")
    assert imgconv(source, "--to", "oci", "a", "-q").err == ""
    done = imgconv("a", "--to", "oci", "b", "-v")
    assert (done.status, done.out) == (0, LINE)
    assert f"imgconv: kept {MANIFEST}\n" in done.err


def meets_schema(report):
    jsonschema.Draft202012Validator(json.loads((ROOT / "schemas/report-convert.json").read_text())).validate(report)


def test_json_lists_what_was_kept_and_created(imgconv, archive):
    imgconv(archive("docker20-html"), "--to", "oci", "a")
    document = imgconv("a", "--to", "oci", "b", "--json").json
    assert document["images"] == [{"names": NAMES.split(), "image_id": ID, "manifest_digest": MANIFEST}]
    assert document["source"] == {"path": "a", "format": "oci", "wrapper": None}
    assert document["destination"] == {"path": "b", "format": "oci"}
    meets_schema(document)
    layers = [layer["digest"] for layer in json.loads(Path("b/blobs/sha256", MANIFEST[7:]).read_text())["layers"]]
    assert (document["kept"], document["made"]) == ([MANIFEST, *layers], [])
    assert (document["changed"], document["left_out"]) == ([], [])
    first = imgconv(archive("docker20-html"), "--to", "oci", "first", "--json").json
    assert [(made["what"], made["digest"]) for made in first["made"]] == [
        *[("layer", digest) for digest in layers],
        ("manifest", MANIFEST),
    ]
    assert first["kept"] == []
    report = imgconv("b", "--to", "oci", "c", "--json", "--recompress", "--compress", "docker").json
    meets_schema(report)
    changed = report["changed"]
    manifests = [each for each in changed if each["what"] == "manifest"]
    assert [(each["from"], each["why"]) for each in manifests] == [(MANIFEST, "--recompress")]
    assert manifests[0]["to"] == check("c", "oci")[0].manifest


def test_a_changed_digest_is_one_line_with_the_reason(imgconv, archive):
    imgconv(archive("docker20-html"), "--to", "oci", "a")
    done = imgconv("a", "--to", "oci", "b", "--manifest-type", "docker")
    new = check("b", "oci")[0].manifest
    assert f"imgconv: manifest {MANIFEST} became {new}: --manifest-type docker\n" in done.err


# -- sources ----------------------------------------------------------------------------


def test_a_missing_source_is_4_and_an_image_name_gets_a_hint(imgconv, archive):
    archive("docker20-html")
    done = imgconv("busybox:1", "--to", "oci", "out")
    hint = "for an image of a local engine: docker save busybox:1 | imgconv - ..."
    assert (done.status, done.out) == (4, "")
    assert done.err == f"imgconv: busybox:1: no such file or folder ({hint})\n"
    done = imgconv("No/Such.TAR", "--to", "oci", "out")
    assert (done.status, done.err) == (4, "imgconv: No/Such.TAR: no such file or folder\n")
    assert names_in() == HERE


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_source_that_may_not_be_read_is_4(imgconv, archive):
    os.chmod(archive("docker20-html"), 0)
    done = imgconv("docker20-html.tar", "--to", "oci", "out")
    assert (done.status, done.err) == (4, "imgconv: docker20-html.tar: opening: Permission denied\n")


def test_what_is_no_image_is_3(imgconv, archive):
    archive("docker20-html")
    Path("text").write_text("hello\n" * 1000)
    Path("empty").write_bytes(b"")
    Path("plain.tar").write_bytes(tar_of({"a": b"1", "b/c": b"2"}))
    os.mkdir("folder")
    for name in ("text", "empty", "plain.tar", "folder", "/dev/null"):
        done = imgconv(name, "--to", "oci", "out")
        assert (done.status, done.out) == (3, ""), name
        assert re.fullmatch(rf"imgconv: {name}: .*\n", done.err), name
    assert "out" not in names_in()


def test_a_folder_as_source_may_be_named_in_any_way(imgconv, archive):
    imgconv(archive("docker20-html"), "--to", "oci", "layout", "-q")
    for number, name in enumerate(["layout/", "./layout", os.path.abspath("layout")]):
        assert imgconv(name, "--to", "oci", f"out{number}").out == LINE
        assert files_of(f"out{number}") == files_of("layout")


def test_skopeos_spellings_are_understood_for_the_source(imgconv, archive):
    source = archive("docker20-multi")
    imgconv(source, "--to", "oci", "layout", "-q")
    imgconv(source, "--to", "oci-archive", "archive", "-q")
    for spelling, given in (
        ("docker-archive", source),
        ("docker-archive", f"{source}:fmt-html:1"),
        ("docker-archive", f"{source}:docker.io/library/fmt-html:1"),
        ("docker-archive", f"{source}:@3"),
        ("oci", "layout:docker.io/library/fmt-html:1"),
        ("oci", "layout:fmt-html:1"),
        ("oci-archive", "archive:fmt-html:1"),
    ):
        done = imgconv(f"{spelling}:{given}", "--to", "docker-save", "out.tar", "--force")
        assert done.status == 0, (given, done.err)
        assert ("fmt-html:1" in done.out) is True
        assert (len(done.out.splitlines()) == 1) is (given != source)
    done = imgconv("oci:layout:nothing:1", "--to", "crane", "x")
    assert (done.status, done.out) == (2, "")
    assert "no image 'nothing:1'" in done.err
    assert imgconv("docker-archive:nothing.tar:a:1", "--to", "crane", "x").status == 4


def test_a_path_that_exists_wins_over_a_spelling(imgconv, archive):
    os.rename(archive("docker20-html"), "oci:layout")
    assert imgconv("oci:layout", "--to", "oci", "out").out == LINE
    os.rename("oci:layout", "busybox:1")
    assert imgconv("busybox:1", "--to", "crane", "out.tar").status == 0


def test_standard_input_plain_and_compressed():
    data = (MATCH / "docker20-html.tar.gz").read_bytes()
    raw = gzip.decompress(data)
    for given in (raw, *(wrap(raw) for wrap in WRAPPERS.values())):
        done = run("-", "--to", "crane", "-", input=given)
        assert done.returncode == 0, done.stderr
        assert [image.image_id for image in docker_images(members(done.stdout))] == [ID]
        *_, line = done.stderr.splitlines()
        assert line == f"{NAMES}  {ID}  -".encode()


def test_standard_input_that_is_a_file_is_read_from_where_it_stands(tmp_path):
    source = tmp_path / "in"
    raw = gzip.decompress((MATCH / "docker20-html.tar.gz").read_bytes())
    source.write_bytes(b"skipped" + raw)
    with source.open("rb") as file:
        os.lseek(file.fileno(), 7, os.SEEK_SET)
        done = run("-", "--to", "crane", tmp_path / "out", stdin=file)
    assert done.returncode == 0, done.stderr
    assert check(tmp_path / "out", "crane")[0].image_id == ID


def test_a_fifo_as_source_and_as_destination(tmp_path):
    raw = gzip.decompress((MATCH / "docker20-html.tar.gz").read_bytes())
    os.mkfifo(tmp_path / "in")
    os.mkfifo(tmp_path / "out")
    writer = threading.Thread(target=(tmp_path / "in").write_bytes, args=(raw,))
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "out").read_bytes()))
    writer.start()
    reader.start()
    done = run(tmp_path / "in", "--to", "docker-save", tmp_path / "out")
    writer.join(20)
    reader.join(20)
    assert done.returncode == 0, done.stderr
    assert docker_images(members(got[0]))[0].image_id == ID


# -- destinations -----------------------------------------------------------------------


@pytest.mark.parametrize("form", ["oci", "crane"])
def test_destination_before_source_is_told_so(imgconv, archive, form):
    source = archive("docker20-html")
    before = Path(source).read_bytes()
    done = imgconv("--to", form, "new", source)
    assert (done.status, done.out) == (2, "")
    assert done.err.endswith("(SOURCE comes before DEST, and new does not exist)\n")
    assert Path(source).read_bytes() == before


def test_an_existing_result_stays_unless_forced(imgconv, archive):
    source = archive("docker20-html")
    imgconv(source, "--to", "oci", "layout", "-q")
    Path("file.tar").write_text("mine")
    for form, name, hint in (
        ("oci", "layout", "--force replaces a layout, --append adds to it"),
        ("crane", "file.tar", "--force replaces it"),
    ):
        before = contents(name)
        done = imgconv(source, "--to", form, name)
        assert (done.status, done.out) == (2, "")
        assert done.err == f"imgconv: {name}: the destination exists already ({hint})\n"
        assert contents(name) == before
        assert imgconv(source, "--to", form, name, "--force").status == 0
        assert check(name, form)


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_force_replaces_only_a_layout_or_a_regular_file(imgconv, archive, force):
    source = archive("docker20-html")
    os.mkdir("folder")
    Path("folder/mine").write_text("mine")
    Path("file").write_text("mine")
    os.symlink("nowhere", "dangling")
    os.mkdir("empty")
    for form, name in (("oci", "folder"), ("oci", "file"), ("crane", "folder"), ("crane", "empty")):
        done = imgconv(source, "--to", form, name, *force)
        assert (done.status, done.out) == (2, ""), (form, name)
        assert done.err.startswith(f"imgconv: {name}: the destination")
    assert Path("folder/mine").read_text() == "mine"
    assert Path("file").read_text() == "mine"
    assert names_in("empty") == []
    assert names_in() == ["dangling", source, "empty", "file", "folder"]


def test_an_empty_folder_is_filled_and_stays_the_same_folder(imgconv, archive):
    source = archive("docker20-html")
    os.mkdir("empty")
    number = os.stat("empty").st_ino
    assert imgconv(source, "--to", "oci", "empty").out == LINE
    assert os.stat("empty").st_ino == number
    imgconv(source, "--to", "oci", "new", "-q")
    assert contents("empty") == contents("new")


def test_a_destination_that_is_or_lies_inside_its_source_is_refused(imgconv, archive):
    source = archive("docker20-html")
    imgconv(source, "--to", "oci", "layout", "-q")
    before = contents("layout")
    os.symlink("layout", "link")
    os.symlink(source, "link.tar")
    for given, form, name in (
        ("layout", "oci", "layout"),
        ("layout", "oci", "link"),
        ("layout", "oci", "layout/blobs/new"),
        ("layout", "crane", "layout/new.tar"),
        ("layout", "crane", "link/new.tar"),
        (source, "crane", source),
        (source, "crane", "link.tar"),
        ("link.tar", "crane", source),
    ):
        done = imgconv(given, "--to", form, name, "--force")
        assert (done.status, done.err) == (2, f"imgconv: {name}: the destination is the source, or is inside it\n")
    assert contents("layout") == before


def test_a_forced_layout_that_holds_its_source_is_refused(imgconv, archive):
    source = archive("docker20-html")
    imgconv(source, "--to", "oci", "layout", "-q")
    os.rename(source, "layout/in.tar")
    done = imgconv("layout/in.tar", "--to", "oci", "layout", "--force")
    assert done.status == 2
    assert os.path.exists("layout/in.tar")


def test_a_symlink_to_a_file_is_replaced_when_forced(imgconv, archive):
    source = archive("docker20-html")
    os.mkdir("elsewhere")
    Path("elsewhere/real.tar").write_text("old")
    os.symlink("elsewhere/real.tar", "link.tar")
    assert imgconv(source, "--to", "crane", "link.tar").status == 2
    assert imgconv(source, "--to", "crane", "link.tar", "--force").status == 0
    assert not os.path.islink("link.tar")
    assert check("link.tar", "crane")
    assert Path("elsewhere/real.tar").read_text() == "old"


def test_a_folder_that_is_not_there_is_4(imgconv, archive):
    done = imgconv(archive("docker20-html"), "--to", "crane", "no/such.tar")
    assert (done.status, done.out) == (4, "")
    assert done.err.startswith("imgconv: no/such.tar: ")
    assert "its folder does not exist" in done.err


def test_results_share_nothing_with_their_source(imgconv, archive):
    """No hard links, and files that may be written to as any new file."""
    imgconv(archive("docker20-html"), "--to", "oci", "a", "-q")
    imgconv("a", "--to", "oci", "b", "-q")
    for path in Path("b").rglob("*"):
        if path.is_file():
            assert path.stat().st_nlink == 1
            assert path.stat().st_ino != (Path("a") / path.relative_to("b")).stat().st_ino
            assert path.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


# -- standard output --------------------------------------------------------------------


def in_terminal(*arguments):
    """Run with a terminal as standard output; return status, what it showed, standard error."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE
    )
    os.close(theirs)
    error = process.communicate(timeout=60)[1]
    shown = b""
    while select.select([ours], [], [], 0)[0]:
        try:
            shown += os.read(ours, 65536)
        except OSError:
            break
    os.close(ours)
    return process.returncode, shown, error


@pytest.mark.parametrize("form", TARS)
def test_an_archive_never_goes_to_a_terminal(form):
    status, shown, error = in_terminal(MATCH / "docker20-html.tar.gz", "--to", form, "-")
    hint = "redirect it, or name a file as DEST"
    assert (status, shown, error) == (2, b"", f"imgconv: standard output is a terminal ({hint})\n".encode())


def test_dev_stdout_is_a_terminal_too():
    status, shown, _ = in_terminal(MATCH / "docker20-html.tar.gz", "--to", "crane", "/dev/stdout")
    assert (status, shown) == (2, b"")


@pytest.mark.parametrize("option", [["--to", "crane", "-"], ["--add-repositories", "-"]])
def test_a_reader_that_goes_away_ends_it_quietly(tmp_path, option):
    raw = gzip.decompress((MATCH / "docker20-multi.tar.gz").read_bytes())
    (tmp_path / "in.tar").write_bytes(raw)
    ours, theirs = os.pipe()
    os.close(ours)
    done = run(tmp_path / "in.tar", *option, stdout=theirs)
    os.close(theirs)
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr
    assert b"roken pipe" not in done.stderr


def test_a_closed_standard_output_of_the_result_lines_ends_quietly(tmp_path):
    ours, theirs = os.pipe()
    os.close(ours)
    done = run(MATCH / "docker20-import.tar.gz", "--to", "oci", tmp_path / "out", stdout=theirs)
    os.close(theirs)
    assert done.returncode == 141
    assert all(line.startswith(b"imgconv: ") for line in done.stderr.splitlines())
    assert b"rror" not in done.stderr


def test_standard_streams_that_are_closed_from_the_start_are_no_traceback(tmp_path):
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *COMMAND]
    arguments = [str(MATCH / "docker20-html.tar.gz"), "--to", "oci", str(tmp_path / "out")]
    done = subprocess.run([*closed, *arguments], check=False)
    assert done.returncode == 4
    done = subprocess.run([*closed, "-", "--to", "oci", str(tmp_path / "other")], check=False)
    assert done.returncode in {3, 4}


def test_json_goes_to_standard_error_where_the_archive_goes_to_the_other():
    done = run(MATCH / "docker20-html.tar.gz", "--to", "docker-save", "-", "--json")
    assert json.loads(done.stderr)["images"][0]["image_id"] == ID
    assert docker_images(members(done.stdout))[0].image_id == ID


def test_interrupt_is_130_and_leaves_nothing(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "-", "--to", "oci", str(tmp_path / "out")], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdin.write(gzip.decompress((MATCH / "docker20-html.tar.gz").read_bytes())[:20000])
    process.stdin.flush()
    while not os.listdir(tmp_path):
        select.select([], [], [], 0.01)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert error.strip() == b""
    assert os.listdir(tmp_path) == []


# -- selecting ----------------------------------------------------------------------------


@pytest.fixture
def multi(archive):
    """Seven images; fmt-html:1 is one of them."""
    return archive("docker20-multi")


@pytest.mark.parametrize(
    "selector",
    [
        "fmt-html:1",
        "docker.io/library/fmt-html:1",
        "index.docker.io/library/fmt-html:1",
        "fmt-html",
        ID,
        ID[7:],
        "7873",
    ],
)
def test_one_image_is_picked_by_name_id_or_prefix(imgconv, multi, selector):
    """A name without tag means `latest`, or the only tag there is."""
    done = imgconv(multi, "--image", selector, "--to", "docker-save", "out.tar")
    assert (done.status, done.out) == (0, f"fmt-html:1  {ID}  -\n")
    assert [(image.image_id, image.names) for image in check("out.tar", "docker-save")] == [(ID, ["fmt-html:1"])]


def test_several_images_keep_the_order_of_the_source(imgconv, multi):
    whole = [line.split("  ")[0] for line in imgconv(multi, "--to", "docker-save", "a").out.splitlines()]
    assert len(whole) == 7
    picked = ["--image", "fmt-imp:1", "--image", "fmt-html:1"]
    some = [line.split("  ")[0] for line in imgconv(multi, *picked, "--to", "docker-save", "b").out.splitlines()]
    assert some == [name for name in whole if name in {"fmt-imp:1", "fmt-html:1"}]


def test_only_the_names_asked_for_stay(imgconv, archive):
    source = archive("docker20-html")
    done = imgconv(source, "--image", "fmt-html:zz", "--image", "fmt-html:1", "--to", "docker-save", "out.tar")
    assert done.out == f"fmt-html:1 fmt-html:zz  {ID}  -\n"
    assert imgconv(source, "--image", ID, "--to", "crane", "all.tar").out == f"{NAMES}  {ID}  -\n"


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("nothing:1", "no image 'nothing:1' in the source (it holds fmt-scr:1"),
        ("fmt-imp", "no image 'fmt-imp' in the source"),
        ("787", "no image '787' in the source"),
        ("sha256:" + "0" * 64, "no image 'sha256:000"),
        ("SHA256:7873", "no image 'SHA256:7873'"),
        ("", "no image ''"),
    ],
)
def test_a_selector_that_fits_nothing_lists_what_is_there(imgconv, multi, selector, message):
    done = imgconv(multi, "--image", selector, "--to", "docker-save", "out.tar")
    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert done.err.startswith(f"imgconv: {multi}: ")
    assert names_in() == [multi]


def test_the_exact_ref_name_wins_over_a_reference(imgconv, archive):
    imgconv(archive("docker20-html"), "--to", "oci", "layout", "-q")
    assert imgconv("layout", "--image", "zz", "--to", "crane", "out.tar").out.startswith("fmt-html:zz  ")
    assert imgconv("layout", "--image", MANIFEST, "--to", "crane", "b.tar").status == 0
    assert imgconv("layout", "--image", f"fmt-html@{MANIFEST}", "--to", "crane", "c.tar").status == 0
    assert imgconv("layout", "--image", MANIFEST[7:12], "--to", "crane", "d.tar").status == 0


@pytest.fixture
def index(archive):
    """mp:1: an index with linux/amd64, an attestation, and platforms that are absent."""
    return archive("containerd29-export-multiplatform")


def test_one_platform_gives_the_child_without_its_index(imgconv, index):
    done = imgconv(index, "--platform", "linux/amd64", "--to", "oci", "out")
    assert done.status == 0, done.err
    (entry,) = json.loads(files_of("out")["index.json"])["manifests"]
    assert "index" not in entry["mediaType"]
    assert "list" not in entry["mediaType"]
    (image,) = check("out", "oci")
    assert entry["digest"] == image.manifest


def test_a_childs_digest_picks_that_platform(imgconv, index):
    imgconv(index, "--platform", "linux/amd64", "--to", "oci", "out", "-q")
    (image,) = check("out", "oci")
    for number, selector in enumerate([image.manifest, image.image_id, image.image_id[7:19]]):
        assert imgconv(index, "--image", selector, "--to", "oci", f"out{number}", "-q").status == 0
        assert contents(f"out{number}") == contents("out")


@pytest.mark.parametrize(
    ("platform", "message"),
    [
        ("linux/s390x", "mp:1 has no image for linux/s390x (platforms in the source: "),
        ("linux", "'linux' is not a platform (give OS/ARCH or OS/ARCH/VARIANT"),
        ("linux/amd64/v1/x", "is not a platform"),
        ("", "'' is not a platform"),
        ("unknown/unknown", "mp:1 has no image for unknown/unknown"),
    ],
)
def test_platforms_that_are_not_there_or_none_at_all_are_2(imgconv, index, platform, message):
    done = imgconv(index, "--platform", platform, "--to", "oci", "out")
    assert (done.status, done.out) == (2, "")
    assert message in done.err
    assert names_in() == [index]


def test_several_platforms_make_a_new_index(imgconv, archive):
    """Put together of two images, as no archive of testdata holds two platforms."""
    source = two_platforms(archive("docker20-html"))
    for form in ("docker-save", "docker-save@25", "docker-save@29", "crane"):
        done = imgconv(source, "--to", form, "out")
        assert (done.status, done.out) == (2, "")
        assert "several platforms (linux/amd64, linux/arm64" in done.err
        assert "(pick one with --platform)" in done.err
        assert imgconv(source, "--platform", "linux/arm64", "--to", form, f"{form}.tar").status == 0
        assert len(check(f"{form}.tar", form)) == 1
    done = imgconv(source, "--platform", "linux/amd64", "--platform", "linux/arm64/v8", "--to", "oci", "both")
    assert done.status == 0, done.err
    (entry,) = json.loads(files_of("both")["index.json"])["manifests"]
    assert entry["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert len(check("both", "oci")) == 2
    assert imgconv(source, "--to", "oci", "all", "-q").status == 0
    assert len(check("all", "oci")) == 2


def two_platforms(source):
    """Return a layout folder whose one entry is an index of amd64, arm64 and an absent s390x."""
    from convert import convert

    convert(source, "one", to="oci", tags=["app:1"])
    folder = Path("one")
    index = json.loads((folder / "index.json").read_bytes())
    entry = index["manifests"][0]

    def put(data):
        digest = hashlib.sha256(data).hexdigest()
        (folder / "blobs/sha256" / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    manifest = json.loads((folder / "blobs/sha256" / entry["digest"][7:]).read_bytes())
    config = json.loads((folder / "blobs/sha256" / manifest["config"]["digest"][7:]).read_bytes())
    config |= {"architecture": "arm64", "variant": "v8"}
    manifest["config"] |= put(json.dumps(config).encode())
    kind = entry["mediaType"]
    children = [
        {"mediaType": kind, "digest": entry["digest"], "size": entry["size"], "platform": platform("amd64")},
        {"mediaType": kind, **put(json.dumps(manifest).encode()), "platform": platform("arm64", variant="v8")},
        {"mediaType": kind, "digest": "sha256:" + "1" * 64, "size": 9, "platform": platform("s390x")},
    ]
    kind = "application/vnd.oci.image.index.v1+json"
    made = {"schemaVersion": 2, "mediaType": kind, "manifests": children}
    index["manifests"] = [{"mediaType": kind, **put(json.dumps(made).encode()), "annotations": entry["annotations"]}]
    (folder / "index.json").write_text(json.dumps(index))
    return "one"


def platform(architecture, **more):
    return {"architecture": architecture, "os": "linux", **more}


def test_a_platform_that_the_index_names_without_having_it_is_2(imgconv, archive):
    done = imgconv(two_platforms(archive("docker20-html")), "--platform", "linux/s390x", "--to", "oci", "out")
    assert (done.status, done.out) == (2, "")
    assert "linux/s390x" in done.err
    assert "not in the source" in done.err


def test_a_present_child_that_lacks_a_blob_is_3(imgconv, archive):
    source = two_platforms(archive("docker20-html"))
    layers = sorted(Path(source, "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    os.unlink(next(path for path in layers if path.read_bytes().startswith(b"\x1f\x8b")))
    done = imgconv(source, "--to", "oci", "out")
    assert (done.status, done.out) == (3, "")
    assert "is missing" in done.err


# -- names --------------------------------------------------------------------------------


def test_tags_replace_all_names(imgconv, archive):
    source = archive("docker20-html")
    done = imgconv(source, "--tag", "a", "--tag", "example.com:5000/b/c:2", "--tag", "a:latest", "--to", "crane", "out")
    assert (done.status, done.out) == (0, f"a:latest example.com:5000/b/c:2  {ID}  -\n")
    assert check("out", "crane")[0].names == ["a:latest", "example.com:5000/b/c:2"]


def test_tags_of_several_images_are_refused(imgconv, multi):
    done = imgconv(multi, "--tag", "a:1", "--to", "oci", "out")
    assert (done.status, done.out) == (2, "")
    assert "--tag names one image, and 7 are selected (pick one with --image)" in done.err
    assert imgconv(multi, "--tag", "a:1", "--image", "fmt-html:1", "--to", "oci", "out").status == 0


@pytest.mark.parametrize("name", ["UPPER:1", "a b", "a:", "-a", "a@" + ID, "sha256:7873", "", "a:" + "x" * 129, ID[7:]])
def test_tags_follow_dockers_rules(imgconv, archive, name):
    done = imgconv(archive("docker20-html"), "--tag", name, "--to", "oci", "out")
    if name == "sha256:7873":
        assert done.status == 0  # a repository called sha256, as Docker has it
        return
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("imgconv: --tag ")
    assert names_in() == HERE


def test_references_are_normalised_and_shown_familiarly(imgconv, archive):
    imgconv(archive("docker20-html"), "--tag", "busybox", "--to", "oci", "out", "-q")
    (entry,) = json.loads(files_of("out")["index.json"])["manifests"]
    assert entry["annotations"] == {
        "io.containerd.image.name": "docker.io/library/busybox:latest",
        "org.opencontainers.image.ref.name": "latest",
    }
    assert imgconv("out", "--to", "docker-save", "out.tar").out.startswith("busybox:latest  ")


def test_a_repotag_without_tag_reads_as_latest_with_a_warning(imgconv, archive):
    def bare(name, data):
        return data.replace(b'"fmt-html:zz"', b'"fmt-html"') if name == "manifest.json" else data

    source = archive("docker20-html", bare)
    done = imgconv(source, "--to", "crane", "out.tar")
    assert done.status == 0
    assert "RepoTag 'fmt-html' has no tag; read as fmt-html:latest\n" in done.err
    assert "fmt-html:latest" in check("out.tar", "crane")[0].names


def test_a_ref_name_that_is_only_a_tag_leaves_docker_targets_untagged(imgconv, archive):
    imgconv(archive("docker20-html"), "--to", "oci", "layout", "--image", "fmt-html:1", "-q")
    index = json.loads(Path("layout/index.json").read_bytes())
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "only-a-tag"}
    Path("layout/index.json").write_text(json.dumps(index))
    for form in ("docker-save", "docker-save@25", "docker-oci", "crane"):
        done = imgconv("layout", "--to", form, form)
        assert done.status == 0
        assert len([line for line in done.err.splitlines() if " only-a-tag: " in line and "--tag" in line]) == 1
        assert [image.names for image in docker_images(files_of(form))] == [[]]
        assert imgconv("layout", "--tag", "a:1", "--to", form, form, "--force").status == 0
        assert [image.names for image in docker_images(files_of(form))] == [["a:1"]]


def test_one_name_on_two_images_is_2_for_docker_and_stays_in_layouts(imgconv, multi):
    imgconv(multi, "--image", "fmt-html:1", "--image", "fmt-imp:1", "--to", "oci", "layout", "-q")
    index = json.loads(Path("layout/index.json").read_bytes())
    for entry in index["manifests"]:
        entry["annotations"] = index["manifests"][0]["annotations"]
    Path("layout/index.json").write_text(json.dumps(index))
    for form in ("docker-save", "docker-save@25", "docker-oci", "crane"):
        done = imgconv("layout", "--to", form, "out")
        assert (done.status, done.out) == (2, "")
        assert "name fmt-html:1 stands for two images" in done.err
        assert imgconv("layout", "--image", ID, "--to", form, form).status == 0
    assert imgconv("layout", "--to", "oci", "kept", "-q").status == 0
    assert files_of("kept")["index.json"].count(b"docker.io/library/fmt-html:1") >= 2


def test_control_characters_of_a_source_are_never_printed_raw(imgconv, archive):
    imgconv(archive("docker20-html"), "--to", "oci", "layout", "--image", "fmt-html:1", "-q")
    index = json.loads(Path("layout/index.json").read_bytes())
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "a\x1b[2J\r\nb\u202e\x07"}
    Path("layout/index.json").write_text(json.dumps(index))
    for form in ("oci", "crane", "docker-oci"):
        done = imgconv("layout", "--to", form, form)
        assert done.status == 0
        assert "\x1b" not in done.out + done.err
        assert "\r" not in done.out + done.err
        assert "\u202e" not in done.out + done.err
        assert "\\x1b[2J" in done.out + done.err
    done = imgconv("layout", "--image", "x\x1b[1m", "--to", "crane", "y")
    assert done.status == 2
    assert "\x1b" not in done.err
    done = imgconv("no\x1b[2J\nsuch", "--to", "oci", "y")
    assert (done.status, done.err) == (4, 'imgconv: "no\\x1b[2J\\nsuch": no such file or folder\n')


# -- v1 IDs -------------------------------------------------------------------------------

#: Docker's scheme for docker20-html (docs/formats.md#identifiers).
DOCKER_V1 = [
    "d87fce61b59ba2c6fea46297c5703a18280f8503eab476cab40e42882f718a37",
    "29f4f89b671130112bc8988a31eae7d685ef8d4707ce8644eba1d7543820dcfa",
    "d7884205ab1bf589e8202adb2cae735555acb3affe2231227e5fa673760022bb",
]


def v1_ids(path):
    (image,) = check(path, "docker-save")
    return image.v1_ids


def test_v1_ids_follow_dockers_scheme_by_default(imgconv, archive):
    source = archive("docker20-html")
    for number, option in enumerate([[], ["--v1-ids", "docker"], ["--v1-ids", "keep"]]):
        assert imgconv(source, "--to", "docker-save", f"{number}", *option, "-q").status == 0
        assert v1_ids(f"{number}") == DOCKER_V1


def test_v1_ids_of_skopeo_and_of_go_containerregistry_are_those_that_they_write(imgconv, archive):
    """Against archives that skopeo and `crane pull --format=legacy` wrote of that image."""
    for name, scheme, more in (
        ("skopeo-docker-archive", "skopeo", []),
        ("ggcr-legacy", "chain-free", ["--compress", "crane"]),
    ):
        source = archive(name)
        files = files_of(source)
        written = {each.partition("/")[0] for each in files if each.endswith("/VERSION")}
        assert imgconv(source, "--to", "docker-save", name, "--v1-ids", scheme, *more, "-q").status == 0
        ours = set(v1_ids(name))
        assert ours
        if scheme == "skopeo":
            assert ours == written
        assert imgconv(source, "--to", "docker-save", f"{name}-kept", "--v1-ids", "keep", "-q").status == 0
        assert set(v1_ids(f"{name}-kept")) == written


def test_where_the_source_has_no_v1_ids_to_keep_they_are_dockers(imgconv, archive):
    source = archive("crane-tarball")
    imgconv(source, "--to", "docker-save", "kept", "--v1-ids", "keep", "-q")
    imgconv(source, "--to", "docker-save", "docker", "-q")
    assert contents("kept") == contents("docker")


def test_chain_free_v1_ids_follow_the_profile(imgconv, archive):
    source = archive("docker20-html")
    seen = set()
    for profile in ("crane", "crane@go1.27", "docker"):
        imgconv(source, "--to", "docker-save", profile, "--v1-ids", "chain-free", "--compress", profile, "-q")
        seen.add(tuple(v1_ids(profile)))
    assert len(seen) == 3


# -- layers -------------------------------------------------------------------------------


def test_layers_larger_than_the_limit_are_refused(imgconv, archive):
    source = archive("docker20-html")
    done = imgconv(source, "--to", "oci", "out", "--max-layer-size", "1K")
    assert (done.status, done.out) == (3, "")
    assert re.fullmatch(
        rf"imgconv: {source}: [0-9a-f]{{64}}/layer\.tar: unpacks to more than 1024 bytes "
        r"\(--max-layer-size raises the limit\)\n",
        done.err,
    )
    assert imgconv(source, "--to", "oci", "out", "--max-layer-size", "64K").status == 0


@pytest.mark.parametrize("profile", ["crane", "docker", "go1.26-9", "go1.27-1", "zstd", "zstd-19", "none"])
def test_every_kind_of_compression_reads_back(imgconv, archive, profile):
    source = archive("docker20-html")
    assert imgconv(source, "--to", "oci", "out", "--compress", profile, "-q", "--verify-output").status == 0
    (image,) = check("out", "oci")
    assert image.image_id == ID
    suffix = {"zstd": "tar+zstd", "zstd-19": "tar+zstd", "none": "tar"}.get(profile, "tar+gzip")
    manifest = json.loads(files_of("out")["blobs/" + image.manifest.replace(":", "/")])
    assert {layer["mediaType"] for layer in manifest["layers"]} == {f"application/vnd.oci.image.layer.v1.{suffix}"}


def test_zstd_layers_have_no_docker_manifest(imgconv, archive):
    done = imgconv(archive("docker20-html"), "--to", "oci", "out", "--compress", "zstd", "--manifest-type", "docker")
    assert (done.status, done.out) == (2, "")
    assert "zstd" in done.err
    assert names_in() == HERE


def test_full_verification_finds_a_diff_id_that_a_kept_layer_does_not_have(imgconv, archive):
    """The blob is what the manifest says, and not what the config says."""
    imgconv(archive("docker20-html"), "--to", "oci", "layout", "--image", "fmt-html:1", "-q")
    folder = Path("layout")
    index = json.loads((folder / "index.json").read_bytes())
    (entry,) = index["manifests"]
    manifest = json.loads((folder / "blobs/sha256" / entry["digest"][7:]).read_bytes())
    config = (folder / "blobs/sha256" / manifest["config"]["digest"][7:]).read_bytes()
    lie = config.replace(json.loads(config)["rootfs"]["diff_ids"][1].encode(), b"sha256:" + b"a" * 64)
    for part, data in ((manifest["config"], lie), (entry, None)):
        raw = data or json.dumps(manifest).encode()
        part |= {"digest": "sha256:" + hashlib.sha256(raw).hexdigest(), "size": len(raw)}
        (folder / "blobs/sha256" / part["digest"][7:]).write_bytes(raw)
    (folder / "index.json").write_text(json.dumps(index))
    assert imgconv("layout", "--to", "oci", "kept", "-q").status == 0
    for options in (["--to", "oci", "--verify", "full"], ["--to", "docker-save"], ["--to", "oci", "--recompress"]):
        done = imgconv("layout", *options, "out")
        assert (done.status, done.out) == (3, "")
        assert "expected sha256:aaaa" in done.err
        assert "out" not in names_in()
