"""Verify a finished result by reading it back completely (`--verify-output`)."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

from convert.archive.open import open_descriptor
from convert.cancel import Cancel
from convert.codec.decompress import read_chunks
from convert.errors import DigestMismatchError, InputError, StorageError
from convert.layer.context import ReadContext, ReadOptions
from convert.layer.layer_pass import LayerPass
from convert.layer.streams import drain
from convert.layer.verify import StoredContent
from convert.reader.detect import read
from convert.reader.sink import Sink

if TYPE_CHECKING:
    from convert.layer.pool import Pool
    from convert.model.blob import Blob
    from convert.model.digest import Digest
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet


#: An image ID, and the digest of the image's manifest if that counts.
_Identity = tuple["Digest", "Digest | None"]


def verify_archive(
    fd: int, path: str, wanted: ImageSet, source: ReadContext, pool: Pool, *, manifests: bool, thin: bool = False
) -> None:
    """Verify that the file or folder that `fd` has open holds exactly the images that were to be written.

    Every document, every layer's digest and every DiffID is checked. `path` names it in errors. The layers
    of a `thin` one may be absent. `source` is the context in which the layers of `wanted` were read.

    Raises:
        StorageError: it does not; the result must not appear.
        InputError: a layer that was copied without unpacking it does not have the DiffID that the source states.
    """
    try:
        with open_descriptor(fd, path) as opened:
            found = read(opened.tree, sink=Sink(accepts_absent=thin))
            if not _same(_identities(found, manifests=manifests), _identities(wanted, manifests=manifests)):
                raise StorageError("what was written holds other images than it should", code="output-mismatch")
            options = ReadOptions(source.options.max_layer_size, file=path)
            verify_layers(found, ReadContext(options, cancel=pool.cancel), pool, full=True)
    except InputError as error:
        if isinstance(error, DigestMismatchError) and error.code == "diff-id-mismatch":
            _verify_source(error.wanted, wanted, source)
        raise StorageError(f"what was written does not read back: {error}", code="output-mismatch") from error


def _verify_source(diff_id: str, images: ImageSet, context: ReadContext) -> None:
    """Verify the layers that a source calls by a DiffID, which were perhaps copied without unpacking them."""
    # The error stopped the work of the run; signals still end this reading.
    context = dataclasses.replace(context, cancel=Cancel())
    for _, layer in images.layers():
        if str(layer.diff_id) == diff_id and layer.blob is not None:
            LayerPass(layer, context).run()


def verify_layers(images: ImageSet, context: ReadContext, pool: Pool, *, full: bool) -> None:
    """Verify each layer that is present: its digest as stored if it has one; with `full`, its DiffID too.

    Raises:
        DigestMismatchError: a layer does not have its digest.
        InputError: damaged compression, or a layer over the limit.
    """
    work: dict[object, tuple[Layer, Blob]] = {}
    for _, layer in images.layers():
        if layer.blob is not None:
            stored = (layer.stored.digest, layer.stored.size) if layer.stored is not None else None
            work[layer.blob, layer.diff_id, stored] = (layer, layer.blob)
    pool.map(lambda each: verify_layer(*each, context, full=full), work.values(), size=lambda each: each[1].size)


def verify_blobs(fd: int, path: str) -> None:
    """Verify that each blob in a staged layout has the digest of its name; `path` names the layout in errors.

    Raises:
        StorageError: a blob does not.
    """
    with open_descriptor(fd, path) as opened:
        for name in opened.tree.names():
            blob = opened.tree.find(name) if name.startswith("blobs/") and name.count("/") > 1 else None
            if blob is None:
                continue
            _, algorithm, encoded = name.split("/")
            hasher = hashlib.new(algorithm)
            with blob.open() as stream:
                for chunk in read_chunks(stream):
                    hasher.update(chunk)
            if hasher.hexdigest() != encoded:
                raise StorageError(
                    "what was written does not read back", code="output-mismatch", file=path, member=name
                )


def verify_layer(layer: Layer, blob: Blob, context: ReadContext, *, full: bool) -> None:
    """Verify one layer; see `verify_layers`."""
    # One pass over the uncompressed bytes verifies both digests.
    named = None if full else layer.stored
    if named is not None:
        with StoredContent(blob, named, context).open() as stream:
            drain(stream)
        return
    # With the digest of the bytes as stored, which nothing else may have verified.
    LayerPass(layer, context).run(described=lambda digest, size: context.verified.blobs.add(blob, digest, size))


def _same(found: set[_Identity], wanted: set[_Identity]) -> bool:
    """Return whether the images that were read are those that were written.

    A manifest that equals one that `docker save` generates is read as generated,
    and below an index without its digest: then only the image IDs are compared. Its bytes were
    verified with those of all documents.
    """
    ids = {image_id for image_id, _ in found}
    if ids != {image_id for image_id, _ in wanted}:
        return False
    all_expected = all(digest is None or (image_id, digest) in wanted for image_id, digest in found)
    return all_expected and all(one in found or (one[0], None) in found for one in wanted)


def _identities(images: ImageSet, *, manifests: bool) -> set[_Identity]:
    return {
        (image.image_id, image.manifest.digest if manifests and image.manifest is not None else None)
        for image in images.images()
    }
