"""The digests that pushes would give: every layer read once, nothing written.

One stream of a layer's plain bytes feeds as many encoders as are asked about,
each of them on all cores.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from convert.archive.open import open_source
from convert.codec import profile as profiles
from convert.diagnostics import Diagnostics
from convert.errors import NotRepresentableError, UsageError
from convert.identity.engine_id import entry_name, manifest_digest
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
from convert.model.image import Artifact, Image, Index, Layer, Other
from convert.plan import push
from convert.plan.changes import Changes
from convert.plan.forms import Recipe, decide_form
from convert.plan.manifests import finish_manifests
from convert.plan.read_selection import read_selection
from convert.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.codec.compression import Encoder
    from convert.diagnostics import Diagnostic
    from convert.identity.push.pushers import Pusher
    from convert.identity.push.tool import PushTool
    from convert.model.blob import Blob
    from convert.model.descriptor import Descriptor
    from convert.model.image import Manifest, Node
    from convert.model.image_set import ImageSet, SourceFormat
    from convert.plan.push import Load
    from convert.progress import Progress

#: Raised when a key of the `--json` document changes its meaning or goes away.
VERSION: Final = 1

_RECIPE: Final = Recipe(uncompressed=False, manifests=True)
#: Layers read at a time; each already keeps all cores busy, a second one fills gaps.
_ABREAST: Final = 2
#: Bytes of a layer, which may be compressed, from which on its encoders use all cores.
_SPLIT_SIZE: Final = 256 * KIB


@dataclass(frozen=True, slots=True)
class Pushed:
    """What one push would put into a registry: a manifest or index under its names."""

    pusher: Pusher
    names: tuple[str, ...]
    node: Node

    @property
    def digest(self) -> Digest:
        """The digest that the registry shows."""
        digest = manifest_digest(self.node)
        if digest is None:
            raise ValueError("nothing is pushed without a manifest")
        return digest

    @property
    def media_type(self) -> str:
        """What the registry is told that it is."""
        if isinstance(self.node, Index):
            return self.node.media_type
        if isinstance(self.node, Other):
            return self.node.descriptor.media_type
        return self._manifest().media_type

    @property
    def size(self) -> int:
        """Bytes of what has the digest."""
        return self.node.descriptor.size if isinstance(self.node, Other) else len(self.raw)

    @property
    def raw(self) -> bytes:
        """The manifest's or index's bytes.

        Raises:
            NotRepresentableError: of a media type that may be anything.
        """
        if isinstance(self.node, Index):
            return self.node.raw
        if isinstance(self.node, Other):
            raise NotRepresentableError(f"{self.digest} is {self.media_type}, which is no manifest that imgconv knows")
        return self._manifest().raw

    def _manifest(self) -> Manifest:
        manifest = self.node.manifest if isinstance(self.node, Image | Artifact) else None
        if manifest is None:
            raise ValueError("nothing is pushed without a manifest")
        return manifest


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a tool cannot push a source."""

    pusher: Pusher
    reason: str


@dataclass(slots=True)
class Answer:
    """The digests of everything selected, pusher by pusher."""

    source: str
    format: SourceFormat | None
    wrapper: str
    pushed: list[Pushed] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    warnings: Diagnostics = field(default_factory=Diagnostics)


def digests(
    source: str,
    asked: Sequence[Pusher] = (),
    *,
    images: Sequence[str] = (),
    platforms: Sequence[str] = (),
    max_layer_size: int | None = None,
    jobs: int | None = None,
    remark: Callable[[Diagnostic], None] = lambda _: None,
    progress: Progress | None = None,
) -> Answer:
    """Return the digests that `asked` pushers would give what a source holds.

    Without `asked`, those of all of them; one that cannot read the source then is
    among the refused, unless that holds for all.

    Raises:
        UsageError: a pusher that was asked for cannot read the source, or the
            selection fits nothing.
        InputError: the source is damaged, hostile, unsupported or no image.
    """
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_source(source))
        answer = Answer(opened.path, None, opened.compression)

        def said(text: Diagnostic) -> None:
            if text not in answer.warnings:
                answer.warnings.append(text)
                remark(text)

        loads: list[Load] = []
        selections: dict[PushTool, ImageSet] = {}
        refusals: dict[PushTool, UsageError] = {}
        for pusher in asked or PUSHERS:
            try:
                if (refusal := refusals.get(pusher.tool)) is not None:
                    raise refusal
                # Generations of one tool read the source alike.
                if pusher.tool not in selections:
                    selections[pusher.tool] = read_selection(opened, images, platforms, pusher=pusher, warn=said)
                loads.append(push.load(pusher, selections[pusher.tool], said))
            except UsageError as error:
                if asked or (pusher is PUSHERS[-1] and not loads):
                    raise
                refusals[pusher.tool] = error
                answer.refused.append(Refused(pusher, error.message))
        answer.format = loads[-1].images.format
        shown = progress or Silent()
        workers = jobs or usable_cores()
        pool = stack.enter_context(Pool(workers, layers=min(workers, _ABREAST)))
        context = ReadContext(ReadOptions(max_layer_size or MAX_LAYER_SIZE, file=opened.path), cancel=pool.cancel)
        survey = Survey(pool, context, shown)
        for made in survey.run(loads):
            answer.pushed.extend(made)
        opened.tree.check_unchanged()
    return answer


# -- layers ------------------------------------------------------------------------

