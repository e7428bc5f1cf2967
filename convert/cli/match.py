"""`imgconv match`: which encoder made each layer that a registry lists, and the image made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from convert.cli.options import debug, jobs, note, out_json, selection
from convert.errors import names_text, printable

if TYPE_CHECKING:
    from convert.commands.match.rebuild import Outcome
    from convert.commands.match.search import LayerMatch

#: The answer is no.
_NO: Final = 1


@click.command("match", short_help="Find the encoders behind a registry's layers.")
@click.argument("source")
@click.argument("manifest")
@click.argument("dest", required=False)
@click.option("--to", metavar="FORMAT", help="Write the registry's image: oci, oci-archive or docker-oci.")
@selection
@click.option("--force", is_flag=True, help="Replace what is at DEST.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@jobs
@debug
def command(
    source: str,
    manifest: str,
    dest: str | None,
    to: str | None,
    images: tuple[str, ...],
    platforms: tuple[str, ...],
    force: bool,
    as_json: bool,
    **given: int | None,
) -> int:
    """Find the encoder that gives each layer digest in a registry's MANIFEST.

    SOURCE is an archive that lost its compressed layers, as docker save writes
    it; MANIFEST a file (or - ) with the registry's manifest as crane manifest or
    docker buildx imagetools inspect --raw print it, or the index that names it.
    It tries all of Go's levels, old and new, GNU gzip and zlib with the headers
    of Python, Java and bsdtar, and zstd; a matching digest proves the encoder.

    With --to the image is written with the registry's own manifest and blobs,
    digest for digest. Exit status 1: a layer stays unknown; nothing is written.

    \b
    Examples:
      crane manifest example.com/app:1 | imgconv match app.tar -
      imgconv match app.tar manifest.json --to oci layout
    """  # noqa: D301 - \b is for click: leave the paragraph as it is
    from convert.cli import progress
    from convert.commands.match.rebuild import match

    shown = progress.choose("auto")
    try:
        outcome = match(
            source,
            manifest,
            to=to,
            destination=dest,
            images=images,
            platforms=platforms,
            force=force,
            jobs=given["jobs"],
            remark=note,
            progress=shown,
        )
    finally:
        shown.close()
    to_error = dest == "-"
    if as_json:
        out_json(outcome.report(), to_error=to_error)
    else:
        _show(outcome, to_error=to_error)
    if outcome.complete:
        return 0
    _explain(outcome, asked=to is not None)
    return _NO


def _show(outcome: Outcome, *, to_error: bool) -> None:
    """Print a line for the image and one a layer."""
    names = names_text(outcome.names)
    digest = str(outcome.manifest.digest) if outcome.manifest else "-"
    image_id = str(outcome.image.image_id) if outcome.image else "-"
    click.echo(printable(f"{names}  {image_id}  {digest}"), err=to_error)
    width = max((len(_how(layer)) for layer in outcome.layers), default=0)
    for layer in outcome.layers:
        by = f"  {layer.found.by}" if layer.found and layer.found.by else ""
        click.echo(printable(f"  {layer.wanted.digest}  {_how(layer):<{width}}{by}").rstrip(), err=to_error)


def _how(layer: LayerMatch) -> str:
    return layer.found.how if layer.found else "unknown"


def _explain(outcome: Outcome, *, asked: bool) -> None:
    """Say on standard error why the answer is no."""
    if outcome.why:
        note(f"{outcome.source}: {outcome.why}")
    unknown = sum(layer.found is None for layer in outcome.layers)
    if unknown:
        tried = max(layer.tried for layer in outcome.layers)
        note(
            f"{outcome.source}: {unknown} of {len(outcome.layers)} layers stay unknown, with {tried} encoders tried; "
            "a file name in the gzip header, pigz or klauspost's pgzip (podman, skopeo, buildah) may be why"
        )
    for layer in outcome.layers:
        if layer.near:
            note(f"{layer.wanted.digest}: {' and '.join(layer.near)} would fit, with a time in the gzip header")
    if asked:
        note("nothing was written")
