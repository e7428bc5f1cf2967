"""Read the layers of a source once, and compress each as pushers do, for `digest`."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from convert.codec import profile as profiles
from convert.identity.push.tool import DICTATED
from convert.layer.layer_pass import EncodeSink, LayerPass
from convert.layer.pool import Task, stored_size
from convert.layer.streams import drain
from convert.layer.verify import StoredContent, present
from convert.limits import KIB
from convert.model.digest import Digest
from convert.model.form import Form
from convert.model.image import Layer
from convert.plan.forms import Recipe, decide_form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.codec.compression import Encoder
    from convert.layer.context import ReadContext
    from convert.layer.pool import Pool
    from convert.model.blob import Blob
    from convert.model.descriptor import Descriptor
    from convert.plan.push import Load
    from convert.progress import Progress

RECIPE: Final = Recipe(uncompressed=False, manifests=True)
#: Bytes of a layer, which may be compressed, from which on its encoders use all cores.
_SPLIT_SIZE: Final = 256 * KIB
#: Encoders that read a large layer together: each takes up to 50 MB, and all of them together at most 100 MB.
_AT_ONCE: Final = 1
#: The forms that the pusher's encoder makes.
_ENCODED: Final = frozenset({Form.ENCODED, Form.COMPRESSED_TWICE})
#: A layer's bytes, its digests, and whether its descriptor is pushed as given, so that it need not describe the bytes;
#: layers with equal keys are read once.
_Key = tuple["Blob | None", Digest, "tuple[Digest, int] | None", bool]
#: What is needed of it: a form, and the profile if it is compressed.
_Want = tuple[Form, str]


@dataclass(slots=True)
class _Job:
    layer: Layer
    wants: set[_Want] = field(default_factory=set)
    results: dict[_Want, Layer] = field(default_factory=dict)


class LayerReader:
    """Reads each layer of several pushers' images once, for all of them."""

    def __init__(self, pool: Pool, context: ReadContext, progress: Progress) -> None:
        """Use the threads of `pool`; `progress` takes counts of uncompressed bytes."""
        self._pool = pool
        self._context = context
        self._progress = progress
        self._large = threading.Lock()

    def run(self, loads: Sequence[Load]) -> Iterator[dict[Layer, Layer]]:
        """Yield the layers of each load as they are uploaded.

        Raises:
            NotRepresentableError: a layer whose bytes are needed is not there.
            InputError: a layer does not have its digest.
        """
        jobs: dict[_Key, _Job] = {}
        # A layer of thousands of images is found by itself for each pusher; its key takes longer to compare.
        # The second dictionary has those whose descriptor is pushed as given.
        known: tuple[dict[Layer, _Job], dict[Layer, _Job]] = ({}, {})
        for load in loads:
            for layer, want in _wants(load):
                dictated = want[0] in DICTATED
                job = known[dictated].get(layer)
                if job is None:
                    stored = (layer.stored.digest, layer.stored.size) if layer.stored else None
                    job = jobs.setdefault((layer.blob, layer.diff_id, stored, dictated), _Job(layer))
                    known[dictated][layer] = job
                job.wants.add(want)
        self._progress.expect(sum(job.layer.blob.size or 0 for job in jobs.values() if job.layer.blob))
        results = self._finish(jobs)
        for key, job in jobs.items():
            job.results = results[key]
        for load in loads:
            # Made again: those of all pushers together would take more memory than the layers.
            yield {layer: known[want[0] in DICTATED][layer].results[want] for layer, want in _wants(load)}

    def _finish(self, jobs: dict[_Key, _Job]) -> dict[_Key, dict[_Want, Layer]]:
        # The largest first: a small one never waits behind the last big one.
        order = sorted(jobs, key=lambda key: -(stored_size(jobs[key].layer) or 0))
        return self._pool.gather(
            Task(key, partial(self._one, jobs[key].layer, jobs[key].wants), stored_size(jobs[key].layer))
            for key in order
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


def _wants(load: Load) -> Iterator[tuple[Layer, _Want]]:
    """Yield each layer of a load with what its pusher needs of it."""
    # Each want is one object, however many layers need it.
    wants = {form: (form, load.pusher.profile if form in _ENCODED else "") for form in Form}
    for image, layer in load.images.layers():
        yield layer, wants[load.forms[layer] if load.forms is not None else decide_form(image, layer, RECIPE)]


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
        #: The layers that were made, by the digests of their bytes.
        self._made: dict[Digest, Layer] = {}

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
        results: dict[_Want, Layer] = {}
        for want, sink in sinks.items():
            described = sink.describe(profiles.get(want[1]).compression)
            # Encoders that write the same bytes give one layer, so that what is made of it is made once.
            layer = self._made.setdefault(described.digest, Layer(self._layer.diff_id, None, described))
            results[want] = layer
        return results
