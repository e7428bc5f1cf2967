"""`imgconv batch`: one command on many sources."""

from __future__ import annotations

import contextlib
import os
import select
from typing import TYPE_CHECKING, Any, Final

import click

from convert.cli import groups, options
from convert.cli.options import note, out
from convert.cli.values import FILE, SIZE, OneOf
from convert.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from convert.cli.batch_progress import BatchProgress
    from convert.commands.batch.item import Item
    from convert.commands.batch.journal import Journal
    from convert.report.batch import Row

#: The longest time that a source may be given, in seconds: a year.
_LONGEST: Final = 366 * 24 * 3600
#: The commands of a batch, as `convert.commands.batch.item` has them.
_COMMANDS: Final = ("validate", "digest", "id", "inspect", "convert")
_EXAMPLES: Final = (
    "imgconv batch validate 'archives/*.tar' --journal run.jsonl",
    "imgconv batch digest @list --journal run.jsonl -- --as crane",
    "imgconv batch convert 'in/*.tar' --out 'out/{stem}.tar' -- --to oci-archive",
    "find . -name '*.tar' -print0 | imgconv batch id -",
)


class _Command(groups.Command):
    """A command line whose words after `--` belong to another command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words before `--`; keep those after it."""
        place = args.index("--") if "--" in args else len(args)
        ctx.obj = tuple(args[place + 1 :])
        return super().parse_args(ctx, args[:place])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return what the usage line shows."""
        return [*super().collect_usage_pieces(ctx), "[-- OPTIONS]"]


def _seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Return a duration in seconds: `90`, `90s`, `5m` or `2h`."""
    if value is None:
        return None
    unit = {"s": 1, "m": 60, "h": 3600}.get(value[-1:].lower())
    try:
        seconds = float(value if unit is None else value[:-1]) * (unit or 1)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST:
        raise click.BadParameter(f"invalid duration {value[:60]!r}; give seconds, or a number with s, m or h")
    return seconds


