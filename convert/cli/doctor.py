"""`imgconv doctor`: say where an archive loads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convert.cli import groups, options, pages
from convert.cli.options import note, out, out_json
from convert.cli.values import CONSUMERS, FILE, PLATFORM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.report.doctor import DoctorReport

_EXAMPLES: Final = (
    "imgconv doctor image.tar",
    "imgconv doctor image.tar --for kind,docker@20.10",
    "imgconv doctor --format markdown build/*.tar",
    "imgconv doctor image.tar --html report.html",
)


@groups.command(
    "doctor",
    summary="Say where an archive loads, under which name, and what helps.",
    examples=_EXAMPLES,
    statuses={1: "a source does not load in a consumer that was asked for"},
)
@groups.argument("sources", type=FILE, metavar="SOURCE...", nargs=-1, required=True, about=options.SOURCE_ABOUT)
@groups.select(
    "--for",
    "consumers",
    multiple=True,
    type=CONSUMERS,
    metavar="CONSUMER[,…]",
    help="docker, docker-containerd, containerd, nerdctl, kind, k3s, podman, skopeo, crane or umoci, each also "
    "@VERSION; all of them without it.",
)
@groups.select(
    "--platform",
    type=PLATFORM,
    default="linux/amd64",
    metavar="OS/ARCH[/VARIANT]",
    help="The platform of the machine on which they run.",
)
@options.formats("text", "json", "markdown")
@pages.html
@options.progress
@options.quiet
@options.debug
def command(
    sources: Sequence[str],
    *,
    consumers: tuple[str, ...],
    platform: str,
    form: str,
    as_json: bool,
    html: str | None,
    quiet: bool,
    **given: Any,
) -> int:
    """Say for each SOURCE where it loads: in which programs, under which name, and if not, why and what helps.

    Exit status 0: it loads in all of them; 1: it does not; 3: it is not an image;
    4: it cannot be read. Of several sources the highest counts. What no rule
    says is called unknown, and does not count as loading.
    """
    from convert.cli import progress
    from convert.commands.doctor import DoctorOptions, doctor
    from convert.errors import StorageError
    from convert.report.doctor import document, markdown

    form = options.chosen_format(form, as_json=as_json)
    asked = DoctorOptions(consumers=consumers, platform=platform)
    reports = []
    with pages.page_file(html, sources) as write_page:
        for source in sources:
            shown = progress.choose("none" if quiet else given["progress"], logs=False)
            try:
                report = doctor(source, asked, progress=shown)
            except StorageError as error:
                from convert.commands.pages import Failure, failed_doctor

                # The other sources are looked at all the same.
                report = failed_doctor(Failure(error, (source,)), platform)
            finally:
                shown.close()
            if report.problem is not None:
                note(str(report.problem))
            reports.append(report)
            if form == "text" and not quiet and report.problem is None:
                from convert.cli.doctor_table import show

                show(report, several=len(sources) > 1)
        write_page(lambda: _page(reports))
    if form == "json":
        out_json(document(reports))
    elif form == "markdown":
        out(markdown(reports))
    return max(report.status for report in reports)


def _page(reports: Sequence[DoctorReport]) -> bytes:
    from convert.commands.pages import doctor_page

    return doctor_page(reports)
