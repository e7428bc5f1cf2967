"""Options that several commands share, and how they print."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from convert.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

#: Of a JSON text, printed at a time.
_PIECES: Final = 4096


def selection(command: F) -> F:
    """Add `--image` and `--platform` (CONTRACT.md, "Selecting")."""
    image = click.option(
        "--image",
        "images",
        multiple=True,
        metavar="REF|ID",
        help="Only this image: a name, an image ID, a manifest digest, or 4 hex digits and more of one.",
    )
    platform = click.option(
        "--platform",
        "platforms",
        multiple=True,
        metavar="OS/ARCH[/VARIANT]",
        help="Only this platform of an index; may be repeated.",
    )
    return image(platform(command))


def debug(command: F) -> F:
    """Add `--debug`, which `main` looks for by itself."""
    return click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback on errors.")(command)


def jobs(command: F) -> F:
    """Add `--jobs`."""
    return click.option(
        "--jobs", "-j", type=click.IntRange(min=1), metavar="N", help="Cores to use; results never depend on it."
    )(command)


def note(text: str) -> None:
    """Print one line for a person on standard error."""
    click.echo(f"imgconv: {printable(text)}", err=True)


def out(text: str) -> None:
    """Print a line of the answer on standard output."""
    click.echo(text)


def out_json(document: object) -> None:
    """Print a JSON document on standard output, in pieces: all of its text may be hundreds of megabytes."""
    import json

    pieces: list[str] = []
    for piece in json.JSONEncoder(indent=2).iterencode(document):
        pieces.append(piece)
        if len(pieces) >= _PIECES:
            click.echo("".join(pieces), nl=False)
            pieces.clear()
    click.echo("".join(pieces))


def is_terminal() -> bool:
    """Tell whether standard output is a terminal."""
    return sys.stdout.isatty()
