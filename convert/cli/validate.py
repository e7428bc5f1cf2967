"""`imgconv validate`: check an archive, for people and for CI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convert.cli import groups, options, pages
from convert.cli.options import note, out, out_json
from convert.cli.values import FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convert.commands.validate import Finding, Verdict

# GitHub's name for the severity of an annotation.
_GITHUB: Final = {"error": "error", "warning": "warning", "note": "notice"}

_EXAMPLES: Final = (
    "imgconv validate image.tar",
    "imgconv validate --format github build/*.tar",
    "imgconv validate --format sarif layout > imgconv.sarif",
    "imgconv validate registry:/var/lib/registry",
    "imgconv validate image.tar --html report.html",
)


@groups.command(
    "validate",
    summary="Check archives, for people and for CI.",
    examples=_EXAMPLES,
    statuses={1: "a source has errors or warnings"},
)
@groups.argument("sources", type=FILE, metavar="SOURCE...", nargs=-1, required=True, about=options.SOURCE_ABOUT)
@options.formats(
    "text",
    "json",
    "github",
    "sarif",
    "markdown",
    explained="text: one line a finding; github: annotations of a workflow; sarif: for code scanners; markdown: for "
    "a step summary.",
)
@pages.html
@groups.display(
    "-v", "--verbose", is_flag=True, help="Print notes too, which never count; json, sarif and --html have them anyway."
)
@options.with_
@options.jobs
@options.progress
@groups.display("-q", "--quiet", is_flag=True, help="Print neither findings as text nor progress.")
@options.debug
def command(
    sources: Sequence[str],
    *,
    form: str,
    as_json: bool,
    html: str | None,
    verbose: bool,
    quiet: bool,
    jobs: int | None,
    with_: tuple[str, ...],
    **given: Any,
) -> int:
    """Check each SOURCE: schemas, structure, every digest, and how its parts agree.

    Prints nothing for a valid source. Exit status 0: no errors or warnings;
    1: there are; 3: it is not an image, or damaged beyond recognition; 4: it cannot
    be read. Of several sources the highest counts. docs/validate.md lists the
    rules.
    """
    form = options.chosen_format(form, as_json=as_json)
    verdicts: list[Verdict] = []
    with pages.page_file(html, (*sources, *with_)) as write_page:
        for source in sources:
            verdict = _validate(source, jobs, with_, page=html is not None, quiet=quiet, **given)
            verdicts.append(verdict)
            if form == "github" or (form == "text" and not quiet):
                for found in _shown(verdict, verbose=verbose):
                    out(str(found) if form == "text" else annotation(found))
        write_page(lambda: _page(verdicts))
    if form in {"json", "sarif"}:
        out_json(_document(verdicts, form))
    elif form == "markdown":
        from convert.report.validate_markdown import markdown

        out(markdown(_document(verdicts, "json"), notes=verbose))
    return max(verdict.status for verdict in verdicts)


def _validate(
    source: str, jobs: int | None, with_: tuple[str, ...], *, page: bool, quiet: bool, **given: Any
) -> Verdict:
    """Validate one source; what cannot be read is a verdict, because the other sources are looked at all the same."""
    from convert.cli import progress
    from convert.commands.validate import ValidateOptions, validate
    from convert.errors import StorageError

    shown = progress.choose("none" if quiet else given["progress"], logs=False)
    try:
        return validate(source, ValidateOptions(jobs=jobs, with_=with_, page=page), progress=shown)
    except StorageError as error:
        from convert.commands.pages import Failure, failed_verdict

        shown.close()
        note(str(error))
        return failed_verdict(Failure(error, (source,)))
    finally:
        shown.close()


def _page(verdicts: Sequence[Verdict]) -> bytes:
    from convert.commands.pages import validate_page

    return validate_page(verdicts)


def _shown(verdict: Verdict, *, verbose: bool) -> Iterable[Finding]:
    return (found for found in verdict.findings if verbose or found.counts)


def _document(verdicts: Sequence[Verdict], form: str) -> dict[str, Any]:
    if form == "json":
        from convert.report.validate import document

        return document(verdicts)
    from importlib.metadata import version

    from convert.report.sarif import sarif

    return sarif(verdicts, version("imgconv"))


def annotation(found: Finding) -> str:
    """Return a workflow command that annotates a file (GitHub, "Workflow commands")."""
    text = f"{found.inside}: {found.message}" if found.inside else found.message
    level = _GITHUB[found.severity.value]
    return f"::{level} file={_property(found.file)},title=imgconv {_property(found.rule)}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
