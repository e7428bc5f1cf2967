"""Compute the manifest digests that pushes give, without writing anything.

Each encoder runs once over each layer, however many pushers need it: on all cores for a large layer,
all encoders side by side for a small one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from convert.archive.open import open_source
from convert.codec import profile as profiles
from convert.commands.common import Options, ignore, options_of
from convert.errors import UsageError
from convert.identity.engine_id import entry_name, manifest_digest
from convert.identity.push import pushers
from convert.identity.push.pushers import PUSHERS
from convert.identity.push.tool import DICTATED, pushed_images
from convert.layer.context import ReadContext, ReadOptions
from convert.layer.layer_pass import EncodeSink, LayerPass
from convert.layer.pool import Pool
from convert.layer.streams import drain
from convert.layer.verify import StoredContent, present
from convert.limits import KIB, MAX_LAYER_SIZE, usable_cores
from convert.model.digest import Digest
from convert.model.form import Form
from convert.model.image import Image, Layer
from convert.model.image_set import Entry
from convert.plan import push
from convert.plan.changes import Changes
from convert.plan.forms import Recipe, decide_form
from convert.plan.manifests import finish_manifests
from convert.plan.read_selection import read_selection
from convert.progress import Silent
from convert.report.digest import DigestReport, PushedManifest, RefusedPusher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Unpack

    from convert.archive.open import Source
    from convert.codec.compression import Encoder
    from convert.commands.common import Path, Warn
    from convert.commands.convert_options import PusherName
    from convert.commands.keywords import DigestFields
    from convert.diagnostics import Diagnostic
    from convert.identity.push.tool import PushTool
    from convert.model.blob import Blob
    from convert.model.descriptor import Descriptor
    from convert.model.image import Node
    from convert.model.image_set import ImageSet, Name
    from convert.plan.push import Load
    from convert.progress import Progress

_RECIPE: Final = Recipe(uncompressed=False, manifests=True)
#: Layers read at a time; each already keeps all cores busy, a second one fills gaps.
_ABREAST: Final = 2
#: Bytes of a layer, which may be compressed, from which on its encoders use all cores.
_SPLIT_SIZE: Final = 256 * KIB
#: Encoders that read a large layer together: each takes up to 50 MB, and all of them together at most 100 MB.
_AT_ONCE: Final = 1


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
) -> DigestReport:
    """Return what `digest` returns, of a source that is open; what is opened for it is closed with `stack`.

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
    loads: list[Load] = []
    selections: dict[PushTool, ImageSet] = {}
    refusals: dict[PushTool, UsageError] = {}
    names: dict[Name, Name] = {}
    for pusher in asked or PUSHERS:
        try:
            if (refusal := refusals.get(pusher.tool)) is not None:
                raise refusal
            # Generations of one tool read the source alike.
            if pusher.tool not in selections:
                found = read_selection(
                    opened,
                    given.images,
                    given.platforms,
                    pusher=pusher,
                    warn=warn_once,
                    accepts_absent=bool(given.with_),
                )
                selections[pusher.tool] = fill(_with_shared_names(found, names))
            loads.append(push.load(pusher, selections[pusher.tool], warn_once))
        except UsageError as error:
            if asked or (pusher is PUSHERS[-1] and not loads):
                raise
            refusals[pusher.tool] = error
            report.refused.append(RefusedPusher(pusher, error.message, error.code))
    report.format = loads[-1].images.format
    shown = progress or Silent()
    workers = given.jobs or usable_cores()
    pool = stack.enter_context(Pool(workers, layers=min(workers, _ABREAST)))
    context = ReadContext(ReadOptions(given.max_layer_size or MAX_LAYER_SIZE, file=opened.path), cancel=pool.cancel)
    reader = _LayerReader(pool, context, shown)
    for made in reader.run(loads):
        report.pushed.extend(made)
    opened.tree.check_unchanged()
    return report


