"""Find for each layer the encoder that gives the digest a registry lists.

A docker archive holds uncompressed layers; the registry's manifest names the compressed
ones by digest and size. Known encoders run over a layer until the output of one has that
digest. The cheapest checks come first: the bytes as stored, then the smallest layers, then
the encoders that fitted other layers. For a large layer `order.py` predicts the size of
each encoder's output, and only those near the listed size run.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Final

from convert.codec import encoders, profile
from convert.codec.compression import Compression
from convert.commands.match.order import by_size, in_order, sampler_of
from convert.layer.layer_pass import EncodeSink, LayerPass
from convert.layer.staging import staged_blob
from convert.layer.streams import drain
from convert.layer.verify import StoredContent, compression_of, mismatch
from convert.limits import MAX_UNKNOWN_LAYERS
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Layer
from convert.report.match import LayerMatch, LayerOrigin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from convert.codec.compression import Encoder
    from convert.codec.encoders import EncoderSpec
    from convert.codec.usual_headers import Header
    from convert.commands.match.order import Groups
    from convert.layer.context import ReadContext
    from convert.layer.pool import Pool
    from convert.layer.staging import Staging
    from convert.model.blob import Blob

#: Values of `LayerOrigin.how` that are not encoders.
AS_STORED: Final = "as stored"
PLAIN: Final = "none"
ELSEWHERE: Final = "not distributable"

#: Digest and size of a layer in a manifest: two sizes under one digest are two claims.
_Listed = tuple[Digest, int]

_GZIP_HEADER: Final = 10


class _Try:
    """An encoder at work on a layer, with a digest for each header that its body is found behind."""

    def __init__(self, spec: EncoderSpec, encoder: Encoder, algorithm: str) -> None:
        self.spec = spec
        self.headers: Sequence[Header | None] = spec.headers or (None,)
        raw = [header.raw for header in spec.headers]
        self.sink = EncodeSink(encoder, algorithm=algorithm, headers=raw, skip=_GZIP_HEADER if raw else 0)
        self._first = len(raw[0]) if raw else 0

    @property
    def body(self) -> int:
        """The bytes of output so far, without a header."""
        return self.sink.size - self._first

    def results(self) -> list[tuple[Header | None, Digest, int]]:
        """End the stream; return its digest and size behind each header."""
        digests = self.sink.finish()
        sizes = [self.body + (len(header.raw) if header is not None else 0) for header in self.headers]
        return list(zip(self.headers, digests, sizes, strict=True))


class Matcher:
    """Tries encoders on layers; what fitted one is tried first on the next."""

    def __init__(self, pool: Pool, context: ReadContext, progress: Callable[[int], None]) -> None:
        """Use the threads of `pool`; `progress` takes the uncompressed bytes of each reading."""
        self._pool = pool
        self._context = context
        self._progress = progress
        self._fitted: dict[str, None] = {}
        self._sizes: dict[tuple[Blob | None, Digest], int] = {}
        self._stored: dict[tuple[Blob, str], str] = {}
        #: The number of layers on which every encoder was tried and none fitted.
        self._unmatched = 0

    def match(self, layers: Sequence[Layer], wanted: Sequence[Descriptor]) -> list[LayerMatch]:
        """Return what was found for each layer, in their order.

        Raises:
            InputError: a layer does not have its digest.
        """
        groups: dict[tuple[object, ...], list[tuple[Layer, Descriptor]]] = {}
        pairs = list(zip(layers, wanted, strict=True))
        for layer, descriptor in sorted(pairs, key=lambda pair: pair[1].size):
            key = (layer.blob, layer.diff_id, _compression(descriptor), descriptor.digest.algorithm)
            groups.setdefault(key, []).append((layer, descriptor))
        found: dict[tuple[Blob | None, Digest, _Listed], LayerMatch] = {}
        for group in groups.values():
            layer = group[0][0]
            matches = self._layer(layer, list({_listed(descriptor): descriptor for _, descriptor in group}.values()))
            found.update(((layer.blob, layer.diff_id, _listed(match.wanted)), match) for match in matches)
        return [
            dataclasses.replace(found[layer.blob, layer.diff_id, _listed(descriptor)], layer=layer, wanted=descriptor)
            for layer, descriptor in pairs
        ]

    def _layer(self, layer: Layer, listed: Sequence[Descriptor]) -> Iterator[LayerMatch]:
        """Yield what was found for one layer under each digest that is listed for it.

        Each encoder runs once, however many digests there are.
        """
        if layer.blob is None:
            for wanted in listed:
                elsewhere = bool(wanted.urls) and mediatype.is_nondistributable(wanted.media_type)
                yield LayerMatch(layer, wanted, LayerOrigin(ELSEWHERE) if elsewhere else None)
            return
        rest: dict[_Listed, Descriptor] = {}
        for wanted in listed:
            if wanted.digest == layer.diff_id:
                size = self._read(layer)
                yield LayerMatch(
                    layer, wanted, LayerOrigin(PLAIN, "no encoder at all") if size == wanted.size else None
                )
            elif layer.blob.size == wanted.size and self._is_stored(layer.blob, wanted):
                self._read(layer)
                yield LayerMatch(layer, wanted, LayerOrigin(AS_STORED, "the source itself"))
            else:
                rest[_listed(wanted)] = wanted
        if rest:
            yield from self._encoded(layer, rest)

    def _encoded(self, layer: Layer, rest: dict[_Listed, Descriptor]) -> Iterator[LayerMatch]:
        tried = 0
        near: dict[_Listed, list[str]] = {}
        exhausted = self._unmatched >= MAX_UNKNOWN_LAYERS
        groups = self._groups(layer, list(rest.values()))
        group = next(groups, None) if not exhausted else None
        while rest and group is not None:
            tried += len(group)
            sizes: dict[str, int] = {}
            for key, found in self._race(layer, rest, group, near, sizes).items():
                self._fitted[found.how] = None
                yield LayerMatch(layer, rest.pop(key), found, tried)
            # What a group came to decides which one is next.
            group = _after(groups, sizes)
        if not rest:
            return
        if not tried:
            self._read(layer)
        self._unmatched += 1
        for key, wanted in rest.items():
            yield LayerMatch(layer, wanted, None, tried, tuple(near.get(key, ())))

    def _read(self, layer: Layer) -> int:
        """Verify a layer's DiffID, once; return its plain size."""
        key = (layer.blob, layer.diff_id)
        if key not in self._sizes:
            read = LayerPass(layer, self._context)
            read.run(self._count)
            self._sizes[key] = read.plain_size
        return self._sizes[key]

    def _is_stored(self, blob: Blob, wanted: Descriptor) -> bool:
        """Return whether a blob as stored has the wanted digest; each blob is read once."""
        key = (blob, wanted.digest.algorithm)
        if key not in self._stored:
            hasher = hashlib.new(wanted.digest.algorithm)
            with blob.open() as stream:
                drain(stream, hasher.update)
            self._stored[key] = hasher.hexdigest()
        return self._stored[key] == wanted.digest.hex

    def _count(self, chunk: memoryview) -> None:
        self._progress(len(chunk))

    # -- which encoders, in which order -----------------------------------------------

    def _groups(self, layer: Layer, wanted: Sequence[Descriptor]) -> Groups:
        """Yield the encoders to run together; a large layer is compressed by one at a time, on all cores."""
        compression = _compression(wanted[0])
        by_name = {spec.name: spec for spec in encoders.encoder_specs(compression)}
        fitted = [by_name[name] for name in self._fitted if name in by_name]
        specs = [*fitted, *(spec for spec in by_name.values() if spec.name not in self._fitted)]
        sampler = sampler_of(layer, self._pool)
        if sampler is not None and compression == Compression.GZIP:
            yield from by_size(specs, len(fitted), [descriptor.size for descriptor in wanted], sampler)
        else:
            yield from in_order(specs, len(fitted))

    # -- one reading -------------------------------------------------------------------

    def _race(
        self,
        layer: Layer,
        wanted: Mapping[_Listed, Descriptor],
        group: Sequence[EncoderSpec],
        near: dict[_Listed, list[str]],
        sizes: dict[str, int],
    ) -> dict[_Listed, LayerOrigin]:
        """Run several encoders over a layer; those whose output grows too large drop out.

        `wanted` are the digests to be found, all of one algorithm. Encoders that come
        to the right size and another digest are added to `near`. `sizes` takes the size
        of what each encoder that was not dropped made.
        """
        alone = len(group) == 1
        algorithm = next(iter(wanted))[0].algorithm
        largest = max(descriptor.size for descriptor in wanted.values())
        codec = self._pool.codec if alone else None
        tries = [_Try(spec, spec.encoder(codec, self._pool.jobs), algorithm) for spec in group]

        def take(chunk: memoryview) -> None:
            # A single encoder goes on: its size tells about the others.
            live = [one for one in tries if alone or one.body <= largest]
            if alone:
                for one in live:
                    one.sink.write(chunk)
            else:
                self._pool.map(lambda one: one.sink.write(chunk), live)

        LayerPass(layer, self._context).run(take, self._count)
        found: dict[_Listed, LayerOrigin] = {}
        for one in tries:
            results = one.results() if alone or one.body <= largest else []
            for header, digest, size in results:
                if (digest, size) in wanted and (digest, size) not in found:
                    by = header.by if header is not None else one.spec.made_by
                    found[digest, size] = LayerOrigin(one.spec.name, by, one.spec, header)
            if results:
                sizes[one.spec.name] = one.sink.size
            for key in wanted:
                if key[1] == one.sink.size and key not in found:
                    near.setdefault(key, []).append(one.spec.name)
        return found

    # -- re-creating -------------------------------------------------------------------

    def recreate(self, match: LayerMatch, staging: Staging) -> tuple[Layer, StoredContent | None]:
        """Return a layer with the registry's bytes, re-created in the staging area.

        Raises:
            StorageError: the staging area cannot be written to.
        """
        layer, wanted, found = match.layer, match.wanted, match.found
        if found is None:
            raise ValueError("an unknown layer cannot be re-created")
        if layer.blob is None:
            return Layer(layer.diff_id, None, wanted), None
        if found.how == AS_STORED or (found.how == PLAIN and not compression_of(layer.blob)):
            return Layer(layer.diff_id, layer.blob, wanted), StoredContent(layer.blob, wanted, self._context)
        spec = found.spec
        encoder = spec.encoder(self._pool.codec, self._pool.jobs) if spec is not None else profile.get("none").encoder()
        headers = [found.header.raw] if found.header is not None else []
        with staged_blob(staging) as out:
            sink = EncodeSink(
                encoder,
                out.write,
                algorithm=wanted.digest.algorithm,
                headers=headers,
                skip=_GZIP_HEADER if headers else 0,
            )
            LayerPass(layer, self._context).run(sink.write, self._count)
            # The source may have changed since the encoder was found.
            got = sink.finish()[0]
            if (got, sink.size) != (wanted.digest, wanted.size):
                where, file = layer.blob.where, self._context.file
                raise mismatch(
                    where, file, wanted.digest, got, sink.size, "re-created layer", code="blob-digest-mismatch"
                )
            blob = out.finish(wanted.digest)
        self._context.verified.blobs.add(blob, wanted.digest, wanted.size)
        return Layer(layer.diff_id, blob, wanted), StoredContent(blob, wanted, self._context)

    def may_try(self, count: int) -> bool:
        """Return whether one more image, of `count` layers, may be tried."""
        self._unmatched += count
        return self._unmatched <= max(MAX_UNKNOWN_LAYERS, count)

    def describe(self, layer: Layer, group: Sequence[EncoderSpec]) -> dict[tuple[str, Header | None], Descriptor]:
        """Return what each encoder makes of a layer, behind each header, by one reading."""
        tries = [_Try(spec, spec.encoder(None, 1), "sha256") for spec in group]

        def take(chunk: memoryview) -> None:
            self._pool.map(lambda one: one.sink.write(chunk), tries)

        LayerPass(layer, self._context).run(take, self._count)
        described = {}
        for one in tries:
            media_type = mediatype.layer_type(one.spec.compression, docker=False)
            for header, digest, size in one.results():
                described[one.spec.name, header] = Descriptor(media_type, digest, size)
        return described


def _listed(wanted: Descriptor) -> _Listed:
    return wanted.digest, wanted.size


def _compression(wanted: Descriptor) -> Compression:
    return mediatype.layer_compression(wanted.media_type) or Compression.GZIP


def _after(groups: Groups, sizes: dict[str, int]) -> Sequence[EncoderSpec] | None:
    """Return the encoders to run next, None if there are none."""
    try:
        return groups.send(sizes)
    except StopIteration:
        return None
