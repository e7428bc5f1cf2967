"""Pages of reports (docs/reports.md): one function a command, for the command line and the Python API.

Each takes the reports of its command. A `Failure` stands for the report where the command raised: the page then
shows why, and the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convert.commands.diff.compare import DiffReport
    from convert.commands.inspect import InspectReport
    from convert.errors import ImgconvError
    from convert.reader.findings import Verdict
    from convert.report.doctor import DoctorReport
    from convert.report.inspect_sources import InspectedSource

_PLATFORM: Final = "linux/amd64"


@dataclass(frozen=True, slots=True)
class Failure:
    """A command that raised an error instead of returning a report.

    `sources` are the SOURCEs that it was given: one, or A and B of `diff`.
    """

    error: ImgconvError
    sources: tuple[str, ...]


def inspect_page(reports: Iterable[InspectReport | Failure]) -> bytes:
    """Return the page of `inspect --html`, one HTML file.

    Args:
        reports: one for each source, in order, made with the option `page`.

    Raises:
        ValueError: a report was made without the option `page`.
    """
    from convert.report.html.inspect import inspect_page as page  # noqa: PLC0415 - Jinja2 takes long to import

    found = inspected_sources(reports)
    for each in found:
        if each.document is not None and each.page is None:
            raise _without_page("inspect")
    return page(found)


def inspected_sources(reports: Iterable[InspectReport | Failure]) -> list[InspectedSource]:
    """Return what reports of `inspect` state of each source."""
    from convert.report.inspect_sources import InspectedSource  # noqa: PLC0415 - start-up time

    return [
        InspectedSource(_source(each), None, each.error)
        if isinstance(each, Failure)
        else InspectedSource(each.given, each.document, page=each.page)
        for each in reports
    ]


def diff_page(report: DiffReport | Failure) -> bytes:
    """Return the page of `diff --html`, one HTML file.

    Where the archives could not be compared, each of them is read by itself, as far as it can be.

    Args:
        report: made with the option `page`.

    Raises:
        ValueError: the report was made without the option `page`.
    """
    from convert.report.html.diff import diff_page as page  # noqa: PLC0415 - Jinja2 takes long to import

    if isinstance(report, Failure):
        from convert.commands.diff.page import failed_parts  # noqa: PLC0415 - start-up time

        a, b = report.sources
        return page(failed_parts(a, b, report.error))
    if report.page is None:
        raise _without_page("diff")
    return page(report.page)


def validate_page(verdicts: Iterable[Verdict | Failure]) -> bytes:
    """Return the page of `validate --html`, one HTML file.

    Args:
        verdicts: one for each source, in order; only those made with the option `page` show images and layers.
    """
    from convert.report.html.validate import validate_page as page  # noqa: PLC0415 - Jinja2 takes long to import
    from convert.report.validate import document  # noqa: PLC0415 - start-up time

    found = [failed_verdict(each) if isinstance(each, Failure) else each for each in verdicts]
    return page(document(found), [each.inspected for each in found])


def failed_verdict(failure: Failure) -> Verdict:
    """Return the verdict on a source that could not be read."""
    from convert.reader.findings import Verdict  # noqa: PLC0415 - start-up time

    error = failure.error
    return Verdict(_source(failure), None, (), error.exit_status, str(error))


def doctor_page(reports: Iterable[DoctorReport | Failure]) -> bytes:
    """Return the page of `doctor --html`, one HTML file.

    Args:
        reports: one for each source, in order.
    """
    from convert.report.doctor import document  # noqa: PLC0415 - start-up time
    from convert.report.html.doctor import doctor_page as page  # noqa: PLC0415 - Jinja2 takes long to import

    given = list(reports)
    platforms = [each.platform.full for each in given if not isinstance(each, Failure)]
    platform = platforms[0] if platforms else _PLATFORM
    found: Sequence[DoctorReport] = [
        failed_doctor(each, platform) if isinstance(each, Failure) else each for each in given
    ]
    return page(document(found))


def failed_doctor(failure: Failure, platform: str) -> DoctorReport:
    """Return the report on a source that could not be read; `platform` is that of the consumers."""
    from convert.model.platform import Platform  # noqa: PLC0415 - start-up time
    from convert.report.doctor import DoctorReport  # noqa: PLC0415

    return DoctorReport(_source(failure), None, Platform.parse(platform), (), failure.error)


def _source(failure: Failure) -> str:
    (source,) = failure.sources
    return source


def _without_page(command: str) -> ValueError:
    return ValueError(f"a page needs a report of {command} that was made with page=True")
