"""Convert archives or layouts: open the destination, open the sources, select, finish the layers, write."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from convert.commands.bases import open_bases
from convert.commands.common import ignore, options_of
from convert.commands.convert_options import ConvertOptions
from convert.commands.convert_run import ConversionRun, report_of
from convert.commands.convert_steps import (
    finish_layers,
    open_destination,
    open_transcoder,
    plan_result,
    select_images,
    write_result,
)
from convert.plan.read_selection import naming_source

if TYPE_CHECKING:
    from collections.abc import Sequence
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
    run = ConversionRun(sources, os.fspath(destination), given, warn, progress)
    with contextlib.ExitStack() as stack:
        stack.enter_context(naming_source(run.source_path))
        if run.template is not None:
            from convert.commands.convert_split import split  # noqa: PLC0415 - start-up time

            return split(run, stack)
        # 1. Open the destination, so that one that cannot be written to fails before anything is read.
        out = stack.enter_context(open_destination(run))
        existing = out.open_existing(run.context)
        stack.enter_context(run.pool)
        transcoder = open_transcoder(run, existing)
        # 2. Open the sources; layers that come through a pipe are transcoded from now on.
        opened = run.open_sources(stack, transcoder, out)
        bases = open_bases(run, stack)
        # 3. Select images, complete those of a thin source, and fit them to the target.
        selection = plan_result(run, bases.fill(run, select_images(run, opened), out))
        # 4. Bring every layer into its form, and create the manifests that follow from them.
        finished = finish_layers(run, selection, transcoder, out, bases)
        # 5. Write the documents and layers, verify the result if asked to, and put it in place.
        write_result(run, opened, out, existing, transcoder, finished)()
    run.report_changes()
    return report_of(run, opened, [(run.path, finished.images)], [run.changes])
