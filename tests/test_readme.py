"""What the README and the docs show is what happens, and what they link to is there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


def examples():
    for page in PAGES:
        for block in CONSOLE.findall(page.read_text()):
            command, _, output = block.partition("\n")
            if command.startswith("$ imgconv ") and "testdata/" in command:
                yield pytest.param(command.removeprefix("$ "), output, id=f"{page.name}: {command}")


@pytest.mark.parametrize(("command", "output"), list(examples()))
def test_an_example_prints_what_the_page_shows(command, output):
    words = [sys.executable, "-P", "-c", "from convert.cli import main; main()", *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_links_to_files_that_are_there(page):
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link and not link.startswith("mailto:")]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_the_map_names_every_room():
    text = (ROOT / "README.md").read_text().split("## Where things live")[1]
    rooms = {path.name for path in (ROOT / "convert").iterdir() if not path.name.startswith("__")}
    rooms -= {"py.typed"}
    missing = {room for room in rooms if f"`{room}" not in text}
    assert not missing
