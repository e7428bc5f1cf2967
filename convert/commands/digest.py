"""Compute the manifest digests that pushes give, without writing anything.

Each encoder runs once over each layer, however many pushers need it: on all cores for a large layer,
all encoders side by side for a small one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.archive.open import open_source
from convert.commands.common import Options, ignore, options_of
from convert.commands.digest_layers import RECIPE, LayerReader
from convert.errors import UsageError
from convert.identity.engine_id import entry_name, manifest_digest
from convert.identity.push import pushers
from convert.identity.push.pushers import PUSHERS
from convert.identity.push.tool import pushed_by_image
from convert.layer.context import ReadContext, ReadOptions
from convert.layer.pool import Pool
from convert.layer.stored_digests import StoredDigests
from convert.limits import MAX_LAYER_SIZE, usable_cores
from convert.model.image import Image
from convert.plan import push
from convert.plan.changes import Changes
from convert.plan.manifests import finish_manifests
from convert.plan.push_reader import PushReader
from convert.plan.read_selection import read_selection
from convert.progress import Silent
from convert.report.digest import DigestReport, PushedManifest, RefusedPusher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Unpack

    from convert.archive.open import Source
    from convert.commands.common import Path, Warn
    from convert.commands.convert_options import PusherName
    from convert.commands.keywords import DigestFields
    from convert.diagnostics import Diagnostic
    from convert.identity.push.pushers import Pusher
    from convert.identity.push.tool import Pushed, PushTool
    from convert.model.image import Layer, Node
    from convert.model.image_set import ImageSet, Name
    from convert.plan.push import Load
    from convert.progress import Progress
    from convert.reader.shared_documents import SharedDocuments

#: Layers read at a time; each already keeps all cores busy, a second one fills gaps.
_ABREAST: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestOptions(Options):
    """The options of `digest` (docs/contract.md#the-digest-that-a-push-gives).

    Attributes:
        pushers: the tools to ask about; all of them if empty.
        images: select images by name, image ID, manifest digest, or a hex prefix of one
            with at least 4 digits; all images without one (#selecting).
        platforms: select platforms, each `OS/ARCH[/VARIANT]` (#selecting).
        max_layer_size: the most bytes that a layer may unpack to, 64 GiB if None (#limits).
        jobs: the number of CPU cores to use, all if None; the digests never depend on it.
        with_: archives that hold the layers which a thin source lacks (docs/thin.md).
    """

    pushers: Sequence[PusherName] = ()
    images: Sequence[str] = ()
    platforms: Sequence[str] = ()
    max_layer_size: int | None = None
    jobs: int | None = None
    with_: Sequence[str] = ()


def digest(
    source: Path,
    options: DigestOptions | None = None,
    *,
    warn: Warn = ignore,
    progress: Progress | None = None,
    **fields: Unpack[DigestFields],
) -> DigestReport:
    """Return the manifest digests that pushing a source gives; nothing is written or pushed.

    If no pusher is named, one that cannot read the source is listed in `refused`,
    unless none can.

    Args:
        source: a file, a folder, `-` for standard input, or one of skopeo's spellings.
        options: whom to ask about and what to select; see `DigestOptions`.
        warn: called with one line for each thing that was accepted or dropped, or on
            which a digest depends.
        progress: takes counts of uncompressed bytes; called from any thread.
        fields: the fields of `DigestOptions`, instead of `options`.

    Raises:
        UsageError: a pusher that was named cannot read the source, or the selection
            fits nothing.
        InputError: the source is damaged, hostile, unsupported or not an image archive.
        StorageError: the source cannot be read.
    """
    given = options_of(DigestOptions, options, dict(fields))
    path = os.fspath(source)
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_source(path))
        return digest_opened(opened, given, stack, source=path, warn=warn, progress=progress)


def digest_opened(
    opened: Source,
    given: DigestOptions,
    stack: contextlib.ExitStack,
    *,
    source: str,
    warn: Warn = ignore,
    progress: Progress | None = None,
    documents: SharedDocuments | None = None,
) -> DigestReport:
    """Return what `digest` returns, of a source that is open; what is opened for it is closed with `stack`.

    `documents` are those of the source that were read before.

    Raises:
        ImgconvError: as in `digest`.
    """
    asked = [pushers.get(name) for name in given.pushers]
    report = DigestReport(opened.path, None, opened.compression)

    def warn_once(text: Diagnostic) -> None:
        if text not in report.warnings:
            report.warnings.append(text)
            warn(text)

    fill = _filler(given, source, stack, warn_once)
    loads = _plan(PushReader(opened, documents), opened, given, asked, report, fill, warn_once)
    report.format = loads[-1].images.format
    shown = progress or Silent()
    workers = given.jobs or usable_cores()
    pool = stack.enter_context(Pool(workers, layers=min(workers, _ABREAST)))
    context = ReadContext(ReadOptions(given.max_layer_size or MAX_LAYER_SIZE, file=opened.path), cancel=pool.cancel)
    rows = _Rows()
    for load, done in zip(loads, LayerReader(pool, context, shown).run(loads), strict=True):
        report.pushed.extend(rows.of(load, done))
    opened.tree.check_unchanged()
    return report


def _plan(
    reader: PushReader,
    opened: Source,
    given: DigestOptions,
    asked: Sequence[Pusher],
    report: DigestReport,
    fill: Callable[[ImageSet], ImageSet],
    warn: Warn,
) -> list[Load]:
    """Return the images as each pusher takes them; those that cannot read the source are added to `report`.

    `reader` reads the documents of the source once for all tools; they are not needed any more afterwards.

    Raises:
        UsageError: a pusher that was asked for cannot read the source, or none can.
    """
    loads: list[Load] = []
    # Generations of one tool read the source alike.
    by_tool: dict[PushTool, Load] = {}
    refusals: dict[PushTool, UsageError] = {}
    tools = {pusher.tool: None for pusher in asked or PUSHERS}.keys()
    stored = StoredDigests(may_read=False)
    for pusher in asked or PUSHERS:
        try:
            if (refusal := refusals.get(pusher.tool)) is not None:
                raise refusal
            if pusher.tool not in by_tool:
                found = read_selection(
                    opened,
                    given.images,
                    given.platforms,
                    pusher=pusher,
                    push_reader=reader,
                    warn=warn,
                    accepts_absent=bool(given.with_),
                )
                by_tool[pusher.tool] = push.load(pusher, fill(found), warn, tools, stored.compression)
            loads.append(dataclasses.replace(by_tool[pusher.tool], pusher=pusher))
        except UsageError as error:
            if asked or (pusher is PUSHERS[-1] and not loads):
                raise
            # Its frames would hold the documents of the source.
            refusals[pusher.tool] = error.with_traceback(None)
            report.refused.append(RefusedPusher(pusher, error.message, error.code))
    return loads


def _filler(
    given: DigestOptions, source: str, stack: contextlib.ExitStack, warn: Warn
) -> Callable[[ImageSet], ImageSet]:
    """Return what gives the images of a thin source the layers that it lacks."""
    if not given.with_:
        return lambda images: images
    from convert.commands.thin import open_absent  # noqa: PLC0415 - start-up time: thin archives are rare

    return open_absent(given.with_, source, stack, warn)


class _Rows:
    """Makes the rows of pushers, each node once with all its names."""

    def __init__(self) -> None:
        # An image may have 100,000 names, and each pusher has a row for it.
        self._texts: dict[Name, str] = {}
        self._names: dict[PushTool, dict[Node, tuple[str, ...]]] = {}
        self._pushed: Pushed = {}
        self._tool: PushTool | None = None

    def of(self, load: Load, done: dict[Layer, Layer]) -> list[PushedManifest]:
        """Return the rows of one pusher; `done` maps its layers to the layers as they are uploaded."""
        tool = load.pusher.tool
        if tool is not self._tool:
            # What is made by rules of a tool alone, no other tool needs.
            self._pushed.pop(self._tool, None)
            self._tool = tool
        if load.forms is None:
            finished = finish_manifests(load.images, done, RECIPE, Changes())
            rows = self._names_of(finished)
        else:
            made = pushed_by_image(tool, load.images, done, self._pushed)
            # Generations of one tool push the same images.
            if tool not in self._names:
                self._names[tool] = self._names_of(load.images)
            rows = {made[node]: names for node, names in self._names[tool].items() if isinstance(node, Image)}
        return [
            PushedManifest(load.pusher, names, node)
            for node, names in rows.items()
            if manifest_digest(node) is not None
        ]

    def _names_of(self, images: ImageSet) -> dict[Node, tuple[str, ...]]:
        names: dict[Node, dict[str, None]] = {}
        for entry in images.entries:
            if entry.node is None:
                continue
            texts = names.setdefault(entry.node, {})
            if entry.name is None:
                continue
            text = self._texts.get(entry.name)
            if text is None and (text := entry_name(entry)):
                self._texts[entry.name] = text
            if text:
                texts[text] = None
        return {node: tuple(texts) for node, texts in names.items()}
