"""Run a conversion: open the destination, open the sources, select, finish the layers, write."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from convert.commands.bases import open_bases
from convert.commands.convert_run import report_of
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
    from convert.commands.convert_run import ConversionRun
    from convert.report.convert import ConversionReport


def convert_run(run: ConversionRun) -> ConversionReport:
    """Run a conversion whose request was checked; raises as `convert` does."""
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
        write_result(run, opened, out, existing, transcoder, finished)
        out.commit()
    run.report_changes()
    return report_of(run, opened, [(run.shown_path, finished.images)], [run.changes])
