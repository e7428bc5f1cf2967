"""Options that several commands share, and functions that print."""

from __future__ import annotations

import itertools
import os
import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from convert.cli import groups
from convert.cli.values import FILE, PLATFORM, OneOf
from convert.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

#: The description of SOURCE.
SOURCE_ABOUT: Final = "An archive or layout: a file, a folder, - for standard input, or registry:ROOT/REPOSITORY:TAG."
#: Maximum number of threads of one kind.
_MOST_JOBS: Final = 512


def source(command: F) -> F:
    """Add SOURCE."""
    return groups.argument("source", type=FILE, metavar="SOURCE", about=SOURCE_ABOUT)(command)


def selection(command: F) -> F:
    """Add `--image` and `--platform` (docs/contract.md#selecting)."""
    image = groups.select(
        "--image",
        "images",
        multiple=True,
        metavar="REF|ID",
        help="Only this image: name, image ID, manifest digest or unique hex prefix (4+ digits). Repeatable.",
    )
    return image(platform(command))


def platform(command: F) -> F:
    """Add `--platform` (docs/contract.md#selecting)."""
    return groups.select(
        "--platform",
        "platforms",
        multiple=True,
        type=PLATFORM,
        metavar="OS/ARCH[/VARIANT]",
        help="Only this platform of an index. Repeatable.",
    )(command)


def ref(command: F) -> F:
    """Add REF, which names the one image of a command."""
    return groups.argument(
        "ref", metavar="[REF]", required=False, about="A name, an ID, a manifest digest, or a hex prefix of one."
    )(command)


def edits(command: F) -> F:
    """Add the options that edit images (docs/contract.md#editing)."""
    for option in (
        groups.edit("--flatten", is_flag=True, help="Replace nested indexes by one list."),
        groups.edit("--no-attestations", is_flag=True, help="Rewrite indexes without their attestations."),
        groups.edit("--join", metavar="NAME", help="Make one multi-platform index of all images, under this name."),
        groups.edit(
            "--prune",
            is_flag=True,
            help="Remove absent children from indexes; leave out images that lack a blob.",
        ),
        groups.edit(
            "--rename",
            multiple=True,
            metavar="OLD=NEW",
            help="Rename an image, or all names below a prefix: hold/=registry.example/. Repeatable.",
        ),
        groups.edit("--untag", multiple=True, metavar="REF", help="Take this name away; the image stays. Repeatable."),
        groups.edit("--drop", multiple=True, metavar="REF|ID", help="Leave this image out. Repeatable."),
    ):
        command = option(command)
    return command


def debug(command: F) -> F:
    """Add `--debug`, which `main` evaluates."""
    return groups.other("--debug", is_flag=True, expose_value=False, help="Show a traceback on errors.")(command)


def _sensible(_: click.Context, __: click.Parameter, value: int | None) -> int | None:
    """Return a number of jobs for which the system has enough threads."""
    return None if value is None else min(value, _MOST_JOBS)


def jobs(command: F) -> F:
    """Add `--jobs`."""
    return groups.run(
        "--jobs",
        "-j",
        type=click.IntRange(min=1),
        callback=_sensible,
        metavar="N",
        show_default="all",
        help="CPU cores to use; never affects output.",
    )(command)


def json(command: F) -> F:
    """Add `--json`."""
    return groups.display("--json", "as_json", is_flag=True, help="Print a JSON document.")(command)


def formats(*forms: str, explained: str = "") -> Callable[[F], F]:
    """Return what adds `--format` with these choices, text first, and `--json`; `chosen_format` evaluates both.

    `explained` is the help, the list of the choices if empty.
    """
    words = f"{', '.join(forms[:-1])} or {forms[-1]}."

    def add(command: F) -> F:
        option = groups.display(
            "--format", "form", type=OneOf("format", forms), default=forms[0], help=explained or words
        )
        return option(groups.display("--json", "as_json", is_flag=True, help="The same as --format json.")(command))

    return add


def chosen_format(form: str, *, as_json: bool) -> str:
    """Return the value of `--format`, with `--json` as another spelling of one.

    Raises:
        UsageError: they ask for two things.
    """
    from convert.errors import UsageError

    if as_json and form not in {"text", "json"}:
        raise UsageError(f"--json and --format {form} ask for two things", code="incompatible-options")
    return "json" if as_json else form


def with_(command: F) -> F:
    """Add `--with` (docs/thin.md)."""
    return groups.select(
        "--with",
        "with_",
        type=FILE,
        multiple=True,
        metavar="OLD",
        help="Take the layers that a thin archive lacks from the archive OLD. Repeatable.",
    )(command)


def force(command: F) -> F:
    """Add `--force`."""
    return groups.output("--force", is_flag=True, help="Replace what is at DEST.")(command)


def progress(command: F) -> F:
    """Add `--progress` to a command that shows it on terminals only."""
    return _progress("auto is a table, on a terminal only")(command)


def logged_progress(command: F) -> F:
    """Add `--progress` to a command that shows it in logs, too."""
    return _progress("auto is a table on a terminal, and lines elsewhere")(command)


def _progress(auto: str) -> Callable[[F], F]:
    return groups.display(
        "--progress",
        type=OneOf("kind of progress", ["auto", "plain", "none"]),
        default="auto",
        help=f"How progress is shown on standard error: {auto}.",
    )


def quiet(command: F) -> F:
    """Add `--quiet`."""
    return groups.display(
        "-q", "--quiet", is_flag=True, help="Print neither notes nor result lines; --json still prints its document."
    )(command)


def note(text: str) -> None:
    """Print one line for a person on standard error."""
    click.echo(f"imgconv: {printable(text)}", err=True)


def out(text: str) -> None:
    """Print a line of the result on standard output."""
    click.echo(text)


def out_bytes(data: bytes) -> None:
    """Print bytes as they are, without a newline."""
    click.echo(data, nl=False)


def is_standard_output(dest: str) -> bool:
    """Return whether a result was written to standard output, under any name."""
    if dest == "-":
        return True
    try:
        return os.path.samestat(os.stat(dest), os.fstat(1))
    except (OSError, ValueError):
        return False


def out_json(document: object, *, to_error: bool = False, bounded: bool = True) -> None:
    """Print a JSON document.

    With `bounded`, the text is completed before anything is printed.

    Raises:
        UnsafeInputError: the document is bounded and too large; nothing is printed.
    """
    from convert.report.json_text import bounded_text, large_pieces

    for text in bounded_text(document) if bounded else itertools.chain(large_pieces(document), ("\n",)):
        click.echo(text, nl=False, err=to_error)


def is_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout.isatty()
