"""The result of a comparison of two archives: image by image, key by key, file by file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from convert.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.model.digest import Digest
    from convert.model.image import Image, Layer, Manifest

#: Characters of a value in a message.
_LONGEST: Final = 200


class Absent:
    """Stands for a value that only the other side has."""

    def __repr__(self) -> str:
        """Return what a person reads."""
        return "absent"


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class KeyDifference:
    """One place in two documents, `config.Env[3]`, with what each has there; `ABSENT` for nothing."""

    path: str
    a: Any
    b: Any

    def __str__(self) -> str:
        """Return one line: path, and both values as JSON."""
        return f"{self.path or 'document'}: {shown(self.a)} in A, {shown(self.b)} in B"


def shown(value: Any) -> str:
    """Return a value for a person: as JSON, short, without control characters."""
    if isinstance(value, Absent):
        return repr(value)
    text = json.dumps(value, ensure_ascii=False)
    return printable(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


@dataclass(frozen=True, slots=True)
class FileDifference:
    """One path in two layers.

    `change` is "added", "removed" or "changed"; `attributes` are those that
    differ as (name, A's, B's), for a file of only one layer the most important ones. `sizes`
    are A's and B's in bytes, None for what is not a regular file.
    """

    change: str
    path: str
    attributes: tuple[tuple[str, str | None, str | None], ...]
    sizes: tuple[int | None, int | None] = (None, None)


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
        """The manifest that carries an identity; not one that `docker save` generated."""
        manifest = self.image.manifest
        return manifest if manifest is not None and not manifest.generated else None


@dataclass(frozen=True, slots=True)
class LayerPair:
    """One layer of both images by its number from 0; None where an image has fewer.

    `same_content`: same DiffID; `same_bytes`: stored alike too. `how_a` and `how_b`
    state how each is compressed, if that differs.
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
        """Whether the layers unpack to the same tar, by the DiffIDs in the configs."""
        return self.a is not None and self.b is not None and self.a.diff_id == self.b.diff_id

    @property
    def same_bytes(self) -> bool:
        """Whether the stored bytes are the same."""
        return self.same_content and self.digest_a == self.digest_b


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two images side by side; one of them is None where the other archive has no partner for it.

    `config` and `manifest` are the first differences of these documents; `config_more`
    and `manifest_more` count those that are not listed. `ignored` are what `--ignore` leaves
    out of the comparison; `alike_layers` and `alike` state whether the layers, and with them the
    configs, are the same but for that.
    """

    a: Side | None
    b: Side | None
    layers: tuple[LayerPair, ...] = ()
    config: tuple[KeyDifference, ...] = ()
    manifest: tuple[KeyDifference, ...] = ()
    config_more: int = 0
    manifest_more: int = 0
    ignored: tuple[str, ...] = ()
    alike_layers: bool = False
    alike: bool = False

    def same(self, by: By) -> bool:
        """Return whether the two count as one image."""
        if self.a is None or self.b is None:
            return False
        match by:
            case By.ID:
                return self.same_id or self.alike
            case By.LAYERS:
                return self.same_layers or self.alike_layers
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
        if self.alike and not self.same_id:
            return f"the same but for {' and '.join(self.ignored)}"
        return _words(self)


@dataclass(frozen=True, slots=True)
class Difference:
    """The answer: image by image, and the other things that only one archive has, by digest."""

    images: tuple[Comparison, ...]
    only_a: tuple[Digest, ...] = ()
    only_b: tuple[Digest, ...] = ()

    def same(self, by: By) -> bool:
        """Return whether the archives hold the same images; artifacts count by digest only."""
        alike = all(one.same(by) for one in self.images)
        return alike and (by is not By.DIGEST or not (self.only_a or self.only_b))


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
            return "same layers, and a config with the same content in other bytes (spacing, order of keys)"
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
    counts = f" of {count_a}" if count_a == count_b else f" (of {count_a} in A, of {count_b} in B)"
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
        return "same image and layers, and a manifest with the same content in other bytes (spacing, order of keys)"
    more = _more(len(one.manifest) + one.manifest_more - 1, "difference")
    return f"same image and layers, another manifest: {one.manifest[0]}{more}"


def _more(count: int, what: str) -> str:
    if not count:
        return ""
    return f"; and 1 more {what}" if count == 1 else f"; and {count} more {what}s"
