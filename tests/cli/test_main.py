"""What every command's end looks like, and what starts which."""

from __future__ import annotations

import gzip
import importlib
import re
import subprocess
import sys

import pytest
from support import COMMAND, MATCH, ROOT, run

import convert
from convert.cli.main import COMMANDS

main_module = importlib.import_module("convert.cli.main")  # the package's own `main` is a function


def test_version_and_help_go_to_standard_output(imgconv):
    done = imgconv("--version")
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(r"imgconv \d+\.\d+\.\d+\n", done.out)
    for arguments in (["--help"], ["-h"], *([name, "--help"] for name in COMMANDS)):
        done = imgconv(*arguments)
        assert (done.status, done.err) == (0, "")
        assert done.out.startswith("Usage: imgconv")
        assert "\\b" not in done.out  # click's mark for lines that stay as they are


def test_python_m_convert_is_the_same_command(tmp_path):
    def module(*arguments):
        return subprocess.run(
            [sys.executable, "-P", "-m", "convert", *map(str, arguments)], capture_output=True, check=False
        )

    for arguments in (["--version"], ["id", MATCH / "docker20-html.tar.gz"], ["id", tmp_path / "absent"], ["--help"]):
        by_module, by_script = module(*arguments), run(*arguments)
        assert (by_module.returncode, by_module.stdout, by_module.stderr) == (
            by_script.returncode,
            by_script.stdout,
            by_script.stderr,
        )


def test_the_package_states_its_version(imgconv):
    assert imgconv("--version").out == f"imgconv {convert.__version__}\n"
    assert "__version__" in dir(convert)


def test_no_arguments_show_the_help(imgconv):
    done = imgconv()
    assert done.status in {0, 2}
    assert "Usage: imgconv" in done.out + done.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_needs_a_source_in_one_line(imgconv, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name == "profiles":
        return
    done = imgconv(name)
    assert (done.status, done.out) == (2, "")
    assert re.fullmatch(r"imgconv: [Mm]issing [^\n]+ --help [^\n]+\n", done.err)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_status_2_for_an_option_it_does_not_know(imgconv, name):
    done = imgconv(name, "--no-such-option")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("imgconv: No such option '--no-such-option'")
    assert done.err.count("\n") == 1


def arguments_of(name, source, folder):
    """Return the arguments with which a command reads one source."""
    (folder / "m").write_text("{}")
    others = {
        "diff": [source],
        "match": [folder / "m"],
        "export": [folder / "out.tar"],
        "tag": ["example.com/app:2"],
        "untag": ["example.com/app:1"],
    }
    return [source, *others.get(name, [])]


#: What reads one source and ends with its error: batch writes a row.
READING = [each for each in COMMANDS if each not in {"batch", "completion", "convert", "profiles"}]


@pytest.mark.parametrize("name", READING)
def test_every_command_has_status_4_for_a_source_that_is_not_there(imgconv, name, tmp_path):
    done = imgconv(name, *arguments_of(name, "no.tar", tmp_path))
    assert (done.status, done.out) == (4, "")
    assert "no such file or folder" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("name", READING)
def test_every_command_has_status_3_for_what_is_no_image(imgconv, name, tmp_path):
    (tmp_path / "text").write_text("hello\n" * 500)
    done = imgconv(name, *arguments_of(name, tmp_path / "text", tmp_path))
    assert done.status == 3
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["diff", "digest", "inspect"])
def test_an_image_that_is_not_there_is_said_of_the_source(imgconv, name):
    source = MATCH / "docker20-html.tar.gz"
    done = imgconv(name, source, *([source] if name == "diff" else []), "--image", "nope")
    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines()[-1].startswith(f"imgconv: {source}: no image 'nope' in the source (it holds ")


def test_a_traceback_only_with_debug(imgconv):
    done = run("nothing.tar", "--to", "oci", "out")
    assert (done.returncode, done.stderr.count(b"\n")) == (4, 1)
    done = run("nothing.tar", "--to", "oci", "out", "--debug")
    assert b"Traceback" in done.stderr


