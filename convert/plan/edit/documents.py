"""Change names in the documents of an archive: `index.json`, `manifest.json` and `repositories`.

What else a document holds stays, in its order.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NoReturn

from convert.errors import FormatError
from convert.jsonio import strict
from convert.jsonio.go_encode import dumps
from convert.model.image import Image
from convert.model.image_set import SourceFormat
from convert.model.needs import NEEDS
from convert.model.reference import Reference
from convert.model.walk import descend
from convert.plan.edit.find import entry_digests
from convert.plan.select_image import identifying_digests
from convert.writer.oci import IMAGE_NAME, REF_NAME

if TYPE_CHECKING:
    from convert.model.image_set import Entry, ImageSet

#: The documents that list names, by member.
DOCUMENTS: Final = ("index.json", "manifest.json", "repositories")
#: Formats in which the ref.name always is the tag.
_TAG_ONLY: Final = frozenset({SourceFormat.DOCKER_OCI, SourceFormat.DOCKER_SAVE_25})


class _Document:
    """A document that is being changed. Readers may not look at it, so nothing in it was checked before."""

    def __init__(self, documents: dict[str, bytes], name: str, where: str) -> None:
        """Parse the document.

        Raises:
            FormatError: it is not valid JSON.
        """
        self._documents = documents
        self._name = name
        self._where = where
        self.value: Any = strict.parse(documents[name], where=where, member=name)
        self._before = dumps(self.value)

    def store(self) -> None:
        """Put the document back; its bytes stay where nothing changed."""
        after = dumps(self.value)
        if after != self._before:
            newline = b"\n" if self._documents[self._name].endswith(b"\n") else b""
            self._documents[self._name] = after + newline

    def get(self, obj: dict[str, Any], key: str) -> Any:
        """Return a field in any letter case, None if absent.

        Raises:
            FormatError: two keys mean this field.
        """
        return strict.lookup(obj, key, where=self._where, member=self._name)

    def put(self, obj: dict[str, Any], key: str, value: Any) -> None:
        """Set a field, under the spelling that the object has for it."""
        obj[next((each for each in obj if strict.same_key(each, key)), key)] = value

    def remove(self, obj: dict[str, Any], key: str) -> None:
        """Remove a field."""
        for spelled in [each for each in obj if strict.same_key(each, key)]:
            del obj[spelled]

    def object(self, value: Any, place: str) -> dict[str, Any]:
        """Return a value that must be an object."""
        if not isinstance(value, dict):
            self._fail(place, "an object")
        return value

    def objects(self, value: Any, place: str) -> list[dict[str, Any]]:
        """Return a value that must be an array of objects."""
        if not isinstance(value, list):
            self._fail(place, "an array")
        for number, each in enumerate(value):
            self.object(each, f"{place}[{number}]")
        return value

    def annotations(self, descriptor: dict[str, Any]) -> dict[str, str]:
        """Return the annotations of a descriptor; null is none."""
        return self.texts(self.get(descriptor, "annotations"), "annotations")

    def texts(self, value: Any, place: str) -> dict[str, str]:
        """Return a value that must be an object of strings, or null for an empty one."""
        found = self.object({} if value is None else value, place)
        if not all(isinstance(each, str) for each in found.values()):
            self._fail(place, "strings as values")
        return found

    def tags(self, item: dict[str, Any]) -> list[str]:
        """Return the RepoTags of an element of `manifest.json`; null is none."""
        found = self.get(item, "RepoTags")
        found = [] if found is None else found
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            self._fail("RepoTags", "an array of strings")
        return found

    def _fail(self, place: str, expected: str) -> NoReturn:
        what = f"{place}: expected {expected}" if place else f"expected {expected}"
        raise FormatError(what, code="wrong-json-type", file=self._where, member=self._name)


def add_name(documents: dict[str, bytes], entry: Entry, name: Reference, images: ImageSet, *, where: str) -> None:
    """Give the image of an entry one more name, in each document that lists it; `where` names the source in errors.

    Raises:
        FormatError: a document is damaged.
    """
    if "index.json" in documents:
        document = _Document(documents, "index.json", where)
        _add_to_index(document, _top_digests(entry), name, tag_only=images.format in _TAG_ONLY)
        document.store()
    if "manifest.json" in documents:
        document = _Document(documents, "manifest.json", where)
        item = next(iter(_items(document, entry, images)), None)
        if item is not None:
            tags = document.tags(item)
            if name.familiar not in tags:
                document.put(item, "RepoTags", [*tags, name.familiar])
        document.store()
    if "repositories" in documents:
        document = _Document(documents, "repositories", where)
        repositories = _repositories(document)
        top = _top_id(repositories, entry, images)
        if top is not None and name.tag is not None:
            tags_of = repositories.get(name.familiar_repository, {})
            document.value[name.familiar_repository] = {**tags_of, name.tag: top}
        document.store()


def remove_name(
    documents: dict[str, bytes], entry: Entry, name: Reference | None, images: ImageSet, *, where: str
) -> None:
    """Take a name away from the image of an entry; without a `name`, the entry's ref.name.

    `where` names the source in errors.

    Raises:
        FormatError: a document is damaged.
    """
    if "index.json" in documents:
        document = _Document(documents, "index.json", where)
        ref_name = entry.name.ref_name if entry.name is not None else None
        _remove_from_index(document, _top_digests(entry), name, ref_name)
        document.store()
    if name is None:
        return
    if "manifest.json" in documents:
        document = _Document(documents, "manifest.json", where)
        for item in _items(document, entry, images):
            tags = document.tags(item)
            rest = [tag for tag in tags if _reference(tag) != name]
            if rest != tags:
                document.put(item, "RepoTags", rest or None)
        document.store()
    if "repositories" in documents:
        document = _Document(documents, "repositories", where)
        repositories = _repositories(document)
        for repository in (name.familiar_repository, name.repository):
            tags_of = repositories.get(repository, {})
            if name.tag in tags_of:
                del tags_of[name.tag]
                if not tags_of:
                    del document.value[repository]
        document.store()


def asked_name(entry: Entry, text: str) -> Reference | None:
    """Return the name of an entry that a REF means: its ref.name where that is another full name, and REF is it."""
    if entry.name is None:
        return None
    reference, ref_name = entry.name.reference, entry.name.ref_name
    if ref_name and reference is not None and text.startswith(ref_name) and text[len(ref_name) :][:1] in {"", "@"}:
        return _second_name({IMAGE_NAME: reference.full, REF_NAME: ref_name}) or reference
    return reference


def _top_digests(entry: Entry) -> set[str]:
    """Return the digests by which `index.json` may list an entry."""
    digests = {str(entry.descriptor.digest)} if entry.descriptor is not None else set()
    if isinstance(entry.node, Image) and entry.node.manifest is not None:
        digests.add(str(entry.node.manifest.digest))
    return digests or {str(digest) for digest in entry_digests(entry)}


def _add_to_index(document: _Document, digests: set[str], name: Reference, *, tag_only: bool) -> None:
    manifests = _manifests(document)
    places = [place for place, each in enumerate(manifests) if document.get(each, "digest") in digests]
    if not places:
        return
    ref_name = name.tag
    if not tag_only and any(
        document.annotations(each).get(REF_NAME) == name.tag
        for each in manifests
        if document.get(each, "digest") not in digests
    ):
        ref_name = name.full
    names = {IMAGE_NAME: name.full, REF_NAME: ref_name}
    for place in places:
        annotations = document.annotations(manifests[place])
        if not {IMAGE_NAME, REF_NAME} & annotations.keys():
            document.put(manifests[place], "annotations", {**annotations, **names})
            return
    copy = dict(manifests[places[-1]])
    own = {key: value for key, value in document.annotations(copy).items() if key != NEEDS}
    document.put(copy, "annotations", {**own, **names})
    manifests.insert(places[-1] + 1, copy)


def _remove_from_index(document: _Document, digests: set[str], name: Reference | None, ref_name: str | None) -> None:
    manifests = _manifests(document)
    listed = [document.get(each, "digest") for each in manifests]
    left = Counter(listed)
    # By place: two equal entries are two.
    removed: set[int] = set()
    marks: dict[object, str] = {}
    for place, (each, digest) in enumerate(zip(manifests, listed, strict=True)):
        if digest not in digests:
            continue
        annotations = document.annotations(each)
        own, second = _name_of(annotations), _second_name(annotations)
        if name is not None and second == name:
            gone = {REF_NAME}
        elif own != name or (name is None and annotations.get(REF_NAME) != ref_name):
            continue
        elif second is not None:
            gone = {IMAGE_NAME}
        elif left[digest] > 1:
            left[digest] -= 1
            removed.add(place)
            if NEEDS in annotations:
                marks[digest] = annotations[NEEDS]
            continue
        else:
            gone = {IMAGE_NAME, REF_NAME}
        rest = {key: value for key, value in annotations.items() if key not in gone}
        if rest:
            document.put(each, "annotations", rest)
        else:
            document.remove(each, "annotations")
    manifests[:] = [each for place, each in enumerate(manifests) if place not in removed]
    for each in manifests:
        # The mark of a thin archive is on one descriptor of each digest.
        mark = marks.pop(document.get(each, "digest"), None)
        if mark is not None:
            document.put(each, "annotations", {**document.annotations(each), NEEDS: mark})


def _manifests(document: _Document) -> list[dict[str, Any]]:
    manifests = document.objects(document.get(document.object(document.value, ""), "manifests"), "manifests")
    for each in manifests:
        digest = document.get(each, "digest")
        if digest is not None:
            document.texts({"digest": digest}, "manifests")
        document.annotations(each)
    return manifests


def _repositories(document: _Document) -> dict[str, dict[str, str]]:
    """Return the tags of each repository."""
    repositories = document.object(document.value, "")
    return {repository: document.texts(tags, repository) for repository, tags in repositories.items()}


def _name_of(annotations: dict[str, str]) -> Reference | None:
    """Return the name that annotations give, as the reader of layouts finds it."""
    for text in (annotations.get(IMAGE_NAME), annotations.get(REF_NAME)):
        if text and (text == annotations.get(IMAGE_NAME) or any(mark in text for mark in "/:@")):
            found = _reference(text)
            if found is not None:
                return found
    return None


def _second_name(annotations: dict[str, str]) -> Reference | None:
    """Return the name that the ref.name gives if it is a full one and not the name that the annotations give."""
    found = _name_of({key: value for key, value in annotations.items() if key == REF_NAME})
    return found if found != _name_of(annotations) else None


def _reference(text: str) -> Reference | None:
    try:
        return Reference.parse(text).with_default_tag()
    except FormatError:
        return None


def _items(document: _Document, entry: Entry, images: ImageSet) -> list[dict[str, Any]]:
    """Return the elements of `manifest.json` that stand for an entry: of an index, those of its images."""
    wanted = {digest for node in descend(entry.node) for digest in identifying_digests(node)}
    return [
        item
        for item, image_id in zip(document.objects(document.value, ""), images.listed, strict=False)
        if image_id in wanted
    ]


def _top_id(repositories: dict[str, dict[str, str]], entry: Entry, images: ImageSet) -> str | None:
    """Return what `repositories` gives for an image: as for another of its names, else as its writer computes it."""
    for each in images.entries:
        reference = each.name.reference if each.name is not None else None
        if reference is not None and entry_digests(each) & entry_digests(entry):
            found = repositories.get(reference.familiar_repository, {}).get(reference.tag or "")
            if found is not None:
                return found
    if not isinstance(entry.node, Image) or not entry.node.layers:
        return None
    if entry.node.v1_ids:
        return entry.node.v1_ids[-1]
    return entry.node.layers[-1].diff_id.hex if images.format in _TAG_ONLY else None
