"""Convert an archive or layout: open the destination, open the source, select, finish the layers, write."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from convert.commands.common import ignore, options_of
from convert.commands.convert_options import ConvertOptions
from convert.commands.convert_steps import (
    ConversionRun,
    finish_layers,
    open_destination,
    open_transcoder,
    select_images,
    write_result,
)
from convert.plan.read_selection import naming_source
from convert.report.convert import ConversionReport, converted_images

if TYPE_CHECKING:
    from typing import Unpack

    from convert.commands.common import Path, Warn
    from convert.commands.keywords import ConvertFields
    from convert.progress import Progress


def convert(
    source: Path,
    destination: Path,
    options: ConvertOptions | None = None,
    *,
    warn: Warn = ignore,
    progress: Progress | None = None,
    **fields: Unpack[ConvertFields],
) -> ConversionReport:
    """Convert an archive or layout into another format.

    Nothing is at the destination before the result is complete and durable.

    Args:
        source: a file, a folder, `-` for standard input, or one of skopeo's spellings
            such as `oci:layout:app` (docs/contract.md#formats).
        destination: a path, or `-` for standard output (docs/contract.md#destinations).
        options: what to select and how to write it; see `ConvertOptions`.
        warn: called with one line for each thing that was accepted, dropped or changed.
        progress: takes counts of bytes; called from any thread.
        fields: the fields of `ConvertOptions`, instead of `options`.

    Raises:
        UsageError: the request cannot be met.
        InputError: the source is damaged, hostile, unsupported or not an image archive.
        StorageError: reading or writing failed.
    """
    given = options_of(ConvertOptions, options, dict(fields))
    run = ConversionRun(os.fspath(source), os.fspath(destination), given, warn, progress)
    with contextlib.ExitStack() as stack:
        stack.enter_context(naming_source(run.source_path))
        # 1. Open the destination, so that one that cannot be written to fails before anything is read.
        out = open_destination(run, stack)
        existing = out.open_existing(run.context)
        stack.enter_context(run.pool)
        transcoder = open_transcoder(run, existing)
        # 2. Open the source; layers that come through a pipe are transcoded from now on.
        opened = run.open_source(transcoder, out, stack)
        # 3. Select images, and fit them to the target.
        selection = select_images(run, opened)
        # 4. Bring every layer into its form, and create the manifests that follow from them.
        finished = finish_layers(run, selection, transcoder, out)
        # 5. Write the documents and layers, verify the result if asked to, and put it in place.
        write_result(run, opened, out, existing, transcoder, finished)
    run.report_changes()
    return ConversionReport(
        opened.path,
        finished.images.format,
        opened.compression,
        run.path,
        run.target.name,
        converted_images(finished.images, manifests=run.target.manifests),
        run.changes,
        tuple(run.warn.lines),
        tuple(run.warn.dropped),
    )