def _with_shared_names(images: ImageSet, names: dict[Name, Name]) -> ImageSet:
    """Return `images` with the names in `names`, to which new ones are added.

    Each tool reads the source by itself. An image may have 100,000 names: they are kept once for all tools.
    """
    entries = tuple(
        entry if entry.name is None else Entry(entry.node, names.setdefault(entry.name, entry.name), entry.descriptor)
        for entry in images.entries
    )
    return dataclasses.replace(images, entries=entries)


def _filler(
    given: DigestOptions, source: str, stack: contextlib.ExitStack, warn: Warn
) -> Callable[[ImageSet], ImageSet]:
    """Return what gives the images of a thin source the layers that it lacks."""
    if not given.with_:
        return lambda images: images
    from convert.commands.thin import open_absent  # noqa: PLC0415 - start-up time: thin archives are rare

    return open_absent(given.with_, source, stack, warn)


# -- layers ------------------------------------------------------------------------

#: A layer's bytes and its digests; layers with equal keys are read once.
_Key = tuple["Blob | None", Digest, "tuple[Digest, int] | None"]
#: What is needed of it: a form, and the profile if it is compressed.
_Want = tuple[Form, str]


@dataclass(slots=True)
class _Job:
    layer: Layer
    wants: set[_Want] = field(default_factory=set)


class _LayerReader:
    """Reads each layer of several pushers' images once, for all of them."""

    def __init__(self, pool: Pool, context: ReadContext, progress: Progress) -> None:
        """Use the threads of `pool`; `progress` takes counts of uncompressed bytes."""
        self._pool = pool
        self._context = context
        self._progress = progress
        self._large = threading.Lock()

    def run(self, loads: Sequence[Load]) -> Iterator[list[PushedManifest]]:
        """Yield what each load pushes.

        Raises:
            NotRepresentableError: a layer whose bytes are needed is not there.
            InputError: a layer does not have its digest.
        """
        jobs: dict[_Key, _Job] = {}
        wanted: list[dict[Layer, tuple[_Key, _Want]]] = []
        for load in loads:
            wanted.append({})
            for image, layer in load.images.layers():
                stored = (layer.stored.digest, layer.stored.size) if layer.stored else None
                key = (layer.blob, layer.diff_id, stored)
                want = _want(load, image, layer)
                jobs.setdefault(key, _Job(layer)).wants.add(want)
                wanted[-1][layer] = (key, want)
        self._progress.expect(sum(job.layer.blob.size or 0 for job in jobs.values() if job.layer.blob))
        results = self._finish(jobs)
        texts: dict[Name, str] = {}
        for load, wants in zip(loads, wanted, strict=True):
            done = {layer: results[key][want] for layer, (key, want) in wants.items()}
            yield _pushed(load, done, texts)

    def _finish(self, jobs: dict[_Key, _Job]) -> dict[_Key, dict[_Want, Layer]]:
        # The largest first: a small one never waits behind the last big one.
        order = sorted(jobs, key=lambda key: -((blob.size or 0) if (blob := jobs[key].layer.blob) else 0))
        return self._pool.gather(
            (key, partial(self._pool.submit, self._one, jobs[key].layer, jobs[key].wants)) for key in order
        )

    def _one(self, layer: Layer, wants: set[_Want]) -> dict[_Want, Layer]:
        done = {want: layer for want in wants if layer.blob is None and want[0] in {Form.STORED, *DICTATED}}
        rest = wants - set(done)
        if not rest:
            return done
        blob = present(layer, self._context.file)
        if layer.stored is not None and all(form is Form.STORED for form, _ in rest):
            with StoredContent(blob, layer.stored, self._context).open() as stream:
                drain(stream, self._count)
            return dict.fromkeys(wants, layer)
        # What splits a stream takes megabytes: thousands of small layers need none of it, and of the large
        # layers one at a time keeps all cores busy.
        if blob.size is not None and blob.size < _SPLIT_SIZE:
            return done | _Pass(layer, blob, rest, _alone, self._context, len(rest)).run(self._count)
        with self._large:
            return done | _Pass(layer, blob, rest, self._encoder, self._context, _AT_ONCE).run(self._count)

    def _encoder(self, profile: str) -> Encoder:
        return profiles.get(profile).encoder(self._pool.codec, self._pool.jobs)

    def _count(self, chunk: memoryview) -> None:
        self._progress.advance(len(chunk))


