"""Check one source: the rules of its format first, then what the readers refuse."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from convert.archive.open import open_source
from convert.archive.registry_tree import RegistryTree
from convert.archive.transport import path_of
from convert.commands.common import Options, ignore, options_of
from convert.commands.validate.contents import check_contents
from convert.commands.validate.index_manifest import check_index_and_manifest
from convert.commands.validate.members import check_members, report_warnings
from convert.commands.validate.registry import check_links, check_storage
from convert.commands.validate.v1 import check_v1
from convert.errors import InputError, NoImageError, StorageError, UnknownFormatError
from convert.limits import usable_cores
from convert.model.image_set import SourceFormat
from convert.progress import Silent
from convert.reader.checks.claims import Claims
from convert.reader.checks.documents import Checked
from convert.reader.checks.layout import check_dir, check_layout
from convert.reader.checks.manifest_json import check_docker
from convert.reader.checks.v1_directories import check_legacy
from convert.reader.detect import is_dir_folder, read
from convert.reader.findings import Findings, Verdict
from convert.reader.needs import Marks
from convert.reader.sink import CollectingSink, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Unpack

    from convert.archive.open import Source
    from convert.archive.tree import Tree
    from convert.commands.common import Path
    from convert.commands.keywords import ValidateFields
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
            if isinstance(opened.tree, RegistryTree):
                outcome = _check_registry(opened.tree, findings, jobs, progress, base)
            else:
                outcome = _check(opened.tree, findings, jobs, progress, base)
                opened.tree.check_unchanged()
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


class _Outcome(NamedTuple):
    """The format of a source, whether it holds an image at all, and what could be read of it."""

    form: SourceFormat | None
    holds_image: bool
    images: ImageSet | None = None


def _check_registry(
    tree: RegistryTree, findings: Findings, jobs: int, progress: Progress, base: Base | None
) -> _Outcome:
    """Check the storage of a registry, or one manifest of it as the layout that a conversion makes of it."""
    if tree.selection.is_manifest:
        check_links(tree, findings)
        outcome = _check(tree, findings, jobs, progress, base)
        report_warnings(tree.warnings, findings)
        tree.check_unchanged()
        return outcome
    if check_storage(tree, findings, jobs, progress):
        return _Outcome(SourceFormat.REGISTRY, holds_image=True)
    findings.add("no-images", "no repository has a manifest that can be read")
    return _Outcome(SourceFormat.REGISTRY, holds_image=False)


def _check(tree: Tree, findings: Findings, jobs: int, progress: Progress, base: Base | None) -> _Outcome:
    """Check an opened source.

    Raises:
        UnknownFormatError: it is not an image.
    """
    checked = Checked(tree, findings)
    has_index = checked.exists("index.json")
    is_dir = not has_index and is_dir_folder(tree)
    has_manifest = not is_dir and checked.exists("manifest.json")
    check_members(tree, findings)
    claims = Claims(checked)
    if is_dir:
        check_dir(checked, claims)
    elif has_manifest or has_index:
        layout = check_layout(checked, claims) if has_index else None
        tops = layout.tops if layout is not None else None
        items = check_docker(checked, claims, layout) if has_manifest else None
        if items is not None:
            check_v1(checked, claims, items)
        if items is not None and tops is not None:
            check_index_and_manifest(checked, items, tops)
        if layout is not None:
            claims.add_own_names()
    elif checked.exists("repositories") or any(name.endswith("/layer.tar") for name in tree.names()):
        check_legacy(checked, claims)
    check_contents(claims, findings, jobs, progress)
    return _read(tree, findings, jobs, base)


def _check_marks(tree: Tree, images: ImageSet, sink: CollectingSink, findings: Findings) -> None:
    """Compare the marks of a thin archive with what it lacks: what they list is a note, not an error."""
    marks = Marks(tree, images, sink.absent)
    message = "is left out of this thin archive; the receiver must have it"
    findings.excuse("missing", sorted(marks.covered), other="left-out", message=message)
    for member, text in marks.problems:
        findings.add("needs-mark", text, member=member)


def _read(tree: Tree, findings: Findings, jobs: int, base: Base | None) -> _Outcome:
    """Read the source as every other command does, so that what validate passes, they take.

    A fault that no rule named is reported as it comes.
    """
    # A layer that is absent is a finding already.
    sink = CollectingSink(accepts_absent=True)
    form, named_only, images = None, False, None
    try:
        images = read(tree, sink=sink)
        form, named_only = images.format, all(entry.node is None for entry in images.entries)
        _check_marks(tree, images, sink, findings)
        if base is not None:
            from convert.commands.validate.filled import check_filled  # noqa: PLC0415 - start-up time

            check_filled(images, sink.absent, base, findings, jobs)
    except UnknownFormatError:
        raise
    except InputError as error:
        sink.faults.append(Fault(error))
    for problem in (fault.error for fault in sink.faults):
        if isinstance(problem, NoImageError):
            if not findings.has_rule("no-images"):
                findings.add("no-images", problem.message)
        elif not (findings.blames(problem.member) if problem.member else findings.has_errors()):
            findings.add("unreadable", problem.message, member=problem.member)
    # A manifest that is absent without a reason is a fault of its own, and there may be no other.
    nothing = named_only and findings.has_rule("no-images")
    holds_image = not nothing and not any(isinstance(fault.error, NoImageError) for fault in sink.faults)
    return _Outcome(form, holds_image, images)
