"""`imgconv untag`: change names in place."""

from __future__ import annotations

from typing import Final

from convert.cli import groups, options
from convert.errors import names_text, printable

_EXAMPLES: Final = ("imgconv untag image.tar app:1.0",)


@groups.command("untag", summary="Take a name away from an image, in place.", examples=_EXAMPLES)
@options.source
@groups.argument("ref", metavar="REF", about="The name to take away.")
@options.json
@options.quiet
@options.debug
def command(source: str, ref: str, *, as_json: bool, quiet: bool) -> None:
    """Take a name away from an image, in place; the image stays.

    The last name leaves an untagged image.
    """
    from convert.commands.tag import untag
    from convert.report.tag import document

    warn = (lambda _: None) if quiet else options.note
    report = untag(source, ref, warn=warn)
    if as_json:
        options.out_json(document(report))
    elif not quiet:
        options.out(printable(f"{names_text(report.names)}  {report.image_id or '-'}"))
