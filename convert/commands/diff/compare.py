"""Compare two archives or layouts: `diff`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convert.commands.common import ignore, options_of
from convert.commands.diff.archives import DiffOptions, open_diff

if TYPE_CHECKING:
    from typing import Unpack

    from convert.commands.common import Path, Warn
    from convert.commands.diff.archives import OpenDiff
    from convert.commands.keywords import DiffFields
    from convert.progress import Progress
    from convert.report.comparison import By, Difference
    from convert.report.diff_files import Compared


@dataclass(frozen=True, slots=True)
class DiffReport:
    """How two archives differ.

    `a` and `b` are the paths, `difference` compares image by image, and `document` is
    what `--json` prints (schemas/report-diff.json), with the files of layers if asked. `page`
    is what the page shows, None without the option.
    """

    a: str
    b: str
    by: By
    difference: Difference
    document: dict[str, Any]
    page: Compared | None = None

    @property
    def same(self) -> bool:
        """Whether both hold the same images, as `by` compares them."""
        return self.difference.same(self.by)

    @property
    def status(self) -> int:
        """The exit status of the command: 0 if the same, else 1 (docs/contract.md#exit-status)."""
        return 0 if self.same else 1


def diff(
    a: Path,
    b: Path,
    options: DiffOptions | None = None,
    *,
    warn: Warn = ignore,
    progress: Progress | None = None,
    **fields: Unpack[DiffFields],
) -> DiffReport:
    """Compare the images of two archives or layouts, whatever their formats.

    Images are paired by name and platform, else by image ID, else as the only ones left.
    What the documents state is compared; `validate` verifies it.

    Args:
        a: a file, a folder, `-` for standard input, or one of skopeo's spellings.
        b: the same; only one of them may be `-`.
        options: what to select and what to compare; see `DiffOptions`.
        warn: called with one line, which begins with the path, for each thing that was
            accepted or dropped.
        progress: takes counts of the bytes of compared layers as they are stored; called from any thread.
        fields: the fields of `DiffOptions`, instead of `options`.

    Raises:
        SelectionError: nothing matches the selection, or no image can be compared.
        InputError: an archive is damaged, hostile, unsupported or not an image archive.
        StorageError: an archive cannot be read.
    """
    given = options_of(DiffOptions, options, dict(fields))
    with open_diff(a, b, given, warn=warn, progress=progress) as opened:
        document = opened.document()
        page = None
        if given.page:
            from convert.commands.diff.page import page_parts  # noqa: PLC0415 - start-up time

            page = page_parts(opened)
        return DiffReport(opened.a.path, opened.b.path, given.by, opened.difference, document, page)


def page_report(opened: OpenDiff) -> DiffReport:
    """Return the report of a comparison for its page; its document lists no files.

    Raises:
        StorageError: an archive cannot be read.
    """
    from convert.commands.diff.page import page_parts  # noqa: PLC0415 - start-up time

    page = page_parts(opened)
    return DiffReport(opened.a.path, opened.b.path, opened.options.by, opened.difference, page.document or {}, page)
