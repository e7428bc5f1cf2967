"""The documentation site: its pages are complete, its links lead somewhere, and it loads nothing from elsewhere."""

from __future__ import annotations

import functools
import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from blocks import ROOT
from test_pages import FENCED, LINK, anchors

import convert
from convert.cli.commands import COMMANDS

GENERATE = ROOT / "website" / "generate.py"


def generate(folder, *options):
    """Run the generator as its docstring says, without the repository's folder on the module path."""
    done = subprocess.run(
        [sys.executable, str(GENERATE), "--folder", str(folder), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    generate(folder, "--pages-only")
    return folder / "pages"


def test_every_page_of_the_repository_is_on_the_site(pages):
    expected = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")} - {"README.md"}
    expected |= {"index.md", "pages.md"}
    assert not {name for name in expected if not (pages / name).exists()}


def test_links_between_pages_lead_to_sections_that_exist(pages):
    missing = []
    for page in sorted(pages.rglob("*.md")):
        for target, section in LINK.findall(FENCED.sub("", page.read_text())):
            if "://" in target or target.startswith("mailto:"):
                continue
            path = page.parent / target if target else page
            if not path.exists() or (section and path.suffix == ".md" and section not in anchors(path)):
                missing.append(f"{page.relative_to(pages)}: {target}#{section}")
    assert not missing


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_command_has_a_page_with_every_option_and_exit_status(pages, name):
    page = (pages / "commands" / f"{name}.md").read_text()
    help_text = subprocess.run(
        [sys.executable, "-P", "-m", "convert", name, "--help"], capture_output=True, text=True, check=True
    ).stdout
    options = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", help_text, re.MULTILINE))
    assert options
    assert not {option for option in options if not re.search(rf"`[^`]*{option}\b", page)}
    statuses = page.partition("## Exit status")[2]
    assert all(f"| {status} |" in statuses for status in ("0", "2", "3", "4", "70"))
    assert "| 1 |" in statuses or name not in {"diff", "match", "validate"}


def test_every_document_and_every_name_of_the_api_is_described(pages):
    documents = {path.stem for path in (ROOT / "schemas").glob("*.json")} - {"defs"}
    assert documents == {path.stem for path in (pages / "documents").glob("*.md")} - {"index"}
    for name in documents:
        assert (pages / "documents" / f"{name}.md").read_text().count("\n| `") > 0, name
    page = (pages / "python-reference.md").read_text()
    assert set(re.findall(r"^### (\w+)$", page, re.MULTILINE)) == set(convert.__all__)
    assert " at 0x" not in page


class Page(HTMLParser):
    """What an HTML page refers to, and what its own parts can be referred to as."""

    def __init__(self, path):
        super().__init__()
        self.names, self.links, self.loaded = set(), [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.names.update(found[key] for key in ("id", "name") if found.get(key))
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag in {"script", "img", "iframe"} and found.get("src"):
            self.loaded.append(found["src"])
        elif tag == "link" and found.get("rel") not in {"canonical", "next", "prev"}:
            self.loaded.append(found["href"])


@pytest.mark.slow
def test_the_site_builds_strictly_and_every_link_leads_somewhere(tmp_path):
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("zensical is not installed; the extra `docs` installs it")
    generate(tmp_path)
    site = tmp_path / "site"
    parsed = functools.cache(Page)
    missing = []
    paths = [path for path in sorted(site.rglob("*.html")) if path.name != "404.html"]
    assert len(paths) > 40
    for path in paths:
        page = parsed(path)
        assert not [address for address in page.loaded if "://" in address or address.startswith("//")], path
        for address in [*page.links, *page.loaded]:
            if "://" in address or address.startswith(("mailto:", "data:", "javascript:")):
                continue
            name, _, section = address.partition("#")
            target = (path.parent / unquote(name)).resolve() if name else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (section and unquote(section) not in parsed(target).names):
                missing.append(f"{path.relative_to(site)}: {address}")
    assert not missing
