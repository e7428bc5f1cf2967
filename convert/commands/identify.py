"""Return the ID that an engine shows for each image: `identify` (`imgconv id`).

`imgconv id` is called in loops, so this imports only what every call needs.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convert.archive.open import open_source
from convert.commands.common import Options, ignore, options_of
from convert.errors import InputError, SelectionError
from convert.identity.engine_id import Engine, engine_id, image_id, list_images
from convert.reader.detect import read
from convert.reader.sink import CollectingSink

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from convert.archive.open import Source
    from convert.commands.common import Path, Warn
    from convert.commands.keywords import IdentifyFields
    from convert.diagnostics import Diagnostic
    from convert.errors import ImgconvError
    from convert.identity.engine_id import LayerDigests, NamedImage
    from convert.model.digest import Digest
    from convert.model.image_set import ImageSet, SourceFormat
    from convert.reader.sink import Fault


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
    sink = CollectingSink(accepts_absent=True)
    with open_source(os.fspath(source)) as opened:
        images = read(opened.tree, sink=sink)
        if sink.absent:
            images = dataclasses.replace(images, warnings=(*images.warnings, *sink.absence()))
        for warning in images.warnings:
            warn(warning.within(opened.path))
        layers = None
        if given.details or not engine.shows_config:
            from convert.layer.stored_digests import StoredDigests  # noqa: PLC0415

            layers = StoredDigests(may_read=not engine.shows_config)
        try:
            picked = _pick(images, opened, given.refs, sink.faults)
        except SelectionError as error:
            error.file = error.file or opened.path
            raise
        asked = (opened.reference_text, *given.refs) if opened.reference_text else tuple(given.refs)
        problems = [fault.error for fault in sink.faults]
        if asked and problems:
            from convert.plan.find_errors import find_errors  # noqa: PLC0415

            problems = list(dict.fromkeys(error for one in picked for error in find_errors(one, sink.faults)))
        items = [item for one in picked for item in list_images(one)]
        document = None
        if given.details and layers is not None:
            from convert.report.identify import id_document  # noqa: PLC0415

            document = id_document(opened, images, items, layers, problems)
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
            layers.bytes_read if layers is not None else 0,
            document,
        )


def _pick(images: ImageSet, opened: Source, refs: Sequence[str], faults: Sequence[Fault]) -> list[ImageSet]:
    """Return what the spelling of SOURCE and the REFs ask for, in their order; everything without one."""
    picked = []
    if opened.reference_text:
        from convert.plan.select_spelling import select_by_spelling  # noqa: PLC0415

        picked.append(select_by_spelling(images, opened.spelling, opened.reference_text, faults))
    if refs:
        from convert.plan.select_image import select_by_image  # noqa: PLC0415

        picked.extend(select_by_image(images, [ref], faults) for ref in refs)
    return picked or [images]


def _identities(
    items: Sequence[NamedImage],
    engine: Engine,
    archive_format: SourceFormat,
    layers: LayerDigests | None,
    *,
    damaged: bool,
) -> tuple[tuple[ImageIdentity, ...], list[str]]:
    """Return the IDs, each once, and the reasons for those that the engine does not have."""
    found: dict[ImageIdentity, None] = {}
    reasons: list[str] = []
    for item in items:
        if not item.is_image:
            continue
        digest, why = image_id(item.node), ""
        if layers is not None:
            digest, why = engine_id(item, engine, archive_format, layers)
        if why:
            label = " ".join(item.texts) or str(image_id(item.node) or "an image without a name")
            reasons.append(f"{engine.value} has no ID for {label}: {why}")
        elif digest is not None or damaged:
            several = item.index is not None and engine.shows_config
            platform = item.platform_text if several else None
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
