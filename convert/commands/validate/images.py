"""Check what a source holds: documents, layers, and whether its parts agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.commands.validate.contents import check_contents
from convert.commands.validate.index_manifest import check_index_and_manifest
from convert.commands.validate.members import check_members
from convert.commands.validate.outcome import Outcome
from convert.commands.validate.v1 import check_v1
from convert.errors import InputError, NoImageError, UnknownFormatError
from convert.reader.checks.claims import Claims
from convert.reader.checks.documents import Checked
from convert.reader.checks.layout import check_dir, check_layout
from convert.reader.checks.manifest_json import check_docker
from convert.reader.checks.v1_directories import check_legacy
from convert.reader.detect import is_dir_folder, read
from convert.reader.needs import Marks
from convert.reader.sink import CollectingSink, Fault

if TYPE_CHECKING:
    from convert.archive.tree import Tree
    from convert.model.image_set import ImageSet
    from convert.plan.base import Base
    from convert.progress import Progress
    from convert.reader.findings import Findings


def check_images(tree: Tree, findings: Findings, jobs: int, progress: Progress, base: Base | None) -> Outcome:
    """Check the members, documents and layers of an opened source.

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


def _read(tree: Tree, findings: Findings, jobs: int, base: Base | None) -> Outcome:
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
    return Outcome(form, holds_image, images)
