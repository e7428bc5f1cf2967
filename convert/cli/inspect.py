"""`imgconv inspect`: show the contents of a source, for a person or as JSON."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from convert.cli import groups, options, pages
from convert.cli.options import note, out_json
from convert.cli.values import FILE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.cli.progress import Counted, Nothing
    from convert.commands.inspect import InspectOptions, InspectReport
    from convert.commands.pages import Failure
    from convert.report.inspect_sources import InspectedSource

_EXAMPLES: Final = (
    "imgconv inspect image.tar",
    "imgconv inspect image.tar --verify --json",
    "imgconv inspect image.tar --files",
    "imgconv inspect oci:layout --graph names.svg",
    "imgconv inspect old.tar new.tar --html report.html",
)


@groups.command("inspect", summary="Show names, IDs, platforms and layers.", examples=_EXAMPLES)
@groups.argument("sources", type=FILE, metavar="SOURCE...", nargs=-1, required=True, about=options.SOURCE_ABOUT)
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
    help="Draw how names and digests depend on each other: FILE.svg, .mmd or .dot. Needs a single SOURCE.",
)
@pages.html
@options.formats("text", "json", "markdown")
@options.selection
@options.jobs
@options.progress
@options.quiet
@options.debug
def command(
    sources: Sequence[str],
    *,
    verify: bool,
    encoders: bool,
    files: bool,
    graph: str | None,
    html: str | None,
    form: str,
    as_json: bool,
    images: tuple[str, ...],
    platforms: tuple[str, ...],
    quiet: bool,
    **given: Any,
) -> int:
    """Show every identifier of the images in each SOURCE: names, IDs, platforms and layers.

    Each layer is listed with its DiffID, ChainID, v1 ID, layer digest, sizes and
    the step that created it. Digests are shortened; --json prints them in full.
    Layers are not read unless --verify, --encoders, --files or --html is given. --files
    verifies them too. The page of --html has what --files finds, and the digests of
    all pushers.

    Of several sources the highest exit status counts; --html and --json then also
    show which layers they share.
    """
    from convert.archive.output_file import OutputFile
    from convert.cli import progress
    from convert.commands.inspect import InspectOptions
    from convert.commands.pages import Failure, inspected_sources
    from convert.errors import UsageError

    form = options.chosen_format(form, as_json=as_json)
    draw = None
    if graph is not None:
        from convert.report.graph import renderer

        if len(sources) > 1:
            raise UsageError("--graph draws one source", code="incompatible-options")
        # Checked before anything is read, so that an unsupported kind of graph is reported at once.
        draw = renderer(graph)
    wanted = InspectOptions(
        verify=verify,
        encoders=encoders,
        files=files,
        page=html is not None,
        images=images,
        platforms=platforms,
        jobs=given["jobs"],
    )
    reports: list[InspectReport | Failure] = []
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(OutputFile(graph, sources=sources)) if graph is not None else None
        others = (output,) if output is not None else ()
        write_page = stack.enter_context(pages.page_file(html, sources, others))
        for source in sources:
            shown = stack.enter_context(
                contextlib.closing(progress.choose("none" if quiet else given["progress"], logs=False))
            )
            report = _inspect(source, wanted, shown, quiet=quiet)
            shown.close()
            reports.append(report)
            if not isinstance(report, Failure):
                if output is not None and draw is not None:
                    output.write(draw(report.document).encode())
                if form == "text" and not quiet:
                    from convert.cli.tables import show

                    if len(reports) > 1:
                        options.out("")
                    show(report.document, verified=verify or files, encoders=encoders)
            _notes(report, quiet=quiet, alone=len(sources) == 1)
        write_page(lambda: _page(reports))
    if len(reports) == 1 and isinstance(reports[0], Failure):
        raise reports[0].error
    if form == "json":
        out_json(_document(inspected_sources(reports)))
    elif form == "markdown":
        from convert.report.inspect_markdown import markdown

        options.out(markdown(inspected_sources(reports)))
    return max(each.error.exit_status if isinstance(each, Failure) else each.status for each in reports)


def _inspect(source: str, wanted: InspectOptions, shown: Counted | Nothing, *, quiet: bool) -> InspectReport | Failure:
    """Inspect one source; one that cannot be read is a result, too: the other sources and the page need it.

    Raises:
        UsageError: the selection does not fit.
    """
    from convert.cli import progress
    from convert.commands.inspect import inspect
    from convert.commands.pages import Failure
    from convert.errors import ImgconvError, UsageError

    warn = (lambda _: None) if quiet else progress.beside(shown, note)
    try:
        return inspect(source, wanted, warn=warn, progress=shown)
    except UsageError:
        raise
    except ImgconvError as error:
        error.file = error.file or source
        return Failure(error, (source,))


def _notes(report: InspectReport | Failure, *, quiet: bool, alone: bool) -> None:
    """Print warnings and problems on standard error; the error of a source that is `alone` is raised later."""
    from convert.commands.pages import Failure

    if isinstance(report, Failure):
        if not alone:
            note(str(report.error))
        return
    for warning in report.warnings if not quiet else ():
        note(f"{report.source}: {warning}")
    for problem in report.problems:
        note(str(problem))


def _document(found: Sequence[InspectedSource]) -> object:
    """Return what `--json` prints."""
    if len(found) == 1:
        return found[0].document
    from convert.report.inspect_sources import sources_document

    return sources_document(found)


def _page(reports: Sequence[InspectReport | Failure]) -> bytes:
    from convert.commands.pages import inspect_page

    return inspect_page(reports)
