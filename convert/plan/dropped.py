"""Find what a result does not hold of its source: annotations, urls, subjects and the like.

Nothing is dropped without a line and an entry in `--json`. Both come from comparing
the images before and after, so that no writer has to count.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Final

from convert.diagnostics import Dropped
from convert.model import mediatype
from convert.model.image import Image, Index, Other
from convert.model.needs import NEEDS
from convert.model.walk import descend
from convert.plan.labels import entry_label
from convert.writer.oci import IMAGE_NAME, REF_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.image import Layer, Manifest, Node
    from convert.model.image_set import Entry, ImageSet
    from convert.writer.registry import Target


class Capability(Enum):
    """How much of what surrounds the images a target can hold."""

    #: Manifests, indexes, and all fields of `index.json`.
    ALL = "all"
    #: Manifests and indexes; of `index.json` only the descriptors (docker-oci).
    MANIFESTS = "manifests"
    #: One manifest or index, and nothing around it (dir).
    ONE = "one"
    #: Of manifests only the descriptors of non-distributable layers (crane).
    FOREIGN_LAYERS = "foreign layers"
    #: Configs and layers.
    NOTHING = "nothing"


def capability_of(target: Target) -> Capability:
    """Return how much a target can hold."""
    if target.single_entry:
        return Capability.ONE
    if target.manifests:
        return Capability.ALL if target.index_fields else Capability.MANIFESTS
    return Capability.NOTHING if target.uncompressed else Capability.FOREIGN_LAYERS


_WITH_MANIFESTS: Final = frozenset({Capability.ALL, Capability.MANIFESTS, Capability.ONE})
#: Kinds of `_Fact`; each becomes an entry of its own in `--json`.
_ANNOTATIONS: Final = "annotations"
_ARTIFACT_TYPE: Final = "artifact-type"
_SUBJECT: Final = "subject"
_URLS: Final = "urls"
_FOREIGN: Final = "non-distributable"

#: Kind, place inside its subject, key, value.
_Fact = tuple[str, str, str, str]
_Facts = Counter[_Fact]


class _Surroundings:
    """Annotations, types, subjects and urls of a set: of each image, each index, and `index.json` itself."""

    def __init__(self, images: ImageSet, capability: Capability, entries: Iterable[Entry]) -> None:
        self.images: dict[Digest, _Facts] = {}
        self.indexes: dict[Digest, _Facts] = {}
        self.top: _Facts = Counter()
        self.labels: dict[Digest, str] = {}
        self.manifests: dict[Digest, set[Digest]] = {}
        self._capability = capability
        self._seen: set[Node] = set()
        for entry in entries:
            self._entry(entry)
        if capability is Capability.ALL:
            self.top.update(_annotations("top", images.index_annotations))
            self.top.update(_type_and_subject(images.index_artifact_type, images.index_subject))

    def _entry(self, entry: Entry) -> None:
        for node in descend(entry.node, self._seen):
            if isinstance(node, Image):
                self._image(node)
                self.labels.setdefault(node.image_id, entry_label(entry))
            elif isinstance(node, Index):
                self._index(node)
        if isinstance(entry.node, Image) and entry.descriptor is not None and self._carries_manifests:
            self.images[entry.node.image_id].update(_descriptor("entry", entry.descriptor))

    @property
    def _carries_manifests(self) -> bool:
        return self._capability in _WITH_MANIFESTS

    def _index(self, index: Index) -> None:
        if not self._carries_manifests:
            return
        facts = self.indexes.setdefault(index.digest, Counter())
        facts.update(_annotations("index", index.annotations))
        facts.update(_type_and_subject(index.artifact_type, index.subject))
        for child in index.children:
            if isinstance(child.node, Image):
                self.images.setdefault(child.node.image_id, Counter()).update(_descriptor("child", child.descriptor))

    def _image(self, image: Image) -> None:
        facts = self.images.setdefault(image.image_id, Counter())
        manifest = image.manifest if image.manifest is not None and not image.manifest.generated else None
        if self._carries_manifests:
            if manifest is not None:
                facts.update(_manifest(manifest))
                self.manifests.setdefault(image.image_id, set()).add(manifest.digest)
            else:
                facts.update(_layers(image.layers))
        elif self._capability is Capability.FOREIGN_LAYERS:
            facts.update(_layers(layer for layer in image.layers if _is_foreign(layer)))


def find_dropped(
    before: ImageSet,
    after: ImageSet,
    held: Capability = Capability.ALL,
    target: str = "",
    *,
    is_selection: bool = False,
) -> Iterator[Dropped]:
    """Yield what `before` holds about the images in `after`, and `after` written to `target` does not.

    `is_selection`: `after` is a selection of `before`, so only the entries count from
    which it took something.
    """
    entries = before.entries
    if is_selection:
        entries = tuple(_selected_from(before, after))
    old, new = _Surroundings(before, Capability.ALL, entries), _Surroundings(after, held, after.entries)
    carried = held in _WITH_MANIFESTS
    cannot = f"not supported by {target}"
    for image_id, facts in old.images.items():
        if image_id not in new.images:
            continue
        if not carried:
            why = cannot
        elif old.manifests.get(image_id, set()) <= new.manifests.get(image_id, set()):
            why = "the image is kept without its index" if held is not Capability.ONE else cannot
        else:
            why = "its manifest was re-created"
        yield from _lines(facts - new.images[image_id], old.labels[image_id], why)
    created = sum((facts for digest, facts in new.indexes.items() if digest not in old.indexes), Counter[_Fact]())
    for digest, facts in old.indexes.items():
        if digest not in new.indexes:
            why = ("the index was re-created" if new.indexes else "the image is kept without it") if carried else cannot
            yield from _lines(facts - created, f"index {digest}", why)
    why = "--recompress re-creates it" if held is Capability.ALL else cannot
    yield from _lines(old.top - new.top, "index.json", why)


def find_dropped_entries(images: ImageSet, target: str) -> Iterator[Dropped]:
    """Yield what a target without an `index.json` does not hold of the entries: names, and annotations of an index."""
    for entry in images.entries:
        label = entry_label(entry)
        if entry.node is None:
            yield Dropped(f"dropped {label}: its manifest is not in the source", what="image", of=label)
            continue
        if entry.name is not None:
            yield Dropped(f"dropped name {label}: {target} holds no names", what="name", of=label)
        if entry.descriptor is not None and not isinstance(entry.node, Image):
            yield from _lines(Counter(_descriptor("entry", entry.descriptor)), label, f"not supported by {target}")


def _selected_from(before: ImageSet, after: ImageSet) -> Iterator[Entry]:
    """Yield the entries of a source from which a selection took something."""
    names = {entry.name for entry in after.entries if entry.name is not None}
    kept = set(after.nodes())
    holds: dict[Node | None, bool] = {}
    for entry in before.entries:
        if entry.node not in holds:
            holds[entry.node] = any(node in kept for node in descend(entry.node))
        if entry.node in kept or (entry.name in names and holds[entry.node]):
            yield entry


def find_dropped_attestations(before: ImageSet, after: ImageSet) -> Iterator[Dropped]:
    """Yield the attestations of selected images that a selection leaves behind with the index."""
    kept = set(after.nodes())
    images = {str(image.manifest.digest): image for image in after.images() if image.manifest is not None}
    for node in before.nodes():
        if isinstance(node, Index) and node not in kept:
            for child in node.children:
                about = child.descriptor.annotations.get("vnd.docker.reference.digest")
                if about in images and (child.node is None or child.node not in kept):
                    text = f"dropped attestation {child.descriptor.digest} of {about}: its index was not selected"
                    yield Dropped(text, what="attestation", of=about)


def find_dropped_parents(before: ImageSet, after: ImageSet, target: str, *, holds_parents: bool) -> Iterator[Dropped]:
    """Yield each `Parent` of a `manifest.json` that the result does not name."""
    there = {image.image_id for image in after.images()}
    labels = _Surroundings(before, Capability.NOTHING, before.entries).labels
    for image in before.images():
        if image.parent is None or image.image_id not in there:
            continue
        if not holds_parents:
            why = f"not supported by {target}"
        elif image.parent not in there:
            why = "that image is not in the result"
        else:
            continue
        label = labels[image.image_id]
        yield Dropped(f"dropped Parent {image.parent} of {label}: {why}", what="parent", of=label)


def find_unread_artifacts(images: ImageSet) -> Iterator[Dropped]:
    """Yield each thing of unknown media type that may name blobs which imgconv does not find."""
    for node in images.nodes():
        if isinstance(node, Other) and not node.understood:
            descriptor = node.descriptor
            text = f"{descriptor.digest} ({descriptor.media_type}) is copied, blobs that only it names are not"
            yield Dropped(text, what="artifact", of=str(descriptor.digest))


# -- facts ---------------------------------------------------------------------------


def _annotations(place: str, annotations: Mapping[str, str]) -> Iterator[_Fact]:
    for key, value in annotations.items():
        if key not in {IMAGE_NAME, REF_NAME, NEEDS}:
            yield _ANNOTATIONS, place, key, value


def _type_and_subject(artifact_type: str | None, subject: Descriptor | None) -> Iterator[_Fact]:
    if artifact_type:
        yield _ARTIFACT_TYPE, "", artifact_type, ""
    if subject is not None:
        yield _SUBJECT, "", str(subject.digest), ""


def _descriptor(place: str, descriptor: Descriptor) -> Iterator[_Fact]:
    yield from _annotations(place, descriptor.annotations)
    yield from _type_and_subject(descriptor.artifact_type, None)


def _manifest(manifest: Manifest) -> Iterator[_Fact]:
    yield from _annotations("manifest", manifest.annotations)
    yield from _annotations("config", manifest.config.annotations)
    yield from _type_and_subject(manifest.artifact_type, manifest.subject)
    for number, descriptor in enumerate(manifest.layers):
        yield from _layer(number, descriptor)


def _layers(layers: Iterable[Layer]) -> Iterator[_Fact]:
    for number, layer in enumerate(layers):
        if layer.stored is not None:
            yield from _layer(number, layer.stored)


def _layer(number: int, descriptor: Descriptor) -> Iterator[_Fact]:
    yield from _annotations(f"layer {number}", descriptor.annotations)
    if descriptor.urls:
        yield _URLS, f"layer {number}", " ".join(descriptor.urls), ""
    if mediatype.is_nondistributable(descriptor.media_type):
        yield _FOREIGN, f"layer {number}", "", ""


def _is_foreign(layer: Layer) -> bool:
    return layer.stored is not None and mediatype.is_nondistributable(layer.stored.media_type)


# -- lines ---------------------------------------------------------------------------

_PHRASES: Final = {
    _ANNOTATIONS: ("1 annotation", "{} annotations"),
    _FOREIGN: ("the non-distributable mark of 1 layer", "the non-distributable mark of {} layers"),
    _URLS: ("the urls of 1 layer", "the urls of {} layers"),
    _ARTIFACT_TYPE: ("the artifactType", "the artifactType"),
    _SUBJECT: ("the subject", "the subject"),
}


def _lines(facts: _Facts, of: str, why: str) -> Iterator[Dropped]:
    for what, (one, several) in _PHRASES.items():
        number = sum(times for fact, times in facts.items() if fact[0] == what)
        if what in {_ARTIFACT_TYPE, _SUBJECT}:
            # A descriptor repeats the field of its document.
            number = min(number, 1)
        if number:
            phrase = one if number == 1 else several.format(number)
            yield Dropped(f"dropped {phrase} of {of}: {why}", what=what, of=of, number=number)
