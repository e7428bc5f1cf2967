"""Compare two archives image by image."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from convert.commands.diff.json_diff import first_differences
from convert.identity.engine_id import list_images, manifest_digest
from convert.jsonio import strict
from convert.layer.stored_digests import StoredDigests
from convert.model.image import Artifact, Image
from convert.report.comparison import Comparison, Difference, KeyDifference, LayerPair, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from convert.model.blob import Blob
    from convert.model.digest import Digest
    from convert.model.image import Layer, Manifest
    from convert.model.image_set import ImageSet


def encoder_of(blob: Blob) -> str | None:
    """Return the profile or other encoder that compressed a layer; None if it is not recognised.

    The layer is unpacked and compressed again, and the result compared.
    """
    from convert.codec.identify import recognise  # noqa: PLC0415 - only where used

    return recognise(blob.open).name


def compare(a: ImageSet, b: ImageSet, *, encoder: Callable[[Blob], str | None] = encoder_of) -> Difference:
    """Compare two archives.

    Layers are read only where their digest is nowhere to be had otherwise (those
    that are stored compressed in an archive without manifest), and the first one of an
    image that was recompressed, to which `encoder` is applied.

    Raises:
        InputError: a layer that had to be read is damaged.
        StorageError: reading failed.
    """
    digests = StoredDigests(may_read=True)
    compared = tuple(_compared(one, other, digests, encoder) for one, other in _pairs(_sides(a), _sides(b)))
    others_a, others_b = _others(a), _others(b)
    return Difference(
        compared,
        tuple(digest for digest in others_a if digest not in others_b),
        tuple(digest for digest in others_b if digest not in others_a),
    )


def _sides(images: ImageSet) -> list[Side]:
    names: dict[Image, dict[str, None]] = {}
    indexes: dict[Image, Digest] = {}
    for item in list_images(images):
        if not isinstance(item.node, Image):
            continue
        names.setdefault(item.node, {}).update(dict.fromkeys(item.texts))
        if item.index is not None:
            indexes.setdefault(item.node, item.index.digest)
    return [Side(tuple(texts), image, indexes.get(image)) for image, texts in names.items()]


def _others(images: ImageSet) -> dict[Digest, None]:
    """Return, in order, the digests of artifacts and of images that are not there."""
    digests: dict[Digest, None] = {}
    for item in list_images(images):
        digest = item.claimed.digest if item.node is None and item.claimed is not None else None
        if isinstance(item.node, Artifact):
            digest = manifest_digest(item.node)
        if digest is not None:
            digests[digest] = None
    return digests


def _pairs(a: list[Side], b: list[Side]) -> list[tuple[Side | None, Side | None]]:
    """Pair images by name and platform, else by image ID, else the only ones that are left."""
    partners: dict[Side, Side] = {}
    taken: set[Side] = set()

    def pair(keys: Callable[[Side], Iterable[Hashable]]) -> None:
        offered: dict[Hashable, list[Side]] = {}
        for side in reversed(b):
            if side not in taken:
                for key in keys(side):
                    offered.setdefault(key, []).append(side)
        for side in a:
            for key in keys(side):
                candidates = offered.get(key, [])
                while candidates and candidates[-1] in taken:
                    candidates.pop()
                if candidates and side not in partners:
                    partners[side] = candidates.pop()
                    taken.add(partners[side])

    pair(lambda side: ((name, side.image.platform.normalised) for name in side.names))
    pair(lambda side: (side.image.image_id,))
    alone = [side for side in a if side not in partners]
    left = [side for side in b if side not in taken]
    if len(alone) == 1 and len(left) == 1:
        partners[alone[0]] = left.pop()
    return [*((side, partners.get(side)) for side in a), *((None, side) for side in left)]


# -- one pair ------------------------------------------------------------------------


def _compared(
    a: Side | None, b: Side | None, digests: StoredDigests, encoder: Callable[[Blob], str | None]
) -> Comparison:
    if a is None or b is None:
        return Comparison(a, b)
    config, config_more = _configs(a, b)
    manifest, manifest_more = _manifests(a.manifest, b.manifest)
    return Comparison(
        a,
        b,
        layers=tuple(_layers(a.image.layers, b.image.layers, digests, encoder)),
        config=config,
        manifest=manifest,
        config_more=config_more,
        manifest_more=manifest_more,
    )


_Counted = tuple[tuple[KeyDifference, ...], int]


def _configs(a: Side, b: Side) -> _Counted:
    if a.image.image_id == b.image.image_id:
        return (), 0
    return first_differences(a.image.config.view, b.image.config.view)


def _manifests(a: Manifest | None, b: Manifest | None) -> _Counted:
    if a is None or b is None or a.digest == b.digest:
        return (), 0
    # Both were read by the strict parser before.
    one, other = (strict.parse(side.raw, where="", member=str(side.digest)) for side in (a, b))
    return first_differences(one, other)


def _layers(
    a: Sequence[Layer], b: Sequence[Layer], digests: StoredDigests, encoder: Callable[[Blob], str | None]
) -> Iterator[LayerPair]:
    recognised = False
    for number, (one, other) in enumerate(zip_longest(a, b)):
        digest_a, digest_b = _digest(one, digests), _digest(other, digests)
        how_a = how_b = ""
        if one is not None and other is not None and one.diff_id == other.diff_id and digest_a != digest_b:
            how_a, how_b = _compression(one, digests), _compression(other, digests)
            if how_a == how_b and not recognised:
                # Recognising an encoder takes longer than compressing, so only the first layer is looked at.
                how_a, how_b = _encoder(one, how_a, encoder), _encoder(other, how_b, encoder)
                recognised = True
        yield LayerPair(number, one, other, digest_a, digest_b, how_a, how_b)


def _digest(layer: Layer | None, digests: StoredDigests) -> Digest | None:
    if layer is None:
        return None
    if layer.stored is not None and layer.blob is None:
        return layer.stored.digest
    if layer.stored is not None and layer.blob is not None and digests.compression(layer.blob):
        return layer.stored.digest
    return digests.digest(layer)


def _compression(layer: Layer, digests: StoredDigests) -> str:
    if layer.blob is None:
        return "not there"
    return digests.compression(layer.blob) or "not compressed"


def _encoder(layer: Layer, compression: str, encoder: Callable[[Blob], str | None]) -> str:
    return (encoder(layer.blob) if layer.blob is not None else None) or compression