def _alone(profile: str) -> Encoder:
    return profiles.get(profile).encoder()


def _want(load: Load, image: Image, layer: Layer) -> _Want:
    form = load.forms[layer] if load.forms is not None else decide_form(image, layer, _RECIPE)
    return form, load.pusher.profile if form in {Form.ENCODED, Form.COMPRESSED_TWICE} else ""


class _Pass:
    """The readings of one layer, for all pushers that need it; usually one."""

    def __init__(
        self,
        layer: Layer,
        blob: Blob,
        wants: set[_Want],
        encoder: Callable[[str], Encoder],
        context: ReadContext,
        at_once: int,
    ) -> None:
        """Run `at_once` of the encoders together."""
        self._layer = layer
        self._blob = blob
        self._wants = wants
        self._encoder = encoder
        self._context = context
        self._at_once = at_once

    def run(self, count: Callable[[memoryview], object]) -> dict[_Want, Layer]:
        layer = self._layer
        # A descriptor that is pushed as given need not describe these bytes.
        named = layer.stored if all(form not in DICTATED for form, _ in self._wants) else None
        source = Layer(layer.diff_id, self._blob, named)
        stored: Descriptor | None = None
        done: dict[_Want, Layer] = {}
        for group in self._groups(Form.ENCODED) or [()]:
            sinks = self._sinks(group)
            writes = [sink.write for sink in sinks.values()]
            stored = LayerPass(source, self._context).run(*writes, *(() if stored else (count,)))
            done |= self._results(sinks)
        if stored is None:
            raise ValueError("a layer is read at least once")
        # The stored bytes go to the encoders of tools that treat them as uncompressed: a rare second reading.
        # It has to read the bytes that the first one did, which `stored` describes.
        for group in self._groups(Form.COMPRESSED_TWICE):
            sinks = self._sinks(group)
            with StoredContent(self._blob, stored, self._context).open() as stream:
                drain(stream, *(sink.write for sink in sinks.values()))
            done |= self._results(sinks)
        for want in self._wants - set(done):
            done[want] = layer if layer.stored is not None else Layer(layer.diff_id, None, stored)
        return done

    def _groups(self, form: Form) -> list[tuple[_Want, ...]]:
        wants = sorted((want for want in self._wants if want[0] is form), key=lambda want: want[1])
        return [tuple(wants[at : at + self._at_once]) for at in range(0, len(wants), self._at_once)]

    def _sinks(self, group: Sequence[_Want]) -> dict[_Want, EncodeSink]:
        return {want: EncodeSink(self._encoder(want[1])) for want in group}

    def _results(self, sinks: dict[_Want, EncodeSink]) -> dict[_Want, Layer]:
        return {
            want: Layer(self._layer.diff_id, None, sink.describe(profiles.get(want[1]).compression))
            for want, sink in sinks.items()
        }


# -- rows --------------------------------------------------------------------------


def _pushed(load: Load, done: dict[Layer, Layer], known: dict[Name, str]) -> list[PushedManifest]:
    """Return the rows of one pusher, each node once with all its names.

    `known` holds the texts of names, shared by all pushers.
    """
    if load.forms is not None:
        made = pushed_images(load.pusher.tool, load.images, done)
    else:
        made = finish_manifests(load.images, done, _RECIPE, Changes())
    names: dict[Node, dict[str, None]] = {}
    for entry in made.entries:
        if entry.node is None or manifest_digest(entry.node) is None:
            continue
        texts = names.setdefault(entry.node, {})
        if entry.name is None:
            continue
        text = known.get(entry.name)
        if text is None and (text := entry_name(entry)):
            known[entry.name] = text
        if text:
            texts[text] = None
    return [PushedManifest(load.pusher, tuple(texts), node) for node, texts in names.items()]
