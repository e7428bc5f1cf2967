"""The man pages, made from the declarations of the commands when the package is built (setup.py)."""

from __future__ import annotations

import inspect
import os
import re
import textwrap
from typing import TYPE_CHECKING, Final

import click

from convert.cli import groups
from convert.cli.commands import COMMANDS
from convert.cli.main import root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NAME: Final = "imgconv"
_SYNOPSIS: Final = ("[convert] SOURCE --to FORMAT DEST", "COMMAND [ARGUMENTS]")
#: Bytes of a line, as mandoc's style asks for.
_WIDTH: Final = 78
#: An option in a text, or what stands between backquotes.
_LITERAL: Final = re.compile(r"`([^`]+)`|(?<![\w-])(--[a-z][a-z0-9-]*|-[a-z])(?![\w-])")


def pages(version: str, date: str) -> dict[str, str]:
    """Return the text of each page by its file name.

    Args:
        version: of the package.
        date: the day of the release, `YYYY-MM-DD`.
    """
    context = _context(root, _NAME)
    commands = {name: _command(context, name) for name in COMMANDS}
    found = {f"{_NAME}.1": _main_page(context, commands)}
    for name, command in commands.items():
        found[f"{_NAME}-{name}.1"] = _page(command, _context(command, f"{_NAME} {name}"))
    end = f'1 {date} "{_NAME} {version}" "User Commands"\n.nh\n'
    return {name: f".TH {_literal(name.removesuffix('.1').upper())} {end}{text}" for name, text in found.items()}


def write_pages(folder: str, version: str, date: str) -> list[str]:
    """Write the pages into a folder; return their paths."""
    os.makedirs(folder, exist_ok=True)
    paths = []
    for name, text in pages(version, date).items():
        paths.append(os.path.join(folder, name))
        with open(paths[-1], "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    return paths


def _context(command: click.Command, name: str) -> click.Context:
    return click.Context(command, info_name=name, help_option_names=groups.HELP_NAMES)


def _command(context: click.Context, name: str) -> groups.Command:
    command = root.get_command(context, name)
    if not isinstance(command, groups.Command):
        raise TypeError(f"{name} is not declared with groups.command")
    return command


def _main_page(context: click.Context, commands: dict[str, groups.Command]) -> str:
    lines = [
        *_head(_NAME, "convert, verify and explain container image archives"),
        *_synopsis(f"{_NAME} {text}" for text in _SYNOPSIS),
        *_description(root),
        ".SH COMMANDS",
    ]
    for name, command in commands.items():
        lines += [".TP", f".BR {_literal(f'{_NAME}-{name}')} (1)", _text(command.short_help or "")]
    lines += [*_options(root, context), *_statuses({1: "negative result: differences, findings, no match"})]
    return _joined([*lines, *_see_also(f"{_NAME}-{name}" for name in commands)])


def _page(command: groups.Command, context: click.Context) -> str:
    name = context.info_name or ""
    lines = [
        *_head(name.replace(" ", "-"), command.short_help or ""),
        *_synopsis([" ".join((name, *command.collect_usage_pieces(context)))]),
        *_description(command),
        *_arguments(command, context),
        *_options(command, context),
        *_statuses(command.statuses),
        ".SH EXAMPLES",
        ".EX",
        *(_verbatim(line) for line in command.examples),
        ".EE",
    ]
    return _joined([*lines, *_see_also([_NAME])])


def _head(name: str, summary: str) -> Iterator[str]:
    yield ".SH NAME"
    yield f"{_escaped(name)} \\- {_escaped(summary[:1].lower() + summary[1:].rstrip('.'))}"


def _synopsis(uses: Iterable[str]) -> Iterator[str]:
    yield ".SH SYNOPSIS"
    yield ".nf"
    for use in uses:
        program, _, rest = use.partition(" ")
        yield f"\\fB{_escaped(program)}\\fR {_escaped(rest)}"
    yield ".fi"


def _description(command: click.Command) -> Iterator[str]:
    yield ".SH DESCRIPTION"
    for number, paragraph in enumerate(inspect.cleandoc(command.help or "").split("\n\n")):
        if number:
            yield ".PP"
        if paragraph.startswith("\b\n"):  # click's mark for lines that stay as they are
            yield from (".EX", *map(_verbatim, paragraph.split("\n")[1:]), ".EE")
        else:
            yield _text(" ".join(paragraph.split()))


def _arguments(command: groups.Command, context: click.Context) -> Iterator[str]:
    found = groups.arguments_of(command)
    if found:
        yield ".SH ARGUMENTS"
    for each in found:
        yield from (".TP", f"\\fI{_escaped(each.make_metavar(context).strip('[]'))}\\fR", _text(each.about))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    yield ".SH OPTIONS"
    for title, options in groups.options_of(command, context):
        yield f".SS {_escaped(title)}"
        for each in options:
            names, text = each.get_help_record(context) or ("", "")
            names, _, value = _split(names)
            yield ".TP"
            yield f"\\fB{_escaped(names)}\\fR" + (f" \\fI{_escaped(value)}\\fR" if value else "")
            yield _text(text.replace("  [default: ", " [default: "))


def _split(names: str) -> tuple[str, str, str]:
    """Return the names of an option without its value, and the value: `-j, --jobs N`."""
    match = re.fullmatch(r"((?:-\w, )?--?[\w-]+)( )?(.*)", names)
    if match is None:
        raise ValueError(f"{names!r} does not begin with an option")
    return match[1], match[2] or "", match[3]


def _statuses(own: dict[int, str]) -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for number, meaning in sorted({**groups.STATUSES, **own}.items()):
        yield from (".TP", f"\\fB{number}\\fR", _text(meaning[:1].upper() + meaning[1:] + "."))


def _see_also(names: Iterable[str]) -> Iterator[str]:
    yield ".SH SEE ALSO"
    *others, last = [f".BR {_literal(name)} (1)" for name in names]
    yield from (f"{each}," for each in others)
    yield last


def _text(text: str) -> str:
    """Return a paragraph with options and literals in bold."""
    parts, end = [], 0
    for match in _LITERAL.finditer(text):
        parts += [_escaped(text[end : match.start()]), f"\\fB{_escaped(match[1] or match[2])}\\fR"]
        end = match.end()
    parts.append(_escaped(text[end:]))
    lines = textwrap.wrap("".join(parts), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(_line, lines))


def _verbatim(line: str) -> str:
    return _line(_escaped(line))


def _literal(name: str) -> str:
    return name.replace("-", "\\-")


def _escaped(text: str) -> str:
    """Return `text` with roff's own characters escaped; a hyphen is one that can be copied."""
    escapes = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", "…": "\\&..."}
    return "".join(escapes.get(char, char) for char in text)


def _line(text: str) -> str:
    """Return a line that roff does not take for a request."""
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
