"""Every command on every page is run, and prints what the page shows."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import io
from collections import Counter

import pytest
from blocks import PAGES, ROOT, Block, Command, blocks, commands, shows, tasks
from session import Session

#: Languages of blocks that are not run; `text` is output, drawings and syntax.
DATA = {"text", "json"}
#: Pages with blocks of `yaml`, which configure CI: `tests/docs/test_set_up.py`.
YAML = {"docs/ci.md"}
SHELL = {"sh", "console"}
#: What installs imgconv and runs the tests: `tests/docs/test_set_up.py`.
SET_UP = "pip install -q ."
SETS_UP = ("pipx ", "python3 -m venv", ".venv/bin/pip", ".venv/bin/pytest")


PAGE = """\
text
<!-- not run here: needs a cluster -->

```sh
one \\
  two
# comment
three
```
1. a list

   ```console
   $ first | \\
   > second
   printed
   $ third
   ```
"""


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def on_pages(*languages):
    """Return the pages with unmarked blocks of these languages."""
    return [
        pytest.param(page, id=name_of(page))
        for page in PAGES
        if any(one.language in languages and not one.mark for one in blocks(page.read_text()))
    ]


@pytest.fixture(scope="session")
def archives(tmp_path_factory):
    return Session(tmp_path_factory.mktemp("archives")).make_archives()


def on(page):
    """Return the commands of a page in order, those in a table of tasks included."""
    text = page.read_text()
    found = [one for one in blocks(text) if one.language in SHELL and not one.mark]
    return sorted([*tasks(text), *(one for block in found for one in commands(block))], key=lambda one: one.line)


@pytest.mark.parametrize("page", on_pages(*SHELL))
def test_the_commands_of_a_page_print_what_it_shows(page, tmp_path, archives, record_property):
    session = Session(tmp_path, archives)
    skipped, chosen = Counter(), []
    for command in on(page):
        if SET_UP in command.text:  # tests/docs/test_set_up.py runs all of it
            command = dataclasses.replace(command, text=command.text.rpartition("&& ")[2])  # noqa: PLW2901
        if command.text.startswith(SETS_UP):
            skipped["sets up imgconv or runs the tests (.ci/run and tests/docs/test_set_up.py do)"] += 1
        elif reason := session.missing(command.text):
            skipped[reason] += 1
        else:
            chosen.append(command)
    try:
        results = session.run(chosen)
    finally:
        session.close()
    for command, (status, printed) in zip(chosen, results, strict=True):
        where = f"{name_of(page)}, line {command.line}: {command.text}"
        if command.output is None:
            assert status == 0, f"{where}\n{printed}"
        else:
            assert shows(command.output, printed), f"{where}\nprints\n{printed}\nthe page shows\n{command.output}"
    record_property("commands", {"run": len(chosen), "skipped": dict(skipped)})


@pytest.mark.parametrize("page", on_pages("python"))
def test_the_python_code_of_a_page_prints_what_it_shows(page, tmp_path, monkeypatch, record_property):
    """The blocks run in order, each with the names of those before it; a block of `text` right behind is the output."""
    packed = ROOT / "testdata" / "match" / "archives" / "docker20-html.tar.gz"
    (tmp_path / "image.tar").write_bytes(gzip.decompress(packed.read_bytes()))
    monkeypatch.chdir(tmp_path)
    found = blocks(page.read_text())
    names: dict[str, object] = {}
    run = 0
    for block, behind in zip(found, [*found[1:], None], strict=True):
        if block.language != "python" or block.mark:
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block.text, f"{page}, line {block.line}", "exec"), names)
        run += 1
        if behind and behind.language == "text" and behind.line == block.line + block.text.count("\n") + 3:
            assert printed.getvalue() == behind.text, block.text
    record_property("commands", {"run": run, "skipped": {}})


def test_every_block_has_a_language_that_is_tested(record_property):
    """So that no command escapes in a block of another kind."""
    other, marks = [], []
    for page in PAGES:
        for block in blocks(page.read_text()):
            where = f"{name_of(page)}, line {block.line}"
            tested = block.language in {*SHELL, *DATA, "python"} or (block.language == "yaml" and name_of(page) in YAML)
            if not tested or (block.language == "text" and ("$ " in block.text)):
                other.append(f"{where}: {block.language or 'no language'}")
            if block.mark:
                marks.append(f"{where}: {block.mark}")
    assert not other
    assert not [mark for mark in marks if mark.startswith("README.md")]
    record_property("marked", marks)


def test_a_page_shows_what_is_printed_or_leaves_it_out():
    assert shows("a\nb\n", "a  \nb\n")
    assert shows("sha256:12…ef  x\n", "sha256:12345ef  x\n")
    assert shows("first\n…\nlast\n", "first\n1\n2\nlast\n")
    assert shows("first\n…\n", "first\n")
    assert not shows("a\nb\n", "a\nc\n")
    assert not shows("a\n", "a\nb\n")
    assert not shows("", "a\n")
    assert not shows("a.c\n", "abc\n")


def test_blocks_and_commands_are_found():
    script, typed = blocks(PAGE)
    assert (script.mark, typed.mark) == ("needs a cluster", None)
    assert commands(script) == [Command("one \\\n  two", None, 5), Command("three", None, 8)]
    assert commands(typed) == [Command("first | \\\nsecond", "printed\n", 13), Command("third", "", 16)]
    with pytest.raises(AssertionError, match="without an end"):
        blocks("```sh\nx\n")
    with pytest.raises(AssertionError, match="goes on"):
        commands(Block("sh", "x \\\n", 1, None))
