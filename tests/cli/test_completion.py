"""Completion, asked directly and with the Tab key of real shells."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import textwrap
import time

import pytest
from support import COMMAND

from convert.cli import completion
from convert.cli.commands import COMMANDS
from convert.codec.profile import all_profiles
from convert.identity.push.pushers import PUSHERS
from convert.writer.registry import TARGETS

SHELLS = ("bash", "zsh", "fish")
#: Seconds until a shell must have answered, on a busy machine too.
PATIENCE = 60
ESCAPES = re.compile(
    r"\x1b\[[0-9;?>=]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b[=>]|[\x0e\x0f]"
)

PUSHER_NAMES = {name for pusher in PUSHERS for name in (pusher.name, *pusher.aliases)}
PROFILE_NAMES = {name for profile in all_profiles() for name in (profile.name, *profile.aliases)}


def answers(line):
    words = completion.split(line)
    return {(item.type, item.value) for item in completion.candidates(words[1:])}


def values(line):
    return {value for kind, value in answers(line) if kind == "plain"}


# -- what is offered -------------------------------------------------------------------


def test_the_first_word_is_a_command_or_a_file():
    assert values("imgconv ") == set(COMMANDS)
    assert ("file", "") in answers("imgconv ")
    assert values("imgconv di") == {name for name in COMMANDS if name.startswith("di")}


@pytest.mark.parametrize("start", ["imgconv image.tar", "imgconv convert image.tar", "imgconv - --force"])
@pytest.mark.parametrize(
    ("option", "words"), [("--to", set(TARGETS)), ("--as", PUSHER_NAMES), ("--compress", PROFILE_NAMES)]
)
def test_values_that_convert_knows(start, option, words):
    assert values(f"{start} {option} ") == words
    some = {word for word in words if word.startswith("c")}
    assert values(f"{start} {option} c") == some
    assert values(f"{start} {option}=c") == {f"{option}={word}" for word in some}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("imgconv validate x --format ", {"text", "json", "github", "sarif", "markdown"}),
        ("imgconv x --v1-ids ", {"docker", "chain-free", "skopeo", "keep"}),
        ("imgconv x --verify f", {"full"}),
        ("imgconv x --manifest-type ", {"oci", "docker", "keep"}),
        ("imgconv id x --engine docker", {"docker", "docker-containerd"}),
        ("imgconv digest x --as crane", {"crane", "crane@go1.26", "crane@go1.27"}),
        ("imgconv match a b --to oci-", {"oci-archive"}),
        ("imgconv diff a b --by d", {"digest"}),
        ("imgconv x --platform linux/arm/", {"linux/arm/v7", "linux/arm/v6"}),
        ("imgconv completion ", {"bash", "zsh", "fish"}),
        ("imgconv validate --verb", {"--verbose"}),
        ("imgconv --vers", {"--version"}),
        ("imgconv --to oci --app", {"--append"}),
        ("imgconv doctor x --for docker", {"docker", "docker-containerd"}),
        ("imgconv doctor x --for kind,pod", {"kind,podman"}),
        ("imgconv doctor x --for=kind,pod", {"--for=kind,podman"}),
        ("imgconv x --image ", set()),
        ("imgconv x --no-such-option ", set()),
    ],
)
def test_values_and_options(line, words):
    assert values(line) == words


@pytest.mark.parametrize(
    "line",
    [
        "imgconv x",
        "imgconv --to oci ",
        "imgconv x --to oci ",
        "imgconv id ",
        "imgconv validate a b ",
        "imgconv match a ",
        "imgconv match a b --to oci ",
        "imgconv diff a ",
        "imgconv inspect x --graph ",
        "imgconv digest x --manifest ",
    ],
)
def test_files_are_left_to_the_shell(line):
    assert {kind for kind, _ in answers(line)} >= {"file"}


@pytest.mark.parametrize("line", ["imgconv id a ", "imgconv diff a b ", "imgconv x --jobs ", "imgconv profiles "])
def test_no_files_where_none_belongs(line):
    assert not answers(line)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("imgconv", ["imgconv"]),
        ("imgconv ", ["imgconv", ""]),
        ("imgconv 'a b' c", ["imgconv", "a b", "c"]),
        ("imgconv 'a b", ["imgconv", "a b"]),
        (r"imgconv a\ b", ["imgconv", "a b"]),
        ('imgconv "" ', ["imgconv", "", ""]),
        ("imgconv --to=o", ["imgconv", "--to=o"]),
    ],
)
def test_lines_are_split_as_shells_do(line, words):
    assert completion.split(line) == words


def test_a_script_is_printed_for_each_shell_and_no_other(imgconv):
    for shell in SHELLS:
        done = imgconv("completion", shell)
        assert (done.status, done.err) == (0, "")
        assert "--line" in done.out
    done = imgconv("completion", "zhs")
    assert done.status == 2
    assert "zsh" in done.err


def test_an_answer_needs_nothing_that_reads_archives():
    code = (
        "import sys; from convert.cli.main import run; run(['completion', 'bash', '--line', 'imgconv x --to ']);"
        "print(sorted({'isal', 'zstandard', 'rich', 'jsonschema', 'convert.reader'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# -- real shells -----------------------------------------------------------------------


class Shell:
    """An interactive shell behind a terminal."""

    def __init__(self, command, environment, folder):
        self._leader, follower = pty.openpty()
        self._process = subprocess.Popen(
            command,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env=environment,
            cwd=folder,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - fish needs a controlling terminal
        )
        os.close(follower)
        self._seen = ""

    def send(self, text):
        os.write(self._leader, text.encode())

    def until(self, pattern):
        """Wait for a pattern in what the shell prints; return the match, and forget what came before."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, ESCAPES.sub("", self._seen))):
            if time.monotonic() > end:
                raise AssertionError(f"{pattern!r} did not come: {self._seen[-2000:]!r}")
            if select.select([self._leader], [], [], 1)[0]:
                with contextlib.suppress(OSError):
                    self._seen += os.read(self._leader, 1 << 16).decode(errors="replace")
        self._seen = ""
        return found

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._leader)


