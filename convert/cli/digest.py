"""`imgconv digest`: the manifest digests of pushes, before anything is pushed."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, cast

import click

from convert.cli import groups, options
from convert.cli.options import is_terminal, note, out, out_json
from convert.cli.values import FILE, PUSHER
from convert.errors import SelectionError, UsageError, names_text, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convert.commands.convert_options import PusherName
    from convert.report.digest import DigestReport, PushedManifest

_STDOUT: Final = "-"
#: Columns that a table with full digests needs.
_WIDE: Final = 110


_EXAMPLES: Final = (
    "imgconv digest image.tar",
    "imgconv digest image.tar --as crane",
    "docker save app:1 | imgconv digest - --as docker --manifest manifest.json",
)


@groups.command("digest", summary="Print the manifest digests that pushes would give.", examples=_EXAMPLES)
@options.source
@groups.select(
    "--as",
    "tool",
    type=PUSHER,
    metavar="PUSHER",
    show_default="all",
    help="crane, docker, docker-containerd, …; the table without --as lists them.",
)
@groups.output("--manifest", type=FILE, metavar="FILE|-", help="Write the exact bytes of the manifest; needs --as.")
@options.selection
@options.with_
@groups.display("--json", "as_json", is_flag=True, help="Print a JSON document, with the layers of each manifest.")
@options.jobs
@options.logged_progress
@groups.display("-q", "--quiet", is_flag=True, help="Print neither notes nor progress.")
@options.debug
def command(
    source: str,
    tool: str | None,
    manifest: str | None,
    images: tuple[str, ...],
    platforms: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Print the manifest digest that a push of SOURCE would give, offline.

    It depends on the tool, on its release or the Go that built it, and on how the
    tool reads SOURCE: crane reads manifest.json and compresses uncompressed layers
    at level 1; docker, with a graph driver, unpacks all layers and compresses them
    at level 6; docker-containerd, the default of Docker 29, uploads them as they are;
    podman, skopeo and buildah compress with pgzip at level 5; imgconv stands for the
    layout that imgconv --to oci writes. crane means crane@go1.26, docker means
    docker@go1.26.

    With --as and one image in SOURCE, only the digest is printed; without --as,
    the digests of all pushers, in a table. Each layer is read once and verified;
    nothing is written. imgconv SOURCE --to oci DEST --as PUSHER writes the same
    manifest and its blobs.
    """
    from convert.archive.output_file import OutputFile
    from convert.cli import progress
    from convert.commands.digest import DigestOptions, digest
    from convert.report.digest import streamed_document

    if manifest is not None and tool is None:
        raise UsageError(
            "--manifest needs --as PUSHER, because each pusher writes another manifest", code="incompatible-options"
        )
    if manifest == _STDOUT and as_json:
        raise UsageError("--manifest - and --json cannot share standard output", code="incompatible-options")
    quiet = given["quiet"]
    say = (lambda _: None) if quiet else note
    asked = _asked(tool, say)
    with contextlib.ExitStack() as stack:
        output = None
        if manifest is not None:
            output = stack.enter_context(OutputFile(manifest, sources=(source, *given["with_"])))
        shown = stack.enter_context(contextlib.closing(progress.choose("none" if quiet else given["progress"])))
        wanted = DigestOptions(
            pushers=asked, images=images, platforms=platforms, jobs=given["jobs"], with_=given["with_"]
        )
        report = digest(source, wanted, warn=progress.beside(shown, say), progress=shown)
        shown.close()
        if output is not None:
            stdout = sys.stdout.buffer if manifest == _STDOUT else None
            output.write(_only(report).raw, stdout=stdout)
    if as_json:
        out_json(streamed_document(report))
    elif asked:
        for line in _lines(report.pushed):
            click.echo(line, err=manifest == _STDOUT)
    else:
        _show(report, say)


