"""imgconv: convert container-image archives and compute every name of an image, offline.

    import convert

    with convert.open("image.tar") as archive:
        for image in archive.images():
            print(archive.names(image), image.image_id, image.platform)

    convert.convert("image.tar", "layout", to="oci")

Names are imported when they are first used: the command line starts faster so.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes as long to import as the rest of a start-up: see convert.cli
if TYPE_CHECKING:
    from typing import Any

    from convert.commands.add_repositories import add_repositories
    from convert.commands.convert import convert
    from convert.commands.convert_options import ConvertOptions
    from convert.commands.open import Archive, LayerReader, UnverifiedWarning, open  # noqa: A004 - the API's name
    from convert.errors import (
        DestinationExistsError,
        DigestMismatchError,
        FormatError,
        ImgconvError,
        InputError,
        NotRepresentableError,
        SelectionError,
        StorageError,
        TruncatedError,
        UnknownFormatError,
        UnsafeInputError,
        UnsupportedError,
        UsageError,
    )
    from convert.report.convert import ConversionReport, ConvertedImage

__all__ = [
    "Archive",
    "ConversionReport",
    "ConvertOptions",
    "ConvertedImage",
    "DestinationExistsError",
    "DigestMismatchError",
    "FormatError",
    "ImgconvError",
    "InputError",
    "LayerReader",
    "NotRepresentableError",
    "SelectionError",
    "StorageError",
    "TruncatedError",
    "UnknownFormatError",
    "UnsafeInputError",
    "UnsupportedError",
    "UnverifiedWarning",
    "UsageError",
    "add_repositories",
    "convert",
    "open",
]

_HOMES = {
    "Archive": "convert.commands.open",
    "LayerReader": "convert.commands.open",
    "ConversionReport": "convert.report.convert",
    "ConvertOptions": "convert.commands.convert_options",
    "ConvertedImage": "convert.report.convert",
    "UnverifiedWarning": "convert.commands.open",
    "add_repositories": "convert.commands.add_repositories",
    "convert": "convert.commands.convert",
    "open": "convert.commands.open",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - start-up time

    return getattr(importlib.import_module(_HOMES.get(name, "convert.errors")), name)


def __dir__() -> list[str]:
    """List the API, imported or not."""
    return sorted({*globals(), *__all__})
