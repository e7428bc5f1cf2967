"""`--verify-output`: read a result back, as a stranger would, and prove every byte of it."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from convert.archive.source import open_source
from convert.content import PlainContent, Proofs, StoredContent, drain
from convert.digest import Digest
from convert.errors import InputError, StorageError
from convert.formats.read import read
from convert.limits import CHUNK
from convert.select import node_digest
from convert.transform import layers_of
from convert.workshop import wait_all

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from convert.model import ImageSet, Layer


def prove_archive(path: str, wanted: ImageSet, executor: Executor, *, manifests: bool) -> None:
    """Prove that what lies at `path` holds just the images that were to be written.

    Every document, every layer's digest and every DiffID is checked.

    Raises:
        StorageError: it does not; the result must not appear.
    """
    try:
        with open_source(path) as opened:
            found = read(opened.tree)
            if _identities(found, manifests=manifests) != _identities(wanted, manifests=manifests):
                raise StorageError("what was written holds other images than it should")
            proofs = Proofs(file=path)
            layers = {id(layer.blob): layer for _, layer in layers_of(found) if layer.blob is not None}
            wait_all([executor.submit(_prove, layer, proofs) for layer in layers.values()])
    except InputError as error:
        raise StorageError(f"what was written does not read back: {error}") from error


def prove_blobs(folder: str) -> None:
    """Prove that each blob in a staged layout is what its name says.

    Raises:
        StorageError: one is not.
    """
    top = os.path.join(folder, "blobs")
    for algorithm in sorted(os.listdir(top)):
        for name in sorted(os.listdir(os.path.join(top, algorithm))):
            hasher = hashlib.new(algorithm)
            with open(os.path.join(top, algorithm, name), "rb") as file:
                while data := file.read(CHUNK):
                    hasher.update(data)
            if Digest(algorithm, hasher.hexdigest()) != Digest(algorithm, name):
                raise StorageError("what was written does not read back", file=f"blobs/{algorithm}/{name}")


def _prove(layer: Layer, proofs: Proofs) -> None:
    if layer.stored is not None and layer.blob is not None:
        with StoredContent(layer.blob, layer.stored, proofs).open() as stored:
            drain(stored)
    with PlainContent(layer, proofs).open() as plain:
        drain(plain)


def _identities(images: ImageSet, *, manifests: bool) -> set[tuple[Digest, Digest | None]]:
    return {(image.image_id, node_digest(image) if manifests else None) for image in images.images()}
