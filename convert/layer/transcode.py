"""Where layers are finished: verified, compressed or counted, on all cores.

Each layer's bytes are read once. What is made lands in the staging area beside
the destination, so memory depends on chunk and jobs, never on the image.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from convert.codec import decompress
from convert.codec.profile import FEW_WORKERS
from convert.codec.readahead import read_ahead
from convert.errors import NotRepresentableError, UnsupportedError
from convert.layer.balance import fill_cores
from convert.layer.staging import NoStaging
from convert.layer.stream_ingest import ArrivedBlob
from convert.layer.verify import CopyingStream, PlainContent, StoredContent, compression_of, drain, mismatch, present
from convert.limits import MIB
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Image, Layer
from convert.model.image_set import Entry
from convert.plan.transform import Form, Recipe, layer_form

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from convert.codec.profile import Encoder, Profile
    from convert.layer.pool import Pool
    from convert.layer.staging import KnownBlobs, Staging
    from convert.layer.verify import Proofs
    from convert.model.blob import Blob, Content
    from convert.model.image_set import ImageSet


#: Memory for encoders that split their layer over the cores, all of them together. One
#: stays below 64 MB (compression/parallel.py), so one layer at a time is split; an encoder
#: that works in order needs little, so as many of those as there are jobs may run beside it.
ENCODING_MEMORY: Final = 64 * MIB
_ENCODER_MEMORY: Final = 64 * MIB
#: Cores that one split layer keeps busy: reading, hashing and joining run in order.
_SPLIT_CORES: Final = 3
#: Bytes of a layer from which on it is worth splitting.
SPLIT_SIZE: Final = 4 * MIB


@dataclasses.dataclass(slots=True)
class Finished:
    """Layers as they will be written, by `id()` of the layer they came from."""

    layers: dict[int, Layer] = dataclasses.field(default_factory=dict)
    contents: dict[int, Content] = dataclasses.field(default_factory=dict)
    forms: dict[int, Form] = dataclasses.field(default_factory=dict)

    def content(self, layer: Layer) -> Content:
        """Return the bytes to write for a finished layer."""
        return self.contents[id(layer)]


class LayerDigests:
    """Digests of layers, asked for by the source's own `Layer`."""

    def __init__(self, done: Finished) -> None:
        """Take them from finished layers."""
        self._done = done

    def __getitem__(self, layer: Layer) -> Digest:
        """Return the digest of a layer as a registry would store it."""
        stored = self._done.layers[id(layer)].stored
        if stored is None:
            raise ValueError("a finished layer has no descriptor")
        return stored.digest


#: A layer's bytes, what names them (with the size), and what shall become of them.
_Key = tuple[int, Digest, "Digest | None", "int | None", "Form | None"]


