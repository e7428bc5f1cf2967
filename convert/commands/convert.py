"""Convert archives or layouts: the function behind the command (`commands/convert_one.py` has the run)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from convert.commands.common import ignore, options_of
from convert.commands.convert_one import convert_run
from convert.commands.convert_options import ConvertOptions
from convert.commands.convert_run import ConversionRun

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Unpack

    from convert.commands.common import Path, Warn
    from convert.commands.keywords import ConvertFields
    from convert.progress import Progress
    from convert.report.convert import ConversionReport


def convert(
    source: Path | Sequence[Path],
    destination: Path,
    options: ConvertOptions | None = None,
    *,
    warn: Warn = ignore,
    progress: Progress | None = None,
    **fields: Unpack[ConvertFields],
) -> ConversionReport:
    """Convert archives or layouts into another format.

    Nothing is at the destination before the result is complete and durable.

    Args:
        source: a file, a folder, `-` for standard input, or one of skopeo's spellings
            such as `oci:layout:app` (docs/contract.md#formats); or several of them, whose
            images are put together (docs/contract.md#several-sources).
        destination: a path, or `-` for standard output (docs/contract.md#destinations); with
            fields in braces one result for each image (docs/contract.md#templates).
        options: what to select and how to write it; see `ConvertOptions`.
        warn: called with one line for each thing that was accepted, dropped or changed.
        progress: takes counts of bytes; called from any thread.
        fields: the fields of `ConvertOptions`, instead of `options`.

    Raises:
        UsageError: the request cannot be met.
        InputError: a source is damaged, hostile, unsupported or not an image archive.
        StorageError: reading or writing failed.
    """
    given = options_of(ConvertOptions, options, dict(fields))
    sources = [os.fspath(source)] if isinstance(source, str | os.PathLike) else [os.fspath(each) for each in source]
    return convert_checked(sources, os.fspath(destination), given, warn, progress, None)


def convert_checked(
    sources: Sequence[str],
    destination: str,
    options: ConvertOptions,
    warn: Warn,
    progress: Progress | None,
    check_path: Callable[[str], None] | None,
) -> ConversionReport:
    """Convert as `convert` does; `check_path` gets each path that a template gives, and may refuse it.

    Raises:
        Others: what `check_path` raises; nothing is written then.
    """
    if options.consumers:
        from convert.commands.convert_for import convert_for  # noqa: PLC0415 - start-up time

        return convert_for(sources, destination, options, warn, progress, check_path)
    run = ConversionRun(sources, destination, options, warn, progress)
    run.check_path = check_path
    return convert_run(run)
