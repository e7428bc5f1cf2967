"""Print what `doctor` found for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from convert.cli.console import open_console
from convert.consumers.rule import Verdict
from convert.errors import quoted
from convert.report.doctor import HEAD, rows

if TYPE_CHECKING:
    from convert.report.doctor import DoctorReport

_STYLES: Final = {
    Verdict.LOADS.value: "green",
    Verdict.LOSS.value: "yellow",
    Verdict.UNKNOWN.value: "yellow",
    Verdict.REFUSES.value: "red",
}


def show(report: DoctorReport, *, several: bool) -> None:
    """Print the table of one source, with its name where there are several."""
    console = open_console()
    if several:
        console.print(Text(quoted(report.source), "bold"), soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    for title in HEAD:
        table.add_column(title, overflow="fold", no_wrap=title in HEAD[:2])
    for who, verdict, what, helps in rows(report):
        table.add_row(Text(who), Text(verdict, _STYLES[verdict]), Text(what), Text(helps))
    console.print(table)
    console.print(Text(f"{report.format}; consumers on {report.platform.full}", "dim"))