class LayerTranscoder:
    """Turns layers into the form that a target needs, on the threads of a pool.

    Small layers run side by side, each in one thread, and so do large ones that are even
    enough. Else a large one that is to be compressed is split over all cores, one such
    layer at a time; where there are
    more cores than that keeps busy, other large layers run beside it in order.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        profile: Profile,
        proofs: Proofs,
        verify_full: bool = False,
        known: KnownBlobs | None = None,
    ) -> None:
        """`known` tells what a profile makes of a DiffID where the target holds that blob already."""
        self._known = known
        self._pool = pool
        self._jobs = pool.jobs
        self._profile = profile
        self._proofs = proofs
        self._verify_full = verify_full
        self._side_by_side = False  # what is large is so even that nothing need be split
        self._may_split = threading.BoundedSemaphore(max(1, ENCODING_MEMORY // _ENCODER_MEMORY))

    def finish(
        self, images: ImageSet, recipe: Recipe, staging: Staging, forms: Mapping[int, Form] | None = None
    ) -> Finished:
        """Finish every layer of the images.

        `forms` say, by `id()` of a layer, what becomes of it, where the recipe does not.

        Raises:
            DigestMismatchError: a layer is not what names it.
            InputError: damaged compression, or a layer over the limit.
            StorageError: the staging area cannot be written.
        """
        finished = Finished()
        wanted: list[tuple[int, _Key, Image, Layer]] = []
        for image, layer in images.layers():
            form = forms[id(layer)] if forms is not None else None
            stored = layer.stored
            named = (stored.digest, stored.size) if stored is not None else (None, None)
            key = (id(layer.blob), layer.diff_id, *named, form)
            size = layer.blob.size if layer.blob is not None else None
            wanted.append((size or 0, key, image, layer))
        # The largest first: none is left to run alone at the end.
        wanted.sort(key=lambda item: -item[0])

        def becomes(key: _Key, image: Image, layer: Layer) -> tuple[Form, str]:
            compression = compression_of(layer.blob) if layer.blob is not None else ""
            return key[-1] or layer_form(image, layer, recipe, compression), compression

        def begin(size: int, key: _Key, image: Image, layer: Layer) -> Future[tuple[Layer, Content | None, Form]]:
            form, compression = becomes(key, image, layer)
            submit = self._pool.submit_large if self._waits(layer, form, size) else self._pool.submit
            return submit(self._one, layer, form, compression, recipe, staging)

        work = {item[1]: item for item in reversed(wanted)}
        large = [item for item in work.values() if item[0] >= SPLIT_SIZE]
        encoded = [item[0] for item in large if self._is_encoded(item[3], becomes(*item[1:])[0])]
        self._side_by_side = len(encoded) > 1 and fill_cores(encoded, self._jobs)
        done = self._pool.gather((key, partial(begin, *work[key])) for key in reversed(work))
        for _, key, _, layer in wanted:
            made, content, form = done[key]
            finished.layers[id(layer)] = made
            finished.forms[id(made)] = form
            if content is not None:
                finished.contents[id(made)] = content
        self._verify_twins(finished)
        return finished

    def _verify_twins(self, finished: Finished) -> None:
        """Verify layers that share a name but not their bytes: a writer reads one of them and no other."""
        named: dict[Digest, dict[object, Content]] = {}
        for layer in finished.layers.values():
            content = finished.contents.get(id(layer))
            if content is not None:
                stored = layer.stored if finished.forms[id(layer)] is not Form.PLAIN else None
                name = stored.digest if stored is not None else layer.diff_id
                named.setdefault(name, {})[id(layer.blob), stored and stored.size] = content
        twins = [content for same in named.values() if len(same) > 1 for content in same.values()]
        twins = [content for content in twins if not content.verified]
        self._pool.map(_read, twins)

    def _is_encoded(self, layer: Layer, form: Form) -> bool:
        """Whether a layer goes through the encoder now; else the layout has it, or it was when it arrived."""
        listed = self._known is not None and self._known.is_listed(self._profile.name, layer.diff_id)
        return form in {Form.ENCODED, Form.AGAIN} and not listed and not isinstance(layer.blob, ArrivedBlob)

    def _waits(self, layer: Layer, form: Form, size: int) -> bool:
        """Whether a layer has to wait for other large ones: encoding one keeps all cores busy."""
        if self._side_by_side or not self._profile.splits or size < SPLIT_SIZE:
            return False
        return self._is_encoded(layer, form) and 1 < self._jobs <= _SPLIT_CORES

    def digests(self, images: ImageSet) -> LayerDigests:
        """Return the digest of each layer as a registry would store it; nothing is kept.

        A compressed layer's own, else the one under the profile
        (docs/contract.md#v1-ids: chain-free).
        """
        bare = [
            Entry(dataclasses.replace(entry.node, manifest=None))
            for entry in images.entries
            if isinstance(entry.node, Image)
        ]
        done = self.finish(
            dataclasses.replace(images, entries=tuple(bare)), Recipe(plain=False, manifests=False), NoStaging()
        )
        return LayerDigests(done)

    # -- one layer -----------------------------------------------------------------

    def _one(
        self, layer: Layer, form: Form, compression: str, recipe: Recipe, staging: Staging
    ) -> tuple[Layer, Content | None, Form]:
        if form is Form.PLAIN:
            content = PlainContent(layer, self._proofs)
            self._refuse_compressed_twice(layer, content)
            if recipe.sized and content.size is None:
                return self._expanded(layer, content, staging)
            return layer, content, form
        if form is Form.STORED:
            return self._stored(layer, compression, staging, may_be_absent=recipe.manifests)
        if form in {Form.DESCRIBED, Form.DESCRIBED_AGAIN}:
            return self._dictated(layer, form, staging)
        if form is Form.AGAIN:
            return self._encoded_again(layer, staging)
        return self._encoded(layer, staging)

    def _refuse_compressed_twice(self, layer: Layer, content: PlainContent) -> None:
        """Refuse a layer whose uncompressed bytes are compressed themselves.

        Engines recognise compression by its magic, so they would unpack such a layer of a
        docker-save archive once more and find another DiffID. A layer that is not its
        DiffID is reported as that, as for every other target.
        """
        if not content.compression:
            return
        blob = present(layer, self._proofs.file)
        with decompress.decompress(blob.open(), content.compression, where=blob.where) as plain:
            inner = decompress.sniff(plain.read(decompress.SNIFF_SIZE))
        if inner:
            _read(content)
            msg = f"unpacks to {inner} bytes, which an engine would unpack once more"
            raise UnsupportedError(msg, file=self._proofs.file, member=blob.where)

    def _dictated(self, layer: Layer, form: Form, staging: Staging) -> tuple[Layer, Content | None, Form]:
        """Return a layer whose descriptor the source dictates, with the bytes that a push uploads for it.

        A layer that is not distributable goes on without bytes, and so does a plain one
        whose descriptor says where it can be fetched.

        Raises:
            NotRepresentableError: the descriptor names other bytes, so a registry refuses the push.
        """
        wanted = layer.stored
        if wanted is None:
            raise ValueError(f"layer {layer.diff_id} has no descriptor")
        if layer.blob is None and mediatype.is_nondistributable(wanted.media_type):
            return Layer(layer.diff_id, None, wanted), None, form
        blob = present(layer, self._proofs.file)
        _, uploaded = self._verified(Layer(layer.diff_id, blob), None)
        if mediatype.is_nondistributable(wanted.media_type):
            return Layer(layer.diff_id, None, wanted), None, form
        if form is Form.DESCRIBED_AGAIN:
            with StoredContent(blob, uploaded, self._proofs).open() as stream:
                uploaded, blob = self.encode(stream, staging, _size(layer))
            self._proofs.blobs.add(blob, uploaded.digest, uploaded.size)
        if (uploaded.digest, uploaded.size) != (wanted.digest, wanted.size):
            # crane uploads finished bytes under the descriptor's digest and size, others under their own.
            if form is Form.DESCRIBED_AGAIN and mediatype.may_be_absent(wanted.media_type, wanted.urls):
                return Layer(layer.diff_id, None, wanted), None, form
            raise NotRepresentableError(
                f"LayerSources describe layer {layer.diff_id} as {wanted.digest} with {wanted.size} bytes, but a push "
                f"uploads {uploaded.digest} with {uploaded.size}; a registry refuses that",
                file=self._proofs.file,
            )
        return Layer(layer.diff_id, blob, wanted), StoredContent(blob, wanted, self._proofs), form

    def _encoded_again(self, layer: Layer, staging: Staging) -> tuple[Layer, Content, Form]:
        """Compress a layer's bytes as they lie, though they are compressed already."""
        blob = present(layer, self._proofs.file)
        _, known = self._verified(layer, None)
        with StoredContent(blob, known, self._proofs).open() as stream:
            descriptor, blob = self.encode(stream, staging, _size(layer))
        self._proofs.blobs.add(blob, descriptor.digest, descriptor.size)
        made = Layer(layer.diff_id, blob, descriptor)
        return made, StoredContent(blob, descriptor, self._proofs), Form.AGAIN

    def _stored(
        self, layer: Layer, compression: str, staging: Staging, *, may_be_absent: bool
    ) -> tuple[Layer, Content | None, Form]:
        if layer.blob is None and may_be_absent:
            # Not distributable: the manifest describes it, the bytes live elsewhere.
            return layer, None, Form.STORED
        blob = present(layer, self._proofs.file)
        stored = layer.stored
        if stored is None and not compression:
            return self._plain(layer, staging)
        if stored is not None and not self._verify_full:
            kept = StoredContent(blob, stored, self._proofs)
            if mediatype.is_nondistributable(stored.media_type):
                # docker-oci leaves these bytes out, so that nobody would read them.
                _read(kept)
            return layer, kept, Form.STORED
        blob, descriptor = self._verified(layer, staging if staging.final else None)
        # A descriptor that came with the layer goes on with the layer as it is.
        made = layer if stored is not None else Layer(layer.diff_id, blob, descriptor)
        return made, StoredContent(blob, descriptor, self._proofs), Form.STORED

    def _verified(self, layer: Layer, staging: Staging | None) -> tuple[Blob, Descriptor]:
        """Verify a layer against its DiffID and its descriptor; return its bytes and what describes them.

        Where no descriptor came with the layer, one is learnt in the same pass. With
        `staging` the bytes are copied into the result, and the copy is what was verified.
        """
        blob = present(layer, self._proofs.file)
        content = PlainContent(layer, self._proofs)
        learnt: list[tuple[Digest, int]] = []
        out = staging.new_blob() if staging is not None else None
        try:
            copy = None
            if out is not None:
                copy = out.clone(blob) or cast("BinaryIO", CopyingStream(blob.open(), out.write))
            if content.compression and layer.stored is None:
                plain = content.open_described(lambda digest, size: learnt.append((digest, size)), copy)
            else:
                plain = content.open() if copy is None else content.open_copy(copy)
            with plain:
                size = drain(plain)
            named = learnt[0] if learnt else (layer.diff_id, size)
            described = layer.stored or Descriptor(mediatype.layer_type(content.compression, docker=False), *named)
            if out is not None:
                blob = out.finish(described.digest)
        except BaseException:
            if out is not None:
                out.abort()
            raise
        self._proofs.blobs.add(blob, described.digest, described.size)
        return blob, described

    def _encoded(self, layer: Layer, staging: Staging) -> tuple[Layer, Content, Form]:
        if not self._profile.compression and layer.blob is not None and not compression_of(layer.blob):
            return self._plain(layer, staging)
        arrived = None
        if isinstance(layer.blob, ArrivedBlob) and layer.blob.profile == self._profile.name:
            arrived = layer.blob.arrival
            if layer.diff_id.algorithm != arrived.diff_id.algorithm:
                # It was hashed before anybody said with which algorithm it is named.
                _read(PlainContent(layer, self._proofs))
            elif arrived.diff_id != layer.diff_id:
                raise mismatch(layer.blob.where, self._proofs.file, layer.diff_id, arrived.diff_id, layer.blob.size)
            self._proofs.layers.add(layer.blob, layer.diff_id)
        there = self._known.find(self._profile.name, layer.diff_id) if self._known else None
        if there is not None:
            return self._there(layer, *there)
        if arrived is not None:
            descriptor, blob = arrived.encoded, arrived.kept
        else:
            with self._coming(layer) as plain:
                descriptor, blob = self.encode(plain, staging, _size(layer))
        self._proofs.blobs.add(blob, descriptor.digest, descriptor.size)
        made = Layer(layer.diff_id, blob, descriptor)
        return made, StoredContent(blob, descriptor, self._proofs), Form.ENCODED

    def _coming(self, layer: Layer) -> BinaryIO:
        """Open a layer's plain bytes; with many cores, those of a large one are read and hashed in a thread of its own.

        Who joins what so many have made has no time to hash. With few, who cuts the stream
        into parts takes turns with the others, and reads to where they want it.
        """
        plain = PlainContent(layer, self._proofs).open()
        apart = self._jobs > FEW_WORKERS and _size(layer) >= SPLIT_SIZE and not self._side_by_side
        return read_ahead(plain) if apart else plain

    def _there(self, layer: Layer, digest: Digest, size: int, blob: Blob) -> tuple[Layer, Content, Form]:
        """Take the blob that the target holds, once the layer is verified to be what it says."""
        plain = PlainContent(layer, self._proofs)
        if not plain.verified:
            _read(plain)
        descriptor = Descriptor(mediatype.layer_type(self._profile.compression, docker=False), digest, size)
        made = Layer(layer.diff_id, blob, descriptor)
        return made, StoredContent(blob, descriptor, self._proofs), Form.ENCODED

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
        out = staging.new_blob()
        try:
            hasher = hashlib.sha256()
            size = 0

            def put(data: bytes) -> None:
                nonlocal size
                if data:
                    hasher.update(data)
                    out.write(data)
                    size += len(data)

            while (made := encoder.take(plain)) is not None:
                put(made)
            put(encoder.finish())
            digest = Digest("sha256", hasher.hexdigest())
            blob = out.finish(digest)
        except BaseException:
            out.abort()
            raise
        return Descriptor(mediatype.layer_type(self._profile.compression, docker=False), digest, size), blob

    def _expanded(self, layer: Layer, content: PlainContent, staging: Staging) -> tuple[Layer, Content | None, Form]:
        """Unpack a layer whose size must be known before it is written."""
        out = staging.new_blob()
        try:
            size = 0

            def take(chunk: memoryview) -> None:
                nonlocal size
                size += len(chunk)
                out.write(chunk)

            with content.open() as plain:
                drain(plain, take)
            blob = out.finish(layer.diff_id)
        except BaseException:
            out.abort()
            raise
        self._proofs.blobs.add(blob, layer.diff_id, size)
        made = Layer(layer.diff_id, blob)
        descriptor = Descriptor(mediatype.layer_type("", docker=False), layer.diff_id, size)
        return made, StoredContent(blob, descriptor, self._proofs), Form.PLAIN

    def _plain(self, layer: Layer, staging: Staging) -> tuple[Layer, Content, Form]:
        """Take a layer that lies uncompressed as it is: its digest is its DiffID."""
        blob, described = self._verified(layer, staging if staging.final else None)
        descriptor = Descriptor(mediatype.layer_type("", docker=False), layer.diff_id, described.size)
        made = Layer(layer.diff_id, blob, descriptor)
        return made, StoredContent(blob, descriptor, self._proofs), Form.ENCODED


def _read(content: Content) -> None:
    with content.open() as stream:
        drain(stream)


def _size(layer: Layer) -> int:
    return (layer.blob.size or 0) if layer.blob is not None else 0
