"""Check one source: the rules of its format first, then what the readers refuse."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.archive.open import open_source
from convert.archive.transport import path_of
from convert.commands.common import Options, ignore, options_of
from convert.errors import InputError, NoImageError, StorageError, UnknownFormatError
from convert.limits import usable_cores
from convert.progress import Silent
from convert.reader.findings import Findings, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Unpack

    from convert.archive.open import Source
    from convert.archive.tree import Tree
    from convert.commands.common import Path
    from convert.commands.keywords import ValidateFields
    from convert.commands.validate.outcome import Outcome
    from convert.model.image_set import ImageSet
    from convert.plan.base import Base
    from convert.progress import Progress

    Document = dict[str, Any]
    Describe = Callable[[Source, ImageSet], None]

_YES: Final = 0
_NO: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateOptions(Options):
    """The options of `validate`.

    Attributes:
        jobs: the number of CPU cores to use, all if None; the findings never depend on it.
        with_: archives that hold the layers which a thin source lacks (docs/thin.md).
        page: note what images and layers there are, for the page of `--html`; it changes no finding.
    """

    jobs: int | None = None
    with_: Sequence[str] = ()
    page: bool = False


def validate(
    source: Path,
    options: ValidateOptions | None = None,
    *,
    progress: Progress | None = None,
    **fields: Unpack[ValidateFields],
) -> Verdict:
    """Check one source: every document, every digest, and how its parts agree (docs/validate.md).

    Faults of the source are findings, never raised.

    Args:
        source: a file, a folder, `-` for standard input, or one of skopeo's spellings.
        options: how to check it; see `ValidateOptions`.
        progress: takes counts of the bytes of blobs as they are stored; called from any thread.
        fields: the fields of `ValidateOptions`, instead of `options`.

    Raises:
        UsageError: the source is empty, or standard input is a terminal.
        InputError: what `with_` names is damaged, or not an image archive.
        StorageError: the source cannot be read.
    """
    given = options_of(ValidateOptions, options, dict(fields))
    documents: list[Document] = []

    def describe(opened: Source, images: ImageSet) -> None:
        # Only for pages: start-up time.
        from convert.layer.stored_digests import StoredDigests  # noqa: PLC0415
        from convert.report.inspect import inspect_document  # noqa: PLC0415

        documents.append(inspect_document(opened, images, StoredDigests(may_read=False), ()))

    verdict = _validate(os.fspath(source), given, progress or Silent(), describe if given.page else None)
    return dataclasses.replace(verdict, inspected=documents[0]) if documents else verdict


def _validate(source: str, options: ValidateOptions, progress: Progress, describe: Describe | None) -> Verdict:
    with contextlib.ExitStack() as stack:
        base = None
        if options.with_:
            from convert.plan.base import open_base  # noqa: PLC0415 - start-up time: thin archives are rare

            base = open_base(options.with_, [source], stack, ignore, needs_layers=True)
        return _validate_with(source, options.jobs or usable_cores(), progress, describe, base)


def _validate_with(source: str, jobs: int, progress: Progress, describe: Describe | None, base: Base | None) -> Verdict:
    findings = Findings(source)
    try:
        with open_source(source) as opened:
            findings.file = opened.path
            outcome = _check(opened.tree, findings, jobs, progress, base)
            if describe is not None and outcome.images is not None:
                describe(opened, outcome.images)
    except UnknownFormatError as error:
        findings.add("not-an-image", f"{error.message} ({error.hint})" if error.hint else error.message)
        return Verdict(source, None, findings.all(), UnknownFormatError.exit_status)
    except StorageError:
        raise
    except InputError as error:
        # Damage of whole-archive compression is in the file itself, not in a member.
        member = error.member if error.member != path_of(source) else None
        findings.add("damaged", error.message, member=member)
        return Verdict(source, None, findings.all(), InputError.exit_status)
    found = findings.all()
    if not outcome.holds_image:
        return Verdict(source, outcome.form, found, NoImageError.exit_status)
    return Verdict(source, outcome.form, found, _NO if any(one.counts for one in found) else _YES)


def _check(tree: Tree, findings: Findings, jobs: int, progress: Progress, base: Base | None) -> Outcome:
    """Check an opened source; modules for the other kind of source are not imported.

    Raises:
        UnknownFormatError: it is not an image.
    """
    if tree.is_registry:
        from convert.commands.validate.registry import check_registry  # noqa: PLC0415 - start-up time

        return check_registry(tree, findings, jobs, progress, base)
    from convert.commands.validate.images import check_images  # noqa: PLC0415 - start-up time

    outcome = check_images(tree, findings, jobs, progress, base)
    tree.check_unchanged()
    return outcome
