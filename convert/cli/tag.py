"""`imgconv tag`: change names in place."""

from __future__ import annotations

from typing import Final

from convert.cli import groups, options
from convert.errors import UsageError, names_text, printable

_EXAMPLES: Final = ("imgconv tag image.tar app:1.0", "imgconv tag layout app:1.0 registry.example/app:1.0")


@groups.command("tag", summary="Add a name to an image, in place.", examples=_EXAMPLES)
@options.source
@groups.argument("words", metavar="[OLD] NEW", nargs=-1, required=True, about="The image, then its new name.")
@options.json
@options.quiet
@options.debug
def command(source: str, words: tuple[str, ...], *, as_json: bool, quiet: bool) -> None:
    """Add the name NEW to an image, in place.

    With several images OLD names one. A NEW that another image has moves. Of a layout only
    `index.json` is written; a tar is written beside and renamed.
    """
    from convert.commands.tag import TagOptions, tag
    from convert.report.tag import document

    warn = (lambda _: None) if quiet else options.note
    if len(words) > 2:
        raise UsageError("tag takes SOURCE, OLD and NEW", code="usage", hint="imgconv tag SOURCE [OLD] NEW")
    *old, new = words
    report = tag(source, new, TagOptions(old=old[0] if old else None), warn=warn)
    if report.moved is not None:
        warn(f"name {report.moved} moved from {report.moved_from}")
    if as_json:
        options.out_json(document(report))
    elif not quiet:
        options.out(printable(f"{names_text(report.names)}  {report.image_id or '-'}"))
