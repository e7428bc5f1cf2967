"""`imgconv config`: the config of an image, byte for byte."""

from __future__ import annotations

from typing import Final

from convert.cli import groups, options

_EXAMPLES: Final = ("imgconv config image.tar", "imgconv config layout app:1.0 --platform linux/arm64 | jq .config.Env")


@groups.command("config", summary="Print the config of an image as it is.", examples=_EXAMPLES)
@options.source
@options.ref
@options.platform
@options.debug
def command(source: str, ref: str | None, platforms: tuple[str, ...]) -> None:
    """Print the config of an image byte for byte: its SHA-256 is the image ID.

    Of several images REF names one, of several platforms --platform.
    """
    from convert.commands.document import ConfigOptions, config

    found = config(source, ConfigOptions(ref=ref, platforms=platforms), warn=options.note)
    options.out_bytes(found.raw)
