"""The steps of a conversion (`commands/convert_one.py`)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from convert.archive import stream_sink
from convert.archive.open import open_source
from convert.archive.transport import STDIN, path_of
from convert.errors import DestinationExistsError, InputError, StorageError
from convert.layer.ingested import was_ingested
from convert.layer.transcode import LayerTranscoder
from convert.layer.verify import StoredContent
from convert.model.form import Form
from convert.plan import notices
from convert.plan.document_size import check_document_sizes
from convert.plan.forms import decide_forms, decide_registry_forms
from convert.plan.manifests import finish_manifests
from convert.plan.read_selection import read_sources
from convert.plan.target import fit_images, record_changes
from convert.reader.detect import read
from convert.writer import destination as destinations
from convert.writer.options import LeftOut, WriteOptions, no_layer_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from convert.archive.open import Source
    from convert.archive.tree import Tree
    from convert.commands.bases import Bases
    from convert.commands.convert_options import ConvertOptions
    from convert.commands.convert_run import ConversionRun
    from convert.layer.finished import FinishedLayers
    from convert.layer.staging import Staging
    from convert.model.blob import Blob, Content
    from convert.model.digest import Digest
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet
    from convert.reader.sink import Sink
    from convert.writer.dest.existing_layout import ExistingLayout
    from convert.writer.destination import Destination


class Selection(NamedTuple):
    """The images that were selected, those of them that the target can hold, and the forms of their layers."""

    selected: ImageSet
    images: ImageSet
    forms: dict[Layer, Form]
    is_push: bool


class FinishedImages(NamedTuple):
    """The images of the result, those of the source that they come from, their layers, and what is left out.

    `relies_on` is what must be verified because of what is left out.
    """

    images: ImageSet
    source: ImageSet
    layers: FinishedLayers
    left_out: LeftOut
    relies_on: Sequence[Content]


def open_destination(run: ConversionRun) -> Destination:
    """Start the output, a context manager: what is not committed is removed with it.

    Raises:
        UsageError: the destination may not be written to.
        StorageError: it cannot be.
    """
    options = run.options
    if len(run.sources) > 1 and options.force and not options.append:
        _refuse_archive(run.path)
    return destinations.open_destination(
        run.target, run.path, [*run.source_paths, *_bases(options)], force=options.force, append=options.append
    )


def _bases(options: ConvertOptions) -> list[str]:
    """Return the paths of what `--with` and `--without` name, which no new result may replace."""
    return [] if options.append else [path_of(text) for text in (*options.with_, *options.without)]


def _refuse_archive(path: str) -> None:
    """Refuse to replace an archive by the result of several sources: it may be one of them, without a DEST.

    Raises:
        DestinationExistsError: `path` is an archive that can be read.
    """
    if path == STDIN or not os.path.lexists(path) or stream_sink.names_descriptor(path):
        return
    try:
        with open_source(path) as opened:
            read(opened.tree)
    except (InputError, StorageError):
        return
    raise DestinationExistsError(
        "--force does not replace an archive with the result of several SOURCEs",
        code="destination-is-archive",
        file=path,
        hint="remove it first, or name DEST last",
    )


def open_transcoder(run: ConversionRun, existing: ExistingLayout | None) -> LayerTranscoder:
    """Return what brings layers into their form; layers of `existing` are not encoded again."""
    return LayerTranscoder(
        run.pool,
        profile=run.profile,
        context=run.context,
        verify_full=run.options.verify == "full",
        existing=existing,
    )


def select_images(
    run: ConversionRun, opened: Sequence[Source], read_all: Callable[[Tree, Sink], ImageSet] = read
) -> ImageSet:
    """Read the sources, put them together, and keep and edit what the options ask for.

    `read_all` reads one of them.

    Raises:
        SelectionError: nothing fits, or more than may.
        InputError: a source is damaged, hostile, unsupported or not an image archive.
    """
    options = run.options
    selected = read_sources(
        opened,
        options.images,
        options.platforms,
        edits=run.edits,
        tags=() if run.joined else options.tags,
        pusher=run.pusher,
        manifests=run.target.manifests,
        is_join=bool(run.joined),
        origins=run.context.origins,
        read_all=read_all,
        warn=run.warn,
        accepts_absent=bool(options.with_),
    )
    if run.joined:
        from convert.plan.join import check_join  # noqa: PLC0415 - start-up time

        check_join(selected, run.changes)
    return selected


def plan_result(run: ConversionRun, selected: ImageSet) -> Selection:
    """Keep what the target can hold of the selected images, and decide the forms of their layers.

    Raises:
        NotRepresentableError: the target cannot hold what was selected, or its names.
    """
    images, pushed_forms = selected, None
    if run.pusher is not None:
        from convert.plan import push  # noqa: PLC0415 - start-up time

        loaded = push.load(run.pusher, images, run.warn)
        images, pushed_forms = loaded.images, loaded.forms
    images = fit_images(images, run.target, run.warn)
    if not run.joined:
        check_document_sizes(images, run.target, add_repositories=run.options.add_repositories)
    run.progress.expect(sum(_unread_sizes(images)))
    if pushed_forms is None:
        return Selection(selected, images, decide_forms(images, run.recipe), is_push=False)
    return Selection(selected, images, {layer: pushed_forms[layer] for _, layer in images.layers()}, is_push=True)


def finish_layers(
    run: ConversionRun, selection: Selection, transcoder: LayerTranscoder, out: Destination, bases: Bases
) -> FinishedImages:
    """Bring every layer into its form, create the manifests that follow, and record what changes.

    Raises:
        InputError: a layer is damaged, too large, or does not have its digest.
        StorageError: the staging area cannot be written to.
    """
    images = selection.images
    unwritten = bases.unwritten_layers(run, images, selection.forms)
    layers = _transcode(run, selection.forms, transcoder, out.staging, unwritten)
    if run.pusher is not None and selection.is_push:
        from convert.identity.push.tool import pushed_images  # noqa: PLC0415 - start-up time

        result = pushed_images(run.pusher.tool, images, layers.layers)
    else:
        result = finish_manifests(images, layers.layers, run.recipe, run.changes)
    if run.joined:
        from convert.plan.join import join  # noqa: PLC0415 - start-up time

        result = join(result, run.joined, docker=run.options.manifest_type == "docker")
    record_changes(selection.selected, result, layers, run.target, run.changes)
    compress, v1_ids = run.options.compress, run.options.v1_ids
    if compress is not None:
        run.changes.dropped += notices.without_effect(compress, layers.forms.values(), run.target, v1_ids)
    left_out, relies_on = bases.leave_out(run, result, layers)
    # What else is in the result may need the bytes of a layer after all.
    needed = {layer: selection.forms[layer] for layer in unwritten if layers.written_name(layer) not in left_out.blobs}
    if needed:
        again = transcoder.finish(needed, out.staging, sized=run.target.layer_sizes_first)
        for layer in needed:
            layers.contents[layers.layers[layer]] = again.contents[again.layers[layer]]
    return FinishedImages(result, images, layers, left_out, relies_on)


def _transcode(
    run: ConversionRun,
    forms: Mapping[Layer, Form],
    transcoder: LayerTranscoder,
    staging: Staging,
    unwritten: Mapping[Layer, Layer],
) -> FinishedLayers:
    """Bring every layer into its form; for those in `unwritten`, read the layer that is given for it."""
    layers = transcoder.finish(
        {unwritten.get(layer, layer): form for layer, form in forms.items()},
        staging,
        sized=run.target.layer_sizes_first,
        may_be_absent=run.target.manifests,
        unkept=frozenset(unwritten.values()),
    )
    others = {layer: other for layer, other in unwritten.items() if other is not layer}
    for layer, other in others.items():
        layers.stand_for(layer, other)
        if layer.blob is not None and other.blob is not None:
            run.progress.expect((other.blob.size or 0) - (layer.blob.size or 0))
    for other in dict.fromkeys(others.values()):
        layers.forget(other)
    return layers


def write_result(
    run: ConversionRun,
    opened: Sequence[Source],
    out: Destination,
    existing: ExistingLayout | None,
    transcoder: LayerTranscoder,
    finished: FinishedImages,
) -> None:
    """Write the result and verify it if that is asked for; `out.commit` then puts it in place.

    Raises:
        UsageError: the judge of the run refuses the result.
        InputError: a source changed while it was read.
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
        place="" if stream_sink.names_descriptor(run.shown_path) else run.shown_path,
        layer_mode=run.target.layer_mode,
        transport=run.target.transport,
        existing=existing.images() if existing is not None else None,
        left_out=finished.left_out,
    )

    def check_unchanged() -> None:
        for source in opened:
            source.tree.check_unchanged()

    out.write(
        run.target.writer().items(images, options),
        run.pool,
        relies_on=finished.relies_on,
        before_end=check_unchanged,
    )
    if existing is not None:
        existing.check_absent(images)
    absent = finished.left_out.blobs
    encoded = (
        layer
        for _, layer in images.layers()
        if layers.forms.get(layer) is Form.ENCODED and layer.stored is not None and layer.stored.digest not in absent
    )
    out.record_layers(run.profile.name, encoded)
    out.prepare(_result_check(run, existing, images))


def _result_check(
    run: ConversionRun, existing: ExistingLayout | None, images: ImageSet
) -> Callable[[int], None] | None:
    """Return what looks at a result before it appears, None if nothing has to."""
    checks = [_output_check(run, existing, images)] if run.options.verify_output else []
    if (judge := run.judge) is not None:
        checks.append(lambda fd: judge(fd, run.shown_path))
    if not checks:
        return None

    def check(fd: int) -> None:
        for each in checks:
            each(fd)

    return check


def _output_check(run: ConversionRun, existing: ExistingLayout | None, images: ImageSet) -> Callable[[int], None]:
    """Return what reads a result back before it appears."""
    from convert.commands import verify_output  # noqa: PLC0415 - start-up time

    if existing is not None:
        return lambda fd: verify_output.verify_blobs(fd, run.shown_path)
    return lambda fd: verify_output.verify_archive(
        fd,
        run.shown_path,
        images,
        run.context,
        run.pool,
        manifests=run.target.manifests,
        thin=bool(run.options.without),
    )


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
