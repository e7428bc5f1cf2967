"""What follows `--` in `imgconv batch COMMAND SOURCES… -- OPTIONS`, read as the command itself reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from convert.cli.main import root
from convert.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.commands.common import Options

#: Stand for SOURCE and DEST.
_SOURCE: Final = "./SOURCE"
_DEST: Final = "./DEST"
#: Parameters that say where or how one result is shown; batch decides that. The others of display have no effect.
_REFUSED: Final = {
    "as_json": "--json",
    "form": "--format",
    "graph": "--graph",
    "manifest": "--manifest",
    "html": "--html",
}
_DISPLAY: Final = frozenset({"verbose", "quiet", "progress"})


def parse_options(command: str, words: Sequence[str]) -> Options:
    """Return the options of a command.

    Raises:
        UsageError: they are not valid, or hold what batch decides.
    """
    from convert.commands.batch.item import options_type

    given = _parse(command, words)
    for name, option in _REFUSED.items():
        value = given.pop(name, None)
        if value and value != "text":
            raise UsageError(
                f"{option} cannot be used in a batch",
                code="incompatible-options",
                hint="rows are JSON; --out writes a document for each source",
            )
    for name in _DISPLAY:
        given.pop(name, None)
    if command == "digest":
        tool = given.pop("tool")
        given["pushers"] = () if tool is None else (tool,)
    return options_type(command)(**given)


def _parse(command: str, words: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of a command line with SOURCE, and DEST for convert."""
    found = root.get_command(click.Context(root), command)
    if found is None:
        raise ValueError(f"unknown command {command}")
    if not {"--help", "-h"}.isdisjoint(words):
        raise UsageError(
            "--help cannot be used in a batch", code="incompatible-options", hint=f"imgconv {command} --help"
        )
    places = [_SOURCE, _DEST] if command == "convert" else [_SOURCE]
    # SOURCE comes first, so that REFs of `id` may follow it.
    with found.make_context(f"imgconv {command}", [*places, *words]) as context:
        given = dict(context.params)
    found_places = [given.pop(name) for name in ("source", "sources", "dest") if name in given]
    if found_places not in ([_SOURCE], [(_SOURCE,)], [(_SOURCE,), _DEST]):
        raise UsageError(
            "what follows -- holds options of the command, and neither SOURCE nor DEST",
            code="incompatible-options",
            hint="sources come before --; --out is DEST",
        )
    return given