def test_a_bug_is_one_line_and_never_status_1(imgconv, monkeypatch):
    """Status 1 says "the answer is no", which scripts believe."""

    def broken(_):
        raise ZeroDivisionError("oh\x1b[2J")

    monkeypatch.setattr(main_module, "_command", broken)
    done = imgconv("id", "x")
    assert done.status == 70
    assert (
        done.err == "imgconv: internal error: ZeroDivisionError: oh\\x1b[2J (a bug in imgconv; --debug shows where)\n"
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
        (OSError(28, "No space left"), 4),
        (MemoryError(), 4),
        (ImportError("libz.so.1: failed to map"), 4),
    ],
)
def test_what_the_system_does_to_it_has_a_status(imgconv, monkeypatch, error, status):
    def ended(_):
        raise error

    monkeypatch.setattr(main_module, "_command", ended)
    assert imgconv("id", "x").status == status


@pytest.mark.parametrize("command", ["--version", "--help", "id", "inspect", "digest", "profiles"])
def test_printing_to_a_standard_output_that_is_closed_is_an_error(plain_tar, command):
    """The system gives the number 1 to the first file that is opened; what is printed must not get there."""
    arguments = [command, *([str(plain_tar)] if command in {"id", "inspect", "digest"} else [])]
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND]
    done = subprocess.run([*closed, *arguments], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1].startswith("imgconv: ")
    assert "Traceback" not in done.stderr


#: What the command line itself needs, below `convert`.
START_IMPORTS = {
    "cancel",
    "errors",
    "limits",
    "archive",
    "archive.stream_sink",
    "cli",
    "cli.commands",
    "cli.groups",
    "cli.main",
    "cli.signals",
}
#: What `id` needs besides to read `manifest.json` of an uncompressed tar.
ID_IMPORTS = START_IMPORTS | {
    "cli.id_",
    "cli.options",
    "cli.values",
    "commands",
    "commands.common",
    "commands.identify",
    "diagnostics",
    "archive.blob",
    "archive.cursor",
    "archive.go_tar",
    "archive.member",
    "archive.not_a_tar",
    "archive.open",
    "archive.tar_header",
    "archive.tar_reader",
    "archive.tar_tree",
    "archive.transport",
    "archive.tree",
    "codec",
    "codec.compression",
    "codec.sniff",
    "identity",
    "identity.engine_id",
    "jsonio",
    "jsonio.go_values",
    "jsonio.strict",
    "model",
    "model.blob",
    "model.config",
    "model.descriptor",
    "model.digest",
    "model.image",
    "model.image_set",
    "model.mediatype",
    "model.platform",
    "model.reference",
    "model.walk",
    "reader",
    "reader.detect",
    "reader.dir_layout",
    "reader.docker_archive",
    "reader.document",
    "reader.fields",
    "reader.layer_count",
    "reader.shared_documents",
    "reader.sink",
    "reader.v1_directories",
}
#: Libraries and parts of Python that are slow to import.
SLOW = {"asyncio", "concurrent", "hypothesis", "isal", "jsonschema", "rich", "zstandard"}


@pytest.fixture(scope="module")
def plain_tar(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "image.tar"
    path.write_bytes(gzip.decompress((MATCH / "docker20-html.tar.gz").read_bytes()))
    return path


@pytest.mark.parametrize(("arguments", "allowed"), [(["--version"], START_IMPORTS), (["id"], ID_IMPORTS)])
def test_starting_up_imports_no_more_than_it_needs(plain_tar, arguments, allowed):
    """Every module costs start-up time: import what only some runs need in the function that needs it."""
    words = [*arguments, *([str(plain_tar)] if arguments == ["id"] else [])]
    code = f"import sys; from convert.cli.main import run; run({words!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    *printed, last = done.stdout.splitlines()
    assert len(printed) == 1
    imported = set(last.split())
    assert {name.removeprefix("convert.") for name in imported if name.startswith("convert.")} <= allowed
    assert not imported & SLOW


def test_no_secret_environment_changes_results(tmp_path):
    done = run(
        MATCH / "docker20-html.tar.gz",
        "--to",
        "oci",
        tmp_path / "out",
        env={"CONVERT_TO": "crane", "IMGCONV_TO": "crane", "IMGCONV_JOBS": "0", "PATH": "/nonexistent"},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "oci-layout").is_file()


def test_the_api_is_what_the_command_runs(tmp_path):
    source = MATCH / "docker20-html.tar.gz"
    convert.convert(str(source), tmp_path / "api.tar", to="crane")
    assert run(source, "--to", "crane", tmp_path / "cli.tar").returncode == 0
    assert (tmp_path / "api.tar").read_bytes() == (tmp_path / "cli.tar").read_bytes()
