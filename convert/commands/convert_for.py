"""Choose the format and the smallest changes with which consumers load a result: `convert --for`.

Candidates are formats and edits. Each is planned without reading a layer, which tells what it changes; then they are
written in that order, and the rules of the consumers look at each result before it appears. The first that all of them
load is put in place.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from convert.archive.open import open_descriptor
from convert.archive.transport import STDIN, path_of
from convert.commands.convert_candidate import EDITS, UNPACKING_FAULTS, Candidate, unpacked_members
from convert.commands.convert_one import convert_run
from convert.commands.convert_options import check_sources
from convert.commands.convert_run import ConversionRun
from convert.commands.convert_steps import plan_result, select_images
from convert.commands.doctor import parse_all
from convert.commands.shared_sources import SharedSources, copy_of_pipe
from convert.consumers.contents import Contents
from convert.consumers.diagnose import diagnose, refused_depth
from convert.consumers.rule import Repair, Verdict
from convert.diagnostics import Diagnostic
from convert.errors import ImgconvError, InputError, NotRepresentableError, StorageError, UsageError, quoted
from convert.model.form import Form
from convert.model.platform import Platform
from convert.plan.editable import count_manifests, is_editable
from convert.writer.destination import check_options
from convert.writer.registry import TARGETS
from convert.writer.registry import target as target_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.commands.common import Warn
    from convert.commands.convert_options import ConvertOptions
    from convert.consumers.consumer import Consumer
    from convert.consumers.diagnose import Diagnosis
    from convert.model.image import Node
    from convert.model.image_set import ImageSet
    from convert.plan.changes import Changes
    from convert.progress import Progress
    from convert.report.convert import ConversionReport

_HOST: Final = Platform("linux", "amd64")
#: Those that have the same effect, whatever other edits are made.
_ALONE: Final = frozenset({"prune", "no_attestations"})
#: Targets that a consumer cannot read, whatever they hold: folders, or all but folders.
_TARS: Final = frozenset(name for name, target in TARGETS.items() if not target.is_folder)
_READS: Final = {
    "docker": _TARS - {"oci-archive"},
    "docker-containerd": _TARS,
    "containerd": _TARS,
    "k3s": _TARS,
    "podman": frozenset(TARGETS),
    "skopeo": frozenset(TARGETS),
    "crane": (_TARS | {"oci"}) - {"oci-archive"},
    "umoci": frozenset({"oci"}),
}
#: Repairs that rules name, as edits.
_NEEDED: Final = {Repair.PRUNE: "prune", Repair.FLATTEN: "flatten", Repair.ATTESTATIONS: "no_attestations"}


class _Selected(NamedTuple):
    """What was selected for candidates, and what their edits change."""

    images: ImageSet
    changes: Changes


class _Search:
    """Looks for the first candidate that all consumers load."""

    def __init__(
        self,
        sources: Sequence[str],
        path: str,
        options: ConvertOptions,
        consumers: Sequence[Consumer],
        check_path: Callable[[str], None] | None,
    ) -> None:
        self._sources = sources
        self._check_path = check_path
        self.path = path
        #: As in `ConversionRun`: `path` is another where the result is built in a temporary file.
        self._shown_path = path
        self.copies: dict[str, str] = {}
        self._options = options
        self._consumers = consumers
        self._host = Platform.parse(options.platforms[0]) if len(options.platforms) == 1 else _HOST
        #: Whether more edits could change anything, of the images that were selected last.
        self._is_editable = True
        #: What was selected for one set of edits, or why nothing was, for targets with manifests and for others.
        self._selected: dict[bool, _Selected | ImgconvError] = {}
        #: Why candidates do not fit, and the first damage that kept one from being written.
        self._reasons: dict[str, None] = {}
        self._damage: InputError | None = None
        #: Members that do not unpack: no candidate that unpacks one can be written.
        self._damaged: set[str] = set()
        #: Equal sets of members, each once.
        self._members: dict[frozenset[str], frozenset[str]] = {}
        #: What the consumers do with each result of the candidate at hand, by its path.
        self._verdicts: dict[str, tuple[Diagnosis, ...]] = {}

    def run(self, warn: Warn, progress: Progress | None) -> ConversionReport:
        """Write the cheapest candidate that fits.

        Raises:
            UsageError: none fits.
            InputError: the source is damaged, so that none can be written.
        """
        with contextlib.ExitStack() as stack:
            candidates = self._candidates(SharedSources(self._sources, self.copies, stack))
        for candidate in candidates:
            if candidate.unpacked & self._damaged:
                continue
            lines: list[Diagnostic] = []
            run = self._new_run(candidate.options, lines, progress)
            run.judge = self._judge
            self._verdicts.clear()
            with self._collecting(run.target.name):
                report = convert_run(run)
                told = self._told(candidate)
                for line in (*lines, *told):
                    warn(line)
                return dataclasses.replace(report, warnings=(*report.warnings, *told))
        raise self._failure()

    def _new_run(
        self, options: ConvertOptions, lines: list[Diagnostic], progress: Progress | None = None
    ) -> ConversionRun:
        run = ConversionRun(self._sources, self.path, options, lines.append, progress)
        run.shown_path = self._shown_path
        run.copies = self.copies
        run.check_path = self._check_path
        return run

    def _judge(self, fd: int, path: str) -> None:
        """Look at a result.

        Raises:
            UsageError: a consumer does not load it.
        """
        with open_descriptor(fd, path) as opened:
            found = diagnose(Contents(opened, self._host), self._consumers)
        wrong = [each for each in found if not each.verdict.fits]
        if wrong:
            why = "; ".join(f"{each.consumer} {_verb(each)}: {each.reasons[0].text}" for each in wrong)
            named = f"{quoted(path, column=False)}: " if path != self._shown_path else ""
            raise UsageError(named + why, code="not-loadable")
        self._verdicts[path] = found

    @contextlib.contextmanager
    def _collecting(self, target: str) -> Iterator[None]:
        """Note why a candidate cannot be, and go on."""
        try:
            yield
        except NotRepresentableError as error:
            self._reasons.setdefault(f"as {target}, {error.message}")
        except InputError as error:
            self._damage = self._damage or error
            if error.code in UNPACKING_FAULTS and error.member is not None and len(self._sources) == 1:
                self._damaged.add(error.member)
        except UsageError as error:
            if error.code != "not-loadable":
                raise
            self._reasons.setdefault(f"as {target}, {error.message}")

    def _candidates(self, sources: SharedSources) -> list[Candidate]:
        """Return the candidates that can be written, the cheapest first."""
        targets = [name for name in TARGETS if all(name in _READS[each.reads_as[0]] for each in self._consumers)]
        if self._options.to is not None:
            targets = [self._options.to]
        if self._shown_path == STDIN:
            targets = [name for name in targets if name in _TARS]
        if not targets:
            names = " and ".join(map(str, self._consumers))
            raise UsageError(f"no format is read by {names}", code="not-loadable", hint="write one result for each")
        needed = self._needed_edits(sources)
        found: list[Candidate] = []
        reasons: dict[str, dict[str, None]] = {target: {} for target in targets}
        left = list(targets)
        without = None
        useless: set[str] = set()
        for edits in self._combinations():
            if useless & edits.keys():
                continue
            self._selected.clear()
            for target in tuple(left):
                changed: dict[str, Any] = {"to": target, "consumers": (), **edits}
                options = dataclasses.replace(self._options, **changed)
                self._reasons = reasons[target]
                with self._collecting(target):
                    missing = needed - edits.keys() if TARGETS[target].manifests else ()
                    candidate = self._plan(options, len(missing), sources)
                    if candidate.effect not in [each.effect for each in found if each.options.to == target]:
                        found.append(candidate)
                if not self._is_editable:
                    left.remove(target)
            nodes = self._nodes()
            if not edits:
                without = nodes
            elif len(edits) == 1 and nodes is not None and nodes == without:
                useless |= edits.keys() & _ALONE
        self._selected.clear()
        self._reasons = {text: None for target in targets for text in reasons[target]}
        return sorted(found, key=lambda each: each.cost)

    def _nodes(self) -> list[list[Node | None]] | None:
        """Return what is selected with the edits at hand; None if nothing is."""
        selected = self._selected.values()
        if any(isinstance(each, ImgconvError) for each in selected):
            return None
        return [[entry.node for entry in each.images.entries] for each in selected if isinstance(each, _Selected)]

    def _combinations(self) -> Iterator[dict[str, bool]]:
        """Yield sets of edits, those that were asked for always among them, the smallest first."""
        free = [name for name in EDITS if not getattr(self._options, name)]
        for count in range(len(free) + 1):
            for names in itertools.combinations(free, count):
                yield dict.fromkeys(names, True)

    def _needed_edits(self, sources: SharedSources) -> set[str]:
        """Return the edits without which an index is refused: candidates with it are tried last without them.

        Only containerd reads the index of every archive that has one; others may read its `manifest.json` instead.
        """
        needed: set[str] = set()
        strict = [each for each in self._consumers if each.reads_as[0] == "containerd"]
        for number in range(len(self._sources)) if strict else ():
            with contextlib.suppress(InputError):
                for each in diagnose(Contents(sources.open(number), self._host), strict):
                    helps = each.reasons[0].helps if each.verdict is Verdict.REFUSES else None
                    if helps in _NEEDED:
                        needed.add(_NEEDED[helps])
        return {name for name in needed if not getattr(self._options, name)}

    def _plan(self, options: ConvertOptions, missing: int, sources: SharedSources) -> Candidate:
        """Plan a candidate without reading layers."""
        lines: list[Diagnostic] = []
        run = self._new_run(options, lines)
        # A selection that fails may succeed after an edit.
        self._is_editable = True
        with contextlib.ExitStack() as stack:
            stack.enter_context(run.pool)
            selected = self._select(run, sources)
            self._is_editable = sources.have_faults or is_editable(selected)
            # Written, it would be refused in every format.
            if text := refused_depth(self._consumers, [len(image.layers) for image in selected.images()]):
                raise UsageError(text, code="not-loadable")
            selection = plan_result(run, selected)
            changed = len(run.changes.changed) + (0 if run.target.manifests else count_manifests(selected))
            rewritten = sum(
                layer.blob.size or 0
                for layer, form in selection.forms.items()
                if form is not Form.STORED and layer.blob is not None
            )
            effect = (
                tuple(run.changes.changed),
                tuple(map(str, run.changes.dropped)),
                tuple(entry.name for entry in selection.images.entries),
            )
        place = list(TARGETS).index(run.target.name)
        unpacked = unpacked_members(selection.forms)
        unpacked = self._members.setdefault(unpacked, unpacked)
        return Candidate(options, (missing, changed, rewritten, place), effect, unpacked)

    def _select(self, run: ConversionRun, sources: SharedSources) -> ImageSet:
        """Return what is selected for a candidate: once for each set of edits, however many formats there are.

        Raises:
            SelectionError, InputError: as `select_images` does.
        """
        key = run.target.manifests
        if key not in self._selected:
            try:
                images = select_images(run, sources.open_all(), sources.read)
            except (UsageError, InputError) as error:
                self._selected[key] = error.with_traceback(None)
            else:
                self._selected[key] = _Selected(images, run.changes.copy())
        found = self._selected[key]
        if isinstance(found, ImgconvError):
            raise found.with_traceback(None)
        run.changes = found.changes.copy()
        return found.images

    def _told(self, candidate: Candidate) -> list[Diagnostic]:
        """Return what was chosen, and where each result loads under which names."""
        target = str(candidate.options.to)
        text = " ".join(["chosen:", f"--to {target}", *candidate.edits])
        lines = [Diagnostic(text, code="chosen-for-consumers", format=target, options=candidate.edits)]
        for path, found in self._verdicts.items():
            # Only a template has results with paths of their own.
            named = f"{quoted(path, column=False)}: " if path != self._shown_path else ""
            for each in found:
                names = ", ".join(known.name or str(known.id) for known in each.known)
                lost = "".join(f"; {reason.text}" for reason in each.reasons)
                ids = [str(known.id) for known in each.known if known.id is not None]
                text = f"{named}{each.consumer} {each.verdict.value}: {names}{lost}"
                facts = {"consumer": str(each.consumer), "verdict": each.verdict.value, "ids": ids, "path": path}
                lines.append(Diagnostic(text, code="loads-in", **facts))
        return lines

    def _failure(self) -> ImgconvError:
        if self._damage is not None and not self._reasons:
            return self._damage
        consumers = ", ".join(map(str, self._consumers))
        shown = list(self._reasons)[:3]
        return UsageError(
            f"no format and no change makes it load in {consumers}: {'; '.join(shown)}",
            code="not-loadable",
            hint="imgconv doctor shows what helps for each of them",
        )


def convert_for(
    sources: Sequence[str],
    destination: str,
    options: ConvertOptions,
    warn: Warn,
    progress: Progress | None,
    check_path: Callable[[str], None] | None = None,
) -> ConversionReport:
    """Convert with the format and the smallest changes with which all `options.consumers` load the result.

    `check_path` is that of `ConversionRun`.

    Raises:
        UsageError: there is none, or there are no rules for a consumer.
        InputError, StorageError: as `convert` does.
    """
    consumers = parse_all(options.consumers)
    for option, given_option in (("append", options.append), ("with", options.with_), ("without", options.without)):
        if given_option:
            raise UsageError(f"--{option} and --for exclude each other", code="incompatible-options")
    check_sources([path_of(source) for source in sources], options)
    if destination == STDIN:
        check_options(target_named(options.to or "docker-save"), destination, append=options.append)
    search = _Search(sources, destination, options, consumers, check_path)
    with contextlib.ExitStack() as stack:
        for source in sources:
            if (copy := copy_of_pipe(source, stack)) is not None:
                search.copies[source] = copy
        if destination != STDIN:
            return search.run(warn, progress)
        # A stream cannot be taken back, so the result is looked at before it is sent.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="imgconv-"))
        search.path = os.path.join(folder, "archive.tar")
        try:
            report = search.run(warn, progress)
        except ImgconvError as error:
            if error.file == search.path:
                error.file = destination
            raise
        _send(search.path)
        return report


def _send(path: str) -> None:
    """Copy a file to standard output.

    Raises:
        StorageError: it cannot be written.
        BrokenPipeError: its reader closed it.
    """
    try:
        with open(path, "rb") as result:
            shutil.copyfileobj(result, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError.from_os(error, file=STDIN, doing="writing") from error


def _verb(diagnosis: Diagnosis) -> str:
    return "refuses it" if diagnosis.verdict is Verdict.REFUSES else "is not known to load it"
