"""Pages of reports, for the Python API."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convert.commands.inspect import InspectReport


def inspect_page(reports: Iterable[InspectReport]) -> bytes:
    """Return the page of `inspect --html` (docs/reports.md), one HTML file.

    Args:
        reports: one report for each source, in order; what was found with the option `page` is shown.
    """
    from convert.report.html.inspect import inspect_page as page  # noqa: PLC0415 - Jinja2 takes long to import
    from convert.report.inspect_sources import InspectedSource  # noqa: PLC0415

    return page([InspectedSource(each.source, each.document, page=each.page) for each in reports])