def _asked(tool: str | None, say: Callable[[str], None]) -> list[PusherName]:
    """Return the requested pusher; report the releases that are assumed for a tool without a version."""
    from convert.identity.push import pushers

    if tool is None:
        return []
    pusher = pushers.get(tool)
    others = [other.name for other in pushers.PUSHERS if other.tool == pusher.tool and other is not pusher]
    if others and "@" not in tool:
        built = "" if pusher.versions else "built with "
        say(f"assuming {tool} {built}{pusher.releases} (else --as {' or '.join(others)})")
    return [cast("PusherName", pusher.name)]


def _only(report: DigestReport) -> PushedManifest:
    if len(report.pushed) != 1:
        raise SelectionError(
            f"--manifest is for one manifest, and {len(report.pushed)} are selected",
            code="several-manifests",
            file=report.source,
            hint="pick one with --image or --platform",
        )
    return report.pushed[0]


def _lines(pushed: Sequence[PushedManifest]) -> list[str]:
    """Return only the digest for one image, with names for several."""
    if len(pushed) == 1:
        return [str(pushed[0].digest)]
    return [f"{each.digest}  {names_text(each.names)}" for each in pushed]


# -- the table ---------------------------------------------------------------------


def _show(report: DigestReport, say: Callable[[str], None]) -> None:
    """Print all digests: a table on a terminal, aligned lines elsewhere."""
    groups: dict[str, list[PushedManifest]] = {}
    for pushed in report.pushed:
        groups.setdefault(names_text(pushed.names) if pushed.names else _untagged(pushed), []).append(pushed)
    several = len(groups) > 1
    for number, (title, rows) in enumerate(groups.items()):
        lines = [""] if number else []
        if several or not is_terminal():
            lines.append(title)
        if is_terminal():
            if lines:
                out("\n".join(lines))
            _table("" if several else title, rows)
        else:
            crowded = _of_several(rows)
            widths = [max(len(text) for text in column) for column in zip(*map(_about, rows), strict=True)]
            for row in rows:
                name, releases = (text.ljust(width) for text, width in zip(_about(row), widths, strict=True))
                about = (name, releases, str(row.digest))
                lines.append("  " + "  ".join((*about, *_which(row, crowded))))
            # Printing a line takes longer than making it.
            out("\n".join(lines))
    for refused in report.refused:
        say(f"{refused.pusher.name}: {refused.reason}")


def _about(row: PushedManifest) -> tuple[str, str]:
    return row.pusher.name, row.pusher.releases


def _untagged(pushed: PushedManifest) -> str:
    from convert.model.image import Image

    return f"<none> {pushed.node.image_id if isinstance(pushed.node, Image) else pushed.digest}"


def _of_several(rows: Sequence[PushedManifest]) -> frozenset[str]:
    """Return the pushers that push several images under one name."""
    counts = Counter(row.pusher.name for row in rows)
    return frozenset(name for name, count in counts.items() if count > 1)


def _which(row: PushedManifest, crowded: frozenset[str]) -> list[str]:
    """Return the platform if a name stands for several images."""
    from convert.model.image import Image

    return [printable(str(row.node.platform))] if row.pusher.name in crowded and isinstance(row.node, Image) else []


def _table(title: str, rows: Sequence[PushedManifest]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from convert.cli.console import open_console

    console = open_console()
    crowded = _of_several(rows)
    platforms = any(_which(row, crowded) for row in rows)
    if console.width < _WIDE:
        # A wrapped digest cannot be copied, so it gets its own line.
        if title:
            console.print(Text(title, "bold"))
        for row in rows:
            about = "  ".join((row.pusher.releases, *_which(row, crowded)))
            console.print(Text.assemble("  ", (row.pusher.name, "bold"), f"  {about}"), soft_wrap=True)
            console.print(Text.assemble("    ", (str(row.digest), "green")), soft_wrap=True)
        return
    table = Table(title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("Pushed by", "releases", *(("platform",) if platforms else ())):
        table.add_column(heading, no_wrap=True)
    table.add_column("manifest digest", overflow="fold")
    for row in rows:
        which = (Text("".join(_which(row, crowded))),) if platforms else ()
        table.add_row(Text(row.pusher.name, "bold"), Text(row.pusher.releases), *which, Text(str(row.digest), "green"))
    console.print(table)
