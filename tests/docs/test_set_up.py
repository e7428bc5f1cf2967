"""The set-up commands of README.md work in a fresh clone, twice; the examples for CI are right."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from blocks import ROOT, blocks, commands
from session import Session, tracked

from convert.cli.main import run as run_imgconv

README = (ROOT / "README.md").read_text()
CI_PAGE = (ROOT / "docs" / "ci.md").read_text()
ACTION = ROOT / ".github" / "actions" / "validate" / "action.yml"
ADDRESS = "git+https://github.com/OWNER/imgconv"
INSTALL = "pip install -q ."
#: pip builds with what is installed here and fetches nothing; the dependencies come from this environment.
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def yaml_blocks():
    return [block.text for block in blocks(CI_PAGE) if block.language == "yaml"]


def runs(text):
    """Return the commands of the steps in a configuration for CI."""
    found = re.findall(r"^\s*- (?:run: )?((?:pip|imgconv|docker) .+?)(?:\s+#.*)?$", text, re.MULTILINE)
    return [command for command in found if not command.startswith("docker ")]


def test_what_ci_runs_is_the_test_command_of_the_readme():
    (block,) = [block for block in blocks(README) if "pytest" in block.text]
    printed = subprocess.run(
        ["sh", "-c", f"{extraction()}\nprintf '%s' \"$command\""], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == block.text.strip()


def extraction():
    """Return the line of .ci/run that reads the command."""
    (line,) = re.findall(r"^command=.*$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    return line


@pytest.mark.slow
def test_the_quick_start_works_in_a_fresh_clone_and_again(tmp_path):
    """It compiles imgconv into an environment of its own."""
    names = tracked() or pytest.skip("Git does not list the files of this folder")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    found = blocks(README)
    (number,) = [number for number, block in enumerate(found) if INSTALL in block.text]
    (command,) = commands(found[number])
    shown = found[number + 1].text
    packages = [path for path in sys.path if path.endswith("site-packages")]
    environment = {**os.environ, **OFFLINE, "PYTHONPATH": os.pathsep.join(packages)}
    for _ in range(2):
        done = subprocess.run(
            ["sh", "-euc", command.text],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert done.stdout.endswith(shown)
        assert shutil.which("imgconv", path=str(tmp_path / ".venv" / "bin"))


def test_the_steps_for_ci_run(tmp_path, monkeypatch, capfd):
    """Those of GitHub without the Action, and those of GitLab."""
    session = Session(tmp_path)
    session.shell("gzip -dc testdata/match/archives/docker20-html.tar.gz > image.tar && cp image.tar last.tar")
    steps = [command for text in yaml_blocks() for command in runs(text)]
    assert len(steps) >= 4
    summary = session.folder / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    for step in steps:
        if step.startswith("pip "):
            assert step == f"pip install {ADDRESS}"
        else:
            session.shell(step)
    assert (session.folder / "imgconv.sarif").stat().st_size
    assert (session.folder / "imgconv.json").stat().st_size
    assert summary.stat().st_size


def test_the_example_uses_inputs_that_the_action_has():
    (text,) = [text for text in yaml_blocks() if "/.github/actions/validate@" in text]
    inputs = set(
        re.findall(r"^  (\w+):$", ACTION.read_text().partition("inputs:\n")[2].partition("outputs:")[0], re.MULTILINE)
    )
    given = re.search(r"actions/validate@.*\n +with:\n((?: {10}.*\n)+)", text)[1]
    used = set(re.findall(r"^ {10}(\w+):", given, re.MULTILINE))
    assert {"sources", "sarif"} <= used <= inputs
    assert inputs == set(re.findall(r"^\| `(\w+)` \|", CI_PAGE, re.MULTILINE))


def test_the_hooks_are_those_of_this_repository(tmp_path, monkeypatch, capsys):
    """Their arguments fit the entry, and a layout passes."""
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_text()
    ids = set(re.findall(r"^- id: (\S+)", hooks, re.MULTILINE))
    used = {name for text in yaml_blocks() for name in re.findall(r"- id: (\S+)", text)}
    assert used == ids
    (entry,) = re.findall(r"^  entry: imgconv (.+)$", hooks, re.MULTILINE)
    (arguments,) = [found.split(", ") for text in yaml_blocks() for found in re.findall(r"args: \[(.*)\]", text)]
    monkeypatch.chdir(tmp_path)
    source = ROOT / "testdata" / "match" / "archives" / "docker20-html.tar.gz"
    (tmp_path / arguments[0]).parent.mkdir(parents=True)
    assert run_imgconv([str(source), "--to", "oci", arguments[0], "--quiet"]) == 0
    assert run_imgconv([*entry.split(), *arguments]) == 0
    assert capsys.readouterr().out == ""
