"""Build the documentation site: `python website/generate.py`.

It needs imgconv and the extra `docs`, and no network. The site is in `build/website/site`; open `index.html` there.
Pages are those that docs/README.md lists, in its order, and those that are generated from the code: commands, JSON
documents, the Python API, and a gallery of what `--html` writes.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import page_commands
import page_documents
import page_gallery
import page_links
import page_python

ROOT = Path(__file__).parents[1]
INDEX = "docs/README.md"
SECTION = re.compile(r"^## (.+)$")
ENTRY = re.compile(r"^- \[(.+?)\]\(([^)]+)\)")
#: The section of the navigation that the generated pages go to, in front of its other pages.
REFERENCE = "Reference"


def navigation(index: str) -> dict[str, list[tuple[str, str]]]:
    """Return the sections of docs/README.md, each a list of titles and pages of the repository."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in index.splitlines():
        if section := SECTION.match(line):
            found[section[1]] = []
        elif entry := ENTRY.match(line):
            path = Path("docs", entry[2])
            found[list(found)[-1]].append((entry[1].replace("`", ""), Path(*_normal(path.parts)).as_posix()))
    return found


def _normal(parts: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    for part in parts:
        found = found[:-1] if part == ".." else [*found, part]
    return found


def place(path: str) -> str:
    """Return where a page of the repository is on the site."""
    if path == "README.md":
        return "index.md"
    if path == INDEX:
        return "pages.md"
    return path.removeprefix("docs/") if path.startswith("docs/") else path.lower()


def write_pages(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Write all pages as Markdown; return the navigation: sections with titles and pages of the site."""
    home = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Homepage"]
    sections = navigation((ROOT / INDEX).read_text())
    placed = {path: place(path) for pages in sections.values() for _, path in pages} | {INDEX: place(INDEX)}
    for picture in (ROOT / "docs").rglob("*.svg"):
        path = picture.relative_to(ROOT).as_posix()
        placed[path] = place(path)
        (folder / placed[path]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, folder / placed[path])
    generated = {
        **{f"commands/{name}": page for name, page in page_commands.pages(ROOT).items()},
        **{f"documents/{name}": page for name, page in page_documents.pages(ROOT).items()},
        "python-reference.md": page_python.page(),
        "gallery/index.md": page_gallery.page(),
    }
    placed |= {f"schemas/{Path(name).stem}.json": name for name in generated if name.startswith("documents/")}
    placed["schemas"] = "documents/index.md"
    for path, target in placed.items():
        if path.endswith(".md"):
            page = page_links.relinked((ROOT / path).read_text(), page_links.resolver(path, target, placed, home))
            _write(folder / target, page)
    for target, page in generated.items():
        _write(folder / target, page)
    page_gallery.write(folder / "gallery")
    found = {title: [(name, placed[path]) for name, path in pages] for title, pages in sections.items()}
    found[REFERENCE] = [
        ("Commands", "commands/index.md"),
        ("JSON documents", "documents/index.md"),
        ("Python reference", "python-reference.md"),
        ("Gallery of pages", "gallery/index.md"),
        *found[REFERENCE],
    ]
    return found


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page_links.without_escaped_bars(text))


def config(sections: dict[str, list[tuple[str, str]]], folder: Path) -> str:
    """Return the generator's configuration; JSON strings and lists are TOML too."""
    parts = []
    for title, pages in sections.items():
        if not pages:
            continue  # a section of text only
        entries = [_entry(name, path, folder) for name, path in pages]
        parts.append(f"  {{ {json.dumps(title)} = [\n    " + ",\n    ".join(entries) + ",\n  ] },")
    template = (ROOT / "website" / "zensical.toml").read_text()
    return template.replace("nav = []", "nav = [\n" + "\n".join(parts) + "\n]")


def _entry(name: str, path: str, folder: Path) -> str:
    """Return an entry of the navigation; the index of a folder has the folder's other pages below it."""
    below = sorted(page for page in (folder / path).parent.glob("*.md") if page.name != "index.md")
    if "/" not in path or not path.endswith("index.md") or not below:
        return f"{{ {json.dumps(name)} = {json.dumps(path)} }}"
    pages = [f'{{ {json.dumps(one.stem)} = "{one.parent.name}/{one.name}" }}' for one in below]
    first = f'{{ "All of them" = {json.dumps(path)} }}'
    return f"{{ {json.dumps(name)} = [{', '.join([first, *pages])}] }}"


def main() -> None:
    """Write the pages and run the generator."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "website", help="where to build")
    parser.add_argument("--pages-only", action="store_true", help="write the Markdown of all pages, not the site")
    given = parser.parse_args()
    folder: Path = given.folder
    for part in ("pages", "site"):
        shutil.rmtree(folder / part, ignore_errors=True)
    sections = write_pages(folder / "pages")
    (folder / "zensical.toml").write_text(config(sections, folder / "pages"))
    if given.pages_only:
        return
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", "zensical.toml"]
    status = subprocess.run(command, cwd=folder, check=False).returncode
    if status:
        sys.exit(status)
    print(f"the site is {folder / 'site' / 'index.html'}")


if __name__ == "__main__":
    main()
