"""Turn layers into the form a target needs: verified, uncompressed or compressed, on all cores.

Each layer's bytes are read once. Results go to the staging area beside the
destination, so memory depends on chunk size and jobs, never on the image.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, cast

from convert.codec import decompress
from convert.codec.compression import LOW_WORKER_COUNT, Compression
from convert.codec.readahead import read_ahead
from convert.codec.sniff import SNIFF_SIZE, sniff
from convert.errors import NotRepresentableError, UnsupportedError
from convert.layer.balance import fill_cores
from convert.layer.finished import FinishedLayers
from convert.layer.ingested import transcoded, was_ingested
from convert.layer.layer_pass import EncodeSink, LayerPass
from convert.layer.pool import Task, stored_size
from convert.layer.staging import NoStaging, staged_blob
from convert.layer.streams import CopyingStream
from convert.layer.verify import PlainContent, StoredContent, compression_of, mismatch, present, read_to_end
from convert.limits import MIB
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.form import Form
from convert.model.image import Layer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from convert.codec.compression import Encoder
    from convert.codec.profile import Profile
    from convert.layer.context import ReadContext
    from convert.layer.pool import Pool
    from convert.layer.staging import EncodedBlobs, Staging
    from convert.model.blob import Blob, Content
    from convert.model.digest import Digest


#: Cores that one split layer keeps busy: reading, hashing and joining run in order.
_SPLIT_CORES: Final = 3
#: Bytes of a layer from which on it is worth splitting.
SPLIT_SIZE: Final = 4 * MIB


#: A finished layer, the bytes to write for it, and what became of it.
_Result = tuple["Layer", "Content | None", Form]


class _Key(NamedTuple):
    """What decides what becomes of a layer: layers with equal keys are processed once."""

    blob: Blob | None
    diff_id: Digest
    described: tuple[Digest, int] | None
    form: Form


class LayerTranscoder:
    """Turns layers into the form that a target needs, on the threads of a pool.

    Small layers run side by side, each in one thread, and so do large ones that are even enough. Else a large
    one that is to be compressed is split over all cores, one such layer at a time; where there are more cores
    than that keeps busy, other large layers run beside it in order.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        profile: Profile,
        context: ReadContext,
        verify_full: bool = False,
        existing: EncodedBlobs | None = None,
    ) -> None:
        """`existing` finds blobs of the profile that the target already contains."""
        self._existing = existing
        self._pool = pool
        self._jobs = pool.jobs
        self._profile = profile
        self._context = context
        self._verify_full = verify_full
        self._side_by_side = False  # the large layers are so even that none need be split
        self._unpacking = context  # for layers that are unpacked and not encoded
        # One layer at a time is split, because that takes up to 64 MB (codec/parallel.py); in order, it takes little.
        self._may_split = threading.Lock()

    def finish(
        self,
        forms: Mapping[Layer, Form],
        staging: Staging,
        *,
        sized: bool = False,
        may_be_absent: bool = False,
        unkept: Collection[Layer] = (),
    ) -> FinishedLayers:
        """Bring every layer into its form.

        With `sized`, the size of an uncompressed layer has to be known before it is written;
        with `may_be_absent`, a layer that is kept as stored need not be in the source. Of the
        layers in `unkept`, and of others that give the same result, the bytes are not kept.

        Raises:
            DigestMismatchError: a layer does not match its DiffID or its descriptor.
            InputError: damaged compression, or a layer over the limit.
            StorageError: the staging area cannot be written.
        """
        wanted: list[tuple[int, _Key, Layer]] = []
        sources: dict[Layer, _Key] = {}
        shared: dict[object, Layer] = {}
        for layer, form in forms.items():
            source = self._shared(layer, form, shared)
            described = (stored.digest, stored.size) if (stored := source.stored) is not None else None
            sources[layer] = _Key(source.blob, source.diff_id, described, form)
            wanted.append((_size(source), sources[layer], source))
        # The largest first, so that none runs alone at the end.
        wanted.sort(key=lambda item: -item[0])

        def task(size: int, key: _Key, layer: Layer) -> Task[_Key, _Result]:
            place = NoStaging() if layer in unkept else staging
            call = partial(self._one, layer, key.form, place, sized, may_be_absent)
            return Task(key, call, stored_size(layer), self._waits(layer, key.form, size))

        work = {item[1]: item for item in reversed(wanted)}
        encoded = [
            size for size, key, layer in work.values() if size >= SPLIT_SIZE and self._is_encoded(layer, key.form)
        ]
        self._side_by_side = len(encoded) > 1 and fill_cores(encoded, self._jobs)
        unpacked = [size for size, key, _ in work.values() if key.form is Form.PLAIN]
        is_even = fill_cores(unpacked, self._jobs)
        self._unpacking = self._context.without_overlap() if is_even else self._context
        done = self._pool.gather(task(*work[key]) for key in reversed(work))
        finished = FinishedLayers()
        for layer, key in sources.items():
            result, content, form = done[key]
            finished.layers[layer] = result
            finished.forms[result] = form
            if content is not None:
                finished.contents[result] = content
        self._verify_duplicates(finished)
        return finished

    def _shared(self, layer: Layer, form: Form, shared: dict[object, Layer]) -> Layer:
        """Return the layer to read for `layer`: one of another source that gives the same result, else itself.

        Layers of one source are never shared: each of its members must be what the source says.
        """
        origin = self._context.origins.get(layer.blob) if layer.blob is not None else None
        if origin is None:
            return layer
        stored = layer.stored if form not in {Form.PLAIN, Form.ENCODED} else None
        key = (form, layer.diff_id, stored and (stored.media_type, stored.digest, stored.size, stored.urls))
        first = shared.setdefault(key, layer)
        is_own = first.blob is not None and self._context.origins.get(first.blob) == origin
        return layer if is_own else first

    def _verify_duplicates(self, finished: FinishedLayers) -> None:
        """Verify duplicate layers: writers copy one blob per digest and never read the others."""
        named: dict[Digest, dict[object, Content]] = {}
        for layer in finished.layers.values():
            content = finished.contents.get(layer)
            if content is not None:
                stored = layer.stored if finished.forms[layer] is not Form.PLAIN else None
                name = stored.digest if stored is not None else layer.diff_id
                named.setdefault(name, {})[layer.blob, stored and stored.size] = content
        duplicates = [content for same in named.values() if len(same) > 1 for content in same.values()]
        unverified = [content for content in duplicates if not content.verified]
        self._pool.map(read_to_end, unverified, size=lambda content: content.size)

    def _is_encoded(self, layer: Layer, form: Form) -> bool:
        """Whether a layer must be encoded now: it was not while it was received, and is not in the target."""
        listed = self._existing is not None and self._existing.is_listed(self._profile.name, layer.diff_id)
        return form in {Form.ENCODED, Form.COMPRESSED_TWICE} and not listed and not was_ingested(layer.blob)

    def _waits(self, layer: Layer, form: Form, size: int) -> bool:
        """Whether a layer has to wait for other large ones: encoding one keeps all cores busy."""
        if self._side_by_side or not self._profile.splits or size < SPLIT_SIZE:
            return False
        return self._is_encoded(layer, form) and 1 < self._jobs <= _SPLIT_CORES

    def digests(self, forms: Mapping[Layer, Form]) -> dict[Layer, Digest]:
        """Return the digest of each layer as a registry would store it; nothing is kept.

        `forms` are STORED for compressed layers and ENCODED for others
        (docs/contract.md#v1-ids: chain-free).
        """
        finished = self.finish(forms, NoStaging()).layers
        return {layer: result.stored.digest for layer, result in finished.items() if result.stored is not None}

    # -- one layer -----------------------------------------------------------------

    def _one(self, layer: Layer, form: Form, staging: Staging, sized: bool, may_be_absent: bool) -> _Result:
        if form is Form.PLAIN:
            return self._uncompressed(layer, staging, sized=sized)
        if form is Form.STORED:
            return self._stored(layer, staging, may_be_absent=may_be_absent)
        if form in {Form.AS_DICTATED, Form.DICTATED_COMPRESSED}:
            return self._dictated(layer, form, staging)
        if form is Form.COMPRESSED_TWICE:
            return self._encoded_again(layer, staging)
        return self._encoded(layer, staging)

    def _uncompressed(self, layer: Layer, staging: Staging, *, sized: bool) -> _Result:
        content = PlainContent(layer, self._unpacking)
        self._refuse_compressed_twice(layer, content)
        if not sized or content.size is not None:
            return layer, content, Form.PLAIN
        with staged_blob(staging) as out:
            read = LayerPass(layer, self._unpacking)
            read.run(out.write)
            blob = out.finish(layer.diff_id)
        described = Descriptor(mediatype.layer_type(Compression.NONE, docker=False), layer.diff_id, read.plain_size)
        return Layer(layer.diff_id, blob), self._staged(blob, described), Form.PLAIN

    def _refuse_compressed_twice(self, layer: Layer, content: PlainContent) -> None:
        """Refuse a layer whose uncompressed bytes are compressed themselves.

        Engines recognise compression by its magic, so they would unpack such a layer of a
        docker-save archive once more and find another DiffID. A layer that does not match its
        DiffID is reported as that, as for every other target.
        """
        if not content.compression:
            return
        blob = present(layer, self._context.file)
        with decompress.decompress(blob.open(), content.compression, where=blob.where) as plain:
            inner = sniff(plain.read(SNIFF_SIZE))
        if inner:
            read_to_end(content)
            msg = f"unpacks to {inner} bytes, which an engine would unpack once more"
            raise UnsupportedError(
                msg, code="layer-compressed-twice", file=self._context.file_of(blob), member=blob.where
            )

    def _dictated(self, layer: Layer, form: Form, staging: Staging) -> _Result:
        """Return a layer whose descriptor the source dictates, with the bytes that a push uploads for it.

        A layer that is not distributable goes on without bytes, and so does an uncompressed one
        whose descriptor has URLs from which it can be fetched.

        Raises:
            NotRepresentableError: the descriptor names other bytes, so a registry refuses the push.
        """
        wanted = layer.stored
        if wanted is None:
            raise ValueError(f"layer {layer.diff_id} has no descriptor")
        if layer.blob is None and mediatype.is_nondistributable(wanted.media_type):
            return Layer(layer.diff_id, None, wanted), None, form
        blob = present(layer, self._context.file)
        _, uploaded = self._verified(Layer(layer.diff_id, blob), None)
        if mediatype.is_nondistributable(wanted.media_type):
            return Layer(layer.diff_id, None, wanted), None, form
        if form is Form.DICTATED_COMPRESSED:
            with StoredContent(blob, uploaded, self._context).open() as stream:
                uploaded, blob = self.encode(stream, staging, _size(layer))
            self._context.verified.blobs.add(blob, uploaded.digest, uploaded.size)
        if (uploaded.digest, uploaded.size) != (wanted.digest, wanted.size):
            # crane uploads finished bytes under the descriptor's digest and size, others under their own.
            if form is Form.DICTATED_COMPRESSED and mediatype.may_be_absent(wanted.media_type, wanted.urls):
                return Layer(layer.diff_id, None, wanted), None, form
            raise NotRepresentableError(
                f"LayerSources describe layer {layer.diff_id} as {wanted.digest} with {wanted.size} bytes, but a push "
                f"uploads {uploaded.digest} with {uploaded.size}; a registry refuses that",
                code="layer-sources-mismatch",
                file=self._context.file_of(blob),
            )
        return Layer(layer.diff_id, blob, wanted), StoredContent(blob, wanted, self._context), form

    def _encoded_again(self, layer: Layer, staging: Staging) -> _Result:
        """Compress a layer's stored bytes, though they are compressed already."""
        blob = present(layer, self._context.file)
        _, stored = self._verified(layer, None)
        with StoredContent(blob, stored, self._context).open() as stream:
            described, blob = self.encode(stream, staging, _size(layer))
        return Layer(layer.diff_id, blob, described), self._staged(blob, described), Form.COMPRESSED_TWICE

    def _stored(self, layer: Layer, staging: Staging, *, may_be_absent: bool) -> _Result:
        if layer.blob is None and may_be_absent:
            # Not distributable: the manifest describes it, and the bytes are elsewhere.
            return layer, None, Form.STORED
        blob = present(layer, self._context.file)
        stored = layer.stored
        if stored is None and not compression_of(blob):
            return self._as_it_is(layer, staging)
        if stored is not None and not self._verify_full:
            kept = StoredContent(blob, stored, self._context)
            if mediatype.is_nondistributable(stored.media_type):
                # docker-oci drops these bytes, so writing would not read them.
                read_to_end(kept)
            return layer, kept, Form.STORED
        blob, described = self._verified(layer, staging if staging.final else None)
        # A descriptor that came with the layer goes on with the layer as it is.
        result = layer if stored is not None else Layer(layer.diff_id, blob, described)
        return result, StoredContent(blob, described, self._context), Form.STORED

    def _verified(self, layer: Layer, staging: Staging | None) -> tuple[Blob, Descriptor]:
        """Verify a layer against its DiffID and its descriptor; return its bytes and what describes them.

        Where no descriptor came with the layer, one is computed in the same reading. With
        `staging` the bytes are copied into the result, and the copy is what was verified.
        """
        blob = present(layer, self._context.file)
        if staging is None:
            described = LayerPass(layer, self._context).run()
        else:
            with staged_blob(staging) as out:
                copy = out.clone(blob) or cast("BinaryIO", CopyingStream(blob.open(), out.write))
                described = LayerPass(layer, self._context).run(copy=copy)
                blob = out.finish(described.digest)
        self._context.verified.blobs.add(blob, described.digest, described.size)
        return blob, described

    def _encoded(self, layer: Layer, staging: Staging) -> _Result:
        profile = self._profile
        if not profile.compression and layer.blob is not None and not compression_of(layer.blob):
            return self._as_it_is(layer, staging)
        arrived = transcoded(layer.blob, profile.name)
        if arrived is not None:
            blob = present(layer, self._context.file)
            if layer.diff_id.algorithm != arrived.diff_id.algorithm:
                # It was hashed before the config, which has the algorithm of the DiffID, was read.
                LayerPass(layer, self._context).run()
            elif arrived.diff_id != layer.diff_id:
                raise mismatch(blob.where, self._context.file_of(blob), layer.diff_id, arrived.diff_id, _size(layer))
            self._context.verified.layers.add(blob, layer.diff_id)
        held = self._existing.find(profile.name, layer.diff_id) if self._existing else None
        if held is not None:
            return self._held_by_target(layer, *held)
        if arrived is not None:
            described, blob = arrived.encoded, arrived.blob
        else:
            with self._open_to_encode(layer) as plain:
                described, blob = self.encode(plain, staging, _size(layer))
        return Layer(layer.diff_id, blob, described), self._staged(blob, described), Form.ENCODED

    def _open_to_encode(self, layer: Layer) -> BinaryIO:
        """Open a layer's uncompressed bytes; with many workers, another thread reads and hashes those of a large one.

        With many workers the joining thread is the bottleneck, so hashing moves to another
        thread. With few, the thread that splits the stream also takes its turn at encoding, and
        reads to where the encoder wants its input.
        """
        plain = PlainContent(layer, self._context).open()
        apart = self._jobs > LOW_WORKER_COUNT and _size(layer) >= SPLIT_SIZE and not self._side_by_side
        return read_ahead(plain) if apart else plain

    def _held_by_target(self, layer: Layer, digest: Digest, size: int, blob: Blob) -> _Result:
        """Use the blob in the target, after verifying the layer in the source."""
        plain = PlainContent(layer, self._context)
        if not plain.verified:
            read_to_end(plain)
        described = Descriptor(mediatype.layer_type(self._profile.compression, docker=False), digest, size)
        return Layer(layer.diff_id, blob, described), StoredContent(blob, described, self._context), Form.ENCODED

    def encode(self, plain: BinaryIO, staging: Staging, size: int) -> tuple[Descriptor, Blob]:
        """Compress a stream with the profile into the staging area.

        `size` is about how many bytes come; a large stream is split over all cores
        if no other is being split.

        Raises:
            InputError: what reading `plain` raises.
            StorageError: the staging area cannot be written.
        """
        worth = self._profile.splits and size >= SPLIT_SIZE and self._jobs > 1 and not self._side_by_side
        if not worth or not self._may_split.acquire(blocking=False):
            return self._encode(plain, self._profile.encoder(), staging)
        try:
            return self._encode(plain, self._profile.encoder(self._pool.codec, self._jobs), staging)
        finally:
            self._may_split.release()

    def _encode(self, plain: BinaryIO, encoder: Encoder, staging: Staging) -> tuple[Descriptor, Blob]:
        with staged_blob(staging) as out:
            sink = EncodeSink(encoder, out.write)
            sink.read_from(plain)
            described = sink.describe(self._profile.compression)
            return described, out.finish(described.digest)

    def _as_it_is(self, layer: Layer, staging: Staging) -> _Result:
        """Use an uncompressed layer unchanged: its digest is its DiffID."""
        blob, described = self._verified(layer, staging if staging.final else None)
        described = Descriptor(mediatype.layer_type(Compression.NONE, docker=False), layer.diff_id, described.size)
        return Layer(layer.diff_id, blob, described), StoredContent(blob, described, self._context), Form.ENCODED

    def _staged(self, blob: Blob, described: Descriptor) -> StoredContent:
        """Return the content of a blob that this run wrote and hashed."""
        self._context.verified.blobs.add(blob, described.digest, described.size)
        return StoredContent(blob, described, self._context)


def _size(layer: Layer) -> int:
    return (layer.blob.size or 0) if layer.blob is not None else 0
