"""No code path uses the network, another program or a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from support import COMMAND, MATCH

SOURCE = MATCH / "docker20-html.tar.gz"
WATCHED = """
import os, sys
FORBIDDEN = ("socket.", "ssl.", "urllib.", "http.", "ftplib.", "smtplib.", "subprocess.", "os.exec", "os.fork",
             "os.posix_spawn", "os.spawn", "os.system", "pty.spawn")
def watch(event, arguments):
    if event.startswith(FORBIDDEN):
        os.write(2, f"forbidden: {event} {arguments}\\n".encode())
        os._exit(99)
sys.addaudithook(watch)
from convert.cli import main
main()
"""


def commands(folder):
    """Return every command there is, on a real archive."""
    manifest = folder / "manifest.json"
    made = subprocess.run(
        [*COMMAND, str(SOURCE), "--to", "oci", str(folder / "layout"), "-q"], capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr
    for blob in (folder / "layout" / "blobs" / "sha256").iterdir():
        if b'"layers"' in blob.read_bytes()[:4096]:
            manifest.write_bytes(blob.read_bytes())
    yield ("--help",)
    yield ("--version",)
    yield "id", SOURCE
    yield "inspect", SOURCE, "--verify"
    yield "digest", SOURCE
    yield "validate", SOURCE
    yield "diff", SOURCE, folder / "layout"
    yield "match", SOURCE, manifest
    yield ("profiles",)
    yield "--add-repositories", SOURCE, folder / "named.tar"
    for form in ("docker-save", "docker-save@25", "docker-save@29", "docker-oci", "crane", "oci", "oci-archive"):
        yield SOURCE, "--to", form, folder / f"out-{form}"
    yield folder / "layout", "--to", "docker-save", "-"
    yield "example.com/not/there:1", "--to", "oci", folder / "no"


def isolated():
    """Return what runs a command in a network namespace without interfaces, None if not permitted."""
    for words in (["unshare", "-n"], ["unshare", "-r", "-n"]):
        if (
            shutil.which("unshare")
            and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
        ):
            return words
    return None


def ends_well(done, words):
    expected = {4} if "example.com/not/there:1" in words else {0}
    assert done.returncode in expected, (words, done.stderr[-500:])


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux")
def test_every_command_works_in_a_network_namespace_without_interfaces(tmp_path):
    without = isolated()
    if without is None:
        pytest.skip("unshare -n is not permitted here")
    for words in commands(tmp_path):
        done = subprocess.run([*without, *COMMAND, *map(str, words)], capture_output=True, check=False)
        ends_well(done, words)


def test_no_command_opens_a_socket_or_starts_a_process(tmp_path):
    """CPython reports each to its audit hooks (PEP 578), whoever asks for it."""
    for words in commands(tmp_path):
        done = subprocess.run([sys.executable, "-P", "-c", WATCHED, *map(str, words)], capture_output=True, check=False)
        ends_well(done, words)


def test_the_watch_itself_sees_a_socket():
    """A test that cannot fail is worthless."""
    watched = WATCHED.replace("from convert.cli import main\nmain()", "import socket; socket.socket()")
    done = subprocess.run([sys.executable, "-P", "-c", watched], capture_output=True, check=False, env=dict(os.environ))
    assert done.returncode == 99
