"""Render the tables of README.md, docs/*.md and bench/records/README.md from the newest records.

    python bench/figures.py              update the pages
    python bench/figures.py --check      list the pages that differ from their records; exit status 1 if any does
    python bench/figures.py --show FILE  print a record as its table

A table stands between `<!-- figures: NAME -->` and `<!-- end figures -->`. NAME is a kind of record, which
stands for the newest of that kind; `first screen` for a few rows of the newest conversions; or `all campaigns`
for all of them.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import record
import tables

BEGIN = re.compile(r"<!-- figures: (.*?) -->")
END = "<!-- end figures -->"
ALL_CAMPAIGNS = "all campaigns"
FIRST_SCREEN = "first screen"


class PageError(Exception):
    """A page has a marker without its end, or one that names no kind of record."""


def pages(root: Path = record.ROOT) -> list[Path]:
    """Return the pages that may hold tables."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md")), root / "bench" / "records" / "README.md"]


def figures(name: str, folder: Path = record.FOLDER) -> str:
    """Return the text that stands between the markers of a name.

    Raises:
        PageError: no record has this name.
    """
    if name == ALL_CAMPAIGNS:
        newest_first = reversed(record.paths("campaigns", folder))
        return tables.all_campaigns(map(record.read, newest_first))
    try:
        if name == FIRST_SCREEN:
            return tables.first_screen(record.newest("conversions", folder))
        if name not in tables.RENDERERS:
            known = ", ".join([*tables.RENDERERS, FIRST_SCREEN, ALL_CAMPAIGNS])
            raise PageError(f"no table is named {name!r}; there are: {known}")
        return tables.render(record.newest(name, folder))
    except LookupError as error:
        raise PageError(str(error)) from error


def fill(text: str, folder: Path = record.FOLDER) -> str:
    """Return a page with all of its tables rendered.

    Raises:
        PageError: a marker names no record, or a beginning or an end has no counterpart.
    """
    done = []
    while begin := BEGIN.search(text):
        end = text.find(END, begin.end())
        following = BEGIN.search(text, begin.end())
        if end < 0 or (following and following.start() < end):
            raise PageError(f"{begin[0]} has no {END}")
        if END in text[: begin.start()]:
            break
        done += [text[: begin.end()], "\n", figures(begin[1], folder), "\n", END]
        text = text[end + len(END) :]
    if END in text:
        raise PageError(f"{END} has no beginning")
    return "".join([*done, text])


def main(arguments: list[str] | None = None) -> int:
    """Update or check the pages; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if a page differs")
    parser.add_argument("--show", type=Path, metavar="FILE", help="print this record as its table")
    parser.add_argument("--root", type=Path, default=record.ROOT, help="the folder of the pages")
    given = parser.parse_args(arguments)
    if given.show:
        print(tables.render(record.read(given.show)))
        return 0
    status = 0
    for page in pages(given.root):
        text = page.read_text()
        try:
            filled = fill(text, given.root / "bench" / "records")
        except PageError as error:
            sys.exit(f"{page}: {error}")
        if filled == text:
            continue
        if given.check:
            print(f"{page}: differs from its records; run python bench/figures.py")
            status = 1
        else:
            page.write_text(filled)
            print(f"{page}: updated")
    return status


if __name__ == "__main__":
    sys.exit(main())