#: For each shell: its command, and lines with which Ctrl-X prints the line that is edited.
START = {
    "bash": (
        ["--norc", "--noprofile", "-i"],
        """
        PS1='$ '
        bind 'set enable-bracketed-paste off'
        bind -x '"\\C-x": printf "<%s>\\n" "$READLINE_LINE"'
        eval "$(imgconv completion bash)"
        """,
    ),
    "zsh": (
        ["-f", "-i"],
        """
        PS1='$ '
        unset zle_bracketed_paste
        autoload -Uz compinit
        compinit -u -D
        shown() { print -r -- "<$BUFFER>" }
        zle -N shown
        bindkey "^X" shown
        eval "$(imgconv completion zsh)"
        """,
    ),
    "fish": (
        ["--no-config", "-i"],
        """
        function fish_prompt; echo '$ '; end
        bind \\cx 'printf "<%s>\\n" (commandline)'
        imgconv completion fish | source
        """,
    ),
}


@pytest.fixture(scope="module", params=SHELLS)
def shell(request, tmp_path_factory):
    path = shutil.which(request.param)
    if path is None:
        pytest.skip(f"{request.param} is not installed")
    home = tmp_path_factory.mktemp(request.param)
    program = home / "bin" / "imgconv"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable} -P\n{COMMAND[-1]}\n")
    program.chmod(0o755)
    for name in ("image one.tar", "layout/index.json", "graph.svg"):
        (home / "work" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "work" / name).write_text("")
    environment = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    arguments, script = START[request.param]
    started = Shell([path, *arguments], environment, home / "work")
    started.send(textwrap.dedent(script) + "echo re''ady\n")
    started.until("ready\r?\n")
    started.name = request.param
    yield started
    started.close()


def completed(shell, line):
    """Return the line after Tab."""
    shell.send(f"{line}\t\x18")
    found = shell.until(r"<([^>\r\n]*)>")[1]
    shell.send("\x15\x15")
    return found


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("imgconv val", "imgconv validate "),
        ("imgconv x --recom", "imgconv x --recompress "),
        ("imgconv x --to=oci-", "imgconv x --to=oci-archive "),
        ("imgconv x --as docker@go1.27", "imgconv x --as docker@go1.27 "),
        ("imgconv x --compress crane@go1.2", "imgconv x --compress crane@go1.2"),
        ("imgconv validate x --format sa", "imgconv validate x --format sarif "),
        ("imgconv lay", "imgconv layout/"),
        ("imgconv inspect x --graph=gr", "imgconv inspect x --graph=graph.svg "),
        ("A=1 imgconv imag", r"A=1 imgconv image\ one.tar "),
        (r"cat x | imgconv image\ one.tar --to docker-o", r"cat x | imgconv image\ one.tar --to docker-oci "),
    ],
)
def test_tab_in_a_real_shell(shell, line, result):
    assert completed(shell, line) == result
