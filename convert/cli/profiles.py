"""`imgconv profiles`: the values of `--compress`, and the tools that write the same bytes."""

from __future__ import annotations

from typing import Any

from convert.cli import groups, options
from convert.cli.options import is_terminal, out, out_json


@groups.command(
    "profiles",
    summary="List the compression profiles: names for exact encoders.",
    examples=("imgconv profiles", "imgconv profiles --json | jq -r '.profiles[].name'"),
)
@options.json
@options.debug
def command(as_json: bool) -> None:
    """List the compression profiles: names for exact encoders.

    A profile's bytes never change: the same layer gives the same digest on every
    machine and with any number of cores. --compress takes a name or an alias.
    """
    from convert.report.profiles import document

    found = document()
    profiles = found["profiles"]
    if as_json:
        out_json(found)
    elif is_terminal():
        _table(profiles)
    else:
        width = max(len(_label(profile)) for profile in profiles)
        for profile in profiles:
            out(f"{_label(profile):<{width}}  {profile['made_by']}")


def _label(profile: dict[str, Any]) -> str:
    """Return a profile's name and aliases."""
    names = ", ".join((profile["name"], *profile["aliases"]))
    return f"{names} (default)" if profile["default"] else names


def _table(profiles: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from convert.cli.console import open_console

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("profile", no_wrap=True)
    table.add_column("also called")
    table.add_column("same bytes as")
    family = ""
    for profile in profiles:
        begun, family = family, profile["name"].split("-")[0]
        if begun and begun != family:
            table.add_section()
        name = Text(profile["name"], "bold green" if profile["default"] else "bold")
        if profile["default"]:
            name.append(" *", "green")
        table.add_row(name, Text(", ".join(profile["aliases"])), Text(profile["made_by"]))
    console = open_console()
    console.print(table)
    console.print(Text("* default", "dim"))
