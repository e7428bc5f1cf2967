"""What pages link to, and what the code cites of them, exists; what they list is complete."""

import dataclasses
import functools
import importlib
import inspect
import re
from pathlib import Path

import pytest
from blocks import PAGES, ROOT

import convert
from convert import limits
from convert.cli.commands import COMMANDS
from convert.cli.main import run

#: Files that may cite a page; this one only holds the pattern.
SOURCES = sorted(
    path
    for folder in ("convert", "schemas", "tests", "bench")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".pyi", ".c", ".h", ".json", ".go"} and path != Path(__file__)
)
FENCED = re.compile(r"```.*?```", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#{1,6} (.+?)\s*$", re.MULTILINE)
CITATION = re.compile(r"\b(docs/[\w/-]+\.md)(?:#([\w-]*\w))?")
#: A path of the repository, as a page writes one in code.
PATH = re.compile(r"`((?:convert|tests|docs|schemas|bench|testdata|\.ci)/[\w./@-]*|[\w./-]+\.(?:py|pyi|c|h))`")
FOLDER = re.compile(r"`((?:\w+/)+)`")
#: Pages of which a clone holds no copy.
ELSEWHERE = re.compile(r"\b(?:CONTRACT|FORMATS|ENCODERS|NEXT|HOUSE|STYLE|TEXT)(?:\.md\b|,? (?:rule|section)\b|, \")")


@functools.cache
def anchors(page):
    """Return the anchors that GitHub gives the headings of a page."""
    found = set()
    for heading in HEADING.findall(FENCED.sub("", page.read_text())):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found


def name_of(path):
    return str(path.relative_to(ROOT))


def signature(function):
    """Return how the page writes a function: positional arguments, then the names of the others."""
    parameters = inspect.signature(function).parameters.values()
    words = [
        f"{one.name}=None" if one.default is None and one.kind != one.KEYWORD_ONLY else one.name for one in parameters
    ]
    kinds = [one.kind for one in parameters]
    takes_fields = inspect.Parameter.VAR_KEYWORD in kinds
    if inspect.Parameter.KEYWORD_ONLY in kinds:
        words.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    return f"`{function.__name__}({', '.join([*words[:-1], '**fields'] if takes_fields else words)})`"


def test_the_api_page_names_everything_that_is_exported():
    page = (ROOT / "docs" / "api.md").read_text()
    sections = {
        name: text
        for heading, text in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        for name in re.split(r", | and ", heading)
    }
    assert not set(convert.__all__) - set(re.findall(r"\w+", page))
    for name in convert.__all__:
        value = getattr(convert, name)
        if not isinstance(value, type):
            assert signature(value) in sections[name]
        elif name.endswith("Options"):
            own = "".join(text for text in page.split("\n## ") if f"`{name}`" in text)
            shared = sections["Conventions"] if name == "ConvertOptions" else ""
            named = re.findall(r"`(\w+)`", own + shared)
            assert not {field.name for field in dataclasses.fields(value)} - set(named), name


def test_the_picture_is_what_inspect_draws(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = ROOT / "testdata" / "match" / "archives" / "docker20-html.tar.gz"
    assert run([str(source), "--to", "oci", "image-layout", "--quiet"]) == 0
    assert run(["inspect", "image-layout", "--graph", "names.svg"]) == 0
    assert (tmp_path / "names.svg").read_bytes() == (ROOT / "docs" / "names.svg").read_bytes()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_links_to_files_and_sections_that_exist(page):
    missing = []
    for target, section in LINK.findall(FENCED.sub("", page.read_text())):
        if "://" in target or target.startswith("mailto:"):
            continue
        path = page.parent / target if target else page
        if not path.exists() or (section and path.suffix == ".md" and section not in anchors(path)):
            missing.append(f"{target}#{section}")
    assert not missing


def test_the_code_cites_pages_and_sections_that_exist():
    missing = []
    for source in SOURCES:
        for target, section in CITATION.findall(source.read_text(errors="replace")):
            page = ROOT / target
            if not page.exists() or (section and section not in anchors(page)):
                missing.append(f"{name_of(source)}: {target}#{section}")
    assert not missing


def test_the_code_cites_only_pages_that_a_clone_holds():
    found = {name_of(source) for source in SOURCES if ELSEWHERE.search(source.read_text(errors="replace"))}
    assert not found


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text()
    folder = ROOT / "docs"
    pages = {page.relative_to(folder).as_posix() for page in folder.rglob("*.md")} - {"README.md"}
    assert not {page for page in pages if f"({page})" not in index}


def test_the_pages_name_files_that_exist():
    """Also below `convert/`, as the architecture page writes them."""
    missing = []
    for page in PAGES:
        text = FENCED.sub("", page.read_text())
        map_of_convert = page.name == "ARCHITECTURE.md"
        folders = (ROOT, ROOT / "convert") if map_of_convert else (ROOT,)
        named = PATH.findall(text) + (FOLDER.findall(text) if map_of_convert else [])
        absent = {path for path in named if not any((folder / path).exists() for folder in folders)}
        missing += [f"{name_of(page)}: {path}" for path in sorted(absent)]
    assert not missing


def test_the_architecture_places_every_package_and_module():
    levels = (ROOT / "ARCHITECTURE.md").read_text().split("## Levels")[1].split("\n## ")[0]
    found = {path.name + "/" * path.is_dir() for path in (ROOT / "convert").iterdir() if path.name[0] not in "._"}
    assert not {name for name in found | {"_native/"} if f"`{name}`" not in levels} - {"py.typed"}


def commands():
    for name, module in COMMANDS.items():
        yield name, importlib.import_module(f"convert.cli.{module}").command


def test_the_contract_names_every_command_and_option():
    text = (ROOT / "docs" / "contract.md").read_text()
    words = {f"imgconv {name}" if name != "convert" else "imgconv [convert]" for name, _ in commands()}
    for _, command in commands():
        for option in command.params:
            if not getattr(option, "hidden", False):
                words.update(word for word in option.opts if word.startswith("--"))
    words -= {"--help"}
    assert not {word for word in words if word not in text}


def test_the_pages_state_the_limits_of_the_code():
    """A number that changes in the code changes in the table."""
    table = (ROOT / "docs" / "trust.md").read_text().split("## Limits")[1].split("\n## ")[0]
    sizes = ("MAX_DOCUMENT_SIZE", "MAX_ALL_DOCUMENTS_SIZE", "MAX_ALL_EXTENSIONS", "MAX_ALL_MEMBER_NAMES")
    sizes += ("MAX_DECODER_MEMORY", "DECODING_MEMORY", "MAX_REPORT_SIZE")
    counts = ("MAX_DOCUMENT_VALUES", "MAX_DOCUMENT_DEPTH", "MAX_ALL_VALUES", "MAX_ALL_IMAGES", "MAX_ALL_NAMES")
    counts += ("MAX_PAX_RECORDS", "MAX_LAYERS", "MAX_ALL_LAYERS", "MAX_DIFFERENT_LAYERS", "MAX_MEMBERS")
    counts += ("MAX_NAME_PARTS", "MAX_NAME_STEPS", "MAX_SMALL_MEMBERS")
    wanted = {name: f"{getattr(limits, name) // limits.MIB} MiB" for name in sizes}
    wanted |= {name: f"{getattr(limits, name):,}" for name in counts}
    wanted["MAX_LAYER_SIZE"] = f"{limits.MAX_LAYER_SIZE // limits.GIB} GiB"
    assert not {name: text for name, text in wanted.items() if not re.search(rf"(?<![\d,]){text}(?!\d|,\d)", table)}
