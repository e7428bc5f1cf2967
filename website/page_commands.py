"""Pages about the commands, from their declarations in `convert/cli/`: arguments, options, exit statuses, examples."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import TYPE_CHECKING

from convert.cli.commands import COMMANDS
from convert.cli.groups import arguments_of, options_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import click

#: Where the exit statuses of all commands are stated.
STATUSES = re.compile(r"^## Exit status\n.*?(^\|.*?)\n\n", re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield each command with its name."""
    for name, module in COMMANDS.items():
        yield name, importlib.import_module(f"convert.cli.{module}").command


def pages(root: Path) -> dict[str, str]:
    """Return the Markdown of each page by its file name; `root` is the repository."""
    every = STATUSES.search((root / "docs" / "contract.md").read_text())
    if every is None:
        raise ValueError("docs/contract.md has no table of exit statuses")
    statuses = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in every[1].splitlines()[2:]]
    found = {f"{name}.md": page(name, command, statuses) for name, command in commands()}
    rows = [f"| [{name}]({name}.md) | {text(command.get_short_help_str(200))} |" for name, command in commands()]
    found["index.md"] = "\n".join(
        [
            "# Commands",
            "",
            "`imgconv SOURCE --to FORMAT DEST` is short for `imgconv convert`. SOURCE is a file, a folder or `-`.",
            "",
            "| command | what it does |",
            "|---|---|",
            *rows,
            "",
        ]
    )
    return found


def page(name: str, command: click.Command, statuses: list[tuple[str, ...]]) -> str:
    """Return the page of a command; `statuses` are those of every command with their meanings."""
    context = command.make_context(name, [], resilient_parsing=True)
    context.info_name = f"imgconv {name}"
    lines = [f"# imgconv {name}", "", text(inspect.cleandoc(command.help or "").replace("\b\n", "")), ""]
    lines += ["```text", " ".join([f"imgconv {name}", *command.collect_usage_pieces(context)]), "```", ""]
    if described := [(f"`{each.make_metavar(context)}`", text(each.about)) for each in arguments_of(command)]:
        lines += ["## Arguments", "", *table(("argument", "meaning"), described)]
    for title, options in options_of(command, context):
        records = [record for each in options if (record := each.get_help_record(context))]
        described = [(f"`{names}`", text(help_text)) for names, help_text in records]
        lines += [f"## {title}", "", *table(("option", "meaning"), described)]
    own = getattr(command, "statuses", {})
    rows = [(str(status), text(meaning)) for status, meaning in own.items()]
    rows += [(status, meaning) for status, meaning in statuses if status != "1"]
    rows.sort(key=lambda row: int(row[0].split(",")[0]))
    lines += ["## Exit status", "", *table(("status", "meaning"), rows)]
    if examples := getattr(command, "examples", ()):
        lines += ["## Examples", "", "```sh", *examples, "```", ""]
    return "\n".join(lines)


def table(headings: tuple[str, str], rows: list[tuple[str, str]]) -> list[str]:
    """Return the lines of a table, with an empty one behind it."""
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in (headings, ("---", "---"), *rows)]
    return [*(f"| {left} | {right} |" for left, right in escaped), ""]


def text(help_text: str) -> str:
    """Return a help text as Markdown: option names as code."""
    return re.sub(r"(?<![\w`-])(--[a-z][\w-]*)(?![\w`])", r"`\1`", help_text).replace("<", "&lt;")