#: A layer's bytes and the digests that name them: what is read once.
_Key = tuple["Blob | None", Digest, "tuple[Digest, int] | None"]
#: What is wanted of it: a form, and the profile if it is compressed.
_Want = tuple[Form, str]


@dataclass(slots=True)
class _Job:
    layer: Layer
    wants: set[_Want] = field(default_factory=set)


class Survey:
    """Reads each layer of several pushers' images once and tells what each makes of it."""

    def __init__(self, pool: Pool, context: ReadContext, progress: Progress) -> None:
        """Use the threads of `pool`; `progress` is told the plain bytes."""
        self._pool = pool
        self._context = context
        self._progress = progress

    def run(self, loads: Sequence[Load]) -> Iterator[list[Pushed]]:
        """Yield what each load pushes.

        Raises:
            NotRepresentableError: a layer whose bytes are needed is not there.
            InputError: a layer is not what names it.
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
        for load, wants in zip(loads, wanted, strict=True):
            done = {layer: results[key][want] for layer, (key, want) in wants.items()}
            yield _pushed(load, done)

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
        # What splits a stream takes megabytes: thousands of small layers need none of it.
        large = blob.size is None or blob.size >= _SPLIT_SIZE
        encoder = self._encoder if large else _alone
        return done | _Pass(layer, blob, rest, encoder, self._context).run(self._count)

    def _encoder(self, profile: str) -> Encoder:
        return profiles.get(profile).encoder(self._pool.codec, self._pool.jobs)

    def _count(self, chunk: memoryview) -> None:
        self._progress.advance(len(chunk))


def _alone(profile: str) -> Encoder:
    return profiles.get(profile).encoder()


def _want(load: Load, image: Image, layer: Layer) -> _Want:
    form = load.forms[layer] if load.forms is not None else decide_form(image, layer, _RECIPE)
    return form, load.pusher.profile if form in {Form.ENCODED, Form.AGAIN} else ""


class _Pass:
    """One reading of one layer, for everyone who needs something of it."""

    def __init__(
        self,
        layer: Layer,
        blob: Blob,
        wants: set[_Want],
        encoder: Callable[[str], Encoder],
        context: ReadContext,
    ) -> None:
        self._layer = layer
        self._blob = blob
        self._context = context
        self._sinks = {
            want: EncodeSink(encoder(want[1]))
            for want in sorted(wants, key=lambda want: want[1])
            if want[0] in {Form.ENCODED, Form.AGAIN}
        }
        self._wants = wants

    def run(self, count: Callable[[memoryview], object]) -> dict[_Want, Layer]:
        layer = self._layer
        # A descriptor that only goes on need not describe these bytes.
        named = layer.stored if all(form not in DICTATED for form, _ in self._wants) else None
        read = LayerPass(Layer(layer.diff_id, self._blob, named), self._context)
        stored = read.run(*(sink.write for (form, _), sink in self._sinks.items() if form is Form.ENCODED), count)
        self._again(stored)
        done = {
            want: Layer(layer.diff_id, None, sink.describe(profiles.get(want[1]).compression))
            for want, sink in self._sinks.items()
        }
        for want in self._wants - set(done):
            done[want] = layer if layer.stored is not None else Layer(layer.diff_id, None, stored)
        return done

    def _again(self, stored: Descriptor) -> None:
        """Feed the stored bytes to those who take them for uncompressed ones: a rare second reading.

        It has to read the bytes that the first one did, which `stored` describes.
        """
        sinks = [sink.write for (form, _), sink in self._sinks.items() if form is Form.AGAIN]
        if sinks:
            with StoredContent(self._blob, stored, self._context).open() as stream:
                drain(stream, *sinks)


# -- rows --------------------------------------------------------------------------


def _pushed(load: Load, done: dict[Layer, Layer]) -> list[Pushed]:
    """Return the rows of one pusher, each node once with all its names."""
    if load.forms is not None:
        made = pushed_images(load.pusher.tool, load.images, done)
    else:
        made = finish_manifests(load.images, done, _RECIPE, Changes())
    names: dict[Node, dict[str, None]] = {}
    for entry in made.entries:
        if entry.node is None or manifest_digest(entry.node) is None:
            continue
        texts = names.setdefault(entry.node, {})
        if text := entry_name(entry):
            texts[text] = None
    return [Pushed(load.pusher, tuple(texts), node) for node, texts in names.items()]


def report(answer: Answer) -> dict[str, Any]:
    """Return the `--json` document (schemas/report-digest.json)."""
    return {
        "report": "digest",
        "version": VERSION,
        "source": {"path": answer.source, "format": answer.format, "wrapper": answer.wrapper or None},
        "pushes": [_row(pushed) for pushed in answer.pushed],
        "refused": [{"pusher": refused.pusher.name, "reason": refused.reason} for refused in answer.refused],
        "warnings": answer.warnings,
    }


def _row(pushed: Pushed) -> dict[str, Any]:
    node = pushed.node
    manifest = node.manifest if isinstance(node, Image | Artifact) else None
    return {
        "pusher": pushed.pusher.name,
        "go": pushed.pusher.go or None,
        "names": list(pushed.names),
        "image_id": str(node.image_id) if isinstance(node, Image) else None,
        "platform": str(node.platform) if isinstance(node, Image) else None,
        "digest": str(pushed.digest),
        "media_type": pushed.media_type,
        "size": pushed.size,
        "layers": [
            {"digest": str(layer.digest), "media_type": layer.media_type, "size": layer.size}
            for layer in (manifest.layers if manifest is not None else ())
        ],
    }
