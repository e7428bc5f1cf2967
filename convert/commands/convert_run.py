"""What the steps of one conversion share (`commands/convert_steps.py`)."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING

from convert.archive.open import open_source
from convert.archive.transport import path_of
from convert.commands.common import UniqueWarnings
from convert.commands.convert_options import check_request, check_sources
from convert.diagnostics import Diagnostic
from convert.errors import UsageError
from convert.layer.context import LIMIT_HINT, BlobProgress, ReadContext, ReadOptions
from convert.layer.pool import Pool
from convert.limits import MAX_LAYER_SIZE, usable_cores
from convert.plan.changes import Changes
from convert.plan.forms import Recipe
from convert.plan.read_selection import parse_tag
from convert.progress import Silent
from convert.report.convert import ConversionReport, ConvertedResult, ConvertedSource, converted_images
from convert.writer.registry import TARGETS, target

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Mapping, Sequence

    from convert.archive.open import Source
    from convert.commands.common import Warn
    from convert.commands.convert_options import ConvertOptions
    from convert.layer.stream_ingest import EncodingKeeper
    from convert.layer.transcode import LayerTranscoder
    from convert.model.image_set import ImageSet
    from convert.model.reference import Reference
    from convert.plan.edit.edits import Edits
    from convert.plan.template import Template
    from convert.progress import Progress
    from convert.writer.destination import Destination


class ConversionRun:
    """What the steps of one conversion share."""

    def __init__(
        self, sources: Sequence[str], path: str, options: ConvertOptions, warn: Warn, progress: Progress | None
    ) -> None:
        """Check the request; nothing is opened.

        Raises:
            UsageError: it cannot be met.
        """
        self.sources = sources
        self.source_paths = [path_of(source) for source in sources]
        #: The path of the only source, None if there are several.
        self.source_path = self.source_paths[0] if len(sources) == 1 else None
        self.path = path
        #: What messages and reports call DEST, if not its path.
        self.shown_path = path
        #: Files with the bytes of sources that can be read only once, by the spelling of the source.
        self.copies: Mapping[str, str] = {}
        self.options = options
        self.warn = UniqueWarnings(warn)
        if options.to is None:
            raise UsageError(f"missing --to FORMAT (one of {', '.join(TARGETS)})", code="missing-argument")
        self.target = target(options.to)
        self.pusher, self.profile = check_request(options, self.target, path)
        check_sources(self.source_paths, options)
        self.recipe = Recipe(
            self.target.uncompressed,
            self.target.manifests,
            recompress=options.recompress,
            manifest_type=options.manifest_type,
        )
        self.progress = progress or Silent()
        workers = options.jobs or usable_cores()
        self.pool = Pool(workers)
        self.context = ReadContext(
            ReadOptions(
                options.max_layer_size or MAX_LAYER_SIZE,
                file=self.source_path,
                overlap=workers > 1,
                limit_hint=LIMIT_HINT,
            ),
            progress=BlobProgress(self.progress),
            cancel=self.pool.cancel,
        )
        self.changes = Changes()
        self.edits = _edits(options, self.changes)
        #: The names of the one index that is made of all images, none without `--join`.
        self.joined = _joined_names(options)
        self.template = _template(path, options)
        #: Looks at a result before any appears, given as a descriptor and its path, and may refuse it.
        self.judge: Callable[[int, str], None] | None = None
        #: Called with the path of each result of a template before anything is written; may refuse it.
        self.check_path: Callable[[str], None] | None = None
        #: What the writer warns of; reported when the result is in place.
        self.written: list[Diagnostic] = []

    def open_sources(
        self, stack: contextlib.ExitStack, transcoder: LayerTranscoder | None = None, out: Destination | None = None
    ) -> list[Source]:
        """Open the sources; they are closed with `stack`.

        With `transcoder` and `out`, layers that come through a pipe are compressed as they arrive.

        Raises:
            InputError: one is not an archive or layout.
            StorageError: one cannot be read.
        """
        new_keeper = None
        if transcoder is not None and out is not None and not self.recipe.uncompressed and self.profile.compression:
            new_keeper = partial(self._new_keeper, transcoder, out)
        return [
            stack.enter_context(open_source(source, new_keeper=new_keeper, copy=self.copies.get(source)))
            for source in self.sources
        ]

    def _new_keeper(self, transcoder: LayerTranscoder, out: Destination) -> EncodingKeeper:
        """Return what compresses the layers of one pipe as they arrive."""
        from convert.layer.stream_ingest import EncodingKeeper  # noqa: PLC0415 - start-up time

        return EncodingKeeper(
            lambda plain, size: transcoder.encode(plain, out.staging, size),
            self.pool,
            self.profile.name,
            limit=self.context.options.max_layer_size,
            where=self.source_path or "-",
            progress=self.progress,
        )

    def report_changes(self) -> None:
        """Warn of what was dropped and changed; the result is in place."""
        for line in (*self.written, *self.changes.dropped, *self.changes.hints):
            self.warn(line)
        for change in self.changes.changed:
            text = f"{change.subject} {change.before} became {change.after}: {change.why}"
            self.warn(Diagnostic(text, code="digest-changed", before=change.before, after=change.after))

    def for_result(self, path: str) -> ConversionRun:
        """Return the run of one of several results: the same sources and pool, with changes of its own."""
        one = copy.copy(self)
        one.path = one.shown_path = path
        one.changes = Changes()
        one.written = []
        return one


def _joined_names(options: ConvertOptions) -> list[Reference]:
    """Return the names of the index that `--join` makes; as always, `--tag` comes last and replaces them."""
    if options.join is None:
        return []
    name = parse_tag(options.join, "--join")
    return list(dict.fromkeys(parse_tag(text) for text in options.tags)) or [name]


def _template(path: str, options: ConvertOptions) -> Template | None:
    """Return DEST as a template, None if it is a path.

    Raises:
        UsageError: it is malformed, or `--join` makes one result.
    """
    if "{" not in path:
        return None
    from convert.plan.template import Template, is_template  # noqa: PLC0415 - start-up time

    if not is_template(path):
        return None
    if options.join is not None:
        raise UsageError(
            "--join makes one result, and DEST is a template for several",
            code="incompatible-options",
            hint="write {{ and }} for braces in a path",
        )
    return Template.parse(path)


def _edits(options: ConvertOptions, changes: Changes) -> Edits | None:
    """Return the edits that the options ask for; the module is imported only for them."""
    names = ("drop", "untag", "rename", "prune", "no_attestations", "flatten")
    given = {name: getattr(options, name) for name in names}
    if not any(given.values()):
        return None
    from convert.plan.edit.edits import Edits  # noqa: PLC0415 - start-up time

    edits = Edits(changes=changes, **given)
    edits.check()
    return edits


def report_of(
    run: ConversionRun,
    opened: Sequence[Source],
    results: Sequence[tuple[str, ImageSet]],
    changes: Sequence[Changes],
) -> ConversionReport:
    """Return the report of a run: the path and the images of each result, and what changed in each."""
    total = changes[0] if len(changes) == 1 else Changes.together(changes)
    first = results[0][1]
    sources = tuple(
        ConvertedSource(source.path, form, source.compression)
        for source, form in zip(opened, first.formats or (first.format,), strict=True)
    )
    done = tuple(
        ConvertedResult(path, converted_images(images, manifests=run.target.manifests)) for path, images in results
    )
    return ConversionReport(
        sources, run.shown_path, run.target.name, done, total, tuple(run.warn.lines), tuple(run.warn.dropped)
    )
