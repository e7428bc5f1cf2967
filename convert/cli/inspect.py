"""`imgconv inspect`: show the contents of a source, for a person or as JSON."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from convert.cli import groups, options
from convert.cli.options import note, out_json
from convert.cli.values import FILE

_EXAMPLES: Final = (
    "imgconv inspect image.tar",
    "imgconv inspect image.tar --verify --json",
    "imgconv inspect image.tar --files",
    "imgconv inspect oci:layout --graph names.svg",
)


@groups.command("inspect", summary="Show names, IDs, platforms and layers.", examples=_EXAMPLES)
@options.source
@groups.verify("--verify", is_flag=True, help="Read every layer and check it against its digests.")
@groups.display(
    "--encoders", is_flag=True, help="Show which encoder compressed each layer, verified over all its bytes."
)
@groups.display(
    "--files",
    is_flag=True,
    help="Show the largest files of each layer, and what later layers overwrite or delete.",
)
@groups.output(
    "--graph",
    type=FILE,
    metavar="FILE",
    help="Draw how names and digests depend on each other: FILE.svg, .mmd or .dot.",
)
@groups.display("--json", "as_json", is_flag=True, help="Print a JSON document with everything.")
@options.selection
@options.jobs
@options.progress
@options.quiet
@options.debug
def command(
    source: str,
    *,
    verify: bool,
    encoders: bool,
    files: bool,
    graph: str | None,
    as_json: bool,
    images: tuple[str, ...],
    platforms: tuple[str, ...],
    quiet: bool,
    **given: Any,
) -> int:
    """Show every identifier of the images in SOURCE: names, IDs, platforms and layers.

    Each layer is listed with its DiffID, ChainID, v1 ID, layer digest, sizes and
    the step that created it. Digests are shortened; --json prints them in full.
    Layers are not read unless --verify, --encoders or --files is given. --files
    verifies them too.
    """
    from convert.archive.atomic import OutputPath, write_file
    from convert.cli import progress
    from convert.commands.inspect import InspectOptions, inspect

    draw = None
    if graph is not None:
        from convert.report.graph import renderer

        # Checked before anything is read, so that an unsupported kind of graph is reported at once.
        draw = renderer(graph)
    wanted = InspectOptions(
        verify=verify, encoders=encoders, files=files, images=images, platforms=platforms, jobs=given["jobs"]
    )
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(OutputPath(graph)) if graph is not None else None
        shown = stack.enter_context(
            contextlib.closing(progress.choose("none" if quiet else given["progress"], logs=False))
        )
        warn = (lambda _: None) if quiet else progress.beside(shown, note)
        report = inspect(source, wanted, warn=warn, progress=shown)
        shown.close()
        if output is not None and draw is not None:
            write_file(output, draw(report.document).encode(), source=report.source)
    if as_json:
        out_json(report.document)
    elif not quiet:
        from convert.cli.tables import show

        show(report.document, verified=verify or files, encoders=encoders)
    for warning in report.warnings if not quiet else ():
        note(f"{report.source}: {warning}")
    for problem in report.problems:
        note(str(problem))
    return report.status
