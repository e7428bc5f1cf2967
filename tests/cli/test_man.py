"""The man pages: complete, the same on every build, and sound for the programs that show them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import click
import pytest
from support import ROOT

from convert.cli import groups, man
from convert.cli.commands import COMMANDS
from convert.cli.main import root

DATE = "2026-11-30"
PAGES = man.pages("1.2.3", DATE)


def shown(name, tmp_path):
    """Return a page as `man` shows it, without bold and underlines."""
    program = shutil.which("man")
    if program is None:
        pytest.skip("man is not installed")
    path = tmp_path / name
    path.write_text(PAGES[name])
    environment = {"PATH": "/usr/bin:/bin", "MANWIDTH": "200", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""}
    done = subprocess.run(
        [program, "--warnings=w", "-P", "cat", "-l", path], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode == 0 and not done.stdout:
        pytest.skip("man prints nothing here (a minimised system)")
    assert (done.returncode, done.stderr) == (0, "")
    return re.sub(".\b", "", done.stdout)


def test_there_is_a_page_for_each_command():
    assert set(PAGES) == {"imgconv.1", *(f"imgconv-{name}.1" for name in COMMANDS)}


def test_pages_do_not_depend_on_the_process():
    code = f"from convert.cli.man import pages; import sys; sys.stdout.write(repr(pages('1.2.3', '{DATE}')))"
    environment = {"PYTHONPATH": str(ROOT), "COLUMNS": "40", "LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == repr(PAGES)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_argument_and_example_is_on_its_page(name, tmp_path):
    command = root.get_command(click.Context(root), name)
    text = shown(f"imgconv-{name}.1", tmp_path)
    assert f"imgconv-{name} - " in text
    for each in command.params:
        if isinstance(each, groups.Option) and not each.hidden:
            for option in each.opts:
                assert re.search(rf"^ +(?:-\w, )?{option}\b", text, re.MULTILINE), option
    assert "-h, --help" in text
    for line in command.examples:
        assert re.search(rf"^ +{re.escape(line)}$", text, re.MULTILINE), line
    for title in ("SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"):
        assert re.search(rf"^{title}$", text, re.MULTILINE)


def test_the_first_page_names_all_commands(tmp_path):
    text = shown("imgconv.1", tmp_path)
    assert set(re.findall(r"^ +imgconv-(\w+)\(1\)", text, re.MULTILINE)) >= set(COMMANDS)


@pytest.mark.parametrize("name", PAGES)
def test_mandoc_finds_nothing(name):
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "style"], input=PAGES[name], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_text_of_roff_is_escaped():
    assert man._text(".TH 'x' \\n it's a-b") == "\\&.TH \\(aqx\\(aq \\en it\\(aqs a\\-b"
    assert (
        man._text("use `a b` or --to and -j, not a-b")
        == "use \\fBa b\\fR or \\fB\\-\\-to\\fR and \\fB\\-j\\fR, not a\\-b"
    )
