"""Two archives, image by image: what is the same, and the first thing that is not, in words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from convert.commands.diff.json_diff import first_differences
from convert.identity.engine_id import list_images, manifest_digest
from convert.jsonio import strict
from convert.layer.stored_digests import StoredDigests
from convert.model.image import Artifact, Image

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from convert.commands.diff.json_diff import KeyDifference
    from convert.model.blob import Blob
    from convert.model.digest import Digest
    from convert.model.image import Layer, Manifest
    from convert.model.image_set import ImageSet


class By(Enum):
    """What has to be the same for two images to count as one."""

    ID = "id"
    LAYERS = "layers"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One image as one of the archives has it."""

    names: tuple[str, ...]
    image: Image
    index_digest: Digest | None

    @property
    def platform(self) -> str:
        """What it runs on, as its config spells it."""
        return str(self.image.platform)

    @property
    def manifest(self) -> Manifest | None:
        """The manifest that carries an identity; not one that `docker save` made up."""
        manifest = self.image.manifest
        return manifest if manifest is not None and not manifest.made_up else None


@dataclass(frozen=True, slots=True)
class LayerPair:
    """One layer of both images by its number from 0; None where an image has fewer.

    `same_content`: same DiffID; `same_bytes`: stored alike too. `how_a` and `how_b`
    say how each is compressed, where that differs.
    """

    number: int
    a: Layer | None
    b: Layer | None
    digest_a: Digest | None
    digest_b: Digest | None
    how_a: str = ""
    how_b: str = ""

    @property
    def same_content(self) -> bool:
        """Whether both unpack to the same tar, by what the configs say."""
        return self.a is not None and self.b is not None and self.a.diff_id == self.b.diff_id

    @property
    def same_bytes(self) -> bool:
        """Whether both are the same bytes as they lie."""
        return self.same_content and self.digest_a == self.digest_b


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two images side by side; one of them is None where the other archive has no partner for it.

    `config` and `manifest` are the first differences of these documents; `config_more`
    and `manifest_more` count those that are left out.
    """

    a: Side | None
    b: Side | None
    layers: tuple[LayerPair, ...] = ()
    config: tuple[KeyDifference, ...] = ()
    manifest: tuple[KeyDifference, ...] = ()
    config_more: int = 0
    manifest_more: int = 0

    def same(self, by: By) -> bool:
        """Tell whether the two count as one image."""
        if self.a is None or self.b is None:
            return False
        match by:
            case By.ID:
                return self.same_id
            case By.LAYERS:
                return self.same_layers
            case By.DIGEST:
                return self.same_digest

    @property
    def same_id(self) -> bool:
        """Whether the configs are the same bytes."""
        return self.a is not None and self.b is not None and self.a.image.image_id == self.b.image.image_id

    @property
    def same_layers(self) -> bool:
        """Whether the DiffIDs are the same, in the same order."""
        return self.a is not None and self.b is not None and all(pair.same_content for pair in self.layers)

    @property
    def same_layer_digests(self) -> bool:
        """Whether the layers are the same bytes as they are stored."""
        return self.a is not None and self.b is not None and all(pair.same_bytes for pair in self.layers)

    @property
    def same_digest(self) -> bool:
        """Whether `name@digest` means the same; without manifests: same ID and layer digests."""
        if self.a is None or self.b is None:
            return False
        one, other = self.a.manifest, self.b.manifest
        if one is None and other is None:
            return self.same_id and self.same_layer_digests
        return one is not None and other is not None and one.digest == other.digest

    @property
    def same_names(self) -> bool:
        """Whether both have the same names, in any order."""
        return self.a is not None and self.b is not None and set(self.a.names) == set(self.b.names)

    @property
    def words(self) -> str:
        """The first difference in words, the weightiest first."""
        return _words(self)


@dataclass(frozen=True, slots=True)
class Difference:
    """The answer: image by image, and the other things that only one archive has, by digest."""

    images: tuple[Comparison, ...]
    only_a: tuple[Digest, ...] = ()
    only_b: tuple[Digest, ...] = ()

    def same(self, by: By) -> bool:
        """Tell whether the archives hold the same images; artifacts count by digest only."""
        alike = all(one.same(by) for one in self.images)
        return alike and (by is not By.DIGEST or not (self.only_a or self.only_b))


def encoder_of(blob: Blob) -> str | None:
    """Return the profile, or other encoder, that compressed a layer; None if it is none that is known.

    The layer is unpacked and compressed anew to prove it.
    """
    from convert.codec.identify import recognise  # noqa: PLC0415 - only where used

    origin = recognise(blob.open)
    return origin.name if origin is not None else None


def compare(a: ImageSet, b: ImageSet, *, encoder: Callable[[Blob], str | None] = encoder_of) -> Difference:
    """Compare two archives.

    Layers are read only where their digest is nowhere to be had otherwise (those
    that lie compressed in an archive without manifest), and the first one of an
    image that was recompressed, for `encoder` to tell by what.

    Raises:
        InputError: a layer that had to be read is damaged.
        StorageError: reading failed.
    """
    known = StoredDigests(may_read=True)
    compared = tuple(_compared(one, other, known, encoder) for one, other in _pairs(_sides(a), _sides(b)))
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
    a: Side | None, b: Side | None, known: StoredDigests, encoder: Callable[[Blob], str | None]
) -> Comparison:
    if a is None or b is None:
        return Comparison(a, b)
    config, config_more = _configs(a, b)
    manifest, manifest_more = _manifests(a.manifest, b.manifest)
    return Comparison(
        a,
        b,
        layers=tuple(_layers(a.image.layers, b.image.layers, known, encoder)),
        config=config,
        manifest=manifest,
        config_more=config_more,
        manifest_more=manifest_more,
    )


_Counted = tuple[tuple["KeyDifference", ...], int]


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
    a: Sequence[Layer], b: Sequence[Layer], known: StoredDigests, encoder: Callable[[Blob], str | None]
) -> Iterator[LayerPair]:
    told = False
    for number, (one, other) in enumerate(zip_longest(a, b)):
        digest_a, digest_b = _digest(one, known), _digest(other, known)
        how_a = how_b = ""
        if one is not None and other is not None and one.diff_id == other.diff_id and digest_a != digest_b:
            how_a, how_b = _compression(one, known), _compression(other, known)
            if how_a == how_b and not told:
                # To tell costs more than to compress, and one layer speaks for the others.
                how_a, how_b = _encoder(one, how_a, encoder), _encoder(other, how_b, encoder)
                told = True
        yield LayerPair(number, one, other, digest_a, digest_b, how_a, how_b)


def _digest(layer: Layer | None, known: StoredDigests) -> Digest | None:
    if layer is None:
        return None
    if layer.stored is not None and layer.blob is None:
        return layer.stored.digest
    if layer.stored is not None and layer.blob is not None and known.compression(layer.blob):
        return layer.stored.digest
    return known.digest(layer)


def _compression(layer: Layer, known: StoredDigests) -> str:
    if layer.blob is None:
        return "not there"
    return known.compression(layer.blob) or "not compressed"


def _encoder(layer: Layer, compression: str, encoder: Callable[[Blob], str | None]) -> str:
    return (encoder(layer.blob) if layer.blob is not None else None) or compression


# -- words ---------------------------------------------------------------------------

_HERE_ONLY: Final = "only in A"
_THERE_ONLY: Final = "only in B"


def _words(one: Comparison) -> str:
    if one.b is None:
        return _HERE_ONLY
    if one.a is None:
        return _THERE_ONLY
    if not one.same_layers:
        return _other_layers(one)
    if not one.same_id:
        if not one.config:
            return "same layers, and a config that says the same in other bytes (spacing, order of keys)"
        more = _more(len(one.config) + one.config_more - 1, "difference")
        return f"same layers, another config: {one.config[0]}{more}"
    if not one.same_layer_digests:
        return _recompressed(one)
    if not one.same_digest:
        return _other_manifest(one)
    if not one.same_names:
        return f"same image, other names: {_names(one.a)} in A, {_names(one.b)} in B"
    return "same"


def _names(side: Side) -> str:
    return " ".join(side.names) or "none"


def _other_layers(one: Comparison) -> str:
    first = next(pair for pair in one.layers if not pair.same_content)
    count_a = sum(pair.a is not None for pair in one.layers)
    count_b = sum(pair.b is not None for pair in one.layers)
    if first.a is None or first.b is None:
        alike = {0: "none is", 1: "the first is"}.get(first.number, f"the first {first.number} are")
        return f"{count_a} layers in A, {count_b} in B; {alike} the same"
    counts = f" of {count_a}" if count_a == count_b else f" ({count_a} in A, {count_b} in B)"
    return f"layer {first.number + 1}{counts} differs: DiffID {first.a.diff_id} in A, {first.b.diff_id} in B"


def _recompressed(one: Comparison) -> str:
    changed = [pair for pair in one.layers if not pair.same_bytes]
    first = changed[0]
    more = _more(len(changed) - 1, "layer")
    if first.how_a == first.how_b:
        return f"same content, recompressed: layer {first.number + 1}, {first.how_a} in both{more}"
    return f"same content, recompressed: layer {first.number + 1} {first.how_a} in A, {first.how_b} in B{more}"


def _other_manifest(one: Comparison) -> str:
    if one.a is None or one.b is None or one.a.manifest is None or one.b.manifest is None:
        where = "B" if one.b is not None and one.b.manifest is not None else "A"
        return f"same image and layers, a manifest only in {where}"
    if not one.manifest:
        return "same image and layers, and a manifest that says the same in other bytes (spacing, order of keys)"
    more = _more(len(one.manifest) + one.manifest_more - 1, "difference")
    return f"same image and layers, another manifest: {one.manifest[0]}{more}"


def _more(count: int, what: str) -> str:
    if not count:
        return ""
    return f"; and 1 more {what}" if count == 1 else f"; and {count} more {what}s"


def label(one: Comparison) -> str:
    """Return what to call a pair: its names, else its image ID."""
    side = one.a or one.b
    if side is None:
        raise ValueError("a comparison of nothing")
    return " ".join(side.names) or str(side.image.image_id)


def other_layers(one: Comparison) -> Iterator[tuple[Layer | None, Layer | None]]:
    """Yield the layers of two images that differ in content, in pairs; None where one side has no more.

    Those at the bottom and at the top that are the same are passed over, so that
    a layer put in between is one layer, not all that follow.
    """
    a = list(one.a.image.layers) if one.a is not None else []
    b = list(one.b.image.layers) if one.b is not None else []
    while a and b and a[0].diff_id == b[0].diff_id:
        del a[0], b[0]
    while a and b and a[-1].diff_id == b[-1].diff_id:
        del a[-1], b[-1]
    for mine, its in zip_longest(a, b):
        if mine is None or its is None or mine.diff_id != its.diff_id:
            yield mine, its
