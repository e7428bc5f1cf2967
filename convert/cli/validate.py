"""`imgconv validate`: check an archive, for people and for CI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convert.cli import groups, options
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
    explained="text: one line a finding; github: annotations of a workflow; sarif: for code scanners.",
)
@groups.display(
    "-v", "--verbose", is_flag=True, help="Print notes too, which never count; json and sarif have them anyway."
)
@options.jobs
@options.progress
@groups.display("-q", "--quiet", is_flag=True, help="Print neither findings as text nor progress.")
@options.debug
def command(
    sources: Sequence[str], *, form: str, as_json: bool, verbose: bool, quiet: bool, jobs: int | None, **given: Any
) -> int:
    """Check each SOURCE: schemas, structure, every digest, and how its parts agree.

    Prints nothing for a valid source. Exit status 0: no errors or warnings;
    1: there are; 3: it is not an image, or damaged beyond recognition; 4: it cannot
    be read. Of several sources the highest counts. docs/validate.md lists the
    rules.
    """
    from convert.cli import progress
    from convert.commands.validate import ValidateOptions, Verdict, validate
    from convert.errors import StorageError

    form = options.chosen_format(form, as_json=as_json)
    verdicts = []
    for source in sources:
        shown = progress.choose("none" if quiet else given["progress"], logs=False)
        try:
            verdict = validate(source, ValidateOptions(jobs=jobs), progress=shown)
        except StorageError as error:
            # The other sources are looked at all the same.
            shown.close()
            note(str(error))
            verdict = Verdict(source, None, (), StorageError.exit_status, str(error))
        finally:
            shown.close()
        verdicts.append(verdict)
        if form == "github" or (form == "text" and not quiet):
            for found in _shown(verdict, verbose=verbose):
                out(str(found) if form == "text" else annotation(found))
    if form in {"json", "sarif"}:
        out_json(_document(verdicts, form))
    return max(verdict.status for verdict in verdicts)


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
