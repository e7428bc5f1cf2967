"""Show what identifies the images in a source: `inspect`."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convert.archive.open import open_source
from convert.commands.common import Options, ignore, options_of
from convert.commands.inspect_layers import describe, examine
from convert.errors import InputError, SelectionError
from convert.layer.stored_digests import StoredDigests
from convert.model.platform import Platform
from convert.progress import Silent
from convert.reader.readings import Readings
from convert.reader.shared_documents import SharedDocuments
from convert.reader.sink import CollectingSink

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from convert.commands.common import Path, Warn
    from convert.commands.keywords import InspectFields
    from convert.diagnostics import Diagnostic
    from convert.errors import ImgconvError
    from convert.layer.contents.read import Contents
    from convert.layer.examine import LayerFacts
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet
    from convert.progress import Progress
    from convert.report.inspect_sources import PagePart


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectOptions(Options):
    """The options of `inspect` (docs/contract.md#commands).

    Attributes:
        verify: read every layer and check it against its digests.
        encoders: find the encoder of each compressed layer, which reads it too.
        files: find the largest files and folders of each layer, and what later layers overwrite or
            delete; every layer is read and verified (docs/layers.md).
        page: find what the page of `--html` shows besides: the contents of all layers, and the
            digests that pushes give. It changes neither `document` nor `status`.
        images: select images by name, image ID, manifest digest, or a hex prefix of one
            with at least 4 digits; all images without one (#selecting).
        platforms: select platforms, each `OS/ARCH[/VARIANT]` (#selecting).
        jobs: the number of CPU cores to use, all if None; the report never depends on it.
    """

    verify: bool = False
    encoders: bool = False
    files: bool = False
    page: bool = False
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
    accepted. `document` is what `--json` prints (schemas/report-inspect.json), `page` what the
    page shows, None without the option.
    """

    source: str
    images: ImageSet
    facts: Mapping[Layer, LayerFacts] | None
    encoders: Mapping[Layer, str | None] | None
    problems: tuple[ImgconvError, ...]
    warnings: tuple[Diagnostic, ...]
    document: dict[str, Any]
    contents: Contents | None = None
    page: PagePart | None = None
    given: str = ""

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
        documents = SharedDocuments(keeps=given.page)
        images = Readings(opened.tree, documents).read_all(sink)
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
        found = examine(
            images,
            layers,
            verify=given.verify,
            encoders=given.encoders,
            files=given.files,
            jobs=given.jobs,
            path=opened.path,
            progress=progress or Silent(),
        )
        document = describe(opened, images, layers, [*problems, *found.problems], found)
        page = None
        if given.page:
            from convert.commands.inspect_page import page_part  # noqa: PLC0415 - start-up time

            page = page_part(
                opened,
                images,
                layers,
                problems,
                found,
                source=os.fspath(source),
                selection=(given.images, given.platforms),
                jobs=given.jobs,
                progress=progress or Silent(),
                earlier=document,
                documents=documents,
            )
        origins = found.encoders
        return InspectReport(
            source=opened.path,
            images=images,
            facts=found.facts,
            encoders={layer: origin.name for layer, origin in origins.items()} if origins is not None else None,
            problems=(*problems, *found.problems),
            warnings=images.warnings,
            document=document,
            contents=found.contents,
            page=page,
            given=os.fspath(source),
        )
