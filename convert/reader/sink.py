"""Where readers report what they find in a source: warnings and faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Self

from convert.diagnostics import Diagnostic, Diagnostics
from convert.errors import ImgconvError, UnsafeInputError
from convert.limits import MAX_PROBLEMS

if TYPE_CHECKING:
    from convert.model.digest import Digest
    from convert.model.image_set import Name


#: What a reader reports about something that is absent.
_ABSENT: Final = frozenset({"missing-blob", "missing-layer", "missing-member"})


class Part(NamedTuple):
    """A part of a source that can be selected by itself.

    `digest` is that of the manifest or index, or the image ID of an element of
    `manifest.json`, None where only `names` identify it. `item` is true for such an
    element.
    """

    digest: Digest | None = None
    names: tuple[Name, ...] = ()
    item: bool = False


class Fault(NamedTuple):
    """A fault in a source, and the part that it affects; None if it affects everything."""

    error: ImgconvError
    part: Part | None = None

    @property
    def is_absence(self) -> bool:
        """Whether a part of one image is absent, which `--prune` leaves out."""
        return self.part is not None and self.error.code in _ABSENT


class Sink:
    """Takes warnings and faults of one source; this one raises the first fault.

    `warnings` lists, each once, what was accepted with a warning. `faults` is
    what was collected. With `accepts_absent`, a layer that is not in the source is not a
    fault but is added to `absent`: the reader of a thin archive (docs/thin.md).
    """

    def __init__(self, *, accepts_absent: bool = False) -> None:
        """Start without warnings and faults."""
        self.warnings = Diagnostics()
        self.faults: list[Fault] = []
        self.absent: list[Fault] = []
        self._accepts_absent = accepts_absent

    def warn(self, warning: Diagnostic) -> None:
        """Take something that is accepted with a warning."""
        self.warnings.append(warning)

    @property
    def kind(self) -> tuple[type[Sink], bool]:
        """What decides how a reader continues behind a fault: two sinks of one kind take the same of one source."""
        return type(self), self._accepts_absent

    def fresh(self) -> Self:
        """Return an empty sink of the same kind."""
        return type(self)(accepts_absent=self._accepts_absent)

    def take(self, other: Sink) -> None:
        """Add what another sink of the same kind took."""
        self.warnings.extend(other.warnings)
        self.faults.extend(other.faults)
        self.absent.extend(other.absent)

    def report(self, fault: Fault) -> None:
        """Take a fault of which the reader knows how to continue.

        Raises:
            ImgconvError: the fault, where the first one ends the reading.
        """
        raise fault.error

    def report_absent(self, fault: Fault) -> None:
        """Take a layer that a document names and that is not in the source.

        Raises:
            ImgconvError: the fault, where absent layers are not accepted and the first fault ends the reading.
        """
        if self._accepts_absent:
            self.absent.append(Fault(_bare(fault.error), fault.part))
        else:
            self.report(fault)

    def absence(self) -> tuple[Diagnostic, ...]:
        """Return a warning of the layers that are not in the source, none if all are."""
        if not self.absent:
            return ()
        count = len(self.absent)
        what = "1 layer is" if count == 1 else f"{count} layers are"
        first = self.absent[0].error
        text = f"{what} not in the source, which is thin or incomplete; {first.member}: {first.message}"
        return (Diagnostic(text, code="absent-layers", layers=count),)


class CollectingSink(Sink):
    """Keeps faults, so that the reader continues with what is still readable.

    A layer whose bytes are missing, or which cannot be distinguished from the others, then
    has no blob; an entry whose manifest is damaged has no node; and a manifest whose
    config is damaged is an artifact.
    """

    def report(self, fault: Fault) -> None:
        """Keep a fault.

        Raises:
            UnsafeInputError: there are more than `MAX_PROBLEMS`.
        """
        if len(self.faults) > MAX_PROBLEMS:
            msg = f"more than {MAX_PROBLEMS} faults; the rest was not read"
            raise UnsafeInputError(msg, code="too-many-faults", file=fault.error.file)
        # Its frames would hold the documents that were at fault: megabytes for each.
        error = _bare(fault.error)
        # What is hostile is not excused because it was not selected.
        self.faults.append(Fault(error, None if isinstance(error, UnsafeInputError) else fault.part))


def _bare(error: ImgconvError) -> ImgconvError:
    """Return an error without what it came through."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
