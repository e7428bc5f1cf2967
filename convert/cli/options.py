"""Options that several commands share, and functions that print."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from convert.errors import printable, shortened, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

F = TypeVar("F", bound="Callable[..., Any]")

#: An escape of JSON: a pair of surrogates, a single surrogate (group 1), or any other.
_ESCAPES: Final = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|\\u(d[89a-f][0-9a-f]{2})|\\.", re.DOTALL)
_BYTE: Final = 0xDC00
#: Maximum number of threads of one kind.
_MOST_JOBS: Final = 512
#: Chunks of a JSON text that are printed at a time.
_CHUNK_COUNT: Final = 4096


def selection(command: F) -> F:
    """Add `--image` and `--platform` (docs/contract.md#selecting)."""
    image = click.option(
        "--image",
        "images",
        multiple=True,
        metavar="REF|ID",
        help="Only this image: name, image ID, manifest digest or unique hex prefix (4+ digits). Repeatable.",
    )
    platform = click.option(
        "--platform",
        "platforms",
        multiple=True,
        metavar="OS/ARCH[/VARIANT]",
        help="Only this platform of an index. Repeatable.",
    )
    return image(platform(command))


def debug(command: F) -> F:
    """Add `--debug`, which `main` evaluates."""
    return click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback on errors.")(command)


def _sensible(_: click.Context, __: click.Parameter, value: int | None) -> int | None:
    """Return a number of jobs for which the system has enough threads."""
    return None if value is None else min(value, _MOST_JOBS)


def jobs(command: F) -> F:
    """Add `--jobs`."""
    return click.option(
        "--jobs",
        "-j",
        type=click.IntRange(min=1),
        callback=_sensible,
        metavar="N",
        help="CPU cores to use [default: all]; never affects output.",
    )(command)


def note(text: str) -> None:
    """Print one line for a person on standard error."""
    click.echo(f"imgconv: {printable(text)}", err=True)


def out(text: str) -> None:
    """Print a line of the result on standard output."""
    click.echo(text)


def out_json(document: object, *, to_error: bool = False, bounded: bool = True) -> None:
    r"""Print a JSON document.

    A byte of a name that is not UTF-8 is written as `\xff`, because strict readers refuse single
    surrogates. With `bounded`, the text is completed before anything is printed.

    Raises:
        UnsafeInputError: the document is bounded and too large; nothing is printed.
    """
    import json

    from convert.errors import UnsafeInputError
    from convert.limits import MAX_REPORT_SIZE

    # Objects that images share exist once in memory, but once for each image in the text.
    size = 0
    chunks: list[str] = []
    parts: list[bytes] = []
    for raw in json.JSONEncoder(indent=2).iterencode(document):
        chunk = _ESCAPES.sub(_without_lone_surrogate, raw) if "\\ud" in raw else raw
        size += len(chunk)
        if bounded and size > MAX_REPORT_SIZE:
            raise UnsafeInputError(
                f"the document for --json would have more than {MAX_REPORT_SIZE} bytes",
                code="report-too-large",
                hint="--image picks one image",
            )
        chunks.append(chunk)
        if len(chunks) >= _CHUNK_COUNT:
            parts.append("".join(chunks).encode())
            chunks.clear()
            if not bounded:
                click.echo(parts.pop(), nl=False, err=to_error)
    for part in parts:
        click.echo(part, nl=False, err=to_error)
    click.echo("".join(chunks), err=to_error)


def _without_lone_surrogate(escape: re.Match[str]) -> str:
    """Return a JSON escape unchanged, or the text for a single surrogate."""
    code = escape[1]
    if code is None:
        return escape[0]
    number = int(code, 16)
    # Python reads a byte 0x80 to 0xff that is not UTF-8 as U+DC80 to U+DCFF (PEP 383).
    return f"\\\\x{number - _BYTE:02x}" if _BYTE + 0x80 <= number <= _BYTE + 0xFF else f"\\\\u{code}"


def is_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout.isatty()


def one_of(kind: str, choices: Sequence[str]) -> OneOf:
    """Return the type of an option that takes one of `choices`; `kind` names it in errors."""
    return OneOf(kind, choices)


class OneOf(click.ParamType[str]):
    """A choice of words; the error for another word suggests a similar one."""

    name = "choice"

    def __init__(self, kind: str, choices: Sequence[str]) -> None:
        """`kind` describes the choices in errors."""
        self.kind = kind
        self.choices = tuple(choices)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002 - click's signature
        """Return the choices in click's form."""
        return f"[{'|'.join(self.choices)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the chosen word."""
        text = str(value)
        if text not in self.choices:
            hint = suggestion(text, self.choices)
            self.fail(
                f"{shortened(text)!r} is not one of {', '.join(self.choices)}{'; ' + hint.rstrip() if hint else ''}",
                param,
                ctx,
            )
        return text
