"""imgconv: convert container image archives and compute every identifier of an image, offline.

    import convert

    with convert.open("image.tar") as archive:
        for image in archive.images():
            print(archive.names(image), image.image_id, image.platform)

    report = convert.convert("image.tar", "layout", to="oci")
    pushed = convert.digest("image.tar", pushers=["crane"]).pushed[0].digest

Each command of the command line is a function here. It takes its options as one frozen
value or as keywords, returns a report, and raises `ImgconvError` where the command exits
with an error; a report whose command has other exit statuses than 0 has a `status`.

Names are imported when they are first used, which keeps the command line's start short.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing `typing` takes as long as the rest of the start: see convert.cli
if TYPE_CHECKING:
    #: The version of the installed package.
    __version__: str

    from convert.commands.add_repositories import AddRepositoriesOptions, add_repositories
    from convert.commands.convert import convert
    from convert.commands.convert_options import ConvertOptions
    from convert.commands.diff.archives import DiffOptions
    from convert.commands.diff.compare import DiffReport, diff
    from convert.commands.digest import DigestOptions, digest
    from convert.commands.doctor import DoctorOptions, doctor
    from convert.commands.document import ConfigOptions, Document, ManifestOptions, config, manifest
    from convert.commands.export import ExportOptions, export
    from convert.commands.identify import IdentifyOptions, IdentifyReport, ImageIdentity, identify
    from convert.commands.inspect import InspectOptions, InspectReport, inspect
    from convert.commands.match.rebuild import MatchOptions, match
    from convert.commands.open import Archive, LayerReader, OpenOptions, UnverifiedWarning, open  # noqa: A004 - the name of the API
    from convert.commands.pages import Failure, diff_page, doctor_page, inspect_page, validate_page
    from convert.commands.tag import TagOptions, tag, untag
    from convert.commands.validate.archive import ValidateOptions, validate
    from convert.errors import (
        DestinationExistsError,
        DigestMismatchError,
        FormatError,
        ImgconvError,
        InputError,
        NoImageError,
        NotRepresentableError,
        SelectionError,
        StorageError,
        TruncatedError,
        UnknownFormatError,
        UnsafeInputError,
        UnsupportedError,
        UsageError,
    )
    from convert.identity.engine_id import Engine
    from convert.model.digest import Digest
    from convert.model.image import Image, Layer
    from convert.model.image_set import SourceFormat
    from convert.model.platform import Platform
    from convert.model.reference import Reference
    from convert.progress import Progress
    from convert.reader.findings import Finding, Severity, Verdict
    from convert.report.comparison import By
    from convert.report.convert import ConversionReport, ConvertedImage, ConvertedResult, ConvertedSource
    from convert.report.digest import DigestReport, PushedManifest, RefusedPusher
    from convert.report.doctor import DoctorReport
    from convert.report.export import ExportReport
    from convert.report.match import LayerMatch, MatchReport
    from convert.report.tag import NamesReport

__all__ = [
    "AddRepositoriesOptions",
    "Archive",
    "By",
    "ConfigOptions",
    "ConversionReport",
    "ConvertOptions",
    "ConvertedImage",
    "ConvertedResult",
    "ConvertedSource",
    "DestinationExistsError",
    "DiffOptions",
    "DiffReport",
    "Digest",
    "DigestMismatchError",
    "DigestOptions",
    "DigestReport",
    "DoctorOptions",
    "DoctorReport",
    "Document",
    "Engine",
    "ExportOptions",
    "ExportReport",
    "Failure",
    "Finding",
    "FormatError",
    "IdentifyOptions",
    "IdentifyReport",
    "Image",
    "ImageIdentity",
    "ImgconvError",
    "InputError",
    "InspectOptions",
    "InspectReport",
    "Layer",
    "LayerMatch",
    "LayerReader",
    "ManifestOptions",
    "MatchOptions",
    "MatchReport",
    "NamesReport",
    "NoImageError",
    "NotRepresentableError",
    "OpenOptions",
    "Platform",
    "Progress",
    "PushedManifest",
    "Reference",
    "RefusedPusher",
    "SelectionError",
    "Severity",
    "SourceFormat",
    "StorageError",
    "TagOptions",
    "TruncatedError",
    "UnknownFormatError",
    "UnsafeInputError",
    "UnsupportedError",
    "UnverifiedWarning",
    "UsageError",
    "ValidateOptions",
    "Verdict",
    "add_repositories",
    "config",
    "convert",
    "diff",
    "diff_page",
    "digest",
    "doctor",
    "doctor_page",
    "export",
    "identify",
    "inspect",
    "inspect_page",
    "manifest",
    "match",
    "open",
    "tag",
    "untag",
    "validate",
    "validate_page",
]

#: Where each name of `__all__` is defined; `convert.errors` where it is not listed.
_MODULES = {
    "AddRepositoriesOptions": "convert.commands.add_repositories",
    "Archive": "convert.commands.open",
    "By": "convert.report.comparison",
    "ConfigOptions": "convert.commands.document",
    "ConversionReport": "convert.report.convert",
    "ConvertOptions": "convert.commands.convert_options",
    "ConvertedImage": "convert.report.convert",
    "ConvertedResult": "convert.report.convert",
    "ConvertedSource": "convert.report.convert",
    "DiffOptions": "convert.commands.diff.archives",
    "DiffReport": "convert.commands.diff.compare",
    "Digest": "convert.model.digest",
    "DigestOptions": "convert.commands.digest",
    "DigestReport": "convert.report.digest",
    "DoctorOptions": "convert.commands.doctor",
    "DoctorReport": "convert.report.doctor",
    "Document": "convert.commands.document",
    "Engine": "convert.identity.engine_id",
    "ExportOptions": "convert.commands.export",
    "ExportReport": "convert.report.export",
    "Failure": "convert.commands.pages",
    "Finding": "convert.reader.findings",
    "IdentifyOptions": "convert.commands.identify",
    "IdentifyReport": "convert.commands.identify",
    "Image": "convert.model.image",
    "ImageIdentity": "convert.commands.identify",
    "InspectOptions": "convert.commands.inspect",
    "InspectReport": "convert.commands.inspect",
    "Layer": "convert.model.image",
    "LayerMatch": "convert.report.match",
    "LayerReader": "convert.commands.open",
    "ManifestOptions": "convert.commands.document",
    "MatchOptions": "convert.commands.match.rebuild",
    "MatchReport": "convert.report.match",
    "NamesReport": "convert.report.tag",
    "OpenOptions": "convert.commands.open",
    "Platform": "convert.model.platform",
    "Progress": "convert.progress",
    "PushedManifest": "convert.report.digest",
    "Reference": "convert.model.reference",
    "RefusedPusher": "convert.report.digest",
    "Severity": "convert.reader.findings",
    "SourceFormat": "convert.model.image_set",
    "TagOptions": "convert.commands.tag",
    "UnverifiedWarning": "convert.commands.open",
    "ValidateOptions": "convert.commands.validate.archive",
    "Verdict": "convert.reader.findings",
    "add_repositories": "convert.commands.add_repositories",
    "config": "convert.commands.document",
    "convert": "convert.commands.convert",
    "diff": "convert.commands.diff.compare",
    "diff_page": "convert.commands.pages",
    "digest": "convert.commands.digest",
    "doctor": "convert.commands.doctor",
    "doctor_page": "convert.commands.pages",
    "export": "convert.commands.export",
    "identify": "convert.commands.identify",
    "inspect": "convert.commands.inspect",
    "inspect_page": "convert.commands.pages",
    "manifest": "convert.commands.document",
    "match": "convert.commands.match.rebuild",
    "open": "convert.commands.open",
    "tag": "convert.commands.tag",
    "untag": "convert.commands.tag",
    "validate": "convert.commands.validate.archive",
    "validate_page": "convert.commands.pages",
}

# Type checkers read the imports above, so that they report a name that does not exist.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a public name from its module (PEP 562), or read the version of the installed package."""
        if name == "__version__":
            from importlib.metadata import version  # noqa: PLC0415 - start-up time

            return version("imgconv")
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib  # noqa: PLC0415 - start-up time

        return getattr(importlib.import_module(_MODULES.get(name, "convert.errors")), name)


def __dir__() -> list[str]:
    """List the API, imported or not."""
    return sorted({*globals(), *__all__, "__version__"})
