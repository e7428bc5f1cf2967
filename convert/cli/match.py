"""`imgconv match`: find the encoder of each layer that a registry lists, and re-create the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from convert.cli import groups, options
from convert.cli.options import note, out_json
from convert.cli.values import FILE, FORMAT
from convert.errors import names_text, printable

if TYPE_CHECKING:
    from convert.commands.convert_options import Format
    from convert.report.match import LayerMatch, MatchReport


_EXAMPLES: Final = (
    "crane manifest example.com/app:1 | imgconv match app.tar -",
    "imgconv match app.tar manifest.json --to oci layout",
)


@groups.command(
    "match",
    summary="Find the encoders behind a registry's layers.",
    examples=_EXAMPLES,
    statuses={1: "a layer is not recognised; nothing is written"},
)
@groups.argument(
    "source", type=FILE, metavar="SOURCE", about="An archive with uncompressed layers, as docker save writes it."
)
@groups.argument(
    "manifest", type=FILE, metavar="MANIFEST", about="A file with the registry's manifest, or - for standard input."
)
@groups.argument("dest", type=FILE, metavar="[DEST]", required=False, about="Where --to writes the image.")
@groups.output(
    "--to", type=FORMAT, metavar="FORMAT", help="Write the registry's image: oci, oci-archive or docker-oci."
)
@options.selection
@options.with_
@options.force
@options.json
@options.jobs
@options.logged_progress
@options.quiet
@options.debug
def command(
    source: str,
    manifest: str,
    dest: str | None,
    to: Format | None,
    images: tuple[str, ...],
    platforms: tuple[str, ...],
    force: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Find the encoder that gives each layer digest in a registry's MANIFEST.

    MANIFEST is the registry's manifest, as printed by crane manifest or docker
    buildx imagetools inspect --raw, or the index that lists it.
    imgconv tries every profile, GNU gzip, and zlib with the headers of Python, Java
    and bsdtar; of a large layer, those whose result has about the listed size. A
    matching digest identifies the encoder.

    With --to, the image is written with the registry's manifest and blobs, digest
    for digest. Exit status 1: a layer is not recognised; nothing is written.
    """
    from convert.cli import progress
    from convert.commands.match.rebuild import MatchOptions, match
    from convert.report.match import document

    shown = progress.choose("none" if quiet else given["progress"])
    warn = (lambda _: None) if quiet else progress.beside(shown, note)
    try:
        asked = MatchOptions(
            to=to,
            destination=dest,
            images=images,
            platforms=platforms,
            force=force,
            jobs=given["jobs"],
            with_=given["with_"],
        )
        report = match(source, manifest, asked, warn=warn, progress=shown)
    finally:
        shown.close()
    to_error = dest == "-"
    if as_json:
        out_json(document(report), to_error=to_error)
    elif not quiet:
        _show(report, to_error=to_error)
    if not report.complete and not quiet:
        _explain(report, asked=to is not None)
    return report.status


def _show(report: MatchReport, *, to_error: bool) -> None:
    """Print a line for the image and one for each layer."""
    names = names_text(report.names)
    digest = str(report.manifest.digest) if report.manifest else "-"
    image_id = str(report.image.image_id) if report.image else "-"
    click.echo(printable(f"{names}  {image_id}  {digest}"), err=to_error)
    width = max((len(_how(layer)) for layer in report.layers), default=0)
    for layer in report.layers:
        by = f"  {layer.found.by}" if layer.found and layer.found.by else ""
        click.echo(printable(f"  {layer.wanted.digest}  {_how(layer):<{width}}{by}").rstrip(), err=to_error)


def _how(layer: LayerMatch) -> str:
    return layer.found.how if layer.found else "unknown"


def _explain(report: MatchReport, *, asked: bool) -> None:
    """Report on standard error why the image is not complete."""
    if report.why:
        note(f"{report.source}: {report.why}")
    unknown = sum(layer.found is None for layer in report.layers)
    if unknown:
        tried = max(layer.tried for layer in report.layers)
        note(
            f"{report.source}: {unknown} of {len(report.layers)} layers stay unknown, with {tried} encoders tried; "
            "a name or a time in the gzip header, or a release of a tool that is not known, may be why"
        )
    for layer in report.layers:
        if layer.near:
            note(f"{layer.wanted.digest}: {' and '.join(layer.near)} would fit, with a time in the gzip header")
    if asked:
        note("nothing was written")
