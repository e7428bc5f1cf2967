"""Show what identifies the images in a source: `inspect`."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convert.archive.open import open_source
from convert.commands.common import Options, ignore, options_of
from convert.errors import InputError, SelectionError
from convert.layer.stored_digests import StoredDigests
from convert.model.platform import Platform
from convert.progress import Silent
from convert.reader.detect import read
from convert.reader.producer import producer
from convert.reader.sink import CollectingSink
from convert.report.inspect import inspect_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from convert.codec.identify import Origin
    from convert.commands.common import Path, Warn
    from convert.commands.keywords import InspectFields
    from convert.diagnostics import Diagnostic
    from convert.errors import ImgconvError
    from convert.layer.contents.read import Contents
    from convert.layer.examine import LayerFacts
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet
    from convert.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectOptions(Options):
    """The options of `inspect` (docs/contract.md#commands).

    Attributes:
        verify: read every layer and check it against its digests.
        encoders: find the encoder of each compressed layer, which reads it too.
        files: find the largest files and folders of each layer, and what later layers overwrite or
            delete; every layer is read and verified (docs/layers.md).
        images: select images by name, image ID, manifest digest, or a hex prefix of one
            with at least 4 digits; all images without one (#selecting).
        platforms: select platforms, each `OS/ARCH[/VARIANT]` (#selecting).
        jobs: the number of CPU cores to use, all if None; the report never depends on it.
    """

    verify: bool = False
    encoders: bool = False
    files: bool = False
    images: Sequence[str] = ()
    platforms: Sequence[str] = ()
    jobs: int | None = None


@dataclass(frozen=True, slots=True)
class InspectReport:
    """Everything that identifies the images in a source.

    `images` is what was selected; its layers can no longer be read. `facts` and
    `encoders` are what `verify` and `encoders` found for each layer, `contents` what `files`
    found, None without them.
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
    contents: Contents | None = None

    @property
    def status(self) -> int:
        """The exit status of the command (docs/contract.md#exit-status)."""
        return InputError.exit_status if self.problems else 0


def inspect(
    source: Path,
    options: InspectOptions | None = None,
    *,
    warn: Warn = ignore,
    progress: Progress | None = None,
    **fields: Unpack[InspectFields],
) -> InspectReport:
    """Return names, IDs, platforms and layers of the images in a source.

    Layers are not read unless `verify`, `encoders` or `files` asks for it.

    Args:
        source: a file, a folder, `-` for standard input, or one of skopeo's spellings.
        options: what to select and what to read; see `InspectOptions`.
        warn: called with one line for each thing that the selection drops.
        progress: takes counts of the bytes of layers as they are stored; called from any thread.
        fields: the fields of `InspectOptions`, instead of `options`.

    Raises:
        SelectionError: the selection fits nothing, or more than it may.
        InputError: the source is damaged, hostile, unsupported or not an image archive;
            damage to single images is in `problems` of the report.
        StorageError: the source cannot be read.
    """
    given = options_of(InspectOptions, options, dict(fields))
    wanted = [Platform.parse(text) for text in given.platforms]
    sink = CollectingSink(accepts_absent=True)
    with open_source(os.fspath(source)) as opened:
        images = read(opened.tree, sink=sink)
        if sink.absent:
            images = dataclasses.replace(images, warnings=(*images.warnings, *sink.absence()))
        problems = [fault.error for fault in sink.faults]
        if given.images or wanted or opened.reference_text:
            from convert.plan.find_errors import find_errors  # noqa: PLC0415 - start-up time
            from convert.plan.select import select_images  # noqa: PLC0415

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
        facts, encoders, contents = _examine(images, layers, given, opened.path, progress or Silent())
        shown: set[str] = set()
        for found in facts.values() if facts else ():
            if found.problem is not None and str(found.problem) not in shown:
                shown.add(str(found.problem))
                problems.append(found.problem)
        document = inspect_document(
            opened,
            images,
            layers,
            problems,
            producer=producer(opened.tree, images),
            facts=facts,
            encoders=encoders,
            contents=contents,
        )
        names = {layer: origin.name for layer, origin in encoders.items()} if encoders is not None else None
        return InspectReport(opened.path, images, facts, names, tuple(problems), images.warnings, document, contents)


def _examine(
    images: ImageSet, layers: StoredDigests, options: InspectOptions, path: str, progress: Progress
) -> tuple[Mapping[Layer, LayerFacts] | None, Mapping[Layer, Origin] | None, Contents | None]:
    """Read the layers as `options` ask for; return what was found, None for what was not asked for."""
    if not options.verify and not options.encoders and not options.files:
        return None, None, None
    from convert.layer.examine import examine_layers, identify_encoders  # noqa: PLC0415
    from convert.layer.pool import Pool  # noqa: PLC0415
    from convert.limits import usable_cores  # noqa: PLC0415
    from convert.report.inspect import layers_of  # noqa: PLC0415

    facts: Mapping[Layer, LayerFacts] | None = None
    encoders = contents = None
    with Pool(options.jobs or usable_cores()) as pool:
        if options.files:
            from convert.layer.contents.read import read_contents  # noqa: PLC0415

            # It verifies the layers too, in the same reading.
            contents = read_contents(list(images.images()), layers, file=path, cancel=pool.cancel, progress=progress)
            facts = contents.facts
        elif options.verify:
            facts = examine_layers(layers_of(images), layers, pool, file=path, progress=progress)
        if options.encoders:
            encoders = identify_encoders(layers_of(images), pool, progress)
    return facts, encoders, contents