@groups.command(
    "batch",
    summary="Run a command on many sources, with a journal.",
    examples=_EXAMPLES,
    statuses={1: "the highest status of the sources is 1: a source has errors or warnings"},
    cls=_Command,
)
@groups.argument("command_name", type=OneOf("command", _COMMANDS), metavar="COMMAND", about=f"{', '.join(_COMMANDS)}.")
@groups.argument(
    "sources",
    type=FILE,
    metavar="SOURCES...",
    nargs=-1,
    required=True,
    about="Archives and layouts: paths, patterns in quotes, @FILE for a list, - for a list on standard input, "
    "and URLs with imgconv[fleet].",
)
@groups.output(
    "--out",
    metavar="TEMPLATE",
    help="The result of convert, or the document that the others print with --json, for each source: fields are "
    "{stem}, {index} and, for convert, those of DEST.",
)
@groups.output(
    "--journal",
    type=FILE,
    metavar="FILE",
    help="Append a row for each source, and do only what has none. Without it rows go to standard output.",
)
@groups.select("--shard", metavar="I/N", help="Only the I-th of N parts of the sources.")
@groups.select("--retry-failed", is_flag=True, help="Also do again what failed according to the journal.")
@groups.run(
    "--engine",
    default="local",
    metavar="local|dask[:ADDRESS]",
    help="Where the work is done: processes of this machine, or dask.distributed.",
)
@options.jobs
@groups.run("--timeout", callback=_seconds, metavar="DURATION", help="End a source that takes longer: 90, 5m, 2h.")
@groups.run("--memory", type=SIZE, metavar="SIZE", help="End a source for which a process needs more memory.")
@options.logged_progress
@groups.display("-q", "--quiet", is_flag=True, help="Print neither failures, notes, progress nor the summary.")
@options.debug
@click.pass_context
def command(ctx: click.Context, /, command_name: str, sources: Sequence[str], quiet: bool, **given: Any) -> int:
    """Run COMMAND on each of SOURCES, on all cores, and note each result in a row of JSON.

    A source that fails never ends the run. A run that was ended or killed is started
    again with the same words, and does what is missing. What follows -- are options
    of COMMAND. The exit status is the highest that a source had. docs/batch.md has
    the rows, and recipes for Slurm, GNU parallel, Ray and Spark.
    """
    from importlib.metadata import version as version_of

    from convert.cancel import Cancelled
    from convert.cli.batch_options import parse_options
    from convert.cli.batch_progress import BatchProgress
    from convert.commands.batch.engine import Engine
    from convert.commands.batch.journal import Journal
    from convert.commands.batch.make_items import batch_items
    from convert.commands.batch.run import missing, run_all
    from convert.errors import UsageError
    from convert.report.batch import Summary

    if given["retry_failed"] and given["journal"] is None:
        raise UsageError("--retry-failed needs --journal", code="incompatible-options")
    engine = Engine(spelling=given["engine"], **{name: given[name] for name in ("jobs", "timeout", "memory")})
    version = version_of("imgconv")
    wanted = parse_options(command_name, ctx.obj)
    kept = [given["journal"]] if given["journal"] is not None else []
    items = batch_items(sources, command_name, wanted, out=given["out"], shard=given["shard"], keep=kept)
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(Journal(given["journal"], version)) if given["journal"] is not None else None
        earlier = journal.rows if journal is not None else {}
        todo = list(missing(items, earlier, retry_failed=given["retry_failed"]))
        begun = {item.key for item in todo}
        keys = dict.fromkeys(item.key for item in items)
        summary = Summary.of(len(keys), [earlier[key] for key in keys if key not in begun])
        if journal is not None and not quiet:
            _note_journal(journal)
        shown = BatchProgress("none" if quiet else given["progress"], summary)
        if todo:
            started = stack.enter_context(engine.start(command_name, version))
            rows = run_all(
                todo,
                started.executor,
                journal=journal,
                ahead=started.ahead,
                check=shown.with_check(started.check),
                lifetime=started.lifetime,
                run_several=started.run_several,
            )
            stack.callback(rows.close)
            stack.callback(shown.close)
            try:
                for row in in_order(rows, todo) if journal is None else rows:
                    _show(row, shown, printed=journal is None, quiet=quiet)
            except Cancelled:
                if not quiet:
                    _print_last(summary.text())
                raise
    if not quiet:
        note(summary.text())
    return summary.status


def in_order(rows: Iterable[Row], items: Sequence[Item]) -> Iterator[Row]:
    """Yield rows in the order of their items; a row waits for those before it."""
    held: dict[str, Row] = {}
    rest = iter(items)
    key = next(rest).key
    for row in rows:
        held[row.key] = row
        while key in held:
            yield held.pop(key)
            item = next(rest, None)
            if item is None:
                return
            key = item.key


def _show(row: Row, shown: BatchProgress, *, printed: bool, quiet: bool) -> None:
    """Count a row, print it, and state what is to be known about it."""
    shown.add(row)
    with shown.paused():
        if printed:
            out(row.line())
        if quiet:
            return
        source = quoted(row.source, column=False)
        for text in row.notes:
            note(text if text.startswith(source) else f"{source}: {text}")
        if row.message is not None:
            note(row.message if row.message.startswith(source) else f"{source}: {row.message}")


def _note_journal(journal: Journal) -> None:
    if journal.mended:
        note(f"{journal.path}: removed a torn last line of {journal.mended} bytes; its source is done again")
    if journal.others:
        versions = ", ".join(sorted(journal.others)[:5])
        note(f"{journal.path}: rows of imgconv {versions} count too; another journal does everything again")


def _print_last(text: str) -> None:
    """Print a line on standard error after a signal: only if nobody has to be waited for."""
    with contextlib.suppress(OSError):
        ready = select.poll()
        ready.register(2, select.POLLOUT)
        if ready.poll(0):
            os.write(2, f"imgconv: {text}\n".encode())
