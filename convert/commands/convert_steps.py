"""The steps of a conversion (`commands/convert.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convert.archive import stream_sink
from convert.archive.open import open_source
from convert.archive.transport import path_of
from convert.commands import verify_output
from convert.commands.common import UniqueWarnings
from convert.commands.convert_options import check_request
from convert.diagnostics import Diagnostic
from convert.identity.push.tool import pushed_images
from convert.layer.context import LIMIT_HINT, BlobProgress, ReadContext, ReadOptions
from convert.layer.pool import Pool
from convert.layer.stream_ingest import EncodingKeeper, was_ingested
from convert.layer.transcode import LayerTranscoder
from convert.layer.verify import StoredContent
from convert.limits import MAX_LAYER_SIZE, usable_cores
from convert.model.form import Form
from convert.plan import notices, push
from convert.plan.changes import Changes
from convert.plan.forms import Recipe, decide_forms, decide_registry_forms
from convert.plan.manifests import finish_manifests
from convert.plan.read_selection import read_selection
from convert.plan.target import fit_images, record_changes
from convert.progress import Silent
from convert.writer import destination as destinations
from convert.writer.options import WriteOptions, no_layer_digest
from convert.writer.registry import target

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterator

    from convert.archive.open import Source
    from convert.commands.common import Warn
    from convert.commands.convert_options import ConvertOptions
    from convert.layer.transcode import FinishedLayers
    from convert.model.blob import Blob
    from convert.model.digest import Digest
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet
    from convert.plan.edit.edits import Edits
    from convert.progress import Progress
    from convert.writer.dest.existing_layout import ExistingLayout
    from convert.writer.destination import Destination


class ConversionRun:
    """What the steps of one conversion share."""

    def __init__(self, source: str, path: str, options: ConvertOptions, warn: Warn, progress: Progress | None) -> None:
        """Check the request; nothing is opened.

        Raises:
            UsageError: it cannot be met.
        """
        self.source = source
        self.source_path = path_of(source)
        self.path = path
        self.options = options
        self.warn = UniqueWarnings(warn)
        self.target = target(options.to)
        self.pusher, self.profile = check_request(options, self.target, path)
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
        #: What the writer warns of; reported when the result is in place.
        self.written: list[Diagnostic] = []

    def open_source(self, transcoder: LayerTranscoder, out: Destination, stack: contextlib.ExitStack) -> Source:
        """Open the source; it is closed with `stack`.

        Raises:
            InputError: it is not an archive or layout.
            StorageError: it cannot be read.
        """
        keeper = None
        if not self.recipe.uncompressed and self.profile.compression:
            keeper = EncodingKeeper(
                lambda plain, size: transcoder.encode(plain, out.staging, size),
                self.pool,
                self.profile.name,
                limit=self.context.options.max_layer_size,
                where=self.source_path or "-",
                progress=self.progress,
            )
        return stack.enter_context(open_source(self.source, keeper=keeper))

    def report_changes(self) -> None:
        """Warn of what was dropped and changed; the result is in place."""
        for line in (*self.written, *self.changes.dropped, *self.changes.hints):
            self.warn(line)
        for change in self.changes.changed:
            text = f"{change.subject} {change.before} became {change.after}: {change.why}"
            self.warn(Diagnostic(text, code="digest-changed", before=change.before, after=change.after))


@dataclass(frozen=True, slots=True)
class Selection:
    """The images that were selected, those of them that the target can hold, and the forms of their layers."""

    selected: ImageSet
    images: ImageSet
    forms: dict[Layer, Form]
    is_push: bool


@dataclass(frozen=True, slots=True)
class FinishedImages:
    """The images of the result, those of the source that they come from, and their layers."""

    images: ImageSet
    source: ImageSet
    layers: FinishedLayers


def open_destination(run: ConversionRun, stack: contextlib.ExitStack) -> Destination:
    """Start the output; what is not committed is removed when `stack` is closed.

    Raises:
        UsageError: the destination may not be written to.
        StorageError: it cannot be.
    """
    options = run.options
    out = destinations.open_destination(
        run.target, run.path, run.source_path, force=options.force, append=options.append
    )
    return stack.enter_context(out)


def open_transcoder(run: ConversionRun, existing: ExistingLayout | None) -> LayerTranscoder:
    """Return what brings layers into their form; layers of `existing` are not encoded again."""
    return LayerTranscoder(
        run.pool,
        profile=run.profile,
        context=run.context,
        verify_full=run.options.verify == "full",
        existing=existing,
    )


def select_images(run: ConversionRun, opened: Source) -> Selection:
    """Read the source, keep what the options ask for and the target can hold, and decide the forms of layers.

    Raises:
        SelectionError: nothing fits, or more than may.
        NotRepresentableError: the target cannot hold what was selected.
        InputError: the source is damaged, hostile, unsupported or not an image archive.
    """
    options = run.options
    selected = images = read_selection(
        opened,
        options.images,
        options.platforms,
        edits=run.edits,
        tags=options.tags,
        pusher=run.pusher,
        warn=run.warn,
    )
    pushed_forms = None
    if run.pusher is not None:
        loaded = push.load(run.pusher, images, run.warn)
        images, pushed_forms = loaded.images, loaded.forms
    images = fit_images(images, run.target, run.warn)
    run.progress.expect(sum(_unread_sizes(images)))
    if pushed_forms is None:
        return Selection(selected, images, decide_forms(images, run.recipe), is_push=False)
    return Selection(selected, images, {layer: pushed_forms[layer] for _, layer in images.layers()}, is_push=True)


def finish_layers(
    run: ConversionRun, selection: Selection, transcoder: LayerTranscoder, out: Destination
) -> FinishedImages:
    """Bring every layer into its form, create the manifests that follow, and record what changes.

    Raises:
        InputError: a layer is damaged, too large, or does not have its digest.
        StorageError: the staging area cannot be written to.
    """
    images = selection.images
    layers = transcoder.finish(
        selection.forms, out.staging, sized=run.target.layer_sizes_first, may_be_absent=run.target.manifests
    )
    if run.pusher is not None and selection.is_push:
        result = pushed_images(run.pusher.tool, images, layers.layers)
    else:
        result = finish_manifests(images, layers.layers, run.recipe, run.changes)
    record_changes(selection.selected, result, layers, run.target, run.changes)
    compress, v1_ids = run.options.compress, run.options.v1_ids
    if compress is not None:
        run.changes.dropped += notices.without_effect(compress, layers.forms.values(), run.target, v1_ids)
    return FinishedImages(result, images, layers)


def write_result(
    run: ConversionRun,
    opened: Source,
    out: Destination,
    existing: ExistingLayout | None,
    transcoder: LayerTranscoder,
    finished: FinishedImages,
) -> None:
    """Write the result and put it in place.

    Raises:
        InputError: the source changed while it was read.
        StorageError: writing failed, or the result does not read back.
    """
    images, layers = finished.images, finished.layers
    digest_of = _layer_digests(transcoder, finished) if run.options.v1_ids == "chain-free" else no_layer_digest
    options = WriteOptions(
        content=layers.content,
        blob=lambda blob, descriptor: StoredContent(blob, descriptor, run.context),
        layer_digest=digest_of,
        warn=run.written.append,
        v1_ids=run.options.v1_ids or "docker",
        add_repositories=run.options.add_repositories,
        place="" if stream_sink.names_descriptor(run.path) else run.path,
        layer_mode=run.target.layer_mode,
        transport=run.target.transport,
        existing=existing.images() if existing is not None else None,
    )
    out.write(run.target.writer().items(images, options), run.pool, before_end=opened.tree.check_unchanged)
    if existing is not None:
        existing.check_absent(images)
    encoded = (layer for _, layer in images.layers() if layers.forms.get(layer) is Form.ENCODED)
    out.record_layers(run.profile.name, encoded)
    out.commit(_output_check(run, existing, images) if run.options.verify_output else None)


def _output_check(run: ConversionRun, existing: ExistingLayout | None, images: ImageSet) -> Callable[[int], None]:
    """Return what reads a result back before it appears."""
    if existing is not None:
        return lambda fd: verify_output.verify_blobs(fd, run.path)
    return lambda fd: verify_output.verify_archive(
        fd,
        run.path,
        images,
        run.pool,
        manifests=run.target.manifests,
        max_layer_size=run.context.options.max_layer_size,
    )


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


def _unread_sizes(images: ImageSet) -> Iterator[int]:
    """Yield the size of each blob that was not read while it arrived, in bytes."""
    seen: set[Blob] = set()
    for _, layer in images.layers():
        if layer.blob is not None and not was_ingested(layer.blob) and layer.blob not in seen:
            seen.add(layer.blob)
            yield layer.blob.size or 0


def _layer_digests(transcoder: LayerTranscoder, finished: FinishedImages) -> Callable[[Layer], Digest]:
    """Return what gives the digest of a finished layer as a registry would store the source's."""
    digests = transcoder.digests(decide_registry_forms(finished.source))
    by_layer = {finished.layers.layers[layer]: digests[layer] for _, layer in finished.source.layers()}
    return by_layer.__getitem__
