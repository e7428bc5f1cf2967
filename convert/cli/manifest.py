"""`imgconv manifest`: the manifest or index of an image, byte for byte."""

from __future__ import annotations

from typing import Final

from convert.cli import groups, options

_EXAMPLES: Final = ("imgconv manifest layout app:1.0", "imgconv manifest layout app:1.0 --platform linux/arm64")


@groups.command("manifest", summary="Print the manifest or index of an image as it is.", examples=_EXAMPLES)
@options.source
@options.ref
@options.platform
@options.debug
def command(source: str, ref: str | None, platforms: tuple[str, ...]) -> None:
    """Print the manifest of an image byte for byte, or the index of a multi-platform image.

    Its SHA-256 is the digest in a registry. An archive of `docker save` before Docker 25 has no
    manifest: `imgconv digest --as PUSHER --manifest -` computes the one that a push makes.
    """
    from convert.commands.document import ManifestOptions, manifest

    found = manifest(source, ManifestOptions(ref=ref, platforms=platforms), warn=options.note)
    options.out_bytes(found.raw)
