"""`imgconv export`: the file system of an image as one tar."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from convert.cli import groups, options
from convert.cli.values import FILE, SIZE
from convert.errors import names_text, printable

_EXAMPLES: Final = (
    "imgconv export image.tar rootfs.tar",
    "imgconv export layout app:1.0 - | tar -tv",
)


@groups.command("export", summary="Write the file system of an image as one tar.", examples=_EXAMPLES)
@options.source
@groups.argument("words", metavar="[REF] DEST", nargs=-1, required=True, type=FILE, about="The image, then the result.")
@options.platform
@groups.run(
    "--max-layer-size", type=SIZE, metavar="SIZE", show_default="64G", help="Refuse layers that unpack to more."
)
@options.with_
@options.force
@options.json
@options.progress
@options.quiet
@options.debug
def command(source: str, words: tuple[str, ...], *, as_json: bool, quiet: bool, **given: Any) -> None:
    """Write the file system that the layers of an image make together as one tar.

    Whiteouts, opaque folders, hard links, extended attributes, devices, owners and times are
    applied as image-spec's layer.md says. Only the tar is written, and no root is needed.
    DEST - is standard output.
    """
    import click

    from convert.cli import progress
    from convert.commands.export import ExportOptions, export
    from convert.errors import UsageError
    from convert.report.export import document

    if len(words) > 2:
        raise UsageError("export takes SOURCE, REF and DEST", code="usage", hint="imgconv export SOURCE [REF] DEST")
    *ref, dest = words
    asked = ExportOptions(
        ref=ref[0] if ref else None,
        platforms=given["platforms"],
        max_layer_size=given["max_layer_size"],
        force=given["force"],
        with_=given["with_"],
    )
    with contextlib.closing(progress.choose("none" if quiet else given["progress"])) as shown:
        report = export(source, dest, asked, warn=(lambda _: None) if quiet else options.note, progress=shown)
    to_error = options.is_standard_output(dest)
    if as_json:
        options.out_json(document(report), to_error=to_error)
    elif not quiet:
        click.echo(printable(f"{names_text(report.names)}  {report.image_id}"), err=to_error)
