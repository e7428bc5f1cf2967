"""Show the identifiers of the images in a source: `inspect` and `identify` (`imgconv id`)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convert.archive.open import open_source
from convert.commands.common import Options, ignore, options_of
from convert.errors import InputError, SelectionError
from convert.identity.engine_id import Engine, engine_id, image_id, list_images
from convert.layer.stored_digests import StoredDigests
from convert.plan.find_errors import find_errors
from convert.plan.select_image import select_by_image
from convert.reader.detect import read
from convert.reader.sink import CollectingSink
from convert.report.inspect import id_document, is_image, platform_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from convert.archive.open import Source
    from convert.commands.common import Path, Warn
    from convert.commands.keywords import IdentifyFields, InspectFields
    from convert.diagnostics import Diagnostic
    from convert.errors import ImgconvError
    from convert.identity.engine_id import NamedImage
    from convert.layer.examine import LayerFacts
    from convert.model.digest import Digest
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet, SourceFormat
    from convert.reader.sink import Fault

# -- identify ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifyOptions(Options):
    """The options of `identify` (docs/contract.md#commands).

    Attributes:
        refs: names, IDs, manifest digests, or hex prefixes with at least 4 digits; all
            images without one (#selecting).
        engine: the engine whose ID is computed.
        details: also compute `IdentifyReport.document`, with the IDs of all engines.
    """

    refs: Sequence[str] = ()
    engine: Engine = Engine.DOCKER
    details: bool = False


@dataclass(frozen=True, slots=True)
class ImageIdentity:
    """The ID of one image.

    `id` is None for an image that is damaged. `platform` is set where the names stand
    for images of several platforms, else "".
    """

    id: Digest | None
    names: tuple[str, ...]
    platform: str


@dataclass(frozen=True, slots=True)
class IdentifyReport:
    """The IDs of the images in a source.

    `problems` are faults of what was asked for; with one, IDs may be missing. `failure`
    states why an ID is missing: the engine shows none, or the image is absent.
    `warnings` are lines about what was accepted, `bytes_read` the bytes of compressed
    layers that had to be read. `asked` is what was asked for: the REFs, and the one in
    skopeo's spelling of the source. `document` is what `--json` prints
    (schemas/report-id.json), None without `details`.
    """

    source: str
    format: str
    asked: tuple[str, ...]
    images: tuple[ImageIdentity, ...]
    problems: tuple[ImgconvError, ...]
    failure: ImgconvError | None
    warnings: tuple[Diagnostic, ...]
    bytes_read: int
    document: dict[str, Any] | None

    @property
    def status(self) -> int:
        """The exit status of the command (docs/contract.md#exit-status)."""
        if self.problems:
            return InputError.exit_status
        return self.failure.exit_status if self.failure is not None else 0


def identify(
    source: Path,
    options: IdentifyOptions | None = None,
    *,
    warn: Warn = ignore,
    **fields: Unpack[IdentifyFields],
) -> IdentifyReport:
    """Return the ID that an engine shows for each image in a source.

    Layers are read only where an ID needs them: in an archive from before Docker 1.10,
    and for `Engine.CONTAINERD` where no manifest names compressed layers.

    Args:
        source: a file, a folder, `-` for standard input, or one of skopeo's spellings.
        options: which images, and whose IDs; see `IdentifyOptions`.
        warn: called with one line for each thing that was accepted.
        fields: the fields of `IdentifyOptions`, instead of `options`.

    Raises:
        SelectionError: a REF fits nothing, or more than one thing.
        InputError: the source is damaged, hostile, unsupported or not an image archive;
            damage to single images is in `problems` of the report.
        StorageError: the source cannot be read.
    """
    given = options_of(IdentifyOptions, options, dict(fields))
    engine = Engine(given.engine)
    sink = CollectingSink()
    with open_source(os.fspath(source)) as opened:
        images = read(opened.tree, sink=sink)
        for warning in images.warnings:
            warn(warning.within(opened.path))
        layers = StoredDigests(may_read=not engine.shows_config)
        try:
            picked = _pick(images, opened, given.refs, sink.faults)
        except SelectionError as error:
            error.file = error.file or opened.path
            raise
        asked = (opened.reference_text, *given.refs) if opened.reference_text else tuple(given.refs)
        problems = [fault.error for fault in sink.faults]
        if asked:
            problems = list(dict.fromkeys(error for one in picked for error in find_errors(one, sink.faults)))
        items = [item for one in picked for item in list_images(one)]
        document = id_document(opened, images, items, layers, problems) if given.details else None
        identities, reasons = _identities(items, engine, images.format, layers, damaged=bool(problems))
        failure = _failure(items, identities, reasons)
        if failure is not None:
            failure.file = opened.path
        return IdentifyReport(
            opened.path,
            images.format,
            asked,
            identities,
            tuple(problems),
            failure,
            images.warnings,
            layers.bytes_read,
            document,
        )


def _pick(images: ImageSet, opened: Source, refs: Sequence[str], faults: Sequence[Fault]) -> list[ImageSet]:
    """Return what the spelling of SOURCE and the REFs ask for, in their order; everything without one."""
    picked = []
    if opened.reference_text:
        from convert.plan.select_spelling import select_by_spelling  # noqa: PLC0415 - start-up time

        picked.append(select_by_spelling(images, opened.spelling, opened.reference_text, faults))
    picked.extend(select_by_image(images, [ref], faults) for ref in refs)
    return picked or [images]


def _identities(
    items: Sequence[NamedImage], engine: Engine, archive_format: SourceFormat, layers: StoredDigests, *, damaged: bool
) -> tuple[tuple[ImageIdentity, ...], list[str]]:
    """Return the IDs, each once, and the reasons for those that the engine does not have."""
    found: dict[ImageIdentity, None] = {}
    reasons: list[str] = []
    for item in items:
        if not is_image(item):
            continue
        digest, why = engine_id(item, engine, archive_format, layers)
        if why:
            label = " ".join(item.texts) or str(image_id(item.node) or "an image without a name")
            reasons.append(f"{engine.value} has no ID for {label}: {why}")
        elif digest is not None or damaged:
            several = item.index is not None and engine.shows_config
            platform = platform_text(item) if several else None
            found[ImageIdentity(digest, item.texts, platform or "")] = None
    return tuple(found), reasons


def _failure(
    items: Sequence[NamedImage], identities: Sequence[ImageIdentity], reasons: Sequence[str]
) -> ImgconvError | None:
    """Return why an ID is missing, other than by damage."""
    if reasons:
        return SelectionError("; ".join(reasons), code="engine-has-no-id")
    if identities:
        return None
    if not items:
        return SelectionError("no image in the source", code="no-image-selected")
    absent = any(item.node is None for item in items)
    what = "its images are not in the source" if absent else "no image in the source, only other things"
    return SelectionError(what, code="no-image-selected")


# -- inspect -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectOptions(Options):
    """The options of `inspect` (docs/contract.md#commands).

    Attributes:
        verify: read every layer and check it against its digests.
        encoders: find the encoder of each compressed layer, which reads it too.
        images: select images by name, image ID, manifest digest, or a hex prefix of one
            with at least 4 digits; all images without one (#selecting).
        platforms: select platforms, each `OS/ARCH[/VARIANT]` (#selecting).
        jobs: the number of CPU cores to use, all if None; the report never depends on it.
    """

    verify: bool = False
    encoders: bool = False
    images: Sequence[str] = ()
    platforms: Sequence[str] = ()
    jobs: int | None = None


@dataclass(frozen=True, slots=True)
class InspectReport:
    """Everything that identifies the images in a source.

    `images` is what was selected; its layers can no longer be read. `facts` and
    `encoders` are what `verify` and `encoders` found for each layer, None without them.
    `problems` are faults of what was selected; `warnings` are lines about what was
    accepted. `document` is what `--json` prints (schemas/report-inspect.json).
    """

    source: str
    images: ImageSet
    facts: Mapping[Layer, LayerFacts] | None
    encoders: Mapping[Layer, str | None] | None
    problems: tuple[ImgconvError, ...]
    warnings: tuple[Diagnostic, ...]
    document: dict[str, Any]

    @property
    def status(self) -> int:
        """The exit status of the command (docs/contract.md#exit-status)."""
        return InputError.exit_status if self.problems else 0


def inspect(
    source: Path,
    options: InspectOptions | None = None,
    *,
    warn: Warn = ignore,
    **fields: Unpack[InspectFields],
) -> InspectReport:
    """Return names, IDs, platforms and layers of the images in a source.

    Layers are not read unless `verify` or `encoders` asks for it.

    Args:
        source: a file, a folder, `-` for standard input, or one of skopeo's spellings.
        options: what to select and what to read; see `InspectOptions`.
        warn: called with one line for each thing that the selection drops.
        fields: the fields of `InspectOptions`, instead of `options`.

    Raises:
        SelectionError: the selection fits nothing, or more than it may.
        InputError: the source is damaged, hostile, unsupported or not an image archive;
            damage to single images is in `problems` of the report.
        StorageError: the source cannot be read.
    """
    # identify does without these: start-up time.
    from convert.model.platform import Platform  # noqa: PLC0415
    from convert.plan.select import select_images  # noqa: PLC0415
    from convert.reader.producer import producer  # noqa: PLC0415
    from convert.report.inspect import inspect_document  # noqa: PLC0415

    given = options_of(InspectOptions, options, dict(fields))
    wanted = [Platform.parse(text) for text in given.platforms]
    sink = CollectingSink()
    with open_source(os.fspath(source)) as opened:
        images = read(opened.tree, sink=sink)
        problems = [fault.error for fault in sink.faults]
        if given.images or wanted or opened.reference_text:
            try:
                images = select_images(
                    images,
                    spelling=opened.spelling,
                    reference=opened.reference_text,
                    selectors=given.images,
                    platforms=wanted,
                    faults=sink.faults,
                    warn=warn,
                    damaged=True,
                )
            except SelectionError as error:
                error.file = error.file or opened.path
                raise
            problems = find_errors(images, sink.faults)
        layers = StoredDigests(may_read=False)
        facts, encoders = _examine(images, layers, given, opened.path)
        shown: set[str] = set()
        for found in facts.values() if facts else ():
            if found.problem is not None and str(found.problem) not in shown:
                shown.add(str(found.problem))
                problems.append(found.problem)
        document = inspect_document(
            opened, images, layers, problems, producer=producer(opened.tree, images), facts=facts, encoders=encoders
        )
        return InspectReport(opened.path, images, facts, encoders, tuple(problems), images.warnings, document)


def _examine(
    images: ImageSet, layers: StoredDigests, options: InspectOptions, path: str
) -> tuple[Mapping[Layer, LayerFacts] | None, Mapping[Layer, str | None] | None]:
    """Read the layers as `options` ask for; return what was found, None for what was not asked for."""
    if not options.verify and not options.encoders:
        return None, None
    from convert.layer.examine import examine_layers, identify_encoders  # noqa: PLC0415
    from convert.layer.pool import Pool  # noqa: PLC0415
    from convert.limits import usable_cores  # noqa: PLC0415
    from convert.report.inspect import layers_of  # noqa: PLC0415

    facts = encoders = None
    with Pool(options.jobs or usable_cores()) as pool:
        if options.verify:
            facts = examine_layers(layers_of(images), layers, pool, file=path)
        if options.encoders:
            encoders = identify_encoders(layers_of(images), pool)
    return facts, encoders
