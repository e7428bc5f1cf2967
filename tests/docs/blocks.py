"""The code blocks of a page, and the commands in them.

A block of `sh` holds commands that succeed. A block of `console` shows a terminal: a command follows `$ `, a line that
continues it follows `> `, and all other lines are what the commands print. In that output `…` stands for any text, and
a line of `…` alone for any lines. The line `<!-- not run here: REASON -->` above a block excludes it.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Every page: those of the folder at the top, and those below docs/.
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")})

FENCE = re.compile(r"^( *)(```+)(.*)$")
MARK = re.compile(r"<!-- not run here: (.+?) -->")
#: The first columns of a table of tasks, and code in it.
TASKS = "| I want to … | command |"
CODE = re.compile(r"`([^`]+)`")
SKIPPED_LINES = "…"


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the reason not to run it."""

    language: str
    text: str
    line: int
    mark: str | None


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of a page, with the output that the page shows; None if it shows none."""

    text: str
    output: str | None
    line: int


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page."""
    found: list[Block] = []
    lines = text.splitlines()
    position = 0
    while position < len(lines):
        opening = FENCE.match(lines[position])
        if opening is None:
            position += 1
            continue
        start, indent = position, len(opening[1])
        position += 1
        while position < len(lines) and lines[position].strip() != opening[2]:
            position += 1
        assert position < len(lines), f"line {start + 1}: a block without an end"
        body = "".join(f"{line[indent:]}\n" for line in lines[start + 1 : position])
        before = next((line for line in reversed(lines[:start]) if line.strip()), "")
        mark = MARK.search(before)
        found.append(Block(opening[3].strip(), body, start + 1, mark[1] if mark else None))
        position += 1
    return found


def commands(block: Block) -> list[Command]:
    """Return the commands of a block of `sh` or `console`."""
    return _typed(block) if block.language == "console" else _scripted(block)


def _scripted(block: Block) -> list[Command]:
    """Return the commands of a script, one a line; a line that ends with a backslash goes on in the next."""
    found, parts = [], []
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if not parts and (not line.strip() or line.lstrip().startswith("#")):
            continue
        parts.append(line)
        if not line.endswith("\\"):
            found.append(Command("\n".join(parts), None, number - len(parts) + 1))
            parts = []
    assert not parts, f"line {block.line}: the last command goes on"
    return found


def _typed(block: Block) -> list[Command]:
    """Return the commands behind the prompts of a terminal, each with the lines that follow it."""
    found: list[Command] = []
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if line.startswith("$ "):
            found.append(Command(line[2:], "", number))
        elif line.startswith("> ") and found and found[-1].output == "":
            found[-1] = dataclasses.replace(found[-1], text=f"{found[-1].text}\n{line[2:]}")
        else:
            assert found, f"line {number}: output without a command"
            found[-1] = dataclasses.replace(found[-1], output=f"{found[-1].output}{line}\n")
    return found


def tasks(text: str) -> list[Command]:
    """Return the commands in tables of tasks: the code behind the first column that begins with a program."""
    found, inside = [], False
    for number, line in enumerate(text.splitlines(), 1):
        inside = line.startswith(TASKS) or (inside and line.startswith("|"))
        if inside:
            cells = re.split(r"(?<!\\)\|", line)[2:]
            found += [Command(code.replace("\\|", "|"), None, number) for code in CODE.findall("|".join(cells))]
    return [one for one in found if " " in one.text]


def shows(shown: str, printed: str) -> bool:
    """Return whether the output on a page describes what was printed."""
    pattern = "".join(
        r"(?:.*\n)*" if line == SKIPPED_LINES else ".*".join(map(re.escape, line.rstrip().split("…"))) + r"\n"
        for line in shown.splitlines()
    )
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in printed.splitlines())) is not None
