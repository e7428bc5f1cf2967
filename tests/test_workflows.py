"""What runs on GitHub: the workflows are linted, and the Action's own step runs here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support import MATCH, ROOT, run

GITHUB = ROOT / ".github"
ACTION = GITHUB / "actions" / "validate"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
USES = re.compile(r"\buses: (\S+?)@(\S+)(?: # (v[\d.]+))?$", re.MULTILINE)
PLACEHOLDER = "OWNER"
PLACED = re.compile(rf"(?:github\.com/|@|uses: ){PLACEHOLDER}\b")


def test_the_linter_finds_nothing():
    program = shutil.which("zizmor", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        pytest.skip("zizmor is not installed; the extra `test` installs it")
    done = subprocess.run(
        [program, "--offline", "--no-progress", "--color", "never", str(GITHUB)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_action_is_pinned_to_one_commit_with_its_version():
    used = {}
    for path in [*WORKFLOWS, ACTION / "action.yml"]:
        text = path.read_text()
        found = USES.findall(text)
        assert len(found) == len(re.findall(r"\buses: [^.\s]", text)), path.name
        for name, commit, version in found:
            used.setdefault(name, set()).add((commit, version))
    assert {"actions/checkout", "pypa/cibuildwheel", "pypa/gh-action-pypi-publish"} <= set(used)
    for name, pins in used.items():
        ((commit, version),) = pins
        assert re.fullmatch(r"[0-9a-f]{40}", commit), name
        assert version, name


def test_the_matrix_has_every_python_that_the_wheel_is_tested_with():
    tested = re.findall(
        r'"(3\.\d+)"', re.search(r"python: \[(.*)\]", (GITHUB / "workflows" / "test.yml").read_text())[1]
    )
    config = (ROOT / "pyproject.toml").read_text()
    wheels = re.search(r'^build = "(cp.*)"$', config, re.MULTILINE)[1]
    assert [f"cp{version.replace('.', '')}-*" for version in tested] == wheels.split()
    assert set(re.findall(r'"Programming Language :: Python :: (3\.\d+)"', config)) <= set(tested)


def test_the_list_of_placeholders_is_complete():
    """RELEASING.md lists each file in which the owner of the repository is still to be filled in."""
    section = (ROOT / "RELEASING.md").read_text().partition("## Placeholders")[2].partition("\n## ")[0]
    listed = set(re.findall(r"^- `([^`]+)`", section, re.MULTILINE))
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *GITHUB.rglob("*"), ROOT / "pyproject.toml"]
    found = {
        path.relative_to(ROOT).as_posix()
        for path in [*pages, *(ROOT / "convert").rglob("*.py")]
        if path.is_file() and path.suffix != ".pyc" and PLACED.search(path.read_text())
    }
    assert found - {"RELEASING.md"} == listed


@pytest.fixture
def action(tmp_path, monkeypatch):
    """Run the Action's second step as GitHub does; the first one's result is this Python."""
    python = tmp_path / "runner" / "imgconv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    blocks = re.findall(r"^      run: \|\n((?:        .*\n)+)", (ACTION / "action.yml").read_text(), re.MULTILINE)
    assert len(blocks) == 2

    def step(sources, **environment):
        files = {name: tmp_path / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for path in files.values():
            path.write_text("")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", textwrap.dedent(blocks[1])],
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                "RUNNER_TEMP": str(tmp_path / "runner"),
                "GITHUB_ACTION_PATH": str(ACTION),
                "SOURCES": sources,
                "SARIF": "",
                **{name: str(path) for name, path in files.items()},
                **environment,
            },
        )
        assert "Traceback" not in done.stderr
        return done, files["GITHUB_OUTPUT"].read_text(), files["GITHUB_STEP_SUMMARY"].read_text()

    return step


def test_the_action_passes_valid_archives(action):
    shutil.copy(MATCH / "docker20-html.tar.gz", "a.tar.gz")
    Path("deep/er").mkdir(parents=True)
    shutil.copy(MATCH / "docker20-html.tar.gz", "deep/er/b.tar.gz")
    done, output, summary = action("a.tar.gz\n\n  deep/**/*.tar.gz\na.*\n", SARIF="out.sarif")
    assert (done.returncode, done.stdout, output) == (0, "", "status=0\n")
    assert summary.count("<code>valid</code>") == 2
    assert json.loads(Path("out.sarif").read_text())["runs"][0]["results"] == []


def test_the_action_reports_what_the_command_reports(action):
    """Annotations, SARIF report and status are those of `imgconv validate`, for several sources."""
    shutil.copy(MATCH / "docker20-html.tar.gz", "good.tar.gz")
    Path("text.tar").write_text("an error message, not an archive\n")
    raw = Path("good.tar.gz").read_bytes()
    Path("cut.tar.gz").write_bytes(raw[: len(raw) // 2])
    sources = ["good.tar.gz", "text.tar", "cut.tar.gz"]
    done, output, summary = action("\n".join(sources), SARIF="out.sarif")
    command = run("validate", "--format", "github", *sources)
    assert command.returncode == done.returncode == 3
    assert done.stdout == command.stdout.decode()
    assert output == "status=3\n"
    assert json.loads(Path("out.sarif").read_text()) == json.loads(
        run("validate", "--format", "sarif", *sources).stdout
    )
    assert "not-an-image" in summary
    assert "<code>valid</code>" in summary


def test_the_action_reports_sources_that_cannot_be_read(action):
    shutil.copy(MATCH / "docker20-html.tar.gz", "good.tar.gz")
    done, output, summary = action("absent.tar\ngood.tar.gz")
    assert (done.returncode, output) == (4, "status=4\n")
    (line,) = done.stdout.splitlines()
    assert line.startswith("::error title=imgconv::")
    assert "absent.tar" in line
    assert "<code>valid</code>" in summary
    done, _, _ = action(" \n")
    assert done.returncode == 2
    assert done.stdout.startswith("::error title=imgconv::")


def test_names_of_sources_are_inert_in_the_summary_and_in_annotations(action):
    name = "a|b`<img src=x>%0A::warning::c"
    Path(name).write_text("no archive")
    done, _, summary = action(name)
    assert done.returncode == 3
    assert all(line.startswith("::error ") for line in done.stdout.splitlines())
    assert "<img" not in summary
    rows = [line for line in summary.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {4, 5}
